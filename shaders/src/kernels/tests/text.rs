//! Tokens, embeddings, rotary positions, attention.

use super::Expected::{Floats, Words};
use super::*;

/// In one of so many draws the heads are wide: they take software Vulkan long.
const WIDE_EVERY: usize = 8;

pub(super) fn cases(random: &mut Random) -> Vec<Case> {
    let mut cases = tokens(random);
    cases.extend(attention(random));
    if random.below(WIDE_EVERY) == 0 {
        cases.extend(wide_attention(random));
    }
    cases.extend(tiled_attention(random));
    cases.push(rotary_case(random));
    cases.push(step_case(random));
    cases
}

fn tokens(random: &mut Random) -> Vec<Case> {
    let [samples, t, vocabulary, d, offset] = [4, 12, 20, 9, 5].map(|most| random.extent(most));
    let m = samples * t;
    let windows = random.indices(samples * (t + 1), vocabulary);
    let row = |shift: usize| (0..m).map(|i| windows[i / t * (t + 1) + i % t + shift]).collect::<Vec<_>>();
    let tokens = row(0);
    let parameters = random.floats(offset + vocabulary * d);
    let (dy, before) = (random.floats(m * d), random.floats(offset + vocabulary * d));
    let [p, dys, mut table] = [&parameters, &dy, &before].map(|words| values(words));
    let y = (0..m * d).map(|e| p[offset + tokens[e / d] as usize * d + e % d]).collect();
    for (e, dy) in dys.iter().enumerate() {
        table[offset + tokens[e / d] as usize * d + e % d] += dy;
    }
    let chain: Vec<u32> = (0..m)
        .flat_map(|i| {
            let before = (0..i).rev().find(|&j| tokens[j] == tokens[i]).unwrap_or(m);
            [before as u32, u32::from((i + 1..m).all(|j| tokens[j] != tokens[i]))]
        })
        .collect();
    let words = extents([m, d, offset, vocabulary]);
    vec![
        Case {
            kernel: &next_token::NextToken,
            arguments: vec![windows.iter().map(|&token| word(token as f32)).collect(), poison(m), poison(m)],
            words: extents([samples, t]),
            expected: vec![(1, Words(tokens.clone())), (2, Words(row(1)))],
            tolerance: 0.0,
        },
        Case {
            kernel: &embedding_forward::EmbeddingForward,
            arguments: vec![tokens.clone(), parameters, poison(m * d)],
            words: words.clone(),
            expected: vec![(2, Floats(y))],
            tolerance: ELEMENT,
        },
        Case {
            kernel: &token_chain::TokenChain,
            arguments: vec![tokens.clone(), poison(2 * m)],
            words: extents([m]),
            expected: vec![(1, Words(chain.clone()))],
            tolerance: 0.0,
        },
        Case {
            kernel: &embedding_backward::EmbeddingBackward,
            arguments: vec![tokens, chain, dy, before],
            words,
            expected: vec![(3, Floats(table))],
            tolerance: ELEMENT,
        },
    ]
}

fn rotary_case(random: &mut Random) -> Case {
    let [m, heads, half, places, rest] = [9, 4, 5, 6, 7].map(|most| random.extent(most));
    let (e, back) = (2 * half, random.below(2));
    let width = heads * e + rest;
    let x = random.floats(m * width);
    let turns: Vec<f64> = (0..places * half).map(|_| f64::from(random.float()) * 3.0).collect();
    let angles: Vec<u32> = turns.iter().flat_map(|turn| [word(turn.cos() as f32), word(turn.sin() as f32)]).collect();
    let mut y = values(&x);
    for row in 0..m {
        for pair in 0..heads * half {
            let at = row * width + pair / half * e + pair % half;
            let turn = turns[row % places * half + pair % half] * if back == 1 { -1.0 } else { 1.0 };
            let (a, b) = (y[at], y[at + half]);
            (y[at], y[at + half]) = (a * turn.cos() - b * turn.sin(), b * turn.cos() + a * turn.sin());
        }
    }
    Case {
        kernel: &rotary::Rotary,
        arguments: vec![x, angles],
        words: extents([m, width, heads, e, places, back]),
        expected: vec![(0, Floats(y))],
        tolerance: ELEMENT,
    }
}

/// Causal attention, read off its formula.
#[derive(Clone, Copy)]
struct Attention {
    samples: usize,
    t: usize,
    heads: usize,
    e: usize,
}

