use super::super::conv2d_backward_weight::cpu::by_stretches;
use super::{Argument, WORDS};
use crate::kernels::tiles::DEPTH;

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    by_stretches(arguments, words, |rows, slices| rows.div_ceil(DEPTH as usize).div_ceil(slices) * DEPTH as usize);
}
