//! Hearing a delta, by whatever path: check, log, apply, and see to it that others hear it too.
//!
//! An origin pushes to its own neighbours. Whoever is no neighbour of the origin is *offered* the delta (a few bytes) by
//! those that have it, and asks for it when it lacks it: in a full mesh every payload crosses every link once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::REPLY_BYTES_MAX;
use crate::event::{Event, Refused, Timer};
use crate::id::{Origin, PeerId};
use crate::log::{Arrival, Delta, LIVES_TAKEN_MAX, Proven, SignedDelta, pieces, proven};
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::wire::{DELTAS_MAX, Message, ORIGINS_MAX, RANGES_MAX, Range};

/// Offers are gathered for so long.
const OFFER_DELAY: Span = Span::from_millis(50);
/// A range that was asked for is not asked for again, of anybody, for so long.
const WANT_PATIENCE: Span = Span::from_millis(500);

/// What is to be offered, and what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    /// Deltas that went into our log since the last round of offers.
    fresh: BTreeMap<Origin, (u64, u64)>,
    timer_set: bool,
    /// Up to which number a delta was asked for, and when.
    wanted: BTreeMap<Origin, (u64, Time)>,
}

impl Peer {
    pub(crate) fn hear_delta(&mut self, from: PeerId, signed: Arc<SignedDelta>) {
        if !self.hear_older(from, std::slice::from_ref(&signed)) {
            self.hear_one(from, &[signed], None);
        }
    }

    /// Deltas that a neighbour sends together because we lack many: see [`proven`].
    pub(crate) fn hear_deltas(&mut self, from: PeerId, chain: Vec<Arc<SignedDelta>>) {
        if self.hear_older(from, &chain) {
            return;
        }
        // All are of one origin, and their numbers grow; without those that our log has let go of, too, what is left is one chain.
        let first = chain.first().map_or(0, |first| self.log.first_retained(first.header.origin));
        let late = chain.into_iter().filter(|signed| signed.header.seq >= first);
        let news: Vec<_> = late.filter(|signed| !self.is_copy(from, signed)).collect();
        let Some(first) = news.first() else { return };
        if self.log.excluded().covers(first.header.origin, first.header.seq) || self.is_turned_off(from, first) {
            return;
        }
        let proofs = proven(&self.context, &news);
        let refused = self.counters.deltas_refused;
        for i in 0..news.len() {
            let proof = proofs.as_ref().and_then(|proofs| proofs.get(i).copied());
            let said = if proof.is_some() { &news[i..] } else { &news[i..=i] };
            self.hear_one(from, said, proof);
            if self.counters.deltas_refused > refused {
                return; // What follows cannot be next in its chain, and one offence is enough.
            }
        }
    }

    /// Whether we have that delta: its signature may be another, and neither is worth a look.
    fn is_copy(&mut self, from: PeerId, signed: &SignedDelta) -> bool {
        let (origin, seq) = (signed.header.origin, signed.header.seq);
        let ours = self.log.get(origin, seq).map(Delta::signed);
        let copy = ours.is_some_and(|ours| ours.header == signed.header && ours.payload == signed.payload);
        if copy {
            self.note_known(from, origin, seq);
        }
        copy
    }

    /// Refuses what is refused for whose it is, before anything in it is looked at: names without end cost nobody a signature each.
    fn is_turned_off(&mut self, from: PeerId, signed: &SignedDelta) -> bool {
        let (origin, seq) = (signed.header.origin, signed.header.seq);
        let reason = if !self.is_allowed(origin.peer) {
            Refused::NotAllowed
        } else if !self.log.has_room_for(&origin) {
            Refused::Origins { limit: LIVES_TAKEN_MAX }
        } else {
            return false;
        };
        self.refuse(from, origin, seq, reason);
        true
    }

    /// The first of these: a delta that stands for itself, or one whose origin has spoken for it by the last of those behind it.
    fn hear_one(&mut self, from: PeerId, said: &[Arc<SignedDelta>], proof: Option<Proven>) {
        let Some(signed) = said.first().cloned() else { return };
        let (origin, seq) = (signed.header.origin, signed.header.seq);
        if origin == self.origin && seq > self.log.heard().get(&origin) {
            self.refuse(from, origin, seq, Refused::Ours);
            return;
        }
        if seq <= self.log.first_retained(origin).saturating_sub(1) {
            return; // In our base and out of our log: nothing to compare it with, nothing to do.
        }
        if self.log.excluded().covers(origin, seq) {
            return; // The sender will hear of the exclusion with the next digest.
        }
        // A copy of what we have or hold costs no signature check.
        let ours = self.log.get(origin, seq);
        if ours.is_some_and(|ours| *ours.signed() == signed) {
            self.note_known(from, origin, seq);
            return;
        }
        if self.is_waiting(&signed) || self.rounds.holds(&signed) {
            return;
        }
        if self.is_turned_off(from, &signed) {
            return;
        }
        let checked = match proof {
            Some(proof) => Delta::check_proven(&self.context, signed, proof, &mut self.scratch),
            None => Delta::check(&self.context, signed, &mut self.scratch),
        };
        match checked {
            Ok(delta) => self.take(from, delta, said),
            Err(invalid) => self.refuse(from, origin, seq, invalid.into()),
        }
    }

