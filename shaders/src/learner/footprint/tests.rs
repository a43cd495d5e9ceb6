#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use protocol::codec::{DenseF32, TopK2Bit};
use protocol::learner::Learner as _;

use super::super::TrainingLearner;
use super::super::tests::{cnn, lm, spec};
use super::*;
use crate::data::{Dataset, Split};
use crate::engine::products::Preset;
use crate::models::ModelSpec;
use crate::optim::OptimizerSpec;

const NO_LIMIT: Room = Room { largest_buffer: None, free: None };
const GOSSIP: Life =
    Life { gossip: true, checkpoints: false, edges: 0, device: DeviceKind::Cpu, threads: 1, room: NO_LIMIT };

#[test]
fn the_estimate_is_what_a_learner_takes() {
    let sgd = OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: false };
    let long = LearnerSpec { batch: 320, ..lm(0.1) };
    let split = Choices::always(Preset::Split32);
    let dispatches = |choices| Footprint::of(&long, &TopK2Bit, choices, GOSSIP).unwrap().dispatches;
    assert!(dispatches(&split) > dispatches(&Choices::PLAIN), "long sums come in parts");
    let plain = [spec(sgd), cnn(0), cnn(1), lm(0.1)].map(|spec| (spec, Choices::PLAIN, GOSSIP));
    // Devices that cannot bind, or have no room for, what the digits take; and one that is given more to evaluate at once.
    let rows = 4 * spec(sgd).dataset.train.features.resident_len() as u64;
    let narrow = [
        Life { room: Room { largest_buffer: Some(rows - 4), free: None }, ..GOSSIP },
        Life { room: Room { free: Some(rows), largest_buffer: None }, device: DeviceKind::Software, ..GOSSIP },
        Life { device: DeviceKind::Gpu, ..GOSSIP },
    ]
    .map(|life| (spec(sgd), Choices::PLAIN, life));
    for (spec, choices, life) in plain.into_iter().chain([(long, split, GOSSIP)]).chain(narrow) {
        let footprint = Footprint::of(&spec, &TopK2Bit, &choices, life).unwrap();
        let dense = Footprint::of(&spec, &DenseF32, &choices, life).unwrap();
        let train = &spec.dataset.train;
        let all_rows = 4 * (train.features.resident_len() + train.labels.len()) as u64;
        assert_eq!(footprint.data == all_rows, life.room == NO_LIMIT, "{life:?}");
        let ledger = Ledger::of(life.info(), choices);
        let moments = if spec.optimizer == sgd { 1 } else { 2 };
        let mut learner = TrainingLearner::new(spec, Box::new(ledger.clone())).unwrap();
        let taken = ledger.account();
        let of_deltas = delta_words(learner.parameters(), &TopK2Bit).words;
        assert_eq!(footprint.device() - 4 * of_deltas, 4 * taken.words);
        assert_eq!(footprint.largest, 4 * taken.largest);
        assert!(of_deltas > delta_words(learner.parameters(), &TopK2Bit).largest, "several buffers");
        assert_eq!(footprint.dispatches, taken.dispatches);
        assert_eq!(footprint.moments, 4 * moments * learner.parameters() as u64);
        learner.take_delta(&DenseF32, Weight::HALF, f32::INFINITY).unwrap();
        assert_eq!(ledger.account().words - taken.words, delta_words(learner.parameters(), &DenseF32).words);
        assert_eq!(dense.largest, 4 * ledger.account().largest);
    }
}

/// More parameters than samples: what a dense delta goes up through is the largest of all, and what is measured lies beside it.
#[test]
fn the_largest_buffer_is_one_and_no_sum() {
    let mut wide = spec(OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false });
    let model = ModelSpec::Mlp { hidden: vec![1500, 1500] }.build(&wide.dataset.shape, wide.dataset.classes).unwrap();
    wide.model = Arc::new(model);
    let footprint = Footprint::of(&wide, &DenseF32, &Choices::PLAIN, GOSSIP).unwrap();
    assert_eq!(footprint.largest, 4 * 2 * footprint.parameters as u64);
    assert!(footprint.deltas > footprint.largest);
}

/// The set of `docs/jobs/fashion-mlp.toml`, as large as it is: 179 MiB.
fn fashion() -> LearnerSpec {
    let split = |n: usize| Split { features: vec![0.0; n * 784].into(), labels: vec![0; n] };
    let dataset =
        Dataset { shape: vec![28, 28], classes: 10, train: split(60_000), test: split(100), ..Dataset::default() };
    let model = ModelSpec::Mlp { hidden: vec![128] }.build(&dataset.shape, 10).unwrap();
    let adam = OptimizerSpec::Adam { learning_rate: 0.002 };
    LearnerSpec { model: Arc::new(model), dataset: Arc::new(dataset), ..spec(adam) }
}

