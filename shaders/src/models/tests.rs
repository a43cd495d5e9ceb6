#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::network::Inputs;
use super::*;
use crate::engine::cpu::CpuExecutor;
use crate::engine::plan::Draft;
use crate::engine::products::{Choices, Preset};
use crate::engine::{Buffer, Executor, Prepared};
use crate::kernels::advance::STATE_WORDS;
use crate::optim::OptimizerSpec;
use crate::step::{Step, StepBuffers};

const FEATURES: usize = 5;
const CLASSES: usize = 3;
const ROWS: usize = 4;
/// Random directions along which a gradient is looked at.
const DIRECTIONS: usize = 8;
/// How far the weights go along them.
const STEPS: [f32; 5] = [1e-3, 1e-4, 1e-2, 3e-4, 1e-5];
/// Distance from a slope, in lengths of the gradient; for one number in the usual size of its tensor's.
/// measured: 0.01 is below what differences of f32 are good for.
const TOLERANCE: f64 = 0.02;
/// Distance of a gradient of half precision from one of single precision.
const HALF_TOLERANCE: f64 = 0.05;

/// Mean cross-entropy of the MLP 5-6-4-3, naively and in f64.
fn loss(theta: &[f64], x: &[f64], labels: &[u32]) -> f64 {
    let mut values = x.to_vec();
    let mut offset = 0;
    for (inputs, outputs, relu) in [(5, 6, true), (6, 4, true), (4, 3, false)] {
        let mut next = Vec::new();
        for row in values.chunks(inputs) {
            for n in 0..outputs {
                let w = &theta[offset + n * inputs..offset + (n + 1) * inputs];
                let z = theta[offset + inputs * outputs + n] + row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
                next.push(if relu { z.max(0.0) } else { z });
            }
        }
        offset += inputs * outputs + outputs;
        values = next;
    }
    let row_loss = |(row, label): (&[f64], &u32)| row.iter().map(|z| z.exp()).sum::<f64>().ln() - row[*label as usize];
    values.chunks(CLASSES).zip(labels).map(row_loss).sum::<f64>() / ROWS as f64
}

/// Flat gradient of a network's mean loss on a batch, and the sum of the losses of its rows.
fn gradient_and_loss(network: &Network, theta: &[f32], x: &[f32], labels: &[u32]) -> (Vec<f32>, f64) {
    gradient_by(&Choices::PLAIN, network, theta, x, labels)
}

/// The same by other kernels.
fn gradient_by(choices: &Choices, network: &Network, theta: &[f32], x: &[f32], labels: &[u32]) -> (Vec<f32>, f64) {
    let on = &mut CpuExecutor::new(None);
    let inputs = network.inputs(on, labels.len()).unwrap();
    let [weights, gradient, state] = [theta.len(), theta.len(), STATE_WORDS].map(|words| on.allocate(words).unwrap());
    on.write(weights, 0, bytemuck::cast_slice(theta)).unwrap();
    on.write(inputs.x, 0, bytemuck::cast_slice(x)).unwrap();
    on.write(inputs.labels, 0, labels).unwrap();
    let optimizer = OptimizerSpec::Sgd { learning_rate: 0.0, momentum: 0.0, nesterov: false };
    let optimizer = optimizer.build(on, theta.len()).unwrap();
    let mut draft = Draft::new(choices);
    let step = Step { network, optimizer: &optimizer, clip: None };
    step.draft(&mut draft, &inputs, &StepBuffers { theta: weights, gradient, state });
    let recording = draft.place(on).unwrap();
    let prepared = on.prepare(recording).unwrap();
    on.run(prepared, 1).unwrap();
    let (mut found, mut rows) = (Vec::new(), Vec::new());
    on.read(gradient, theta.len(), &mut found).unwrap();
    on.read(inputs.results, 2 * labels.len() * network.rows(), &mut rows).unwrap();
    let loss = rows.iter().step_by(2).map(|bits| f64::from(f32::from_bits(*bits))).sum();
    (bytemuck::cast_slice(&found).to_vec(), loss)
}

