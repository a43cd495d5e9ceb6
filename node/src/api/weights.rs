//! Pictures of the weights, from a copy of the base: what a layer has learnt to look for.
//!
//! ```text
//! the first layer of an image model   one tile a unit, as large as the image (or a kernel of a convolution), means over channels
//! any other matrix [n, k]             itself, rows are units; means of blocks where it is larger than a screen
//! a vector                            one row
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::event::Shown;
use protocol::fixed::to_f32;
use protocol::schema::{Schema, Tensor};
use serde::Serialize;

/// Most tiles of a picture.
const TILES_MAX: usize = 64;
/// Longest side of a matrix in a picture.
const SIDE_MAX: usize = 160;
/// Bars of a histogram.
const BARS: usize = 41;
/// Most tensors that are described; a model has more only when it is very deep.
const TENSORS_MAX: usize = 512;
/// Largest value of a cell.
const CELL_MAX: f32 = 127.0;

/// What the pictures are of.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Its tensors, in the order of the base.
    pub schema: Schema,
    /// Extents of a sample, as [28, 28].
    pub sample: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
}

/// A tensor, as `GET /v1/model` describes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Described {
    index: usize,
    name: String,
    shape: Vec<u32>,
    parameters: usize,
    mean: f32,
    deviation: f32,
    least: f32,
    greatest: f32,
    /// Counts of equal steps from `-range` to `range`.
    histogram: Vec<u32>,
    range: f32,
    /// `filters`, `matrix`, `vector`.
    picture: &'static str,
}

/// `GET /v1/model/{index}`: a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Picture {
    /// Of the base that was drawn.
    pub(super) base_hash: String,
    name: String,
    /// `filters`, `matrix`, `vector`.
    kind: &'static str,
    /// Tiles, each `height` rows of `width` cells, one after the other.
    tiles: usize,
    /// Units of which these tiles are the first.
    units: usize,
    width: usize,
    height: usize,
    /// The weight that a cell of 127 stands for.
    scale: f32,
    /// Signed bytes, base64: weight / scale * 127.
    cells: String,
}

impl Model {
    /// All tensors of a copy.
    pub(super) fn describe(&self, shown: &Shown) -> Vec<Described> {
        let mut rest = shown.base.as_slice();
        let mut described = Vec::new();
        for (index, tensor) in self.schema.tensors.iter().enumerate().take(TENSORS_MAX) {
            let Some((values, after)) = rest.split_at_checked(tensor.elements()) else { break };
            rest = after;
            described.push(describe(index, tensor, values, self.kind(index, tensor)));
        }
        described
    }

    /// The picture of a tensor of a copy; `None` where there is no such tensor.
    pub(super) fn picture(&self, shown: &Shown, index: usize) -> Option<Picture> {
        let tensor = self.schema.tensors.get(index)?;
        let begin: usize = self.schema.tensors[..index].iter().map(Tensor::elements).sum();
        let values = shown.base.get(begin..begin + tensor.elements())?;
        let kind = self.kind(index, tensor);
        let (units, tiles, width, height, cells) = match kind {
            "filters" => self.filters(tensor, values),
            "matrix" => matrix(tensor, values),
            _ => vector(values),
        };
        let scale = cells.iter().fold(0.0f32, |most, cell| most.max(cell.abs()));
        let over = if scale > 0.0 { CELL_MAX / scale } else { 0.0 };
        let bytes: Vec<u8> = cells.iter().map(|cell| (cell * over).round() as i8 as u8).collect();
        let cells = STANDARD.encode(bytes);
        let (base_hash, name) = (String::new(), tensor.name.clone());
        Some(Picture { base_hash, name, kind, tiles, units, width, height, scale, cells })
    }

    /// Height and width of an image; its channels lie beside each other.
    fn image(&self) -> Option<(usize, usize)> {
        match *self.sample.as_slice() {
            [height, width] | [height, width, _] if height > 1 && width > 1 => Some((height, width)),
            // The embedded digits come as rows of 64.
            [features] => {
                let side = features.isqrt();
                (side > 2 && side * side == features).then_some((side, side))
            }
            _ => None,
        }
    }

    /// A linear layer sees the image only when it is the first.
    fn kind(&self, index: usize, tensor: &Tensor) -> &'static str {
        let features: usize = self.sample.iter().product();
        match *tensor.shape.as_slice() {
            [_, inputs] if index == 0 && inputs as usize == features && self.image().is_some() => "filters",
            [_, height, width, _] if height > 1 && width > 1 => "filters",
            [_, _, ..] => "matrix",
            _ => "vector",
        }
    }

    /// Means over the channels, a tile a unit.
    fn filters(&self, tensor: &Tensor, values: &[i32]) -> (usize, usize, usize, usize, Vec<f32>) {
        let units = tensor.shape[0] as usize;
        let (height, width) = match *tensor.shape.as_slice() {
            [_, height, width, _] => (height as usize, width as usize),
            _ => self.image().unwrap_or((1, 1)),
        };
        let (tiles, area) = (units.min(TILES_MAX), height * width);
        let unit = values.len() / units.max(1);
        let channels = (unit / area.max(1)).max(1);
        let mut cells = Vec::with_capacity(tiles * area);
        for unit in values.chunks(unit.max(1)).take(tiles) {
            for cell in 0..area {
                let sum: f32 = (0..channels).map(|c| unit.get(cell * channels + c).map_or(0.0, |&v| to_f32(v))).sum();
                cells.push(sum / channels as f32);
            }
        }
        (units, tiles, width, height, cells)
    }
}