/// lavapipe binds 128 MiB at once, NVIDIA's Vulkan driver 2^31 - 1 bytes.
#[test]
fn a_set_that_is_too_large_for_one_buffer_is_no_reason_to_refuse_a_job() {
    let fashion = fashion();
    let rows = 4 * 784 * 60_000;
    let plan = |info: &DeviceInfo| {
        let footprint = Footprint::of(&fashion, &TopK2Bit, &Choices::PLAIN, Life { gossip: true, ..Life::on(info) });
        let footprint = footprint.unwrap();
        assert_eq!(footprint.check(info), Ok(()), "{info:?}");
        footprint
    };
    let vulkan = DeviceInfo { name: "toy".into(), backend: "vulkan".into(), ..DeviceInfo::default() };
    let lavapipe = DeviceInfo { software: true, largest_buffer: Some(128 << 20), ..vulkan.clone() };
    let narrow = plan(&lavapipe);
    assert!(narrow.data <= 17 << 20, "{} bytes", narrow.data);
    assert!(narrow.largest <= 16 << 20, "{} bytes", narrow.largest);
    let wide = plan(&DeviceInfo { largest_buffer: Some((1 << 31) - 1), ..vulkan });
    assert_eq!((wide.data, wide.largest, wide.largest_holds), (rows + 4 * 60_000, rows, Holds::Data));
    // A host that lends its memory does not lend it twice.
    let tight = plan(&DeviceInfo { free_memory: Some(2 * rows), largest_buffer: None, ..lavapipe });
    assert_eq!(tight.data, narrow.data);
}

#[test]
fn what_is_too_large_is_named() {
    let narrow = |spec: &LearnerSpec, codec: &dyn Codec| {
        let info = DeviceInfo { name: "toy".into(), largest_buffer: Some(1 << 16), ..DeviceInfo::default() };
        let footprint = Footprint::of(spec, codec, &Choices::PLAIN, Life::on(&info)).unwrap();
        let misfit = footprint.check(&info).unwrap_err();
        assert!(misfit.to_string().contains(&footprint.largest_holds.to_string()), "{misfit}");
        footprint.largest_holds
    };
    let adam = OptimizerSpec::Adam { learning_rate: 0.1 };
    let small = spec(adam);
    let with = |hidden: Vec<u32>, batch| {
        let model = ModelSpec::Mlp { hidden }.build(&small.dataset.shape, small.dataset.classes).unwrap();
        LearnerSpec { model: Arc::new(model), batch, ..small.clone() }
    };
    assert_eq!(narrow(&with(vec![300, 300], 4), &TopK2Bit), Holds::Parameters);
    assert_eq!(narrow(&with(vec![300, 300], 4), &DenseF32), Holds::Delta);
    assert_eq!(narrow(&with(vec![16], 2000), &TopK2Bit), Holds::Step);
    assert_eq!(narrow(&with(vec![16], 4), &TopK2Bit), Holds::Evaluation);
}

#[test]
fn activations_grow_with_the_batch_and_are_less_when_they_are_computed_again() {
    let small = Footprint::of(&lm(0.1), &TopK2Bit, &Choices::PLAIN, GOSSIP).unwrap();
    let large = Footprint::of(&LearnerSpec { batch: 320, ..lm(0.1) }, &TopK2Bit, &Choices::PLAIN, GOSSIP).unwrap();
    assert_eq!(small.weights, large.weights);
    assert!(large.activations > 5 * small.activations, "{small:?} {large:?}");
    let mut again = LearnerSpec { batch: 320, ..lm(0.1) };
    Arc::get_mut(&mut again.model).unwrap().recompute = true;
    let again = Footprint::of(&again, &TopK2Bit, &Choices::PLAIN, GOSSIP).unwrap();
    assert!(again.activations < large.activations * 3 / 4, "{} of {}", again.activations, large.activations);
    assert!(again.dispatches > large.dispatches);
}

