//! Judging: from suspicion to hold, vote, exclusion and retraction, or release (see [`crate::trust`]).
//!
//! ```text
//! next delta of X ---- strikes enough? --no--> log, base
//!                          | yes
//!                        hold: X's deltas wait, our version of X stops; Vote to all, again every two seconds
//!                          |-- more than half of the electorate agree on a number s:  Exclusion(X, s) to all
//!                          |      log forgets X from s on, learner retracts, X is no neighbour any more
//!                          '-- not within hold_max: release, what waited goes in
//! two deltas of X that contradict each other ------> Exclusion at once, with the proof
//! ```
//!
//! Who may vote: living peers of which at least one delta is in our base (and as many as probation asks for), not excluded,
//! on the allow list if there is one. A record heard from others is measured against our own electorate, its voters need
//! not live any more. Records that we do not carry (yet) come again with anti-entropy.
//!
//! What a log no longer holds it cannot take back: such a record is kept as pending, see `judge/pending.rs`. What others lack to take it back they are
//! given: `judge/gathering.rs`.

mod gathering;
mod pending;

pub(crate) use gathering::TakenBack;

use std::sync::Arc;

use super::Digest;
use crate::event::{Event, Output, Refused};
use crate::id::{Origin, PeerId};
use crate::log::{Delta, SignedDelta, VersionVector};
use crate::membership::Neighbour;
use crate::peer::Peer;
use crate::time::Span;
use crate::trust::audit::{Act, Entry};
use crate::trust::suspicion::{Evidence, Judged};
use crate::trust::{Equivocation, Exclusion, RECORDS_MAX, Reason, Taken, TrustView, Vote};
use crate::wire::Message;

/// While a hold lasts its vote is said again this often, with what was seen since.
const VOTE_AGAIN: Span = Span::from_secs(2);

// Holding.
impl Peer {
    /// Lets a delta pass that is to go into the log; `None`: it waits. `self.scratch` holds it decoded.
    pub(super) fn gate(&mut self, delta: Delta) -> Option<Delta> {
        if !self.config.trust.enabled {
            return Some(delta);
        }
        let (origin, seq) = (delta.origin(), delta.seq());
        if !self.guard.holds.contains_key(&origin) {
            let next = seq == self.log.heard().get(&origin) + 1 && !self.log.excluded().covers(origin, seq);
            if !next {
                return Some(delta);
            }
            if self.is_pending(origin, seq) {
                // Where there is no hold left it is let fall, and comes again.
                self.hold_pending(origin, seq);
            } else {
                if self.guard.is_turned_away(origin, seq) {
                    return None;
                }
                if !self.is_suspect(&delta) {
                    return Some(delta);
                }
                if !self.guard.holds.contains_key(&origin) {
                    self.guard.turn_away(origin, seq);
                    return None;
                }
            }
        }
        let rival = match self.guard.wait(origin, delta.clone()) {
            Taken::Contradicts(rival) => rival,
            Taken::Waits | Taken::Dropped => return None,
        };
        self.accuse(&rival, std::slice::from_ref(delta.signed()));
        None
    }

    /// Whether that delta waits already.
    pub(super) fn is_waiting(&self, signed: &SignedDelta) -> bool {
        self.guard.holds.get(&signed.header.origin).is_some_and(|hold| hold.has(signed))
    }

