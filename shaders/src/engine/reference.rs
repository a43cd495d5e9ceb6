//! What a device does at its best, by our own kernels: a profile is held against it.

use super::products::{Product, Shape};
use super::{Buffer, Executor, ExecutorError, Prepared, Recording};
use crate::kernels::base_weights::BaseWeights;
use crate::kernels::{Cost, Kernel};

/// Numbers of the copy: 64 MiB in and out, more than any cache.
const COPIED: usize = 16 << 20;
/// Extent of the square product.
const EXTENT: usize = 1024;
/// Runs, of which the fastest counts.
const ROUNDS: usize = 5;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    /// Bytes read and written a second by a kernel that does nothing else.
    pub copy: f64,
    /// Floating-point operations a second of a product of two matrices of 1,024 x 1,024.
    pub product: f64,
}

impl Reference {
    /// Measures.
    ///
    /// # Errors
    /// When the device fails, has no room, or cannot time its work.
    pub fn measure(on: &mut dyn Executor) -> Result<Self, ExecutorError> {
        let [from, to] = [on.allocate(COPIED)?, on.allocate(COPIED)?];
        let copy = prepare(on, &BaseWeights, &[from, to], &[COPIED as u32])?;
        let copy = best(on, copy)?;
        let square = EXTENT * EXTENT;
        let [x, w, y] = [on.allocate(square)?, on.allocate(square)?, on.allocate(square)?];
        let extent = EXTENT as u32;
        // No activation, from the first parameter on, no bias; by the kernel that the device chooses.
        let words = [extent, extent, extent, 0, 0, 1];
        let kernel = on.choices().preset(&Shape::new(Product::Forward, true, &words)).kernel(Product::Forward, true);
        let product = prepare(on, kernel, &[x, w, y], &words)?;
        let product = best(on, product)?;
        Ok(Self {
            copy: Cost::stream(COPIED as u32, 2, 0).bytes as f64 / copy,
            product: Cost::product(extent, extent, extent).flops as f64 / product,
        })
    }
}

fn prepare(
    on: &mut dyn Executor,
    kernel: &'static dyn Kernel,
    arguments: &[Buffer],
    words: &[u32],
) -> Result<Prepared, ExecutorError> {
    let mut recording = Recording::default();
    recording.push(kernel, arguments, words);
    on.prepare(recording)
}

/// Seconds of the fastest run.
fn best(on: &mut dyn Executor, prepared: Prepared) -> Result<f64, ExecutorError> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        best = on.profile(prepared, 1)?.iter().map(|timed| timed.seconds).fold(best, f64::min);
    }
    Ok(best.max(1e-9))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::engine::cpu::CpuExecutor;

    fn assert_plausible(on: &mut dyn Executor) {
        let found = Reference::measure(on).unwrap();
        // Of any machine that this runs on: 10 MB/s to 100 TB/s, 10 Mflop/s to 10 Pflop/s.
        assert!((1e7..1e14).contains(&found.copy) && (1e7..1e16).contains(&found.product), "{found:?}");
    }

    #[test]
    fn every_executor_can_be_measured() {
        assert_plausible(&mut CpuExecutor::new(None));
        #[cfg(feature = "gpu")]
        if let Some(mut gpu) = crate::kernels::tests::gpu() {
            assert_plausible(&mut gpu);
        }
    }
}
