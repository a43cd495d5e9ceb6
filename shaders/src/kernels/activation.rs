//! Activations and their slopes on the CPU, by number; see [`super::Activation`]. The same formulas as `wgsl/activation.wgsl`.

use super::Activation;

const RELU: u32 = Activation::Relu as u32;
const GELU: u32 = Activation::Gelu as u32;
const SILU: u32 = Activation::Silu as u32;
/// 2 sqrt(2 / pi)
const TWICE_ROOT: f32 = 1.595_769_2;
const CUBIC: f32 = 0.044_715;

fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}

fn gelu_argument(z: f32) -> f32 {
    TWICE_ROOT * (z + CUBIC * z * z * z)
}

/// act(z)
pub(super) fn value(z: f32, kind: u32) -> f32 {
    match kind {
        RELU => z.max(0.0),
        GELU => z * sigmoid(gelu_argument(z)),
        SILU => z * sigmoid(z),
        _ => z,
    }
}

/// act'(z)
pub(super) fn slope(z: f32, kind: u32) -> f32 {
    match kind {
        RELU => f32::from(u8::from(z > 0.0)),
        GELU => {
            let s = sigmoid(gelu_argument(z));
            s + z * s * (1.0 - s) * TWICE_ROOT * (1.0 + 3.0 * CUBIC * z * z)
        }
        SILU => {
            let s = sigmoid(z);
            s * (1.0 + z * (1.0 - s))
        }
        _ => 1.0,
    }
}
