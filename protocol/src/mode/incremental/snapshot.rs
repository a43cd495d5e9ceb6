//! Snapshots: the base and the head of every chain, for whoever is behind the log.
//!
//! ```text
//! giver -> taker   SnapshotOffer          taker -> giver   SnapshotAsk
//! giver -> taker   SnapshotHead           taker -> giver   SnapshotWant(offset), a few ahead
//! giver -> taker   SnapshotPart(offset) ...                hash checked
//! taker <-> witness                                        the same base there? (witness.rs)
//!                                                          base replaced, own deltas replayed
//! ```
//!
//! The taker pulls, so a slow one slows nobody, and parts are small, so deltas pass between them. The taker keeps its
//! residual (`theta += base - b`), and every delta that it has and the snapshot lacks is added again: nothing is lost.
//!
//! Whoever takes a snapshot has the deltas in its base and not in its log: it cannot pass them on, so it offers snapshots in its
//! turn. One taken in haste makes the next one necessary, and two peers with different gaps in their logs cannot be united
//! at all. So a peer that has any deltas takes one only of what nobody has sent it for a while.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_chacha::rand_core::Rng as _;

use crate::event::{Event, Timer};
use crate::id::{Hash, Origin, PeerId};
use crate::learner::base_hash;
use crate::log::{Exclusions, Head, VersionVector, heard_of};
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::trust::Exclusion;
use crate::wire::{Message, ORIGINS_MAX, SNAPSHOT_PART_BYTES, SnapshotHead};

/// A snapshot that was made is given to others too for so long.
const SERVE_MAX: Span = Span::from_secs(20);
/// One neighbour is offered a snapshot this often at most.
const OFFER_PAUSE: Span = Span::from_secs(2);
/// What a neighbour has and cannot send is waited for, for so many anti-entropy intervals: others may have it in their log.
const PATIENCE_INTERVALS: u64 = 2;
/// What a taker lacks for so long is asked for again.
const RETRY: Span = Span::from_secs(1);
/// Parts asked for ahead.
const PARTS_AHEAD: u64 = 4;
/// A snapshot without a new part for so long is given up.
const STALL_MAX: Span = Span::from_secs(5);
/// Peers that may wait for one snapshot to be made.
const WAITING_MAX: usize = 64;
/// A witness may take so long.
const WITNESS_MAX: Span = Span::from_secs(1);
/// Witnesses that are asked one after the other.
const WITNESSES_MAX: usize = 3;
/// Bytes of one origin in the head, about.
const HEAD_BYTES: usize = 32 + 8 + 8 + 32 + 8;

/// Both directions.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    serving: Option<Serving>,
    /// Who asked before the base was at hand.
    waiting: Vec<PeerId>,
    taking: Option<Taking>,
    lacking: Option<Lacking>,
}

/// What a neighbour has and could not send, and since when we know.
#[derive(Debug)]
struct Lacking {
    of: PeerId,
    set: VersionVector,
    since: Time,
}

#[derive(Debug)]
struct Serving {
    head: SnapshotHead,
    bytes: Arc<[u8]>,
    until: Time,
}

#[derive(Debug)]
struct Taking {
    from: PeerId,
    progress_at: Time,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Asked,
    Parts {
        head: SnapshotHead,
        bytes: Vec<u8>,
        asked: u64,
    },
    /// Complete; another peer is asked whether it has the same base.
    Checking {
        head: SnapshotHead,
        base: Vec<i32>,
        /// The last one is asked now.
        witnesses: Vec<PeerId>,
        /// Whether there was a wait for the first one.
        waited: bool,
    },
    /// Complete and checked; waits until no delta of our own is half taken.
    Whole {
        head: SnapshotHead,
        base: Vec<i32>,
        witness: Option<PeerId>,
    },
    Restoring {
        bytes: u64,
        deltas: u64,
        witness: Option<PeerId>,
    },
}

impl Snapshots {
    pub(crate) fn is_taking(&self) -> bool {
        self.taking.is_some()
    }

    /// What is served is no longer what we stand for.
    pub(super) fn forget_served(&mut self) {
        self.serving = None;
    }

    /// Whether the learner must not take a new delta: a restored base is about to replace the one it would go into.
    pub(super) fn is_restoring(&self) -> bool {
        self.taking.as_ref().is_some_and(|t| matches!(t.stage, Stage::Whole { .. } | Stage::Restoring { .. }))
    }
}

// Giving.
impl Peer {
    /// What a snapshot would cost.
    pub(super) fn snapshot_bytes(&self) -> usize {
        4 * self.context.parameters + HEAD_BYTES * self.log.heard().len()
    }

