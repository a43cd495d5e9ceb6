//! How fast the peers of a swarm train, as everybody who hears their deltas finds alike: samples a second over the last while.
//!
//! ```text
//! sum = e^(-dt / memory) sum + samples        pace = sum / (memory (1 - e^(-age / memory)))
//! ```
//!
//! From signed deltas, and not from announcements, which only neighbours hear. The first delta says when to begin to count, and not how much:
//! nobody knows how long it took.

use std::collections::BTreeMap;

use super::MEMBERS_MAX;
use crate::id::{Origin, PeerId};
use crate::time::{Span, Time};

/// What is older than this hardly counts. guess: some deltas of a slow peer.
const MEMORY: Span = Span::from_secs(20);
/// Nobody is remembered for longer after a last delta.
const FORGOTTEN: Span = Span::from_secs(200);
/// Steps of a pace: two peers that find somewhat different numbers mostly come to the same one. The square root of two.
const STEPS_PER_OCTAVE: f64 = 2.0;

/// Of one peer, in its last life.
#[derive(Debug)]
struct Pace {
    incarnation: u64,
    since: Time,
    last: Time,
    /// As it was at `last`.
    sum: f64,
}

impl Pace {
    fn decayed(&self, now: Time) -> f64 {
        self.sum * decay(now - self.last)
    }

    /// Samples a second; `None` before there is anything to tell.
    fn per_second(&self, now: Time) -> Option<f64> {
        let whole = MEMORY.as_secs_f64() * (1.0 - decay(now - self.since));
        let sum = self.decayed(now);
        (whole > 0.0 && sum > 0.0).then(|| sum / whole)
    }
}

fn decay(span: Span) -> f64 {
    (-span.as_secs_f64() / MEMORY.as_secs_f64()).exp()
}

/// Of all that were heard.
#[derive(Debug, Default)]
pub(super) struct Paces {
    of: BTreeMap<PeerId, Pace>,
}

impl Paces {
    /// A delta of that peer, of so many samples. A new life begins anew: its peer was away, and is to be found by all as it finds itself.
    pub(super) fn note(&mut self, Origin { peer, incarnation }: Origin, samples: u64, now: Time) {
        if let Some(pace) = self.of.get_mut(&peer).filter(|pace| pace.incarnation == incarnation) {
            pace.sum = pace.decayed(now) + samples as f64;
            pace.last = now;
            return;
        }
        if self.of.len() >= MEMBERS_MAX {
            self.of.retain(|_, pace| now - pace.last < FORGOTTEN);
        }
        if self.of.len() < MEMBERS_MAX || self.of.contains_key(&peer) {
            self.of.insert(peer, Pace { incarnation, since: now, last: now, sum: 0.0 });
        }
    }

    /// Has no more to do with that peer.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.of.remove(&peer);
    }

    /// Samples a second of these peers, each rounded to a step of half an octave; whoever is not known yet counts as the geometric mean of the
    /// others, and all as 1 where nobody is.
    pub(super) fn rounded(&self, peers: &[PeerId], now: Time) -> Vec<f32> {
        let step = |peer: &PeerId| {
            let pace = self.of.get(peer)?.per_second(now)?;
            Some((STEPS_PER_OCTAVE * pace.log2()).round())
        };
        let steps: Vec<Option<f64>> = peers.iter().map(step).collect();
        let known: Vec<f64> = steps.iter().flatten().copied().collect();
        let mean = (known.iter().sum::<f64>() / known.len().max(1) as f64).round();
        steps.into_iter().map(|step| (step.unwrap_or(mean) / STEPS_PER_OCTAVE).exp2() as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> PeerId {
        PeerId([number; 32])
    }

    fn life(number: u8) -> Origin {
        Origin { peer: peer(number), incarnation: 1 }
    }

    #[test]
    fn paces_are_samples_a_second_within_a_quarter_of_an_octave() {
        let mut paces = Paces::default();
        // Of the second a delta of 400 samples every 4 s, of the first one of 30 every 0.1 s.
        for i in 0..300u64 {
            let now = Time(i * 100_000);
            paces.note(life(1), 30, now);
            if i % 40 == 0 {
                paces.note(life(2), 400, now);
            }
        }
        let found = paces.rounded(&[peer(1), peer(2), peer(3)], Time(30_000_000));
        let near = |found: f32, exact: f32| (found / exact).log2().abs() <= 0.26;
        assert!(near(found[0], 300.0) && near(found[1], 100.0), "{found:?}");
        // Nobody knows the third: between the others.
        assert!(found[1] < found[2] && found[2] < found[0], "{found:?}");
        assert_eq!(Paces::default().rounded(&[peer(1), peer(2)], Time(5)), [1.0, 1.0]);
    }

    #[test]
    fn a_young_peer_counts_as_it_is_and_one_that_slows_down_is_followed() {
        let mut paces = Paces::default();
        for i in 0..20u64 {
            paces.note(life(1), 64, Time(i * 1_000_000));
        }
        // A newcomer of the same pace.
        for i in 17..20u64 {
            paces.note(life(2), 64, Time(i * 1_000_000));
        }
        let found = paces.rounded(&[peer(1), peer(2)], Time(19_000_000));
        assert!((found[0] / found[1]).log2().abs() <= 0.5, "{found:?}");
        // An eighth of that from now on.
        for i in 20..100u64 {
            paces.note(life(2), 64, Time(i * 1_000_000));
            paces.note(life(1), 8, Time(i * 1_000_000));
        }
        let found = paces.rounded(&[peer(1), peer(2)], Time(99_000_000));
        assert!((2.5..=3.5).contains(&(found[1] / found[0]).log2()), "{found:?}");
        // Killed and back: what it did before its absence is no pace of its new life.
        for i in 120..125u64 {
            paces.note(Origin { incarnation: 2, ..life(2) }, 64, Time(i * 1_000_000));
        }
        let back = paces.rounded(&[peer(2)], Time(124_000_000));
        assert!((back[0] / found[1]).log2().abs() <= 0.5, "{back:?}");
        paces.forget(peer(2));
        assert_eq!(paces.rounded(&[peer(2)], Time(99_000_000)), [1.0]);
    }
}
