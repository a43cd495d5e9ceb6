//! Samples to be asked about, in every format that is read.

use std::ops::Range;
use std::path::Path;

use shaders::data::{self, Inputs, Split};

use crate::error::{Error, Kind};
use crate::store::checkpoint::About;

/// The samples at a path.
pub(super) fn read(path: &Path, about: &About) -> Result<Inputs, Error> {
    data::inputs(path, &about.shape, &about.encoding).map_err(|error| Error::new(Kind::Input, error))
}

/// Rows of a split.
pub(super) fn rows(split: &Split, features: usize, range: Range<usize>) -> Result<Vec<f32>, Error> {
    let mut rows = Vec::with_capacity(range.len() * features);
    split.features.read_range(features, range, &mut rows).map_err(|error| Error::new(Kind::Input, error))?;
    Ok(rows)
}
