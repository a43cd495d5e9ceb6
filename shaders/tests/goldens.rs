//! Twenty steps of an MLP, a CNN, a residual CNN and two language models equal PyTorch's in float64, to 1e-4, on the CPU executor
//! and on the adapter that there is, with every preset of the products; and by the kernels and the rule that a GPU is given.
//!
//! `goldens/trajectories.py` wrote what is compared; it makes weights and batches from the same integer generator as this file.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use serde::Deserialize;
use shaders::engine::cpu::CpuExecutor;
use shaders::engine::plan::Draft;
use shaders::engine::products::{Choices, Preset};
use shaders::engine::{Buffer, Executor};
use shaders::kernels::advance::{STATE_POWER_1, STATE_WORDS};
use shaders::kernels::word;
use shaders::models::network::{Loss, Network};
use shaders::models::{ALL, ModelSpec};
use shaders::optim::{self, OptimizerSpec};
use shaders::step::{Step, StepBuffers};

const TOLERANCE: f64 = 1e-4;
/// Of losses where the operands of products are f16.
const HALF_TOLERANCE: f64 = 2e-3;
/// The same of these convolutional networks, whose batches of 4 and rates are such that they run apart: of the residual one a loss is 2e-2 of itself away
/// in f32, too, when each weight begins 2^-12 of itself away. f16 measured: 9e-3 and 4e-2.
const HALF_TOLERANCE_CNN: f64 = 1e-1;
const STEPS: usize = 20;

#[derive(Deserialize)]
struct Goldens {
    torch: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    model: ModelSpec,
    #[serde(default)]
    shape: Vec<usize>,
    classes: usize,
    batch: usize,
    loss: Loss,
    optimizer: OptimizerSpec,
    clip: Option<f32>,
    losses: Vec<f64>,
    lengths: Vec<f64>,
    sines: Vec<f64>,
}

/// As `numbers` of the script.
fn numbers(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 48) as f64 / 32768.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn classes(seed: u64, n: usize, classes: usize) -> Vec<u32> {
    numbers(seed, n).into_iter().map(|x| ((x * 0.5 + 0.5) * classes as f64).floor() as u32).collect()
}

fn weights(network: &Network) -> Vec<f32> {
    let schema = network.schema();
    let mut theta = Vec::new();
    for (i, tensor) in schema.tensors.iter().enumerate() {
        let n = tensor.shape.iter().product::<u32>() as usize;
        let near_one = tensor.name.contains("norm") && tensor.name.ends_with("weight");
        let bound = (3.0 / (n as f64 / f64::from(tensor.shape[0]))).sqrt();
        theta.extend(numbers(1000 + i as u64, n).into_iter().map(|x| match tensor.shape.len() {
            _ if near_one => (1.0 + 0.25 * x) as f32,
            1 => (0.125 * x) as f32,
            _ => (x * bound) as f32,
        }));
    }
    theta
}

/// Inputs and labels of all steps, sample by sample.
fn data(case: &Case) -> (Vec<f32>, Vec<u32>) {
    let samples = STEPS * case.batch;
    if let ModelSpec::Lm(lm) = &case.model {
        let tokens = classes(7, samples * (lm.context as usize + 1), case.classes);
        return (tokens.into_iter().map(|token| token as f32).collect(), vec![0; samples]);
    }
    let x = numbers(7, samples * case.shape.iter().product::<usize>());
    (x.into_iter().map(|x| x as f32).collect(), classes(8, samples, case.classes))
}

