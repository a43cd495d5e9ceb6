//! Whether a snapshot is believed: what other peers say of its base, and what is done when they say nothing.
//!
//! They are asked as soon as the head is here, as many at once as still have to say yes, so most of the time the answers come before
//! the last part. A base is that of the swarm
//! when more than a third of those who could know, the giver among them, say so, and more say yes than no: of up to five one beside
//! the giver, of eight two. Fewer than that may be in league. Only who is a neighbour when it is counted has a voice, for only those are
//! counted who could know: else one that says yes and hangs up again and again, each time by another name, would be many.
//!
//! Nobody can say of a base in which something is that nobody else has heard, and a member that makes one up has it in its hands that
//! nobody has. An honest one is known to others a moment later. So they are asked again for [`PATIENCE`], for longer while they say yes and
//! nobody says no, and as long as parts come. Then
//! 1. whoever has nothing of its own yet takes the snapshot of somebody else, where there is anybody, and only else this one;
//! 2. whoever has a model keeps it if anybody else has heard what it has: two know of that one, and one speaks for the other;
//! 3. and takes the snapshot if not: of two peers neither can know.
//!
//! When most peers of a swarm come back from checkpoints together, and few trained on beyond their logs, there are too few who could say
//! yes, for ever. So whoever has come back lately ([`BACK`]) counts, after [`PATIENCE_BACK`] in which nobody says no, only those who went on meanwhile:
//! that have deltas beyond those with which it came back, of origins that it knew then or of peers that it did not know. One beside the giver is needed in any case. Of a peer that
//! comes back alone all the others went on, so they count as ever, after it has caught up, too. Two members in league could have this much where all others
//! were stopped at once. Not to count, for everybody, whoever lacks what the snapshot has would be no rule: of what is made up all are behind.

use rand_chacha::rand_core::Rng as _;
use std::collections::BTreeMap;

use super::{Back, Stage, Taking, check_of};
use crate::event::Event;
use crate::id::{Hash, Origin, PeerId};
use crate::log::{VersionVector, heard_of};
use crate::membership::Neighbour;
use crate::peer::Peer;
use crate::time::{Span, Time};

/// A snapshot is believed when links that are being made are there, or after so long. guess: a handshake over some thousand kilometres.
const LINKS_MAX: Span = Span::from_millis(300);
/// After so long without an answer another one is asked, too.
pub(super) const WITNESS_MAX: Span = Span::from_secs(1);
/// Whoever could not say is left alone for so long.
const UNSURE_PAUSE: Span = Span::from_secs(1);
/// A question that is not answered for so long was dropped by a full queue, and is said again; it may be a large base instead.
const REPEAT: Span = Span::from_secs(5);
/// For so long after it came an honest head may be known to nobody else. guess: deltas take less than a second to all, and a busy
/// machine some seconds.
const PATIENCE: Span = Span::from_secs(5);
/// While those who spoke say yes, the answers of others are waited for for so long. guess: several copies of a base of 1 GiB, hashed on a busy
/// machine.
const ANSWER_MAX: Span = Span::from_secs(30);
/// A giver of whose base nobody could say that it is right is not asked again for so long.
pub(super) const DOUBT_PAUSE: Span = Span::from_secs(20);
/// After it was started from a checkpoint, or stood still, a peer counts as one that has come back for so long. guess: a room full of machines is
/// switched on within this.
const BACK: Span = Span::from_secs(600);
/// See the module. guess: three times [`PATIENCE`], in which whoever else went on is linked and says so.
const PATIENCE_BACK: Span = Span::from_secs(15);
/// So often in a row nobody could say that a base is right before people are told that this peer may never catch up, and again after twice as
/// often.
const UNCONFIRMED_TOLD: u32 = 3;
/// Failures that lie further apart are not in a row.
const UNCONFIRMED_WINDOW: Span = Span::from_secs(600);

/// A question to one peer.
#[derive(Debug)]
struct Question {
    /// When it was asked first.
    since: Time,
    /// And when last.
    last: Time,
    /// When it answered that it cannot say.
    unsure: Option<Time>,
}

