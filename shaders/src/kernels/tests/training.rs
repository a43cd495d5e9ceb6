//! The batch, the loss, the optimizers, the base.

use super::Expected::{Floats, Words};
use super::advance::{STATE_BATCH, STATE_LOSSES, STATE_POWER_1, STATE_POWER_2, STATE_SECOND, STATE_TOTAL, STATE_WORDS};
use super::*;

/// As it is in the second step.
fn state() -> Vec<u32> {
    let mut state = vec![0; STATE_WORDS];
    state[STATE_BATCH] = 1;
    state[STATE_POWER_1] = word(0.9);
    state[STATE_POWER_2] = word(0.999);
    state
}

pub(super) fn cases(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![gather_case(random), softmax_case(random), advance_case(random)];
    cases.push(shared_softmax(random));
    cases.extend(optimizers(random));
    cases.extend(clipping(random));
    cases.push(dropout_case(random));
    cases.push(squares_case(random));
    cases.push(class_weights(random));
    cases.extend(base(random));
    cases
}

fn gather_case(random: &mut Random) -> Case {
    let [samples, batch, features] = [20, 30, 70].map(|most| random.extent(most));
    let (data, labels) = (random.floats(samples * features), random.indices(samples, 10));
    let order = random.indices(2 * batch, samples);
    // The state says that it is the second batch's turn.
    let rows = order[batch..].iter().map(|&row| row as usize);
    let x = rows.clone().flat_map(|row| data[row * features..(row + 1) * features].to_vec()).collect();
    let y = rows.map(|row| labels[row]).collect();
    Case {
        kernel: &gather::Gather,
        arguments: vec![data, labels, order, state(), poison(batch * features), poison(batch)],
        words: extents([batch, features]),
        expected: vec![(4, Words(x)), (5, Words(y))],
        tolerance: 0.0,
    }
}

fn softmax_case(random: &mut Random) -> Case {
    let [m, classes] = [40, 40].map(|most| random.extent(most));
    softmax(random, m, classes)
}

pub(super) fn softmax(random: &mut Random, m: usize, classes: usize) -> Case {
    let logits: Vec<u32> = (0..m * classes).map(|_| word(5.0 * random.float())).collect();
    let labels = random.indices(m, classes);
    let z = values(&logits);
    let totals: Vec<f64> = (0..m).map(|i| sum(classes, |j| z[i * classes + j].exp())).collect();
    let total = |i: usize| totals[i];
    let right = |i: usize, j: usize| f64::from(u8::from(labels[i] as usize == j));
    let gradient =
        (0..m * classes).map(|e| (z[e].exp() / total(e / classes) - right(e / classes, e % classes)) / m as f64);
    let rows = (0..m).flat_map(|i| {
        let row = &z[i * classes..(i + 1) * classes];
        let best = (0..classes).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        // Read as a float, an integer as small as 1 is next to nothing.
        let correct = f64::from(f32::from_bits(u32::from(best == labels[i] as usize)));
        [total(i).ln() - row[labels[i] as usize], correct]
    });
    Case {
        kernel: &softmax_cross_entropy::SoftmaxCrossEntropy,
        expected: vec![(0, Floats(gradient.collect())), (2, Floats(rows.collect()))],
        arguments: vec![logits, labels.clone(), poison(2 * m)],
        words: extents([m, classes]),
        tolerance: PRODUCT,
    }
}

/// By the kernel whose workgroups share a row: a few rows of fewer and of more classes than it has invocations.
fn shared_softmax(random: &mut Random) -> Case {
    let [m, classes] = [3, 700].map(|most| random.extent(most));
    Case { kernel: &softmax_cross_entropy_shared::SoftmaxCrossEntropyShared, ..softmax(random, m, classes) }
}

fn advance_case(random: &mut Random) -> Case {
    let m = random.extent(50);
    advance(random, m)
}

