//! The twin of the narrow kernel: the formula is the same.

pub(super) use super::super::conv2d_backward_input::cpu::run;
