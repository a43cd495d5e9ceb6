//! Whether a snapshot is believed: what other peers say of its base, and what is done when they say nothing.
//!
//! They are asked as soon as the head is here, so most of the time the answers come before the last part. A base is that of the swarm
//! when more than a third of those who could know, the giver among them, say so, and more say yes than no: of up to five one beside
//! the giver, of eight two. Fewer than that may be in league.
//!
//! Nobody can say of a base in which something is that nobody else has heard, and a member that makes one up has it in its hands that
//! nobody has. An honest one is known to others a moment later. So they are asked again for [`PATIENCE`], and then
//! 1. whoever has nothing of its own yet takes the snapshot of somebody else, where there is anybody, and only else this one;
//! 2. whoever has a model keeps it if anybody else has heard what it has: two know of that one, and one speaks for the other;
//! 3. and takes the snapshot if not: of two peers neither can know.

use rand_chacha::rand_core::Rng as _;

use super::{Stage, Taking, check_of};
use crate::id::{Hash, PeerId};
use crate::log::{VersionVector, heard_of};
use crate::membership::Neighbour;
use crate::peer::Peer;
use crate::time::{Span, Time};

/// A snapshot is believed when links that are being made are there, or after so long. guess: a handshake over some thousand kilometres.
const LINKS_MAX: Span = Span::from_millis(300);
/// After so long without an answer the next one is asked, too.
pub(super) const WITNESS_MAX: Span = Span::from_secs(1);
/// Peers that are asked one after the other.
const ROUND_MAX: usize = 3;
/// Then they are left alone for so long.
const ROUND_PAUSE: Span = Span::from_secs(1);
/// For so long after it came an honest head may be known to nobody else. guess: deltas take less than a second to all, and a busy
/// machine some seconds.
const PATIENCE: Span = Span::from_secs(5);
/// A giver of whose base nobody could say that it is right is not asked again for so long.
const DOUBT_PAUSE: Span = Span::from_secs(20);

/// Who was asked, and what was said.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// All: an answer may be late, since a witness has a base to copy and to hash.
    asked: Vec<PeerId>,
    /// Those of this round.
    round: Vec<PeerId>,
    /// When the last of them was asked, until it answers.
    waits_since: Option<Time>,
    pause_until: Time,
    /// Who has the same base.
    same: Vec<PeerId>,
    /// Who has another one for the same deltas.
    another: Vec<PeerId>,
}

impl Checks {
    pub(super) fn is_waiting(&self, now: Time) -> bool {
        self.waits_since.is_some_and(|at| now - at < WITNESS_MAX)
    }

    fn has_spoken(&self, peer: &PeerId) -> bool {
        self.same.contains(peer) || self.another.contains(peer)
    }

    pub(super) fn has_the_same(&self, peer: &PeerId) -> bool {
        self.same.contains(peer)
    }

    /// Whether it was asked in this round.
    pub(super) fn was_asked(&self, peer: &PeerId) -> bool {
        self.round.contains(peer)
    }

    pub(super) fn ask(&mut self, peer: PeerId, now: Time) {
        if !self.asked.contains(&peer) {
            self.asked.push(peer);
        }
        self.round.push(peer);
        self.waits_since = Some(now);
    }

    fn end_round(&mut self, now: Time) {
        self.begin_anew();
        self.pause_until = now + ROUND_PAUSE;
    }

    /// What was said stands, and everybody may be asked again.
    pub(super) fn begin_anew(&mut self) {
        self.round.clear();
        self.waits_since = None;
    }

    /// Notes an answer. Returns whether it was asked for.
    fn answered(&mut self, peer: PeerId, same: Option<bool>) -> bool {
        let waited_for = self.waits_since.is_some() && self.round.last() == Some(&peer);
        if waited_for {
            self.waits_since = None;
        }
        if self.asked.contains(&peer) && !self.has_spoken(&peer) {
            match same {
                Some(true) => self.same.push(peer),
                Some(false) => self.another.push(peer),
                None => {}
            }
        }
        waited_for
    }

