//! How far apart the models are, in the mode `pairwise` and with groups: there not all peers hold one base. In the mode `pairwise`
//! agreement is a small distance; with groups it is one set of deltas in each group, and a small distance of each delegate.

use protocol::fixed::to_f32;

use super::Swarm;

/// Peers agree when the worst is no further from the mean than this share of what the worst was when training ended,
const AGREED_SHARE: f64 = 0.1;
/// or than this share of the length of the mean.
const AGREED_MIN: f64 = 1e-4;

/// `|b_i - mean b| / |mean b|` over the honest peers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) mean: f64,
    pub(super) worst: f64,
}

impl Swarm<'_> {
    /// `None` in other modes, and when nobody is there.
    pub(super) fn spread(&mut self) -> Option<Spread> {
        if !self.pairwise && self.config.gossip.groups <= 1 {
            return None;
        }
        let bases: Vec<Vec<i32>> = self
            .bodies
            .iter_mut()
            .flatten()
            .filter(|body| body.is_honest() && !body.leaving)
            .filter_map(|body| body.mind.learner().base().ok())
            .collect();
        let count = bases.len() as f64;
        let mut mean = vec![0.0f64; self.context.parameters];
        for base in &bases {
            mean.iter_mut().zip(base).for_each(|(sum, &value)| *sum += f64::from(to_f32(value)));
        }
        mean.iter_mut().for_each(|sum| *sum /= count.max(1.0));
        let norm = mean.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        let distance = |base: &Vec<i32>| {
            let square = base.iter().zip(&mean).map(|(&value, mean)| (f64::from(to_f32(value)) - mean).powi(2));
            square.sum::<f64>().sqrt() / norm
        };
        let distances: Vec<f64> = bases.iter().map(distance).collect();
        let worst = distances.iter().copied().reduce(f64::max)?;
        Some(Spread { mean: distances.iter().sum::<f64>() / count, worst })
    }

    /// Training is over: what agreement is measured against.
    pub(super) fn note_spread(&mut self) {
        self.spread_before = self.spread().map(|spread| spread.worst);
    }

    /// Whether the worst has come close; nobody is not close to anybody.
    pub(super) fn close(&mut self) -> bool {
        let bound = AGREED_MIN.max(AGREED_SHARE * self.spread_before.unwrap_or(0.0));
        self.spread().is_some_and(|spread| spread.worst <= bound)
    }
}
