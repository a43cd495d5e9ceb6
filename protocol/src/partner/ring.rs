//! `ring`: always the next in the ring of us and our neighbours, in order of id.
//!
//! The least talk and the slowest spread: news travels one place a round, so a ring of N needs N - 1 rounds. It is what
//! the other rules are measured against, and the right one where every exchange costs money.

use rand_chacha::ChaCha8Rng;

use super::{Choice, Partner, in_ring};
use crate::config::PartnerRule;
use crate::id::PeerId;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Ring;

impl Partner for Ring {
    fn rule(&self) -> PartnerRule {
        PartnerRule::Ring
    }

    fn name(&self) -> &'static str {
        "ring"
    }

    fn about(&self) -> &'static str {
        "always the next in the ring of ids"
    }

    fn choose(&self, choice: &Choice<'_>, _rng: &mut ChaCha8Rng) -> Option<PeerId> {
        in_ring(choice, 1)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::super::Candidate;
    use super::*;

    #[test]
    fn the_ring_closes() {
        let peer = |i: u8| PeerId([i; 32]);
        let next = |us: u8| {
            let others = (0..5).filter(|&i| i != us);
            let candidates: Vec<_> = others.map(|i| Candidate { peer: peer(i), distance: 0.0 }).collect();
            let choice = Choice { us: peer(us), round: 7, candidates: &candidates, alpha: 1.0, graph: &[] };
            Ring.choose(&choice, &mut ChaCha8Rng::seed_from_u64(0)).map(|peer| peer.0[0])
        };
        assert_eq!((0..5).map(next).collect::<Vec<_>>(), [1, 2, 3, 4, 0].map(Some));
    }
}