    /// Puts the origin on hold when its strikes are enough.
    fn is_suspect(&mut self, delta: &Delta) -> bool {
        let (now, header, origin) = (self.now, delta.header(), delta.origin());
        self.guard.ledger.set_live(self.members.live_peers(now));
        let config = &self.config.trust;
        let guard = &self.guard;
        let immune: Vec<Reason> = [Reason::Norm, Reason::Rate, Reason::Direction, Reason::Stale]
            .into_iter()
            .filter(|&reason| guard.is_immune(origin, reason, now))
            .collect();
        let past = self.hears_the_past();
        let excused = |reason| past || immune.contains(&reason);
        let judged = self.guard.ledger.judge(now, header, &self.scratch, config, excused);
        let Some(Judged { strikes, reason, first, evidence }) = judged else {
            return false;
        };
        // Others' votes make us look closer, and no more than that.
        let needed = config.strikes - u32::from(self.guard.votes_about(origin).next().is_some() && config.strikes > 1);
        if strikes < needed {
            return false;
        }
        if !self.guard.has_room_for_a_hold() {
            return true;
        }
        let from_seq = self.first_lie(origin, first);
        self.guard.hold(origin, reason, from_seq, now, now + self.config.trust.hold_max);
        self.event(Event::Held { origin, from_seq, reason });
        let Evidence { norm_ratio, weighted_ratio, .. } = evidence;
        let looks =
            format!("{reason:?}: of the usual length {norm_ratio:.1} times, weighted {weighted_ratio:.1} times");
        self.audit(Act::Hold, origin, header.seq, 0, looks);
        true
    }

    /// Where the lies begin, as far as the log shows: deltas that came before anyone could be compared are looked at again.
    fn first_lie(&mut self, origin: Origin, first_strike: u64) -> u64 {
        let first = self.log.first_retained(origin);
        let retained = self.log.range(crate::wire::Range { origin, first, last: first_strike });
        let (ledger, config, now) = (&mut self.guard.ledger, &self.config.trust, self.now);
        let lie = retained.map(Delta::header).find(|header| ledger.is_long(now, header, config)).map(|h| h.seq);
        lie.unwrap_or(first_strike).min(first_strike).max(1)
    }

    fn release(&mut self, origin: Origin) {
        // Of whom a record is pending what waited goes in, and the next one waits again.
        let pending = self.guard.pending.contains_key(&origin.peer);
        let pause = if pending { Span(0) } else { self.config.trust.hold_pause };
        let Some(hold) = self.guard.release(origin, self.now + pause) else {
            return;
        };
        self.event(Event::Released { origin });
        self.audit(Act::Release, origin, hold.from_seq, 0, format!("{:?}", hold.reason));
        self.guard.lets_in = pending.then_some(origin);
        self.take_again(hold.into_waiting().collect());
        self.guard.lets_in = None;
    }

    pub(crate) fn take_again(&mut self, deltas: Vec<Delta>) {
        for delta in deltas {
            let decoded =
                delta.codec().decode(delta.payload(), self.context.parameters, delta.weight(), &mut self.scratch);
            if decoded.is_ok() {
                let (from, said) = (delta.origin().peer, delta.signed().clone());
                self.take(from, delta, &[said]);
            }
        }
    }

    /// Once a heartbeat: rates, votes, the end of holds, the audit log.
    pub(crate) fn judge(&mut self) {
        self.audit_accepted(false);
        if !self.config.trust.enabled {
            return;
        }
        let (now, past) = (self.now, self.hears_the_past());
        self.forget_taken_back();
        self.guard.tick(now, self.electors(), self.config.trust.hold_max);
        let held: Vec<Origin> = self.guard.holds.keys().copied().collect();
        for origin in held {
            let Some(hold) = self.guard.holds.get_mut(&origin) else { continue };
            if hold.until <= now {
                self.release(origin);
            } else if hold.vote_again <= now && !past {
                hold.vote_again = now + VOTE_AGAIN;
                let (window, reason) = ((hold.from_seq, hold.seen), hold.reason);
                self.vote(origin, window, reason);
            }
        }
    }
}

// Voting.
impl Peer {
    fn vote(&mut self, about: Origin, window: (u64, u64), reason: Reason) {
        let at = self.guard.next_vote();
        let vote = Vote::sign(&self.context, &self.identity, about, window, reason, at);
        self.audit(Act::Vote, about, window.0, window.1 - window.0 + 1, format!("{reason:?}"));
        self.guard.take_vote(vote.clone(), self.now);
        self.say_to_all(None, &Message::Vote(vote));
        self.count_votes(about);
    }