/// Finite differences of every parameter, those in the middle of the graph among them: a backward kernel that forgets the
/// gradient from above passes only as the last one.
#[test]
fn gradients_equal_finite_differences_in_every_layer() {
    let model = ModelSpec::Mlp { hidden: vec![6, 4] }.build(&[FEATURES], CLASSES).unwrap();
    let base = model.initial_base([3; 32]);
    let theta: Vec<f32> =
        base.iter().enumerate().map(|(i, &b)| protocol::fixed::to_f32(b) + 0.01 * (i % 5) as f32).collect();
    let x: Vec<f32> = (0..ROWS * FEATURES).map(|i| ((i * 7 % 11) as f32 - 4.0) / 5.0).collect();
    let labels = [0, 2, 1, 2];
    let (found, _) = gradient_and_loss(&model, &theta, &x, &labels);

    let theta: Vec<f64> = theta.into_iter().map(f64::from).collect();
    let x: Vec<f64> = x.into_iter().map(f64::from).collect();
    let mut nonzero = 0;
    for i in 0..theta.len() {
        let at = |shift: f64| {
            let mut theta = theta.clone();
            theta[i] += shift;
            loss(&theta, &x, &labels)
        };
        let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
        let found = f64::from(found[i]);
        assert!((found - expected).abs() < 1e-5, "parameter {i}: {found}, finite difference {expected}");
        nonzero += usize::from(expected.abs() > 1e-6);
    }
    assert!(nonzero > theta.len() / 2, "{nonzero} of {} gradients say anything", theta.len());
}

#[test]
fn schema_and_initial_weights_fit() {
    let model = ModelSpec::Mlp { hidden: vec![64, 64] }.build(&[8, 8], 10).unwrap();
    let schema = model.schema();
    assert_eq!(schema.parameters(), model.parameters());
    assert_eq!(model.parameters(), 64 * 64 + 64 + 64 * 64 + 64 + 640 + 10);
    assert_eq!(schema.tensors[0].name, "layers.0.weight");
    assert_eq!(schema.tensors[5].shape, [10]);
    let base = model.initial_base([1; 32]);
    assert_eq!(base.len(), model.parameters());
    assert_eq!(base, model.initial_base([1; 32]));
    assert_ne!(base, model.initial_base([2; 32]));
    let linear = ModelSpec::Mlp { hidden: vec![] }.build(&[8, 8], 10).unwrap();
    assert_eq!(linear.parameters(), 650);
}

/// The mean loss of a batch at any weights, recorded once.
struct Probe {
    on: CpuExecutor,
    weights: Buffer,
    inputs: Inputs,
    forward: Prepared,
    rows: usize,
}

impl Probe {
    fn new(network: &Network, x: &[f32], labels: &[u32]) -> Self {
        let mut on = CpuExecutor::new(None);
        let inputs = network.inputs(&mut on, labels.len()).unwrap();
        let weights = on.allocate(network.parameters()).unwrap();
        on.write(inputs.x, 0, bytemuck::cast_slice(x)).unwrap();
        on.write(inputs.labels, 0, labels).unwrap();
        let mut draft = Draft::default();
        network.forward(&mut draft, weights, &inputs, None);
        let recording = draft.place(&mut on).unwrap();
        let forward = on.prepare(recording).unwrap();
        Self { on, weights, inputs, forward, rows: labels.len() * network.rows() }
    }

    fn loss(&mut self, theta: &[f32]) -> f64 {
        let mut found = Vec::new();
        self.on.write(self.weights, 0, bytemuck::cast_slice(theta)).unwrap();
        self.on.run(self.forward, 1).unwrap();
        self.on.read(self.inputs.results, 2 * self.rows, &mut found).unwrap();
        found.iter().step_by(2).map(|bits| f64::from(f32::from_bits(*bits))).sum::<f64>() / self.rows as f64
    }

    /// By how much the rise of the loss along a direction differs from a slope: by central differences. At the kinks of ReLU and
    /// of a pool there are none, and a short step drowns in the rounding of f32: the best of several steps counts.
    fn distance(&mut self, theta: &[f32], along: impl Fn(usize) -> f32, slope: f64, enough: f64) -> f64 {
        let mut best = f64::INFINITY;
        for step in STEPS {
            let [above, below] = [step, -step].map(|step| {
                let moved: Vec<f32> = theta.iter().enumerate().map(|(i, theta)| theta + step * along(i)).collect();
                self.loss(&moved)
            });
            best = best.min(((above - below) / (2.0 * f64::from(step)) - slope).abs());
            if best < enough {
                break;
            }
        }
        best
    }
}

fn length(gradient: &[f32]) -> f64 {
    gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt()
}

