//! Gradient of causal attention with respect to keys and values; the probabilities are computed again.
//!
//! ```text
//! dv[u] = sum_(t >= u) p[t, u] dy[t]        dk[u] = sum_(t >= u) ds[t, u] q[t] / sqrt(E)        p and ds as in `attention_backward_query`
//! ```
//!
//! qkv is [B, T, 3, H, E]: queries, keys and values of H heads of E numbers, E a multiple of 4 and at most 64; y is [B, T, H, E].
//! Arguments: qkv, dy, sums [B, T, H, 2] (with delta), dqkv (its keys and values). Words: B, T, H, E.
//! An invocation holds one key, its value, and their gradients in registers; E is bounded so that it fits. Tables of T x T are never written down (Dao et al.
//! 2022, arXiv 2205.14135): what is needed again is computed again from the logarithm of the sums.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, heads};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct AttentionBackwardKeyValue;

impl Kernel for AttentionBackwardKeyValue {
    fn name(&self) -> &'static str {
        "attention_backward_key_value"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1] * words[2])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        heads::cost(words, 6, 8)
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
