//! The tensors of a copy of the base as the dashboard shows them: figures, histograms of weights and gradients, and a picture ([`crate::inference::tiles`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::event::{Gradient, Shown};
use protocol::fixed::to_f32;
use serde::Serialize;

pub use crate::inference::tiles::Model;
use crate::inference::tiles::{Kind, Tiles};

/// Bars of a histogram.
const BARS: usize = 41;
/// Most tensors that are described; a model has more only when it is very deep.
const TENSORS_MAX: usize = 512;
/// Largest value of a cell.
const CELL_MAX: f32 = 127.0;

/// A tensor, as `GET /v1/model` describes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Described {
    index: usize,
    name: String,
    shape: Vec<u32>,
    parameters: usize,
    #[serde(flatten)]
    figures: Figures,
    /// `filters`, `matrix`, `vector`.
    picture: &'static str,
    /// Of the gradient in its place; null until one was shown.
    gradient: Option<Figures>,
}

/// What a row of numbers is like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    mean: f32,
    deviation: f32,
    least: f32,
    greatest: f32,
    /// Counts of equal steps from `-range` to `range`.
    histogram: Vec<u32>,
    range: f32,
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

/// Range and counts.
pub(super) type Histogram = (f32, Vec<u32>);

impl Described {
    /// Of the weights, and of the gradient.
    pub(super) fn histograms(self) -> (Histogram, Option<Histogram>) {
        (self.figures.shortened(), self.gradient.map(Figures::shortened))
    }
}

impl Figures {
    /// What is finite of them: a step that burst has gradients that are not, and the peer says so elsewhere.
    fn of(values: impl Iterator<Item = f32> + Clone) -> Self {
        let values = values.filter(|value| value.is_finite());
        let n = values.clone().count().max(1) as f64;
        let mean = values.clone().map(f64::from).sum::<f64>() / n;
        let variance = values.clone().map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / n;
        let ends = values.clone().map(|value| (value, value)).reduce(|(a, b), (value, _)| (a.min(value), b.max(value)));
        let (least, greatest) = ends.unwrap_or_default();
        let range = least.abs().max(greatest.abs());
        let mut histogram = vec![0; BARS];
        for value in values {
            let place = (value / range.max(f32::MIN_POSITIVE) + 1.0) / 2.0 * BARS as f32;
            histogram[(place as usize).min(BARS - 1)] += 1;
        }
        Self { mean: mean as f32, deviation: variance.sqrt() as f32, least, greatest, histogram, range }
    }

    fn shortened(self) -> Histogram {
        (self.range, self.histogram)
    }
}

impl Model {
    /// All tensors of a copy, and of a gradient where one is known.
    pub(super) fn describe(&self, shown: &Shown, gradient: Option<&Gradient>) -> Vec<Described> {
        let mut rest = shown.base.as_slice();
        let mut slopes = gradient.map_or(&[][..], |gradient| &gradient.values);
        let mut described = Vec::new();
        for (index, tensor) in self.schema.tensors.iter().enumerate().take(TENSORS_MAX) {
            let Some((values, after)) = rest.split_at_checked(tensor.elements()) else { break };
            rest = after;
            let kind = self.kind(index).map_or("vector", Kind::name);
            let slope = slopes.split_off(..tensor.elements()).map(|slope| Figures::of(slope.iter().copied()));
            described.push(Described {
                index,
                name: tensor.name.clone(),
                shape: tensor.shape.clone(),
                parameters: values.len(),
                figures: Figures::of(values.iter().map(|&value| to_f32(value))),
                picture: kind,
                gradient: slope,
            });
        }
        described
    }

    /// The picture of a tensor of a copy; `None` where there is no such tensor.
    pub(super) fn picture(&self, shown: &Shown, index: usize) -> Option<Picture> {
        let values: Vec<f32> = shown.base.get(self.place(index)?)?.iter().map(|&value| to_f32(value)).collect();
        let Tiles { kind, units, tiles, width, height, cells } = self.tiles(index, &values)?;
        let scale = cells.iter().fold(0.0f32, |most, cell| most.max(cell.abs()));
        let over = if scale > 0.0 { CELL_MAX / scale } else { 0.0 };
        let bytes: Vec<u8> = cells.iter().map(|cell| (cell * over).round() as i8 as u8).collect();
        let cells = STANDARD.encode(bytes);
        let (base_hash, name) = (String::new(), self.schema.tensors.get(index)?.name.clone());
        Some(Picture { base_hash, name, kind: kind.name(), tiles, units, width, height, scale, cells })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use protocol::id::Hash;
    use protocol::schema::{Schema, Tensor};

    use super::*;
    use crate::inference::tiles::SIDE_MAX;

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
        let described = model.describe(&shown, None);
        assert_eq!((described.len(), described[2].parameters, described[2].figures.mean), (3, 1200, 1.0));
        assert_eq!(described[2].figures.histogram.iter().sum::<u32>(), 1200);
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
    fn a_gradient_stands_beside_its_tensor_and_what_is_not_finite_is_left_out() {
        let (model, shown) = model();
        let mut values = vec![0.0; shown.base.len()];
        values[3 * 16..3 * 16 + 3].copy_from_slice(&[-2.0, 1.0, f32::NAN]);
        let described = model.describe(&shown, Some(&Gradient { values, steps: 1, epoch: 0 }));
        let bias = described[1].gradient.as_ref().unwrap();
        assert_eq!((bias.least, bias.greatest, bias.range, bias.mean), (-2.0, 1.0, 2.0, -0.5));
        assert_eq!((bias.histogram[0], bias.histogram.iter().sum::<u32>()), (1, 2));
        assert_eq!(described[0].gradient.as_ref().map(|flat| (flat.range, flat.histogram[BARS / 2])), Some((0.0, 48)));
        let short = model.describe(&shown, Some(&Gradient { values: vec![1.0; 50], steps: 1, epoch: 0 }));
        assert!(short[0].gradient.is_some() && short[1].gradient.is_none(), "one of another length is no panic");
    }

    #[test]
    fn a_copy_of_another_length_is_no_panic() {
        let (model, mut shown) = model();
        shown.base.truncate(20);
        assert!(model.picture(&shown, 0).is_none());
        assert_eq!(model.describe(&shown, None).len(), 0);
    }
}