/// What is wrong with a flat gradient, by differences of the loss: along random directions, where every number has its part, and
/// along every number by itself, so that none hides behind the others. In f32, so loosely; the goldens of `tests/` hold the same
/// gradients to 1e-4 against PyTorch.
fn mistake(probe: &mut Probe, network: &Network, theta: &[f32], gradient: &[f32]) -> Option<String> {
    let mut rng = ChaCha8Rng::from_seed([7; 32]);
    for _ in 0..DIRECTIONS {
        let signs: Vec<f32> = gradient.iter().map(|_| if rng.next_u32() & 1 == 0 { 1.0 } else { -1.0 }).collect();
        let slope: f64 = signs.iter().zip(gradient).map(|(sign, g)| f64::from(sign * g)).sum();
        let enough = TOLERANCE * length(gradient);
        let found = probe.distance(theta, |i| signs[i], slope, enough);
        if found >= enough {
            return Some(format!("a random direction: slope {slope}, off by {found}"));
        }
    }
    let mut offset = 0;
    for tensor in &network.schema().tensors {
        let n = tensor.shape.iter().product::<u32>() as usize;
        let usual = length(&gradient[offset..offset + n]) / (n as f64).sqrt();
        if usual < 1e-6 {
            return Some(format!("{} has no gradient", tensor.name));
        }
        for (i, slope) in gradient[offset..offset + n].iter().enumerate() {
            let slope = f64::from(*slope);
            let enough = TOLERANCE * usual.max(slope.abs());
            let found = probe.distance(theta, |at| f32::from(u8::from(at == offset + i)), slope, enough);
            if found >= enough {
                return Some(format!("{}, number {}: slope {slope}, off by {found}", tensor.name, i));
            }
        }
        offset += n;
    }
    None
}

/// Weights at which every tensor matters.
fn somewhere(network: &Network) -> Vec<f32> {
    let base = network.initial_base([5; 32]);
    let shift = |i: usize| 0.02 * ((i * 7 % 11) as f32 - 5.0);
    base.iter().enumerate().map(|(i, &b)| protocol::fixed::to_f32(b) + shift(i)).collect()
}

fn assert_gradient(model: &ModelSpec, shape: &[usize], classes: usize, x: &[f32], labels: &[u32]) {
    let network = model.build(shape, classes).unwrap();
    let theta = somewhere(&network);
    let (gradient, _) = gradient_and_loss(&network, &theta, x, labels);
    let probe = &mut Probe::new(&network, x, labels);
    assert_eq!(mistake(probe, &network, &theta, &gradient), None, "{model:?}");
}

#[test]
fn one_wrong_number_of_a_gradient_is_noticed() {
    let network = lm(NormKind::Layer, ActivationKind::Gelu).build(&[7], 11).unwrap();
    let windows: Vec<f32> = (0..5 * 7).map(|i| (i * i % 11) as f32).collect();
    let theta = somewhere(&network);
    let (gradient, _) = gradient_and_loss(&network, &theta, &windows, &[0; 5]);
    let probe = &mut Probe::new(&network, &windows, &[0; 5]);
    let mut offset = 0;
    for tensor in network.schema().tensors.iter().take(6) {
        let n = tensor.shape.iter().product::<u32>() as usize;
        let at = offset + n / 3;
        let usual = length(&gradient[offset..offset + n]) / (n as f64).sqrt();
        let mut wrong = gradient.clone();
        wrong[at] += 0.08 * gradient[at].abs().max(usual as f32);
        let found = mistake(probe, &network, &theta, &wrong).unwrap();
        assert!(found.starts_with(&format!("{}, number {}:", tensor.name, n / 3)), "{found}");
        offset += n;
    }
    let doubled: Vec<f32> = gradient.iter().map(|g| 2.0 * g).collect();
    assert!(mistake(probe, &network, &theta, &doubled).unwrap().starts_with("a random direction"));
}

fn pictures(samples: usize, features: usize) -> Vec<f32> {
    (0..samples * features).map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.3).abs()).collect()
}

#[test]
fn gradients_of_convolutional_networks_are_slopes() {
    for (channels, residual_blocks, shape) in
        [(vec![3, 5], 0, vec![9, 7]), (vec![8, 6], 2, vec![7, 6, 2]), (vec![4], 1, vec![5, 6])]
    {
        let spec = CnnSpec { channels, residual_blocks, hidden: vec![7] };
        let x = pictures(6, shape.iter().product());
        assert_gradient(&ModelSpec::Cnn(spec), &shape, 4, &x, &[0, 3, 1, 2, 2, 0]);
    }
}

