//! Which kernel multiplies: the presets of a linear layer's products, and the choice among them by device and shape.
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
use crate::kernels::linear_backward_input::LinearBackwardInput;
use crate::kernels::linear_backward_input_wide::LinearBackwardInputWide;
use crate::kernels::linear_backward_weight::LinearBackwardWeight;
use crate::kernels::linear_backward_weight_wide::LinearBackwardWeightWide;
use crate::kernels::linear_forward::LinearForward;
use crate::kernels::linear_forward_wide::LinearForwardWide;
use crate::kernels::{
    Cost, Kernel, linear_backward_input_tiled as input, linear_backward_weight_tiled as weight,
    linear_forward_tiled as forward, tiles,
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

/// The products of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// X W^T
    Forward,
    /// dY W
    BackwardInput,
    /// dY^T X
    BackwardWeight,
}

impl Product {
    /// As in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::BackwardInput => "backward_input",
            Self::BackwardWeight => "backward_weight",
        }
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
}

impl Preset {
    /// All of them, and one line about each.
    pub const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Plain, "plain", "registers alone: software Vulkan"),
        (Self::Tile32, "tile_32", "workgroup tiles of 32 x 32 results, 4 x 4 a thread"),
        (Self::Tile64, "tile_64", "64 x 64, 8 x 4 a thread"),
        (Self::Tile128, "tile_128", "128 x 128, 8 x 8 a thread"),
        (Self::Split32, "split_32", "tile_32 with the sums of a weight's gradient in parts"),
        (Self::Split64, "split_64", "tile_64 with the sums of a weight's gradient in parts"),
    ];

    /// As in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(preset, ..)| *preset == self).map_or("", |(_, name, _)| name)
    }

    /// Its kernel; `wide` reads four numbers at a time.
    #[must_use]
    pub fn kernel(self, product: Product, wide: bool) -> &'static dyn Kernel {
        let [narrow, four]: [&'static dyn Kernel; 2] = match (self, product) {
            (Self::Plain, Product::Forward) => [&LinearForward, &LinearForwardWide],
            (Self::Plain, Product::BackwardInput) => [&LinearBackwardInput, &LinearBackwardInputWide],
            (Self::Plain, Product::BackwardWeight) => [&LinearBackwardWeight, &LinearBackwardWeightWide],
            (Self::Tile32 | Self::Split32, Product::Forward) => [&forward::TILED_32, &forward::WIDE_32],
            (Self::Tile32 | Self::Split32, Product::BackwardInput) => [&input::TILED_32, &input::WIDE_32],
            (Self::Tile32 | Self::Split32, Product::BackwardWeight) => [&weight::TILED_32, &weight::WIDE_32],
            (Self::Tile64 | Self::Split64, Product::Forward) => [&forward::TILED_64, &forward::WIDE_64],
            (Self::Tile64 | Self::Split64, Product::BackwardInput) => [&input::TILED_64, &input::WIDE_64],
            (Self::Tile64 | Self::Split64, Product::BackwardWeight) => [&weight::TILED_64, &weight::WIDE_64],
            (Self::Tile128, Product::Forward) => [&forward::TILED_128, &forward::WIDE_128],
            (Self::Tile128, Product::BackwardInput) => [&input::TILED_128, &input::WIDE_128],
            (Self::Tile128, Product::BackwardWeight) => [&weight::TILED_128, &weight::WIDE_128],
        };
        if wide { four } else { narrow }
    }

    /// Into how many parts it splits the sums of a product.
    #[must_use]
    pub fn parts(self, shape: &Shape) -> u32 {
        let tile = match self {
            Self::Split32 => tiles::SMALL,
            Self::Split64 => tiles::MEDIUM,
            _ => return 1,
        };
        if shape.product != Product::BackwardWeight {
            return 1;
        }
        let most = (shape.depth / PART_DEPTH).min(PARTS_WORDS_MAX / shape.gradient().max(1)).min(PARTS_MAX);
        (2 * GROUPS_WANTED / shape.groups(tile.side).max(1)).min(most).max(1)
    }

    /// Whether it is another one than those before it for such a product.
    #[must_use]
    pub fn fits(self, shape: &Shape) -> bool {
        !matches!(self, Self::Split32 | Self::Split64) || self.parts(shape) > 1
    }
}