/// Losses before every step and the weights after the last one.
fn train(case: &Case, on: &mut dyn Executor, choices: &Choices) -> (Vec<f64>, Vec<f64>, Network) {
    let shape = match &case.model {
        ModelSpec::Lm(lm) => vec![lm.context as usize + 1],
        _ => case.shape.clone(),
    };
    let mut network = case.model.build(&shape, case.classes).unwrap();
    network.loss = case.loss;
    let d = network.parameters();
    let [theta, gradient, state]: [Buffer; 3] = [d, d, STATE_WORDS].map(|words| on.allocate(words).unwrap());
    let optimizer = case.optimizer.build(on, d).unwrap();
    let inputs = network.inputs(on, case.batch).unwrap();
    let rows = case.batch * network.rows();
    let mut draft = Draft::new(choices);
    let betas = optimizer.betas();
    let step = Step { network: &network, optimizer: &optimizer, clip: case.clip };
    step.draft(&mut draft, &inputs, &StepBuffers { theta, gradient, state });
    let recording = draft.place(on).unwrap();
    let step = on.prepare(recording).unwrap();
    on.write(theta, 0, bytemuck::cast_slice(&weights(&network))).unwrap();
    on.write(state, STATE_POWER_1, &[word(betas.0), word(betas.1)]).unwrap();
    let (x, labels) = data(case);
    let mut words = Vec::new();
    let batches = x.chunks(case.batch * shape.iter().product::<usize>()).zip(labels.chunks(case.batch));
    let losses = batches
        .map(|(x, labels)| {
            on.write(inputs.x, 0, bytemuck::cast_slice(x)).unwrap();
            on.write(inputs.labels, 0, labels).unwrap();
            on.run(step, 1).unwrap();
            on.read(inputs.results, 2 * rows, &mut words).unwrap();
            words.iter().step_by(2).map(|bits| f64::from(f32::from_bits(*bits))).sum::<f64>() / rows as f64
        })
        .collect();
    on.read(theta, d, &mut words).unwrap();
    (losses, words.iter().map(|bits| f64::from(f32::from_bits(*bits))).collect(), network)
}

fn compare(case: &Case, on: &mut dyn Executor, by: &str, preset: Preset) {
    compare_by(case, on, &format!("{by}, {}", preset.name()), &Choices::always(preset));
}

fn compare_by(case: &Case, on: &mut dyn Executor, by: &str, choices: &Choices) {
    let (losses, theta, network) = train(case, on, choices);
    assert_eq!((losses.len(), case.losses.len()), (STEPS, STEPS));
    for (step, (found, golden)) in losses.iter().zip(&case.losses).enumerate() {
        let away = (found - golden).abs() / golden.abs();
        assert!(away < TOLERANCE, "{} by {by}, loss of step {step}: {found}, PyTorch {golden}", case.name);
    }
    let mut offset = 0;
    let schema = network.schema();
    assert_eq!((schema.tensors.len(), case.sines.len()), (case.lengths.len(), case.lengths.len()));
    for (i, tensor) in schema.tensors.iter().enumerate() {
        let n = tensor.shape.iter().product::<u32>() as usize;
        let own = &theta[offset..offset + n];
        offset += n;
        let length = own.iter().map(|x| x * x).sum::<f64>().sqrt();
        let sines: f64 = own.iter().map(|x| (x * std::f64::consts::PI).sin()).sum();
        let (away, turned) = ((length - case.lengths[i]).abs(), (sines - case.sines[i]).abs());
        let scale = case.lengths[i].max(0.1);
        assert!(
            away < TOLERANCE * scale,
            "{} by {by}, length of {}: {length}, PyTorch {}",
            case.name,
            tensor.name,
            case.lengths[i]
        );
        // What a vector of that length can be away in its sum when it is 1e-4 away.
        let slack = TOLERANCE * scale * std::f64::consts::PI * (n as f64).sqrt();
        assert!(turned < slack, "{} by {by}, sines of {}: {sines}, PyTorch {}", case.name, tensor.name, case.sines[i]);
    }
}

/// The same with products in half precision: losses near those of PyTorch, and not the same as in f32.
fn compare_half(case: &Case, on: &mut dyn Executor, by: &str) {
    let (losses, theta, _) = train(case, on, &Choices::always(Preset::Half64));
    assert!(theta.iter().all(|x| x.is_finite()), "{} by {by}", case.name);
    let away = losses.iter().zip(&case.losses).map(|(found, golden)| (found - golden).abs() / golden.abs());
    let most = away.fold(0.0, f64::max);
    eprintln!("{} by {by}, f16: a loss is at most {most:.1e} of itself away", case.name);
    let tolerance = if case.model.kind() == "cnn" { HALF_TOLERANCE_CNN } else { HALF_TOLERANCE };
    assert!(most < tolerance, "{} by {by}: a loss is {most:e} of itself away", case.name);
    assert!(most > 1e-7, "{} by {by}: that was f32", case.name);
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("../goldens/trajectories.json")).unwrap()
}

