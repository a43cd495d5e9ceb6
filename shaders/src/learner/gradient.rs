//! The gradient of the last step, for people.
//!
//! It lies in the scratch buffer from a step to the next use of that buffer (`machine.rs`), so whoever wants to see it asks right behind steps:
//! one read, and no buffer or dispatch of its own. Whether it is still there is noted wherever the buffer is written.

use protocol::learner::LearnerError;

use super::TrainingLearner;

impl TrainingLearner {
    /// As the optimizer took it, clipped where the job clips; `None` where something else lies in its place.
    pub(super) fn read_gradient(&mut self) -> Result<Option<Vec<f32>>, LearnerError> {
        // After a device was lost it is gone, and another try finds that.
        if !self.gradient_lies {
            return Ok(None);
        }
        let mut gradient = vec![0.0; self.spec.model.parameters()];
        self.machine.executor.read_at(self.machine.buffers.scratch, 0, bytemuck::cast_slice_mut(&mut gradient))?;
        Ok(Some(gradient))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use protocol::codec::{DenseF32, TopK2Bit};
    use protocol::fixed::Weight;
    use protocol::learner::{Learner as _, Progress, Weights};

    use super::super::tests::spec;
    use super::*;
    use crate::engine::cpu::CpuExecutor;
    use crate::optim::OptimizerSpec;

    const RATE: f32 = 0.1;

    fn learner(clip: Option<f32>) -> TrainingLearner {
        let sgd = OptimizerSpec::Sgd { learning_rate: RATE, momentum: 0.0, nesterov: false };
        let spec = super::super::LearnerSpec { clip, ..spec(sgd) };
        TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap()
    }

    #[test]
    fn what_is_shown_is_what_the_last_step_went_down() {
        for clip in [None, Some(0.01)] {
            let mut learner = learner(clip);
            assert!(learner.gradient().unwrap().is_none(), "no step was taken");
            learner.train(3, Progress::START).unwrap();
            let before = learner.save().unwrap().theta;
            learner.train(1, Progress::START).unwrap();
            let gradient = learner.gradient().unwrap().unwrap();
            let after = learner.save().unwrap().theta;
            let length = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
            assert!(length > 0.005 && clip.is_none_or(|clip| length <= clip * 1.001), "{length}");
            for ((before, after), slope) in before.iter().zip(&after).zip(&gradient) {
                assert!((before - RATE * slope - after).abs() < 1e-6, "{before} - {RATE} * {slope} is not {after}");
            }
        }
    }

    #[test]
    fn what_else_lies_in_its_place_is_not_taken_for_it() {
        let mut learner = learner(None);
        for weights in [Weights::Base, Weights::Local] {
            learner.train(1, Progress::START).unwrap();
            learner.evaluate(weights).unwrap();
            assert!(learner.gradient().unwrap().is_none(), "weights to evaluate");
        }
        learner.train(1, Progress::START).unwrap();
        learner.base().unwrap();
        assert!(learner.gradient().unwrap().is_some(), "a look at the base leaves it");
        learner.take_delta(&DenseF32, Weight::HALF, f32::INFINITY).unwrap();
        assert!(learner.gradient().unwrap().is_none(), "all of theta - b");
        learner.train(1, Progress::START).unwrap();
        learner.take_delta(&TopK2Bit, Weight::HALF, f32::INFINITY).unwrap();
        assert!(learner.gradient().unwrap().is_some(), "what a device chooses, it chooses beside it");
        learner.train(1, Progress::START).unwrap();
        learner.fold().unwrap();
        assert!(learner.gradient().unwrap().is_none(), "what is folded in");
    }
}
