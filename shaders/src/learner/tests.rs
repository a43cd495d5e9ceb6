#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "gpu")]
mod hardware;
mod rate;
mod said;

use protocol::codec::{ALL, DenseF32, TopK2Bit};

use super::evaluation::{self, EvaluationPass};
use super::*;
use crate::bench::models;
use crate::data::embedded;
use crate::data::split::SplitRule;
use crate::engine::cpu::CpuExecutor;
#[cfg(feature = "gpu")]
use crate::engine::products::{Choices, Preset};
use crate::kernels::advance::{STATE_SECOND, STATE_WORDS};
use crate::models::network::Loss;
use crate::models::{ActivationKind, CnnSpec, LmSpec, ModelSpec, NormKind};
use crate::optim;
use crate::optim::schedule::{ByPeers, Curve};

/// A model on these data.
fn network(model: &ModelSpec, dataset: &Dataset) -> Arc<Network> {
    Arc::new(model.build(&dataset.shape, dataset.classes).unwrap())
}

pub(super) fn spec(optimizer: OptimizerSpec) -> LearnerSpec {
    let dataset = Arc::new(embedded("digits").unwrap());
    let shard = SplitRule::Iid.shards(&dataset.train.labels, 1, 1).unwrap().remove(0);
    LearnerSpec {
        model: network(&ModelSpec::Mlp { hidden: vec![64, 64] }, &dataset),
        optimizer,
        schedule: Schedule::default(),
        clip: None,
        batch: 32,
        init_seed: [1; 32],
        order_seed: 2,
        shard,
        dealt: None,
        dataset,
    }
}

const ADAM: OptimizerSpec = OptimizerSpec::Adam { learning_rate: 0.003 };
const ADAM_COMMON: OptimizerSpec = OptimizerSpec::AdamCommon { learning_rate: 0.003 };

fn on_cpu(optimizer: OptimizerSpec) -> TrainingLearner {
    TrainingLearner::new(spec(optimizer), Box::new(CpuExecutor::new(None))).unwrap()
}

/// Losses and weights of a few steps, and of what is measured, said and evaluated between them.
fn bits(spec: &LearnerSpec, executor: Box<dyn Executor>) -> (Vec<u32>, Vec<u32>, Vec<u8>) {
    let mut learner = TrainingLearner::new(spec.clone(), executor).unwrap();
    let mut losses: Vec<u32> = (0..3).map(|_| learner.train(2, Progress::START).unwrap().mean_loss.to_bits()).collect();
    let said = learner.take_delta(&TopK2Bit, Weight::HALF, f32::INFINITY).unwrap();
    losses.push(learner.evaluate(Weights::Base).unwrap().loss.to_bits());
    losses.push(learner.train(2, Progress::START).unwrap().mean_loss.to_bits());
    losses.push(learner.evaluate(Weights::Local).unwrap().loss.to_bits());
    (losses, theta(&mut learner).into_iter().map(f32::to_bits).collect(), said.payload)
}

