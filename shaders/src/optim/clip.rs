//! Clipping by the global norm: a gradient longer than `limit` is shortened to it (Pascanu et al. 2012, arXiv 1211.5063).
//!
//! ```text
//! g *= min( 1, limit / ||g|| )          over all parameters together
//! ```

use super::squares;
use crate::engine::Buffer;
use crate::engine::plan::Draft;
use crate::kernels::clip_factor::ClipFactor;
use crate::kernels::scale::Scale;
use crate::kernels::word;

/// Appends it.
pub(super) fn by_global_norm(draft: &mut Draft, gradient: Buffer, parameters: usize, limit: f32) {
    let (parts, count) = squares::draft(draft, gradient, parameters);
    let factor = draft.buffer(1);
    draft.push(&ClipFactor, &[parts, factor], &[count, word(limit)]);
    draft.push(&Scale, &[factor, gradient], &[parameters as u32]);
}
