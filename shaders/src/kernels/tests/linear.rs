//! Linear layers, activations, sums.

use super::Expected::Floats;
use super::*;

/// act(z), by the formula that has tanh in it.
pub(super) fn activate(kind: u32, z: f64) -> f64 {
    match kind {
        1 => z.max(0.0),
        2 => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (z + 0.044715 * z.powi(3));
            0.5 * z * (1.0 + u.tanh())
        }
        3 => z / (1.0 + (-z).exp()),
        _ => z,
    }
}

pub(super) fn cases(random: &mut Random) -> Vec<Case> {
    let extents = [40, 40, 70, 5].map(|most| random.extent(most));
    let mut cases = products(random, extents, false);
    // Multiples of 4 but for the rows.
    let [m, n, k, offset] = extents;
    cases.extend(products(random, [m, 4 * n.div_ceil(4), 4 * k.div_ceil(4), 4 * offset], true));
    cases.extend(by_number(random));
    cases
}

fn products(random: &mut Random, [m, n, k, offset]: [usize; 4], wide: bool) -> Vec<Case> {
    let (kind, no_bias) = (random.below(4) as u32, random.below(2));
    let tensors = n * k + if no_bias == 0 { n } else { 0 };
    let (x, dy) = (random.floats(m * k), random.floats(m * n));
    let parameters = random.floats(offset + tensors);
    let [xs, dys, p] = [&x, &dy, &parameters].map(|words| values(words));
    let (w, b) = p[offset..].split_at(n * k);
    let bias = |j: usize| if no_bias == 0 { b[j] } else { 0.0 };
    let y = (0..m * n).map(|e| {
        let (i, j) = (e / n, e % n);
        activate(kind, bias(j) + sum(k, |l| xs[i * k + l] * w[j * k + l]))
    });
    let dx = (0..m * k).map(|e| sum(n, |j| dys[e / k * n + j] * w[j * k + e % k]));
    let dw = (0..n * k).map(|e| sum(m, |i| dys[i * n + e / k] * xs[i * k + e % k]));
    let db = (0..tensors - n * k).map(|j| sum(m, |i| dys[i * n + j]));
    let gradient = std::iter::repeat_n(1.0, offset).chain(dw).chain(db).collect();
    let [wm, wn, wk, wo, wb] = [m, n, k, offset, no_bias].map(|word| word as u32);
    let kernels: [&'static dyn Kernel; 3] = if wide {
        [
            &linear_forward_wide::LinearForwardWide,
            &linear_backward_input_wide::LinearBackwardInputWide,
            &linear_backward_weight_wide::LinearBackwardWeightWide,
        ]
    } else {
        [
            &linear_forward::LinearForward,
            &linear_backward_input::LinearBackwardInput,
            &linear_backward_weight::LinearBackwardWeight,
        ]
    };
    vec![
        Case {
            kernel: kernels[0],
            arguments: vec![x.clone(), parameters.clone(), poison(m * n)],
            words: vec![wm, wn, wk, kind, wo, wb],
            expected: vec![(2, Floats(y.collect()))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: kernels[1],
            arguments: vec![dy.clone(), parameters.clone(), poison(m * k)],
            words: vec![wm, wn, wk, wo],
            expected: vec![(2, Floats(dx.collect()))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: kernels[2],
            arguments: vec![dy, x, behind(offset, tensors)],
            words: vec![wm, wn, wk, wo, wb],
            expected: vec![(2, Floats(gradient))],
            tolerance: PRODUCT,
        },
    ]
}

fn by_number(random: &mut Random) -> Vec<Case> {
    let n = random.extent(300);
    let kind = random.below(4) as u32;
    // Far enough out that a slope is 0 or 1, and that exp overflows where nobody looks.
    let z: Vec<u32> = (0..n).map(|_| word(random.float() * [1.0, 5.0, 120.0][random.below(3)])).collect();
    let (a, dy) = (random.floats(n), random.floats(n));
    let [zs, a_s, dys] = [&z, &a, &dy].map(|words| values(words));
    let slope = |z: f64| {
        // At its kink ReLU has no difference.
        if kind == 1 {
            return f64::from(u8::from(z > 0.0));
        }
        let step = 1e-5 * z.abs().max(1.0);
        (activate(kind, z + step) - activate(kind, z - step)) / (2.0 * step)
    };
    let add = random.below(2) as u32;
    vec![
        Case {
            kernel: &activation_forward::ActivationForward,
            arguments: vec![z.clone(), poison(n)],
            words: vec![n as u32, kind],
            expected: vec![(1, Floats(zs.iter().map(|&z| activate(kind, z)).collect()))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &activation_backward::ActivationBackward,
            arguments: vec![z, dy.clone()],
            words: vec![n as u32, kind],
            expected: vec![(1, Floats(zs.iter().zip(&dys).map(|(&z, dy)| dy * slope(z)).collect()))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &accumulate::Accumulate,
            arguments: vec![a, if add == 0 { poison(n) } else { dy }],
            words: vec![n as u32, add],
            expected: vec![(1, Floats((0..n).map(|i| a_s[i] + if add == 0 { 0.0 } else { dys[i] }).collect()))],
            tolerance: ELEMENT,
        },
    ]
}
