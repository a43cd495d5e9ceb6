//! Clipping by the global norm: a gradient longer than `limit` is shortened to it (Pascanu et al. 2012, arXiv 1211.5063).
//!
//! ```text
//! g *= min( 1, limit / ||g|| )          over all parameters together
//! ```

use crate::engine::Buffer;
use crate::engine::plan::Draft;
use crate::kernels::clip_factor::ClipFactor;
use crate::kernels::scale::Scale;
use crate::kernels::sum_squares::SumSquares;
use crate::kernels::word;

/// Least numbers of a stretch of the sum of squares.
const STRETCH: usize = 256;
/// Most stretches: one invocation adds them up.
const STRETCHES_MAX: usize = 1024;

/// Appends it.
pub(super) fn by_global_norm(draft: &mut Draft, gradient: Buffer, parameters: usize, limit: f32) {
    let stretches = parameters.div_ceil(STRETCH).min(STRETCHES_MAX);
    let (parts, factor) = (draft.buffer(stretches), draft.buffer(1));
    draft.push(&SumSquares, &[gradient, parts], &[parameters as u32, stretches as u32]);
    draft.push(&ClipFactor, &[parts, factor], &[stretches as u32, word(limit)]);
    draft.push(&Scale, &[factor, gradient], &[parameters as u32]);
}
