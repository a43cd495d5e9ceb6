//! Which kernel multiplies: the presets of the products of linear layers and convolutions, and the choice among them by device and
//! shape. A convolution is a product of patches and weights.
//!
//! All presets of a product take the same arguments and words and compute the same sums; what is fastest depends on the device and on
//! the extents. A device has [`Choices`]: by the rule of its class where nobody has measured, and what `engine::tune` found where
//! somebody has. They are data: who opens a device hands them over ([`super::Executor::choose`]) before anything is recorded. A recording
//! keeps the kernels it was made of, so two runs with the same choices on one device are equal to the bit.
//!
//! Add a preset: a variant, a line in [`Preset::ALL`] and one in its kernels; raise [`VERSION`], so that what was measured is measured
//! again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DeviceInfo, Dispatch};
use crate::kernels::conv2d_backward_input::Conv2dBackwardInput;
use crate::kernels::conv2d_backward_input_wide::Conv2dBackwardInputWide;
use crate::kernels::conv2d_backward_weight::Conv2dBackwardWeight;
use crate::kernels::conv2d_backward_weight_wide::Conv2dBackwardWeightWide;
use crate::kernels::conv2d_forward::Conv2dForward;
use crate::kernels::conv2d_forward_wide::Conv2dForwardWide;
use crate::kernels::linear_backward_input::LinearBackwardInput;
use crate::kernels::linear_backward_input_wide::LinearBackwardInputWide;
use crate::kernels::linear_backward_weight::LinearBackwardWeight;
use crate::kernels::linear_backward_weight_wide::LinearBackwardWeightWide;
use crate::kernels::linear_forward::LinearForward;
use crate::kernels::linear_forward_wide::LinearForwardWide;
use crate::kernels::tiles::Tile;
use crate::kernels::{
    Cost, GROUPS_AXIS_MAX, Kernel, WORDS, conv2d_backward_input_tiled as conv_input,
    conv2d_backward_weight_tiled as conv_weight, conv2d_forward_tiled as conv_forward,
    linear_backward_input_tiled as input, linear_backward_weight_tiled as weight, linear_forward_tiled as forward,
    tiles,
};

/// Of the presets and the classes: what was measured of another version says nothing.
pub const VERSION: u32 = 1;

/// Workgroups that keep a large GPU busy (an H100 has 132 multiprocessors).
const GROUPS_WANTED: u32 = 128;
/// Least depth of a part of a sum.
const PART_DEPTH: u32 = 128;
/// Most parts of a sum.
const PARTS_MAX: u32 = 64;
/// Most words of all parts: 16 MiB. More results than that keep a GPU busy by themselves.
const PARTS_WORDS_MAX: u32 = 4 << 20;

/// Loops of a plain kernel may go round so often; beyond it tiles do, which take sixteen terms of a sum at a time. Software Vulkan ends
/// loops that go on for longer, without a word; on a GPU tiles are what is wanted anyway.
const PLAIN_TURNS_MAX: u64 = 65_000;

/// The products of a linear layer and of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// X W^T
    Forward,
    /// dY W
    BackwardInput,
    /// dY^T X
    BackwardWeight,
    /// Patches and weights.
    ConvForward,
    /// What saw each pixel, and weights.
    ConvBackwardInput,
    /// dY^T and patches, in parts.
    ConvBackwardWeight,
}

impl Product {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Forward,
        Self::BackwardInput,
        Self::BackwardWeight,
        Self::ConvForward,
        Self::ConvBackwardInput,
        Self::ConvBackwardWeight,
    ];

    /// Whether it is one of patches.
    fn of_convolution(self) -> bool {
        matches!(self, Self::ConvForward | Self::ConvBackwardInput | Self::ConvBackwardWeight)
    }

    /// Its plain kernel.
    #[must_use]
    pub fn name(self) -> &'static str {
        Preset::Plain.kernel(self, false).name()
    }
}

/// A way to compute a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Registers alone.
    #[default]
    Plain,
    /// [`tiles::SMALL`]
    #[serde(rename = "tile_32")]
    Tile32,
    /// [`tiles::MEDIUM`]
    #[serde(rename = "tile_64")]
    Tile64,
    /// [`tiles::LARGE`]
    #[serde(rename = "tile_128")]
    Tile128,
    /// [`tiles::SMALL`], sums in parts.
    #[serde(rename = "split_32")]
    Split32,
    /// [`tiles::MEDIUM`], sums in parts.
    #[serde(rename = "split_64")]
    Split64,
    /// [`tiles::MEDIUM_HALF`], sums in parts. Never chosen by what was measured, nor read from a file: other numbers come out.
    #[serde(skip)]
    Half64,
}

