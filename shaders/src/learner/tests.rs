#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::codec::{ALL, DenseF32, TopK2Bit};

use super::machine::EvaluationPass;
use super::*;
use crate::bench::models;
use crate::data::embedded;
use crate::data::split::SplitRule;
use crate::engine::cpu::CpuExecutor;
#[cfg(feature = "gpu")]
use crate::engine::products::{Choices, Preset};
use crate::kernels::advance::STATE_SECOND;
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
    let products: u64 = step.iter().map(|timed| timed.cost.flops).sum();
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
        Arc::new(crate::data::text::of("text", text.as_bytes().to_vec(), 16, Default::default()).unwrap().unwrap());
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
fn a_delta_shrinks_the_residual_by_what_it_says() {
    for codec in ALL {
        for weight in [Weight::ONE, Weight::HALF] {
            let mut learner = on_cpu(ADAM);
            learner.train(20, Progress::START).unwrap();
            let before = learner.read_residual().unwrap();
            let taken = learner.take_delta(*codec, weight, f32::INFINITY).unwrap();
            let mut decoded = Decoded::default();
            codec.decode(&taken.payload, before.len(), weight, &mut decoded).unwrap();
            let after = learner.read_residual().unwrap();
            let mut expected = before.clone();
            decoded.iter().for_each(|(i, value, _)| expected[i] -= value);
            let worst = after.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-7, "{}: {worst}", codec.name());
            assert_eq!(taken.l2_norm.to_bits(), decoded.l2_norm().to_bits());
            assert!((taken.residual_norm - norm(before.into_iter())).abs() < 1e-6);
        }
    }
}