    pub(crate) fn hear_vote(&mut self, from: PeerId, vote: Vote) {
        let heard_of = self.log.heard().get(&vote.about) > 0 || self.guard.holds.contains_key(&vote.about);
        let known = heard_of && vote.about.peer != self.origin.peer;
        if !self.config.trust.enabled
            || !known
            || vote.voter == self.origin.peer
            || !self.may_vote(vote.voter)
            || self.log.excluded().covers(vote.about, vote.from_seq)
            || !self.guard.is_news(&vote, self.now)
            || !vote.is_genuine(&self.context)
        {
            return;
        }
        let about = vote.about;
        self.say_to_all(Some(from), &Message::Vote(vote.clone()));
        self.guard.take_vote(vote, self.now);
        self.count_votes(about);
    }

    fn count_votes(&mut self, about: Origin) {
        let electorate = self.electorate();
        let votes: Vec<&Vote> = self.guard.votes_about(about).filter(|vote| self.is_elector(vote.voter)).collect();
        if let Some(record) = Exclusion::of_votes(about, &votes, electorate) {
            self.exclude(None, record);
        }
    }

    /// The number of electors that a majority is measured against.
    fn electorate(&self) -> usize {
        self.guard.electors.electorate(self.electors())
    }

    /// How many there are, this peer among them. A link counts as little as a name: whoever has a hundred that say nothing, or nothing that
    /// counts, does not raise the bar for those who vote.
    fn electors(&self) -> usize {
        let now = self.now;
        let asked_with = (self.members.live_peers(now), self.log.heard().len(), self.log.excluded().len());
        self.guard.electors.counted(now, asked_with, || {
            1 + self.members.living(now).filter(|&peer| peer != self.origin.peer && self.may_vote(peer)).count()
        })
    }

    fn is_elector(&self, peer: PeerId) -> bool {
        self.may_vote(peer) && (peer == self.origin.peer || self.members.lives(peer, self.now))
    }

    /// Whether that peer's signature counts: it has spoken, and is not excluded.
    fn may_vote(&self, peer: PeerId) -> bool {
        self.may_vote_in(self.log.heard(), peer)
    }

    /// The same, where what it has said in that set counts, too.
    fn may_vote_in(&self, set: &VersionVector, peer: PeerId) -> bool {
        let said = self.log.heard().of_peer(peer).max(set.of_peer(peer));
        self.is_allowed(peer)
            && !self.log.excluded().names(peer)
            && !self.guard.pending.contains_key(&peer)
            && said >= self.context.limits.probation.max(1)
    }

    /// Whether the job lets that peer speak.
    pub(super) fn is_allowed(&self, peer: PeerId) -> bool {
        let allow = &self.config.trust.allow;
        allow.is_empty() || allow.contains(&peer)
    }
}

// Excluding.
impl Peer {
    /// A checked delta of ours, and one of the same origin that came with those behind it: when they contradict each other, and it has signed
    /// both or what follows from them, that is proof.
    pub(super) fn accuse(&mut self, ours: &Delta, said: &[Arc<SignedDelta>]) {
        if !self.config.trust.enabled {
            return;
        }
        if let Some(proof) = Equivocation::of(&self.context, &self.said_with(ours), said) {
            self.audit(Act::Equivocation, proof.about(), proof.seq(), 2, "two deltas of one number".into());
            self.exclude(None, Exclusion::of_proof(proof));
        }
    }

    pub(crate) fn hear_exclusion(&mut self, from: PeerId, record: Exclusion) {
        if !self.config.trust.enabled || !self.concerns_us(record.about.peer) || !self.is_of_use(&record) {
            return;
        }
        // Who the voters are costs a look at each; their signatures come last.
        if self.is_carried(&record) && record.is_genuine(&self.context) {
            self.exclude(Some(from), record);
        }
    }