/// Each tensor's by itself: what has vanished in one layer does not hide behind another. Many rows, so that gradients are small.
#[test]
fn gradients_in_half_precision_are_near() {
    let norms = [(NormKind::Rms, ActivationKind::Silu), (NormKind::Layer, ActivationKind::Gelu)];
    let text: Vec<f32> = (0..800 * 7).map(|i| (i * i % 11) as f32).collect();
    let mut all = vec![
        (ModelSpec::Mlp { hidden: vec![20, 12] }, vec![9], pictures(4000, 9)),
        (
            ModelSpec::Cnn(CnnSpec { channels: vec![4, 6], residual_blocks: 0, hidden: vec![7] }),
            vec![9, 7],
            pictures(900, 63),
        ),
    ];
    all.extend(norms.map(|(norm, activation)| (lm(norm, activation), vec![7], text.clone())));
    for (model, shape, x) in all {
        let network = model.build(&shape, 11).unwrap();
        let theta = somewhere(&network);
        let labels: Vec<u32> = (0..x.len() / shape.iter().product::<usize>()).map(|i| (i * 7 % 11) as u32).collect();
        let [(single, _), (half, _)] = [Preset::Plain, Preset::Half64]
            .map(|preset| gradient_by(&Choices::always(preset), &network, &theta, &x, &labels));
        assert!(single != half, "{model:?}: that was f32");
        let mut offset = 0;
        for tensor in &network.schema().tensors {
            let own = offset..offset + tensor.shape.iter().product::<u32>() as usize;
            offset = own.end;
            let away: Vec<f32> = own.clone().map(|i| half[i] - single[i]).collect();
            let relative = length(&away) / length(&single[own]);
            // A pool that chooses another pixel, a ReLU that opens.
            assert!(relative < HALF_TOLERANCE, "{model:?}, {}: {relative:e}", tensor.name);
        }
    }
}

#[test]
fn pictures_that_are_too_small_or_none_are_refused() {
    let spec = ModelSpec::Cnn(CnnSpec { channels: vec![4, 4, 4], residual_blocks: 0, hidden: vec![] });
    assert!(spec.build(&[8, 8], 10).is_ok());
    for shape in [&[7, 8][..], &[64], &[1, 2, 3, 4]] {
        let error = spec.build(shape, 10).unwrap_err().to_string();
        assert!(error.contains("cnn") && error.contains("pictures"), "{error}");
    }
}

#[test]
fn what_no_offset_can_count_is_refused_before_anything_is_as_large() {
    let linear = |features: usize| ModelSpec::Mlp { hidden: vec![] }.build(&[features], 1 << 10);
    assert_eq!(linear((1 << 20) - 1).unwrap().parameters(), PARAMETERS_MAX);
    let parameters = PARAMETERS_MAX + (1 << 10);
    assert_eq!(linear(1 << 20).unwrap_err(), ModelError::TooLarge { parameters, limit: PARAMETERS_MAX });
    let largest = [
        (ModelSpec::Mlp { hidden: vec![u32::MAX; 3] }, vec![28, 28]),
        (ModelSpec::Cnn(CnnSpec { channels: vec![u32::MAX; 2], residual_blocks: 1, hidden: vec![] }), vec![28, 28]),
        (
            ModelSpec::Lm(LmSpec {
                context: 8192,
                width: 4096,
                layers: 96,
                heads: 64,
                norm: NormKind::Rms,
                activation: ActivationKind::Gelu,
                dropout: 0.0,
            }),
            vec![8193],
        ),
    ];
    for (model, shape) in largest {
        let error = model.build(&shape, 1000).unwrap_err();
        assert!(matches!(error, ModelError::TooLarge { limit: PARAMETERS_MAX, .. }), "{error}");
        // Samples too: their product must not wrap around.
        let samples = model.build(&[usize::MAX, 2], 10).unwrap_err();
        assert!(matches!(samples, ModelError::Shape { .. }), "{samples}");
    }
}

fn lm(norm: NormKind, activation: ActivationKind) -> ModelSpec {
    ModelSpec::Lm(LmSpec { context: 6, width: 16, layers: 2, heads: 2, norm, activation, dropout: 0.0 })
}