/// Rows are units; of more dimensions the last ones make the columns.
fn matrix(tensor: &Tensor, values: &[i32]) -> (usize, usize, usize, usize, Vec<f32>) {
    let rows = tensor.shape[0] as usize;
    let columns = values.len() / rows.max(1);
    let (height, width) = (rows.min(SIDE_MAX), columns.min(SIDE_MAX));
    let block = |i: usize, n: usize, of: usize| i * of / n..((i + 1) * of).div_ceil(n).min(of);
    let mut cells = Vec::with_capacity(height * width);
    for y in 0..height {
        for x in 0..width {
            let (mut sum, mut count) = (0.0, 0u32);
            for row in block(y, height, rows) {
                for column in block(x, width, columns) {
                    sum += to_f32(values[row * columns + column]);
                    count += 1;
                }
            }
            cells.push(sum / count.max(1) as f32);
        }
    }
    (rows, 1, width, height, cells)
}

fn vector(values: &[i32]) -> (usize, usize, usize, usize, Vec<f32>) {
    let cells: Vec<f32> = values.iter().take(SIDE_MAX).map(|&value| to_f32(value)).collect();
    (values.len(), 1, cells.len(), 1, cells)
}

fn describe(index: usize, tensor: &Tensor, values: &[i32], picture: &'static str) -> Described {
    let n = values.len().max(1) as f64;
    let number = |&value: &i32| f64::from(to_f32(value));
    let mean = values.iter().map(number).sum::<f64>() / n;
    let variance = values.iter().map(|value| (number(value) - mean).powi(2)).sum::<f64>() / n;
    let (least, greatest) = values.iter().fold((i32::MAX, i32::MIN), |(a, b), &value| (a.min(value), b.max(value)));
    let (least, greatest) = if values.is_empty() { (0.0, 0.0) } else { (to_f32(least), to_f32(greatest)) };
    let range = least.abs().max(greatest.abs());
    let mut histogram = vec![0; BARS];
    for &value in values {
        let place = (to_f32(value) / range.max(f32::MIN_POSITIVE) + 1.0) / 2.0 * BARS as f32;
        histogram[(place as usize).min(BARS - 1)] += 1;
    }
    Described {
        index,
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        parameters: values.len(),
        mean: mean as f32,
        deviation: variance.sqrt() as f32,
        least,
        greatest,
        histogram,
        range,
        picture,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use protocol::id::Hash;

    use super::*;

    const ONE: i32 = 1 << 24;

    fn model() -> (Model, Shown) {
        let tensor = |name: &str, shape: &[u32]| Tensor { name: name.into(), shape: shape.to_vec() };
        let tensors =
            vec![tensor("layers.0.weight", &[3, 16]), tensor("layers.0.bias", &[3]), tensor("head", &[400, 3])];
        let schema = Schema { tensors };
        let base = (0..schema.parameters() as i32).map(|i| i % 16 * ONE / 16).collect();
        let model = Model { schema, sample: vec![16], classes: 3 };
        (model, Shown { base, heard: Hash::ZERO, samples: 0, steps: 0, epoch: 0 })
    }

    fn cells(picture: &Picture) -> Vec<i8> {
        STANDARD.decode(&picture.cells).unwrap().into_iter().map(|byte| byte as i8).collect()
    }

    #[test]
    fn units_of_the_first_layer_are_images() {
        let (model, shown) = model();
        let picture = model.picture(&shown, 0).unwrap();
        assert_eq!((picture.kind, picture.tiles, picture.width, picture.height), ("filters", 3, 4, 4));
        let cells = cells(&picture);
        assert_eq!((cells.len(), cells[0], cells[15], cells[31]), (48, 0, 127, 127));
        assert!((picture.scale - 15.0 / 16.0).abs() < 1e-6);
        assert!(model.picture(&shown, 3).is_none());
    }

    #[test]
    fn a_large_matrix_is_drawn_by_means_and_every_value_counts_once() {
        let (model, mut shown) = model();
        let head = 3 * 16 + 3;
        shown.base[head..].fill(ONE);
        let picture = model.picture(&shown, 2).unwrap();
        assert_eq!((picture.kind, picture.width, picture.height, picture.units), ("matrix", 3, SIDE_MAX, 400));
        assert!(cells(&picture).iter().all(|cell| *cell == 127), "the mean of ones is one");
        let described = model.describe(&shown);
        assert_eq!((described.len(), described[2].parameters, described[2].mean), (3, 1200, 1.0));
        assert_eq!(described[2].histogram.iter().sum::<u32>(), 1200);
        assert_eq!(described[1].picture, "vector");
    }

    #[test]
    fn kernels_of_a_convolution_are_images_with_their_channels_beside_each_other() {
        let tensors = vec![Tensor { name: "stem.weight".into(), shape: vec![2, 3, 3, 2] }];
        let model = Model { schema: Schema { tensors }, sample: vec![8, 8, 2], classes: 3 };
        // Channel 0 is the place, channel 1 is nothing.
        let base = (0..36).map(|i| if i % 2 == 0 { i / 2 % 9 * ONE } else { 0 }).collect();
        let shown = Shown { base, heard: Hash::ZERO, samples: 0, steps: 0, epoch: 0 };
        let picture = model.picture(&shown, 0).unwrap();
        assert_eq!((picture.kind, picture.tiles, picture.width, picture.height), ("filters", 2, 3, 3));
        assert_eq!((cells(&picture)[8], cells(&picture)[17], picture.scale), (127, 127, 4.0));
    }

    #[test]
    fn a_copy_of_another_length_is_no_panic() {
        let (model, mut shown) = model();
        shown.base.truncate(20);
        assert!(model.picture(&shown, 0).is_none());
        assert_eq!(model.describe(&shown).len(), 0);
    }
}