impl Question {
    fn is_open(&self) -> bool {
        self.unsure.is_none()
    }

    fn may_be_asked(&self, now: Time) -> bool {
        match self.unsure {
            Some(at) => now - at >= UNSURE_PAUSE,
            None => now - self.last >= REPEAT,
        }
    }
}

/// Who was asked, and what was said.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Neighbours that have not said yes or no: an answer may be late, since a witness has a base to copy and to hash.
    asked: BTreeMap<PeerId, Question>,
    /// Who has the same base.
    same: Vec<PeerId>,
    /// Who has another one for the same deltas.
    another: Vec<PeerId>,
    /// When somebody said last that it has the same.
    confirmed_at: Option<Time>,
    /// Who was asked to give the rest since the giver went.
    tried: Vec<PeerId>,
    /// The last of them, and when, until it answers.
    holder: Option<(PeerId, Time)>,
}

impl Checks {
    fn has_spoken(&self, peer: &PeerId) -> bool {
        self.same.contains(peer) || self.another.contains(peer)
    }

    pub(super) fn has_the_same(&self, peer: &PeerId) -> bool {
        self.same.contains(peer)
    }

    /// Whether it is to be asked, by what it has said so far.
    fn may_be_asked(&self, peer: &PeerId, now: Time) -> bool {
        !self.has_spoken(peer) && self.asked.get(peer).is_none_or(|question| question.may_be_asked(now))
    }

    fn ask(&mut self, peer: PeerId, now: Time) {
        let question = self.asked.entry(peer).or_insert(Question { since: now, last: now, unsure: None });
        if question.unsure.take().is_some() {
            question.since = now;
        }
        question.last = now;
    }

    /// Questions whose answer is to be expected any moment.
    fn expected(&self, now: Time) -> usize {
        self.asked.values().filter(|question| question.is_open() && now - question.last < WITNESS_MAX).count()
    }

    /// Whether more may say yes yet: somebody has a moment ago, or is at it.
    fn may_grow(&self, now: Time) -> bool {
        let at_it = |question: &Question| question.is_open() && now - question.since < ANSWER_MAX;
        self.confirmed_at.is_some_and(|at| now - at < PATIENCE) || self.asked.values().any(at_it)
    }

    /// Whether it was asked to give the rest, and has not answered in time.
    pub(super) fn waits_for_holder(&self, now: Time) -> bool {
        self.holder.is_some_and(|(_, at)| now - at < WITNESS_MAX)
    }

    pub(super) fn was_tried(&self, peer: &PeerId) -> bool {
        self.tried.contains(peer)
    }

    pub(super) fn ask_to_hold(&mut self, peer: PeerId, now: Time) {
        self.ask(peer, now);
        self.tried.push(peer);
        self.holder = Some((peer, now));
    }

    /// The giver went: what was said stands, and everybody may be asked to give the rest.
    pub(super) fn look_for_a_holder(&mut self) {
        self.tried.clear();
        self.holder = None;
    }

    /// Its link is down: it has no voice any more, and when it is back it is asked anew.
    pub(super) fn gone(&mut self, peer: PeerId) {
        self.asked.remove(&peer);
        self.holder.take_if(|(holder, _)| *holder == peer);
        for peers in [&mut self.same, &mut self.another, &mut self.tried] {
            peers.retain(|other| *other != peer);
        }
    }

    /// Notes an answer. Returns whether it was waited for, to go on with it: that of the last one that was asked to give the rest.
    fn answered(&mut self, peer: PeerId, same: Option<bool>, now: Time) -> bool {
        let is_holder = self.holder.take_if(|(holder, _)| *holder == peer).is_some();
        if !self.has_spoken(&peer)
            && let Some(question) = self.asked.get_mut(&peer)
        {
            match same {
                Some(true) => {
                    self.same.push(peer);
                    self.confirmed_at = Some(now);
                }
                Some(false) => self.another.push(peer),
                None => question.unsure = Some(now),
            }
            if same.is_some() {
                self.asked.remove(&peer);
            }
        }
        is_holder
    }
}

