//! At what sizes each kernel is measured: a row a kernel, three sizes from what a small model has to what a large one has.
//!
//! A row whose name ends in `*` holds for every kernel of a family that takes the same arguments and words.

mod base;
mod fill;

use protocol::codec::CHUNK;

use crate::kernels::advance::{STATE_POWER_1, STATE_POWER_2, STATE_WORDS};
use crate::kernels::{Activation, Kernel, word};
use crate::learner;

use base::{base_weights, decode_top_k_2bit, of_base, scatter_add};
pub(super) use fill::Fill;
use fill::scattered;

/// Sizes of every kernel.
pub const SIZES: usize = 3;
/// Elements that a sparse codec keeps of a chunk.
const KEPT: usize = 64;
/// z where GELU is its argument and its slope 1, so that what is multiplied again and again stays as large as it is.
const STEEP: f32 = 6.0;

/// What a kernel is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// So many products of m, n, k by the `gemm` crate.
    Products(usize, [usize; 3]),
    /// A copy of as many bytes as the kernel reads and writes.
    Copy,
    /// What `protocol` does with slices of that length on the host.
    Slices(Slices, usize),
}

/// See [`Beside::Slices`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slices {
    /// `Density::largest` of every chunk.
    Largest,
    /// `State::residual`.
    Residual,
    /// `State::measure`.
    Measure,
    /// `State::add`, with the decoding of the payload.
    Add,
    /// `State::value` of the base.
    Weights,
}

/// A kernel at one size.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// As a table shows it.
    pub(super) size: String,
    pub(super) arguments: Vec<Fill>,
    pub(super) words: Vec<u32>,
    pub(super) beside: Beside,
}

/// The row of a kernel at size 0, 1 or 2.
pub(super) fn of(kernel: &dyn Kernel, size: usize) -> Option<Shape> {
    let name = kernel.name();
    let fits = |row: &str| row == name || row.strip_suffix('*').is_some_and(|family| name.starts_with(family));
    let (_, shape) = TABLE.iter().find(|(row, _)| fits(row))?;
    Some(shape(size))
}

