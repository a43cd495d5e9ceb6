//! What is said, heard, retracted and restored.

use super::*;
use crate::engine::ledger::Ledger;

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
                let here = gossip.choose_here(executor.as_mut(), density, 1.0, words).unwrap();
                assert!(here == kept, "{} chosen by the host", codec.name());
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

/// Where the host chooses it reads piece by piece: of more than one of them, too.
#[test]
fn the_host_chooses_from_pieces_what_a_device_chooses_from_all() {
    let spec = spec(ADAM);
    let model = ModelSpec::Mlp { hidden: vec![4096] }.build(&spec.dataset.shape, spec.dataset.classes).unwrap();
    assert!(model.parameters() > PIECE_WORDS && !model.parameters().is_multiple_of(PIECE_WORDS));
    let spec = LearnerSpec { model: Arc::new(model), ..spec };
    let mut learner = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
    learner.train(1, Progress::START).unwrap();
    let TrainingLearner { machine: Machine { gossip, executor, .. }, words, .. } = &mut learner;
    let density = TopK2Bit.density().unwrap();
    for factor in [1.0, 0.3] {
        let there = gossip.choose(executor.as_mut(), density, factor, words).unwrap();
        assert!(there == gossip.choose_here(executor.as_mut(), density, factor, words).unwrap(), "{factor}");
    }
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
fn what_diverged_is_not_said() {
    let mut learner = on_cpu(OptimizerSpec::Sgd { learning_rate: 1e20, momentum: 0.0, nesterov: false });
    learner.train(30, Progress::START).unwrap_err();
    let base = learner.base().unwrap();
    assert!(matches!(learner.take_delta(&DenseF32, Weight::HALF, f32::INFINITY), Err(LearnerError::NonFinite { .. })));
    assert_eq!(learner.base().unwrap(), base);

    let mut learner = on_cpu(OptimizerSpec::Sgd { learning_rate: 1e4, momentum: 0.0, nesterov: false });
    learner.train(1, Progress::START).unwrap();
    assert!(matches!(learner.take_delta(&DenseF32, Weight::ONE, f32::INFINITY), Err(LearnerError::Diverged)));
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

/// Of an evaluation the samples go up, and two words a row come back: the weights are where they are needed.
#[test]
fn weights_that_are_evaluated_cross_no_bus() {
    for weights in [Weights::Local, Weights::Base] {
        let ledger = Ledger::default();
        let mut learner = TrainingLearner::new(spec(ADAM), Box::new(ledger.clone())).unwrap();
        let before = ledger.account();
        learner.evaluate(weights).unwrap();
        let (after, samples) = (ledger.account(), learner.spec.dataset.evaluated().len() as u64);
        assert_eq!(
            (after.written - before.written, after.read - before.read),
            (65 * samples, 2 * samples),
            "{weights:?}"
        );
    }
}

/// What goes up of a heard delta: its bits and two integers a chunk, whatever the codec's density.
#[test]
fn a_heard_delta_goes_up_compressed() {
    for codec in ALL.iter().filter(|codec| codec.density().is_some()) {
        let ledger = Ledger::default();
        let mut learner = TrainingLearner::new(spec(ADAM), Box::new(ledger.clone())).unwrap();
        let d = learner.parameters();
        let mut payload = Vec::new();
        codec.encode(&vec![0.01; d], &mut payload);
        let before = ledger.account().written;
        learner.apply(*codec, Weight::HALF, &payload).unwrap();
        let up = 4 * (ledger.account().written - before);
        let chunks = d.div_ceil(4096) as u64;
        assert!(up <= payload.len() as u64 + 6 * chunks + 4, "{}: {up} bytes of {}", codec.name(), payload.len());
    }
}