    /// What they say by now; `all`: nobody else is left who could say anything, or has the time to. `needed` must say yes.
    fn verdict(&self, all: bool, needed: usize) -> Verdict {
        let (same, another) = (self.same.len(), self.another.len());
        match self.same.first() {
            Some(&first) if same >= needed && (same > another || (all && same == another)) => Verdict::Same(first),
            _ if another > same && (all || another > same + 1) => Verdict::Another,
            Some(_) if !all => Verdict::Open,
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

    /// Asks the next one who may have the same base, when it is time to.
    pub(super) fn ask_witness(&mut self) {
        let (now, pairs) = (self.now, self.in_pairs());
        let Some(taking) = &self.snapshots.taking else { return };
        let Some(head) = taking.head().filter(|_| !pairs) else { return };
        let checks = &taking.checks;
        let is_settled =
            matches!(checks.verdict(false, self.witnesses_needed(taking.from, now - taking.since)), Verdict::Same(_));
        if taking.cut.is_some() || is_settled || checks.is_waiting(now) || now < checks.pause_until {
            return;
        }
        let set = heard_of(&head.heads);
        let others = self.possible_witnesses(taking.from);
        let others = others.filter(|(peer, _)| !checks.round.contains(peer) && !checks.has_spoken(peer));
        let mut others: Vec<(bool, PeerId)> =
            others.map(|(peer, neighbour)| (neighbour.known.covers(&set), peer)).collect();
        // Those first that have heard enough, by all we know.
        others.sort_unstable_by_key(|&(covers, peer)| (!covers, peer));
        let good = others.iter().take_while(|(covers, _)| *covers).count();
        let among = if good > 0 { good } else { others.len() };
        let draw = (self.rng.next_u64() % among.max(1) as u64) as usize;
        let next = others.get(draw).filter(|_| checks.round.len() < ROUND_MAX).map(|&(_, peer)| peer);
        let check = check_of(head);
        let Some(taking) = &mut self.snapshots.taking else { return };
        match next {
            Some(witness) => {
                taking.checks.ask(witness, now);
                self.send(witness, check);
            }
            None => taking.checks.end_round(now),
        }
    }

    pub(crate) fn hear_snapshot_checked(&mut self, from: PeerId, base_hash: Hash, same: Option<bool>) {
        let Some(taking) = &mut self.snapshots.taking else { return };
        if taking.head().is_none_or(|head| head.base_hash != base_hash) {
            return;
        }
        let waited_for = taking.checks.answered(from, same);
        if taking.cut.is_some() {
            return if waited_for && same == Some(true) { self.go_on_with(from) } else { self.ask_holder() };
        }
        if waited_for && same.is_none() {
            // Its own word for what it has, and what it lacks comes to it.
            self.send_digest(from, true);
        }
        self.judge_snapshot();
        self.ask_witness();
    }

    /// Believes the snapshot, or gives it up, as soon as either is right.
    pub(super) fn judge_snapshot(&mut self) {
        let now = self.now;
        let Some(taking) = self.snapshots.taking.as_ref().filter(|_| !self.in_pairs()) else { return };
        let (giver, checks, age) = (taking.from, &taking.checks, now - taking.since);
        let Some(head) = taking.head() else { return };
        let possible = self.possible_witnesses(giver).count();
        let all_spoke = self.possible_witnesses(giver).all(|(peer, _)| checks.has_spoken(&peer));
        match checks.verdict(all_spoke || age >= PATIENCE, self.witnesses_needed(giver, age)) {
            // And they would have to be there before the others.
            Verdict::Same(_) if age < LINKS_MAX && self.members.expects_links(self.config.gossip.neighbours_target) => {
            }
            Verdict::Same(witness) => self.believe_snapshot(Some(witness)),
            Verdict::Another => {
                self.give_up("another peer has another base for the same deltas", DOUBT_PAUSE);
            }
            Verdict::Open => {}
            Verdict::Silence if possible == 0 => {
                // A newcomer has its first neighbour before the others: they may be here in a moment.
                let us = self.origin.peer;
                let third = head.heads.iter().any(|tip| tip.origin.peer != us && tip.origin.peer != giver);
                if !third || age >= WITNESS_MAX {
                    self.believe_snapshot(None);
                }
            }
            Verdict::Silence if age < PATIENCE => {}
            Verdict::Silence if self.takes_one_word(taking) => self.believe_snapshot(None),
            Verdict::Silence => self.give_up("nobody else can say that its base is the right one", DOUBT_PAUSE),
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
