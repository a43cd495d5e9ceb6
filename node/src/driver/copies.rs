//! One identity, two processes: a key file that was copied. Each of them takes the other's links away for as long as both run, and
//! nobody's counters tell why; so whoever notices says it.
//!
//! A neighbour's identity has begun a new life when its status names another incarnation; a life that speaks again after a later
//! one is proof. Of its own identity a peer knows more: deltas of other lives that nobody had said when its neighbours came, and that do not
//! cease. What a neighbour had by then, in its own words, is the past, however long a peer catches up with it. And what another life has said may
//! arrive late, from the other half of a swarm that was cut in two; but then all at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::id::{Origin, PeerId};
use protocol::log::VersionVector;

/// Neighbours whose lives are remembered.
const NEIGHBOURS_MAX: usize = 256;
/// Lives remembered of each.
const LIVES_MAX: usize = 8;
/// Lives of ours whose past is known: further ones of a vector say nothing.
const PASTS_MAX: usize = 1024;
/// An earlier life of ours that speaks for so long is none.
const LATE_MAX: Duration = Duration::from_secs(30);
/// It has ceased when nothing of it came for so long.
const CEASED_AFTER: Duration = Duration::from_secs(10);
/// A later life of ours that speaks again after so long does not speak from the past: such a life is rare, a clock must have gone back for it.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A neighbour that was away for so long may bring what was said before from another half of the swarm. Two processes with one key take each
/// other's links away after moments, again and again: what they then find said is no past.
const AWAY_MIN: Duration = Duration::from_secs(60);
/// What is wrong, and what to do.
const LATER: &str = "a life of this peer's identity that began later speaks: was this machine's clock set back, those are its own words of before, and they cease; else a second process, which began after this one, uses its key: remove the key file for one of the two, whose next run makes a new one";
const EARLIER: &str = "this peer's identity is used by a process that began before this one and has not ended, too; remove the key file for one of the two, whose next run makes a new one";

/// What was heard of lives.
#[derive(Debug)]
pub(super) struct Copies {
    us: Origin,
    /// Lives of a neighbour, the one that spoke last at the end.
    lives: BTreeMap<PeerId, Vec<u64>>,
    /// Deltas of an earlier life of ours: the first and the last of a row without a pause.
    earlier: Option<(Instant, Instant)>,
    /// The first delta of a later one: whose, its number, and when it came.
    later: Option<(u64, u64, Instant)>,
    /// What neighbours had of each of our lives when they came: the last number.
    past: BTreeMap<u64, u64>,
    /// Neighbours that have said what they had, and since when they are away.
    have_said: BTreeMap<PeerId, Option<Instant>>,
}

impl Copies {
    pub(super) fn new(us: Origin) -> Self {
        Self {
            us,
            lives: BTreeMap::new(),
            earlier: None,
            later: None,
            past: BTreeMap::new(),
            have_said: BTreeMap::new(),
        }
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

    /// A link to that neighbour is up: after a long time what it has by now is the past again.
    pub(super) fn linked(&mut self, peer: PeerId, now: Instant) {
        let away = self.have_said.get(&peer).copied().flatten();
        if away.is_some_and(|since| now.saturating_duration_since(since) >= AWAY_MIN) {
            self.have_said.remove(&peer);
        } else if let Some(away) = self.have_said.get_mut(&peer) {
            *away = None;
        }
    }

    /// And down.
    pub(super) fn unlinked(&mut self, peer: PeerId, now: Instant) {
        if let Some(away) = self.have_said.get_mut(&peer) {
            away.get_or_insert(now);
        }
    }

    /// A neighbour says what it has. Its first words are about the past; what it names later, somebody may have said since.
    pub(super) fn has(&mut self, peer: PeerId, heard: &VersionVector) {
        if self.have_said.contains_key(&peer) {
            return;
        }
        if self.have_said.len() >= NEIGHBOURS_MAX {
            self.have_said.pop_first();
        }
        self.have_said.insert(peer, None);
        for (origin, seq) in heard.iter().filter(|(origin, _)| origin.peer == self.us.peer) {
            if self.past.len() < PASTS_MAX || self.past.contains_key(&origin.incarnation) {
                let past = self.past.entry(origin.incarnation).or_default();
                *past = seq.max(*past);
            }
        }
    }

    /// A delta that this life has not said. Why somebody else must have our key, if so.
    pub(super) fn heard(&mut self, origin: Origin, seq: u64, now: Instant) -> Option<&'static str> {
        if origin.peer != self.us.peer || self.past.get(&origin.incarnation).is_some_and(|&past| seq <= past) {
            return None;
        }
        if origin.incarnation > self.us.incarnation {
            let (life, first, at) = *self.later.get_or_insert((origin.incarnation, seq, now));
            if life < origin.incarnation {
                self.later = Some((origin.incarnation, seq, now));
            }
            let is_again = life == origin.incarnation && first < seq;
            return (is_again && now.saturating_duration_since(at) >= AGAIN_AFTER).then_some(LATER);
        }
        let goes_on = |&(_, last): &(_, Instant)| now.saturating_duration_since(last) < CEASED_AFTER;
        let first = self.earlier.filter(goes_on).map_or(now, |(first, _)| first);
        self.earlier = Some((first, now));
        (now.saturating_duration_since(first) >= LATE_MAX).then_some(EARLIER)
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
        copies.has(peer(1), &(0..3000).map(|incarnation| (Origin { peer: peer(9), incarnation }, 1)).collect());
        assert_eq!(copies.past.len(), PASTS_MAX);
        assert!(copies.lives.len() <= NEIGHBOURS_MAX && copies.lives.values().all(|lives| lives.len() <= LIVES_MAX));
    }