/// A product of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Which.
    pub product: Product,
    /// Whether rows and weights begin at multiples of four.
    pub wide: bool,
    /// Of the results.
    pub rows: u32,
    /// Of the results.
    pub columns: u32,
    /// Terms of a sum.
    pub depth: u32,
}

impl Shape {
    /// The product of a layer of `k` inputs and `n` outputs for `m` rows.
    #[must_use]
    pub fn new(product: Product, wide: bool, [m, n, k]: [u32; 3]) -> Self {
        let [rows, columns, depth] = match product {
            Product::Forward => [m, n, k],
            Product::BackwardInput => [m, k, n],
            Product::BackwardWeight => [n, k, m],
        };
        Self { product, wide, rows, columns, depth }
    }

    /// The product of a dispatch, where it is one by a plain kernel.
    #[must_use]
    pub fn of(dispatch: &Dispatch) -> Option<Self> {
        let [m, n, k, ..] = dispatch.words;
        let all = [Product::Forward, Product::BackwardInput, Product::BackwardWeight];
        let kinds = all.into_iter().flat_map(|product| [(product, false), (product, true)]);
        let named =
            |(product, wide): &(Product, bool)| Preset::Plain.kernel(*product, *wide).name() == dispatch.kernel.name();
        kinds.into_iter().find(named).map(|(product, wide)| Self::new(product, wide, [m, n, k]))
    }

    /// M, N, K of its kernels' words.
    #[must_use]
    pub fn extents(&self) -> [u32; 3] {
        let Self { rows, columns, depth, .. } = *self;
        match self.product {
            Product::Forward => [rows, columns, depth],
            Product::BackwardInput => [rows, depth, columns],
            Product::BackwardWeight => [depth, rows, columns],
        }
    }

    /// What it asks for.
    #[must_use]
    pub fn cost(&self) -> Cost {
        Cost::product(self.rows, self.columns, self.depth)
    }

    /// Words of the gradient of weights and bias.
    fn gradient(&self) -> u32 {
        self.rows.saturating_mul(self.columns.saturating_add(1))
    }

