//! Activations and their slopes on the CPU, by number; see [`super::Activation`]. The same formulas as `wgsl/activation.wgsl`.

use super::lanes::exp;
use super::{Activation, threads};

const RELU: u32 = Activation::Relu as u32;
const GELU: u32 = Activation::Gelu as u32;
const SILU: u32 = Activation::Silu as u32;
/// 2 sqrt(2 / pi)
const TWICE_ROOT: f32 = 1.595_769_2;
const CUBIC: f32 = 0.044_715;

/// Operations on floats of one number.
pub(super) fn flops(kind: u32) -> u64 {
    match kind {
        RELU => 1,
        GELU => 10,
        SILU => 5,
        _ => 0,
    }
}

/// The same of its slope.
pub(super) fn flops_of_slope(kind: u32) -> u64 {
    match kind {
        RELU => 1,
        GELU => 17,
        SILU => 8,
        _ => 0,
    }
}

#[inline(always)]
fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + exp(-z))
}

#[inline(always)]
fn gelu_argument(z: f32) -> f32 {
    TWICE_ROOT * (z + CUBIC * z * z * z)
}

/// y = act(y), in this thread.
#[inline(always)]
pub(super) fn apply(y: &mut [f32], kind: u32) {
    // The choice is made once and not for every number: so each loop is a plain one.
    match kind {
        // `max` would make a number of a NaN, and nobody would hear of weights that are none.
        RELU => y.iter_mut().for_each(|y| *y = if *y <= 0.0 { 0.0 } else { *y }),
        GELU => y.iter_mut().for_each(|y| *y *= sigmoid(gelu_argument(*y))),
        SILU => y.iter_mut().for_each(|y| *y *= sigmoid(*y)),
        _ => {}
    }
}

/// y = act(y), shared out.
pub(super) fn apply_shared(y: &mut [f32], kind: u32) {
    if kind != Activation::None as u32 {
        let n = y.len();
        threads::share_parts(
            [y],
            [1],
            (n, 1),
            #[inline(always)]
            |_, [y]| apply(y, kind),
        );
    }
}

/// dy = dy act'(z), in this thread.
#[inline(always)]
pub(super) fn apply_slope(dy: &mut [f32], z: &[f32], kind: u32) {
    let pairs = dy.iter_mut().zip(z);
    match kind {
        RELU => pairs.for_each(|(dy, z)| *dy *= if *z > 0.0 { 1.0 } else { 0.0 }),
        GELU => pairs.for_each(|(dy, z)| {
            let s = sigmoid(gelu_argument(*z));
            *dy *= s + z * s * (1.0 - s) * TWICE_ROOT * (1.0 + 3.0 * CUBIC * z * z);
        }),
        SILU => pairs.for_each(|(dy, z)| {
            let s = sigmoid(*z);
            *dy *= s * (1.0 + z * (1.0 - s));
        }),
        _ => {}
    }
}
