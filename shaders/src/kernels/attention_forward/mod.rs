//! Causal attention of every head, softmax on the way (Milakov and Gimelshein 2018, arXiv 1805.02867).
//!
//! ```text
//! s[t, u] = q[t] . k[u] / sqrt(E)  for u <= t        p = softmax over u        y[t] = sum_u p[t, u] v[u]        sums[t] = ln sum_u exp s[t, u]
//! ```
//!
//! qkv is [B, T, 3, H, E]: queries, keys and values of H heads of E numbers, E a multiple of 4 and at most 64; y is [B, T, H, E].
//! Arguments: qkv, y, sums [B, T, H, 2] (the logarithm; the second word is for `attention_backward_query`). Words: B, T, H, E.
//! An invocation holds one query and its sum in registers; E is bounded so that it fits. Tables of T x T are never written down (Dao et al.
//! 2022, arXiv 2205.14135): what is needed again is computed again from the logarithm of the sums.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, heads};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct AttentionForward;

impl Kernel for AttentionForward {
    fn name(&self) -> &'static str {
        "attention_forward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1] * words[2])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        heads::cost(words, 4, 4)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        heads::turns(words)
    }

    fn scratch(&self, words: &[u32; WORDS]) -> usize {
        heads::scratch(words)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
