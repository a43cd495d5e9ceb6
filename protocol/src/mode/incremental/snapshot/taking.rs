//! The taker's side: the next base, filled and hashed part by part, and what has to be true before it replaces ours.

use super::checking::{Checks, DOUBT_PAUSE};
use super::going_on::Pace;
use super::{HEAD_BYTES, Lacking, Stage, Taking};
use crate::event::Event;
use crate::id::{Hash, Origin, PeerId};
use crate::log::{Exclusions, VersionVector, heard_of};
use crate::membership::Neighbour;
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::trust::Exclusion;
use crate::wire::{Message, ORIGINS_MAX, SNAPSHOT_PART_BYTES, SnapshotHead};

/// What a neighbour has and cannot send is waited for, for so many anti-entropy intervals: others may have it in their log.
const PATIENCE_INTERVALS: u64 = 2;
/// Parts asked for ahead: 3 MiB, less than the least window of a link, so that the way is never empty while questions travel.
const PARTS_AHEAD: u64 = 12;

impl Peer {
    pub(crate) fn hear_snapshot_offer(&mut self, from: PeerId, bytes: u64) {
        let expected = 4 * self.context.parameters as u64;
        let plausible = (expected..=expected + (ORIGINS_MAX * HEAD_BYTES) as u64).contains(&bytes);
        // In pairs we ask, and nobody offers.
        if !plausible || self.in_pairs() {
            return;
        }
        if self.log.heard().is_empty() && self.is_behind(from) {
            self.ask_snapshot(from);
        } else if self.is_passed_over(from) {
            // What it has and nobody else can know must not stand before what another one offers.
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
        let holds = &self.guard.holds;
        let set: VersionVector = lacking.set.iter().filter(|(origin, _)| !holds.contains_key(origin)).collect();
        if !self.log.heard().covers(&set) && self.is_behind(lacking.of) {
            self.ask_snapshot_of(lacking.of, set);
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
    pub(super) fn is_behind(&self, neighbour: PeerId) -> bool {
        let confirmed = self.members.neighbour(neighbour).and_then(|neighbour| neighbour.confirmed.as_ref());
        confirmed.is_some_and(|heard| heard.ahead_of(self.log.heard()).any(|(origin, ..)| origin != self.origin))
    }

    pub(crate) fn ask_snapshot(&mut self, from: PeerId) {
        self.ask_snapshot_of(from, self.what_we_lack(from));
    }

    /// Asks for a snapshot because of what we lack.
    pub(super) fn ask_snapshot_of(&mut self, from: PeerId, lacks: VersionVector) {
        self.begin_taking(from, lacks, false);
    }

    /// Asks for a base without something that our log cannot take back. Who only says that it has such a one is found out by its
    /// head: the true base, given again and again, would hold us up for nothing, and cost us our log each time.
    pub(crate) fn ask_base_without(&mut self, from: PeerId) {
        self.begin_taking(from, VersionVector::new(), true);
    }

    fn begin_taking(&mut self, from: PeerId, lacks: VersionVector, to_be_rid: bool) {
        if self.snapshots.is_taking() || self.session.is_finishing() || self.is_passed_over(from) {
            return;
        }
        self.snapshots.taking = Some(Taking {
            from,
            lacks,
            ours: self.log.heard().clone(),
            to_be_rid,
            since: self.now,
            fetched_in: Span(0),
            progress_at: self.now,
            asked_at: self.now,
            stage: Stage::Asked,
            checks: Checks::default(),
            pace: Pace::default(),
            cut: None,
        });
        self.send(from, Message::SnapshotAsk);
        self.watch_snapshot();
    }

    /// Whether its last snapshot came to nothing a moment ago.
    pub(super) fn is_passed_over(&self, giver: PeerId) -> bool {
        self.snapshots.passed_over.get(&giver).is_some_and(|until| self.now < *until)
    }

    pub(crate) fn hear_snapshot_head(&mut self, from: PeerId, mut head: SnapshotHead) {
        let parameters = self.context.parameters;
        let Some(taking) = self.snapshots.taking.as_mut().filter(|t| t.from == from) else {
            return;
        };
        if !matches!(taking.stage, Stage::Asked) {
            return;
        }
        let to_be_rid = taking.to_be_rid;
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
        if head.heads.len() >= ORIGINS_MAX {
            self.snapshot_failed("it names as many lives as any set may, and leaves no place for ours");
            return;
        }
        // Of whom the base has nothing we believe what we would anyway, and need nothing.
        let theirs = heard_of(&head.heads);
        head.exclusions.retain(|record| {
            theirs.names(record.about.peer) || self.takes_exclusions(std::slice::from_ref(record), &theirs)
        });
        if !self.takes_exclusions(&head.exclusions, &theirs) {
            self.snapshot_failed("it leaves out what we do not");
            return;
        }
        if to_be_rid && !self.guard.pending.values().any(|record| !holds_any(&head, record)) {
            self.give_up("it holds all that our log cannot take back", DOUBT_PAUSE);
            return;
        }
        let Some(taking) = self.snapshots.taking.as_mut() else {
            return;
        };
        (taking.since, taking.progress_at) = (self.now, self.now);
        taking.pace = Pace::from(self.now);
        let base_hash = head.base_hash;
        taking.stage = Stage::Parts { head, base: Vec::with_capacity(parameters), hasher: Box::default(), asked: 0 };
        self.want_parts(from, base_hash);
        self.ask_witnesses();
    }

    /// Keeps a few parts on their way.
    pub(super) fn want_parts(&mut self, from: PeerId, base_hash: Hash) {
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
        let Some(taking) = self.snapshots.taking.as_mut().filter(|t| t.from == from && t.cut.is_none()) else {
            return;
        };
        let Stage::Parts { head, base, hasher, .. } = &mut taking.stage else {
            return;
        };
        let here = 4 * base.len();
        let expected = SNAPSHOT_PART_BYTES.min(total - here);
        if head.base_hash != base_hash || offset != here as u64 || part.len() != expected {
            // Links keep order; a part that was dropped by a full queue shows here, and is asked for again by the timer.
            return;
        }
        let before = base.len();
        base.extend(part.as_chunks::<4>().0.iter().map(|value| i32::from_le_bytes(*value)));
        hasher.add(&base[before..]);
        taking.pace.part(self.now - taking.progress_at);
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
            *stage = if pairs { Stage::Whole { head, base, witness: None } } else { Stage::Checking { head, base } };
            // A voice may have gone while the parts came: it is asked for before anything is given up.
            self.ask_witnesses();
            self.judge_snapshot();
        } else {
            self.snapshot_failed("its hash does not match");
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
        // What our log is too short to take back this base may be without.
        let pending = self.guard.pending.values().filter(|record| !holds_any(&head, record)).cloned();
        let records: Vec<Exclusion> = head.exclusions.iter().cloned().chain(pending).collect();
        let excluded: Exclusions = records.iter().map(|record| (record.about, record.from_seq)).collect();
        let beyond = self.log.beyond_within_bounds(self.origin, &head.heads, &excluded);
        let deltas = head.heads.iter().map(|head| head.seq).sum();
        let mut carry = 0.0;
        if !beyond.gone.is_empty() {
            if !self.yields_to(&head, deltas, &beyond.gone, witness) {
                self.snapshot_failed(
                    "it lacks deltas that our log no longer holds or lives for which there is no place, and its history is \
                     the shorter one",
                );
                return;
            }
            carry = 1.0 / self.config.gossip.gain.max(1.0);
            self.event(Event::HistoryYielded { from: self.taking_from(), origins: beyond.gone.len(), carry });
        }
        let bytes = 4 * base.len() as u64;
        self.issue_restore(base, beyond.replay, carry);
        self.log.renounce(&beyond.gone);
        self.log.renounce(&beyond.contradicted);
        if beyond.gone.contains(&self.origin) || beyond.contradicted.contains(&self.origin) {
            self.begin_new_chain();
        }
        let ready = self.log.adopt(&head.heads, &excluded);
        if let Some(taking) = &mut self.snapshots.taking {
            taking.stage = Stage::Restoring { bytes, deltas, witness };
        }
        self.accept(ready);
        if !records.is_empty() {
            self.adopt_exclusions(records);
        }
    }

    /// Of two histories that neither log can unite the shorter one yields: its chains are renounced, and 1/gain of what
    /// its base had beyond the other goes back into the residual of each of its peers. They say it again with w = gain / N
    /// each, so k of N peers bring in k/N of their difference: the result is the average of the two models, weighted by
    /// the peers on either side. One that two peers have does not yield to one that nobody else has, however long that is; so the
    /// latter does.
    fn yields_to(&self, head: &SnapshotHead, deltas: u64, gone: &[Origin], witness: Option<PeerId>) -> bool {
        let is_longer = (deltas, heard_of(&head.heads).hash()) > (self.log.deltas(), self.log.heard().hash());
        let ours = |origin: &Origin| (*origin, self.log.heard().get(origin));
        let has =
            |neighbour: &Neighbour| gone.iter().map(ours).all(|(origin, seq)| neighbour.known.get(&origin) >= seq);
        is_longer || (witness.is_some() && !self.members.neighbours().any(|(_, neighbour)| has(neighbour)))
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
        (self.snapshots.has_taken, self.snapshots.back, self.snapshots.unconfirmed) = (true, None, (0, Time(0)));
        self.event(Event::SnapshotRestored { from, bytes, deltas, fetched_in, witness });
        self.send_digest(from, true);
        self.try_begin();
    }
}

/// Whether that base holds any delta that the record leaves out.
fn holds_any(head: &SnapshotHead, record: &Exclusion) -> bool {
    let (peer, from) = (record.about.peer, (record.about.incarnation, record.from_seq));
    head.heads.iter().any(|tip| tip.origin.peer == peer && (tip.origin.incarnation, tip.seq) >= from)
}
