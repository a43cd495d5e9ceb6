//! As `attention_backward_key_value`, for GPUs: 64 keys of a head share a workgroup, which reads queries, their gradients and sums once, sixteen places at a time.
//!
//! Formula, arguments and words are those of `attention_backward_key_value`, for heads of 32 or 64 numbers (8 KiB of workgroup memory and less). Not measured on a GPU
//! yet. Dao et al. 2022, arXiv 2205.14135.

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, heads};

heads::variants!(AttentionBackwardKeyValueTiled, "attention_backward_key_value");

impl Kernel for AttentionBackwardKeyValueTiled {
    fn name(&self) -> &'static str {
        self.name
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn constants(&self) -> Vec<(&'static str, u32)> {
        vec![("E4", self.fours)]
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        heads::tiled_grid(words)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        heads::cost(words, 6, 8)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        heads::tiled_turns(words)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        super::attention_backward_key_value::cpu::run(arguments, words);
    }
}
