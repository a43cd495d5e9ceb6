//! Links between virtual peers: what they delay, lose, double and cut.

use std::collections::{BTreeMap, BTreeSet};

use protocol::time::{Span, Time};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;
use serde::{Deserialize, Serialize};

/// What the network does to messages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSpec {
    /// One way, milliseconds.
    pub latency_ms: f64,
    /// Added at random, milliseconds: messages overtake each other when it is longer than the time between them.
    pub jitter_ms: f64,
    /// What a peer can send, megabits a second, over all its links; 0: no limit.
    pub megabits: f64,
    /// Chance of a message to be lost.
    pub loss: f64,
    /// Chance of a message to arrive twice.
    pub duplicate: f64,
    /// A message that would wait longer than this for its turn is dropped, seconds: the bounded queue of a link.
    pub queue_s: f64,
}

impl Default for NetworkSpec {
    fn default() -> Self {
        Self { latency_ms: 1.0, jitter_ms: 0.0, megabits: 0.0, loss: 0.0, duplicate: 0.0, queue_s: 2.0 }
    }
}

/// Which log a link is for. A pair of peers may have one of each; they share the uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// That of the peer's group; where there are no groups the only one.
    Group,
    /// That of the delegates.
    Upper,
}

impl Level {
    pub(super) const ALL: [Self; 2] = [Self::Group, Self::Upper];
}

/// The state of all links. Peers are numbers.
#[derive(Debug, Default)]
pub(super) struct Network {
    links: [Vec<BTreeSet<u32>>; 2],
    /// Peers on one side of each cut that stands: a link across is impossible. Each heals by itself.
    cuts: BTreeMap<u64, BTreeSet<u32>>,
    cuts_made: u64,
    /// When each peer's uplink is free again.
    free_at: Vec<Time>,
    unreachable: BTreeSet<u32>,
}

impl Network {
    pub(super) fn add_peer(&mut self, unreachable: bool) {
        if unreachable {
            self.unreachable.insert(self.free_at.len() as u32);
        }
        self.links.iter_mut().for_each(|links| links.push(BTreeSet::new()));
        self.free_at.push(Time(0));
    }

    pub(super) fn linked(&self, level: Level, a: u32, b: u32) -> bool {
        self.links[level as usize][a as usize].contains(&b)
    }

    pub(super) fn links_of(&self, level: Level, peer: u32) -> Vec<u32> {
        self.links[level as usize][peer as usize].iter().copied().collect()
    }

    /// Whether a dial from `from` can reach `to`.
    pub(super) fn can_dial(&self, from: u32, to: u32) -> bool {
        from != to && !self.unreachable.contains(&to) && !self.is_cut(from, to)
    }

    fn is_cut(&self, a: u32, b: u32) -> bool {
        self.cuts.values().any(|side| side.contains(&a) != side.contains(&b))
    }

    /// Makes a link; whether it is new.
    pub(super) fn link(&mut self, level: Level, a: u32, b: u32) -> bool {
        let links = &mut self.links[level as usize];
        links[b as usize].insert(a);
        links[a as usize].insert(b)
    }

    /// Takes a link away; whether there was one.
    pub(super) fn unlink(&mut self, level: Level, a: u32, b: u32) -> bool {
        let links = &mut self.links[level as usize];
        links[b as usize].remove(&a);
        links[a as usize].remove(&b)
    }

    /// Cuts `side` off from everybody else. Returns the name of the cut and the links that break.
    pub(super) fn cut(&mut self, side: BTreeSet<u32>) -> (u64, Vec<(Level, u32, u32)>) {
        let mut broken = Vec::new();
        for level in Level::ALL {
            for &a in &side {
                let links = &self.links[level as usize][a as usize];
                broken.extend(links.iter().filter(|b| !side.contains(b)).map(|&b| (level, a, b)));
            }
        }
        self.cuts_made += 1;
        self.cuts.insert(self.cuts_made, side);
        (self.cuts_made, broken)
    }

    /// Undoes one cut; others stand.
    pub(super) fn heal(&mut self, cut: u64) {
        self.cuts.remove(&cut);
    }

    pub(super) fn heal_all(&mut self) {
        self.cuts.clear();
    }

