//! One kernel at a time, on any executor, beside its reference on the same machine.

use std::time::Duration;

use protocol::codec::{CHUNK, Codec as _, TopK2Bit};
use protocol::fixed::{Weight, from_f32};
use protocol::learner::{State, Weights};

use super::clock;
pub use super::shapes::SIZES;
use super::shapes::{self, Beside, Shape, Slices};
use crate::engine::{Executor, ExecutorError, Recording};
use crate::kernels::accumulate::Accumulate;
use crate::kernels::matmul::{Layout, matmul};
use crate::kernels::{Access, Kernel, WORDS};

/// A kernel at one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its folder.
    pub kernel: &'static str,
    /// Extents.
    pub size: String,
    /// Of one dispatch, among many.
    pub seconds: f64,
    /// Multiplications and additions of products; 0 where there are none.
    pub flops: u64,
    /// Read and written, each number once.
    pub bytes: u64,
    /// What it is held against.
    pub reference: &'static str,
    /// What that takes.
    pub reference_seconds: f64,
}

/// Measures a kernel at size 0, 1 or 2, and its reference, each within the budget; `None` for a kernel without a row, or of f16 that the device does not have.
///
/// # Errors
/// When the device fails or has no room.
pub fn measure(
    on: &mut dyn Executor,
    kernel: &'static dyn Kernel,
    size: usize,
    budget: Duration,
) -> Result<Option<Row>, ExecutorError> {
    let lacks = kernel.needs_f16() && on.info().backend != "cpu" && !on.info().f16;
    let Some(shape) = shapes::of(kernel, size).filter(|_| !lacks) else { return Ok(None) };
    let buffers = shape.arguments.iter().map(|fill| {
        let buffer = on.allocate(fill.len())?;
        on.write(buffer, 0, &fill.words())?;
        Ok(buffer)
    });
    let buffers = buffers.collect::<Result<Vec<_>, ExecutorError>>()?;
    let seconds = dispatched(on, kernel, &buffers, &shape.words, budget)?;
    let mut words = [0; WORDS];
    words[..shape.words.len()].copy_from_slice(&shape.words);
    let cost = kernel.cost(&words);
    let touched: usize = shape.arguments.iter().map(shapes::Fill::len).sum();
    let (reference, reference_seconds) = reference(on, &shape, touched, budget)?;
    let flops = match shape.beside {
        Beside::Products(count, [m, n, k]) => 2 * (count * m * n * k) as u64,
        _ => 0,
    };
    let bytes = if cost.bytes > 0 { cost.bytes } else { 4 * touched as u64 };
    Ok(Some(Row { kernel: kernel.name(), size: shape.size, seconds, flops, bytes, reference, reference_seconds }))
}

/// Seconds of a dispatch among many.
pub(super) fn dispatched(
    on: &mut dyn Executor,
    kernel: &'static dyn Kernel,
    buffers: &[crate::engine::Buffer],
    words: &[u32],
    budget: Duration,
) -> Result<f64, ExecutorError> {
    let mut recording = Recording::default();
    recording.push(kernel, buffers, words);
    let prepared = on.prepare(recording)?;
    let written = kernel.access().iter().position(|access| *access == Access::Write).unwrap_or_default();
    let mut out = Vec::new();
    clock::best(budget, |times| {
        on.run(prepared, times)?;
        // Over when something of it can be read.
        on.read(buffers[written], 1, &mut out)
    })
}

/// Its name, and seconds of it.
fn reference(
    on: &mut dyn Executor,
    shape: &Shape,
    touched: usize,
    budget: Duration,
) -> Result<(&'static str, f64), ExecutorError> {
    Ok(match shape.beside {
        Beside::Products(count, extents) => ("gemm", count as f64 * product(extents, budget)),
        Beside::Copy if on.info().backend == "cpu" => ("memcpy", host_copy(touched / 2 + 1, budget)),
        Beside::Copy => ("copy", device_copy(on, touched / 2 + 1, budget)?),
        Beside::Slices(slices, d) => ("slices", slices.seconds(d, budget)),
    })
}

/// Seconds of a product by the `gemm` crate on as many threads as this thread may use.
pub(super) fn product([m, n, k]: [usize; 3], budget: Duration) -> f64 {
    let (a, b, mut c) = (vec![0.5f32; m * k], vec![0.25f32; n * k], vec![0.0f32; m * n]);
    clock::best_of(budget, || matmul(Layout::NormalTransposed, [m, n, k], &a, &b, false, std::hint::black_box(&mut c)))
}