pub(super) fn advance(random: &mut Random, m: usize) -> Case {
    let losses: Vec<f32> = (0..m).map(|_| random.below(100) as f32 / 8.0).collect();
    let rows = losses.iter().flat_map(|loss| [word(*loss), u32::from(*loss > 1.0)]).collect();
    let mut before = state();
    before[0] = 4;
    let mut after = before.clone();
    // Eighths add up exactly.
    after[STATE_TOTAL] += 1;
    [after[0], after[1]] = [5, 2];
    after[STATE_LOSSES + 4] = word(losses.iter().sum::<f32>());
    [after[STATE_POWER_1], after[STATE_POWER_2]] = [word(0.9 * 0.9), word(0.999 * 0.999)];
    Case {
        kernel: &advance::Advance,
        arguments: vec![before, rows],
        words: vec![m as u32, word(0.9), word(0.999)],
        expected: vec![(0, Words(after))],
        tolerance: 0.0,
    }
}

fn optimizers(random: &mut Random) -> Vec<Case> {
    let d = random.extent(500);
    let [theta, gradient, first] = [(); 3].map(|()| random.floats(d));
    let second: Vec<u32> = random.floats(d).iter().map(|bits| word(f32::from_bits(*bits).abs())).collect();
    let [t, g, m, v] = [&theta, &gradient, &first, &second].map(|words| values(words));
    let decay_word = [0.0f32, 0.1][random.below(2)];
    let nesterov = random.below(2) as u32;
    let [rate, b1, b2, epsilon, momentum, decay] = [0.01f32, 0.9, 0.999, 1e-8, 0.9, decay_word].map(f64::from);
    let adam_first = |i: usize| b1 * m[i] + (1.0 - b1) * g[i];
    let adam_second = |i: usize| b2 * v[i] + (1.0 - b2) * g[i] * g[i];
    let adam = |i: usize| {
        t[i] - rate * decay * t[i]
            - rate * (adam_first(i) / (1.0 - b1)) / ((adam_second(i) / (1.0 - b2)).sqrt() + epsilon)
    };
    let velocity = |i: usize| momentum * m[i] + g[i];
    let direction = |i: usize| if nesterov == 1 { g[i] + momentum * velocity(i) } else { velocity(i) };
    let all = |f: &dyn Fn(usize) -> f64| Floats((0..d).map(f).collect());
    let mut with_second = state();
    with_second[STATE_SECOND] = word(0.25);
    let mut after = values(&with_second);
    let parts: Vec<u32> = (0..random.extent(20)).map(|_| word(random.float().abs())).collect();
    after[STATE_SECOND] = b2 * 0.25 + (1.0 - b2) * values(&parts).iter().sum::<f64>() / d as f64;
    let scale = rate / (1.0 - b1) / ((0.25 / (1.0 - b2)).sqrt() + epsilon);
    vec![
        Case {
            kernel: &mean_square::MeanSquare,
            arguments: vec![parts.clone(), with_second.clone()],
            words: vec![parts.len() as u32, d as u32, word(0.999)],
            expected: vec![(1, Floats(after))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &adam_common::AdamCommon,
            arguments: vec![theta.clone(), gradient.clone(), first.clone(), with_second],
            words: vec![d as u32, word(0.01), word(0.9), word(1e-8)],
            expected: vec![(0, all(&|i| t[i] - scale * adam_first(i))), (2, all(&adam_first))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &adam::Adam,
            arguments: vec![theta.clone(), gradient.clone(), first.clone(), second, state()],
            words: vec![d as u32, word(0.01), word(0.9), word(0.999), word(1e-8), word(decay_word)],
            expected: vec![(0, all(&adam)), (2, all(&adam_first)), (3, all(&adam_second))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &sgd::Sgd,
            arguments: vec![theta, gradient, first],
            words: vec![d as u32, word(0.01), word(0.9), nesterov],
            expected: vec![(0, all(&|i| t[i] - rate * direction(i))), (2, all(&velocity))],
            tolerance: ELEMENT,
        },
    ]
}

fn clipping(random: &mut Random) -> Vec<Case> {
    let [d, slices] = [500, 20].map(|most| random.extent(most));
    clipped(random, [d, slices])
}

pub(super) fn clipped(random: &mut Random, [d, slices]: [usize; 2]) -> Vec<Case> {
    let (x, factor) = (random.floats(d), random.floats(1));
    let parts: Vec<u32> = random.floats(slices).iter().map(|bits| bits & 0x7fff_ffff).collect();
    let [xs, ps, factors] = [&x, &parts, &factor].map(|words| values(words));
    let squares = (0..slices).map(|s| xs.iter().skip(s).step_by(slices).map(|x| x * x).sum());
    let limit = 0.25 + random.float().abs() * 4.0;
    let clip = (f64::from(limit) / (ps.iter().sum::<f64>().sqrt() + 1e-6)).min(1.0);
    vec![
        Case {
            kernel: &sum_squares::SumSquares,
            arguments: vec![x.clone(), poison(slices)],
            words: extents([d, slices]),
            expected: vec![(1, Floats(squares.collect()))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &clip_factor::ClipFactor,
            arguments: vec![parts, poison(1)],
            words: vec![slices as u32, word(limit)],
            expected: vec![(1, Floats(vec![clip]))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &scale::Scale,
            arguments: vec![factor, x],
            words: vec![d as u32],
            expected: vec![(1, Floats(xs.iter().map(|x| x * factors[0]).collect()))],
            tolerance: ELEMENT,
        },
    ]
}

/// pcg4d, as in the paper, on u64 so that it is not the code of the twin.
fn pcg4d(input: [u32; 4]) -> u64 {
    let mask = u64::from(u32::MAX);
    let mut v = input.map(|word| (u64::from(word) * 1_664_525 + 1_013_904_223) & mask);
    let steps = [(0, 1, 3), (1, 2, 0), (2, 0, 1), (3, 1, 2)];
    let mix = |v: &mut [u64; 4]| steps.iter().for_each(|&(a, b, c)| v[a] = (v[a] + v[b] * v[c]) & mask);
    mix(&mut v);
    v = v.map(|word| word ^ (word >> 16));
    mix(&mut v);
    v[0]
}

fn dropout_case(random: &mut Random) -> Case {
    let n = random.extent(500);
    let x = random.floats(n);
    let mut state = state();
    state[STATE_TOTAL] = random.0.next_u32();
    let (least, layer, seed) = (random.0.next_u32(), random.below(9) as u32, random.0.next_u32());
    let stays = |i: usize| pcg4d([i as u32, state[STATE_TOTAL], layer, seed]) >= u64::from(least);
    let y = values(&x).iter().enumerate().map(|(i, x)| if stays(i) { 1.25 * x } else { 0.0 }).collect();
    Case {
        kernel: &dropout::Dropout,
        arguments: vec![x, state.clone(), poison(n)],
        words: vec![n as u32, least, word(1.25), layer, seed],
        expected: vec![(2, Floats(y))],
        tolerance: ELEMENT,
    }
}

fn squares_case(random: &mut Random) -> Case {
    let [m, width] = [30, 20].map(|most| random.extent(most));
    let y = random.floats(m * width);
    let ys = values(&y);
    let classes = random.indices(m, width);
    let t = |i: usize, c: usize| f64::from(u8::from(classes[i] as usize == c));
    let away = |i: usize, c: usize| ys[i * width + c] - t(i, c);
    let gradient = (0..m * width).map(|e| 2.0 * away(e / width, e % width) / (m * width) as f64).collect();
    let first_largest = |f: &dyn Fn(usize) -> f64| (0..width).rev().max_by(|&a, &b| f(a).total_cmp(&f(b))).unwrap();
    let rows = (0..m).flat_map(|i| {
        let correct = first_largest(&|c| ys[i * width + c]) == classes[i] as usize;
        // Read as a float, an integer as small as 1 is next to nothing.
        [sum(width, |c| away(i, c).powi(2)) / width as f64, f64::from(f32::from_bits(u32::from(correct)))]
    });
    Case {
        kernel: &mean_squared_error::MeanSquaredError,
        expected: vec![(0, Floats(gradient)), (2, Floats(rows.collect()))],
        arguments: vec![y, classes.clone(), poison(2 * m)],
        words: extents([m, width]),
        tolerance: ELEMENT,
    }
}

fn class_weights(random: &mut Random) -> Case {
    let [m, width] = [20, 9].map(|most| random.extent(most));
    let (gradient, classes, weights) = (random.floats(m * width), random.indices(m, width), random.floats(width));
    let [g, w] = [&gradient, &weights].map(|words| values(words));
    let weighted = (0..m * width).map(|i| g[i] * w[classes[i / width] as usize]).collect();
    Case {
        kernel: &class_weights::ClassWeights,
        expected: vec![(0, Floats(weighted))],
        arguments: vec![gradient, classes, weights],
        words: extents([m, width]),
        tolerance: ELEMENT,
    }
}

fn base(random: &mut Random) -> Vec<Case> {
    let d = random.extent(300);
    let theta = random.floats(d);
    let t = values(&theta);
    let fixed = random.indices(d, 1 << 25);
    let unsaid = (0..d).map(|i| t[i] - f64::from(fixed[i] as i32) / f64::from(1 << 24)).collect();
    // A base near the end of its range: adds wrap on both sides alike.
    let base = vec![(i32::MAX - 5) as u32; d];
    let mut cases = vec![Case {
        kernel: &residual::Residual,
        arguments: vec![theta.clone(), fixed, poison(d)],
        words: vec![d as u32],
        expected: vec![(2, Floats(unsaid))],
        tolerance: ELEMENT,
    }];
    for dense in [true, false] {
        let (mut base_after, mut theta_after) = (base.clone(), t.clone());
        let mut entries = Vec::new();
        let touched: Vec<usize> = (0..d).step_by(if dense { 1 } else { 3 }).collect();
        for &i in &touched {
            let (add, said) = ((random.0.next_u32() as i32) >> 4, random.float());
            entries.extend((!dense).then_some(i as u32));
            entries.extend([add as u32, word(said)]);
            base_after[i] = (base_after[i] as i32).wrapping_add(add) as u32;
            theta_after[i] += f64::from(add) / f64::from(1 << 24) - f64::from(said);
        }
        cases.push(Case {
            kernel: &scatter_add::ScatterAdd,
            arguments: vec![base.clone(), theta.clone(), entries],
            words: vec![touched.len() as u32, u32::from(dense)],
            expected: vec![(0, Words(base_after)), (1, Floats(theta_after))],
            tolerance: ELEMENT,
        });
    }
    cases
}

/// Of powers of two squares are exact, and what is rounded is the sum alone: the bits are equal where the order is.
#[cfg(feature = "gpu")]
#[test]
fn squares_are_summed_in_one_order_everywhere() {
    let Some(mut gpu) = gpu() else { return };
    let random = &mut Random(ChaCha8Rng::seed_from_u64(11));
    for [d, parts] in [[7, 9], [1000, 64], [70_003, 129]] {
        let x = (0..d).map(|_| word(2.0f32.powi(random.below(20) as i32 - 6))).collect();
        let kernel = &sum_squares::SumSquares;
        let arguments = vec![x, poison(parts)];
        let case = Case { kernel, arguments, words: extents([d, parts]), expected: Vec::new(), tolerance: 0.0 };
        assert_eq!(run(&case, &mut gpu, BEHIND), run(&case, &mut CpuExecutor::new(None), BEHIND), "{d} in {parts}");
    }
}
