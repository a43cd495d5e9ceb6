//! `fixed`: only along the edges of a graph that the job names, each edge of ours with the same probability.
//!
//! A peer's row of the graph is the list of those it may exchange with. Those that are no neighbours right now are passed
//! over; where no neighbour is in the row, no exchange takes place (pushes and offers go on as ever).

use rand_chacha::ChaCha8Rng;

use super::{Choice, Partner, below};
use crate::config::PartnerRule;
use crate::id::PeerId;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Fixed;

impl Partner for Fixed {
    fn rule(&self) -> PartnerRule {
        PartnerRule::Fixed
    }

    fn name(&self) -> &'static str {
        "fixed"
    }

    fn about(&self) -> &'static str {
        "the neighbours that partner_graph names, with the same probability"
    }

    fn choose(&self, choice: &Choice<'_>, rng: &mut ChaCha8Rng) -> Option<PeerId> {
        let allowed: Vec<_> = choice
            .candidates
            .iter()
            .map(|candidate| candidate.peer)
            .filter(|peer| choice.graph.contains(peer))
            .collect();
        below(allowed.len(), rng).map(|i| allowed[i])
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::super::Candidate;
    use super::*;

    #[test]
    fn who_is_not_in_the_graph_is_never_chosen() {
        let peer = |i: u8| PeerId([i; 32]);
        let candidates: Vec<_> = (1..4).map(|i| Candidate { peer: peer(i), distance: 0.0 }).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut counts = [0u32; 4];
        for _ in 0..2000 {
            let graph = [peer(8), peer(3), peer(1)];
            let choice = Choice { us: peer(0), round: 0, candidates: &candidates, alpha: 1.0, graph: &graph };
            counts[usize::from(Fixed.choose(&choice, &mut rng).expect("two edges are up").0[0])] += 1;
        }
        assert_eq!((counts[0], counts[2]), (0, 0));
        assert!(counts[1].abs_diff(1000) < 112, "five standard deviations: {counts:?}");
        let none = Choice { us: peer(0), round: 0, candidates: &candidates, alpha: 1.0, graph: &[peer(8)] };
        assert_eq!(Fixed.choose(&none, &mut rng), None);
    }
}