/// One of each kind of model; the first is wide enough for threads to share its optimizer, too.
pub(crate) fn kinds() -> [(&'static str, LearnerSpec); 4] {
    let dataset = spec(ADAM).dataset;
    let wide = ModelSpec::Mlp { hidden: vec![700, 300] }.build(&dataset.shape, dataset.classes).unwrap();
    let wide = LearnerSpec { model: Arc::new(wide), ..spec(ADAM) };
    [("mlp", wide), ("cnn", cnn(0)), ("residual cnn", cnn(1)), ("lm", lm(0.1))]
}

#[test]
fn any_number_of_threads_computes_the_same_bits() {
    // Enough pictures and windows that the kernels of each are shared out.
    let text = &models::ALL[1];
    let text = text.learner(Arc::new(text.build().unwrap()), 8);
    let pictures = |blocks| LearnerSpec { batch: 300, ..cnn(blocks) };
    let large = [("pictures", pictures(0)), ("pictures, residual", pictures(1)), ("text", text)];
    for (kind, spec) in kinds().into_iter().chain(large) {
        let on = |threads| bits(&spec, Box::new(CpuExecutor::measured(None, threads)));
        let one = on(1);
        assert!(on(2) == one, "{kind}, two threads");
        assert!(on(3) == one, "{kind}, three threads");
        assert!(on(3) == one, "{kind}, three threads again");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn an_adapter_computes_the_same_bits_again() {
    for (kind, spec) in kinds() {
        let [Some(first), Some(second)] = [(); 2].map(|()| crate::kernels::tests::gpu()) else { return };
        let first = bits(&spec, Box::new(first));
        assert!(first == bits(&spec, Box::new(second)), "{kind}");
        let other = LearnerSpec { order_seed: 3, ..spec };
        let Some(third) = crate::kernels::tests::gpu() else { return };
        assert!(first.1 != bits(&other, Box::new(third)).1, "{kind}: other samples, other bits");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn steps_that_are_cut_between_their_kernels_are_the_same_steps() {
    for (kind, spec) in kinds() {
        let [Some(whole), Some(mut cut)] = [(); 2].map(|()| crate::kernels::tests::gpu()) else { return };
        // Every recording begins with a submission for each dispatch, and is joined again as it turns out to be short.
        cut.cut_first(1);
        assert!(bits(&spec, Box::new(whole)) == bits(&spec, Box::new(cut)), "{kind}");
    }
}

/// The gradient lends its place to what is said and evaluated between steps: whatever is left there, no step sees it.
fn assert_step_overwrites_the_gradient(kind: &str, spec: &LearnerSpec, on: fn() -> Option<Box<dyn Executor>>) {
    let after = |junk: bool| {
        let mut learner = TrainingLearner::new(spec.clone(), on()?).unwrap();
        for _ in 0..2 {
            if junk {
                let nonsense = vec![f32::NAN.to_bits(); learner.parameters()];
                learner.machine.executor.write(learner.machine.buffers.scratch, 0, &nonsense).unwrap();
            }
            learner.train(1, Progress::START).unwrap();
        }
        Some(theta(&mut learner))
    };
    assert!(after(true) == after(false), "{kind}");
}

#[test]
fn a_step_overwrites_all_of_the_gradient() {
    for (kind, spec) in kinds() {
        assert_step_overwrites_the_gradient(kind, &spec, || Some(Box::new(CpuExecutor::new(None))));
        #[cfg(feature = "gpu")]
        assert_step_overwrites_the_gradient(kind, &spec, || Some(Box::new(crate::kernels::tests::gpu()?)));
    }
}

/// A profile is training, and times each dispatch of a step.
fn assert_profiled(mut trained: TrainingLearner, mut profiled: TrainingLearner) {
    trained.train(5, Progress::START).unwrap();
    let begun = std::time::Instant::now();
    let step = profiled.profile(5).unwrap();
    let all: f64 = step.iter().map(|timed| timed.seconds).sum();
    assert!(all > 0.0 && 5.0 * all <= begun.elapsed().as_secs_f64(), "{all} s a step");
    let count = |kernel| step.iter().filter(|timed| timed.kernel == kernel).count();
    assert_eq!([count("gather"), count("adam"), count("softmax_cross_entropy")], [1, 1, 1]);
    let products = step.iter().filter(|timed| timed.kernel.starts_with("linear_"));
    let products: u64 = products.map(|timed| timed.cost.flops).sum();
    // Forward and two gradients of each layer, and none into the pictures.
    let [first, others] = [64 * 64, 64 * 64 + 64 * 10].map(|weights| 2 * 32 * weights);
    assert_eq!(products, 2 * first + 3 * others);
    assert!(theta(&mut trained) == theta(&mut profiled), "the same bits");
}

#[test]
fn a_profile_trains_and_says_what_each_dispatch_takes() {
    assert_profiled(on_cpu(ADAM), on_cpu(ADAM));
    #[cfg(feature = "gpu")]
    if let (Some(trained), Some(profiled)) = (on_gpu(ADAM), on_gpu(ADAM)) {
        assert_profiled(trained, profiled);
    }
}

/// A learner on the first adapter; `None`, loudly, when there is none.
#[cfg(feature = "gpu")]
fn on_gpu(optimizer: OptimizerSpec) -> Option<TrainingLearner> {
    let executor = crate::kernels::tests::gpu()?;
    Some(TrainingLearner::new(spec(optimizer), Box::new(executor)).unwrap())
}

fn theta(learner: &mut TrainingLearner) -> Vec<f32> {
    let d = learner.parameters();
    learner.machine.executor.read(learner.machine.buffers.theta, d, &mut learner.words).unwrap();
    bytemuck::cast_slice(&learner.words).to_vec()
}

#[test]
fn digits_are_learnt_by_every_optimizer() {
    for optimizer in [
        ADAM,
        ADAM_COMMON,
        OptimizerSpec::AdamW { learning_rate: 0.003, weight_decay: 0.01 },
        OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: false },
        OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: true },
    ] {
        let mut learner = on_cpu(optimizer);
        let before = learner.evaluate(Weights::Local).unwrap();
        assert!(before.accuracy < 0.3 && before.samples == 360, "{before:?}");
        let first = learner.train(1, Progress::START).unwrap().mean_loss;
        assert!((first - 10f32.ln()).abs() < 1.0, "{first}");
        learner.train(1000, Progress::START).unwrap();
        let after = learner.evaluate(Weights::Local).unwrap();
        assert!(after.accuracy > 0.95, "{optimizer:?}: {after:?}");
        assert!(learner.evaluate(Weights::Base).unwrap().accuracy < 0.3, "nothing was said yet");
    }
}

pub(super) fn cnn(residual_blocks: u32) -> LearnerSpec {
    let model = CnnSpec { channels: vec![8, 16], residual_blocks, hidden: vec![] };
    let spec = spec(ADAM);
    LearnerSpec { model: network(&ModelSpec::Cnn(model), &spec.dataset), ..spec }
}

#[test]
fn digits_are_learnt_by_convolutions() {
    for blocks in [0, 1] {
        let mut learner = TrainingLearner::new(cnn(blocks), Box::new(CpuExecutor::new(None))).unwrap();
        learner.train(500, Progress::START).unwrap();
        let after = learner.evaluate(Weights::Local).unwrap();
        assert!(after.accuracy > 0.95, "{blocks} blocks: {after:?}");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_trains_convolutions_as_the_cpu_does() {
    for blocks in [0, 1] {
        let Some(gpu) = crate::kernels::tests::gpu() else { return };
        // Not Adam: where a gradient is next to nothing, it goes a whole step by its sign.
        let spec = LearnerSpec {
            optimizer: OptimizerSpec::Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: false },
            ..cnn(blocks)
        };
        let mut gpu = TrainingLearner::new(spec.clone(), Box::new(gpu)).unwrap();
        let mut cpu = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
        let (a, b) =
            (gpu.train(10, Progress::START).unwrap().mean_loss, cpu.train(10, Progress::START).unwrap().mean_loss);
        assert!((a - b).abs() < 1e-4 * b, "{blocks} blocks: {a} and {b}");
        let worst = theta(&mut gpu).iter().zip(theta(&mut cpu)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{blocks} blocks: {worst}");
    }
}

/// A small language model on a text that says the same again and again, and so leaves little to guess.
pub(super) fn lm(dropout: f32) -> LearnerSpec {
    let text =
        "sing, starling, sing; the flock is one because each bird keeps adjusting to the few it can see. ".repeat(40);
    let dataset =
        Arc::new(crate::data::text::of("text", text.as_bytes().to_vec(), 16, &Default::default()).unwrap().unwrap());
    let model = LmSpec {
        context: 16,
        width: 32,
        layers: 2,
        heads: 2,
        norm: NormKind::Rms,
        activation: ActivationKind::Gelu,
        dropout,
    };
    let shard = (0..dataset.train.len() as u32).collect();
    let model = network(&ModelSpec::Lm(model), &dataset);
    LearnerSpec { model, batch: 8, shard, dataset, clip: Some(1.0), ..spec(ADAM) }
}

#[test]
fn peers_do_not_drop_the_same() {
    let first_loss = |order_seed: u64, dropout: f32| {
        // One sample again and again: only what is dropped can differ.
        let spec = LearnerSpec { order_seed, shard: vec![0], ..lm(dropout) };
        let mut learner = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
        [learner.train(1, Progress::START).unwrap().mean_loss, learner.train(1, Progress::START).unwrap().mean_loss]
    };
    assert_eq!(first_loss(1, 0.0), first_loss(2, 0.0));
    assert_eq!(first_loss(1, 0.3), first_loss(1, 0.3));
    assert_ne!(first_loss(1, 0.3), first_loss(2, 0.3));
}

#[test]
fn a_text_is_learnt() {
    let mut learner = TrainingLearner::new(lm(0.1), Box::new(CpuExecutor::new(None))).unwrap();
    let before = learner.evaluate(Weights::Local).unwrap();
    assert!((before.loss - 256f32.ln()).abs() < 0.2, "it begins without an opinion: {before:?}");
    let first = learner.train(1, Progress::START).unwrap().mean_loss;
    assert!((first - 256f32.ln()).abs() < 0.2, "{first}");
    learner.train(400, Progress::START).unwrap();
    let after = learner.evaluate(Weights::Local).unwrap();
    assert!(after.accuracy > 0.85 && after.loss < 0.5, "{after:?}");
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_reads_as_the_cpu_does() {
    let Some(gpu) = crate::kernels::tests::gpu() else { return };
    let optimizer = OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: true };
    let spec = LearnerSpec { optimizer, ..lm(0.2) };
    let mut gpu = TrainingLearner::new(spec.clone(), Box::new(gpu)).unwrap();
    let mut cpu = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
    let (a, b) = (gpu.train(10, Progress::START).unwrap().mean_loss, cpu.train(10, Progress::START).unwrap().mean_loss);
    assert!((a - b).abs() < 1e-4 * b, "{a} and {b}");
    let worst = theta(&mut gpu).iter().zip(theta(&mut cpu)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
    let (a, b) = (gpu.evaluate(Weights::Local).unwrap(), cpu.evaluate(Weights::Local).unwrap());
    assert!((a.loss - b.loss).abs() < 1e-4 * b.loss, "{a:?} and {b:?}");
}

#[test]
fn digits_are_learnt_by_squares_too() {
    let mut spec = spec(ADAM);
    Arc::get_mut(&mut spec.model).unwrap().loss = Loss::MeanSquaredError;
    let mut learner = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
    learner.train(1000, Progress::START).unwrap();
    let after = learner.evaluate(Weights::Local).unwrap();
    assert!(after.accuracy > 0.95 && after.loss < 0.02, "{after:?}");
}

#[test]
fn a_step_is_no_longer_than_a_clipped_gradient() {
    let optimizer = OptimizerSpec::Sgd { learning_rate: 1.0, momentum: 0.0, nesterov: false };
    let step = |clip: Option<f32>| {
        let spec = LearnerSpec { clip, ..spec(optimizer) };
        let mut learner = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
        learner.train(1, Progress::START).unwrap();
        learner.read_residual().unwrap()
    };
    let (free, loose, tight) = (step(None), step(Some(100.0)), step(Some(0.125)));
    assert_eq!(free, loose, "a short gradient is left alone");
    let length = norm(free.iter().copied());
    assert!(length > 0.2 && (norm(tight.iter().copied()) - 0.125).abs() < 1e-5);
    assert!(free.iter().zip(&tight).all(|(free, tight)| (free * 0.125 / length - tight).abs() < 1e-6), "its direction");
}

#[test]
fn the_common_moment_is_the_mean_square_of_the_gradients_and_goes_with_the_other_moments() {
    let mut learner = on_cpu(ADAM_COMMON);
    let before = theta(&mut learner);
    learner.train(1, Progress::START).unwrap();
    // At the first step both moments are those of one gradient: its direction, at a length of rate * sqrt(d).
    let moved = norm(theta(&mut learner).iter().zip(&before).map(|(after, before)| after - before));
    let expected = 0.003 * (before.len() as f32).sqrt();
    assert!((moved / expected - 1.0).abs() < 1e-3, "{moved}, not {expected}");
    let second = |learner: &mut TrainingLearner| {
        let mut words = Vec::new();
        learner.machine.executor.read(learner.machine.buffers.state, STATE_WORDS, &mut words).unwrap();
        f32::from_bits(words[STATE_SECOND])
    };
    let first = second(&mut learner);
    learner.train(20, Progress::START).unwrap();
    assert!(first > 0.0 && second(&mut learner) > 2.0 * first, "it is kept from call to call");
    let base = learner.base().unwrap();
    learner.restore(&base, 0.0).unwrap();
    assert_eq!(second(&mut learner).to_bits(), 0);
}

#[test]
fn an_evaluation_is_the_same_however_it_is_cut() {
    let mut learner = on_cpu(ADAM);
    learner.train(100, Progress::START).unwrap();
    let whole = learner.evaluate(Weights::Local).unwrap();
    assert_eq!(learner.machine.evaluation.inputs.samples, 360);
    // The last batch is short: what the one before left behind it is not counted.
    for samples in [7, 359] {
        let (on, weights) = (learner.machine.executor.as_mut(), learner.machine.buffers.scratch);
        learner.machine.evaluation = EvaluationPass::new(on, &learner.spec.model, weights, samples).unwrap();
        let cut = learner.evaluate(Weights::Local).unwrap();
        assert_eq!((cut.accuracy, cut.samples), (whole.accuracy, 360));
        assert!((cut.loss / whole.loss - 1.0).abs() < 1e-5, "{samples} at once: {} and {}", cut.loss, whole.loss);
    }
    let dataset = &learner.spec.dataset;
    let samples = |device| {
        [&[64][..], &[1 << 16], &[1 << 13; 2], &[30_000; 2]].map(|hidden| {
            evaluation::samples(device, &network(&ModelSpec::Mlp { hidden: hidden.to_vec() }, dataset), dataset)
        })
    };
    // A wide value, much work for a row, and so much that one sample is all there is.
    assert_eq!([DeviceKind::Cpu, DeviceKind::Software].map(samples), [[360, 64, 63, 4]; 2]);
    assert_eq!(samples(DeviceKind::Gpu), [360, 64, 360, 139], "a GPU is given more of the same width");
}

#[test]
fn every_peer_of_a_run_starts_from_the_same_bits() {
    let (mut a, mut b) = (on_cpu(ADAM), on_cpu(ADAM));
    assert_eq!(a.base().unwrap(), b.base().unwrap());
    // Bits that other releases and machines start from: a change here splits every run.
    let hash = learner::base_hash(&a.base().unwrap());
    let model = ModelSpec::Mlp { hidden: vec![64, 64] }.build(&[64], 10).unwrap();
    assert_eq!(hash, learner::base_hash(&model.initial_base([1; 32])));
    assert_eq!(hash.to_string(), "f61482ae064bae4b20b172933be96fb90506e4b1436dae60369bd3c8b0e1794f");
}

#[test]
fn a_batch_larger_than_the_shard_goes_round() {
    let mut small = spec(ADAM);
    small.shard = vec![3, 1, 4];
    let mut learner = TrainingLearner::new(small, Box::new(CpuExecutor::new(None))).unwrap();
    assert_eq!(learner.train(3, Progress::START).unwrap().samples, 96);
    let mut drawn = Vec::new();
    Batches::new(vec![3, 1, 4], 5).take(6, &mut drawn);
    let mut first: Vec<_> = drawn[..3].to_vec();
    first.sort_unstable();
    assert_eq!(first, [1, 3, 4], "every sample once a round");
}

/// The model and data of the demo job, 20 epochs.
#[cfg(feature = "gpu")]
#[test]
fn half_precision_learns_what_single_precision_learns() {
    let mut shown = Vec::new();
    for preset in [Preset::Plain, Preset::Half64] {
        let Some(mut executor) = crate::kernels::tests::gpu().filter(|gpu| gpu.info().f16) else { return };
        executor.choose(Choices::always(preset));
        let mut learner = TrainingLearner::new(spec(ADAM), Box::new(executor)).unwrap();
        learner.train(900, Progress::START).unwrap();
        shown.push(learner.evaluate(Weights::Local).unwrap());
    }
    eprintln!("f32 {:?}, f16 {:?}", shown[0], shown[1]);
    assert!(shown[0].accuracy > 0.95, "{shown:?}");
    assert!((shown[0].accuracy - shown[1].accuracy).abs() <= 0.01, "{shown:?}");
    assert!(shown[0].loss != shown[1].loss, "that was f32");
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_trains_as_the_cpu_does() {
    for optimizer in [ADAM, ADAM_COMMON] {
        let Some(mut gpu) = on_gpu(optimizer) else { return };
        let mut cpu = on_cpu(optimizer);
        let losses =
            (gpu.train(20, Progress::START).unwrap().mean_loss, cpu.train(20, Progress::START).unwrap().mean_loss);
        assert!((losses.0 - losses.1).abs() < 1e-4, "{losses:?}");
        let [shown, oracle] = [&mut gpu, &mut cpu].map(|learner| learner.gradient().unwrap().unwrap());
        let apart = shown.iter().zip(&oracle).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-3 && shown.iter().any(|slope| slope.abs() > 1e-3), "gradients after 20 steps: {apart}");
        let worst = theta(&mut gpu).iter().zip(theta(&mut cpu)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "after 20 steps: {worst}");
        let shown = (gpu.evaluate(Weights::Local).unwrap(), cpu.evaluate(Weights::Local).unwrap());
        assert!((shown.0.loss - shown.1.loss).abs() < 1e-3, "{shown:?}");
    }
}

/// Steps that burst end with the first loss that is no number, on every executor: nothing mends the weights that it comes of.
#[test]
fn a_loss_that_is_no_number_ends_training() {
    let bursting = OptimizerSpec::Sgd { learning_rate: 1e20, momentum: 0.0, nesterov: false };
    let mut learners = vec![on_cpu(bursting)];
    #[cfg(feature = "gpu")]
    learners.extend(on_gpu(bursting));
    for mut learner in learners {
        let error = learner.train(50, Progress::START).unwrap_err();
        assert!(matches!(error, LearnerError::Loss { step: 2..=50 }), "{error:?}");
        assert!(error.to_string().contains("lower learning rate"), "{error}");
    }
}

/// The mean of many steps is that of the steps by themselves: they are summed in f64.
#[test]
fn losses_are_summed_step_by_step() {
    let (mut together, mut alone) = (on_cpu(ADAM), on_cpu(ADAM));
    let mean = f64::from(together.train(300, Progress::START).unwrap().mean_loss);
    let each: f64 = (0..300).map(|_| f64::from(alone.train(1, Progress::START).unwrap().mean_loss)).sum();
    assert!((mean - each / 300.0).abs() < 1e-7 * mean.max(1.0), "{mean} {}", each / 300.0);
}