/// What those say who have a voice.
struct Voices {
    same: Vec<PeerId>,
    another: usize,
    /// Whether nobody is left who could say anything.
    are_all: bool,
}

impl Voices {
    /// What they say by now; `all`: nobody else is left who could say anything, or has the time to. `needed` must say yes. `may_grow`: whoever
    /// has not spoken may say yes yet.
    fn verdict(&self, all: bool, needed: usize, may_grow: bool) -> Verdict {
        let (same, another) = (self.same.len(), self.another);
        match self.same.first() {
            Some(&first) if same >= needed && (same > another || (all && same == another)) => Verdict::Same(first),
            _ if another > same && (all || another > same + 1) => Verdict::Another,
            Some(_) if !all || (another == 0 && may_grow) => Verdict::Open,
            None if !all && another > 0 => Verdict::Open,
            _ => Verdict::Silence,
        }
    }
}

/// How many beside the giver must have its base, when so many others could know: with it more than a third of all of them.
fn quorum(others: usize) -> usize {
    ((others + 1) / 3).max(1)
}

enum Verdict {
    Same(PeerId),
    Another,
    /// They differ, or are too few.
    Open,
    /// Nobody can say, so far, or too few after all.
    Silence,
}

impl Peer {
    /// Who could have heard of the set: whoever is not the giver, and has anything by its own words, or has said none yet.
    fn possible_witnesses(&self, giver: PeerId) -> impl Iterator<Item = (PeerId, &Neighbour)> {
        let others = self.members.neighbours().filter(move |(peer, _)| *peer != giver);
        others.filter(|(_, neighbour)| neighbour.confirmed.as_ref().is_none_or(|heard| !heard.is_empty()))
    }

    /// How many of them must have the same base. Whoever has not said yet what it has may know, for a second: else two that are in
    /// league would only have to be quicker than the others.
    fn witnesses_needed(&self, giver: PeerId, age: Span) -> usize {
        let counts = |neighbour: &Neighbour| neighbour.confirmed.is_some() || age < WITNESS_MAX;
        quorum(self.possible_witnesses(giver).filter(|(_, neighbour)| counts(neighbour)).count())
    }

    /// What they have said: those who could know and are there now, and not whoever gives it.
    fn voices(&self, taking: &Taking) -> Voices {
        let (checks, mut voices) = (&taking.checks, Voices { same: Vec::new(), another: 0, are_all: true });
        for (peer, _) in self.possible_witnesses(taking.from) {
            if checks.same.contains(&peer) {
                voices.same.push(peer);
            } else if checks.another.contains(&peer) {
                voices.another += 1;
            } else {
                voices.are_all = false;
            }
        }
        voices
    }

    /// Asks as many who may have the same base as must still say yes, but for those whose answers are on their way.
    pub(super) fn ask_witnesses(&mut self) {
        let (now, pairs) = (self.now, self.in_pairs());
        let Some(taking) = &self.snapshots.taking else { return };
        let Some(head) = taking.head().filter(|_| !pairs && taking.cut.is_none()) else { return };
        let (checks, voices) = (&taking.checks, self.voices(taking));
        let needed = self.witnesses_needed(taking.from, now - taking.since).max(voices.another + 1);
        let wanted = needed.saturating_sub(voices.same.len() + checks.expected(now));
        if wanted == 0 {
            return;
        }
        let (set, check) = (heard_of(&head.heads), check_of(head));
        let others = self.possible_witnesses(taking.from).filter(|(peer, _)| checks.may_be_asked(peer, now));
        let (mut good, mut rest) = (Vec::new(), Vec::new());
        others
            .for_each(|(peer, neighbour)| if neighbour.known.covers(&set) { &mut good } else { &mut rest }.push(peer));
        // Those first that have heard enough, by all we know; drawn, so that nobody knows who is asked.
        let mut witnesses = Vec::new();
        while witnesses.len() < wanted && !(good.is_empty() && rest.is_empty()) {
            let among = if good.is_empty() { &mut rest } else { &mut good };
            let draw = (self.rng.next_u64() % among.len() as u64) as usize;
            witnesses.push(among.swap_remove(draw));
        }
        for witness in witnesses {
            if let Some(taking) = &mut self.snapshots.taking {
                taking.checks.ask(witness, now);
            }
            self.send(witness, check.clone());
        }
    }

