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

/// Weights after so many steps, on a device that binds no more than that at once.
fn bits(spec: &LearnerSpec, limit: Option<u64>, steps: u32) -> (u32, Vec<u32>) {
    let mut on = CpuExecutor::new(None);
    limit.into_iter().for_each(|bytes| on.limit_buffers(bytes));
    let mut learner = TrainingLearner::new(spec.clone(), Box::new(on)).unwrap();
    let loss = learner.train(steps, Progress::START).unwrap().mean_loss.to_bits();
    let (theta, d) = (learner.machine.buffers.theta, learner.parameters());
    let mut weights = Vec::new();
    learner.machine.executor.read(theta, d, &mut weights).unwrap();
    (loss, weights)
}

#[test]
fn rows_from_a_file_train_to_the_same_bits() {
    let folder = std::env::temp_dir().join(format!("starling-feed-{}", std::process::id()));
    written(&folder);
    let held = spec(OptimizerSpec::Adam { learning_rate: 0.003 });
    let options = Options { resident_bytes_max: 0, ..Options::default() };
    let streamed = LearnerSpec { dataset: Arc::new(open(&folder, &options).unwrap()), ..held.clone() };
    let anything = Room::default();
    assert!(window(&held, anything).is_none() && window(&streamed, anything).is_some());
    // More steps than one upload holds.
    let steps = ORDER_STEPS_MAX as u32 + 40;
    assert_eq!(trained(held, steps), trained(streamed.clone(), steps));
    // What lies on the device is a window, not the set.
    assert!(words(&streamed, anything) <= (ORDER_STEPS_MAX * streamed.batch * 65) as u64);
    // The file is cut off while it is trained on: an error that names it.
    let mut learner = TrainingLearner::new(streamed, Box::new(CpuExecutor::new(None))).unwrap();
    let images = folder.join("train-images-idx3-ubyte");
    std::fs::File::options().write(true).open(&images).unwrap().set_len(1000).unwrap();
    let error = learner.train(50, Progress::START).unwrap_err();
    assert!(matches!(&error, LearnerError::Data(why) if why.contains("train-images-idx3-ubyte")), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What a device cannot bind at once, or has no room for, comes in windows; the bits are the same.
#[test]
fn rows_that_are_too_many_for_a_device_train_to_the_same_bits() {
    let held = spec(OptimizerSpec::Adam { learning_rate: 0.003 });
    let rows = 4 * held.dataset.train.features.resident_len() as u64;
    let steps = ORDER_STEPS_MAX as u32 + 40;
    let whole = bits(&held, None, steps);
    for limit in [rows - 1, 3 * 4 * 64 * held.batch as u64] {
        let room = Room { largest_buffer: Some(limit), free: None };
        let fed = window(&held, room).unwrap();
        assert!(4 * (fed * held.batch * 64) as u64 <= limit, "{fed} steps");
        assert!(4 * words(&held, room) < rows);
        assert!(bits(&held, Some(limit), steps) == whole, "{limit} bytes at once");
    }
}

#[test]
fn rows_lie_on_a_device_that_has_room_for_them() {
    let held = spec(OptimizerSpec::Adam { learning_rate: 0.003 });
    let rows = held.dataset.train.features.resident_len() as u64;
    let all = 4 * (rows + held.dataset.train.len() as u64);
    let is_whole = |largest_buffer, free| window(&held, Room { largest_buffer, free }).is_none();
    assert!(is_whole(None, None) && is_whole(Some(4 * rows), Some(FREE_SHARE * all)));
    assert!(!is_whole(Some(4 * rows - 1), None) && !is_whole(None, Some(FREE_SHARE * all - 1)));
    // A buffer is made in whole groups of words: 2^31 - 1 bytes are not 2^29 words.
    assert_eq!(Room { largest_buffer: Some((1 << 31) - 1), free: None }.words_max(), (1 << 29) - 4);
    let tiny = Room { largest_buffer: Some(16), free: None };
    assert_eq!(window(&held, tiny), Some(1), "a step is the least");
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