#[test]
fn gradients_of_language_models_are_slopes() {
    let windows: Vec<f32> = (0..5 * 7).map(|i| (i * i % 11) as f32).collect();
    for (norm, activation) in [
        (NormKind::Rms, ActivationKind::Silu),
        (NormKind::Layer, ActivationKind::Gelu),
        (NormKind::Rms, ActivationKind::Relu),
    ] {
        assert_gradient(&lm(norm, activation), &[7], 11, &windows, &[0; 5]);
    }
}

#[test]
fn what_no_language_model_can_read_is_refused() {
    let spec = lm(NormKind::Rms, ActivationKind::Gelu);
    assert!(spec.build(&[7], 256).is_ok());
    assert!(spec.build(&[8, 8], 10).unwrap_err().to_string().contains("windows of 7 tokens"));
    for (width, heads) in [(16, 3), (12, 2), (128, 1), (16, 0)] {
        let ModelSpec::Lm(spec) = lm(NormKind::Rms, ActivationKind::Gelu) else { panic!("no lm") };
        let error = ModelSpec::Lm(LmSpec { width, heads, ..spec }).build(&[7], 256).unwrap_err();
        assert_eq!(error, ModelError::Heads { width, heads });
    }
}

/// Names of the kernels of a pass of training, by how its device multiplies.
fn kernels_by(choices: &Choices, model: &ModelSpec, classes: usize) -> Vec<&'static str> {
    let network = model.build(&[7], classes).unwrap();
    let on = &mut CpuExecutor::new(None);
    let inputs = network.inputs(on, 2).unwrap();
    let words = network.parameters();
    let [theta, gradient, state] = [words, words, STATE_WORDS].map(|words| on.allocate(words).unwrap());
    let optimizer = OptimizerSpec::Sgd { learning_rate: 0.0, momentum: 0.0, nesterov: false }.build(on, words).unwrap();
    let mut draft = Draft::new(choices);
    let step = Step { network: &network, optimizer: &optimizer, clip: None };
    step.draft(&mut draft, &inputs, &StepBuffers { theta, gradient, state });
    draft.place(on).unwrap().dispatches.iter().map(|dispatch| dispatch.kernel.name()).collect()
}

#[test]
fn workgroups_share_wide_rows_where_they_share_memory() {
    let ModelSpec::Lm(narrow) = lm(NormKind::Layer, ActivationKind::Gelu) else { panic!("no lm") };
    let wide = LmSpec { width: 256, layers: 1, heads: 8, ..narrow.clone() };
    let shared = ["softmax_cross_entropy_shared", "norm_statistics_shared", "norm_backward_statistics_shared"];
    for (choices, spec, classes, wanted) in [
        (Choices::always(Preset::Tile32), &wide, 1024, true),
        (Choices::always(Preset::Tile32), &narrow, 1023, false),
        (Choices::PLAIN, &wide, 1024, false),
    ] {
        let kernels = kernels_by(&choices, &ModelSpec::Lm(spec.clone()), classes);
        for name in shared {
            let plain = name.trim_end_matches("_shared");
            assert_eq!(
                [name, plain].map(|name| kernels.contains(&name)),
                [wanted, !wanted],
                "{name}, {classes} classes"
            );
        }
    }
}

#[test]
fn what_is_computed_again_gives_the_same_bits() {
    let cnn = ModelSpec::Cnn(CnnSpec { channels: vec![8, 6], residual_blocks: 2, hidden: vec![7] });
    let ModelSpec::Lm(spec) = lm(NormKind::Layer, ActivationKind::Silu) else { panic!("no lm") };
    let dropping = ModelSpec::Lm(LmSpec { dropout: 0.3, ..spec });
    let windows: Vec<f32> = (0..5 * 7).map(|i| (i * i % 11) as f32).collect();
    let cases = [
        (cnn, vec![7, 6, 2], 4, pictures(6, 84), vec![0, 3, 1, 2, 2, 0]),
        (dropping, vec![7], 11, windows, vec![0; 5]),
    ];
    for (model, shape, classes, x, labels) in cases {
        let mut network = model.build(&shape, classes).unwrap();
        let theta: Vec<f32> = network.initial_base([5; 32]).into_iter().map(protocol::fixed::to_f32).collect();
        let kept = gradient_and_loss(&network, &theta, &x, &labels);
        network.recompute = true;
        assert_eq!(gradient_and_loss(&network, &theta, &x, &labels), kept, "{}", model.kind());
    }
}
