//! The weights of a tensor as cells: what a layer has learnt to look for. For the dashboard and for `starling plot`.
//!
//! ```text
//! the first layer of an image model   one tile a unit, as large as the image (or a kernel of a convolution), means over channels
//! any other matrix [n, k]             itself, rows are units; means of blocks where it is larger than a screen
//! a vector                            one row
//! ```

use protocol::schema::{Schema, Tensor};

/// Most tiles of a picture.
const TILES_MAX: usize = 64;
/// Longest side of a matrix in a picture.
pub const SIDE_MAX: usize = 160;

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

/// How the cells of a tensor lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tile a unit.
    Filters,
    /// A row a unit.
    Matrix,
    /// One row.
    Vector,
}

impl Kind {
    /// As JSON says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Filters => "filters",
            Self::Matrix => "matrix",
            Self::Vector => "vector",
        }
    }
}

/// The cells of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiles {
    /// How they lie.
    pub kind: Kind,
    /// Units of which these tiles are the first.
    pub units: usize,
    /// Tiles, each `height` rows of `width` cells, one after the other.
    pub tiles: usize,
    /// Cells of a row.
    pub width: usize,
    /// Rows of a tile.
    pub height: usize,
    /// Weights, [tiles, height, width].
    pub cells: Vec<f32>,
}

impl Model {
    /// Where the tensor lies in the base.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<std::ops::Range<usize>> {
        let tensor = self.schema.tensors.get(index)?;
        let begin: usize = self.schema.tensors[..index].iter().map(Tensor::elements).sum();
        Some(begin..begin + tensor.elements())
    }

    /// The cells of a tensor from its values, in buffer order; `None` where there is no such tensor, or its values are others in number.
    #[must_use]
    pub fn tiles(&self, index: usize, values: &[f32]) -> Option<Tiles> {
        let tensor = self.schema.tensors.get(index).filter(|tensor| tensor.elements() == values.len())?;
        let kind = self.kind(index)?;
        let (units, tiles, width, height, cells) = match kind {
            Kind::Filters => self.filters(tensor, values),
            Kind::Matrix => matrix(tensor, values),
            Kind::Vector => vector(values),
        };
        Some(Tiles { kind, units, tiles, width, height, cells })
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
    #[must_use]
    pub fn kind(&self, index: usize) -> Option<Kind> {
        let features: usize = self.sample.iter().product();
        Some(match *self.schema.tensors.get(index)?.shape.as_slice() {
            [_, inputs] if index == 0 && inputs as usize == features && self.image().is_some() => Kind::Filters,
            [_, height, width, _] if height > 1 && width > 1 => Kind::Filters,
            [_, _, ..] => Kind::Matrix,
            _ => Kind::Vector,
        })
    }

    /// Means over the channels, a tile a unit.
    fn filters(&self, tensor: &Tensor, values: &[f32]) -> (usize, usize, usize, usize, Vec<f32>) {
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
                let sum: f32 = (0..channels).map(|c| unit.get(cell * channels + c).copied().unwrap_or(0.0)).sum();
                cells.push(sum / channels as f32);
            }
        }
        (units, tiles, width, height, cells)
    }
}

/// Rows are units; of more dimensions the last ones make the columns.
fn matrix(tensor: &Tensor, values: &[f32]) -> (usize, usize, usize, usize, Vec<f32>) {
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
                    sum += values[row * columns + column];
                    count += 1;
                }
            }
            cells.push(sum / count.max(1) as f32);
        }
    }
    (rows, 1, width, height, cells)
}

fn vector(values: &[f32]) -> (usize, usize, usize, usize, Vec<f32>) {
    let cells: Vec<f32> = values.iter().take(SIDE_MAX).copied().collect();
    (values.len(), 1, cells.len(), 1, cells)
}