impl Preset {
    /// All that compute in f32, and one line about each.
    pub const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Plain, "plain", "registers alone: software Vulkan"),
        (Self::Tile32, "tile_32", "workgroup tiles of 32 x 32 results, 4 x 4 a thread"),
        (Self::Tile64, "tile_64", "64 x 64, 8 x 4 a thread"),
        (Self::Tile128, "tile_128", "128 x 128, 8 x 8 a thread"),
        (Self::Split32, "split_32", "tile_32 with the sums of a weight's gradient in parts"),
        (Self::Split64, "split_64", "tile_64 with the sums of a weight's gradient in parts"),
    ];

    /// The one for [`Precision::F16`], in the same way.
    pub const HALF: (Self, &'static str, &'static str) =
        (Self::Half64, "half_64", "split_64 with operands of f16, where training.precision asks for it");

    /// As in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.iter().chain([&Self::HALF]);
        all.find(|(preset, ..)| *preset == self).map_or("", |(_, name, _)| name)
    }

    /// Its kernel; `wide` reads four numbers at a time.
    #[must_use]
    pub fn kernel(self, product: Product, wide: bool) -> &'static dyn Kernel {
        let [narrow, four]: [&'static dyn Kernel; 2] = match (self, product) {
            (Self::Plain, Product::Forward) => [&LinearForward, &LinearForwardWide],
            (Self::Plain, Product::BackwardInput) => [&LinearBackwardInput, &LinearBackwardInputWide],
            (Self::Plain, Product::BackwardWeight) => [&LinearBackwardWeight, &LinearBackwardWeightWide],
            (Self::Plain, Product::ConvForward) => [&Conv2dForward, &Conv2dForwardWide],
            (Self::Plain, Product::ConvBackwardInput) => [&Conv2dBackwardInput, &Conv2dBackwardInputWide],
            (Self::Plain, Product::ConvBackwardWeight) => [&Conv2dBackwardWeight, &Conv2dBackwardWeightWide],
            (Self::Tile32 | Self::Split32, Product::Forward) => [&forward::TILED_32, &forward::WIDE_32],
            (Self::Tile32 | Self::Split32, Product::BackwardInput) => [&input::TILED_32, &input::WIDE_32],
            (Self::Tile32 | Self::Split32, Product::BackwardWeight) => [&weight::TILED_32, &weight::WIDE_32],
            (Self::Tile32 | Self::Split32, Product::ConvForward) => [&conv_forward::TILED_32, &conv_forward::WIDE_32],
            (Self::Tile32 | Self::Split32, Product::ConvBackwardInput) => [&conv_input::TILED_32, &conv_input::WIDE_32],
            (Self::Tile32 | Self::Split32, Product::ConvBackwardWeight) => {
                [&conv_weight::TILED_32, &conv_weight::WIDE_32]
            }
            (Self::Tile64 | Self::Split64, Product::Forward) => [&forward::TILED_64, &forward::WIDE_64],
            (Self::Tile64 | Self::Split64, Product::BackwardInput) => [&input::TILED_64, &input::WIDE_64],
            (Self::Tile64 | Self::Split64, Product::BackwardWeight) => [&weight::TILED_64, &weight::WIDE_64],
            (Self::Tile64 | Self::Split64, Product::ConvForward) => [&conv_forward::TILED_64, &conv_forward::WIDE_64],
            (Self::Tile64 | Self::Split64, Product::ConvBackwardInput) => [&conv_input::TILED_64, &conv_input::WIDE_64],
            (Self::Tile64 | Self::Split64, Product::ConvBackwardWeight) => {
                [&conv_weight::TILED_64, &conv_weight::WIDE_64]
            }
            (Self::Half64, Product::Forward) => [&forward::HALF_64, &forward::HALF_WIDE_64],
            (Self::Half64, Product::BackwardInput) => [&input::HALF_64, &input::HALF_WIDE_64],
            (Self::Half64, Product::BackwardWeight) => [&weight::HALF_64, &weight::HALF_WIDE_64],
            (Self::Half64, Product::ConvForward) => [&conv_forward::HALF_64, &conv_forward::HALF_WIDE_64],
            (Self::Half64, Product::ConvBackwardInput) => [&conv_input::HALF_64, &conv_input::HALF_WIDE_64],
            (Self::Half64, Product::ConvBackwardWeight) => [&conv_weight::HALF_64, &conv_weight::HALF_WIDE_64],
            (Self::Tile128, Product::Forward) => [&forward::TILED_128, &forward::WIDE_128],
            (Self::Tile128, Product::BackwardInput) => [&input::TILED_128, &input::WIDE_128],
            (Self::Tile128, Product::BackwardWeight) => [&weight::TILED_128, &weight::WIDE_128],
            (Self::Tile128, Product::ConvForward) => [&conv_forward::TILED_128, &conv_forward::WIDE_128],
            (Self::Tile128, Product::ConvBackwardInput) => [&conv_input::TILED_128, &conv_input::WIDE_128],
            (Self::Tile128, Product::ConvBackwardWeight) => [&conv_weight::TILED_128, &conv_weight::WIDE_128],
        };
        if wide { four } else { narrow }
    }

    /// Into how many parts it splits the sums of a product.
    #[must_use]
    pub fn parts(self, shape: &Shape) -> u32 {
        let splits = matches!(self, Self::Split32 | Self::Split64 | Self::Half64);
        let Some(tile) = self.tile().filter(|_| splits && shape.product == Product::BackwardWeight) else { return 1 };
        let [.., depth] = shape.extents();
        let most = (depth / PART_DEPTH).min(PARTS_WORDS_MAX / shape.gradient().max(1)).min(PARTS_MAX);
        (2 * GROUPS_WANTED / shape.groups(tile.side).max(1)).min(most).max(1)
    }

    /// Its tiles, where it has some.
    fn tile(self) -> Option<Tile> {
        match self {
            Self::Plain => None,
            Self::Tile32 | Self::Split32 => Some(tiles::SMALL),
            Self::Tile64 | Self::Split64 => Some(tiles::MEDIUM),
            Self::Half64 => Some(tiles::MEDIUM_HALF),
            Self::Tile128 => Some(tiles::LARGE),
        }
    }

    /// Whether every device dispatches all of its workgroups. Where both axes have a meaning nothing folds ([`Grid::groups`]): only the
    /// plain kernels of a convolution do, for any number of patches.
    fn dispatches(self, shape: &Shape) -> bool {
        let [rows, columns, _] = shape.extents();
        let parts = if shape.product == Product::ConvBackwardWeight { shape.words[12] } else { self.parts(shape) };
        let grid = match self.tile() {
            Some(tile) => tile.grid(rows, columns, parts),
            None if shape.product.of_convolution() => return true,
            None => self.kernel(shape.product, shape.wide).grid(&shape.words),
        };
        grid.groups().into_iter().all(|groups| groups <= GROUPS_AXIS_MAX)
    }

    /// Whether it is another one than those before it for such a product.
    #[must_use]
    pub fn fits(self, shape: &Shape) -> bool {
        !matches!(self, Self::Split32 | Self::Split64) || self.parts(shape) > 1
    }
}

