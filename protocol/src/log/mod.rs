//! The delta log: the set of deltas that the base is a function of.
//!
//! Per origin the applied deltas are a gapless prefix, so a [`VersionVector`] names the set, and anti-entropy is the
//! exchange of version vectors. The log keeps the latest deltas up to a bound in bytes, for neighbours that missed them;
//! whoever misses more takes a snapshot (base, and the head of every origin's chain).
//!
//! ```text
//! offer(delta):  seq <= vv        -> Known        (or equivocation, when it is another delta under the same number)
//!                seq == vv + 1    -> Ready        chained to the head? then it and those that waited for it
//!                seq >  vv + 1    -> Held         (bounded) and the gap is named, to be asked for
//! ```
//!
//! What the swarm has excluded is taken back out: `exclude` forgets those deltas and hands them to the learner to retract.
//!
//! Invariants: `heads` has exactly the origins of `heard`; per origin the retained deltas are a contiguous run that ends
//! at `heard`; every held delta is beyond `heard + 1`; `bytes` and `count` are sums over the retained ones.

mod blocks;
mod by_origin;
mod chain;
mod delta;
mod excluding;
mod exclusions;
mod keeping;
mod marks;
mod run;
mod snapshot;
mod version_vector;

pub(crate) use chain::{Proven, linked, pieces, proven};
pub(crate) use delta::successor;
pub use delta::{Checked, Context, Delta, Header, Invalid, SignedDelta, codec_name};
pub use exclusions::Exclusions;
pub(crate) use marks::Differs;
pub use marks::{MARK_BYTES, Mark};
pub use snapshot::{Beyond, heard_of};
pub use version_vector::VersionVector;

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use self::blocks::Blocks;
use self::by_origin::ByOrigin;
use self::keeping::Keep;
use self::run::Run;
use crate::event::Refused;
use crate::id::{Hash, Origin};
use crate::wire::{ORIGINS_MAX, Range};

/// Deltas that wait for a gap to close, over all origins.
pub const HELD_MAX: usize = 1024;
/// Bytes of deltas that wait for a gap to close.
pub const HELD_BYTES_MAX: usize = 64 << 20;

/// An origin's claim of samples a delta counts up to this many times that of the median origin: a device may be that much
/// faster than others, and one lie does not end everybody's learning-rate schedule.
pub const CLAIM_MAX: u64 = 64;

/// Lives that a log takes from others. The rest up to [`ORIGINS_MAX`] is for chains of a peer's own, each restart of which begins one that a
/// full swarm does not take, and for what it adopts of somebody who has such ones: whatever a peer says of its set stays within the
/// bounds of the wire. guess: a restart a minute for most of a day.
pub const LIVES_TAKEN_MAX: usize = ORIGINS_MAX - 1024;

/// Samples of one delta that are counted at most: the sum of a chain of four billion deltas does not overflow.
pub const SAMPLES_MAX: u64 = u32::MAX as u64;

/// The end of one chain in a set of deltas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Head {
    /// Whose chain.
    pub origin: Origin,
    /// Number of its last delta.
    pub seq: u64,
    /// Hash of that delta, which the next one is chained to.
    pub hash: Hash,
    /// Samples that the deltas of the chain hold, as they claim.
    pub samples: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Log {
    heard: VersionVector,
    heads: ByOrigin<Tip>,
    retained: BTreeMap<Origin, Run>,
    /// Number of all retained deltas.
    count: usize,
    /// Retained deltas, oldest arrival first. May name deltas that are gone already, though not many of them.
    arrivals: Blocks<(Origin, u64)>,
    bytes: usize,
    bytes_max: usize,
    keep: Option<Keep>,
    held: BTreeMap<(Origin, u64), Delta>,
    held_bytes: usize,
    excluded: Exclusions,
}

/// What is known of a chain up to its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tip {
    hash: Hash,
    samples: u64,
}

/// What became of a delta that was offered to the log.
#[derive(Debug)]
pub enum Arrival {
    /// We have it.
    Known,
    /// These are next in their chain, in order: apply them.
    Ready(Vec<Delta>),
    /// It waits; ask for this range.
    Held(Range),
    /// It cannot be part of any log that holds what ours holds.
    Refused(Refused),
}

