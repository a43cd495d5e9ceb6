//! A set that is larger than memory trains: 20 GB of rows in a sparse file, less than 1 GiB resident.
//!
//! `cargo nextest run -p shaders --run-ignored only twenty_gigabytes --no-capture`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use protocol::learner::{Learner as _, Progress, Weights};
use shaders::data::split::SplitRule;
use shaders::data::{Options, open};
use shaders::engine::cpu::CpuExecutor;
use shaders::models::ModelSpec;
use shaders::optim::OptimizerSpec;
use shaders::optim::schedule::Schedule;
use shaders::{LearnerSpec, TrainingLearner};

/// 28 x 28 bytes each: 20 GB.
const ROWS: u32 = 25_600_000;
const ROW: u64 = 784;
const RESIDENT_MAX: u64 = 1 << 30;

fn header(extents: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, extents.len() as u8];
    extents.iter().for_each(|extent| bytes.extend_from_slice(&extent.to_be_bytes()));
    bytes
}

/// Most memory that this process has had.
fn resident_most() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
#[ignore = "writes a sparse file of 20 GB; run by name"]
fn twenty_gigabytes() {
    let folder = std::env::temp_dir().join(format!("starling-20gb-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (prefix, rows) in [("train", ROWS), ("t10k", 1000)] {
        let mut images = std::fs::File::create(folder.join(format!("{prefix}-images-idx3-ubyte"))).unwrap();
        images.write_all(&header(&[rows, 28, 28])).unwrap();
        images.set_len(16 + u64::from(rows) * ROW).unwrap();
        // One row in a million is not empty, so that something is there to be read.
        for row in (0..rows).step_by(1_000_000) {
            images.seek(SeekFrom::Start(16 + u64::from(row) * ROW)).unwrap();
            images.write_all(&[200; ROW as usize]).unwrap();
        }
        let labels: Vec<u8> = header(&[rows]).into_iter().chain((0..rows).map(|row| (row % 2) as u8)).collect();
        std::fs::write(folder.join(format!("{prefix}-labels-idx1-ubyte")), labels).unwrap();
    }
    let begun = std::time::Instant::now();
    let dataset = Arc::new(open(&folder, &Options::default()).unwrap());
    assert!(dataset.train.features.resident().is_none());
    let shard = SplitRule::Iid.shards(&dataset.train.labels, 4, 1).unwrap().remove(0);
    let model = ModelSpec::Mlp { hidden: vec![32] }.build(&dataset.shape, dataset.classes).unwrap();
    let spec = LearnerSpec {
        model: Arc::new(model),
        optimizer: OptimizerSpec::Adam { learning_rate: 0.001 },
        schedule: Schedule::default(),
        clip: None,
        batch: 64,
        init_seed: [1; 32],
        order_seed: 1,
        shard,
        dealt: None,
        dataset,
    };
    let mut learner = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
    let opened = begun.elapsed();
    let trained = learner.train(2000, Progress::START).unwrap();
    let evaluation = learner.evaluate(Weights::Local).unwrap();
    let resident = resident_most();
    println!(
        "20 GB of rows: opened in {:.1} s, {} samples trained in {:.1} s (rows come from random places), at most {} MiB resident",
        opened.as_secs_f64(),
        trained.samples,
        (begun.elapsed() - opened).as_secs_f64(),
        resident >> 20
    );
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(trained.mean_loss.is_finite() && evaluation.samples == 1000);
    assert!(resident < RESIDENT_MAX, "{} MiB", resident >> 20);
}
