//! Attention of one head at a time on the CPU, shared by the three twins: tables of T x T for one head are small, and products of
//! matrices are fast. qkv is [B, T, 3, H, E].

use super::cost::all;
use super::matmul::{Layout, matmul};
use super::{Cost, Grid, WORDS, lanes, loops, threads};

/// The words of an attention kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    samples: usize,
    t: usize,
    heads: usize,
    e: usize,
}

/// One head of one sample.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// T.
    pub(super) t: usize,
    /// E.
    pub(super) e: usize,
    heads: usize,
    head: usize,
    /// Queries times 1 / sqrt(E), keys, values, each [T, E].
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// Scores or probabilities [T, T].
    pub(super) p: Vec<f32>,
    /// Gradients of the scores [T, T].
    ds: Vec<f32>,
    /// dy of the head [T, E].
    dy: Vec<f32>,
    /// A result [T, E].
    pub(super) out: Vec<f32>,
}

/// Of a causal kernel that touches so many vectors of E numbers a place and multiplies so many for each pair of places: B, T, H, E.
pub(super) fn cost(words: &[u32; WORDS], vectors: u64, products: u64) -> Cost {
    let [samples, t, heads, e, ..] = *words;
    let rows = all([samples, t, heads]);
    let pairs = rows * (u64::from(t) + 1) / 2;
    Cost::of(rows * (vectors * u64::from(e) + 2), pairs * (products * u64::from(e) + 6))
}

/// Turns of its loops: over places, and twice in each over a vector in fours.
pub(super) fn turns(words: &[u32; WORDS]) -> u64 {
    let vector = loops::plain(u64::from(words[3]) / 4);
    2 * vector + loops::plain(u64::from(words[1]) * (1 + 2 * vector))
}

/// Places of a workgroup of a tiled kernel.
const TILED_PLACES: u32 = 64;
/// Most heads of all samples that a tiled kernel takes: WebGPU grants as many workgroups along an axis.
const TILED_HEADS_MAX: u64 = 65_535;

/// A workgroup for 64 places of a head.
pub(super) fn tiled_grid(words: &[u32; WORDS]) -> Grid {
    let [samples, t, heads, ..] = *words;
    Grid { invocations: [t, samples.saturating_mul(heads)], workgroup: [TILED_PLACES, 1] }
}

/// Turns of its loops: over places in sixteens, and in each over what it loads and what it sees.
pub(super) fn tiled_turns(words: &[u32; WORDS]) -> u64 {
    u64::from(words[1]).div_ceil(16) * (u64::from(words[3]) / 16 + 20) + 1
}

/// Which of a tiled kernel's variants takes such heads, where one does and tiles pay: 32 and 64 numbers, and a workgroup's places at least.
#[must_use]
pub fn tiled(samples: usize, places: usize, heads: usize, width: usize) -> Option<usize> {
    let fits = samples as u64 * heads as u64 <= TILED_HEADS_MAX && places >= TILED_PLACES as usize;
    [32, 64].iter().position(|known| fits && *known == width)
}

/// A kernel of heads of 32 and of 64 numbers.
macro_rules! variants {
    ($kernel:ident, $name:literal) => {
        /// See the module.
        #[derive(Clone, Copy, Debug)]
        pub struct $kernel {
            name: &'static str,
            /// Fours of a head.
            fours: u32,
        }

        /// Heads of 32 numbers.
        pub static TILED_32: $kernel = $kernel { name: concat!($name, "_tiled_32"), fours: 8 };
        /// Heads of 64 numbers.
        pub static TILED_64: $kernel = $kernel { name: concat!($name, "_tiled_64"), fours: 16 };
    };
}
pub(super) use variants;

impl Heads {
    pub(super) fn new(words: &[u32; WORDS]) -> Self {
        let [samples, t, heads, e, ..] = words.map(|word| word as usize);
        Self { samples, t, heads, e }
    }

    /// Numbers of y of a sample.
    pub(super) fn width(&self) -> usize {
        self.t * self.heads * self.e
    }

    /// Numbers of the sums of a sample.
    pub(super) fn sums(&self) -> usize {
        2 * self.t * self.heads
    }

    /// As much of what is written as there are samples: a buffer may be larger.
    pub(super) fn written<'a, const N: usize>(
        &self,
        all: [&'a mut [f32]; N],
        widths: [usize; N],
    ) -> [&'a mut [f32]; N] {
        let mut widths = widths.iter();
        all.map(|all| &mut all[..self.samples * widths.next().copied().unwrap_or_default()])
    }