/// In what the operands of products are kept while they are multiplied. Everything else is f32, and so are all sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 24 bits.
    #[default]
    F32,
    /// 11 bits, where a device has it: [`Preset::Half64`].
    F16,
}

impl Precision {
    /// All of them, and one line about each.
    pub const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::F32, "f32", "products in single precision"),
        (Self::F16, "f16", "operands of products rounded to half precision, sums in f32, on a GPU that has it"),
    ];

    /// As in a job file.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(precision, ..)| *precision == self).map_or("", |(_, name, _)| name)
    }

    /// Whether a device has it.
    #[must_use]
    pub fn fits(self, info: &DeviceInfo) -> bool {
        self == Self::F32 || info.f16
    }
}

/// A product of a layer, by the words of its plain kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Which.
    pub product: Product,
    /// Whether all that is read begins at multiples of four.
    pub wide: bool,
    /// See its kernel.
    pub words: [u32; WORDS],
}

impl Shape {
    /// The product of a dispatch with these words; missing ones are 0.
    #[must_use]
    pub fn new(product: Product, wide: bool, words: &[u32]) -> Self {
        let mut all = [0; WORDS];
        all[..words.len()].copy_from_slice(words);
        Self { product, wide, words: all }
    }

    /// The product of a dispatch, where it is one by a plain kernel.
    #[must_use]
    pub fn of(dispatch: &Dispatch) -> Option<Self> {
        let kinds = Product::ALL.into_iter().flat_map(|product| [(product, false), (product, true)]);
        let named =
            |(product, wide): &(Product, bool)| Preset::Plain.kernel(*product, *wide).name() == dispatch.kernel.name();
        kinds.into_iter().find(named).map(|(product, wide)| Self { product, wide, words: dispatch.words })
    }

    /// Rows and columns of its results, terms of a sum.
    #[must_use]
    pub fn extents(&self) -> [u32; 3] {
        let [m, n, k, ..] = self.words;
        // Of a convolution.
        let [samples, height, width, channels, out_height, out_width, outputs, _, kernel, ..] = self.words;
        let all = |factors: [u32; 3]| factors.into_iter().fold(1, u32::saturating_mul);
        let (patches, patch) = (all([samples, out_height, out_width]), all([kernel, kernel, channels]));
        match self.product {
            Product::Forward => [m, n, k],
            Product::BackwardInput => [m, k, n],
            Product::BackwardWeight => [n, k, m],
            Product::ConvForward => [patches, outputs, patch],
            Product::ConvBackwardInput => [all([samples, height, width]), channels, all([kernel, kernel, outputs])],
            Product::ConvBackwardWeight => [outputs, patch, patches],
        }
    }

