//! Attention of one head at a time on the CPU, shared by the three twins. qkv is [B, T, 3, H, E].
//!
//! Products of matrices are fast, so scores are written down, but never all T x T of them: [`BLOCK`] queries at a time, and of the keys those
//! that the last of them sees. The blocks are the same for any number of threads, and so are the bits.

use std::cell::Cell;
use std::ops::Range;

use super::cost::all;
use super::matmul::{Layout, matmul};
use super::{Cost, GROUPS_AXIS_MAX, Grid, WORDS, lanes, loops, threads};

/// The words of an attention kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    samples: usize,
    t: usize,
    heads: usize,
    e: usize,
}

/// Queries whose scores are written down at once: tables of 64 x T stay in a cache.
const BLOCK: usize = 64;

thread_local! {
    /// Memory for a head, used again by every call. See [`scratch`].
    static HEAD: Cell<Head> = const { Cell::new(Head::EMPTY) };
}

/// One head of one sample. What a kernel does not ask for stays empty.
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
    /// Gradients of keys and values, summed block by block [T, E].
    dk: Vec<f32>,
    dv: Vec<f32>,
    /// Scores or probabilities of a block [rows, keys seen].
    p: Vec<f32>,
    /// Gradients of these.
    ds: Vec<f32>,
    /// dy of a block [rows, E].
    dy: Vec<f32>,
    /// A result of a block [rows, E].
    out: Vec<f32>,
}

/// Words of a [`Head`] at most, on each thread: what the twins of attention work in beside their arguments.
pub(super) fn scratch(words: &[u32; WORDS]) -> usize {
    let [_, t, _, e, ..] = words.map(|word| word as usize);
    let block = BLOCK.min(t);
    5 * t * e + 2 * block * (t + e)
}

/// So many numbers of a vector that is grown where it is shorter.
fn room(memory: &mut Vec<f32>, words: usize) -> &mut [f32] {
    if memory.len() < words {
        // No more than that: what a vector grows by on its own, nobody has planned.
        memory.reserve_exact(words - memory.len());
        memory.resize(words, 0.0);
    }
    &mut memory[..words]
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
    let fits = samples as u64 * heads as u64 <= u64::from(GROUPS_AXIS_MAX) && places >= TILED_PLACES as usize;
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
            // Taken out and put back: whoever else came by on this thread meanwhile would have memory of its own.
            let mut head = Head { t: self.t, e: self.e, heads: self.heads, ..HEAD.take() };
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
                    head.gather(qkv, scale);
                    work(first + sample, &mut head, &mut of_sample);
                }
            }
            HEAD.set(head);
        });
    }
}

impl Head {
    const EMPTY: Self = Self {
        t: 0,
        e: 0,
        heads: 0,
        head: 0,
        q: Vec::new(),
        k: Vec::new(),
        v: Vec::new(),
        dk: Vec::new(),
        dv: Vec::new(),
        p: Vec::new(),
        ds: Vec::new(),
        dy: Vec::new(),
        out: Vec::new(),
    };

    /// Number of (t, head) in a sample.
    pub(super) fn row(&self, t: usize) -> usize {
        t * self.heads + self.head
    }

    /// Place in the qkv of a sample of a query (0), key (1) or value (2).
    fn at(&self, t: usize, part: usize) -> usize {
        ((t * 3 + part) * self.heads + self.head) * self.e
    }

    /// Its queries, keys and values out of a sample's.
    fn gather(&mut self, qkv: &[f32], scale: f32) {
        let words = self.t * self.e;
        for memory in [&mut self.q, &mut self.k, &mut self.v] {
            room(memory, words);
        }
        for t in 0..self.t {
            let to = t * self.e..(t + 1) * self.e;
            let [q, k, v] = [0, 1, 2].map(|part| &qkv[self.at(t, part)..][..self.e]);
            self.q[to.clone()].iter_mut().zip(q).for_each(|(to, q)| *to = q * scale);
            self.k[to.clone()].copy_from_slice(k);
            self.v[to].copy_from_slice(v);
        }
    }