#[test]
fn twenty_steps_are_those_of_pytorch() {
    let goldens = goldens();
    assert!(goldens.torch.starts_with('2'), "{}", goldens.torch);
    for case in &goldens.cases {
        for (preset, ..) in Preset::ALL {
            compare(case, &mut CpuExecutor::new(None), "the CPU", *preset);
        }
    }
}

#[test]
fn twenty_steps_in_half_precision_stay_near() {
    for case in &goldens().cases {
        compare_half(case, &mut CpuExecutor::new(None), "the CPU");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn twenty_steps_in_half_precision_on_the_gpu_stay_near() {
    for case in &goldens().cases {
        let Some(mut gpu) = shaders::engine::gpu::GpuExecutor::open(None).unwrap() else {
            let required = std::env::var_os("STARLING_REQUIRE_GPU").is_some();
            assert!(!required, "STARLING_REQUIRE_GPU is set and there is no adapter");
            eprintln!("SKIPPED: no Vulkan adapter");
            return;
        };
        if !gpu.info().f16 {
            eprintln!("SKIPPED: {} has no f16", gpu.info().name);
            return;
        }
        compare_half(case, &mut gpu, "the GPU");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn twenty_steps_on_the_gpu_are_those_of_pytorch() {
    let goldens = goldens();
    let each = |case| Preset::ALL.iter().map(move |(preset, ..)| (case, *preset));
    for (case, preset) in goldens.cases.iter().flat_map(each) {
        let Some(mut gpu) = shaders::engine::gpu::GpuExecutor::open(None).unwrap() else {
            let required = std::env::var_os("STARLING_REQUIRE_GPU").is_some();
            assert!(!required, "STARLING_REQUIRE_GPU is set and there is no adapter");
            eprintln!("SKIPPED: no Vulkan adapter");
            return;
        };
        compare(case, &mut gpu, "the GPU", preset);
    }
}

/// The adapter that there is, as a GPU is used that nobody has tuned for: its words in uniforms, tiles and splits by the rule.
#[cfg(feature = "gpu")]
#[test]
fn twenty_steps_as_hardware_takes_them_are_those_of_pytorch() {
    let cases = goldens().cases;
    let seen: Vec<_> = cases.iter().filter(|case| ["cnn", "lm"].contains(&case.model.kind())).collect();
    assert!(seen.len() >= 2);
    for case in seen {
        let Some(mut gpu) = shaders::engine::gpu::GpuExecutor::open(None).unwrap() else {
            let required = std::env::var_os("STARLING_REQUIRE_GPU").is_some();
            assert!(!required, "STARLING_REQUIRE_GPU is set and there is no adapter");
            eprintln!("SKIPPED: no Vulkan adapter");
            return;
        };
        gpu.count_as_hardware();
        let choices = Choices::untuned(gpu.info());
        assert!(choices.shares_memory());
        compare_by(case, &mut gpu, "the GPU as hardware", &choices);
    }
}

#[test]
fn every_model_optimizer_and_loss_has_a_golden() {
    let cases = goldens().cases;
    for (kind, _) in ALL {
        assert!(cases.iter().any(|case| case.model.kind() == *kind), "{kind}");
    }
    for (kind, _) in optim::ALL {
        let named = |case: &Case| serde_json::to_value(case.optimizer).unwrap()["kind"] == *kind;
        assert!(cases.iter().any(named), "{kind}");
    }
    for (loss, name, _) in Loss::ALL {
        assert!(cases.iter().any(|case| case.loss == *loss), "{name}");
    }
}