    /// When copies of a message of `bytes` arrive: none (lost or dropped), one or two moments.
    pub(super) fn deliveries(
        &mut self,
        spec: &NetworkSpec,
        from: u32,
        bytes: usize,
        now: Time,
        rng: &mut ChaCha8Rng,
    ) -> Deliveries {
        let mut leaves = now;
        if spec.megabits > 0.0 {
            let free = &mut self.free_at[from as usize];
            let start = (*free).max(now);
            if (start - now).as_secs_f64() > spec.queue_s {
                return Deliveries::default();
            }
            leaves = start + Span((bytes as f64 * 8.0 / spec.megabits) as u64);
            *free = leaves;
        }
        if chance(rng, spec.loss) {
            return Deliveries::default();
        }
        let arrival = |rng: &mut ChaCha8Rng| leaves + millis(spec.latency_ms + spec.jitter_ms * unit(rng));
        let first = arrival(rng);
        let second = chance(rng, spec.duplicate).then(|| arrival(rng));
        Deliveries { first: Some(first), second }
    }
}

/// See [`Network::deliveries`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deliveries {
    pub(super) first: Option<Time>,
    pub(super) second: Option<Time>,
}

pub(super) fn millis(value: f64) -> Span {
    Span((value * 1e3) as u64)
}

pub(super) fn seconds(value: f64) -> Span {
    Span((value * 1e6) as u64)
}

/// Uniform in [0, 1).
pub(super) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Standard normal (Box and Muller).
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - unit(rng)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(rng)).cos()
}

/// True with that probability; draws nothing when it cannot happen.
pub(super) fn chance(rng: &mut ChaCha8Rng, probability: f64) -> bool {
    probability > 0.0 && unit(rng) < probability
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn a_narrow_uplink_delays_and_then_drops() {
        let mut network = Network::default();
        network.add_peer(false);
        let spec = NetworkSpec { megabits: 8.0, latency_ms: 0.0, queue_s: 1.5, ..NetworkSpec::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut arrivals = Vec::new();
        for _ in 0..4 {
            // 1 MB at 8 Mbit/s: a second each.
            arrivals.push(network.deliveries(&spec, 0, 1_000_000, Time(0), &mut rng).first.map(|at| at.0));
        }
        assert_eq!(arrivals, [Some(1_000_000), Some(2_000_000), None, None]);
    }

    #[test]
    fn a_cut_separates_two_sides_until_it_heals() {
        let mut network = Network::default();
        (0..4).for_each(|_| network.add_peer(false));
        network.link(Level::Group, 0, 1);
        network.link(Level::Group, 1, 2);
        network.link(Level::Upper, 0, 3);
        let (cut, broken) = network.cut([0, 1].into());
        assert_eq!(broken, [(Level::Group, 1, 2), (Level::Upper, 0, 3)]);
        assert!(!network.can_dial(0, 3) && network.can_dial(0, 1) && network.can_dial(2, 3));
        network.heal(cut);
        assert!(network.can_dial(0, 3));
    }

    #[test]
    fn the_end_of_one_cut_leaves_another_standing() {
        let mut network = Network::default();
        (0..4).for_each(|_| network.add_peer(false));
        let ((first, _), (second, _)) = (network.cut([0].into()), network.cut([0, 1].into()));
        network.heal(first);
        assert!(network.can_dial(0, 1) && !network.can_dial(0, 2));
        network.heal(second);
        assert!(network.can_dial(0, 2));
        network.cut([3].into());
        network.heal_all();
        assert!(network.can_dial(0, 3));
    }

    #[test]
    fn loss_and_duplication_happen_as_often_as_said() {
        let mut network = Network::default();
        network.add_peer(false);
        let spec = NetworkSpec { loss: 0.3, duplicate: 0.2, ..NetworkSpec::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let copies: Vec<_> = (0..10_000).map(|_| network.deliveries(&spec, 0, 1, Time(0), &mut rng)).collect();
        let lost = copies.iter().filter(|copy| copy.first.is_none()).count();
        let doubled = copies.iter().filter(|copy| copy.second.is_some()).count();
        assert!(lost.abs_diff(3000) < 230, "{lost}"); // five standard deviations
        assert!(doubled.abs_diff(1400) < 180, "{doubled}");
    }
}
