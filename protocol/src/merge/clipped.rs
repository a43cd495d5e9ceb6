//! `clipped`: an average in which nobody pulls us further than tau (ClippedGossip).
//!
//! ```text
//! x = own + sum_j w clip(x_j - own, tau)      clip(z, tau) = z min(1, tau / ||z||_2)      w = 1 / n
//! ```
//!
//! with n models, our own counted. Centred on `own`, which is the one model that a peer knows to be honest: a liar moves
//! us by at most `w tau`, in whatever direction, and never out of the convex hull of what was sent. Source: Byzantine-Robust
//! Decentralized Learning via ClippedGossip (arXiv 2202.01545).
//!
//! The radius. The paper's is made of the variance among honest neighbours, which nobody knows. Here it follows the
//! distances at hand, as adaptive clipping by a rank does (arXiv 2405.14432):
//!
//! ```text
//! tau = the (k + 1)-th largest ||x_j - own||      k = max(1, floor(m / 3)) but below m      m others
//! ```
//!
//! so with up to 5 others it is the second largest, and k liars cannot set it by being far away. They gain no more than an honest peer at distance tau does, and the honest ones among the k farthest are pulled
//! in with them: that is the price, and why the mean of the swarm is not kept exactly. A single other cannot be told from
//! a liar: it is not clipped.

use super::Merge;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Clipped {
    /// tau; `None`: by the distances.
    radius: Option<f32>,
}

impl Clipped {
    /// tau by the distances.
    pub const ADAPTIVE: Self = Self { radius: None };

    /// A fixed tau, in units of the weights; `None` when it is negative or NaN.
    #[must_use]
    pub fn within(radius: f32) -> Option<Self> {
        (radius >= 0.0).then_some(Self { radius: Some(radius) })
    }

    fn radius_for(self, distances: &[f64]) -> f64 {
        if let Some(radius) = self.radius {
            return f64::from(radius);
        }
        let mut sorted = distances.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let clipped = (sorted.len() / 3).max(1).min(sorted.len().saturating_sub(1));
        sorted.get(clipped).copied().unwrap_or(0.0)
    }
}

impl Merge for Clipped {
    fn name(&self) -> &'static str {
        "clipped"
    }

    fn about(&self) -> &'static str {
        "the mean, nobody pulling further than the second farthest of five; bounds what a third can do"
    }

    fn keeps_mean(&self) -> bool {
        false
    }

    fn hostile_max(&self, _models: usize) -> usize {
        0 // it bounds how far a liar pulls, not to where
    }

    fn merge_finite(&self, own: &[f32], others: &[&[f32]], out: &mut Vec<f32>) {
        let distances: Vec<f64> = others.iter().map(|other| distance(own, other)).collect();
        let radius = self.radius_for(&distances);
        let weight = 1.0 / (others.len() + 1) as f64;
        let factors: Vec<f64> = distances
            .iter()
            .map(|&distance| if distance > radius { weight * (radius / distance) } else { weight })
            .collect();
        out.extend(own.iter().enumerate().map(|(i, &own)| {
            let own = f64::from(own);
            let pull: f64 =
                others.iter().zip(&factors).map(|(other, factor)| factor * (f64::from(other[i]) - own)).sum();
            (own + pull) as f32
        }));
    }
}

/// ||a - b||_2; f64 holds the squares of all f32.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_far_away_pulls_no_further_than_the_second() {
        let mut out = Vec::new();
        // Distances 3, 1 and 1e6: tau = 3, and the liar counts as if it stood at -3.
        Clipped::ADAPTIVE.merge(&[0.0], &[&[3.0], &[1.0], &[-1e6]], &mut out).expect("of one shape");
        assert!((out[0] - 0.25).abs() < 1e-6, "{out:?}");
        // Two of six together: the third largest.
        let six: [&[f32]; 6] = [&[1.0], &[2.0], &[1.0], &[2.0], &[1e6], &[1e7]];
        Clipped::ADAPTIVE.merge(&[0.0], &six, &mut out).expect("of one shape");
        assert!((out[0] - 10.0 / 7.0).abs() < 1e-6, "{out:?}");
    }

    #[test]
    fn a_single_other_is_averaged_and_a_fixed_radius_holds() {
        let mut out = Vec::new();
        Clipped::ADAPTIVE.merge(&[0.0, 0.0], &[&[3.0, 4.0]], &mut out).expect("of one shape");
        assert_eq!(out, [1.5, 2.0]);
        Clipped::within(2.5).expect("a radius").merge(&[0.0, 0.0], &[&[3.0, 4.0]], &mut out).expect("of one shape");
        assert_eq!(out, [0.75, 1.0], "half of (1.5, 2), whose norm is 2.5");
        assert!(Clipped::within(f32::NAN).is_none() && Clipped::within(-1.0).is_none());
    }
}
