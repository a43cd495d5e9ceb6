//! `exponential`: the nearer, the likelier.
//!
//! ```text
//! P(i) = e^(-alpha d_i) / sum_j e^(-alpha d_j)
//! ```
//!
//! The design article prints the numerator as 1; `1 / sum_j e^(-alpha d_j)` does not sum to one over i, so this is the
//! normalised form (a softmax of `-alpha d`). It is invariant to a shift of all distances, so a distance "from the best
//! known loss" does not depend on whose loss is the best. It is computed with the smallest distance subtracted: the
//! largest exponent is 0 and nothing overflows.
//!
//! A distance that is not finite (not announced yet, not measured yet, hostile) counts as the largest finite one: who
//! says nothing is neither preferred nor shut out. Where no distance is finite the rule is uniform; alpha = 0 is too.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use super::{Choice, Partner};
use crate::config::PartnerRule;
use crate::id::PeerId;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Exponential;

impl Partner for Exponential {
    fn rule(&self) -> PartnerRule {
        PartnerRule::Exponential
    }

    fn name(&self) -> &'static str {
        "exponential"
    }

    fn about(&self) -> &'static str {
        "P(i) proportional to e^(-partner_alpha d_i), d as partner_distance says"
    }

    fn choose(&self, choice: &Choice<'_>, rng: &mut ChaCha8Rng) -> Option<PeerId> {
        let distances: Vec<f32> = choice.candidates.iter().map(|candidate| candidate.distance).collect();
        // 53 random bits: a number in [0, 1).
        let mut left = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let probabilities = probabilities(&distances, choice.alpha);
        let drawn = probabilities.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        // Rounding may leave a crumb behind the last share.
        let i = drawn.or(probabilities.len().checked_sub(1))?;
        Some(choice.candidates[i].peer)
    }
}

/// P of each distance; sums to one. An alpha that is negative or not finite counts as 0.
#[must_use]
pub fn probabilities(distances: &[f32], alpha: f32) -> Vec<f64> {
    let alpha = if alpha.is_finite() { f64::from(alpha.max(0.0)) } else { 0.0 };
    let finite = || distances.iter().copied().filter(|distance| distance.is_finite());
    let nearest = f64::from(finite().min_by(f32::total_cmp).unwrap_or(0.0));
    let farthest = f64::from(finite().max_by(f32::total_cmp).unwrap_or(0.0));
    let known = |distance: f32| if distance.is_finite() { f64::from(distance) } else { farthest };
    let mut shares: Vec<f64> = distances.iter().map(|&distance| (-alpha * (known(distance) - nearest)).exp()).collect();
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::super::Candidate;
    use super::*;

    /// e^-1, e^-2, e^-3 over their sum.
    const CLOSED_FORM: [f64; 3] = [0.665_240_955_774_822, 0.244_728_471_054_798, 0.090_030_573_170_381];

    #[test]
    fn distances_of_1_2_and_3_give_the_closed_form() {
        for (found, expected) in probabilities(&[1.0, 2.0, 3.0], 1.0).into_iter().zip(CLOSED_FORM) {
            assert!((found - expected).abs() < 1e-12, "{found} against {expected}");
        }
        // What is printed in the article does not sum to one.
        let printed = 3.0 / ((-1.0f64).exp() + (-2.0f64).exp() + (-3.0f64).exp());
        assert!((printed - 1.0).abs() > 1.0);
    }

    #[test]
    fn frequencies_follow_the_closed_form() {
        let distances = [1.0, 2.0, 3.0];
        let candidates: Vec<_> =
            (0..3).map(|i| Candidate { peer: PeerId([i; 32]), distance: distances[i as usize] }).collect();
        let choice = Choice { us: PeerId([9; 32]), round: 0, candidates: &candidates, alpha: 1.0, graph: &[] };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut counts = [0u32; 3];
        const DRAWS: u32 = 30_000;
        for _ in 0..DRAWS {
            let chosen = Exponential.choose(&choice, &mut rng).expect("there are neighbours");
            counts[chosen.0[0] as usize] += 1;
        }
        // Pearson's chi-square with 2 degrees of freedom: 13.8 is passed once in a thousand seeds.
        let chi_square: f64 = counts
            .iter()
            .zip(CLOSED_FORM)
            .map(|(&count, share)| {
                let expected = share * f64::from(DRAWS);
                (f64::from(count) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 13.8, "{chi_square}: {counts:?}");
    }

    #[test]
    fn what_is_not_known_counts_as_the_farthest_known() {
        let with = probabilities(&[1.0, f32::NAN, 3.0, f32::INFINITY, f32::NEG_INFINITY], 1.0);
        let plain = probabilities(&[1.0, 3.0, 3.0, 3.0, 3.0], 1.0);
        assert_eq!(with, plain);
        assert_eq!(probabilities(&[f32::NAN, f32::INFINITY], 1.0), [0.5, 0.5]);
        assert_eq!(probabilities(&[1.0, 2.0], f32::NAN), [0.5, 0.5]);
        assert!(probabilities(&[], 1.0).is_empty());
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one_and_the_nearer_is_never_less_likely(
            distances in proptest::collection::vec(any::<f32>(), 1..20),
            alpha in 0.0f32..1e6,
        ) {
            let shares = probabilities(&distances, alpha);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
            for (i, a) in distances.iter().enumerate().filter(|(_, d)| d.is_finite()) {
                for (j, b) in distances.iter().enumerate().filter(|(_, d)| d.is_finite()) {
                    prop_assert!(a > b || shares[i] >= shares[j]);
                }
            }
        }
    }
}