    pub(super) fn offer_snapshot(&mut self, to: PeerId) {
        let bytes = self.snapshot_bytes() as u64;
        let now = self.now;
        let Some(neighbour) = self.members.neighbour_mut(to) else {
            return;
        };
        if neighbour.snapshot_offer_after <= now {
            neighbour.snapshot_offer_after = now + OFFER_PAUSE;
            // Whoever is not behind by our own words need not believe an offer.
            self.send_digest(to, false);
            self.send(to, Message::SnapshotOffer { bytes });
        }
    }

    pub(crate) fn hear_snapshot_ask(&mut self, from: PeerId) {
        let fresh = self.snapshots.serving.as_ref().filter(|serving| serving.until > self.now);
        // One that our log cannot lead on from would leave its taker behind the log again.
        let head =
            fresh.map(|serving| serving.head.clone()).filter(|head| self.log.missing(&heard_of(&head.heads)).complete);
        if let Some(head) = head {
            self.send(from, Message::SnapshotHead(head));
            return;
        }
        if self.snapshots.waiting.len() >= WAITING_MAX || self.snapshots.waiting.contains(&from) {
            return;
        }
        self.snapshots.waiting.push(from);
        if self.snapshots.waiting.len() == 1 {
            self.issue_base();
        }
    }

    /// The learner gave the base: describe it and tell who waits.
    pub(super) fn serve_snapshot(
        &mut self,
        heard: &VersionVector,
        heads: Vec<Head>,
        exclusions: Vec<Exclusion>,
        base: &[i32],
    ) {
        let excluded: Exclusions = exclusions.iter().map(|record| (record.about, record.from_seq)).collect();
        if excluded != *self.log.excluded() {
            self.issue_base(); // Something was excluded in between.
            return;
        }
        let mut heads: BTreeMap<Origin, Head> = heads.into_iter().map(|head| (head.origin, head)).collect();
        // Our deltas that were taken between the question and the answer are signed and logged by now.
        let own = heard.get(&self.origin);
        if own > 0 {
            let Some(head) = self.log.get(self.origin, own).and_then(|_| self.log.head_at(self.origin, own)) else {
                // The log is too short to hold our own last delta: no chain could be continued from such a snapshot.
                self.snapshots.waiting.clear();
                return;
            };
            heads.insert(self.origin, head);
        }
        let base_hash = base_hash(base);
        self.schedule.known_base = Some((excluded.set_hash(heard), base_hash));
        let heads = heads.into_values().collect();
        let head = SnapshotHead { base_hash, parameters: base.len() as u64, heads, exclusions };
        let bytes: Vec<u8> = base.iter().flat_map(|value| value.to_le_bytes()).collect();
        for to in std::mem::take(&mut self.snapshots.waiting) {
            self.send(to, Message::SnapshotHead(head.clone()));
        }
        self.snapshots.serving = Some(Serving { head, bytes: bytes.into(), until: self.now + SERVE_MAX });
    }

    pub(crate) fn hear_snapshot_want(&mut self, from: PeerId, base_hash: Hash, offset: u64) {
        let Some(serving) = self.snapshots.serving.as_mut().filter(|s| s.head.base_hash == base_hash) else {
            return;
        };
        let Some(rest) = usize::try_from(offset).ok().and_then(|start| serving.bytes.get(start..)) else {
            return;
        };
        if rest.is_empty() {
            return;
        }
        serving.until = self.now + SERVE_MAX;
        let bytes = rest[..rest.len().min(SNAPSHOT_PART_BYTES)].to_vec();
        let last = bytes.len() == rest.len();
        let total = serving.bytes.len() as u64;
        self.send(from, Message::SnapshotPart { base_hash, offset, bytes });
        if last {
            self.event(Event::SnapshotServed { to: from, bytes: total });
        }
    }

    /// Lets go of a snapshot that nobody has asked for lately.
    pub(super) fn drop_stale_snapshot(&mut self) {
        if self.snapshots.serving.as_ref().is_some_and(|serving| serving.until <= self.now) {
            self.snapshots.serving = None;
        }
    }
}

// Taking.
impl Peer {
    pub(crate) fn hear_snapshot_offer(&mut self, from: PeerId, bytes: u64) {
        let expected = 4 * self.context.parameters as u64;
        let plausible = (expected..=expected + (ORIGINS_MAX * HEAD_BYTES) as u64).contains(&bytes);
        // In pairs we ask, and nobody offers.
        if !plausible || self.in_pairs() {
            return;
        }
        if !self.guard.pending.is_empty() || (self.log.heard().is_empty() && self.is_behind(from)) {
            self.ask_snapshot(from);
        } else if self.snapshots.lacking.as_ref().is_none_or(|lacking| self.log.heard().covers(&lacking.set)) {
            let set = self.what_we_lack(from);
            self.snapshots.lacking = (!set.is_empty()).then_some(Lacking { of: from, set, since: self.now });
        }
    }