    #[test]
    fn our_own_key_elsewhere() {
        let (us, now) = (Origin { peer: peer(9), incarnation: 5 }, Instant::now());
        let mut copies = Copies::new(us);
        let [earlier, later] = [4, 6].map(|incarnation| Origin { incarnation, ..us });
        let after = |secs| now + Duration::from_secs(secs);
        assert_eq!(copies.heard(Origin { peer: peer(1), incarnation: 6 }, 1, now), None);
        // A clock went back, and the last words of the life before it come late.
        for (seq, at) in [(1, 0), (2, 1), (1, 9)] {
            assert_eq!(copies.heard(later, seq, after(at)), None, "{at}");
        }
        assert_eq!(copies.heard(later, 3, after(10)), Some(LATER));
        // Late ones, and once more after a while: the swarm was cut in two.
        for at in [0, 1, 40, 41, 60] {
            assert_eq!(copies.heard(earlier, at, after(at)), None, "{at}");
        }
        let said: Vec<_> = (100..140).filter(|&at| copies.heard(earlier, at, after(at)).is_some()).collect();
        assert_eq!(said.first(), Some(&130));
    }

    #[test]
    fn who_catches_up_for_long_accuses_nobody() {
        let (us, now) = (Origin { peer: peer(9), incarnation: 5 }, Instant::now());
        let mut copies = Copies::new(us);
        let [earlier, later] = [4, 6].map(|incarnation| Origin { incarnation, ..us });
        let after = |secs| now + Duration::from_secs(secs);
        let has =
            |last| VersionVector::from_iter([(earlier, last), (later, last), (Origin { peer: peer(1), ..us }, 9)]);
        copies.linked(peer(1), now);
        copies.has(peer(1), &has(600));
        for seq in 1..=600 {
            let heard = [earlier, later].map(|origin| copies.heard(origin, seq, after(seq)));
            assert_eq!(heard, [None, None], "{seq}");
        }
        // It has said so since: somebody must have.
        copies.has(peer(1), &has(700));
        let accused = |copies: &mut Copies, origin, from| {
            (from..from + 100).find(|&seq| copies.heard(origin, seq, after(seq)).is_some())
        };
        assert_eq!([later, earlier].map(|origin| accused(&mut copies, origin, 601)), [Some(606), Some(631)]);
        // A link that comes and goes: what is said there meanwhile is no past.
        copies.unlinked(peer(1), after(990));
        copies.linked(peer(1), after(995));
        copies.has(peer(1), &has(2000));
        assert!(accused(&mut copies, later, 1000).is_some());
        // And one to the other half of a swarm that was cut in two.
        copies.unlinked(peer(1), after(1100));
        copies.linked(peer(1), after(1200));
        copies.has(peer(1), &has(2000));
        assert_eq!([later, earlier].map(|origin| accused(&mut copies, origin, 1200)), [None, None]);
    }
}
