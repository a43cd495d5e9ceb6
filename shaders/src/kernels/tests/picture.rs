//! Convolutions, pools, sums of values.

use super::Expected::{Floats, Words};
use super::linear::activate;
use super::*;

/// A convolution, read off its formula.
#[derive(Clone, Copy)]
struct Conv {
    n: usize,
    h: usize,
    w: usize,
    c: usize,
    o: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Conv {
    fn random(random: &mut Random) -> Self {
        let [n, c, o] = [2, 6, 6].map(|most| random.extent(most));
        let [kernel, stride] = [random.extent(4), random.extent(3)];
        let padding = random.below(kernel);
        // At least one patch fits.
        let least = kernel.saturating_sub(2 * padding).max(1);
        let [h, w] = [(); 2].map(|()| least + random.below(6));
        Self { n, h, w, c, o, kernel, stride, padding }
    }

    fn out(&self, extent: usize) -> usize {
        (extent + 2 * self.padding - self.kernel) / self.stride + 1
    }

    fn forward(&self, x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
        let (height, width) = (self.out(self.h), self.out(self.w));
        let mut y = Vec::new();
        for n in 0..self.n {
            for oy in 0..height {
                for ox in 0..width {
                    for (o, bias) in b.iter().enumerate() {
                        let mut total = *bias;
                        for ky in 0..self.kernel {
                            for kx in 0..self.kernel {
                                let (py, px) = (oy * self.stride + ky, ox * self.stride + kx);
                                let (Some(py), Some(px)) = (py.checked_sub(self.padding), px.checked_sub(self.padding))
                                else {
                                    continue;
                                };
                                if py >= self.h || px >= self.w {
                                    continue;
                                }
                                let at = ((n * self.h + py) * self.w + px) * self.c;
                                let from = ((o * self.kernel + ky) * self.kernel + kx) * self.c;
                                total += dot(&x[at..at + self.c], &w[from..from + self.c]);
                            }
                        }
                        y.push(total);
                    }
                }
            }
        }
        y
    }
}

pub(super) fn cases(random: &mut Random) -> Vec<Case> {
    let conv = Conv::random(random);
    let mut cases = convolutions(random, conv, false);
    // Fewer pixels, and channels in multiples of 4: one to three blocks of the wide kernels.
    let (c, o, n) = (4 * random.extent(2), 4 * random.extent(3), 1);
    cases.extend(convolutions(random, Conv { n, c, o, h: conv.h.min(5).max(conv.kernel), ..conv }, true));
    cases.extend(pools(random));
    let n = random.extent(200);
    let kind = random.below(4) as u32;
    let (a, b) = (random.floats(n), random.floats(n));
    let y = values(&a).iter().zip(values(&b)).map(|(a, b)| activate(kind, a + b)).collect();
    cases.push(Case {
        kernel: &add::Add,
        arguments: vec![a, b, poison(n)],
        words: vec![n as u32, kind],
        expected: vec![(2, Floats(y))],
        tolerance: ELEMENT,
    });
    let [slices, n, offset] = [9, 100, 7].map(|most| random.extent(most));
    let parts = random.floats(slices * n);
    let p = values(&parts);
    let total = (0..n).map(|i| sum(slices, |s| p[s * n + i]));
    cases.push(Case {
        kernel: &sum_slices::SumSlices,
        arguments: vec![parts, behind(offset, n)],
        words: extents([slices, n, offset]),
        expected: vec![(1, Floats(std::iter::repeat_n(1.0, offset).chain(total).collect()))],
        tolerance: ELEMENT,
    });
    cases
}

/// The three products of a convolution.
type Products = [&'static dyn Kernel; 3];

/// Kernels that read one number at a time, the plain ones first.
static NARROW: &[Products] = &[
    [
        &conv2d_forward::Conv2dForward,
        &conv2d_backward_input::Conv2dBackwardInput,
        &conv2d_backward_weight::Conv2dBackwardWeight,
    ],
    [&conv2d_forward_tiled::TILED_32, &conv2d_backward_input_tiled::TILED_32, &conv2d_backward_weight_tiled::TILED_32],
    [&conv2d_forward_tiled::TILED_64, &conv2d_backward_input_tiled::TILED_64, &conv2d_backward_weight_tiled::TILED_64],
    [
        &conv2d_forward_tiled::TILED_128,
        &conv2d_backward_input_tiled::TILED_128,
        &conv2d_backward_weight_tiled::TILED_128,
    ],
    [&conv2d_forward_tiled::HALF_64, &conv2d_backward_input_tiled::HALF_64, &conv2d_backward_weight_tiled::HALF_64],
];

/// Kernels that read four numbers at a time, the plain ones first.
static WIDE: &[Products] = &[
    [
        &conv2d_forward_wide::Conv2dForwardWide,
        &conv2d_backward_input_wide::Conv2dBackwardInputWide,
        &conv2d_backward_weight_wide::Conv2dBackwardWeightWide,
    ],
    [&conv2d_forward_tiled::WIDE_32, &conv2d_backward_input_tiled::WIDE_32, &conv2d_backward_weight_tiled::WIDE_32],
    [&conv2d_forward_tiled::WIDE_64, &conv2d_backward_input_tiled::WIDE_64, &conv2d_backward_weight_tiled::WIDE_64],
    [&conv2d_forward_tiled::WIDE_128, &conv2d_backward_input_tiled::WIDE_128, &conv2d_backward_weight_tiled::WIDE_128],
    [
        &conv2d_forward_tiled::HALF_WIDE_64,
        &conv2d_backward_input_tiled::HALF_WIDE_64,
        &conv2d_backward_weight_tiled::HALF_WIDE_64,
    ],
];

fn convolutions(random: &mut Random, conv: Conv, wide: bool) -> Vec<Case> {
    let Conv { n, h, w: width, c, o, kernel, stride, padding } = conv;
    let (oh, ow) = (conv.out(h), conv.out(width));
    let [mut offset, slices] = [5, 4].map(|most| random.extent(most));
    offset *= if wide { 4 } else { 1 };
    let kind = random.below(4);
    let weights = o * kernel * kernel * c;
    let x = random.floats(n * h * width * c);
    let parameters = random.floats(offset + weights + o);
    let dy = random.floats(n * oh * ow * o);
    let [xs, p, dys] = [&x, &parameters, &dy].map(|words| values(words));
    let (w, b) = p[offset..].split_at(weights);
    let y: Vec<_> = conv.forward(&xs, w, b).into_iter().map(|z| activate(kind as u32, z)).collect();
    let dx = derivative(&xs, |x| dot(&conv.forward(x, w, b), &dys));
    // By stretches of patches: all of dy but one stretch at 0.
    let parts = |stretch: usize| {
        let mut parts = Vec::new();
        for part in 0..slices {
            let inside = |i: usize| (part * stretch..(part + 1) * stretch).contains(&(i / o));
            let dys: Vec<f64> = (0..dys.len()).map(|i| if inside(i) { dys[i] } else { 0.0 }).collect();
            parts.extend(derivative(w, |w| dot(&conv.forward(&xs, w, b), &dys)));
            parts.extend(derivative(b, |b| dot(&conv.forward(&xs, w, b), &dys)));
        }
        parts
    };
    let patches = n * oh * ow;
    let [plain, tiled] = [parts(patches.div_ceil(slices)), parts(16 * patches.div_ceil(16).div_ceil(slices))];
    let words = |last: [usize; 2]| {
        let all = [n, h, width, c, oh, ow, o, offset, kernel, stride, padding];
        [extents(all), extents(last)].concat()
    };
    let mut cases = Vec::new();
    for (i, kernels) in (if wide { WIDE } else { NARROW }).iter().enumerate() {
        let parts = if i == 0 { &plain } else { &tiled };
        let case = |which: usize, arguments, last, expected: &Vec<f64>| Case {
            kernel: kernels[which],
            arguments,
            words: words(last),
            expected: vec![(2, Floats(expected.clone()))],
            tolerance: product_tolerance(kernels[which]),
        };
        cases.extend([
            case(0, vec![x.clone(), parameters.clone(), poison(patches * o)], [kind, 0], &y),
            case(1, vec![dy.clone(), parameters.clone(), poison(xs.len())], [0, 0], &dx),
            case(2, vec![dy.clone(), x.clone(), poison(parts.len())], [0, slices], parts),
        ]);
    }
    cases
}

fn pools(random: &mut Random) -> Vec<Case> {
    let [n, c, down, right, stride] = [2, 5, 4, 4, 3].map(|most| random.extent(most));
    let (h, w) = (down + random.below(7), right + random.below(7));
    let (oh, ow) = ((h - down) / stride + 1, (w - right) / stride + 1);
    let (pixels, outputs) = (n * h * w * c, n * oh * ow * c);
    // No two alike, so that the largest is the largest on both sides of a difference.
    let mut order: Vec<u32> = (0..pixels as u32).collect();
    crate::data::split::shuffle(&mut order, &mut random.0);
    let x: Vec<u32> = order.iter().map(|&i| word(i as f32 / 64.0 - 3.0)).collect();
    let dy = random.floats(outputs);
    let (xs, dys) = (values(&x), values(&dy));
    let windows: Vec<Vec<usize>> = (0..outputs)
        .map(|i| {
            let (m, channel) = (i / c, i % c);
            let (picture, oy, ox) = (m / (oh * ow), m / ow % oh, m % ow);
            let place = |ky, kx| ((picture * h + oy * stride + ky) * w + ox * stride + kx) * c + channel;
            (0..down * right).map(|i| place(i / right, i % right)).collect()
        })
        .collect();
    let largest = |x: &[f64], window: &[usize]| *window.iter().max_by(|&&a, &&b| x[a].total_cmp(&x[b])).unwrap();
    let most = |x: &[f64]| windows.iter().map(|window| x[largest(x, window)]).collect::<Vec<_>>();
    let mean = |x: &[f64]| -> Vec<f64> {
        windows.iter().map(|window| sum(window.len(), |i| x[window[i]]) / window.len() as f64).collect()
    };
    let chosen: Vec<u32> = windows.iter().map(|window| largest(&xs, window) as u32).collect();
    let words = extents([n, h, w, c, oh, ow, down, right, stride]);
    vec![
        Case {
            kernel: &max_pool_forward::MaxPoolForward,
            arguments: vec![x.clone(), poison(outputs), poison(outputs)],
            words: words.clone(),
            expected: vec![(1, Floats(most(&xs))), (2, Words(chosen.clone()))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &max_pool_backward::MaxPoolBackward,
            arguments: vec![dy.clone(), chosen, poison(pixels)],
            words: words.clone(),
            expected: vec![(2, Floats(derivative(&xs, |x| dot(&most(x), &dys))))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &average_pool_forward::AveragePoolForward,
            arguments: vec![x, poison(outputs)],
            words: words.clone(),
            expected: vec![(1, Floats(mean(&xs)))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &average_pool_backward::AveragePoolBackward,
            arguments: vec![dy, poison(pixels)],
            words,
            expected: vec![(1, Floats(derivative(&xs, |x| dot(&mean(x), &dys))))],
            tolerance: ELEMENT,
        },
    ]
}

/// Channels and outputs of several tiles of every width, on pictures of few pixels; gradients by the chain rule, since differences of so many
/// weights would take too long.
fn wide_convolutions(random: &mut Random, four: bool) -> Vec<Case> {
    let [c, o] = [(); 2].map(|()| 33 + random.below(108));
    let [c, o] = if four { [c, o].map(|extent| extent.next_multiple_of(4)) } else { [c, o] };
    let conv = Conv { n: 1, h: 3, w: 3, c, o, kernel: 2, stride: 1, padding: 1 };
    let (height, width) = (conv.out(3), conv.out(3));
    let (patches, weights) = (height * width, o * conv.kernel * conv.kernel * c);
    let x = random.floats(9 * c);
    let parameters = random.floats(weights + o);
    let dy = random.floats(patches * o);
    let [xs, p, dys] = [&x, &parameters, &dy].map(|words| values(words));
    let (w, b) = p.split_at(weights);
    let (mut dx, mut dw, mut db) = (vec![0.0; xs.len()], vec![0.0; weights], vec![0.0; o]);
    for (place, dy) in dys.iter().enumerate() {
        let (oy, ox, out) = (place / o / width, place / o % width, place % o);
        db[out] += dy;
        for (ky, kx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (py, px) = (oy + ky, ox + kx);
            if !(1..=3).contains(&py) || !(1..=3).contains(&px) {
                continue;
            }
            let (at, from) = (((py - 1) * 3 + px - 1) * c, ((out * 2 + ky) * 2 + kx) * c);
            for i in 0..c {
                dx[at + i] += dy * w[from + i];
                dw[from + i] += dy * xs[at + i];
            }
        }
    }
    let words = |last: [usize; 2]| {
        [extents([1, 3, 3, c, height, width, o, 0, conv.kernel, conv.stride, conv.padding]), extents(last)].concat()
    };
    let mut cases = Vec::new();
    for kernels in if four { WIDE } else { NARROW } {
        let case = |which: usize, arguments, last, expected: Vec<f64>| Case {
            kernel: kernels[which],
            arguments,
            words: words(last),
            expected: vec![(2, Floats(expected))],
            tolerance: product_tolerance(kernels[which]),
        };
        cases.extend([
            case(0, vec![x.clone(), parameters.clone(), poison(patches * o)], [0, 0], conv.forward(&xs, w, b)),
            case(1, vec![dy.clone(), parameters.clone(), poison(xs.len())], [0, 0], dx.clone()),
            case(2, vec![dy.clone(), x.clone(), poison(weights + o)], [0, 1], [&dw[..], &db[..]].concat()),
        ]);
    }
    cases
}

/// Draws of them: each is of every preset, which software Vulkan takes long for.
const WIDE_CONVOLUTIONS: usize = 4;

fn assert_wide_convolutions(executor: &mut dyn Executor, by: &str) {
    let random = &mut Random(ChaCha8Rng::seed_from_u64(11));
    for draw in 0..WIDE_CONVOLUTIONS {
        for case in wide_convolutions(random, draw % 2 == 1) {
            check(executor, &case, BEHIND, by);
        }
    }
}

#[test]
fn twins_compute_convolutions_of_several_tiles_of_channels() {
    assert_wide_convolutions(&mut CpuExecutor::new(None), "the twin");
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_computes_convolutions_of_several_tiles_of_channels() {
    let Some(mut gpu) = gpu() else { return };
    assert_wide_convolutions(&mut gpu, "the GPU");
}

/// Wherever in its window it stands, and whatever stands around it.
fn assert_pools_hide_no_nan(executor: &mut dyn Executor, by: &str) {
    let (side, down, right) = (4, 2, 2);
    for at in 0..side * side {
        for nan in [f32::NAN, -f32::NAN] {
            let mut x: Vec<f32> =
                (0..side * side).map(|i| [1.0, -3.0, f32::NEG_INFINITY, 2.0, f32::INFINITY][i % 5]).collect();
            x[at] = nan;
            let x: Vec<u32> = x.into_iter().map(word).collect();
            let outputs = side / down * side / right;
            let words = extents([1, side, side, 1, side / down, side / right, down, right, 2]);
            let arguments = vec![x, poison(outputs), poison(outputs)];
            let kernel = &max_pool_forward::MaxPoolForward;
            let found = run(&Case { kernel, arguments, words, expected: Vec::new(), tolerance: 0.0 }, executor, 0);
            let hit = at / side / down * (side / right) + at % side / right;
            for (window, (&bits, &chosen)) in found[1].iter().zip(&found[2]).enumerate() {
                assert_eq!(f32::from_bits(bits).is_nan(), window == hit, "a NaN at {at}, window {window}, by {by}");
                assert_eq!(chosen as usize == at, window == hit, "a NaN at {at}, window {window}, by {by}");
            }
        }
    }
}

#[test]
fn pools_hide_no_nan_by_the_twin() {
    assert_pools_hide_no_nan(&mut CpuExecutor::new(None), "the twin");
}

#[cfg(feature = "gpu")]
#[test]
fn pools_hide_no_nan_by_the_gpu() {
    let Some(mut gpu) = gpu() else { return };
    assert_pools_hide_no_nan(&mut gpu, "the GPU");
}