    /// Once an anti-entropy interval: asks for a snapshot of what was not to be had in any other way.
    pub(super) fn take_what_nobody_sends(&mut self) {
        let patience = Span(PATIENCE_INTERVALS * self.config.gossip.anti_entropy.0);
        let Some(lacking) = self.snapshots.lacking.take_if(|lacking| self.now - lacking.since >= patience) else {
            return;
        };
        // Whoever is on hold with us is in the neighbour's base: what we lack of it is no reason to take that.
        if self.guard.holds.is_empty() && !self.log.heard().covers(&lacking.set) && self.is_behind(lacking.of) {
            self.ask_snapshot(lacking.of);
        }
    }

    /// The deltas of others that a neighbour has by its own words, as far as we lack them and take any.
    fn what_we_lack(&self, neighbour: PeerId) -> VersionVector {
        let Some(heard) = self.members.neighbour(neighbour).and_then(|neighbour| neighbour.confirmed.as_ref()) else {
            return VersionVector::new();
        };
        let (ours, excluded) = (self.log.heard(), self.log.excluded());
        let allowed = heard.iter().map(|(origin, seq)| (origin, seq.min(excluded.last_allowed(origin))));
        allowed.filter(|(origin, seq)| *origin != self.origin && *seq > ours.get(origin)).collect()
    }

    /// Whether it has deltas of others that we lack, by its own words.
    fn is_behind(&self, neighbour: PeerId) -> bool {
        let confirmed = self.members.neighbour(neighbour).and_then(|neighbour| neighbour.confirmed.as_ref());
        confirmed.is_some_and(|heard| heard.ahead_of(self.log.heard()).any(|(origin, ..)| origin != self.origin))
    }

    pub(crate) fn ask_snapshot(&mut self, from: PeerId) {
        if !self.snapshots.is_taking() && !self.session.is_finishing() {
            self.snapshots.taking = Some(Taking { from, progress_at: self.now, stage: Stage::Asked });
            self.send(from, Message::SnapshotAsk);
            self.set_timer(self.now + RETRY, Timer::Snapshot);
        }
    }

    pub(crate) fn hear_snapshot_head(&mut self, from: PeerId, head: SnapshotHead) {
        let parameters = self.context.parameters;
        let Some(taking) = self.snapshots.taking.as_mut().filter(|t| t.from == from) else {
            return;
        };
        if !matches!(taking.stage, Stage::Asked) {
            return;
        }
        if head.parameters != parameters as u64 {
            self.snapshot_failed("its size is not that of the model");
            return;
        }
        if self.in_pairs() && !(head.heads.is_empty() && head.exclusions.is_empty()) {
            self.snapshot_failed("it names deltas or exclusions, and in this mode there are none");
            return;
        }
        let own = self.log.heard().get(&self.origin);
        if head.heads.iter().any(|tip| tip.origin == self.origin && tip.seq > own) {
            self.snapshot_failed("it holds deltas in our name that we never said");
            return;
        }
        if !self.takes_exclusions(&head.exclusions) {
            self.snapshot_failed("it leaves out what we do not");
            return;
        }
        let Some(taking) = self.snapshots.taking.as_mut() else {
            return;
        };
        taking.progress_at = self.now;
        let base_hash = head.base_hash;
        taking.stage = Stage::Parts { head, bytes: Vec::with_capacity(4 * parameters), asked: 0 };
        self.want_parts(from, base_hash);
    }

    /// Keeps a few parts on their way.
    fn want_parts(&mut self, from: PeerId, base_hash: Hash) {
        let total = 4 * self.context.parameters as u64;
        let mut wants = Vec::new();
        if let Some(Taking { stage: Stage::Parts { bytes, asked, .. }, .. }) = &mut self.snapshots.taking {
            let ahead = bytes.len() as u64 + PARTS_AHEAD * SNAPSHOT_PART_BYTES as u64;
            while *asked < total.min(ahead) {
                wants.push(*asked);
                *asked += SNAPSHOT_PART_BYTES as u64;
            }
        }
        for offset in wants {
            self.send(from, Message::SnapshotWant { base_hash, offset });
        }
    }