    /// What it asks for.
    #[must_use]
    pub fn cost(&self) -> Cost {
        Preset::Plain.kernel(self.product, self.wide).cost(&self.words)
    }

    /// Words of the gradient of weights and bias.
    fn gradient(&self) -> u32 {
        let [rows, columns, _] = self.extents();
        rows.saturating_mul(columns.saturating_add(1))
    }

    /// Tiles of that side in its results.
    fn groups(&self, side: u32) -> u32 {
        let [rows, columns, _] = self.extents();
        rows.div_ceil(side).saturating_mul(columns.div_ceil(side))
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        let up = |extent: u32| extent.checked_next_power_of_two().unwrap_or(u32::MAX);
        let [rows, columns, depth] = self.extents().map(up);
        Class { product: self.product, wide: self.wide, rows, columns, depth }
    }
}

/// Products that are as large to a factor of two: one choice for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Which.
    pub product: Product,
    /// See [`Shape::wide`].
    pub wide: bool,
    /// At most, a power of two; so are the others.
    pub rows: u32,
    /// At most.
    pub columns: u32,
    /// At most.
    pub depth: u32,
}

/// What multiplies on a device. See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    rule: Rule,
    tuned: BTreeMap<Class, Preset>,
    /// See [`Choices::shares_memory`].
    shares_memory: bool,
}

/// What multiplies where nobody has measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Always this one.
    Always(Preset),
    /// By extents, as a large GPU would have it: see [`tiled`].
    Tiles,
}

impl Default for Choices {
    fn default() -> Self {
        Self::PLAIN
    }
}

impl Choices {
    /// Registers alone, whatever the shape.
    pub const PLAIN: Self = Self::always(Preset::Plain);

    /// One preset for all, on a device on which workgroups share memory if the preset's do.
    #[must_use]
    pub const fn always(preset: Preset) -> Self {
        Self { rule: Rule::Always(preset), tuned: BTreeMap::new(), shares_memory: !matches!(preset, Preset::Plain) }
    }

    /// [`Precision::F16`] on a device that has it: the products alone, for what else pays there is the same.
    #[must_use]
    pub fn half(info: &DeviceInfo) -> Self {
        Self { rule: Rule::Always(Preset::Half64), ..Self::untuned(info) }
    }

    /// Of a device that nobody has measured: tiles where it is a real GPU.
    #[must_use]
    pub fn untuned(info: &DeviceInfo) -> Self {
        if info.software || info.backend == "cpu" {
            return Self::PLAIN;
        }
        Self { rule: Rule::Tiles, tuned: BTreeMap::new(), shares_memory: true }
    }

    /// The same with what was measured.
    #[must_use]
    pub fn with(mut self, tuned: BTreeMap<Class, Preset>) -> Self {
        self.tuned.extend(tuned);
        self
    }

    /// Whether workgroups that share memory pay on it: not on a software driver.
    #[must_use]
    pub fn shares_memory(&self) -> bool {
        self.shares_memory
    }

    /// What was measured.
    #[must_use]
    pub fn tuned(&self) -> &BTreeMap<Class, Preset> {
        &self.tuned
    }

    /// What multiplies.
    #[must_use]
    pub fn preset(&self, shape: &Shape) -> Preset {
        let chosen = self.tuned.get(&shape.class()).copied().unwrap_or_else(|| match self.rule {
            Rule::Always(preset) => preset,
            Rule::Tiles => tiled(shape),
        });
        let turns = Preset::Plain.kernel(shape.product, shape.wide).turns(&shape.words);
        let chosen = if chosen == Preset::Plain && turns > PLAIN_TURNS_MAX { Preset::Split32 } else { chosen };
        // Larger tiles are fewer; where even they are too many for an axis, what folds is left.
        let others = [Preset::Tile64, Preset::Tile128, Preset::Plain];
        [chosen].into_iter().chain(others).find(|preset| preset.dispatches(shape)).unwrap_or(chosen)
    }
}

/// The largest tiles that still keep a GPU busy and are not mostly empty; where even the small ones are few, long sums in parts.
fn tiled(shape: &Shape) -> Preset {
    let [rows, columns, _] = shape.extents();
    let least = rows.min(columns);
    if least > tiles::MEDIUM.side && shape.groups(tiles::LARGE.side) >= GROUPS_WANTED {
        Preset::Tile128
    } else if least > tiles::SMALL.side && shape.groups(tiles::MEDIUM.side) >= GROUPS_WANTED / 2 {
        Preset::Tile64
    } else if shape.groups(tiles::SMALL.side) < GROUPS_WANTED && Preset::Split32.fits(shape) {
        Preset::Split32
    } else {
        Preset::Tile32
    }
}

#[cfg(test)]
mod tests;