/// What a neighbour lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Bytes of the deltas it lacks, as far as they are retained.
    pub bytes: usize,
    /// Whether all of them are retained.
    pub complete: bool,
}

impl Log {
    /// An empty log that retains up to `bytes_max` bytes of deltas.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            heard: VersionVector::new(),
            heads: ByOrigin::new(),
            retained: BTreeMap::new(),
            count: 0,
            arrivals: Blocks::default(),
            bytes: 0,
            bytes_max,
            keep: None,
            held: BTreeMap::new(),
            held_bytes: 0,
            excluded: Exclusions::default(),
        }
    }

    /// The set of deltas in the log.
    #[must_use]
    pub fn heard(&self) -> &VersionVector {
        &self.heard
    }

    /// Bytes of the retained deltas.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of deltas in the set, retained or not.
    #[must_use]
    pub fn deltas(&self) -> u64 {
        self.heard.iter().map(|(_, seq)| seq).sum()
    }

    /// Hash that the next delta of `origin` is chained to.
    #[must_use]
    pub fn head(&self, origin: &Origin) -> Hash {
        self.heads.get(origin).map_or(Hash::ZERO, |tip| tip.hash)
    }

    /// The head of every chain.
    #[must_use]
    pub fn heads(&self) -> Vec<Head> {
        let head = |(origin, &Tip { hash, samples }): (Origin, &Tip)| Head {
            origin,
            seq: self.heard.get(&origin),
            hash,
            samples,
        };
        self.heads.iter().map(head).collect()
    }

    /// What was the head of that chain when `seq` was its last number; `None` when the log no longer reaches back.
    #[must_use]
    pub fn head_at(&self, origin: Origin, seq: u64) -> Option<Head> {
        let hash = self.hash_of(origin, seq)?;
        let later = self.range(Range { origin, first: seq + 1, last: u64::MAX }).map(claimed).sum();
        Some(Head { origin, seq, hash, samples: self.heads.get(&origin)?.samples.saturating_sub(later) })
    }

    /// Samples that the swarm has trained on, as far as the set tells: a function of the set alone, so peers that have
    /// heard the same agree on it. What an origin claims beyond [`CLAIM_MAX`] does not count.
    #[must_use]
    pub fn samples(&self) -> u64 {
        let chains: Vec<_> =
            self.heads.iter().map(|(origin, tip)| (self.heard.get(&origin).max(1), tip.samples)).collect();
        let mut means: Vec<u64> = chains.iter().map(|(seq, samples)| samples / seq).collect();
        let Some(middle) = means.len().checked_sub(1).map(|last| last / 2) else { return 0 };
        let most = means.select_nth_unstable(middle).1.saturating_add(1).saturating_mul(CLAIM_MAX);
        chains.into_iter().fold(0, |sum, (seq, samples)| sum.saturating_add(samples.min(most.saturating_mul(seq))))
    }

    /// The retained delta of that number.
    #[must_use]
    pub fn get(&self, origin: Origin, seq: u64) -> Option<&Delta> {
        self.retained.get(&origin)?.get(seq)
    }

    /// Hash of that delta, when it is the head of its chain, or it or the next one is retained.
    #[must_use]
    pub fn hash_of(&self, origin: Origin, seq: u64) -> Option<Hash> {
        if self.heard.get(&origin) == seq {
            return self.heads.get(&origin).map(|tip| tip.hash);
        }
        let named = || self.get(origin, seq.checked_add(1)?).map(|next| next.header().previous);
        self.get(origin, seq).map(Delta::hash).or_else(named)
    }

    /// Whether the delta waits for a gap to close.
    #[must_use]
    pub fn holds(&self, origin: Origin, seq: u64) -> bool {
        self.held.contains_key(&(origin, seq))
    }

    /// Whether the set takes deltas of that origin: it has some, or a place for one more.
    #[must_use]
    pub fn has_room_for(&self, origin: &Origin) -> bool {
        self.heard.len() < LIVES_TAKEN_MAX || self.heard.get(origin) > 0
    }

    /// Takes a checked delta; see the module.
    pub fn offer(&mut self, delta: Delta) -> Arrival {
        let origin = delta.origin();
        let mut arrival = self.offer_one(delta);
        if let Arrival::Ready(ready) = &mut arrival {
            self.release(origin, ready);
        }
        arrival
    }

    /// As [`Log::offer`], but what waits for this delta goes on waiting: take it with [`Log::take_waiting`].
    pub fn offer_one(&mut self, delta: Delta) -> Arrival {
        let (origin, seq) = (delta.origin(), delta.seq());
        let heard = self.heard.get(&origin);
        if self.excluded.covers(origin, seq) {
            return Arrival::Refused(Refused::Excluded);
        }
        if seq <= heard {
            return match self.get(origin, seq) {
                Some(known) if known.hash() != delta.hash() => Arrival::Refused(Refused::Equivocation),
                _ => Arrival::Known,
            };
        }
        if !self.has_room_for(&origin) {
            return Arrival::Refused(Refused::Origins { limit: LIVES_TAKEN_MAX });
        }
        if seq > heard + 1 {
            return self.hold(delta, heard);
        }
        if delta.header().previous != self.head(&origin) {
            return Arrival::Refused(Refused::Chain);
        }
        self.append(delta.clone());
        Arrival::Ready(vec![delta])
    }

    /// The delta that waited for the present head of `origin`; it is to be offered again.
    pub fn take_waiting(&mut self, origin: Origin) -> Option<Delta> {
        let delta = self.held.remove(&(origin, self.heard.get(&origin) + 1))?;
        self.held_bytes -= delta.bytes();
        Some(delta)
    }

    /// The delta of that number that waits for a gap to close.
    #[must_use]
    pub fn waiting(&self, origin: Origin, seq: u64) -> Option<&Delta> {
        self.held.get(&(origin, seq))
    }

    /// What is left out for good.
    #[must_use]
    pub fn excluded(&self) -> &Exclusions {
        &self.excluded
    }

    /// Name of the set: version vector and exclusions.
    #[must_use]
    pub fn set_hash(&self) -> Hash {
        self.excluded.set_hash(&self.heard)
    }

    fn set_head(&mut self, origin: Origin, seq: u64, head: Tip) {
        self.heard.set(origin, seq);
        self.heads.insert(origin, head);
    }

    /// Nothing of these is in the set.
    fn forget_heads(&mut self, origins: &BTreeSet<Origin>) {
        self.heard.remove_all(origins);
        self.heads.remove_all(origins);
    }

    fn hold(&mut self, delta: Delta, heard: u64) -> Arrival {
        let (origin, seq) = (delta.origin(), delta.seq());
        if let Some(known) = self.held.get(&(origin, seq)) {
            let equal = known.hash() == delta.hash();
            return if equal { Arrival::Known } else { Arrival::Refused(Refused::Equivocation) };
        }
        while self.held.len() >= HELD_MAX || self.held_bytes + delta.bytes() > HELD_BYTES_MAX {
            // What is nearest to its head is of use first. Were the newcomer refused instead, a table full of what is far
            // ahead would refuse all that could ever empty it.
            if !self.drop_farthest(seq - heard) {
                return Arrival::Refused(Refused::Ahead { limit: HELD_MAX });
            }
        }
        let first_held = self.held.range((origin, 0)..=(origin, seq)).next().map_or(seq, |(&(_, s), _)| s);
        self.held_bytes += delta.bytes();
        self.held.insert((origin, seq), delta);
        Arrival::Held(Range { origin, first: heard + 1, last: first_held - 1 })
    }

    /// Makes room by dropping the held delta that is farthest ahead of its head, if it is farther than `distance`.
    fn drop_farthest(&mut self, distance: u64) -> bool {
        let mut farthest: Option<((Origin, u64), u64)> = None;
        let mut next = self.held.last_key_value().map(|(&key, _)| key);
        while let Some((origin, seq)) = next {
            let ahead = seq.saturating_sub(self.heard.get(&origin));
            if farthest.is_none_or(|(_, most)| ahead > most) {
                farthest = Some(((origin, seq), ahead));
            }
            next = self.held.range(..(origin, 0)).next_back().map(|(&key, _)| key);
        }
        let Some((key, _)) = farthest.filter(|&(_, most)| most > distance) else { return false };
        if let Some(delta) = self.held.remove(&key) {
            self.held_bytes -= delta.bytes();
        }
        true
    }

    /// Moves what waited for the new head of `origin` to `ready`; what contradicts the chain is dropped.
    fn release(&mut self, origin: Origin, ready: &mut Vec<Delta>) {
        while let Some(delta) = self.held.remove(&(origin, self.heard.get(&origin) + 1)) {
            self.held_bytes -= delta.bytes();
            if delta.header().previous != self.head(&origin) {
                continue;
            }
            ready.push(delta.clone());
            self.append(delta);
        }
    }

    /// Appends a delta of our own.
    ///
    /// # Panics
    /// When it does not continue the chain: that is a bug of this peer.
    pub fn say(&mut self, delta: Delta) {
        assert_eq!(delta.seq(), self.heard.get(&delta.origin()) + 1, "own deltas have no gaps");
        assert_eq!(delta.header().previous, self.head(&delta.origin()), "own deltas are chained");
        self.append(delta);
    }

    fn append(&mut self, delta: Delta) {
        let key = (delta.origin(), delta.seq());
        self.heard.set(key.0, key.1);
        let samples = self.heads.get(&key.0).map_or(0, |tip| tip.samples).saturating_add(claimed(&delta));
        self.heads.insert(key.0, Tip { hash: delta.hash(), samples });
        self.bytes += delta.bytes();
        self.count += 1;
        self.arrivals.push_back(key);
        self.retained.entry(key.0).or_default().push(delta);
        self.let_go();
    }

    /// Takes back into the log a delta that is in the set and no longer, or not yet, retained: the one before the first
    /// retained of its chain, so that the run stays without gaps. Returns whether it was that one, and had room.
    pub fn backfill(&mut self, delta: Delta) -> bool {
        let key = (delta.origin(), delta.seq());
        let first = self.first_retained(key.0);
        let expected = match self.get(key.0, first) {
            Some(next) => next.header().previous,
            None => self.head(&key.0),
        };
        if key.1 == 0 || key.1 + 1 != first || delta.hash() != expected || self.bytes + delta.bytes() > self.bytes_max {
            return false;
        }
        self.bytes += delta.bytes();
        self.count += 1;
        self.arrivals.push_front(key);
        self.retained.entry(key.0).or_default().push_before(delta);
        self.sweep_arrivals();
        true
    }

    /// First retained number of `origin`; `heard + 1` when none is.
    #[must_use]
    pub fn first_retained(&self, origin: Origin) -> u64 {
        let first = self.retained.get(&origin).and_then(Run::first);
        first.unwrap_or_else(|| self.heard.get(&origin) + 1)
    }

    /// What somebody who has `theirs` lacks of ours.
    #[must_use]
    pub fn missing(&self, theirs: &VersionVector) -> Missing {
        let mut missing = Missing { bytes: 0, complete: true };
        for (origin, first, last) in self.heard.ahead_of(theirs) {
            missing.complete &= self.first_retained(origin) <= first;
            missing.bytes += self.range(Range { origin, first, last }).map(Delta::bytes).sum::<usize>();
        }
        missing
    }

    /// The retained deltas of a range, in order.
    pub fn range(&self, range: Range) -> impl Iterator<Item = &Delta> + '_ {
        let run = self.retained.get(&range.origin);
        run.into_iter().flat_map(move |run| run.range(range.first, range.last))
    }

    fn drop_held(&mut self, origin: Origin, last: u64) {
        let keys: Vec<_> = self.held.range((origin, 0)..=(origin, last)).map(|(&key, _)| key).collect();
        for key in keys {
            if let Some(delta) = self.held.remove(&key) {
                self.held_bytes -= delta.bytes();
            }
        }
    }
}

/// Samples of a delta as they are counted.
fn claimed(delta: &Delta) -> u64 {
    delta.header().samples.min(SAMPLES_MAX)
}

#[cfg(test)]
mod tests;
