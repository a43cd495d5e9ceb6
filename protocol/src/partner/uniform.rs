//! `uniform`: P(i) = 1/N.

use rand_chacha::ChaCha8Rng;

use super::{Choice, Partner, below};
use crate::config::PartnerRule;
use crate::id::PeerId;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Uniform;

impl Partner for Uniform {
    fn rule(&self) -> PartnerRule {
        PartnerRule::Uniform
    }

    fn name(&self) -> &'static str {
        "uniform"
    }

    fn about(&self) -> &'static str {
        "every neighbour with the same probability"
    }

    fn choose(&self, choice: &Choice<'_>, rng: &mut ChaCha8Rng) -> Option<PeerId> {
        below(choice.candidates.len(), rng).map(|i| choice.candidates[i].peer)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::super::Candidate;
    use super::*;

    #[test]
    fn frequencies_are_equal() {
        let candidates: Vec<_> = (0..4).map(|i| Candidate { peer: PeerId([i; 32]), distance: f32::from(i) }).collect();
        let choice = Choice { us: PeerId([9; 32]), round: 0, candidates: &candidates, alpha: 1.0, graph: &[] };
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut counts = [0u32; 4];
        for _ in 0..4000 {
            let chosen = Uniform.choose(&choice, &mut rng).expect("there are neighbours");
            counts[chosen.0[0] as usize] += 1;
        }
        // 1000 expected, standard deviation 27: five of them.
        assert!(counts.iter().all(|&count| count.abs_diff(1000) < 137), "{counts:?}");
    }
}
