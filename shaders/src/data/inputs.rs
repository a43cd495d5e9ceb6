//! Samples without labels, for a model that was trained: the same formats, numbers and columns brought to what it was trained on.

use std::path::Path;

use super::encoding::Encoding;
use super::error::DataError;
use super::formats::{Kind, idx, kind, npy, pictures, table};
use super::{DATA_BYTES_MAX, files};

/// Samples of a model's shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// [n, features], normalised as in training.
    pub features: Vec<f32>,
    /// What each is called: a file, or its number in one.
    pub names: Vec<String>,
}

/// The samples at a path for a model that reads samples of these extents: a picture, a folder of pictures, idx, NPY, or a table with the columns that
/// it was trained with.
///
/// # Errors
/// [`DataError`]: path, place, and what to do.
pub fn inputs(path: &Path, shape: &[usize], encoding: &Encoding) -> Result<Inputs, DataError> {
    inputs_within(path, shape, encoding, DATA_BYTES_MAX)
}

/// The same, of at most so many bytes as floats where they are those of an array.
pub(crate) fn inputs_within(
    path: &Path,
    shape: &[usize],
    encoding: &Encoding,
    limit: u64,
) -> Result<Inputs, DataError> {
    let width: usize = shape.iter().product();
    let mut found = Inputs::default();
    if std::fs::metadata(path).map_err(DataError::read(path))?.is_dir() {
        let found_there = pictures::pictures_in(path)?;
        if found_there.is_empty() {
            let what = "no PNG or JPEG files lie in this folder itself";
            let remedy = match pictures::listed(path)?.into_iter().find(|inner| inner.is_dir()) {
                Some(inner) => format!("name a folder of pictures, as {}", inner.display()),
                None => "name a folder of pictures, or a file of samples".into(),
            };
            return Err(DataError::whole(path, what, remedy));
        }
        for picture in found_there {
            found.features.append(&mut pictures::one(&picture, shape, encoding.size)?);
            found.names.push(picture.display().to_string());
        }
    } else {
        let array = match kind(&files::head(path)?) {
            Kind::Empty => return Err(DataError::Empty { path: path.into() }),
            Kind::Picture => {
                found.features = pictures::one(path, shape, encoding.size)?;
                found.names.push(path.display().to_string());
                None
            }
            Kind::Text | Kind::Parquet if !encoding.columns.is_empty() || shape.len() == 1 => {
                found.features = if encoding.columns.is_empty() {
                    numbers(path, width)?
                } else {
                    table::rows(path, &encoding.columns)?
                };
                None
            }
            Kind::Idx => Some(idx::open(path, idx::Dimensions::AtLeast(1))?),
            Kind::Npy => Some(npy::open(path)?),
            _ => {
                let remedy =
                    "a picture, a folder of pictures, idx, NPY, or a table with the columns of the training data";
                return Err(DataError::whole(path, "no samples for this model", remedy));
            }
        };
        if let Some(array) = array {
            // One sample alone, or many.
            if array.shape != shape && array.sample_shape() != shape {
                if shape.len() == 1 && array.sample_shape() == [width + 1] {
                    let what =
                        format!("{} columns, the model reads {width}: is the label still among them?", width + 1);
                    let remedy = "leave it out: where it is the last, numpy.save(\"x.npy\", a[:, :-1])";
                    return Err(DataError::whole(path, what, remedy));
                }
                return Err(DataError::Shape { path: path.into(), found: array.shape, expected: shape.to_vec() });
            }
            if array.is_stored(limit) {
                let what = format!("{} samples, more than {} MiB as floats", array.samples(), limit >> 20);
                let remedy = "ask about a part at a time, as numpy.save(\"part.npy\", a[:100000]) writes it";
                return Err(DataError::whole(path, what, remedy));
            }
            let features = array.features(limit)?;
            found.features = features.resident().map(<[f32]>::to_vec).unwrap_or_default();
        }
    }
    if found.features.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    if found.names.is_empty() {
        let samples = found.features.len() / width.max(1);
        found.names = (0..samples).map(|i| format!("{} {i}", path.display())).collect();
    }
    if let Some(normalization) = &encoding.normalization {
        normalization.apply(&mut found.features);
    }
    Ok(found)
}

/// The rows of a table that is at hand as text.
pub(super) fn rows_of_text(
    path: &Path,
    text: &str,
    shape: &[usize],
    encoding: &Encoding,
) -> Result<Vec<f32>, DataError> {
    let mut features = if encoding.columns.is_empty() {
        table::rows_of_text(path, text, &unnamed(shape.iter().product()))?
    } else {
        table::rows_of_text(path, text, &encoding.columns)?
    };
    if let Some(normalization) = &encoding.normalization {
        normalization.apply(&mut features);
    }
    Ok(features)
}

/// A table of numbers for a model that was trained on numbers without names.
fn numbers(path: &Path, width: usize) -> Result<Vec<f32>, DataError> {
    table::rows(path, &unnamed(width))
}

fn unnamed(width: usize) -> Vec<super::Column> {
    (0..width).map(|i| super::Column { name: i.to_string(), values: Vec::new() }).collect()
}