    /// Whether we have anything of that peer. Of others anybody could make as many records as it likes, by keys that it has just made; should
    /// we hear of it, our digest shows that, and whoever has the record tells us.
    fn concerns_us(&self, peer: PeerId) -> bool {
        peer == self.origin.peer
            || self.log.heard().names(peer)
            || self.guard.holds.keys().any(|origin| origin.peer == peer)
    }

    fn is_carried(&self, record: &Exclusion) -> bool {
        record.is_carried(self.electorate(), |voter| self.may_vote(voter))
    }

    /// Whether it says more than what is left out, and we can carry it out, or it is easier to carry out than the one that is pending. A
    /// pending one may be so for ever: it must not stand before another that leaves out less and can be carried out.
    fn is_of_use(&self, record: &Exclusion) -> bool {
        let (about, from_seq) = (record.about, record.from_seq);
        let pending = self.guard.pending.get(&about.peer);
        !self.log.excluded().covers(about, from_seq)
            && (self.log.can_exclude(about, from_seq) || pending.is_none_or(|pending| pending.is_wider_than(record)))
    }

    /// Carries out a record that we agree with.
    fn exclude(&mut self, from: Option<PeerId>, record: Exclusion) {
        if !self.is_of_use(&record) {
            return;
        }
        let (about, from_seq) = (record.about, record.from_seq);
        if self.guard.may_relay(self.now) {
            self.say_to_all(from, &Message::Exclusion(record.clone()));
        }
        self.audit(Act::Exclude, about, from_seq, 0, record.why().into());
        if about.peer == self.origin.peer {
            self.event(Event::Excluded { origin: about, from_seq, why: record.why(), retracted: 0 });
            self.leave();
            return;
        }
        match self.log.exclude(about, from_seq) {
            Some(deltas) => self.carry_out(record, deltas),
            None => self.suspend(record),
        }
    }

    /// The log has forgotten what the record leaves out.
    fn carry_out(&mut self, record: Exclusion, deltas: Vec<Delta>) {
        let (about, from_seq) = (record.about, record.from_seq);
        let retracted = deltas.len();
        if let Some(first) = deltas.first() {
            self.audit(Act::Retract, about, first.seq(), retracted as u64, String::new());
            self.keep_taken_back(&deltas);
            self.retract(deltas);
        }
        self.event(Event::Excluded { origin: about, from_seq, why: record.why(), retracted });
        self.keep_record(record);
        self.after_exclusion(&[about.peer]);
    }

    /// Keeps why a peer is left out: for as long as anything of it is in the set, of others the latest.
    fn keep_record(&mut self, record: Exclusion) {
        let heard = self.log.heard();
        let forgotten = self.guard.keep(record, |peer| heard.names(peer));
        self.forget_records(&forgotten);
    }

    fn forget_records(&mut self, about: &[PeerId]) {
        for &peer in about {
            self.log.forget_exclusion(peer);
            if !self.guard.pending.contains_key(&peer) {
                self.members.unban(peer);
            }
        }
    }

    /// What follows from that these are left out now.
    fn after_exclusion(&mut self, peers: &[PeerId]) {
        self.forget_served_of(peers);
        let excluded = self.log.excluded();
        self.guard.pending.retain(|_, record| !excluded.covers(record.about, record.from_seq));
        for &peer in peers {
            self.guard.drop_votes(peer);
            let lives: Vec<Origin> = self.guard.holds.keys().copied().filter(|origin| origin.peer == peer).collect();
            for origin in lives {
                self.guard.ledger.forget(origin);
                if let Some(hold) = self.guard.holds.remove(&origin) {
                    // What comes before the exclusion belongs to the set.
                    let allowed = self.log.excluded().last_allowed(origin);
                    self.take_again(hold.into_waiting().filter(|delta| delta.seq() <= allowed).collect());
                }
            }
            self.part_from(peer, "the swarm has excluded it");
        }
        self.forget_join_targets();
        self.try_begin();
        self.settle(false);
    }

