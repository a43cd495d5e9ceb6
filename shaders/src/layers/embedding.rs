//! Embedding: a row of a table for every token.
//!
//! ```text
//! forward     y[t] = table[token[t]]                              token [T], table [V, D], y [T, D]
//! backward    dtable[v] = sum of dy[t] over the places t of token v
//! ```
//!
//! The table is the weight of the head too ("tied"; Press and Wolf 2016, arXiv 1608.05859): its gradient is there already, and this
//! one is added. The layers of a network go backward in reverse order, so the head, which overwrites, comes first.

use super::{Backward, Forward, Layer, input};
use crate::engine::plan::Draft;
use crate::kernels::embedding_backward::EmbeddingBackward;
use crate::kernels::embedding_forward::EmbeddingForward;
use crate::kernels::token_chain::TokenChain;

/// One layer; its table lies at `offset` of the flat buffers, and a later [`Linear`](super::linear::Linear) has it too.
#[derive(Clone, Copy, Debug)]
pub struct Embedding {
    /// T.
    pub places: usize,
    /// V.
    pub vocabulary: usize,
    /// D.
    pub channels: usize,
    /// Where the table begins.
    pub offset: usize,
}

impl Embedding {
    fn words(&self, samples: usize) -> [u32; 4] {
        [samples * self.places, self.channels, self.offset, self.vocabulary].map(|word| word as u32)
    }
}

impl Layer for Embedding {
    fn width(&self) -> usize {
        self.places * self.channels
    }

    fn differentiable(&self) -> bool {
        false
    }

    fn forward(&self, draft: &mut Draft, io: &Forward<'_>) {
        draft.push(&EmbeddingForward, &[*input(io.x), io.theta, io.y], &self.words(io.samples));
    }

    fn backward(&self, draft: &mut Draft, io: &Backward<'_>) {
        let (tokens, words) = (*input(io.forward.x), self.words(io.forward.samples));
        let chain = draft.buffer(2 * io.forward.samples * self.places);
        draft.push(&TokenChain, &[tokens, chain], &words[..1]);
        draft.push(&EmbeddingBackward, &[tokens, chain, io.dy, io.gradient], &words);
    }
}
