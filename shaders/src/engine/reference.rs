//! What a device does at its best, by our own kernels: a profile is held against it.

use super::products::{Product, Shape};
use super::{Buffer, Executor, ExecutorError, Prepared, Recording};
use crate::kernels::base_weights::BaseWeights;
use crate::kernels::{Cost, Kernel};

/// Numbers of the copy: 64 MiB in and out, more than any cache.
const COPIED: usize = 16 << 20;
/// Extents of the square products, of which the best counts: small ones leave a large GPU idle.
const EXTENTS: [u32; 4] = [512, 1024, 2048, 4096];
/// A product that would take longer is not tried.
const PRODUCT_MAX_S: f64 = 0.2;
/// Runs, of which the fastest counts.
const ROUNDS: usize = 5;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    /// Bytes read and written a second by a kernel that does nothing else.
    pub copy: f64,
    /// Floating-point operations a second of the best of some square products, each by the kernel that the device chooses for it.
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
        let mut product = 0.0f64;
        for extent in EXTENTS {
            let flops = Cost::product(extent, extent, extent).flops as f64;
            if product > 0.0 && flops / product > PRODUCT_MAX_S {
                break;
            }
            product = product.max(flops / square(on, extent)?);
        }
        Ok(Self { copy: Cost::stream(COPIED as u32, 2, 0).bytes as f64 / copy, product })
    }
}

/// Seconds of a square product.
fn square(on: &mut dyn Executor, extent: u32) -> Result<f64, ExecutorError> {
    let words = (extent * extent) as usize;
    let buffers = [on.allocate(words)?, on.allocate(words)?, on.allocate(words)?];
    // No activation, from the first parameter on, no bias; by the kernel that the device chooses.
    let words = [extent, extent, extent, 0, 0, 1];
    let kernel = on.choices().preset(&Shape::new(Product::Forward, true, &words)).kernel(Product::Forward, true);
    let prepared = prepare(on, kernel, &buffers, &words)?;
    best(on, prepared)
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
