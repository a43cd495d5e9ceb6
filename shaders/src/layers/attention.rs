//! Causal attention of several heads with rotary positions, by kernels `rotary` and `attention_*`.
//!
//! ```text
//! forward     q, k turned by their place     y[t] = sum_(u <= t) softmax_u( q[t] . k[u] / sqrt(E) ) v[u]
//! backward    dq, dk, dv from dy; dq and dk turned back          x = (q, k, v) [T, 3, H, E], y [T, H, E]
//! ```
//!
//! Queries and keys are turned in place: whoever made x needs nothing of it but its gradient. Probabilities are not kept but computed
//! again, from one number for each place and head.
//!
//! [`Step`] is the same of one new place of a text: the turned queries, keys and values of those before it are kept.

use super::{Backward, Forward, Layer, input};
use crate::engine::plan::Draft;
use crate::kernels::attention_backward_key_value::AttentionBackwardKeyValue;
use crate::kernels::attention_backward_query::AttentionBackwardQuery;
use crate::kernels::attention_forward::AttentionForward;
use crate::kernels::attention_step::AttentionStep;
use crate::kernels::rotary::Rotary;
use crate::kernels::word;
use crate::kernels::{
    Kernel, attention_backward_key_value_tiled as key_value, attention_backward_query_tiled as query,
    attention_forward_tiled as forward, heads,
};

/// Widest head: a query and its sum lie in registers.
pub const HEAD_WIDTH_MAX: usize = 64;
/// Heads are read four numbers at a time.
pub const HEAD_WIDTH_STEP: usize = 4;
/// Slowest turn, as in the paper.
const BASE: f64 = 10_000.0;

/// One layer, without parameters.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// T.
    pub places: usize,
    /// H.
    pub heads: usize,
    /// E.
    pub head_width: usize,
    /// Number of the table of [`angles`].
    pub angles: usize,
}

/// Cosine and sine of every place and pair, [T, E/2, 2].
#[must_use]
pub fn angles(places: usize, head_width: usize) -> Vec<u32> {
    (0..places).flat_map(|place| angles_at(place, head_width)).collect()
}

/// Those of one place, [E/2, 2].
pub fn angles_at(place: usize, head_width: usize) -> impl Iterator<Item = u32> {
    let turn = move |pair: usize| place as f64 * BASE.powf(-2.0 * pair as f64 / head_width as f64);
    (0..head_width / 2).map(turn).flat_map(|turn| [word(turn.cos() as f32), word(turn.sin() as f32)])
}

impl Attention {
    /// Forward, queries, keys and values: tiles where workgroups share memory and a head's width has some.
    fn kernels(&self, draft: &Draft, samples: usize) -> [&'static dyn Kernel; 3] {
        let plain: [&'static dyn Kernel; 3] = [&AttentionForward, &AttentionBackwardQuery, &AttentionBackwardKeyValue];
        match heads::tiled(samples, self.places, self.heads, self.head_width) {
            Some(0) if draft.choices().shares_memory() => [&forward::TILED_32, &query::TILED_32, &key_value::TILED_32],
            Some(_) if draft.choices().shares_memory() => [&forward::TILED_64, &query::TILED_64, &key_value::TILED_64],
            _ => plain,
        }
    }

    fn words(&self, samples: usize) -> [u32; 4] {
        [samples, self.places, self.heads, self.head_width].map(|word| word as u32)
    }

    /// Of queries and keys, the first two thirds of every row.
    fn turn(&self, samples: usize, back: bool) -> [u32; 6] {
        let width = 3 * self.heads * self.head_width;
        let (rows, heads) = (samples * self.places, 2 * self.heads);
        [rows, width, heads, self.head_width, self.places, usize::from(back)].map(|word| word as u32)
    }
}

impl Layer for Attention {
    fn width(&self) -> usize {
        self.places * self.heads * self.head_width
    }

    fn saved(&self, samples: usize) -> usize {
        2 * samples * self.places * self.heads
    }

    fn forward(&self, draft: &mut Draft, io: &Forward<'_>) {
        let x = *input(io.x);
        let sums = io.saved.unwrap_or_else(|| draft.buffer(self.saved(io.samples)));
        draft.push(&Rotary, &[x, io.tables[self.angles]], &self.turn(io.samples, false));
        let [kernel, ..] = self.kernels(draft, io.samples);
        draft.push(kernel, &[x, io.y, sums], &self.words(io.samples));
    }

    fn backward(&self, draft: &mut Draft, io: &Backward<'_>) {
        let forward = &io.forward;
        let (Some(dx), Some(sums)) = (input(io.dx), forward.saved) else { return };
        let (x, dx, words) = (*input(forward.x), dx.buffer, self.words(forward.samples));
        let [_, query, key_value] = self.kernels(draft, forward.samples);
        draft.push(query, &[x, forward.y, io.dy, sums, dx], &words);
        draft.push(key_value, &[x, io.dy, sums, dx], &words);
        draft.push(&Rotary, &[dx, forward.tables[self.angles]], &self.turn(forward.samples, true));
    }
}

/// The layer at one new place of a text of up to T places. It is never trained by.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// T.
    pub places: usize,
    /// H.
    pub heads: usize,
    /// E.
    pub head_width: usize,
    /// Number of the table with the [`angles_at`] the place.
    pub angles: usize,
    /// Number of the table with the number of the place.
    pub place: usize,
    /// Number of the table [T, 3, H, E] where queries, keys and values are kept.
    pub cache: usize,
}

impl Step {
    /// Words of the cache.
    #[must_use]
    pub fn cached(places: usize, heads: usize, head_width: usize) -> usize {
        places * 3 * heads * head_width
    }
}

impl Layer for Step {
    fn width(&self) -> usize {
        self.heads * self.head_width
    }

    fn forward(&self, draft: &mut Draft, io: &Forward<'_>) {
        let x = *input(io.x);
        let one = Attention { places: 1, heads: self.heads, head_width: self.head_width, angles: self.angles };
        draft.push(&Rotary, &[x, io.tables[self.angles]], &one.turn(io.samples, false));
        let words = [io.samples, self.places, self.heads, self.head_width].map(|word| word as u32);
        draft.push(&AttentionStep, &[x, io.tables[self.place], io.tables[self.cache], io.y], &words);
    }

    /// Nothing: what is before the place has no gradient here.
    fn backward(&self, _draft: &mut Draft, _io: &Backward<'_>) {}
}