/// The name of a kernel, and its shape at each size.
type Row = (&'static str, fn(usize) -> Shape);

/// Shapes by kernel.
const TABLE: &[Row] = &[
    ("gather", gather),
    ("linear_forward*", |size| linear(size, 0)),
    ("linear_backward_input*", |size| linear(size, 1)),
    ("linear_backward_weight*", |size| linear(size, 2)),
    ("softmax_cross_entropy", loss),
    ("softmax_cross_entropy_shared", loss),
    ("mean_squared_error", loss),
    ("class_weights", class_weights),
    ("adam", |size| optimizer(size, 4, &[word(0.001), word(0.9), word(0.999), word(1e-8), 0])),
    ("adam_common", |size| optimizer(size, 3, &[word(0.001), word(0.9), word(1e-8)])),
    ("sgd", sgd),
    ("mean_square", |size| partial_sums(size, &[1 << 20, word(0.999)], Fill::Given(state()))),
    ("clip_factor", |size| partial_sums(size, &[word(1.0)], Fill::Floats(1))),
    ("advance", advance),
    ("scatter_add", scatter_add),
    ("decode_top_k_2bit", decode_top_k_2bit),
    ("residual", |size| of_base(size, Slices::Residual, |d| (vec![Fill::Floats(d)], vec![]))),
    ("base_weights", base_weights),
    ("residual_measure", |size| {
        of_base(size, Slices::Measure, |d| {
            let parts = learner::measure_parts(d);
            (vec![Fill::Floats(2 * parts), Fill::Floats(parts)], vec![parts as u32])
        })
    }),
    ("select_largest", |size| {
        of_base(size, Slices::Largest, |d| {
            (vec![Fill::Floats(2 * d.div_ceil(CHUNK) * KEPT)], vec![KEPT as u32, word(1.0)])
        })
    }),
    ("accumulate", |size| stream(size, 2, &[1])),
    ("activation_forward", |size| stream(size, 2, &[Activation::Gelu as u32])),
    ("activation_backward", activation_backward),
    ("add", |size| stream(size, 3, &[Activation::None as u32])),
    ("scale", scale),
    ("dropout", dropout),
    ("sum_squares", sum_squares),
    ("sum_slices", sum_slices),
    ("conv2d_forward*", |size| convolution(size, 0)),
    ("conv2d_backward_input*", |size| convolution(size, 1)),
    ("conv2d_backward_weight*", |size| convolution(size, 2)),
    ("max_pool_forward", |size| pool(size, |x, y| vec![Fill::Floats(x), Fill::Floats(y), Fill::Floats(y)])),
    ("max_pool_backward", max_pool_backward),
    ("average_pool_forward", |size| pool(size, |x, y| vec![Fill::Floats(x), Fill::Floats(y)])),
    ("average_pool_backward", |size| pool(size, |x, y| vec![Fill::Floats(y), Fill::Floats(x)])),
    ("norm_statistics", |size| norm(size, |n| vec![n.x(), n.pairs()])),
    ("norm_statistics_shared", |size| norm(size, |n| vec![n.x(), n.pairs()])),
    ("norm_forward", |size| norm(size, |n| vec![n.x(), n.tensors(), n.pairs(), n.x()])),
    ("norm_backward_statistics", |size| norm(size, |n| vec![n.x(), n.x(), n.tensors(), n.pairs(), n.pairs()])),
    ("norm_backward_statistics_shared", |size| norm(size, |n| vec![n.x(), n.x(), n.tensors(), n.pairs(), n.pairs()])),
    ("norm_backward_input", |size| norm(size, |n| vec![n.x(), n.x(), n.tensors(), n.pairs(), n.pairs(), n.x()])),
    ("norm_backward_weight", |size| norm(size, |n| vec![n.x(), n.x(), n.pairs(), n.parts()])),
    ("next_token", next_token),
    ("embedding_forward", |size| tokens(size, |t| vec![t.tokens(), t.table(), t.rows()])),
    ("token_chain", |size| Shape { words: vec![TOKENS[size][0]], ..tokens(size, |t| vec![t.tokens(), t.chain()]) }),
    ("embedding_backward", |size| tokens(size, |t| vec![t.tokens(), t.chain(), t.rows(), t.table()])),
    ("rotary", rotary),
    ("attention_forward", |size| attention(size, 2, |a| vec![a.qkv(), a.rows(), a.sums()])),
    ("attention_step", attention_step),
    ("attention_backward_query", |size| attention(size, 3, |a| vec![a.qkv(), a.rows(), a.rows(), a.sums(), a.qkv()])),
    ("attention_backward_key_value", |size| attention(size, 4, |a| vec![a.qkv(), a.rows(), a.sums(), a.qkv()])),
    ("attention_forward_tiled_32", |size| heads_of(size, 32, 2, |a| vec![a.qkv(), a.rows(), a.sums()])),
    ("attention_forward_tiled_64", |size| heads_of(size, 64, 2, |a| vec![a.qkv(), a.rows(), a.sums()])),
    ("attention_backward_query_tiled_32", |size| {
        heads_of(size, 32, 3, |a| vec![a.qkv(), a.rows(), a.rows(), a.sums(), a.qkv()])
    }),
    ("attention_backward_query_tiled_64", |size| {
        heads_of(size, 64, 3, |a| vec![a.qkv(), a.rows(), a.rows(), a.sums(), a.qkv()])
    }),
    ("attention_backward_key_value_tiled_32", |size| {
        heads_of(size, 32, 4, |a| vec![a.qkv(), a.rows(), a.sums(), a.qkv()])
    }),
    ("attention_backward_key_value_tiled_64", |size| {
        heads_of(size, 64, 4, |a| vec![a.qkv(), a.rows(), a.sums(), a.qkv()])
    }),
];

/// Numbers of what is done number by number.
const STREAMED: [usize; SIZES] = [16 << 10, 256 << 10, 4 << 20];
/// m, n, k: of a small perceptron, of a small language model, of a large one.
const PRODUCTS: [[u32; 3]; SIZES] = [[64, 128, 784], [512, 384, 128], [1024, 1024, 1024]];
/// Rows and classes.
const LOSSES: [[u32; 2]; SIZES] = [[64, 10], [512, 256], [1024, 8192]];
/// Numbers that one invocation adds up.
const PARTS: [u32; SIZES] = [64, 512, 1024];
/// Pictures, extent, channels in and out.
const PICTURES: [[u32; 4]; SIZES] = [[8, 14, 16, 32], [32, 28, 8, 16], [32, 28, 32, 32]];
/// Rows and channels of a norm over each row.
const NORMS: [[u32; 2]; SIZES] = [[512, 128], [4096, 256], [8192, 768]];
/// Tokens, width, vocabulary.
const TOKENS: [[u32; 3]; SIZES] = [[512, 128, 256], [4096, 256, 256], [8192, 768, 256]];
/// Samples, places, heads, width of a head.
const ATTENTIONS: [[u32; 4]; SIZES] = [[8, 64, 4, 32], [8, 256, 4, 32], [2, 512, 8, 64]];

fn state() -> Vec<u32> {
    let mut state = vec![0; STATE_WORDS];
    (state[STATE_POWER_1], state[STATE_POWER_2]) = (word(0.5), word(0.5));
    state
}

fn numbers<const N: usize>(words: [u32; N]) -> [usize; N] {
    words.map(|word| word as usize)
}

fn joined(extents: &[u32]) -> String {
    extents.iter().map(u32::to_string).collect::<Vec<_>>().join(" x ")
}

/// A shape held against a copy.
fn copied(extents: &[u32], arguments: Vec<Fill>, words: Vec<u32>) -> Shape {
    Shape { size: joined(extents), arguments, words, beside: Beside::Copy }
}

/// `n` numbers in each of so many arguments; words n and those.
fn stream(size: usize, arguments: usize, words: &[u32]) -> Shape {
    let n = STREAMED[size];
    copied(&[n as u32], vec![Fill::Floats(n); arguments], [&[n as u32], words].concat())
}

fn activation_backward(size: usize) -> Shape {
    let n = STREAMED[size];
    let arguments = vec![Fill::Constant(n, STEEP), Fill::Floats(n)];
    Shape { arguments, ..stream(size, 2, &[Activation::Gelu as u32]) }
}

fn scale(size: usize) -> Shape {
    Shape { arguments: vec![Fill::Constant(1, 1.0), Fill::Floats(STREAMED[size])], ..stream(size, 1, &[]) }
}

fn dropout(size: usize) -> Shape {
    let n = STREAMED[size];
    let arguments = vec![Fill::Floats(n), Fill::Given(state()), Fill::Floats(n)];
    Shape { arguments, ..stream(size, 2, &[u32::MAX / 10, word(1.0 / 0.9), 1, 1]) }
}

fn sum_squares(size: usize) -> Shape {
    let (n, parts) = (STREAMED[size], (STREAMED[size] / 256).min(1024));
    Shape { arguments: vec![Fill::Floats(n), Fill::Floats(parts)], ..stream(size, 1, &[parts as u32]) }
}

fn sum_slices(size: usize) -> Shape {
    let (slices, n) = (16, STREAMED[size] / 16);
    let extents = [slices as u32, n as u32];
    copied(&extents, vec![Fill::Floats(slices * n), Fill::Floats(n)], [&extents[..], &[0]].concat())
}

/// Parameters, gradient and moments; words d and those.
fn optimizer(size: usize, vectors: usize, words: &[u32]) -> Shape {
    let d = STREAMED[size];
    let mut arguments = vec![Fill::Floats(d); vectors];
    // A second moment is no less than 0.
    if let Some(second) = arguments.get_mut(3) {
        *second = Fill::Constant(d, 0.5);
    }
    arguments.push(Fill::Given(state()));
    Shape { arguments, ..stream(size, 0, words) }
}

fn sgd(size: usize) -> Shape {
    stream(size, 3, &[word(0.001), word(0.9), 0])
}

/// A few parts that one invocation adds up.
fn partial_sums(size: usize, words: &[u32], result: Fill) -> Shape {
    let parts = PARTS[size];
    let arguments = vec![Fill::Constant(parts as usize, 0.5), result];
    copied(&[parts], arguments, [&[parts], words].concat())
}

fn advance(size: usize) -> Shape {
    let m = PARTS[size];
    let rows = (0..m).flat_map(|i| [word(0.5), i % 2]).collect();
    let arguments = vec![Fill::Given(state()), Fill::Given(rows)];
    copied(&[m], arguments, vec![m, word(0.9), word(0.999)])
}

fn gather(size: usize) -> Shape {
    let [batch, features] = [[32, 64], [64, 784], [512, 4096]][size];
    let [b, f, samples] = numbers([batch, features, 2 * batch]);
    let arguments = vec![
        Fill::Floats(samples * f),
        Fill::Below(samples, 10),
        Fill::Below(b, samples),
        Fill::Given(state()),
        Fill::Floats(b * f),
        Fill::Floats(b),
    ];
    copied(&[batch, features], arguments, vec![batch, features])
}

fn loss(size: usize) -> Shape {
    let [m, classes] = LOSSES[size];
    let [rows, width] = numbers([m, classes]);
    let arguments = vec![Fill::Floats(rows * width), Fill::Below(rows, width), Fill::Floats(2 * rows)];
    copied(&[m, classes], arguments, vec![m, classes])
}

/// Weights of 1: what is measured again and again does not die away.
fn class_weights(size: usize) -> Shape {
    let [m, classes] = LOSSES[size];
    let [rows, width] = numbers([m, classes]);
    let arguments = vec![Fill::Floats(rows * width), Fill::Below(rows, width), Fill::Constant(width, 1.0)];
    copied(&[m, classes], arguments, vec![m, classes])
}

/// Forward, by input, by weight.
fn linear(size: usize, pass: usize) -> Shape {
    let [wm, wn, wk] = PRODUCTS[size];
    let [m, n, k] = numbers([wm, wn, wk]);
    let [x, parameters, y] = [m * k, n * k + n, m * n].map(Fill::Floats);
    let (arguments, words) = match pass {
        0 => (vec![x, parameters, y], vec![wm, wn, wk, 0, 0, 0]),
        1 => (vec![y, parameters, x], vec![wm, wn, wk, 0]),
        // In one part, where there are any.
        _ => (vec![y, x, parameters], vec![wm, wn, wk, 0, 0, 1]),
    };
    let extents = [[m, n, k], [m, k, n], [n, k, m]][pass];
    Shape { size: joined(&[wm, wn, wk]), arguments, words, beside: Beside::Products(1, extents) }
}

/// Forward, by input, by weight; 3 x 3, as large behind as before.
fn convolution(size: usize, pass: usize) -> Shape {
    let [pictures, extent, channels, outputs] = PICTURES[size];
    let slices = 8;
    let words = vec![pictures, extent, extent, channels, extent, extent, outputs, 0, 3, 1, 1, 0, slices];
    let [n, e, c, o] = numbers([pictures, extent, channels, outputs]);
    let (rows, patch) = (n * e * e, 9 * c);
    let [x, y] = [rows * c, rows * o].map(Fill::Floats);
    let parameters = |count| Fill::Floats(count * (o * patch + o));
    let arguments = match pass {
        0 => vec![x, parameters(1), y],
        1 => vec![y, parameters(1), x],
        _ => vec![y, x, parameters(slices as usize)],
    };
    let extents = [[rows, o, patch], [rows, patch, o], [o, patch, rows]][pass];
    let size = joined(&[pictures, extent, extent, channels, outputs]);
    Shape { size, arguments, words, beside: Beside::Products(1, extents) }
}

/// Windows of 2 x 2, from how many pixels to how many results.
fn pool(size: usize, arguments: fn(usize, usize) -> Vec<Fill>) -> Shape {
    let [n, extent, channels, _] = PICTURES[size];
    let half = extent / 2;
    let [pixels, results] = numbers([n * extent * extent * channels, n * half * half * channels]);
    let words = vec![n, extent, extent, channels, half, half, 2, 2, 2];
    copied(&[n, extent, extent, channels], arguments(pixels, results), words)
}

/// Of every window its first pixel was the largest.
fn max_pool_backward(size: usize) -> Shape {
    let [n, extent, channels] = numbers([PICTURES[size][0], PICTURES[size][1], PICTURES[size][2]]);
    let half = extent / 2;
    let corner = |i: usize| {
        let (window, channel) = (i / channels, i % channels);
        let (picture, y, x) = (window / (half * half), window / half % half, window % half);
        (((picture * extent + 2 * y) * extent + 2 * x) * channels + channel) as u32
    };
    let shape = pool(size, |x, y| vec![Fill::Floats(y), Fill::Floats(0), Fill::Floats(x)]);
    let chosen = Fill::Given((0..n * half * half * channels).map(corner).collect());
    let arguments = vec![shape.arguments[0].clone(), chosen, shape.arguments[2].clone()];
    Shape { arguments, ..shape }
}

/// A norm over each row, with a mean: as in a language model.
struct NormOf {
    rows: usize,
    channels: usize,
    slices: usize,
}

impl NormOf {
    fn x(&self) -> Fill {
        Fill::Floats(self.rows * self.channels)
    }

    fn pairs(&self) -> Fill {
        Fill::Floats(2 * self.rows)
    }

    fn tensors(&self) -> Fill {
        Fill::Floats(2 * self.channels)
    }

    fn parts(&self) -> Fill {
        Fill::Floats(self.slices * 2 * self.channels)
    }
}

fn norm(size: usize, arguments: fn(&NormOf) -> Vec<Fill>) -> Shape {
    let [rows, channels] = NORMS[size];
    let slices = rows / 256;
    let words = vec![rows, 1, channels, 1, 0, 0, word(1e-5), 0, slices];
    let [r, c, s] = numbers([rows, channels, slices]);
    copied(&[rows, channels], arguments(&NormOf { rows: r, channels: c, slices: s }), words)
}

fn next_token(size: usize) -> Shape {
    let [samples, places] = [[8, 64], [64, 256], [512, 1024]][size];
    let [b, t] = numbers([samples, places]);
    let arguments = vec![Fill::Constant(b * (t + 1), 7.0), Fill::Floats(b * t), Fill::Floats(b * t)];
    copied(&[samples, places], arguments, vec![samples, places])
}

struct TokensOf {
    m: usize,
    width: usize,
    vocabulary: usize,
}

impl TokensOf {
    /// The same numbers wherever they are asked for.
    fn list(&self) -> Vec<u32> {
        scattered(self.m).map(|i| (i % self.vocabulary) as u32).collect()
    }

    fn tokens(&self) -> Fill {
        Fill::Given(self.list())
    }

    fn table(&self) -> Fill {
        Fill::Floats(self.vocabulary * self.width)
    }

    fn rows(&self) -> Fill {
        Fill::Floats(self.m * self.width)
    }

    /// As `token_chain` makes it.
    fn chain(&self) -> Fill {
        let mut last = vec![self.m; self.vocabulary];
        let mut chain = vec![0; 2 * self.m];
        for (i, token) in self.list().into_iter().enumerate() {
            let before = std::mem::replace(&mut last[token as usize], i);
            chain[2 * i] = before as u32;
        }
        last.into_iter().filter(|&i| i < self.m).for_each(|i| chain[2 * i + 1] = 1);
        Fill::Given(chain)
    }
}

fn tokens(size: usize, arguments: fn(&TokensOf) -> Vec<Fill>) -> Shape {
    let [m, width, vocabulary] = TOKENS[size];
    let [tokens, channels, all] = numbers([m, width, vocabulary]);
    let of = TokensOf { m: tokens, width: channels, vocabulary: all };
    copied(&[m, width, vocabulary], arguments(&of), vec![m, width, 0, vocabulary])
}

struct AttentionOf {
    rows: usize,
    width: usize,
    heads: usize,
}

impl AttentionOf {
    fn qkv(&self) -> Fill {
        Fill::Floats(3 * self.rows * self.width)
    }

    fn rows(&self) -> Fill {
        Fill::Floats(self.rows * self.width)
    }

    fn sums(&self) -> Fill {
        Fill::Constant(2 * self.rows * self.heads, 4.0)
    }
}

/// So many products of T x T x E a head, counted whole: half of them lies in the future and need not be done.
fn attention(size: usize, products: usize, arguments: fn(&AttentionOf) -> Vec<Fill>) -> Shape {
    heads_of(size, ATTENTIONS[size][3], products, arguments)
}

/// The same with heads of such a width.
fn heads_of(size: usize, width: u32, products: usize, arguments: fn(&AttentionOf) -> Vec<Fill>) -> Shape {
    let mut extents = ATTENTIONS[size];
    extents[3] = width;
    let [samples, t, heads, e] = numbers(extents);
    let of = AttentionOf { rows: samples * t, width: heads * e, heads };
    let beside = Beside::Products(products * samples * heads, [t, t, e]);
    Shape { size: joined(&extents), arguments: arguments(&of), words: extents.to_vec(), beside }
}

/// The last place of a window, held against a copy: each number of the cache is read once.
fn attention_step(size: usize) -> Shape {
    let extents = ATTENTIONS[size];
    let [samples, t, heads, e] = numbers(extents);
    let width = heads * e;
    let (new, place) = (Fill::Floats(samples * 3 * width), Fill::Given(vec![extents[1] - 1]));
    let arguments = vec![new, place, Fill::Floats(samples * t * 3 * width), Fill::Floats(samples * width)];
    copied(&extents, arguments, extents.to_vec())
}

fn rotary(size: usize) -> Shape {
    let [samples, places, heads, each] = ATTENTIONS[size];
    let (m, width) = (samples * places, 3 * heads * each);
    let angles = (0..places * each / 2).flat_map(|i| {
        let turn = f64::from(i % 360);
        [word(turn.cos() as f32), word(turn.sin() as f32)]
    });
    let arguments = vec![Fill::Floats((m * width) as usize), Fill::Given(angles.collect())];
    copied(&[m, width], arguments, vec![m, width, 2 * heads, each, places, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::ALL;

    #[test]
    fn no_kernel_is_left_out_and_no_row_is_idle() {
        for kernel in ALL {
            let sizes: Vec<_> = (0..SIZES).filter_map(|size| of(*kernel, size)).collect();
            assert_eq!(sizes.len(), SIZES, "{} has no row in bench/shapes.rs", kernel.name());
            for shape in sizes {
                assert_eq!(shape.arguments.len(), kernel.access().len(), "arguments of {}", kernel.name());
            }
        }
        for (row, _) in TABLE {
            let names = |kernel: &&dyn Kernel| kernel.name().starts_with(row.trim_end_matches('*'));
            assert!(ALL.iter().any(names), "{row} is no kernel");
        }
    }
}