    /// Takes a checked delta, decoded in `scratch`, the first of these that were said together.
    pub(super) fn take(&mut self, from: PeerId, delta: Delta, said: &[Arc<SignedDelta>]) {
        let (origin, seq) = (delta.origin(), delta.seq());
        let Some(delta) = self.in_time(delta).and_then(|delta| self.gate(delta)) else {
            self.note_known(from, origin, seq);
            return;
        };
        match self.log.offer_one(delta.clone()) {
            Arrival::Known => self.note_known(from, origin, seq),
            Arrival::Ready(mut deltas) => {
                self.note_known(from, origin, seq);
                if let Some(account) = self.guard.account(from) {
                    account.bytes_served += delta.payload().len() as u64;
                }
                self.take_waiting(origin, &mut deltas);
                self.accept(deltas);
                self.try_begin();
                self.settle(false);
            }
            Arrival::Held(gap) => {
                self.guard.ledger.note_ahead(self.now, origin, gap.first - 1, seq);
                self.want(from, vec![gap]);
            }
            Arrival::Refused(reason) => {
                self.refuse(from, origin, seq, reason);
                // The delta under that number, or the one before it, that we have instead.
                let rivals = [self.log.get(origin, seq), self.log.waiting(origin, seq), self.log.get(origin, seq - 1)];
                let rival = rivals.into_iter().flatten().next().cloned();
                if let Some(rival) = rival {
                    self.accuse(&rival, said);
                }
            }
        }
    }

    /// Deltas that waited for the one that is in the log now, each past the gate.
    fn take_waiting(&mut self, origin: Origin, ready: &mut Vec<Delta>) {
        while let Some(next) = self.log.take_waiting(origin) {
            let parameters = self.context.parameters;
            if next.codec().decode(next.payload(), parameters, next.weight(), &mut self.scratch).is_err() {
                continue;
            }
            let Some(next) = self.in_time(next).and_then(|next| self.gate(next)) else { continue };
            if let Arrival::Ready(more) = self.log.offer_one(next) {
                ready.extend(more);
            }
        }
    }

    /// Deltas that are in the log now and go into the base.
    pub(super) fn accept(&mut self, deltas: Vec<Delta>) {
        for delta in &deltas {
            let (origin, seq) = (delta.origin(), delta.seq());
            self.members.spoke(origin.peer, self.now);
            if !self.hears_the_past() {
                self.members.trained(origin, delta.header().samples, self.now);
            }
            self.guard.note_accepted(delta);
            self.rounds.note(origin.peer, delta.header().round);
            self.event(Event::DeltaHeard { origin, seq });
            self.offers.fresh.entry(origin).and_modify(|range| range.1 = seq).or_insert((seq, seq));
        }
        self.apply(deltas);
        if !self.offers.timer_set {
            self.offers.timer_set = true;
            self.set_timer(self.now + OFFER_DELAY, Timer::Offers);
        }
    }

    fn note_known(&mut self, from: PeerId, origin: Origin, seq: u64) {
        if let Some(neighbour) = self.members.neighbour_mut(from) {
            neighbour.known.raise(origin, seq);
        }
    }

    fn refuse(&mut self, from: PeerId, origin: Origin, seq: u64, reason: Refused) {
        self.counters.deltas_refused += 1;
        self.audit_refusal(origin, seq, &reason);
        // Everybody checks that before passing a delta on, and comes to the same answer.
        if matches!(reason, Refused::Invalid(_)) {
            self.event(Event::Offence { peer: from, what: "it passed on a delta that is none" });
        }
        self.event(Event::DeltaRefused { from, origin, seq, reason });
    }

    /// Offers what is fresh to every neighbour that may lack it.
    pub(crate) fn send_offers(&mut self) {
        self.offers.timer_set = false;
        let fresh = std::mem::take(&mut self.offers.fresh);
        let mut offers: Vec<(PeerId, Vec<Range>)> = Vec::new();
        for (peer, neighbour) in self.members.neighbours() {
            let lacks = fresh.iter().filter_map(|(&origin, &(first, last))| {
                let hears_itself = origin.peer == peer || neighbour.is_neighbour_of(origin.peer);
                let first = first.max(neighbour.known.get(&origin) + 1);
                (!hears_itself && first <= last).then_some(Range { origin, first, last })
            });
            let ranges: Vec<_> = lacks.take(RANGES_MAX).collect();
            if !ranges.is_empty() {
                offers.push((peer, ranges));
            }
        }
        for (peer, ranges) in offers {
            self.send(peer, Message::Offer(ranges));
        }
    }

