//! The sum of the squares of a gradient, in parts that the next kernel adds up in one order: what clipping and a common moment
//! are made of.
//!
//! ```text
//! parts[s] = sum of g[i]^2 over i = s, s + S, ...        S parts, up to 4,096
//! few[j]   = sum of parts[s] over s = j, j + 64, ...     where there are more than 64
//! ```
//!
//! One invocation adds up what is left. Each of its additions waits for the one before, and nothing else runs meanwhile: so they are 64 at most,
//! and as many before them.

use crate::engine::Buffer;
use crate::engine::plan::Draft;
use crate::kernels::sum_slices::SumSlices;
use crate::kernels::sum_squares::SumSquares;

/// Least numbers of a part.
const STRETCH: usize = 256;
/// Most parts: enough invocations for a large GPU.
const PARTS_MAX: usize = 4096;
/// Most parts that one invocation adds up.
const FEW: usize = 64;
const _: () = assert!(PARTS_MAX.is_multiple_of(FEW) && STRETCH >= FEW, "no part is empty");

/// Appends it; the parts, and how many they are.
pub(super) fn draft(draft: &mut Draft, gradient: Buffer, parameters: usize) -> (Buffer, u32) {
    let mut count = parameters.div_ceil(STRETCH).min(PARTS_MAX);
    if count > FEW {
        count = count.next_multiple_of(FEW);
    }
    let parts = draft.buffer(count);
    draft.push(&SumSquares, &[gradient, parts], &[parameters as u32, count as u32]);
    if count <= FEW {
        return (parts, count as u32);
    }
    let few = draft.buffer(FEW);
    draft.push(&SumSlices, &[parts, few], &[(count / FEW) as u32, FEW as u32, 0]);
    (few, FEW as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::engine::Executor;
    use crate::engine::cpu::CpuExecutor;
    use crate::kernels::word;

    /// Parts of a gradient of that many numbers, and their sum.
    fn parts(on: &mut dyn Executor, parameters: usize) -> (usize, Vec<f32>) {
        let gradient = on.allocate(parameters).unwrap();
        // Small integers add up exactly, in any order.
        let numbers: Vec<u32> = (0..parameters).map(|i| word((i % 3) as f32)).collect();
        on.write(gradient, 0, &numbers).unwrap();
        let mut drafted = Draft::new(on.choices());
        let (parts, count) = draft(&mut drafted, gradient, parameters);
        let dispatches = drafted.len();
        // What is read lies in a buffer of its own.
        let read = on.allocate(count as usize).unwrap();
        drafted.push(&SumSlices, &[parts, read], &[1, count, 0]);
        let recording = drafted.place(on).unwrap();
        let prepared = on.prepare(recording).unwrap();
        // Twice: what lay there before is overwritten.
        on.run(prepared, 2).unwrap();
        let mut words = Vec::new();
        on.read(read, count as usize, &mut words).unwrap();
        (dispatches, words.into_iter().map(f32::from_bits).collect())
    }

    #[test]
    fn one_invocation_adds_up_few_parts_and_nothing_is_left_out() {
        let check = |on: &mut dyn Executor| {
            for (parameters, dispatches, count) in
                [(1, 1, 1), (257, 1, 2), (64 * 256, 1, 64), (64 * 256 + 1, 2, 64), (40_000, 2, 64), (1_100_003, 2, 64)]
            {
                let (made, parts) = parts(on, parameters);
                assert_eq!((made, parts.len()), (dispatches, count), "{parameters}");
                let exact: u64 = (0..parameters as u64).map(|i| (i % 3) * (i % 3)).sum();
                assert_eq!(parts.iter().map(|part| f64::from(*part)).sum::<f64>(), exact as f64, "{parameters}");
            }
        };
        check(&mut CpuExecutor::new(None));
        #[cfg(feature = "gpu")]
        if let Some(mut gpu) = crate::kernels::tests::gpu() {
            check(&mut gpu);
        }
    }
}
