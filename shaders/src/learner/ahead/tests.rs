#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::codec::TopK2Bit;
use protocol::fixed::Weight;
use protocol::learner::Learner as _;

use super::*;
use crate::engine::cpu::CpuExecutor;
use crate::engine::gpu::GpuExecutor;
use crate::learner::tests::spec;
use crate::optim::OptimizerSpec;

const ADAM: OptimizerSpec = OptimizerSpec::Adam { learning_rate: 0.003 };
const TAKE: Take = Take { codec: &TopK2Bit, weight: Weight::HALF, norm_max: f32::INFINITY };

/// Whatever it runs on counts as a device beside the host.
fn on_gpu() -> Option<TrainingLearner> {
    watched().map(|(learner, _)| learner)
}

fn watched() -> Option<(TrainingLearner, wgpu::Queue)> {
    let mut gpu: GpuExecutor = crate::kernels::tests::gpu()?;
    gpu.count_as_hardware();
    let queue = gpu.queue();
    Some((TrainingLearner::new(spec(ADAM), Box::new(gpu)).unwrap(), queue))
}

fn losses_of(learner: &mut TrainingLearner) -> Vec<f32> {
    (0..5).map(|_| learner.train(7, Progress::START).unwrap().mean_loss).collect()
}

#[test]
fn losses_are_those_of_the_call_before() {
    let Some(mut gpu) = on_gpu() else { return };
    let mut cpu = TrainingLearner::new(spec(ADAM), Box::new(CpuExecutor::new(None))).unwrap();
    let (late, known) = (losses_of(&mut gpu), losses_of(&mut cpu));
    assert!(known.windows(2).all(|pair| pair[1] < pair[0]), "each is another: {known:?}");
    let expected = std::iter::once(known[0]).chain(known);
    for (i, (late, known)) in late.iter().zip(expected).enumerate() {
        assert!((late - known).abs() < 1e-4 * known, "call {i}: {late}, {known}");
    }
}

/// Who measures steps would else measure how fast they are asked for.
#[test]
fn all_that_went_off_is_done_at_the_end() {
    let Some((mut gpu, queue)) = watched() else { return };
    gpu.train(7, Progress::START).unwrap();
    gpu.train(7, Progress::START).unwrap();
    assert_eq!(gpu.ahead.losses.len(), AHEAD_MAX, "a call comes back before its steps are done");
    let done = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&done);
    queue.on_submitted_work_done(move || note.store(true, Ordering::Relaxed));
    assert!(!done.load(Ordering::Relaxed), "only who waits is told");
    gpu.finish().unwrap();
    assert!(done.load(Ordering::Relaxed), "all that was submitted is done");
    assert!(gpu.ahead.losses.is_empty());
    assert_eq!(gpu.ahead.unreported.1, 7, "the next call reports them");
}

#[test]
fn a_delta_that_comes_beside_steps_is_the_delta_before_them() {
    let [Some(mut beside), Some(mut in_turn)] = [on_gpu(), on_gpu()] else { return };
    let [a, b] = [&mut beside, &mut in_turn].map(|learner| {
        learner.train(7, Progress::START).unwrap();
        let (from, base) = (learner.read_residual().unwrap(), learner.base().unwrap());
        (from, base)
    });
    assert!(a == b, "one seed, one adapter: one model");
    let mut said = Vec::new();
    for norm_max in [f32::INFINITY, 0.01] {
        let take = Take { norm_max, ..TAKE };
        let mut order = Vec::new();
        let trained = beside.take_delta_then_train(take, 5, Progress::START, &mut |delta| order.push(delta)).unwrap();
        assert_eq!((trained.steps, order.len()), (5, 1));
        let taken = in_turn.take_delta(&TopK2Bit, Weight::HALF, norm_max).unwrap();
        assert!(taken.l2_norm <= norm_max);
        in_turn.train(5, Progress::START).unwrap();
        said.push((order.remove(0), taken));
        if norm_max == f32::INFINITY {
            assert_eq!(beside.base().unwrap(), in_turn.base().unwrap());
        }
    }
    assert_eq!(said[0].0, said[0].1, "to the bit");
    // theta is the same sum in another order.
    let (a, b) = (beside.read_residual().unwrap(), in_turn.read_residual().unwrap());
    let far = learner::norm(a.iter().zip(&b).map(|(a, b)| a - b)) / learner::norm(&b);
    assert!(far < 0.05, "{far}");
}

#[test]
fn weights_that_are_no_numbers_are_not_said_beside_steps_either() {
    let Some(mut gpu) = on_gpu() else { return };
    gpu.train(1, Progress::START).unwrap();
    let theta = gpu.machine.buffers.theta;
    gpu.machine.executor.write(theta, 3, &[f32::NAN.to_bits()]).unwrap();
    let error =
        gpu.take_delta_then_train(TAKE, 2, Progress::START, &mut |_| panic!("nothing can be said")).unwrap_err();
    assert!(matches!(error, LearnerError::NonFinite { .. } | LearnerError::Loss { step: 2 }), "{error}");
}

#[test]
fn losses_that_nobody_has_looked_at_are_looked_at_before_the_model_is_used() {
    let Some(mut gpu) = on_gpu() else { return };
    gpu.train(2, Progress::START).unwrap();
    let theta = gpu.machine.buffers.theta;
    let d = gpu.parameters();
    gpu.machine.executor.write(theta, 0, &vec![f32::NAN.to_bits(); d]).unwrap();
    gpu.train(3, Progress::START).unwrap();
    let error = gpu.evaluate(learner::Weights::Base).unwrap_err();
    assert!(matches!(error, LearnerError::Loss { step: 3 }), "{error}");
}
