//! Samples to be asked about: idx files so far.

use std::ops::Range;
use std::path::Path;

use shaders::data::{Split, idx};

use crate::error::{Error, Kind};
use crate::store::checkpoint::About;

/// Longest input, bytes.
const INPUT_BYTES_MAX: u64 = 1 << 30;

/// Samples as a model reads them.
pub(super) struct Inputs {
    /// [n, features].
    pub(super) features: Vec<f32>,
    /// What each is called.
    pub(super) names: Vec<String>,
}

/// The samples in a file.
pub(super) fn read(path: &Path, about: &About) -> Result<Inputs, Error> {
    let wrong = |what: String| Error::new(Kind::Input, format!("{}: {what}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > INPUT_BYTES_MAX {
        return Err(wrong(format!("is no regular file of at most {INPUT_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let array = idx::parse(bytes, idx::Dimensions::AtLeast(1))
        .map_err(|error| wrong(error.to_string()).hint("an idx file of unsigned bytes, plain or gzipped"))?;
    // One sample alone, or many.
    if array.extents != about.shape && array.extents.get(1..) != Some(&about.shape[..]) {
        return Err(wrong(format!("{:?}, the model reads samples of {:?}", array.extents, about.shape)));
    }
    let features: Vec<f32> = array.values.iter().map(|&value| f32::from(value) / 255.0).collect();
    let samples = features.len() / about.shape.iter().product::<usize>().max(1);
    let names = (0..samples).map(|i| format!("{} {i}", path.display())).collect();
    Ok(Inputs { features, names })
}

/// Rows of a split.
pub(super) fn rows(split: &Split, features: usize, range: Range<usize>) -> Result<Vec<f32>, Error> {
    let rows = split.features.get(range.start * features..range.end * features);
    rows.map(<[f32]>::to_vec).ok_or_else(|| Error::new(Kind::Internal, "a split is shorter than its labels"))
}