    /// Its queries, a block at a time; the last block, which sees all keys, comes first.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let t = self.t;
        (0..t.div_ceil(BLOCK)).rev().map(move |i| i * BLOCK..((i + 1) * BLOCK).min(t))
    }

    /// p = scores of a block; those of what is to come are not looked at.
    fn scores(&mut self, rows: &Range<usize>) {
        let (e, seen) = (self.e, rows.end);
        let q = &self.q[rows.start * e..rows.end * e];
        let p = room(&mut self.p, rows.len() * seen);
        matmul(Layout::NormalTransposed, [rows.len(), seen, e], q, &self.k, false, p);
    }

    /// p = the softmax of the scores so far; the logarithm of each row's sum goes to the sums of the sample.
    fn softmax(&mut self, rows: &Range<usize>, sums: &mut [f32]) {
        threads::wide(
            #[inline(always)]
            || {
                for (i, t) in rows.clone().enumerate() {
                    let row = &mut self.p[i * rows.end..][..rows.end];
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

    /// y = p v, and the sums of the sample.
    pub(super) fn forward(&mut self, y: &mut [f32], sums: &mut [f32]) {
        for rows in self.blocks() {
            self.scores(&rows);
            self.softmax(&rows, sums);
            let (e, seen) = (self.e, rows.end);
            let out = room(&mut self.out, rows.len() * e);
            matmul(Layout::Normal, [rows.len(), e, seen], &self.p, &self.v, false, out);
            for (i, t) in rows.enumerate() {
                let at = self.row(t) * e;
                y[at..at + e].copy_from_slice(&self.out[i * e..(i + 1) * e]);
            }
        }
    }

    /// p = probabilities of a block, ds = gradients of the scores, from dy and the sums of the sample, with delta.
    fn score_gradients(&mut self, rows: &Range<usize>, dy: &[f32], sums: &[f32]) {
        self.scores(rows);
        let (e, seen) = (self.e, rows.end);
        room(&mut self.dy, rows.len() * e);
        for (i, t) in rows.clone().enumerate() {
            let from = self.row(t) * e;
            self.dy[i * e..(i + 1) * e].copy_from_slice(&dy[from..from + e]);
        }
        let ds = room(&mut self.ds, rows.len() * seen);
        matmul(Layout::NormalTransposed, [rows.len(), seen, e], &self.dy, &self.v, false, ds);
        threads::wide(
            #[inline(always)]
            || {
                for (i, t) in rows.clone().enumerate() {
                    let (log_sum, delta) = (sums[2 * self.row(t)], sums[2 * self.row(t) + 1]);
                    let row = i * seen..(i + 1) * seen;
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
    pub(super) fn query_gradient(&mut self, dy: &[f32], sums: &[f32], dqkv: &mut [f32]) {
        let (e, scale) = (self.e, 1.0 / (self.e as f32).sqrt());
        for rows in self.blocks() {
            self.score_gradients(&rows, dy, sums);
            let out = room(&mut self.out, rows.len() * e);
            matmul(Layout::Normal, [rows.len(), e, rows.end], &self.ds, &self.k, false, out);
            out.iter_mut().for_each(|value| *value *= scale);
            for (i, t) in rows.enumerate() {
                let to = self.at(t, 0);
                dqkv[to..to + e].copy_from_slice(&self.out[i * e..(i + 1) * e]);
            }
        }
    }

    /// dk = ds^T q / sqrt(E), where q is scaled already, and dv = p^T dy
    pub(super) fn key_value_gradient(&mut self, dy: &[f32], sums: &[f32], dqkv: &mut [f32]) {
        let (e, words) = (self.e, self.t * self.e);
        for memory in [&mut self.dk, &mut self.dv] {
            room(memory, words);
        }
        for rows in self.blocks() {
            self.score_gradients(&rows, dy, sums);
            // The first block that comes reaches every key; the others add to those that they see.
            let (extents, add) = ([rows.end, e, rows.len()], rows.end < self.t);
            let q = &self.q[rows.start * e..rows.end * e];
            matmul(Layout::TransposedNormal, extents, &self.ds, q, add, &mut self.dk);
            matmul(Layout::TransposedNormal, extents, &self.p, &self.dy, add, &mut self.dv);
        }
        for t in 0..self.t {
            for (part, values) in [(1, &self.dk), (2, &self.dv)] {
                let to = self.at(t, part);
                dqkv[to..to + e].copy_from_slice(&values[t * e..(t + 1) * e]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random.
    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let number = |i: u32| ((i ^ seed).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
        (0..n as u32).map(number).collect()
    }

    /// The three kernels once on this thread; what it keeps after the first one, and in the end.
    fn passes([samples, t, heads, e]: [usize; 4]) -> [usize; 2] {
        let of = Heads { samples, t, heads, e };
        let n = samples * t * heads * e;
        let (qkv, dy, mut sums) = (numbers(3 * n, 1), numbers(n, 2), vec![0.5; samples * of.sums()]);
        let (mut y, mut dqkv) = (vec![0.0; n], vec![0.0; 3 * n]);
        of.each(&qkv, [&mut y, &mut sums], [of.width(), of.sums()], |_, head, [y, sums]| head.forward(y, sums));
        let forward = held();
        of.each(&qkv, [&mut dqkv], [3 * of.width()], |_, head, [dqkv]| {
            head.query_gradient(&dy, &sums, dqkv);
            head.key_value_gradient(&dy, &sums, dqkv);
        });
        [forward, held()]
    }

    #[test]
    fn memory_of_a_head_is_what_is_planned_and_is_used_again() {
        let planned = |[samples, t, heads, e]: [usize; 4]| {
            let mut words = [0; WORDS];
            words[..4].copy_from_slice(&[samples, t, heads, e].map(|extent| extent as u32));
            scratch(&words)
        };
        let (t, e) = (4 * BLOCK, 8);
        let whole = [1, t, 2, e];
        let [forward, all] = passes(whole);
        assert_eq!(forward, 3 * t * e + BLOCK * (t + e), "no gradients, and no room for them");
        assert_eq!(all, planned(whole));
        assert!(all < t * t, "less than a table of all pairs");
        assert_eq!(passes(whole), [all; 2], "nothing grows by being used again");
        HEAD.take();
        for extents in [[1, 1, 1, 4], [1, BLOCK - 1, 1, 4], [1, t + 5, 1, e]] {
            let [_, all] = passes(extents);
            assert!(all <= planned(extents), "{extents:?}: {all}");
            HEAD.take();
        }
    }

    /// Words that this thread keeps.
    fn held() -> usize {
        let head = HEAD.take();
        let Head { q, k, v, dk, dv, p, ds, dy, out, .. } = &head;
        let words = [q, k, v, dk, dv, p, ds, dy, out].map(Vec::capacity).iter().sum();
        HEAD.set(head);
        words
    }
}
