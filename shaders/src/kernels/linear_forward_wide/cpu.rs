//! The twin of the narrow kernel: the formula is the same.

pub(super) use super::super::linear_forward::cpu::run;
