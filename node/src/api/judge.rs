//! `GET /v1/confusion`: what the shared model takes for what, and the samples of the test part that it is most wrongly sure of.
//!
//! Computed from a copy of the base by the thread of answers, so training does not wait; not more than once in [`JUDGE_EVERY`], and over
//! no more samples than fit into [`JUDGE_MAX`], evenly taken from the test part.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use shaders::data::Dataset;
use shaders::predict::softmax;

use crate::error::{Error, Kind};
use crate::inference::Answers;
use crate::inference::measure::{Measures, Tally};

/// Between two judgements: what is asked for sooner gets the last one.
pub(super) const JUDGE_EVERY: Duration = Duration::from_secs(5);
/// How long one may take; requests for predictions wait meanwhile.
const JUDGE_MAX: Duration = Duration::from_secs(2);
/// Most samples that are looked at.
const SAMPLES_MAX: usize = 4096;
/// Samples at once.
const SAMPLES_AT_ONCE: usize = 64;
/// Most wrongly classified samples that are shown.
const WRONG_MAX: usize = 24;
/// Most classes of a matrix that is shown.
const CLASSES_MAX: usize = 64;
/// Most numbers of a sample that is shown.
const FEATURES_MAX: usize = 64 * 64 * 3;

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Judgement {
    /// Of the test part.
    test_samples: usize,
    /// Nats a sample, accuracy, precision, recall and F1 by class, `confusion[is][said]`.
    #[serde(flatten)]
    measures: Measures,
    /// The surest first.
    wrong: Vec<Wrong>,
    took_s: f64,
}

/// A sample that was taken for something else.
#[derive(Debug, Serialize)]
struct Wrong {
    /// Its number in the test part.
    index: usize,
    is: String,
    said: String,
    /// Of what was said, 0 to 1.
    probability: f64,
    picture: Option<Pixels>,
    /// The numbers of a sample that is no picture, the first few.
    values: Vec<f32>,
}

/// Numbers of a sample that is no picture.
const VALUES_SHOWN: usize = 8;

/// A sample as a picture.
#[derive(Debug, Serialize)]
struct Pixels {
    width: usize,
    height: usize,
    /// 1: grey, 3: red, green, blue.
    channels: usize,
    /// Bytes, base64, row by row; from the least number of the sample to the greatest.
    bytes: String,
}

/// Judges the model whose weights `answers` has.
///
/// # Errors
/// A model of text, too many classes, no test samples, or a failure of the device or of the data.
pub(super) fn judge(answers: &mut Answers, data: &Dataset) -> Result<Judgement, Error> {
    let (begun, classes, features) = (Instant::now(), answers.about.classes, answers.features());
    answers.predict(&[])?;
    if classes > CLASSES_MAX || data.test.is_empty() {
        let message = format!("{} test samples in {classes} classes", data.test.len());
        return Err(Error::new(Kind::Input, message).hint("at least one sample, and 64 classes at most"));
    }
    let stride = data.test.len().div_ceil(SAMPLES_MAX).max(1);
    let picked: Vec<usize> = (0..data.test.len()).step_by(stride).collect();
    let mut tally = Tally::new(classes, true);
    let mut wrong: Vec<(usize, usize, f64)> = Vec::new();
    for batch in picked.chunks(SAMPLES_AT_ONCE) {
        let mut rows = Vec::with_capacity(batch.len() * features);
        for &index in batch {
            read(data, features, index, &mut rows)?;
        }
        let right = || batch.iter().map(|&index| data.test.labels[index] as usize);
        let logits = answers.logits(&rows)?;
        tally.add(batch.len() as u64, &logits, right());
        for ((row, right), &index) in logits.chunks(classes).zip(right()).zip(batch) {
            let shares = softmax(row);
            let said = (0..shares.len()).rev().max_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap_or(0);
            if said != right {
                wrong.push((index, said, shares[said]));
            }
        }
        wrong.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
        wrong.truncate(WRONG_MAX);
        if begun.elapsed() >= JUDGE_MAX {
            break;
        }
    }
    let measures = tally.finish(|class| answers.class_name(class));
    let shown = wrong.into_iter().map(|(index, said, probability)| {
        let mut values = Vec::new();
        read(data, features, index, &mut values)?;
        let picture = pixels(&data.shape, &values);
        values.truncate(if picture.is_some() { 0 } else { VALUES_SHOWN });
        let is = answers.class_name(data.test.labels[index] as usize);
        Ok(Wrong { index, is, said: answers.class_name(said), probability, picture, values })
    });
    let wrong = shown.collect::<Result<_, Error>>()?;
    Ok(Judgement { test_samples: data.test.len(), measures, wrong, took_s: begun.elapsed().as_secs_f64() })
}

fn read(data: &Dataset, features: usize, index: usize, out: &mut Vec<f32>) -> Result<(), Error> {
    data.test.features.read_range(features, index..index + 1, out).map_err(|error| Error::new(Kind::Input, error))
}

/// A sample of one or three channels; `None` where it is no picture.
fn pixels(shape: &[usize], values: &[f32]) -> Option<Pixels> {
    let (height, width, channels) = match *shape {
        [height, width] => (height, width, 1),
        [height, width, channels @ (1 | 3)] => (height, width, channels),
        // The embedded digits come as rows of 64.
        [features] if features.isqrt() > 2 && features.isqrt().pow(2) == features => {
            (features.isqrt(), features.isqrt(), 1)
        }
        _ => return None,
    };
    if values.len() != height * width * channels || values.len() > FEATURES_MAX || height < 2 || width < 2 {
        return None;
    }
    let (low, high) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
    let span = (high - low).max(f32::MIN_POSITIVE);
    let bytes: Vec<u8> = values.iter().map(|value| (255.0 * (value - low) / span).round() as u8).collect();
    Some(Pixels { width, height, channels, bytes: STANDARD.encode(bytes) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_sample_is_a_picture_where_it_has_two_extents() {
        let picture = pixels(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 4.0]).unwrap();
        assert_eq!((picture.width, picture.height, picture.channels), (3, 2, 1));
        assert_eq!(STANDARD.decode(picture.bytes).unwrap(), [0, 64, 128, 191, 255, 255]);
        assert!(pixels(&[64], &[0.0; 64]).is_some_and(|picture| picture.width == 8));
        assert!(pixels(&[4, 4, 3], &[1.0; 48]).is_some_and(|picture| picture.channels == 3));
        for (shape, values) in
            [(vec![2, 3], 5), (vec![7], 7), (vec![4, 4, 2], 32), (vec![0, 0], 0), (vec![200, 200], 40_000)]
        {
            assert!(pixels(&shape, &vec![0.0; values]).is_none(), "{shape:?}");
        }
    }
}