    pub(crate) fn hear_snapshot_part(&mut self, from: PeerId, base_hash: Hash, offset: u64, part: &[u8]) {
        let total = 4 * self.context.parameters;
        let Some(taking) = self.snapshots.taking.as_mut().filter(|t| t.from == from) else {
            return;
        };
        let Stage::Parts { head, bytes, .. } = &mut taking.stage else {
            return;
        };
        let expected = SNAPSHOT_PART_BYTES.min(total - bytes.len());
        if head.base_hash != base_hash || offset != bytes.len() as u64 || part.len() != expected {
            // Links keep order; a part that was dropped by a full queue shows here, and the stall timer ends it.
            return;
        }
        bytes.extend_from_slice(part);
        taking.progress_at = self.now;
        if bytes.len() == total {
            self.check_whole();
        } else {
            self.want_parts(from, base_hash);
        }
    }

    fn check_whole(&mut self) {
        let pairs = self.in_pairs();
        let Some(Taking { stage, .. }) = &mut self.snapshots.taking else {
            return;
        };
        let Stage::Parts { head, bytes, .. } = std::mem::replace(stage, Stage::Asked) else {
            return;
        };
        let base: Vec<i32> = bytes.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
        if base_hash(&base) == head.base_hash {
            // A model that is nobody else's has no witness.
            *stage = if pairs {
                Stage::Whole { head, base, witness: None }
            } else {
                Stage::Checking { head, base, witnesses: Vec::new(), waited: false }
            };
            self.ask_witness();
        } else {
            self.snapshot_failed("its hash does not match");
        }
    }

    /// Asks the next one who may have the same base; when nobody is left the snapshot is taken on the giver's word.
    fn ask_witness(&mut self) {
        let Some(Taking { from, progress_at, stage }) = &mut self.snapshots.taking else {
            return;
        };
        let Stage::Checking { head, witnesses, waited, .. } = stage else {
            return;
        };
        let set: VersionVector = head.heads.iter().map(|tip| (tip.origin, tip.seq)).collect();
        let others = self.members.neighbours().filter(|(peer, _)| peer != from && !witnesses.contains(peer));
        let mut others: Vec<(bool, PeerId)> =
            others.map(|(peer, neighbour)| (neighbour.known.covers(&set), peer)).collect();
        // Those first that have heard enough, by all we know.
        others.sort_unstable_by_key(|&(covers, peer)| (!covers, peer));
        let good = others.iter().take_while(|(covers, _)| *covers).count();
        let among = if good > 0 { good } else { others.len() };
        let draw = (self.rng.next_u64() % among.max(1) as u64) as usize;
        let next = others.get(draw).filter(|_| witnesses.len() < WITNESSES_MAX).map(|&(_, peer)| peer);
        let Some(witness) = next else {
            // A newcomer has its first neighbour before the others: they may be here in a moment.
            let (us, giver) = (self.origin.peer, *from);
            let third = head.heads.iter().any(|tip| tip.origin.peer != us && tip.origin.peer != giver);
            if third && witnesses.is_empty() && !*waited {
                (*waited, *progress_at) = (true, self.now);
                self.set_timer(self.now + WITNESS_MAX, Timer::Snapshot);
            } else {
                self.believe_snapshot(None);
            }
            return;
        };
        witnesses.push(witness);
        *progress_at = self.now;
        let excluded = head.exclusions.iter().map(|record| (record.about, record.from_seq)).collect();
        let check = Message::SnapshotCheck { base_hash: head.base_hash, heads: head.heads.clone(), excluded };
        self.send(witness, check);
        self.set_timer(self.now + WITNESS_MAX, Timer::Snapshot);
    }

    fn believe_snapshot(&mut self, witness: Option<PeerId>) {
        let Some(Taking { stage, .. }) = &mut self.snapshots.taking else {
            return;
        };
        *stage = match std::mem::replace(stage, Stage::Asked) {
            Stage::Checking { head, base, .. } => Stage::Whole { head, base, witness },
            other => other,
        };
    }

    pub(crate) fn hear_snapshot_checked(&mut self, from: PeerId, base_hash: Hash, same: Option<bool>) {
        let Some(Taking { stage: Stage::Checking { head, witnesses, .. }, .. }) = &self.snapshots.taking else {
            return;
        };
        if witnesses.last() != Some(&from) || head.base_hash != base_hash {
            return;
        }
        match same {
            Some(true) => self.believe_snapshot(Some(from)),
            Some(false) => self.snapshot_failed("another peer has another base for the same deltas"),
            None => self.ask_witness(),
        }
    }

