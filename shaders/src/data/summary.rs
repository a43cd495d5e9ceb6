//! What a data set holds, in numbers and pictures.

use serde::Serialize;

use super::error::DataError;
use super::features::PIECE_BYTES;
use super::{Dataset, Split};

/// Rows that ranges are measured on: the first ones.
const MEASURED_ROWS_MAX: usize = 10_000;
/// Pictures of a class in [`montage`].
const COLUMNS: usize = 10;
/// Classes in it.
const CLASSES_SHOWN: usize = 50;
/// Pixels between pictures.
const GAP: usize = 2;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its name, or its path.
    pub name: String,
    /// Extents of a sample.
    pub shape: Vec<usize>,
    /// Number of classes; of a text tokens.
    pub classes: usize,
    /// Where they have names.
    pub class_names: Vec<String>,
    /// Columns of a table, in order; each with the texts that became numbers.
    pub columns: Vec<(String, Vec<String>)>,
    /// Parts: `train`, `validation`, `test`.
    pub parts: Vec<Part>,
    /// Smallest, largest and mean number of the first samples of the training part, as they are trained on.
    pub range: [f32; 3],
    /// Whether numbers were brought to mean 0 and deviation 1.
    pub normalized: bool,
    /// Whether rows stay in their file and are read when they are needed.
    pub streamed: bool,
}

/// A part of a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Of samples.
    pub samples: usize,
    /// Of each class; of a text of each tenth of it.
    pub balance: Vec<usize>,
}

impl Summary {
    /// Of a set.
    ///
    /// # Errors
    /// [`DataError`] when rows cannot be read from their file.
    pub fn of(dataset: &Dataset) -> Result<Self, DataError> {
        let train = &dataset.train;
        let rows: Vec<u32> = (0..train.len().min(MEASURED_ROWS_MAX) as u32).collect();
        let (mut count, mut sum, mut low, mut high) = (0usize, 0.0, f32::INFINITY, f32::NEG_INFINITY);
        train.features.each_piece(dataset.features(), &rows, PIECE_BYTES, |piece| {
            count += piece.len();
            for &value in piece {
                sum += f64::from(value);
                (low, high) = (low.min(value), high.max(value));
            }
        })?;
        let mean = (sum / count.max(1) as f64) as f32;
        let parts = [("train", train), ("validation", &dataset.validation), ("test", &dataset.test)];
        let parts = parts.into_iter().filter(|(_, split)| !split.is_empty());
        let encoding = &dataset.encoding;
        Ok(Self {
            name: dataset.name.clone(),
            shape: dataset.shape.clone(),
            classes: dataset.classes,
            class_names: encoding.class_names.clone(),
            columns: encoding.columns.iter().map(|column| (column.name.clone(), column.values.clone())).collect(),
            parts: parts.map(|(name, split)| Part { name, samples: split.len(), balance: balance(split) }).collect(),
            range: [low, high, mean],
            normalized: encoding.normalization.is_some(),
            streamed: train.features.resident().is_none(),
        })
    }
}

fn balance(split: &Split) -> Vec<usize> {
    let mut counts = vec![0; split.labels.iter().copied().max().map_or(0, |label| label as usize + 1)];
    split.labels.iter().for_each(|&label| counts[label as usize] += 1);
    counts
}

/// Rows of a picture, each pixel as [red, green, blue] from 0 to 1.
pub type Picture = Vec<Vec<[f32; 3]>>;

/// The first pictures of each class of the training part, at most so many of each; nothing where samples are no pictures.
///
/// # Errors
/// As [`Summary::of`].
pub fn pictures(dataset: &Dataset, each: usize) -> Result<Vec<Vec<Picture>>, DataError> {
    let [height, width, channels] = match dataset.shape[..] {
        [height, width] => [height, width, 1],
        [height, width, channels @ (1 | 3)] => [height, width, channels],
        _ => return Ok(Vec::new()),
    };
    let train = &dataset.train;
    let mut found = Vec::new();
    for class in 0..dataset.classes.min(CLASSES_SHOWN) as u32 {
        let rows: Vec<u32> =
            (0..train.len() as u32).filter(|&row| train.labels[row as usize] == class).take(each).collect();
        let mut numbers = Vec::new();
        train.features.read(dataset.features(), &rows, &mut numbers)?;
        let picture = |sample: &[f32]| {
            // Normalised pictures have other ranges: each fills its own.
            let (low, high) =
                sample.iter().fold((0.0f32, 1.0f32), |(low, high), &value| (low.min(value), high.max(value)));
            let pixel = |at: usize| {
                let channel = |i: usize| (sample[at * channels + i.min(channels - 1)] - low) / (high - low);
                [channel(0), channel(1), channel(2)]
            };
            (0..height).map(|y| (0..width).map(|x| pixel(y * width + x)).collect()).collect()
        };
        found.push(numbers.chunks_exact(dataset.features()).map(picture).collect());
    }
    Ok(found)
}

/// A PNG with a row of pictures for each class; `None` where samples are no pictures.
///
/// # Errors
/// As [`Summary::of`].
pub fn montage(dataset: &Dataset) -> Result<Option<Vec<u8>>, DataError> {
    let rows = pictures(dataset, COLUMNS)?;
    let Some(first) = rows.iter().flatten().next() else { return Ok(None) };
    let (height, width) = (first.len() + GAP, first[0].len() + GAP);
    let mut sheet =
        image::RgbImage::from_pixel((COLUMNS * width) as u32, (rows.len() * height) as u32, image::Rgb([64; 3]));
    for (y, row) in rows.iter().enumerate() {
        for (x, picture) in row.iter().enumerate() {
            for (dy, line) in picture.iter().enumerate() {
                for (dx, pixel) in line.iter().enumerate() {
                    let at = ((x * width + dx) as u32, (y * height + dy) as u32);
                    sheet.put_pixel(at.0, at.1, image::Rgb(pixel.map(|value| (value * 255.0) as u8)));
                }
            }
        }
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    let written = sheet.write_to(&mut bytes, image::ImageFormat::Png);
    let failed = |error| DataError::whole(std::path::Path::new(&dataset.name), error, "a smaller data.size");
    written.map_err(failed)?;
    Ok(Some(bytes.into_inner()))
}
