//! Mutations of known inputs: a few at a time, of the kinds that libFuzzer makes.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::INPUT_BYTES_MAX;

/// Most mutations of one input.
const TIMES_MAX: usize = 6;
/// Bytes that are at the edge of something: of signs, of lengths, of bincode's integers (251 to 253 announce 16, 32 and 64 bits), of text.
const EDGES: [u8; 14] = [0, 1, 2, 0x0a, 0x22, 0x3d, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];

/// Makes inputs, the same ones for the same seed.
pub(super) struct Mutator(ChaCha8Rng);

impl Mutator {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.0.next_u64() % limit.max(1) as u64) as usize
    }

    /// A part of something, as it begins and ends.
    fn span(&mut self, length: usize) -> (usize, usize) {
        let (start, most) = (self.below(length + 1), 1 << self.below(8));
        (start, (start + self.below(most + 1)).min(length))
    }

    pub(super) fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(TIMES_MAX) {
            self.mutate(&mut bytes, corpus);
        }
        bytes.truncate(INPUT_BYTES_MAX);
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        match self.below(9) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => bytes[at] = EDGES[self.below(EDGES.len())],
            2 if !bytes.is_empty() => bytes[at] = bytes[at].wrapping_add([1, 0xff][self.below(2)]),
            3 => {
                let (start, end) = self.span(bytes.len());
                bytes.drain(start..end);
            }
            4 => {
                let (start, end) = self.span(bytes.len());
                let part = bytes[start..end].to_vec();
                bytes.splice(at..at, part);
            }
            // A length that nothing has: announced in 64 bits, in 32, or of the text kind.
            5 => {
                let number = [1_u64 << 40, u64::MAX, 1 << 32, 1 << 20, 1 << 63][self.below(5)];
                let mut announced = vec![[253, 252][self.below(2)]];
                announced.extend(number.to_le_bytes());
                let end = (at + self.below(10)).min(bytes.len());
                bytes.splice(at..end, announced);
            }
            6 => {
                let number = self.0.next_u64() >> self.below(64);
                bytes.splice(at..at, number.to_string().into_bytes());
            }
            7 => {
                let other = &corpus[self.below(corpus.len())];
                let (start, end) = self.span(other.len());
                bytes.splice(at..at, other[start..end].iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
}