    pub(crate) fn hear_offer(&mut self, from: PeerId, ranges: &[Range]) {
        let mut wants = Vec::new();
        for range in ranges.iter().take(RANGES_MAX).filter(|range| range.first <= range.last) {
            self.note_known(from, range.origin, range.last);
            let first = self.log.heard().get(&range.origin) + 1;
            if range.last >= first && range.origin != self.origin {
                self.guard.ledger.note_ahead(self.now, range.origin, first - 1, range.last);
                wants.push(Range { first, ..*range });
            }
        }
        self.want(from, wants);
    }

    /// Asks `from` for what was not asked for a moment ago. A newcomer does not ask: its empty digest has told the others
    /// that it lacks everything, and they decide between log and snapshot. While a snapshot is on its way what is beyond it is asked
    /// for, and waits.
    fn want(&mut self, from: PeerId, ranges: Vec<Range>) {
        let coming = self.snapshots.coming();
        if self.log.heard().is_empty() && coming.is_none() {
            return;
        }
        let coming = coming.unwrap_or_default();
        let now = self.now;
        self.offers.wanted.retain(|_, (_, at)| now - *at < WANT_PATIENCE);
        let mut wants = Vec::new();
        for mut range in ranges {
            range.first = range.first.max(coming.get(&range.origin) + 1);
            if let Some(&(asked, _)) = self.offers.wanted.get(&range.origin) {
                range.first = range.first.max(asked + 1);
            }
            if range.first <= range.last && self.offers.wanted.len() < ORIGINS_MAX {
                self.offers.wanted.insert(range.origin, (range.last, now));
                wants.push(range);
            }
        }
        if !wants.is_empty() {
            self.send(from, Message::Want(wants));
        }
    }

    pub(crate) fn hear_want(&mut self, from: PeerId, ranges: &[Range]) {
        let mut gone = false;
        let mut reply = Vec::new();
        let mut room = REPLY_BYTES_MAX;
        for range in ranges.iter().take(RANGES_MAX).filter(|range| range.first <= range.last) {
            gone |= range.first < self.log.first_retained(range.origin)
                && range.first <= self.log.heard().get(&range.origin);
            if room == 0 {
                break; // Nor is anything more looked at.
            }
            let range = self.up_to_a_signed_one(*range);
            for delta in self.at_hand(range) {
                if room < delta.bytes() && !reply.is_empty() {
                    break;
                }
                room = room.saturating_sub(delta.bytes());
                reply.push(delta.clone());
            }
        }
        self.send_deltas(from, &reply);
        if gone {
            self.offer_snapshot(from);
        }
    }

    /// The range, prolonged to the next delta that may end a message.
    fn up_to_a_signed_one(&self, range: Range) -> Range {
        let mut beyond = self.at_hand(Range { first: range.last, last: u64::MAX, ..range }).take(DELTAS_MAX);
        let signed = beyond.find(|delta| delta.is_signed(&self.context));
        Range { last: signed.map_or(range.last, Delta::seq), ..range }
    }

    /// Those that are in the log, and those that were taken back a moment ago.
    fn at_hand(&self, range: Range) -> impl Iterator<Item = &Delta> + '_ {
        self.log.range(range).chain(self.taken_back.range(range))
    }

    /// That delta, and those behind it up to one that is signed itself.
    pub(super) fn said_with(&self, delta: &Delta) -> Vec<Arc<SignedDelta>> {
        let mut said = vec![delta.signed().clone()];
        if !delta.is_signed(&self.context) {
            let behind = Range { origin: delta.origin(), first: delta.seq() + 1, last: u64::MAX };
            for next in self.at_hand(behind).take(DELTAS_MAX - 1) {
                said.push(next.signed().clone());
                if next.is_signed(&self.context) {
                    break;
                }
            }
        }
        said
    }

    pub(super) fn send_deltas(&mut self, to: PeerId, deltas: &[Delta]) {
        let now = self.now;
        for piece in pieces(&self.context, deltas) {
            if let Some(account) = self.guard.account(to) {
                account.bytes_taken += piece.iter().map(|delta| delta.payload().len() as u64).sum::<u64>();
            }
            if let (Some(neighbour), [first, ..]) = (self.members.neighbour_mut(to), piece.as_slice()) {
                let last = first.seq() + piece.len() as u64 - 1;
                neighbour.note_sent(first.origin(), (first.seq(), last), now);
            }
            let mut signed: Vec<_> = piece.iter().map(|delta| delta.signed().clone()).collect();
            let alone = if signed.len() == 1 { signed.pop() } else { None };
            self.send(to, alone.map_or_else(|| Message::Deltas(signed), Message::Delta));
        }
    }
}
