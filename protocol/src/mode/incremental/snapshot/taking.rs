//! The taker's side: the next base, filled and hashed part by part, and what has to be true before it replaces ours.

use rand_chacha::rand_core::Rng as _;

use super::{HEAD_BYTES, Lacking, Stage, Taking};
use crate::event::{Event, Timer};
use crate::id::{Hash, PeerId};
use crate::log::{Exclusions, VersionVector, heard_of};
use crate::peer::Peer;
use crate::time::Span;
use crate::wire::{Message, ORIGINS_MAX, SNAPSHOT_PART_BYTES, SnapshotHead};

/// What a neighbour has and cannot send is waited for, for so many anti-entropy intervals: others may have it in their log.
const PATIENCE_INTERVALS: u64 = 2;
/// What a taker lacks for so long is asked for again.
const RETRY: Span = Span::from_secs(1);
/// Parts asked for ahead: 3 MiB, less than the least window of a link, so that the way is never empty while questions travel.
const PARTS_AHEAD: u64 = 12;
/// A snapshot without a new part for so long is given up.
const STALL_MAX: Span = Span::from_secs(5);
/// A witness may take so long.
const WITNESS_MAX: Span = Span::from_secs(1);
/// Witnesses that are asked one after the other.
const WITNESSES_MAX: usize = 3;

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
    pub(crate) fn take_what_nobody_sends(&mut self) {
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
            self.snapshots.taking =
                Some(Taking { from, since: self.now, fetched_in: Span(0), progress_at: self.now, stage: Stage::Asked });
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
        (taking.since, taking.progress_at) = (self.now, self.now);
        let base_hash = head.base_hash;
        taking.stage = Stage::Parts { head, base: Vec::with_capacity(parameters), hasher: Box::default(), asked: 0 };
        self.want_parts(from, base_hash);
    }

    /// Keeps a few parts on their way.
    fn want_parts(&mut self, from: PeerId, base_hash: Hash) {
        let total = 4 * self.context.parameters as u64;
        let mut wants = Vec::new();
        if let Some(Taking { stage: Stage::Parts { base, asked, .. }, .. }) = &mut self.snapshots.taking {
            let ahead = 4 * base.len() as u64 + PARTS_AHEAD * SNAPSHOT_PART_BYTES as u64;
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
        let Stage::Parts { head, base, hasher, .. } = &mut taking.stage else {
            return;
        };
        let here = 4 * base.len();
        let expected = SNAPSHOT_PART_BYTES.min(total - here);
        if head.base_hash != base_hash || offset != here as u64 || part.len() != expected {
            // Links keep order; a part that was dropped by a full queue shows here, and the stall timer ends it.
            return;
        }
        let before = base.len();
        base.extend(part.as_chunks::<4>().0.iter().map(|value| i32::from_le_bytes(*value)));
        hasher.add(&base[before..]);
        taking.progress_at = self.now;
        if 4 * base.len() == total {
            taking.fetched_in = self.now - taking.since;
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
        let Stage::Parts { head, base, hasher, .. } = std::mem::replace(stage, Stage::Asked) else {
            return;
        };
        if hasher.finish() == head.base_hash {
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
        let Some(Taking { from, progress_at, stage, .. }) = &mut self.snapshots.taking else {
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
    pub(crate) fn restore_when_possible(&mut self) {
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
    pub(crate) fn restored(&mut self) {
        let Some(Taking { from, fetched_in, stage: Stage::Restoring { bytes, deltas, witness }, .. }) =
            self.snapshots.taking.take()
        else {
            return;
        };
        self.pairs.keep_model();
        self.event(Event::SnapshotRestored { from, bytes, deltas, fetched_in, witness });
        self.send_digest(from, true);
        self.try_begin();
    }

    /// The stall timer: what makes no progress is asked for again, and given up in the end.
    pub(crate) fn snapshot_stalled(&mut self) {
        let Some(Taking { from, progress_at, stage, .. }) = &mut self.snapshots.taking else {
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
            Stage::Parts { head, base, asked, .. } => {
                // Those behind the missing part were dropped; they are asked for again once it is here.
                let offset = 4 * base.len() as u64;
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
