//! Patches and windows of pictures on the CPU, shared by the twins of convolutions and pools.
//!
//! A convolution is a matrix product of patches [rows, K K C] and weights; patches are written out for a few rows at a time, as
//! many as stay in a cache.

use std::cell::RefCell;
use std::ops::Range;

use super::cost::all;
use super::{Cost, Grid, WORDS, loops, threads};

/// Numbers of patches that are written out at once: 256 KiB.
const PATCH_WORDS: usize = 64 * 1024;

thread_local! {
    /// Memory for patches, used again by every call: at most [`PATCH_WORDS`], or one patch where that is more.
    static PATCHES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Turns of a convolution over its window, `inner` numbers in each place.
pub(super) fn window_turns(words: &[u32; WORDS], inner: u32) -> u64 {
    let window = words[8].saturating_mul(words[8]);
    loops::nested(window, inner).saturating_add(loops::product(0))
}

/// Rows of a part of a sum over all patches.
pub(super) fn rows_of_part(words: &[u32; WORDS]) -> u64 {
    all([words[0], words[4], words[5]]).div_ceil(u64::from(words[12]).max(1))
}

/// Of a pool whose kernel touches so many numbers beside x, each as large as y.
pub(super) fn pool_cost(words: &[u32; WORDS], touched: u64) -> Cost {
    let [samples, height, width, channels, out_height, out_width, down, right, ..] = *words;
    let (x, y) = (all([samples, height, width, channels]), all([samples, out_height, out_width, channels]));
    Cost::of(x + touched * y, y.saturating_mul(all([down, right])))
}

/// Turns of a pool's backward kernel, over the windows that hold a place.
pub(super) fn windows_turns(words: &[u32; WORDS]) -> u64 {
    let along = |extent: u32, windows: u32| extent.div_ceil(words[8].max(1)).min(windows);
    loops::nested(along(words[6], words[4]), along(words[7], words[5]))
}

/// The words of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    samples: usize,
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
    /// O.
    pub(super) outputs: usize,
    /// Where w begins.
    pub(super) offset: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Extents {
    pub(super) fn new(words: &[u32; WORDS]) -> Self {
        let [samples, height, width, channels, out_height, out_width, outputs, offset, kernel, stride, padding, ..] =
            words.map(|word| word as usize);
        Self { samples, height, width, channels, out_height, out_width, outputs, offset, kernel, stride, padding }
    }

    /// K K C.
    pub(super) fn patch(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    /// Patches of the batch.
    pub(super) fn rows(&self) -> usize {
        self.samples * self.out_height * self.out_width
    }

    /// Numbers of x.
    pub(super) fn pixels(&self) -> usize {
        self.samples * self.picture()
    }

    /// Rows whose patches are written out at once.
    fn block(&self) -> usize {
        (PATCH_WORDS / self.patch()).max(1)
    }

    /// All rows, block by block, blocks shared out: with the rows, memory for their patches, and what is written of them, `width`
    /// numbers a row. Blocks are the same for any number of threads.
    pub(super) fn share_rows(
        &self,
        written: &mut [f32],
        width: usize,
        work: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
    ) {
        let block = self.block();
        let count = self.rows().div_ceil(block);
        let written = [&mut written[..self.rows() * width]];
        threads::share_parts(written, [block * width], (count, block * self.patch()), |first, [written]| {
            let start = first * block;
            self.by_patches(start..start + written.len() / width, |rows, patches| {
                let at = (rows.start - start) * width;
                work(rows.clone(), patches, &mut written[at..at + rows.len() * width]);
            });
        });
    }

    /// All pictures, shared out a few at a time, as many as a block has room for: with their rows, and what is written of them, `width`
    /// numbers a picture. The same few for any number of threads.
    pub(super) fn share_pictures(
        &self,
        written: &mut [f32],
        width: usize,
        work: impl Fn(Range<usize>, &mut [f32]) + Sync,
    ) {
        let each = self.out_height * self.out_width;
        let some = (self.block() / each.max(1)).max(1);
        let count = self.samples.div_ceil(some);
        let written = [&mut written[..self.samples * width]];
        threads::share_parts(written, [some * width], (count, some * each * self.patch()), |first, [written]| {
            for (i, written) in written.chunks_mut(some * width).enumerate() {
                let start = (first + i) * some * each;
                work(start..start + written.len() / width * each, written);
            }
        });
    }

    /// A stretch of rows, block by block, with memory for their patches.
    pub(super) fn by_patches(&self, stretch: Range<usize>, mut work: impl FnMut(Range<usize>, &mut [f32])) {
        let step = self.block();
        PATCHES.with_borrow_mut(|memory| {
            memory.resize(memory.len().max(step * self.patch()), 0.0);
            for start in stretch.clone().step_by(step) {
                let rows = start..(start + step).min(stretch.end);
                let words = rows.len() * self.patch();
                work(rows, &mut memory[..words]);
            }
        });
    }

    /// For every row and every row of its kernel that lies in the picture: place in the patches, place in x, numbers.
    fn runs(&self, rows: Range<usize>, mut run: impl FnMut(usize, usize, usize)) {
        for (i, row) in rows.enumerate() {
            let picture = row / (self.out_height * self.out_width);
            let top = row / self.out_width % self.out_height * self.stride;
            let left = row % self.out_width * self.stride;
            // Columns of the kernel inside the picture.
            let first = self.padding.saturating_sub(left).min(self.kernel);
            let last = (self.width + self.padding).saturating_sub(left).min(self.kernel).max(first);
            for ky in 0..self.kernel {
                let y = top + ky;
                if y < self.padding || y >= self.height + self.padding || first == last {
                    continue;
                }
                let pixel = (picture * self.height + y - self.padding) * self.width + left + first - self.padding;
                let place = i * self.patch() + (ky * self.kernel + first) * self.channels;
                run(place, pixel * self.channels, (last - first) * self.channels);
            }
        }
    }

    /// Writes out the patches of x.
    pub(super) fn gather(&self, x: &[f32], rows: Range<usize>, patches: &mut [f32]) {
        if self.padding > 0 {
            patches.fill(0.0);
        }
        self.runs(rows, |place, pixel, n| patches[place..place + n].copy_from_slice(&x[pixel..pixel + n]));
    }

    /// Adds patches to dx, which begins at a picture.
    pub(super) fn scatter(&self, patches: &[f32], rows: Range<usize>, picture: usize, dx: &mut [f32]) {
        let start = picture * self.picture();
        self.runs(rows, |place, pixel, n| {
            let dx = &mut dx[pixel - start..][..n];
            dx.iter_mut().zip(&patches[place..place + n]).for_each(|(dx, part)| *dx += part);
        });
    }

    /// Numbers of a picture of x.
    pub(super) fn picture(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The picture of a row.
    pub(super) fn picture_of(&self, row: usize) -> usize {
        row / (self.out_height * self.out_width)
    }
}

/// Blocks of 4 x 4.
fn tiles(rows: u32, columns: u32) -> u32 {
    rows.div_ceil(4) * columns.div_ceil(4)
}

/// Of `conv2d_forward`.
pub(super) fn forward_grid(words: &[u32; WORDS]) -> Grid {
    Grid::elements(tiles(words[0] * words[4] * words[5], words[6]))
}

/// Of `conv2d_backward_input`.
pub(super) fn input_grid(words: &[u32; WORDS]) -> Grid {
    Grid::elements(tiles(words[0] * words[1] * words[2], words[3]))
}

/// Of `conv2d_backward_weight`.
pub(super) fn weight_grid(words: &[u32; WORDS]) -> Grid {
    Grid::elements(words[12] * tiles(words[6], words[8] * words[8] * words[3]))
}

/// Of `conv2d_backward_weight_wide`: blocks of 8 x 8.
pub(super) fn wide_weight_grid(words: &[u32; WORDS]) -> Grid {
    let weights = words[8] * words[8] * words[3];
    Grid::elements(words[12] * words[6].div_ceil(8) * weights.div_ceil(8))
}

/// The words of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    samples: usize,
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
    kernel: [usize; 2],
    stride: usize,
}

impl Windows {
    pub(super) fn new(words: &[u32; WORDS]) -> Self {
        let [samples, height, width, channels, out_height, out_width, down, right, stride, ..] =
            words.map(|word| word as usize);
        Self { samples, height, width, channels, out_height, out_width, kernel: [down, right], stride }
    }

    /// Numbers of a picture of x.
    pub(super) fn picture(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Numbers of a picture of y.
    pub(super) fn results(&self) -> usize {
        self.out_height * self.out_width * self.channels
    }

    /// Pictures shared out: with the number of the first one, and what is written of a stretch of them, `width` numbers each.
    pub(super) fn share<const N: usize>(
        &self,
        written: [&mut [f32]; N],
        width: usize,
        work: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let written = written.map(|written| &mut written[..self.samples * width]);
        threads::share_parts(written, [width; N], (self.samples, self.picture()), work);
    }

    /// For every window of a picture: the place of its first channel in y, and that of its corner in x.
    pub(super) fn corners(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Self { out_width, stride, width, channels, .. } = *self;
        (0..self.out_height * out_width).map(move |i| {
            let (top, left) = (i / out_width * stride, i % out_width * stride);
            (i * channels, (top * width + left) * channels)
        })
    }

    /// Places of a window, from its corner.
    pub(super) fn places(&self) -> Vec<usize> {
        let [down, right] = self.kernel;
        (0..down * right).map(|i| (i / right * self.width + i % right) * self.channels).collect()
    }

    /// C.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }
}
