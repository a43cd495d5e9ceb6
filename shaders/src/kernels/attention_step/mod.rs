//! Causal attention of one new place of a text, over the keys and values of the places before it, which are kept: a cache.
//!
//! ```text
//! cache[t] = (q, k, v)        s[u] = q . k[u] / sqrt(E)  for u <= t        p = softmax over u        y = sum_u p[u] v[u]
//! ```
//!
//! qkv is [B, 3, H, E] of place t, turned already; the cache is [B, T, 3, H, E], as `attention_forward` reads a whole window, so that its
//! queries, keys and values are a cache without being moved; y is [B, H, E]. Arguments: qkv, place [1] (t, below T), cache, y. Words: B, T, H, E.
//! An invocation does one head: it writes and reads no other head's part of the cache, so none waits for another.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost, heads};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct AttentionStep;

impl Kernel for AttentionStep {
    fn name(&self) -> &'static str {
        "attention_step"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[2])
    }

    /// Of the last place; the first ones look back on less.
    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        let [samples, t, heads, e, ..] = *words;
        let seen = cost::all([samples, t, heads]);
        Cost::of(seen * 2 * u64::from(e), seen * (4 * u64::from(e) + 6))
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        heads::turns(words)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
