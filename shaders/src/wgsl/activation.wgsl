// Activations by number: 1 relu, 2 gelu (tanh form), 3 silu. See kernels::Activation.
fn sigmoid(z: f32) -> f32 {
    // exp of less than -88 is no float; what it would give is 0.
    return 1.0 / (1.0 + exp(min(-z, 87.0)));
}

fn gelu_argument(z: f32) -> f32 {
    return 1.5957691216057308 * (z + 0.044715 * z * z * z);
}

fn activate(z: f32, kind: u32) -> f32 {
    if kind == 1u {
        // From -0 to -infinity by their bits. A NaN stays one: by floats a compiler may suppose that there is none, and `max` passes over it.
        return select(z, 0.0, bitcast<u32>(z) - 0x80000000u <= 0x7f800000u);
    }
    if kind == 2u {
        return z * sigmoid(gelu_argument(z));
    }
    if kind == 3u {
        return z * sigmoid(z);
    }
    return z;
}

fn activation_slope(z: f32, kind: u32) -> f32 {
    if kind == 1u {
        return select(0.0, 1.0, z > 0.0);
    }
    if kind == 2u {
        let s = sigmoid(gelu_argument(z));
        return s + z * s * (1.0 - s) * 1.5957691216057308 * (1.0 + 0.134145 * z * z);
    }
    if kind == 3u {
        let s = sigmoid(z);
        return s * (1.0 + z * (1.0 - s));
    }
    return 1.0;
}