    pub(crate) fn hear_snapshot_checked(&mut self, from: PeerId, base_hash: Hash, same: Option<bool>) {
        let now = self.now;
        let Some(taking) = &mut self.snapshots.taking else { return };
        let Some(head) = taking.head().filter(|head| head.base_hash == base_hash) else { return };
        let set = heard_of(&head.heads);
        let is_holder = taking.checks.answered(from, same, now);
        if taking.cut.is_some() {
            return if is_holder && same == Some(true) { self.go_on_with(from) } else { self.ask_holder() };
        }
        let lacks = |neighbour: &Neighbour| neighbour.confirmed.as_ref().is_none_or(|heard| !heard.covers(&set));
        if same.is_none() && self.members.neighbour(from).is_some_and(lacks) {
            // Its own word for what it has, and what it lacks comes to it.
            self.send_digest(from, true);
        }
        self.judge_snapshot();
        self.ask_witnesses();
    }

    /// Believes the snapshot, or gives it up, as soon as either is right.
    pub(super) fn judge_snapshot(&mut self) {
        let now = self.now;
        let Some(taking) = self.snapshots.taking.as_ref().filter(|_| !self.in_pairs()) else { return };
        let (giver, checks, age) = (taking.from, &taking.checks, now - taking.since);
        let Some(head) = taking.head() else { return };
        let possible = self.possible_witnesses(giver).count();
        let (voices, needed) = (self.voices(taking), self.witnesses_needed(giver, age));
        let may_grow = age < ANSWER_MAX && checks.may_grow(now);
        match voices.verdict(voices.are_all || age >= PATIENCE, needed, may_grow) {
            // And they would have to be there before the others.
            Verdict::Same(_) if age < LINKS_MAX && self.members.expects_links(self.config.gossip.neighbours_target) => {
            }
            Verdict::Same(witness) => self.believe_snapshot(Some(witness)),
            Verdict::Another => {
                self.give_up("another peer has another base for the same deltas", DOUBT_PAUSE);
            }
            Verdict::Open => self.believe_those_who_went_on(&voices, age),
            Verdict::Silence if possible == 0 => {
                // A newcomer has its first neighbour before the others: they may be here in a moment.
                let us = self.origin.peer;
                let third = head.heads.iter().any(|tip| tip.origin.peer != us && tip.origin.peer != giver);
                if !third || age >= WITNESS_MAX {
                    self.believe_snapshot(None);
                }
            }
            Verdict::Silence if age < PATIENCE => {}
            Verdict::Silence => self.break_silence(&voices, age),
        }
    }

    /// Nobody can say, or too few.
    fn break_silence(&mut self, voices: &Voices, age: Span) {
        let Some(taking) = &self.snapshots.taking else { return };
        let one_word = self.takes_one_word(taking);
        // What comes well is not asked for again elsewhere, to meet the same there: whoever holds us up pays for it with the parts of a base.
        let is_backed = !voices.same.is_empty() && voices.another == 0;
        let comes_well = is_backed || age < ANSWER_MAX || !taking.is_slow();
        if matches!(taking.stage, Stage::Parts { .. }) && (one_word || comes_well) {
            return;
        }
        if one_word {
            return self.believe_snapshot(None);
        }
        // A base that took long to come is not thrown away the moment that it is there: who was asked just now may still answer.
        if matches!(taking.stage, Stage::Checking { .. }) && age.0 < taking.fetched_in.0.saturating_add(PATIENCE.0) {
            return;
        }
        self.believe_those_who_went_on(voices, age);
        let Some(taking) = &self.snapshots.taking else { return };
        // Its voices may be enough of those who went on.
        let waits = self.back_lately().is_some() && is_backed && age < PATIENCE_BACK;
        if taking.head().is_some() && !waits {
            self.note_unconfirmed();
            self.give_up("nobody else can say that its base is the right one", DOUBT_PAUSE);
        }
    }