#[test]
fn what_does_not_fit_is_refused_with_the_limit() {
    let footprint = Footprint::of(&cnn(1), &TopK2Bit, &Choices::PLAIN, GOSSIP).unwrap();
    let device = DeviceInfo { name: "toy".into(), ..DeviceInfo::default() };
    assert_eq!(footprint.check(&device), Ok(()));
    let narrow = DeviceInfo { largest_buffer: Some(footprint.largest - 1), ..device.clone() };
    assert!(matches!(footprint.check(&narrow), Err(Misfit::Buffer { .. })));
    let total = footprint.resident() + footprint.passing;
    assert_eq!(footprint.check(&DeviceInfo { free_memory: Some(total), ..device.clone() }), Ok(()));
    let error = footprint.check(&DeviceInfo { free_memory: Some(total - 1), ..device.clone() }).unwrap_err();
    assert!(error.to_string().contains("toy has"), "{error}");
    // Of a GPU nobody knows what is free; the host is asked all the same.
    let on_host = footprint.on_host() + footprint.passing;
    let host = DeviceInfo { free_host_memory: Some(on_host), ..device.clone() };
    assert_eq!(footprint.check(&host), Ok(()));
    let host = DeviceInfo { free_host_memory: Some(on_host - 1), ..device.clone() };
    assert!(footprint.check(&host).unwrap_err().to_string().contains("this machine has"));
    // What is opened again finds taken what the learner holds.
    let again = footprint.device() + footprint.passing;
    let beside = |free| DeviceInfo { free_memory: Some(free), ..device.clone() };
    assert!(footprint.check(&beside(again)).is_err());
    assert_eq!(footprint.check_again(&beside(again)), Ok(()));
    assert!(matches!(footprint.check_again(&beside(again - 1)), Err(Misfit::Memory { .. })));
    let host = |free| DeviceInfo { free_host_memory: Some(free), ..device.clone() };
    assert_eq!(footprint.check_again(&host(footprint.passing)), Ok(()));
    assert!(matches!(footprint.check_again(&host(footprint.passing - 1)), Err(Misfit::Memory { .. })));
    assert!(matches!(footprint.check_again(&narrow), Err(Misfit::Buffer { .. })));
    let shared = DeviceInfo { free_memory: Some(total + 2 * footprint.device()), ..device.clone() };
    assert_eq!(footprint.check_many(3, &shared), Ok(()));
    let five = DeviceInfo { free_memory: Some(total + 3 * footprint.device()), ..device.clone() };
    assert!(matches!(footprint.check_many(5, &five), Err(Misfit::Memory { .. })));
    // A driver that would end a loop too early.
    let short = DeviceInfo { loop_turns_max: Some(footprint.turns.0 - 1), ..device };
    let error = footprint.check(&short).unwrap_err().to_string();
    assert!(error.contains(footprint.turns.1) && error.contains("toy ends loops"), "{error}");
}

#[test]
fn where_there_is_no_room_the_error_says_what_the_job_takes() {
    let footprint = Footprint { weights: 700 << 20, moments: 300 << 20, ..Footprint::default() };
    let full = ExecutorError::no_memory(5 << 18, " on the device: Out of Memory");
    let text = footprint.explain(full.clone().into()).to_string();
    assert!(text.starts_with(&LearnerError::from(full).to_string()), "{text}");
    let parts = ["5 MiB", "about 1000 MiB on it", "a smaller model or batch", "starling device plan"];
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    let lost = LearnerError::Device("the device was lost: memory".into());
    assert_eq!(footprint.explain(lost.clone()), lost);
}

#[cfg(feature = "gpu")]
#[test]
fn a_large_delta_comes_through_as_much_memory_as_it_takes() {
    let of = |parameters| delta_words(parameters, &TopK2Bit).chosen;
    let pieces = |device, chosen| {
        let piece = 4 * crate::engine::gpu::piece_words(device == DeviceKind::Software) as u64;
        through(device, chosen) / piece
    };
    let (large, huge, vast) = (of(134_000_000), of(300_000_000), of(1_100_000_000));
    assert_eq!(of(4096), 2 * 64);
    assert_eq!([0, of(9000), large, huge, vast].map(|chosen| pieces(DeviceKind::Gpu, chosen)), [2, 2, 2, 4, 2]);
    assert_eq!([0, large, huge, vast].map(|chosen| pieces(DeviceKind::Software, chosen)), [2; 4]);
    assert_eq!(through(DeviceKind::Cpu, huge), 0);
}

#[test]
fn what_a_life_takes_is_told_apart() {
    let of = |life| Footprint::of(&cnn(1), &TopK2Bit, &Choices::PLAIN, life).unwrap();
    let (alone, gossip) = (of(Life::default()), of(GOSSIP));
    let vector = 4 * alone.parameters as u64;
    assert_eq!((alone.device(), alone.host, alone.passing), (gossip.device(), gossip.host, 0));
    assert_eq!(gossip.passing, 2 * vector);
    assert!(gossip.process > alone.process);
    let lost = of(Life { device: DeviceKind::Gpu, ..GOSSIP });
    assert_eq!(lost.host - gossip.host, 2 * vector, "what outlives a device");
    let software = of(Life { device: DeviceKind::Software, ..GOSSIP });
    assert_eq!(software.host - gossip.host, vector, "its memory is the host's own: the base alone");
    let attentive = |life| Footprint::of(&lm(0.1), &TopK2Bit, &Choices::PLAIN, life).unwrap().process;
    let [one, three] = [1, 3].map(|threads| attentive(Life { threads, ..GOSSIP }));
    let scratch = one - gossip.process;
    assert!(scratch > 0 && three - one == 2 * scratch, "what attention works in, on each thread");
    let edges = of(Life { edges: 3, ..GOSSIP });
    assert_eq!((edges.replicas, edges.resident() - gossip.resident()), (6 * vector, 6 * vector));
    let dense = Footprint::of(&cnn(1), &DenseF32, &Choices::PLAIN, GOSSIP).unwrap();
    assert_eq!(dense.passing, 5 * vector);
    // Base, weights, two moments.
    assert_eq!(of(Life { checkpoints: true, ..GOSSIP }).passing, 4 * vector);
}
