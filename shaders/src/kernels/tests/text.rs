//! Tokens, embeddings, rotary positions, attention.

use super::Expected::{Floats, Words};
use super::*;

pub(super) fn cases(random: &mut Random) -> Vec<Case> {
    let mut cases = tokens(random);
    cases.extend(attention(random));
    cases.push(rotary_case(random));
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
            kernel: &attention_forward::AttentionForward,
            arguments: vec![qkv.clone(), poison(n), poison(2 * rows)],
            words: words.clone(),
            expected: vec![(1, Floats(y.clone())), (2, Floats(pairs(&|_| 0.0)))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: &attention_backward_query::AttentionBackwardQuery,
            arguments: vec![qkv.clone(), floats(&y), dy.clone(), unsaid, poisoned(true)],
            words: words.clone(),
            expected: vec![(3, Floats(pairs(&|row| deltas[row]))), (4, Floats(only(true)))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: &attention_backward_key_value::AttentionBackwardKeyValue,
            arguments: vec![qkv, dy, said, poisoned(false)],
            words,
            expected: vec![(3, Floats(only(false)))],
            tolerance: PRODUCT,
        },
    ]
}
