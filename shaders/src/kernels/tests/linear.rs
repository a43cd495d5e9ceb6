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

/// The three products of a linear layer.
type Products = [&'static dyn Kernel; 3];

/// Kernels that read one number at a time, with whether their sums come in parts.
static NARROW: [(Products, bool); 5] = [
    (
        [
            &linear_forward::LinearForward,
            &linear_backward_input::LinearBackwardInput,
            &linear_backward_weight::LinearBackwardWeight,
        ],
        false,
    ),
    (
        [
            &linear_forward_tiled::TILED_32,
            &linear_backward_input_tiled::TILED_32,
            &linear_backward_weight_tiled::TILED_32,
        ],
        true,
    ),
    (
        [
            &linear_forward_tiled::TILED_64,
            &linear_backward_input_tiled::TILED_64,
            &linear_backward_weight_tiled::TILED_64,
        ],
        true,
    ),
    (
        [
            &linear_forward_tiled::TILED_128,
            &linear_backward_input_tiled::TILED_128,
            &linear_backward_weight_tiled::TILED_128,
        ],
        true,
    ),
    (
        [&linear_forward_tiled::HALF_64, &linear_backward_input_tiled::HALF_64, &linear_backward_weight_tiled::HALF_64],
        true,
    ),
];

/// Kernels that read four numbers at a time.
static WIDE: [(Products, bool); 5] = [
    (
        [
            &linear_forward_wide::LinearForwardWide,
            &linear_backward_input_wide::LinearBackwardInputWide,
            &linear_backward_weight_wide::LinearBackwardWeightWide,
        ],
        false,
    ),
    (
        [&linear_forward_tiled::WIDE_32, &linear_backward_input_tiled::WIDE_32, &linear_backward_weight_tiled::WIDE_32],
        true,
    ),
    (
        [&linear_forward_tiled::WIDE_64, &linear_backward_input_tiled::WIDE_64, &linear_backward_weight_tiled::WIDE_64],
        true,
    ),
    (
        [
            &linear_forward_tiled::WIDE_128,
            &linear_backward_input_tiled::WIDE_128,
            &linear_backward_weight_tiled::WIDE_128,
        ],
        true,
    ),
    (
        [
            &linear_forward_tiled::HALF_WIDE_64,
            &linear_backward_input_tiled::HALF_WIDE_64,
            &linear_backward_weight_tiled::HALF_WIDE_64,
        ],
        true,
    ),
];

pub(super) fn cases(random: &mut Random) -> Vec<Case> {
    let small = [40, 40, 70, 5].map(|most| random.extent(most));
    // More than one tile of any kind along some axis.
    let mut large = [40, 40, 40, 5].map(|most| random.extent(most));
    large[random.below(3)] += 100;
    let mut cases = by_number(random);
    let several = random.below(4) == 0;
    for (i, [m, n, k, offset]) in [small, large].into_iter().take(1 + usize::from(several)).enumerate() {
        // Only tiles have more than one.
        let skipped = i;
        cases.extend(products(random, [m, n, k, offset], &NARROW[skipped..]));
        // Multiples of 4 but for the rows.
        cases.extend(products(random, [m, 4 * n.div_ceil(4), 4 * k.div_ceil(4), 4 * offset], &WIDE[skipped..]));
    }
    cases
}

/// Rows of each part of a sum over m, as the kernel has them.
fn parts(m: usize, slices: usize) -> Vec<std::ops::Range<usize>> {
    let part = 16 * m.div_ceil(16).div_ceil(slices);
    (0..slices).map(|s| (s * part).min(m)..((s + 1) * part).min(m)).collect()
}

fn products(random: &mut Random, [m, n, k, offset]: [usize; 4], kernels: &[(Products, bool)]) -> Vec<Case> {
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
    let (y, dx): (Vec<_>, Vec<_>) = (y.collect(), dx.collect());
    let [wm, wn, wk, wo, wb] = [m, n, k, offset, no_bias].map(|word| word as u32);
    let mut cases = Vec::new();
    for (kernels, in_parts) in kernels {
        let slices = if *in_parts { random.extent(4) } else { 1 };
        let gradient = parts(m, slices).into_iter().flat_map(|rows| {
            let (xs, dys) = (&xs, &dys);
            let over = move |term: &dyn Fn(usize) -> f64| rows.clone().map(term).sum::<f64>();
            let of_rows = over.clone();
            let dw = (0..n * k).map(move |e| over(&|i| dys[i * n + e / k] * xs[i * k + e % k]));
            dw.chain((0..tensors - n * k).map(move |j| of_rows(&|i| dys[i * n + j])))
        });
        let gradient = std::iter::repeat_n(1.0, offset).chain(gradient).collect();
        let case = |which: usize, arguments, words: &[u32], expected: Vec<f64>| Case {
            kernel: kernels[which],
            arguments,
            words: words.to_vec(),
            expected: vec![(2, Floats(expected))],
            tolerance: product_tolerance(kernels[which]),
        };
        cases.extend([
            case(0, vec![x.clone(), parameters.clone(), poison(m * n)], &[wm, wn, wk, kind, wo, wb], y.clone()),
            case(1, vec![dy.clone(), parameters.clone(), poison(m * k)], &[wm, wn, wk, wo], dx.clone()),
            case(
                2,
                vec![dy.clone(), x.clone(), behind(offset, slices * tensors)],
                &[wm, wn, wk, wo, wb, slices as u32],
                gradient,
            ),
        ]);
    }
    cases
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

/// What is no number stays none through every activation, and the ends of the numbers are the same bits everywhere.
fn assert_no_number_is_hidden(executor: &mut dyn Executor, by: &str) {
    let ends = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-45, -1e-45, f32::MIN, 3.0];
    for kind in [Activation::Relu, Activation::Gelu, Activation::Silu] {
        let arguments = vec![ends.map(word).to_vec(), poison(ends.len())];
        let words = extents([ends.len(), kind as usize]);
        let kernel = &activation_forward::ActivationForward;
        let case = Case { kernel, arguments, words, expected: Vec::new(), tolerance: 0.0 };
        let found = &run(&case, executor, 0)[1];
        assert!(found[..2].iter().all(|bits| f32::from_bits(*bits).is_nan()), "{kind:?} by {by}: {found:?}");
        if kind == Activation::Relu {
            let expected = [f32::INFINITY, 0.0, 0.0, 0.0, 1e-45, 0.0, 0.0, 3.0].map(word);
            assert_eq!(found[2..], expected, "by {by}");
        }
    }
}

#[test]
fn activations_hide_no_nan_by_the_twin() {
    assert_no_number_is_hidden(&mut CpuExecutor::new(None), "the twin");
}

#[cfg(feature = "gpu")]
#[test]
fn activations_hide_no_nan_by_the_gpu() {
    let Some(mut gpu) = gpu() else { return };
    assert_no_number_is_hidden(&mut gpu, "the GPU");
}
