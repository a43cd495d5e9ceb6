//! One identity, two processes: a key file that was copied. Each of them takes the other's links away for as long as both run, and
//! nobody's counters tell why; so whoever notices says it.
//!
//! A neighbour's identity has begun a new life when its status names another incarnation; a life that speaks again after a later
//! one is proof. Of its own identity a peer knows more: a delta of a later life than its own, or deltas of an earlier one that do
//! not cease. What an earlier life has said may arrive late, from the other half of a swarm that was cut in two; but then all at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::id::{Origin, PeerId};

/// Neighbours whose lives are remembered.
const NEIGHBOURS_MAX: usize = 256;
/// Lives remembered of each.
const LIVES_MAX: usize = 8;
/// An earlier life of ours that speaks for so long is none.
const LATE_MAX: Duration = Duration::from_secs(30);
/// It has ceased when nothing of it came for so long.
const CEASED_AFTER: Duration = Duration::from_secs(10);

/// What was heard of lives.
#[derive(Debug)]
pub(super) struct Copies {
    us: Origin,
    /// Lives of a neighbour, the one that spoke last at the end.
    lives: BTreeMap<PeerId, Vec<u64>>,
    /// Deltas of an earlier life of ours: the first and the last of a row without a pause.
    earlier: Option<(Instant, Instant)>,
}

impl Copies {
    pub(super) fn new(us: Origin) -> Self {
        Self { us, lives: BTreeMap::new(), earlier: None }
    }

    /// A neighbour says which life it is. `true`: another life of it spoke since this one did.
    pub(super) fn spoke(&mut self, peer: PeerId, life: u64) -> bool {
        if self.lives.len() >= NEIGHBOURS_MAX && !self.lives.contains_key(&peer) {
            self.lives.pop_first();
        }
        let lives = self.lives.entry(peer).or_default();
        if lives.last() == Some(&life) {
            return false;
        }
        let again = lives.iter().position(|&known| known == life);
        if let Some(at) = again {
            lives.remove(at);
        }
        if lives.len() >= LIVES_MAX {
            lives.remove(0);
        }
        lives.push(life);
        again.is_some()
    }

    /// A delta that this life has not said. Why somebody else must have our key, if so.
    pub(super) fn heard(&mut self, origin: Origin, now: Instant) -> Option<&'static str> {
        if origin.peer != self.us.peer {
            return None;
        }
        if origin.incarnation > self.us.incarnation {
            return Some("a process that began after this one (or this machine's clock was set back)");
        }
        let goes_on = |&(_, last): &(_, Instant)| now.saturating_duration_since(last) < CEASED_AFTER;
        let first = self.earlier.filter(goes_on).map_or(now, |(first, _)| first);
        self.earlier = Some((first, now));
        (now.saturating_duration_since(first) >= LATE_MAX)
            .then_some("a process that began before this one and has not ended")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u8) -> PeerId {
        PeerId([id; 32])
    }

    #[test]
    fn a_restart_is_no_copy_and_two_that_take_turns_are() {
        let mut copies = Copies::new(Origin { peer: peer(9), incarnation: 5 });
        // Lives follow each other, also where a clock was set back.
        assert!([7, 7, 8, 6, 6, 9].iter().all(|&life| !copies.spoke(peer(1), life)));
        assert!(!copies.spoke(peer(2), 8), "that is somebody else");
        assert!(copies.spoke(peer(1), 8) && copies.spoke(peer(1), 9) && !copies.spoke(peer(1), 9));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut copies = Copies::new(Origin { peer: peer(9), incarnation: 5 });
        for i in 0..1000_u64 {
            let mut id = [0; 32];
            id.split_at_mut(8).0.copy_from_slice(&i.to_le_bytes());
            copies.spoke(PeerId(id), i);
            copies.spoke(peer(255), i);
        }
        assert!(copies.lives.len() <= NEIGHBOURS_MAX && copies.lives.values().all(|lives| lives.len() <= LIVES_MAX));
    }

    #[test]
    fn our_own_key_elsewhere() {
        let (us, now) = (Origin { peer: peer(9), incarnation: 5 }, Instant::now());
        let mut copies = Copies::new(us);
        let earlier = Origin { incarnation: 4, ..us };
        assert_eq!(copies.heard(Origin { peer: peer(1), incarnation: 6 }, now), None);
        assert!(copies.heard(Origin { incarnation: 6, ..us }, now).is_some_and(|why| why.contains("after this one")));
        // Late ones, and once more after a while: the swarm was cut in two.
        for at in [0, 1, 40, 41, 60] {
            assert_eq!(copies.heard(earlier, now + Duration::from_secs(at)), None, "{at}");
        }
        let said: Vec<_> =
            (100..140).filter(|&at| copies.heard(earlier, now + Duration::from_secs(at)).is_some()).collect();
        assert_eq!(said.first(), Some(&130));
    }
}
