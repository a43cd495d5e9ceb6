//! A training step of the larger models on each executor: steps a second, best of a few calls.
//!
//! `cargo bench -p shaders --bench models`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::sync::Arc;
use std::time::Instant;

use protocol::learner::{Learner as _, Progress};
use shaders::data::{Dataset, Split};
use shaders::engine::{DeviceChoice, open};
use shaders::models::{ActivationKind, CnnSpec, LmSpec, ModelSpec, NormKind};
use shaders::optim::OptimizerSpec;
use shaders::optim::schedule::Schedule;
use shaders::{LearnerSpec, TrainingLearner};

/// Steps of a call.
const STEPS: u32 = 4;
/// Calls; the best one counts.
const CALLS: usize = 6;
const SAMPLES: usize = 64;

fn dataset(shape: &[usize], classes: usize, values: usize) -> Arc<Dataset> {
    let n: usize = shape.iter().product();
    // Of a text whole numbers below 256, of pictures parts of 1.
    let value = |i: usize| if values > 1 { (i * i % values) as f32 } else { (i * 31 % 97) as f32 / 97.0 };
    let split = Split {
        features: (0..SAMPLES * n).map(value).collect(),
        labels: (0..SAMPLES as u32).map(|i| i % 10).collect(),
    };
    Arc::new(Dataset {
        name: "bench".into(),
        shape: shape.to_vec(),
        classes,
        train: split.clone(),
        test: split,
        ..Dataset::default()
    })
}

fn main() {
    let cnn = |residual_blocks| ModelSpec::Cnn(CnnSpec { channels: vec![16, 32], residual_blocks, hidden: vec![] });
    let lm = ModelSpec::Lm(LmSpec {
        context: 64,
        width: 128,
        layers: 5,
        heads: 4,
        norm: NormKind::Rms,
        activation: ActivationKind::Gelu,
        dropout: 0.0,
    });
    let pictures = dataset(&[28, 28], 10, 1);
    let text = dataset(&[65], 256, 256);
    for (name, model, data, batch) in [
        ("cnn 16-32, 28 x 28, batch 32", cnn(0), &pictures, 32),
        ("cnn 16-32, one residual block, 28 x 28, batch 32", cnn(1), &pictures, 32),
        ("lm 5 x 128, context 64, batch 8", lm, &text, 8),
    ] {
        for choice in [DeviceChoice::Cpu, DeviceChoice::Auto] {
            let spec = LearnerSpec {
                model: Arc::new(model.build(&data.shape, data.classes).unwrap()),
                optimizer: OptimizerSpec::Adam { learning_rate: 0.001 },
                schedule: Schedule::default(),
                clip: None,
                batch,
                init_seed: [1; 32],
                order_seed: 1,
                shard: (0..SAMPLES as u32).collect(),
                dealt: None,
                dataset: Arc::clone(data),
            };
            let mut learner = TrainingLearner::new(spec, open(&choice, 1).unwrap()).unwrap();
            let info = learner.info().clone();
            if choice == DeviceChoice::Auto && info.backend == "cpu" {
                println!("no GPU adapter: the GPU executor is not measured");
                continue;
            }
            let mut call = |_| {
                let start = Instant::now();
                learner.train(STEPS, Progress::START).unwrap();
                // A device goes on beside the host.
                learner.finish().unwrap();
                start.elapsed().as_secs_f64()
            };
            let best = (0..CALLS).map(&mut call).fold(f64::INFINITY, f64::min);
            let rate = f64::from(STEPS) / best;
            println!("- {name}, {} parameters, on {}: {rate:.1} steps/s", learner.parameters(), info.name);
        }
    }
}