    /// It is no neighbour any more, and becomes none.
    fn part_from(&mut self, peer: PeerId, reason: &'static str) {
        if self.members.ban(peer) {
            self.output(Output::Disconnect { peer });
            self.disconnected(peer, reason);
        }
    }

    /// Tells a neighbour what it does not leave out yet of what it has heard, and looks whether it could help us with what we cannot
    /// take back ourselves.
    pub(super) fn compare_exclusions(&mut self, from: PeerId, theirs: &Digest) {
        if !self.config.trust.enabled {
            return;
        }
        let news = self.guard.records().chain(self.guard.pending.values());
        let news: Vec<Exclusion> =
            news.filter(|record| !theirs.is_without(record)).take(RECORDS_MAX).cloned().collect();
        let now = self.now;
        let may = |neighbour: &mut Neighbour| neighbour.may_be_told_exclusions(now);
        let news =
            if news.is_empty() || !self.members.neighbour_mut(from).is_some_and(may) { Vec::new() } else { news };
        for record in news {
            self.send(from, Message::Exclusion(record));
        }
        self.seek_help(from, theirs);
    }

    /// Whether a base of that set that leaves these out may replace ours: a newcomer takes them with the base, on the same trust. Who
    /// voted may have spoken in that set and not in ours: to whoever has heard hardly anything the voters are strangers.
    pub(super) fn takes_exclusions(&self, records: &[Exclusion], set: &VersionVector) -> bool {
        if records.len() > RECORDS_MAX || (!self.config.trust.enabled && !records.is_empty()) {
            return false;
        }
        let newcomer = self.log.heard().is_empty();
        let believed = |record: &Exclusion| {
            self.log.excluded().covers(record.about, record.from_seq)
                || (newcomer || record.is_carried(self.electorate(), |voter| self.may_vote_in(set, voter)))
                    && record.is_genuine(&self.context)
        };
        records.iter().all(|record| record.about.peer != self.origin.peer && believed(record))
    }

    /// The set that was adopted leaves these out.
    pub(super) fn adopt_exclusions(&mut self, records: Vec<Exclusion>) {
        let peers: Vec<PeerId> = records.iter().map(|record| record.about.peer).collect();
        for record in records {
            // Of two the log goes by the wider one, and so do those who are told.
            if self.guard.record_about(record.about.peer).is_none_or(|ours| record.is_wider_than(ours)) {
                self.keep_record(record);
            }
        }
        // A record of ours that the log has narrowed since stays beside its number in the log.
        let excluded = self.log.excluded();
        self.guard.retain_records(|record| excluded.covers(record.about, record.from_seq));
        let heard = self.log.heard();
        let forgotten = self.guard.look_again(|peer| heard.names(peer));
        self.forget_records(&forgotten);
        self.after_exclusion(&peers);
    }
}

// Accounts.
impl Peer {
    /// Whom this peer trusts how far, and who gives what.
    #[must_use]
    pub fn trust_view(&self) -> TrustView {
        self.guard.view()
    }

    pub(super) fn audit(&mut self, what: Act, who: Origin, seq: u64, count: u64, reason: String) {
        let record = self.guard.record(self.now, Entry { what, who, seq, count, reason });
        self.output(Output::Audit(record));
    }

    /// Records what was accepted lately; at the end, `all` that has no record yet.
    pub(super) fn audit_accepted(&mut self, all: bool) {
        for record in self.guard.accepted_records(self.now, all) {
            self.output(Output::Audit(record));
        }
    }

    pub(super) fn audit_refusal(&mut self, origin: Origin, seq: u64, reason: &Refused) {
        self.audit(Act::Reject, origin, seq, 1, reason.to_string());
    }
}

#[cfg(test)]
mod tests;
