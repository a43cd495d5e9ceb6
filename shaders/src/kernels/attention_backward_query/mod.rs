//! Gradient of causal attention with respect to the queries; the probabilities are computed again.
//!
//! ```text
//! p[t, u] = exp( s[t, u] - sums[t] )        delta[t] = dy[t] . y[t]        ds[t, u] = p[t, u] (dy[t] . v[u] - delta[t])
//! dq[t] = sum_u ds[t, u] k[u] / sqrt(E)
//! ```
//!
//! qkv is [B, T, 3, H, E]: queries, keys and values of H heads of E numbers, E a multiple of 4 and at most 64; y is [B, T, H, E].
//! Arguments: qkv, y, dy, sums [B, T, H, 2] (delta goes to the second word), dqkv (its queries). Words: B, T, H, E.
//! An invocation holds one query and its gradient in registers; E is bounded so that it fits. Tables of T x T are never written down (Dao et al.
//! 2022, arXiv 2205.14135): what is needed again is computed again from the logarithm of the sums.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, heads};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct AttentionBackwardQuery;

impl Kernel for AttentionBackwardQuery {
    fn name(&self) -> &'static str {
        "attention_backward_query"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::Write, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1] * words[2])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        heads::cost(words, 6, 6)
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