    /// Tiles of that side in its results.
    fn groups(&self, side: u32) -> u32 {
        self.rows.div_ceil(side).saturating_mul(self.columns.div_ceil(side))
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        let Self { product, wide, .. } = *self;
        let up = |extent: u32| extent.checked_next_power_of_two().unwrap_or(u32::MAX);
        Class { product, wide, rows: up(self.rows), columns: up(self.columns), depth: up(self.depth) }
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

    /// One preset for all.
    #[must_use]
    pub const fn always(preset: Preset) -> Self {
        Self { rule: Rule::Always(preset), tuned: BTreeMap::new() }
    }

    /// Of a device that nobody has measured: tiles where it is a real GPU.
    #[must_use]
    pub fn untuned(info: &DeviceInfo) -> Self {
        let rule = if info.software || info.backend == "cpu" { Rule::Always(Preset::Plain) } else { Rule::Tiles };
        Self { rule, tuned: BTreeMap::new() }
    }

    /// The same with what was measured.
    #[must_use]
    pub fn with(mut self, tuned: BTreeMap<Class, Preset>) -> Self {
        self.tuned.extend(tuned);
        self
    }

    /// What was measured.
    #[must_use]
    pub fn tuned(&self) -> &BTreeMap<Class, Preset> {
        &self.tuned
    }

    /// What multiplies.
    #[must_use]
    pub fn preset(&self, shape: &Shape) -> Preset {
        self.tuned.get(&shape.class()).copied().unwrap_or_else(|| match self.rule {
            Rule::Always(preset) => preset,
            Rule::Tiles => tiled(shape),
        })
    }
}

/// The largest tiles that still keep a GPU busy; where even the small ones do not, long sums in parts.
fn tiled(shape: &Shape) -> Preset {
    if shape.groups(tiles::LARGE.side) >= GROUPS_WANTED {
        Preset::Tile128
    } else if shape.groups(tiles::MEDIUM.side) >= GROUPS_WANTED / 2 {
        Preset::Tile64
    } else if shape.groups(tiles::SMALL.side) < GROUPS_WANTED && Preset::Split32.fits(shape) {
        Preset::Split32
    } else {
        Preset::Tile32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTS: [Product; 3] = [Product::Forward, Product::BackwardInput, Product::BackwardWeight];

    #[test]
    fn every_preset_has_its_kernels_and_its_name() {
        let mut names = Vec::new();
        for (preset, name, _) in Preset::ALL {
            assert_eq!(preset.name(), *name);
            assert_eq!(serde_json::to_value(preset).ok(), Some((*name).into()));
            for product in PRODUCTS {
                for wide in [false, true] {
                    let kernel = preset.kernel(product, wide).name();
                    assert!(kernel.starts_with(&format!("linear_{}", product.name())), "{kernel}");
                    assert_eq!(kernel.contains("wide"), wide, "{kernel}");
                    assert!(crate::kernels::ALL.iter().any(|known| known.name() == kernel), "{kernel}");
                    names.push((kernel, *preset));
                }
            }
        }
        names.sort_unstable();
        names.dedup_by_key(|(kernel, _)| *kernel);
        assert_eq!(names.len(), 4 * 6, "four kernels for each product, narrow and wide");
    }

    #[test]
    fn a_shape_is_read_back_from_its_dispatch() {
        for product in PRODUCTS {
            for wide in [false, true] {
                let shape = Shape::new(product, wide, [5, 8, 12]);
                let buffers = [0, 1, 2].map(crate::engine::Buffer);
                let dispatch = Dispatch::new(Preset::Plain.kernel(product, wide), &buffers, &shape.extents());
                assert_eq!(Shape::of(&dispatch), Some(shape));
            }
        }
    }

    #[test]
    fn what_was_measured_goes_before_the_rule_and_for_its_class_alone() {
        let gpu = DeviceInfo { backend: "vulkan".into(), ..DeviceInfo::default() };
        let software = DeviceInfo { software: true, ..gpu.clone() };
        let shape = Shape::new(Product::Forward, true, [8192, 4096, 1024]);
        let near = Shape { rows: 8000, ..shape };
        let far = Shape { rows: 9000, ..shape };
        assert_eq!(Choices::untuned(&software).preset(&shape), Preset::Plain);
        assert_eq!(Choices::untuned(&gpu).preset(&shape), Preset::Tile128);
        for info in [gpu, software] {
            let untuned = Choices::untuned(&info);
            let tuned = untuned.clone().with([(shape.class(), Preset::Tile64)].into());
            assert_eq!([shape, near].map(|shape| tuned.preset(&shape)), [Preset::Tile64; 2]);
            assert_eq!(tuned.preset(&far), untuned.preset(&far));
        }
    }

    #[test]
    fn small_results_take_small_tiles_and_long_sums_are_split() {
        let preset = |product, extents| tiled(&Shape::new(product, true, extents));
        assert_eq!(preset(Product::Forward, [64, 128, 784]), Preset::Tile32);
        assert_eq!(preset(Product::Forward, [1024, 512, 784]), Preset::Tile64);
        assert_eq!(preset(Product::BackwardWeight, [8192, 128, 128]), Preset::Split32);
        assert_eq!(preset(Product::BackwardWeight, [64, 128, 784]), Preset::Tile32, "a short sum");
        let shape = Shape::new(Product::BackwardWeight, true, [8192, 128, 128]);
        assert_eq!(Preset::Split32.parts(&shape), 16, "sixteen tiles in sixteen parts");
        assert_eq!(Preset::Split64.parts(&shape), PARTS_MAX.min(8192 / PART_DEPTH));
        assert_eq!(Preset::Tile32.parts(&shape), 1);
        let huge = Shape::new(Product::BackwardWeight, true, [u32::MAX, u32::MAX, u32::MAX]);
        assert_eq!(Preset::Split64.parts(&huge), 1);
        assert_eq!(huge.class().rows, u32::MAX);
    }
}
