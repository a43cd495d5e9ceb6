//! The twin of the narrow kernel: the formula is the same.

pub(super) use super::super::linear_backward_input::cpu::run;
