//! The learning rate over a swarm's life.

use super::*;

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
