//! Whom to talk to: the partner of the next anti-entropy exchange.
//!
//! Every rule sees the same [`Choice`]: who we are, which round it is, and the neighbours with their distance. What a
//! distance is says the job ([`crate::config::Distance`]); only `exponential` looks at it.
//!
//! Add a rule: one file here, one line in [`ALL`], one variant in [`crate::config::PartnerRule`].

mod exponential;
mod fixed;
mod one_peer_exponential;
mod ring;
mod uniform;

pub use exponential::{Exponential, probabilities};
pub use fixed::Fixed;
pub use one_peer_exponential::OnePeerExponential;
pub use ring::Ring;
pub use uniform::Uniform;

use std::fmt::Debug;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use crate::config::PartnerRule;
use crate::id::PeerId;

/// Every rule.
pub const ALL: &[&dyn Partner] = &[&Uniform, &Exponential, &OnePeerExponential, &Ring, &Fixed];

/// A neighbour that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Who.
    pub peer: PeerId,
    /// d: how far away it is, in the unit of the configured [`crate::config::Distance`]; NaN when nothing is known.
    pub distance: f32,
}

/// What a rule may look at.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Who chooses.
    pub us: PeerId,
    /// t: how many exchanges it has begun before this one.
    pub round: u64,
    /// The neighbours, in ascending order of id, we not among them.
    pub candidates: &'a [Candidate],
    /// alpha of `exponential`, per unit of distance.
    pub alpha: f32,
    /// This peer's row of the graph of `fixed`, in any order.
    pub graph: &'a [PeerId],
}

/// Chooses among neighbours.
pub trait Partner: Sync + Debug {
    /// Which configured rule this is.
    fn rule(&self) -> PartnerRule;

    /// Name in job files and on the command line.
    fn name(&self) -> &'static str;

    /// One line for `--help` and the docs.
    fn about(&self) -> &'static str;

    /// One of the candidates, or `None` when none is allowed.
    fn choose(&self, choice: &Choice<'_>, rng: &mut ChaCha8Rng) -> Option<PeerId>;
}

/// The implementation of a configured rule.
#[must_use]
pub fn of(rule: PartnerRule) -> &'static dyn Partner {
    ALL.iter().copied().find(|partner| partner.rule() == rule).unwrap_or(&Uniform)
}

/// A number below `n`, or `None` when `n` is 0. The bias of the remainder is below 2^-58 for 64 neighbours.
fn below(n: usize, rng: &mut ChaCha8Rng) -> Option<usize> {
    (n > 0).then(|| (rng.next_u64() % n as u64) as usize)
}

/// The candidate `offset` places after us in the ring of all candidates and us, in order of id; `None` when that is us.
fn in_ring(choice: &Choice<'_>, offset: usize) -> Option<PeerId> {
    let n = choice.candidates.len() + 1;
    let ours = choice.candidates.partition_point(|candidate| candidate.peer < choice.us);
    match (ours + offset) % n {
        place if place == ours => None,
        // We are missing in the list: whoever comes after us stands one place earlier in it.
        place => choice.candidates.get(place - usize::from(place > ours)).map(|candidate| candidate.peer),
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn every_rule_chooses_a_neighbour_and_only_a_neighbour() {
        let all: Vec<_> =
            (0..6).map(|i| Candidate { peer: PeerId([2 * i; 32]), distance: f32::from(i) - 1.0 }).collect();
        let graph: Vec<_> = all.iter().map(|candidate| candidate.peer).collect();
        for partner in ALL {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            for us in [0, 5, 20] {
                for n in 0..=all.len() {
                    for round in 0..9 {
                        let us = PeerId([2 * us + 1; 32]);
                        let choice = Choice { us, round, candidates: &all[..n], alpha: 1.0, graph: &graph };
                        let chosen = partner.choose(&choice, &mut rng);
                        assert_eq!(chosen.is_some(), n > 0, "{}: {n} neighbours", partner.name());
                        assert!(chosen.is_none_or(|peer| graph[..n].contains(&peer)), "{}", partner.name());
                    }
                }
            }
            assert_eq!(of(partner.rule()).name(), partner.name());
        }
    }

    #[test]
    fn every_rule_reaches_every_neighbour_or_says_whom() {
        // What a rule never chooses it never mends: only `ring` and `fixed` may leave neighbours out.
        let candidates: Vec<_> = (1..8).map(|i| Candidate { peer: PeerId([i; 32]), distance: 0.0 }).collect();
        let graph = [PeerId([3; 32]), PeerId([5; 32]), PeerId([99; 32])];
        for partner in ALL {
            let mut rng = ChaCha8Rng::seed_from_u64(2);
            let mut reached: Vec<_> = (0..400)
                .filter_map(|round| {
                    let choice =
                        Choice { us: PeerId([0; 32]), round, candidates: &candidates, alpha: 1.0, graph: &graph };
                    partner.choose(&choice, &mut rng).map(|peer| peer.0[0])
                })
                .collect();
            reached.sort_unstable();
            reached.dedup();
            let expected: &[u8] = match partner.rule() {
                PartnerRule::Uniform | PartnerRule::Exponential => &[1, 2, 3, 4, 5, 6, 7],
                PartnerRule::OnePeerExponential => &[1, 2, 4],
                PartnerRule::Ring => &[1],
                PartnerRule::Fixed => &[3, 5],
            };
            assert_eq!(reached, expected, "{}", partner.name());
        }
    }
}