    /// Replaces the base as soon as no delta of our own is half taken. Called by the pump.
    pub(super) fn restore_when_possible(&mut self) {
        if self.schedule.delta_pending() {
            return;
        }
        let Some(Taking { stage, .. }) = &mut self.snapshots.taking else {
            return;
        };
        if !matches!(stage, Stage::Whole { .. }) {
            return;
        }
        let Stage::Whole { head, base, witness } = std::mem::replace(stage, Stage::Asked) else {
            return;
        };
        let ours = self.log.excluded();
        if head.heads.iter().any(|head| ours.covers(head.origin, head.seq)) {
            self.snapshot_failed("it holds what the swarm has excluded");
            return;
        }
        let excluded: Exclusions = head.exclusions.iter().map(|record| (record.about, record.from_seq)).collect();
        let beyond = self.log.beyond(&head.heads, &excluded);
        let deltas = head.heads.iter().map(|head| head.seq).sum();
        let mut carry = 0.0;
        if !beyond.gone.is_empty() {
            if !self.yields_to(&head, deltas) {
                self.snapshot_failed(
                    "it lacks deltas that our log no longer holds, and its history is the shorter one",
                );
                return;
            }
            carry = 1.0 / self.config.gossip.gain.max(1.0);
            self.event(Event::HistoryYielded { from: self.taking_from(), origins: beyond.gone.len(), carry });
        }
        let bytes = 4 * base.len() as u64;
        self.issue_restore(base, beyond.replay, carry);
        self.log.renounce(&beyond.gone);
        if beyond.gone.contains(&self.origin) {
            self.begin_new_chain();
        }
        let ready = self.log.adopt(&head.heads, &excluded);
        if let Some(taking) = &mut self.snapshots.taking {
            taking.stage = Stage::Restoring { bytes, deltas, witness };
        }
        self.accept(ready);
        if !excluded.is_empty() {
            self.adopt_exclusions(head.exclusions);
        }
    }

    /// Of two histories that neither log can unite the shorter one yields: its chains are renounced, and 1/gain of what
    /// its base had beyond the other goes back into the residual of each of its peers. They say it again with w = gain / N
    /// each, so k of N peers bring in k/N of their difference: the result is the average of the two models, weighted by
    /// the peers on either side.
    fn yields_to(&self, head: &SnapshotHead, deltas: u64) -> bool {
        (deltas, heard_of(&head.heads).hash()) > (self.log.deltas(), self.log.heard().hash())
    }

    fn taking_from(&self) -> PeerId {
        self.snapshots.taking.as_ref().map_or(self.origin.peer, |taking| taking.from)
    }

    /// The learner has the new base.
    pub(super) fn restored(&mut self) {
        let Some(Taking { from, stage: Stage::Restoring { bytes, deltas, witness }, .. }) =
            self.snapshots.taking.take()
        else {
            return;
        };
        self.pairs.keep_model();
        self.event(Event::SnapshotRestored { from, bytes, deltas, witness });
        self.send_digest(from, true);
        self.try_begin();
    }

    /// The stall timer: what makes no progress is asked for again, and given up in the end.
    pub(crate) fn snapshot_stalled(&mut self) {
        let Some(Taking { from, progress_at, stage }) = &mut self.snapshots.taking else {
            return;
        };
        let (from, waited) = (*from, self.now - *progress_at);
        let again = match stage {
            Stage::Whole { .. } | Stage::Restoring { .. } => return,
            Stage::Checking { .. } => {
                if waited >= WITNESS_MAX {
                    self.ask_witness();
                }
                return;
            }
            Stage::Asked => Message::SnapshotAsk,
            Stage::Parts { head, bytes, asked } => {
                // Those behind the missing part were dropped; they are asked for again once it is here.
                let offset = bytes.len() as u64;
                *asked = offset + SNAPSHOT_PART_BYTES as u64;
                Message::SnapshotWant { base_hash: head.base_hash, offset }
            }
        };
        if waited >= STALL_MAX {
            self.snapshot_failed("no progress");
            return;
        }
        if waited >= RETRY {
            self.send(from, again);
        }
        self.set_timer(self.now + RETRY, Timer::Snapshot);
    }

    pub(crate) fn snapshot_source_lost(&mut self, peer: PeerId) {
        self.snapshots.waiting.retain(|waiting| *waiting != peer);
        let fetching = |t: &Taking| matches!(t.stage, Stage::Asked | Stage::Parts { .. });
        if self.snapshots.taking.as_ref().is_some_and(|t| t.from == peer && fetching(t)) {
            self.snapshot_failed("the giver is gone");
        }
    }

    fn snapshot_failed(&mut self, reason: &'static str) {
        if let Some(taking) = self.snapshots.taking.take() {
            self.event(Event::SnapshotFailed { from: taking.from, reason });
            self.try_begin();
        }
    }
}