/// A device chooses what is said and never shows the rest; the bytes are those that the codec makes of all of it.
fn assert_says_what_the_codec_would(mut learner: TrainingLearner) {
    for codec in ALL {
        for share in [f32::INFINITY, 0.3] {
            learner.train(20, Progress::START).unwrap();
            let residual = learner.read_residual().unwrap();
            let base_norm = norm(learner.base().unwrap().into_iter().map(to_f32));
            let mut decoded = Decoded::default();
            let mut encode = |norm_max| {
                let payload = learner::encode_within(*codec, &residual, Weight::HALF, norm_max, &mut decoded).unwrap();
                (payload, decoded.l2_norm())
            };
            let norm_max = share * encode(f32::INFINITY).1;
            let (expected, _) = encode(norm_max);
            if let Some(density) = codec.density() {
                let TrainingLearner { machine: Machine { gossip, executor, .. }, words, .. } = &mut learner;
                let kept = gossip.choose(executor.as_mut(), density, 1.0, words).unwrap();
                let mut payload = Vec::new();
                density.encode_kept(residual.len(), &kept, &mut payload);
                assert!(payload == encode(f32::INFINITY).0, "{} chosen by the device", codec.name());
            }
            let taken = learner.take_delta(*codec, Weight::HALF, norm_max).unwrap();
            assert!(taken.payload == expected, "{} of {share}", codec.name());
            assert!((taken.residual_norm / norm(&residual) - 1.0).abs() < 1e-5);
            assert!((taken.base_norm / base_norm - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn what_is_chosen_is_what_the_codec_would_say() {
    assert_says_what_the_codec_would(on_cpu(ADAM));
}

#[cfg(feature = "gpu")]
#[test]
fn what_a_gpu_chooses_is_what_the_codec_would_say() {
    let Some(executor) = crate::kernels::tests::gpu() else { return };
    assert_says_what_the_codec_would(TrainingLearner::new(spec(ADAM), Box::new(executor)).unwrap());
}

#[test]
fn a_heard_delta_moves_base_and_weights_alike() {
    let (mut sender, mut receiver) = (on_cpu(ADAM), on_cpu(ADAM));
    sender.train(20, Progress::START).unwrap();
    receiver.train(7, Progress::START).unwrap();
    let unsaid = receiver.read_residual().unwrap();
    let taken = sender.take_delta(&TopK2Bit, Weight::HALF, f32::INFINITY).unwrap();
    receiver.apply(&TopK2Bit, Weight::HALF, &taken.payload).unwrap();
    assert_eq!(sender.base().unwrap(), receiver.base().unwrap());
    let after = receiver.read_residual().unwrap();
    assert!(unsaid.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-6), "its own residual stays");
}

#[test]
fn a_restored_base_keeps_the_residual_and_zeroes_the_moments() {
    let mut learner = on_cpu(ADAM);
    learner.train(20, Progress::START).unwrap();
    let unsaid = learner.read_residual().unwrap();
    let base: Vec<i32> = learner.base().unwrap().iter().map(|b| b + (1 << 20)).collect();
    learner.restore(&base, 0.0).unwrap();
    assert_eq!(learner.base().unwrap(), base);
    let after = learner.read_residual().unwrap();
    assert!(unsaid.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-6));
    let wrong = learner.restore(&base[1..], 0.0);
    assert!(matches!(wrong, Err(LearnerError::Shape { .. })));
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

/// Weights after some steps by a schedule, from a progress of the swarm on.
fn scheduled(schedule: Schedule, optimizer: OptimizerSpec, samples: u64, steps: u32) -> Vec<f32> {
    let spec = LearnerSpec { schedule, ..spec(optimizer) };
    let mut learner = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
    learner.train(steps, Progress { samples, ..Progress::START }).unwrap();
    theta(&mut learner)
}

#[test]
fn the_rate_follows_the_progress_of_the_swarm_whoever_made_it() {
    let schedule = Schedule {
        warm_up_samples: 1000,
        curve: Curve::Cosine { total_samples: 9000, floor: 0.25 },
        ..Schedule::default()
    };
    let unscheduled = |optimizer, steps| scheduled(Schedule::default(), optimizer, 0, steps);
    for kind in optim::ALL {
        let optimizer = |learning_rate| match kind.0 {
            "adam" => OptimizerSpec::Adam { learning_rate },
            "adam_common" => OptimizerSpec::AdamCommon { learning_rate },
            "adamw" => OptimizerSpec::AdamW { learning_rate, weight_decay: 0.01 },
            _ => OptimizerSpec::Sgd { learning_rate, momentum: 0.9, nesterov: false },
        };
        let full = optimizer(0.004);
        // A peer whose first step falls into the middle of the warm-up, to its top, or behind the end of the fall: 32
        // samples are taken at the rate of their middle.
        assert_eq!(scheduled(schedule, full, 484, 1), unscheduled(optimizer(0.002), 1));
        assert_eq!(scheduled(schedule, full, 984, 1), unscheduled(full, 1));
        assert_eq!(scheduled(schedule, full, 90_000, 7), unscheduled(optimizer(0.001), 7));
        // One long stretch is as good as many short ones: the rate changes inside of it.
        let spec = LearnerSpec { schedule, ..spec(full) };
        let mut steps = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
        for step in 0..40 {
            steps.train(1, Progress { samples: step * 32, ..Progress::START }).unwrap();
        }
        let at_once = scheduled(schedule, full, 0, 40);
        let worst = theta(&mut steps).iter().zip(&at_once).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "{worst}");
        assert_ne!(at_once, unscheduled(full, 40));
    }
}

#[test]
fn the_rate_follows_the_number_of_peers() {
    let after = |by_peers, learning_rate, live_peers| {
        let schedule = Schedule { by_peers, ..Schedule::default() };
        let optimizer = OptimizerSpec::Sgd { learning_rate, momentum: 0.0, nesterov: false };
        let mut learner =
            TrainingLearner::new(LearnerSpec { schedule, ..spec(optimizer) }, Box::new(CpuExecutor::new(None)))
                .unwrap();
        learner.train(3, Progress { live_peers, ..Progress::START }).unwrap();
        theta(&mut learner)
    };
    assert_eq!(after(ByPeers::SquareRoot, 0.02, 4), after(ByPeers::Constant, 0.04, 1));
    assert_eq!(after(ByPeers::Linear, 0.02, 4), after(ByPeers::Constant, 0.08, 9));
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_keeps_the_schedule_too() {
    let schedule = Schedule {
        warm_up_samples: 600,
        curve: Curve::Cosine { total_samples: 1200, floor: 0.0 },
        ..Schedule::default()
    };
    let Some(executor) = crate::kernels::tests::gpu() else { return };
    let spec = LearnerSpec { schedule, ..spec(ADAM) };
    let mut gpu = TrainingLearner::new(spec, Box::new(executor)).unwrap();
    gpu.train(30, Progress::START).unwrap();
    let cpu = scheduled(schedule, ADAM, 0, 30);
    let worst = theta(&mut gpu).iter().zip(&cpu).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
    let before = theta(&mut gpu);
    gpu.train(5, Progress { samples: 5000, ..Progress::START }).unwrap();
    assert_eq!(theta(&mut gpu), before, "at the floor of 0 nothing moves");
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
    let samples =
        |hidden: &[u32]| evaluation_samples(&network(&ModelSpec::Mlp { hidden: hidden.to_vec() }, dataset), dataset);
    // A wide value, much work for a row, and so much that one sample is all there is.
    assert_eq!([&[64][..], &[1 << 16], &[1 << 13; 2], &[30_000; 2]].map(samples), [360, 64, 63, 4]);
}

#[test]
fn what_diverged_is_not_said() {
    let mut learner = on_cpu(OptimizerSpec::Sgd { learning_rate: 1e20, momentum: 0.0, nesterov: false });
    learner.train(30, Progress::START).unwrap();
    let base = learner.base().unwrap();
    assert!(matches!(learner.take_delta(&DenseF32, Weight::HALF, f32::INFINITY), Err(LearnerError::NonFinite { .. })));
    assert_eq!(learner.base().unwrap(), base);

    let mut learner = on_cpu(OptimizerSpec::Sgd { learning_rate: 1e4, momentum: 0.0, nesterov: false });
    learner.train(1, Progress::START).unwrap();
    assert!(matches!(learner.take_delta(&DenseF32, Weight::ONE, f32::INFINITY), Err(LearnerError::Diverged)));
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
        let worst = theta(&mut gpu).iter().zip(theta(&mut cpu)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "after 20 steps: {worst}");
        let shown = (gpu.evaluate(Weights::Local).unwrap(), cpu.evaluate(Weights::Local).unwrap());
        assert!((shown.0.loss - shown.1.loss).abs() < 1e-3, "{shown:?}");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn the_base_is_bit_equal_on_gpu_and_cpu() {
    let Some(mut gpu) = on_gpu(ADAM) else { return };
    let mut cpu = on_cpu(ADAM);
    for codec in ALL {
        for _ in 0..3 {
            gpu.train(5, Progress::START).unwrap();
            cpu.train(3, Progress::START).unwrap();
            let said = gpu.take_delta(*codec, Weight::HALF, f32::INFINITY).unwrap();
            cpu.apply(*codec, Weight::HALF, &said.payload).unwrap();
            let said = cpu.take_delta(*codec, Weight::HALF, f32::INFINITY).unwrap();
            gpu.apply(*codec, Weight::HALF, &said.payload).unwrap();
            assert_eq!(gpu.base().unwrap(), cpu.base().unwrap(), "{}", codec.name());
        }
    }
}

#[test]
fn a_retracted_delta_leaves_no_trace_in_the_base() {
    let (mut sender, mut receiver) = (on_cpu(ADAM), on_cpu(ADAM));
    for codec in ALL {
        sender.train(20, Progress::START).unwrap();
        receiver.train(7, Progress::START).unwrap();
        let (base, unsaid) = (receiver.base().unwrap(), receiver.read_residual().unwrap());
        let taken = sender.take_delta(*codec, Weight::HALF, f32::INFINITY).unwrap();
        receiver.apply(*codec, Weight::HALF, &taken.payload).unwrap();
        assert_ne!(receiver.base().unwrap(), base);
        receiver.retract(*codec, Weight::HALF, &taken.payload).unwrap();
        assert_eq!(receiver.base().unwrap(), base, "{}", codec.name());
        let after = receiver.read_residual().unwrap();
        assert!(unsaid.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-6), "its own residual stays");
    }
}

#[test]
fn a_measurement_is_what_the_next_delta_finds_and_changes_nothing() {
    let mut learner = on_cpu(ADAM);
    assert_eq!(learner.measure().unwrap().residual_norm, 0.0, "theta starts equal to b");
    learner.train(20, Progress::START).unwrap();
    let before = theta(&mut learner);
    let measured = learner.measure().unwrap();
    assert_eq!(theta(&mut learner), before);
    let taken = learner.take_delta(&TopK2Bit, Weight::HALF, f32::INFINITY).unwrap();
    assert_eq!((measured.residual_norm, measured.base_norm), (taken.residual_norm, taken.base_norm));
    assert!(measured.drift() > 0.0);
}