impl Attention {
    /// y and the logarithms of the sums.
    fn forward(&self, qkv: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let Self { samples, t, heads, e } = *self;
        let at = |b: usize, t: usize, part: usize, h: usize| {
            let from = (((b * self.t + t) * 3 + part) * heads + h) * e;
            &qkv[from..from + e]
        };
        let (mut y, mut sums) = (Vec::new(), Vec::new());
        for row in 0..samples * t * heads {
            let (b, time, h) = (row / heads / t, row / heads % t, row % heads);
            let score = |u: usize| (dot(at(b, time, 0, h), at(b, u, 1, h)) / (e as f64).sqrt()).exp();
            let total = sum(time + 1, score);
            y.extend((0..e).map(|i| sum(time + 1, |u| score(u) / total * at(b, u, 2, h)[i])));
            sums.push(total.ln());
        }
        (y, sums)
    }
}

fn attention(random: &mut Random) -> Vec<Case> {
    let [samples, t, heads, quads] = [2, 7, 2, 2].map(|most| random.extent(most));
    let e = 4 * quads;
    let attention = Attention { samples, t, heads, e };
    let (n, rows) = (samples * t * heads * e, samples * t * heads);
    let qkv: Vec<u32> = (0..3 * n).map(|_| word(2.0 * random.float())).collect();
    let dy = random.floats(n);
    let (qkvs, dys) = (values(&qkv), values(&dy));
    let (y, sums) = attention.forward(&qkvs);
    let gradient = derivative(&qkvs, |qkv| dot(&attention.forward(qkv).0, &dys));
    cases_of(PLAIN, attention, (qkv, dy), (y, sums, gradient), rows)
}

/// The kernels of heads of any width.
const PLAIN: [&dyn Kernel; 3] = [
    &attention_forward::AttentionForward,
    &attention_backward_query::AttentionBackwardQuery,
    &attention_backward_key_value::AttentionBackwardKeyValue,
];

/// Heads as wide as models have them, up to the widest, and more places than a workgroup or a block of the twin has.
fn wide_attention(random: &mut Random) -> Vec<Case> {
    let [samples, t, heads] = [2, 70, 2].map(|most| random.extent(most));
    let e = [20, 32, 60, 64][random.below(4)];
    let attention = Attention { samples, t, heads, e };
    let (n, rows) = (samples * t * heads * e, samples * t * heads);
    let (qkv, dy) = (random.floats(3 * n), random.floats(n));
    let expected = attention.passes(&values(&qkv), &values(&dy));
    cases_of(PLAIN, attention, (qkv, dy), expected, rows)
}

/// The last place that is there, after those before it: what is behind it is poison, and nobody looks.
fn step_case(random: &mut Random) -> Case {
    let [samples, t, heads, quads] = [2, 9, 3, 3].map(|most| random.extent(most));
    let (e, place) = (4 * quads, random.below(t));
    let row = 3 * heads * e;
    let seen = Attention { samples, t: place + 1, heads, e };
    let qkv: Vec<u32> = (0..samples * (place + 1) * row).map(|_| word(2.0 * random.float())).collect();
    let rows: Vec<&[u32]> = qkv.chunks_exact(row).collect();
    let (y, _) = seen.forward(&values(&qkv));
    let of = |b: usize, u: usize| rows[b * (place + 1) + u].to_vec();
    let new = (0..samples).flat_map(|b| of(b, place)).collect();
    let y = (0..samples).flat_map(|b| y[(b * (place + 1) + place) * heads * e..][..heads * e].to_vec()).collect();
    let behind = || vec![word(1e9); (t - place - 1) * row];
    let seen_by = |b: usize, many: usize| (0..many).flat_map(|u| of(b, u)).collect::<Vec<u32>>();
    let cache = (0..samples).flat_map(|b| [seen_by(b, place), poison(row), behind()].concat());
    let after = (0..samples).flat_map(|b| [seen_by(b, place + 1), behind()].concat());
    Case {
        kernel: &attention_step::AttentionStep,
        arguments: vec![new, vec![place as u32], cache.collect(), poison(samples * heads * e)],
        words: extents([samples, t, heads, e]),
        expected: vec![(2, Words(after.collect())), (3, Floats(y))],
        tolerance: PRODUCT,
    }
}

