//! Full-scale synchronization with H = 1, a dense codec and gain 1 is data-parallel training: the same as one machine with
//! the batches of all peers. Both are computed here, on the digits, by different ways through the code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use protocol::Config;
use protocol::codec::DenseF32;
use protocol::config::Mode;
use protocol::id::{Hash, RunId};
use protocol::learner::{Learner as _, Progress, Weights};
use protocol::trust::Limits;
use shaders::data::{self, Dataset};
use shaders::engine::cpu::CpuExecutor;
use shaders::models::ModelSpec;
use shaders::optim::OptimizerSpec;
use shaders::optim::schedule::Schedule;
use shaders::{LearnerSpec, TrainingLearner};
use sim::virtual_swarm::network::NetworkSpec;
use sim::virtual_swarm::{Plan, Scenario, Task, Until, run};

/// Samples of a peer, and of its batch: so the order does not matter.
const SHARD: u32 = 60;
const STEPS: u64 = 100;
const EVERY: u64 = 10;

fn shards(peers: u32) -> Vec<Vec<u32>> {
    (0..peers).map(|peer| (peer * SHARD..(peer + 1) * SHARD).collect()).collect()
}

/// What trains on that shard, in one batch.
fn spec(dataset: &Arc<Dataset>, optimizer: OptimizerSpec, batch: usize, shard: Vec<u32>) -> LearnerSpec {
    let model = ModelSpec::Mlp { hidden: vec![32, 16] }.build(&dataset.shape, dataset.classes).unwrap();
    LearnerSpec {
        model: Arc::new(model),
        optimizer,
        schedule: Schedule::default(),
        clip: None,
        batch,
        init_seed: [7; 32],
        order_seed: 1,
        shard,
        dealt: None,
        dataset: Arc::clone(dataset),
    }
}

/// Test loss of one machine with all samples, every [`EVERY`] steps.
fn one_machine(dataset: &Arc<Dataset>, optimizer: OptimizerSpec, peers: u32) -> Vec<f64> {
    let shard: Vec<u32> = shards(peers).concat();
    let spec = spec(dataset, optimizer, shard.len(), shard);
    let mut learner = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
    let loss = |_| {
        learner.train(EVERY as u32, Progress::START).unwrap();
        f64::from(learner.evaluate(Weights::Local).unwrap().loss)
    };
    (0..STEPS / EVERY).map(loss).collect()
}

fn swarm(dataset: &Arc<Dataset>, optimizer: OptimizerSpec, peers: u32, mode: Mode) -> Vec<(u64, f64)> {
    let mut config = Config::default();
    (config.gossip.mode, config.gossip.gain, config.gossip.steps) = (mode, 1.0, 1);
    let scenario = Scenario {
        peers,
        steps: STEPS,
        evaluations: (STEPS / EVERY) as u32,
        // Rounds keep unequal peers together.
        speed_sigma: if mode == Mode::FullSync { 0.2 } else { 0.0 },
        network: NetworkSpec { latency_ms: 5.0, jitter_ms: 20.0, ..NetworkSpec::default() },
        ..Scenario::default()
    };
    let task = Task::Train {
        spec: spec(dataset, optimizer, SHARD as usize, Vec::new()),
        shards: Arc::new(shards(peers)),
        order_seeds: Arc::new((0..u64::from(peers)).collect()),
        deal: None,
    };
    let plan = Plan {
        variant: String::new(),
        graph: Vec::new(),
        scenario,
        config,
        codec: &DenseF32,
        limits: Limits::OFF,
        run: RunId(Hash([1; 32])),
        task,
        job: Vec::new(),
    };
    let run = run(&plan, 1, Until::default(), &mut |_| true);
    assert!(run.agreed && run.base_hashes_equal && run.violations.is_empty(), "{:?}", run.violations);
    let points = run.curve.iter().filter(|point| point.steps > 0 && point.steps <= STEPS && point.steps % EVERY == 0);
    points.map(|point| (point.steps / EVERY - 1, point.loss_mean)).collect()
}

/// Largest difference of the two curves. The report's points are stretches of time, so some of them lie between two epochs.
fn apart(alone: &[f64], together: &[(u64, f64)]) -> f64 {
    assert!(together.len() >= alone.len() / 2, "{together:?}");
    together.iter().map(|&(epoch, loss)| (alone[epoch as usize] - loss).abs()).fold(0.0, f64::max)
}

#[test]
fn a_synchronous_swarm_is_one_machine_with_all_the_batches() {
    let dataset = Arc::new(data::embedded("digits").unwrap());
    for peers in [2, 4, 8] {
        for optimizer in [
            OptimizerSpec::Sgd { learning_rate: 0.05, momentum: 0.0, nesterov: false },
            OptimizerSpec::Sgd { learning_rate: 0.02, momentum: 0.9, nesterov: false },
        ] {
            let alone = one_machine(&dataset, optimizer, peers);
            let together = swarm(&dataset, optimizer, peers, Mode::FullSync);
            assert!(alone.last() < Some(&(0.9 * alone[0])), "it learns: {alone:?}");
            let off = apart(&alone, &together);
            assert!(off < 1e-4, "{peers} peers, {optimizer:?}: off by {off}\n{alone:?}\n{together:?}");
        }
    }
}

#[test]
fn an_asynchronous_one_is_not() {
    let dataset = Arc::new(data::embedded("digits").unwrap());
    let optimizer = OptimizerSpec::Sgd { learning_rate: 0.05, momentum: 0.0, nesterov: false };
    let (alone, together) = (one_machine(&dataset, optimizer, 4), swarm(&dataset, optimizer, 4, Mode::Incremental));
    assert!(apart(&alone, &together) > 1e-3, "else the test above could not fail\n{alone:?}\n{together:?}");
}