/// Seconds to copy so many words in memory.
fn host_copy(words: usize, budget: Duration) -> f64 {
    let (from, mut to) = (vec![1u32; words], vec![0u32; words]);
    clock::best_of(budget, || std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from)))
}

/// Seconds to copy so many words on a device.
///
/// # Errors
/// When the device fails or has no room.
pub(super) fn device_copy(on: &mut dyn Executor, words: usize, budget: Duration) -> Result<f64, ExecutorError> {
    let buffers = [on.allocate(words)?, on.allocate(words)?];
    dispatched(on, &Accumulate, &buffers, &[words as u32, 0], budget)
}

impl Slices {
    fn seconds(self, d: usize, budget: Duration) -> f64 {
        let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
        let mut state = State::new((0..d).map(|i| from_f32(number(i))).collect());
        state.theta.iter_mut().enumerate().for_each(|(i, theta)| *theta += 0.01 * number(i ^ 1));
        let mut out = Vec::new();
        match self {
            Self::Residual => clock::best_of(budget, || drop(std::hint::black_box(state.residual()))),
            Self::Measure => clock::best_of(budget, || {
                let _ = std::hint::black_box(state.measure());
            }),
            Self::Weights => {
                let weights = |out: &mut Vec<f32>| out.extend((0..d).map(|i| state.value(Weights::Base, i)));
                let mut out = Vec::with_capacity(d);
                clock::best_of(budget, || {
                    out.clear();
                    weights(std::hint::black_box(&mut out));
                })
            }
            Self::Largest => {
                let (residual, density) = (state.residual(), TopK2Bit.density());
                clock::best_of(budget, || {
                    let largest = |chunk| density.iter().for_each(|density| density.largest(chunk, &mut out));
                    residual.chunks(CHUNK).for_each(largest);
                })
            }
            Self::Add => {
                let mut payload = Vec::new();
                TopK2Bit.encode(&state.residual(), &mut payload);
                clock::best_of(budget, || drop(std::hint::black_box(state.add(&TopK2Bit, Weight::HALF, &payload, 1))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::engine::cpu::CpuExecutor;
    use crate::kernels::ALL;

    /// Every kernel runs at its smallest size on what the table gives it.
    fn assert_measured(on: &mut dyn Executor) {
        for kernel in ALL {
            let row = measure(on, *kernel, 0, Duration::ZERO).unwrap();
            let Some(row) = row else {
                assert!(kernel.needs_f16() && !on.info().f16, "{} has no row", kernel.name());
                continue;
            };
            assert!(row.seconds > 0.0 && row.reference_seconds > 0.0 && row.bytes > 0, "{row:?}");
            let product = kernel.name().contains("linear") || kernel.name().contains("conv2d");
            assert!(!product || row.flops > 0 && row.reference == "gemm", "{row:?}");
        }
    }

    #[test]
    fn every_kernel_is_measured() {
        assert_measured(&mut CpuExecutor::new(None));
        #[cfg(feature = "gpu")]
        if let Some(mut gpu) = crate::kernels::tests::gpu() {
            assert_measured(&mut gpu);
        }
    }

    /// What is in every argument after a dispatch at the second size, by its bits.
    fn computed(kernel: &'static dyn Kernel, threads: usize) -> Vec<Vec<u32>> {
        let shape = shapes::of(kernel, 1).unwrap();
        let on: &mut dyn Executor = &mut CpuExecutor::measured(None, threads);
        let mut buffers = Vec::new();
        for fill in &shape.arguments {
            buffers.push(on.allocate(fill.len()).unwrap());
            on.write(buffers[buffers.len() - 1], 0, &fill.words()).unwrap();
        }
        let mut recording = Recording::default();
        recording.push(kernel, &buffers, &shape.words);
        let prepared = on.prepare(recording).unwrap();
        on.run(prepared, 1).unwrap();
        let read = |(buffer, fill): (&crate::engine::Buffer, &shapes::Fill)| {
            let mut out = Vec::new();
            on.read(*buffer, fill.len(), &mut out).unwrap();
            out
        };
        buffers.iter().zip(&shape.arguments).map(read).collect()
    }

    #[test]
    fn every_kernel_computes_the_same_bits_on_any_number_of_threads() {
        for kernel in ALL {
            let alone = computed(*kernel, 1);
            for threads in [2, 3] {
                assert!(computed(*kernel, threads) == alone, "{} on {threads} threads", kernel.name());
            }
        }
    }
}