/// The three kernels on one set of numbers.
fn cases_of(
    kernels: [&'static dyn Kernel; 3],
    Attention { samples, t, heads, e }: Attention,
    (qkv, dy): (Vec<u32>, Vec<u32>),
    (y, sums, gradient): (Vec<f64>, Vec<f64>, Vec<f64>),
    rows: usize,
) -> Vec<Case> {
    let (n, dys) = (rows * e, values(&dy));
    let deltas: Vec<f64> = (0..rows).map(|row| dot(&y[row * e..][..e], &dys[row * e..][..e])).collect();
    let pairs = |second: &dyn Fn(usize) -> f64| (0..rows).flat_map(|row| [sums[row], second(row)]).collect::<Vec<_>>();
    let floats = |values: &[f64]| values.iter().map(|value| word(*value as f32)).collect::<Vec<_>>();
    // Of dqkv the two kernels write their parts and leave the others alone.
    let part = |i: usize| i / (heads * e) % 3;
    let only = |query: bool| -> Vec<f64> {
        gradient.iter().enumerate().map(|(i, g)| if (part(i) == 0) == query { *g } else { 1.0 }).collect()
    };
    let poisoned = |query: bool| -> Vec<u32> {
        (0..3 * n).map(|i| if (part(i) == 0) == query { word(f32::NAN) } else { word(1.0) }).collect()
    };
    let words = extents([samples, t, heads, e]);
    let (unsaid, said) = (floats(&pairs(&|_| 0.0)), floats(&pairs(&|row| deltas[row])));
    vec![
        Case {
            kernel: kernels[0],
            arguments: vec![qkv.clone(), poison(n), poison(2 * rows)],
            words: words.clone(),
            expected: vec![(1, Floats(y.clone())), (2, Floats(pairs(&|_| 0.0)))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: kernels[1],
            arguments: vec![qkv.clone(), floats(&y), dy.clone(), unsaid, poisoned(true)],
            words: words.clone(),
            expected: vec![(3, Floats(pairs(&|row| deltas[row]))), (4, Floats(only(true)))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: kernels[2],
            arguments: vec![qkv, dy, said, poisoned(false)],
            words,
            expected: vec![(3, Floats(only(false)))],
            tolerance: PRODUCT,
        },
    ]
}

impl Attention {
    /// y, the logarithms of the sums, and the gradient of qkv, by the chain rule: for shapes that differences would take too long for.
    fn passes(&self, qkv: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let Self { samples, t, heads, e } = *self;
        let at = |b: usize, place: usize, part: usize, h: usize| (((b * t + place) * 3 + part) * heads + h) * e;
        let scale = 1.0 / (e as f64).sqrt();
        let (mut y, mut sums, mut gradient) = (vec![0.0; samples * t * heads * e], Vec::new(), vec![0.0; qkv.len()]);
        for row in 0..samples * t * heads {
            let (b, place, h) = (row / heads / t, row / heads % t, row % heads);
            let q = at(b, place, 0, h);
            let p: Vec<f64> =
                (0..=place).map(|u| (scale * dot(&qkv[q..q + e], &qkv[at(b, u, 1, h)..][..e])).exp()).collect();
            let total: f64 = p.iter().sum();
            sums.push(total.ln());
            let dp: Vec<f64> = (0..=place).map(|u| dot(&dy[row * e..][..e], &qkv[at(b, u, 2, h)..][..e])).collect();
            let delta: f64 = p.iter().zip(&dp).map(|(p, dp)| p / total * dp).sum();
            for u in 0..=place {
                let (k, v, share) = (at(b, u, 1, h), at(b, u, 2, h), p[u] / total);
                let ds = share * (dp[u] - delta) * scale;
                for i in 0..e {
                    y[row * e + i] += share * qkv[v + i];
                    gradient[q + i] += ds * qkv[k + i];
                    gradient[k + i] += ds * qkv[q + i];
                    gradient[v + i] += share * dy[row * e + i];
                }
            }
        }
        (y, sums, gradient)
    }
}

/// Several tiles along each axis, and parts of them, for both widths.
fn tiled_attention(random: &mut Random) -> Vec<Case> {
    let [samples, t, heads] = [2, 100, 2].map(|most| random.extent(most));
    let kernels: [(usize, [&'static dyn Kernel; 3]); 2] = [
        (
            32,
            [
                &attention_forward_tiled::TILED_32,
                &attention_backward_query_tiled::TILED_32,
                &attention_backward_key_value_tiled::TILED_32,
            ],
        ),
        (
            64,
            [
                &attention_forward_tiled::TILED_64,
                &attention_backward_query_tiled::TILED_64,
                &attention_backward_key_value_tiled::TILED_64,
            ],
        ),
    ];
    let mut cases = Vec::new();
    for (e, kernels) in kernels {
        let (n, rows) = (samples * t * heads * e, samples * t * heads);
        let (qkv, dy) = (random.floats(3 * n), random.floats(n));
        let attention = Attention { samples, t, heads, e };
        let expected = attention.passes(&values(&qkv), &values(&dy));
        cases.extend(cases_of(kernels, attention, (qkv, dy), expected, rows));
    }
    cases
}

#[test]
fn the_chain_rule_is_the_slope() {
    let random = &mut Random(ChaCha8Rng::seed_from_u64(9));
    let attention = Attention { samples: 2, t: 5, heads: 2, e: 4 };
    let (qkv, dy) = (values(&random.floats(3 * 80)), values(&random.floats(80)));
    let (y, sums, gradient) = attention.passes(&qkv, &dy);
    let expected = (attention.forward(&qkv), derivative(&qkv, |qkv| dot(&attention.forward(qkv).0, &dy)));
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near(&y, &expected.0.0) && near(&sums, &expected.0.1) && near(&gradient, &expected.1));
}
