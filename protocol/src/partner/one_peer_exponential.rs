//! `one_peer_exponential`: in the ring of us and our neighbours, in order of id, the one 2^(t mod tau) places on.
//!
//! ```text
//! N = neighbours + 1      tau = ceil(log2 N)      offset(t) = 2^(t mod tau)
//! ```
//!
//! In a full mesh whose rounds go in step, each peer speaks with one other a round and is spoken to by one other, and
//! after tau rounds everything has been everywhere: exact averaging in log2 N rounds where N is a power of two. Peers
//! count their rounds themselves, so they are in step only about; the order of the offsets is what matters.
//! Source: one-peer exponential graphs (arXiv 2110.13363), before it Stochastic Gradient Push (arXiv 1811.10792).

use rand_chacha::ChaCha8Rng;

use super::{Choice, Partner, in_ring};
use crate::config::PartnerRule;
use crate::id::PeerId;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct OnePeerExponential;

impl Partner for OnePeerExponential {
    fn rule(&self) -> PartnerRule {
        PartnerRule::OnePeerExponential
    }

    fn name(&self) -> &'static str {
        "one_peer_exponential"
    }

    fn about(&self) -> &'static str {
        "the peer 2^(t mod log2 N) places on in the ring of ids, at round t"
    }

    fn choose(&self, choice: &Choice<'_>, _rng: &mut ChaCha8Rng) -> Option<PeerId> {
        // ceil(log2 N) of N = neighbours + 1 is the number of bits of N - 1 = neighbours.
        let tau = choice.candidates.len().checked_ilog2()? + 1;
        in_ring(choice, 1 << (choice.round % u64::from(tau)))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::super::Candidate;
    use super::*;

    /// Place in the ring of whom peer `us` of `n` speaks with.
    fn partner(us: usize, n: usize, round: u64) -> usize {
        let peer = |i: usize| PeerId([i as u8; 32]);
        let candidates: Vec<_> =
            (0..n).filter(|&i| i != us).map(|i| Candidate { peer: peer(i), distance: 0.0 }).collect();
        let choice = Choice { us: peer(us), round, candidates: &candidates, alpha: 1.0, graph: &[] };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        OnePeerExponential.choose(&choice, &mut rng).expect("there are neighbours").0[0].into()
    }

    #[test]
    fn offsets_double_and_start_again() {
        let offsets = |n: usize| -> Vec<usize> { (0..6).map(|t| (partner(3 % n, n, t) + n - 3 % n) % n).collect() };
        assert_eq!(offsets(2), [1; 6]);
        assert_eq!(offsets(3), [1, 2, 1, 2, 1, 2]);
        assert_eq!(offsets(8), [1, 2, 4, 1, 2, 4]);
        assert_eq!(offsets(9), [1, 2, 4, 8, 1, 2]);
    }

    #[test]
    fn a_round_is_a_permutation_and_log_n_rounds_mix_everything() {
        for n in [2usize, 4, 8, 16] {
            // Row i: the share of every peer's start in what peer i holds.
            let mut shares: Vec<Vec<f64>> =
                (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
            for round in 0..u64::from(n.ilog2()) {
                let to: Vec<usize> = (0..n).map(|us| partner(us, n, round)).collect();
                let mut sorted = to.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..n).collect::<Vec<_>>(), "each is spoken to once");
                shares = (0..n)
                    .map(|i| shares[i].iter().zip(&shares[to[i]]).map(|(a, b)| f64::midpoint(*a, *b)).collect())
                    .collect();
            }
            assert!(shares.iter().flatten().all(|share| *share == 1.0 / n as f64), "{n}: {shares:?}");
        }
    }
}
