//! The sum of the squares of a gradient, in parts that the next kernel adds up in one order: what clipping and a common moment
//! are made of.

use crate::engine::Buffer;
use crate::engine::plan::Draft;
use crate::kernels::sum_squares::SumSquares;

/// Least numbers of a part.
const STRETCH: usize = 256;
/// Most parts: one invocation adds them up.
const PARTS_MAX: usize = 4096;

/// Appends it; the parts, and how many they are.
pub(super) fn draft(draft: &mut Draft, gradient: Buffer, parameters: usize) -> (Buffer, u32) {
    let count = parameters.div_ceil(STRETCH).min(PARTS_MAX);
    let parts = draft.buffer(count);
    draft.push(&SumSquares, &[gradient, parts], &[parameters as u32, count as u32]);
    (parts, count as u32)
}