    /// Every head of every sample, samples shared out: with the number of the sample, and what is written of it, `widths[j]` numbers of
    /// vector j.
    pub(super) fn each<const N: usize>(
        &self,
        qkv: &[f32],
        written: [&mut [f32]; N],
        widths: [usize; N],
        work: impl Fn(usize, &mut Head, &mut [&mut [f32]; N]) + Sync,
    ) {
        threads::share_parts(written, widths, (self.samples, self.heads * self.t * self.t), |first, mut written| {
            let table = || vec![0.0; self.t * self.t];
            let rows = || vec![0.0; self.t * self.e];
            let mut head = Head { t: self.t, e: self.e, heads: self.heads, p: table(), ds: table(), ..Head::default() };
            [head.q, head.k, head.v, head.dy, head.out] = [(); 5].map(|()| rows());
            let scale = 1.0 / (self.e as f32).sqrt();
            for sample in 0..written[0].len() / widths[0] {
                let mut j = 0;
                let mut of_sample = written.each_mut().map(|written| {
                    j += 1;
                    &mut written[sample * widths[j - 1]..][..widths[j - 1]]
                });
                let qkv = &qkv[(first + sample) * 3 * self.width()..];
                for number in 0..self.heads {
                    head.head = number;
                    for t in 0..self.t {
                        let to = t * self.e..(t + 1) * self.e;
                        let [q, k, v] = [0, 1, 2].map(|part| &qkv[head.at(t, part)..][..self.e]);
                        head.q[to.clone()].iter_mut().zip(q).for_each(|(to, q)| *to = q * scale);
                        head.k[to.clone()].copy_from_slice(k);
                        head.v[to].copy_from_slice(v);
                    }
                    work(first + sample, &mut head, &mut of_sample);
                }
            }
        });
    }
}

impl Head {
    /// Number of (t, head) in a sample.
    pub(super) fn row(&self, t: usize) -> usize {
        t * self.heads + self.head
    }

    /// Place in the qkv of a sample of a query (0), key (1) or value (2).
    fn at(&self, t: usize, part: usize) -> usize {
        ((t * 3 + part) * self.heads + self.head) * self.e
    }

    /// p = scores; those of what is to come are not looked at.
    pub(super) fn scores(&mut self) {
        matmul(Layout::NormalTransposed, [self.t, self.t, self.e], &self.q, &self.k, false, &mut self.p);
    }

    /// p = the softmax of the scores so far; the logarithm of each row's sum goes to the sums of the sample.
    pub(super) fn softmax(&mut self, sums: &mut [f32]) {
        threads::wide(
            #[inline(always)]
            || {
                for t in 0..self.t {
                    let row = &mut self.p[t * self.t..][..self.t];
                    let largest = lanes::largest(&row[..=t]);
                    row[..=t].iter_mut().for_each(|s| *s = lanes::exp(*s - largest));
                    let sum = lanes::sum(&row[..=t]);
                    row[..=t].iter_mut().for_each(|p| *p /= sum);
                    row[t + 1..].fill(0.0);
                    let at = 2 * (t * self.heads + self.head);
                    (sums[at], sums[at + 1]) = (largest + sum.ln(), 0.0);
                }
            },
        );
    }

    /// out = p v
    pub(super) fn weigh(&mut self) {
        matmul(Layout::Normal, [self.t, self.e, self.t], &self.p, &self.v, false, &mut self.out);
    }

    /// p = probabilities, ds = gradients of the scores, from dy and the sums of the sample, with delta.
    pub(super) fn score_gradients(&mut self, dy: &[f32], sums: &[f32]) {
        self.scores();
        for t in 0..self.t {
            let from = self.row(t) * self.e;
            self.dy[t * self.e..(t + 1) * self.e].copy_from_slice(&dy[from..from + self.e]);
        }
        matmul(Layout::NormalTransposed, [self.t, self.t, self.e], &self.dy, &self.v, false, &mut self.ds);
        threads::wide(
            #[inline(always)]
            || {
                for t in 0..self.t {
                    let (log_sum, delta) = (sums[2 * self.row(t)], sums[2 * self.row(t) + 1]);
                    let row = t * self.t..(t + 1) * self.t;
                    let (p, ds) = (&mut self.p[row.clone()], &mut self.ds[row]);
                    for (p, ds) in p[..=t].iter_mut().zip(&mut ds[..=t]) {
                        *p = lanes::exp(*p - log_sum);
                        *ds = *p * (*ds - delta);
                    }
                    p[t + 1..].fill(0.0);
                    ds[t + 1..].fill(0.0);
                }
            },
        );
    }

    /// dq = ds k / sqrt(E)
    pub(super) fn query_gradient(&mut self, dqkv: &mut [f32]) {
        matmul(Layout::Normal, [self.t, self.e, self.t], &self.ds, &self.k, false, &mut self.out);
        let scale = 1.0 / (self.e as f32).sqrt();
        self.out.iter_mut().for_each(|value| *value *= scale);
        self.put(0, dqkv);
    }

    /// dk = ds^T q / sqrt(E), where q is scaled already, and dv = p^T dy
    pub(super) fn key_value_gradient(&mut self, dqkv: &mut [f32]) {
        matmul(Layout::TransposedNormal, [self.t, self.e, self.t], &self.ds, &self.q, false, &mut self.out);
        self.put(1, dqkv);
        matmul(Layout::TransposedNormal, [self.t, self.e, self.t], &self.p, &self.dy, false, &mut self.out);
        self.put(2, dqkv);
    }

    fn put(&self, part: usize, dqkv: &mut [f32]) {
        for t in 0..self.t {
            let to = self.at(t, part);
            dqkv[to..to + self.e].copy_from_slice(&self.out[t * self.e..(t + 1) * self.e]);
        }
    }
}