    /// Whoever has come back counts those who went on meanwhile; see the module.
    fn believe_those_who_went_on(&mut self, voices: &Voices, age: Span) {
        let (Some(taking), Some(back)) = (&self.snapshots.taking, self.back_lately()) else { return };
        if age < PATIENCE_BACK || voices.another > 0 {
            return;
        }
        // New lives of those who came back with us tell nothing.
        let beyond = |(origin, seq): (Origin, u64)| match back.with.get(&origin) {
            0 => origin.peer != self.origin.peer && back.with.of_peer(origin.peer) == 0,
            had => seq > had,
        };
        let went_on =
            |neighbour: &Neighbour| neighbour.confirmed.as_ref().is_some_and(|heard| heard.iter().any(beyond));
        let could_know = self.possible_witnesses(taking.from).filter(|(_, neighbour)| went_on(neighbour)).count();
        if let Some(&witness) = voices.same.first()
            && voices.same.len() >= quorum(could_know)
        {
            self.believe_snapshot(Some(witness));
        }
    }

    /// It was started from a checkpoint, or stood still.
    pub(crate) fn came_back(&mut self) {
        self.snapshots.back = Some(Back { at: self.now, with: self.log.heard().clone() });
    }

    fn back_lately(&self) -> Option<&Back> {
        self.snapshots.back.as_ref().filter(|back| self.now - back.at < BACK && !back.with.is_empty())
    }

    /// Once more nobody could say that a base is right: people are told when it becomes a habit.
    fn note_unconfirmed(&mut self) {
        let Some(from) = self.snapshots.taking.as_ref().map(|taking| taking.from) else { return };
        let (before, at) = self.snapshots.unconfirmed;
        let failures = if self.now - at < UNCONFIRMED_WINDOW { before + 1 } else { 1 };
        self.snapshots.unconfirmed = (failures, self.now);
        if failures.is_multiple_of(UNCONFIRMED_TOLD) && (failures / UNCONFIRMED_TOLD).is_power_of_two() {
            self.event(Event::Unconfirmed { from, failures });
        }
    }

    /// Whether a base may replace ours of which nobody but its giver can say anything; see the module.
    fn takes_one_word(&self, taking: &Taking) -> bool {
        if self.has_nothing_of_its_own() {
            return self.next_giver(taking.from, &taking.lacks).is_none();
        }
        !self.is_backed(&taking.ours, taking.from)
    }

    /// Whether there is no model that another base could spoil: no work of ours, and none that we took.
    pub(crate) fn has_nothing_of_its_own(&self) -> bool {
        self.session.is_joining() && !self.snapshots.has_taken && self.log.heard().of_peer(self.origin.peer) == 0
    }

    /// Whether a neighbour other than that one has all of it, but for what it leaves out.
    fn is_backed(&self, ours: &VersionVector, except: PeerId) -> bool {
        let has = |neighbour: &Neighbour| {
            ours.iter()
                .all(|(origin, seq)| neighbour.known.get(&origin) >= seq.min(neighbour.excluded.last_allowed(origin)))
        };
        !ours.is_empty() && self.members.neighbours().any(|(peer, neighbour)| peer != except && has(neighbour))
    }

    fn believe_snapshot(&mut self, witness: Option<PeerId>) {
        let Some(Taking { stage, .. }) = &mut self.snapshots.taking else {
            return;
        };
        *stage = match std::mem::replace(stage, Stage::Asked) {
            Stage::Checking { head, base } => Stage::Whole { head, base, witness },
            other => other,
        };
    }
}
