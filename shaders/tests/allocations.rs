//! A step on the CPU allocates nothing of its own: what it needs was planned before the first one.
//!
//! Apart from all other tests, since everything that the process allocates is counted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use protocol::learner::{Learner as _, Progress};
use shaders::data::{Dataset, Split};
use shaders::engine::{DeviceChoice, open};
use shaders::models::ModelSpec;
use shaders::optim::OptimizerSpec;
use shaders::optim::schedule::Schedule;
use shaders::{LearnerSpec, TrainingLearner};

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

const STEPS: u32 = 200;

fn learner(threads: usize) -> TrainingLearner {
    let samples = 256usize;
    let value = |i: usize| ((i * 31 % 97) as f32) / 97.0;
    let split = Split {
        features: (0..samples * 64).map(value).collect(),
        labels: (0..samples as u32).map(|i| i % 10).collect(),
    };
    let dataset = Arc::new(Dataset {
        name: "counted".into(),
        shape: vec![64],
        classes: 10,
        train: split.clone(),
        test: split,
        ..Dataset::default()
    });
    let spec = LearnerSpec {
        model: Arc::new(ModelSpec::Mlp { hidden: vec![64, 64] }.build(&dataset.shape, dataset.classes).unwrap()),
        optimizer: OptimizerSpec::Adam { learning_rate: 0.001 },
        schedule: Schedule::default(),
        clip: None,
        batch: 32,
        init_seed: [1; 32],
        order_seed: 1,
        shard: (0..samples as u32).collect(),
        dealt: None,
        dataset,
    };
    TrainingLearner::new(spec, open(&DeviceChoice::Cpu, threads).unwrap()).unwrap()
}

/// Blocks allocated by [`STEPS`] steps, so many a call, after as many before them.
fn allocated(learner: &mut TrainingLearner, call: u32) -> f64 {
    let mut run = || {
        for _ in 0..STEPS / call {
            learner.train(call, Progress::START).unwrap();
        }
    };
    run();
    let before = dhat::HeapStats::get().total_blocks;
    run();
    (dhat::HeapStats::get().total_blocks - before) as f64
}

#[test]
fn steps_allocate_nothing_but_what_their_products_do() {
    /// Forward, of weights and of inputs, of three layers but for the inputs of the first.
    const PRODUCTS: f64 = 8.0;
    /// The `gemm` crate takes a list of its threads and a place to pack into for each.
    const BLOCKS_A_PRODUCT: f64 = 2.0;
    /// A call's losses come by a reading.
    const BLOCKS_A_CALL: f64 = 8.0;
    let _counting = dhat::Profiler::builder().testing().build();
    for threads in [1, 2] {
        let [alone, ten] = [1, 10].map(|call| allocated(&mut learner(threads), call));
        // Of a call, and of a step: from many calls and few of as many steps.
        let (steps, calls) = (f64::from(STEPS), f64::from(STEPS - STEPS / 10));
        let a_call = (alone - ten) / calls;
        let a_step = alone / steps - a_call;
        println!("{threads} thread(s): {a_step:.2} blocks a step, {a_call:.2} a call");
        assert!(a_step <= BLOCKS_A_PRODUCT * PRODUCTS, "{a_step} blocks a step: it has some 30 dispatches");
        assert!(a_call <= BLOCKS_A_CALL, "{a_call} blocks a call");
    }
}
