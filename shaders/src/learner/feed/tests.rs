#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use protocol::learner::{Learner as _, Progress, Weights};

use super::super::{LearnerSpec, TrainingLearner, tests::spec};
use super::*;
use crate::data::augment::Augment;
use crate::data::{Options, open};
use crate::engine::cpu::CpuExecutor;
use crate::optim::OptimizerSpec;

/// Digits as files.
fn written(folder: &std::path::Path) {
    let digits = spec(OptimizerSpec::Adam { learning_rate: 0.003 }).dataset;
    std::fs::create_dir_all(folder).unwrap();
    for (prefix, split) in [("train", &digits.train), ("t10k", &digits.test)] {
        let n = split.len() as u32;
        let header = |extents: &[u32]| {
            let mut bytes = vec![0, 0, 8, extents.len() as u8];
            extents.iter().for_each(|extent| bytes.extend_from_slice(&extent.to_be_bytes()));
            bytes
        };
        let pixels = split.features.resident().unwrap().iter().map(|value| (value * 255.0).round() as u8);
        let images: Vec<u8> = header(&[n, 8, 8]).into_iter().chain(pixels).collect();
        let labels: Vec<u8> = header(&[n]).into_iter().chain(split.labels.iter().map(|&label| label as u8)).collect();
        std::fs::write(folder.join(format!("{prefix}-images-idx3-ubyte")), images).unwrap();
        std::fs::write(folder.join(format!("{prefix}-labels-idx1-ubyte")), labels).unwrap();
    }
}

fn trained(spec: LearnerSpec, steps: u32) -> (f32, f32) {
    let mut learner = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
    let loss = learner.train(steps, Progress::START).unwrap().mean_loss;
    (loss, learner.evaluate(Weights::Local).unwrap().loss)
}

#[test]
fn rows_from_a_file_train_to_the_same_bits() {
    let folder = std::env::temp_dir().join(format!("starling-feed-{}", std::process::id()));
    written(&folder);
    let held = spec(OptimizerSpec::Adam { learning_rate: 0.003 });
    let options = Options { resident_bytes_max: 0, ..Options::default() };
    let streamed = LearnerSpec { dataset: Arc::new(open(&folder, &options).unwrap()), ..held.clone() };
    assert!(window(&held).is_none() && window(&streamed).is_some());
    // More steps than one upload holds.
    let steps = ORDER_STEPS_MAX as u32 + 40;
    assert_eq!(trained(held, steps), trained(streamed.clone(), steps));
    // What lies on the device is a window, not the set.
    assert!(words(&streamed) <= (ORDER_STEPS_MAX * streamed.batch * 65) as u64);
    // The file is cut off while it is trained on: an error that names it.
    let mut learner = TrainingLearner::new(streamed, Box::new(CpuExecutor::new(None))).unwrap();
    let images = folder.join("train-images-idx3-ubyte");
    std::fs::File::options().write(true).open(&images).unwrap().set_len(1000).unwrap();
    let error = learner.train(50, Progress::START).unwrap_err();
    assert!(matches!(&error, LearnerError::Data(why) if why.contains("train-images-idx3-ubyte")), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn augmented_pictures_are_other_pictures_and_the_same_again() {
    let plain = spec(OptimizerSpec::Adam { learning_rate: 0.003 });
    let dataset = crate::data::Dataset { augment: Augment { shift: 1, flip: false }, ..(*plain.dataset).clone() };
    let augmented = LearnerSpec { dataset: Arc::new(dataset), ..plain.clone() };
    let once = trained(augmented.clone(), 60);
    assert_eq!(once, trained(augmented, 60));
    assert_ne!(once, trained(plain, 60));
}
