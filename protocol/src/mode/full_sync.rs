//! Full-scale synchronization: rounds with a barrier, on the delta log.
//!
//! ```text
//! round r    H steps, then v = theta - b is said with w = gain / members and the number r
//!            wait until the delta of round r of every member is in the log
//!            b += sum_j round(w v_j);  theta likewise;  r += 1
//! ```
//!
//! With H = 1, a dense codec and gain 1 the sum is the mean of the members' steps: data-parallel SGD with the batches of all
//! (each peer's momentum is linear in its own gradients, so the mean of the momenta is the momentum of the mean). That makes
//! this mode the oracle for the others, see `tests/it/oracle.rs`. The bits of `b` do not hang on who was a member where:
//! whatever is in the log goes into the base, as everywhere.
//!
//! Members of a round: neighbours that train (they were there when we began, or have said a round since), and peers beyond
//! them whose deltas come by way of others. Not those that are done, gone, on hold, or evicted: whose delta is missing
//! [`Gossip::round_deadline`](crate::config::Gossip::round_deadline) after ours was said is named and not waited for, until
//! it says a delta of a round that is not older than the last one.
//!
//! A delta that comes before ours of the same round has been said waits ([`Rounds::early`]): applied at once it would change
//! the weights in the middle of our round. It is not in the log meanwhile, so our version vector does not claim it.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Mode;
use crate::event::{Event, Timer};
use crate::id::{Origin, PeerId};
use crate::log::{Delta, SignedDelta, VersionVector};
use crate::peer::Peer;
use crate::time::Time;

/// Deltas of rounds to come that wait here; what is beyond comes again with anti-entropy.
const EARLY_MAX: usize = 4096;
/// Of one origin: an honest one is a round ahead, or we are behind and skip rounds soon.
const EARLY_OF_ONE_MAX: usize = 64;
/// A round beyond this is nobody's: whoever followed a liar there would soon say numbers that end every link.
const ROUND_FOLLOWED_MAX: u64 = 1 << 46;
/// A peer that is evicted again and again is taken back after up to 2 to the power of this many rounds.
const EVICTED_DOUBLINGS_MAX: u32 = 16;
/// And their bytes.
const EARLY_BYTES_MAX: usize = 256 << 20;

/// Where this peer stands in its rounds. Idle in other modes.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// The round whose steps are taken, or whose deltas are awaited; 0 before the first.
    round: u64,
    /// Since when our delta of this round is on its way: until the round closes.
    open_until: Option<Time>,
    /// The round of the newest delta of each peer in our log.
    heard: BTreeMap<PeerId, u64>,
    /// Who was there when we began, and is waited for before it has said anything.
    company: BTreeSet<PeerId>,
    /// Who is not waited for, up to which round at least.
    evicted: BTreeMap<PeerId, u64>,
    /// How often that happened to each.
    evictions: BTreeMap<PeerId, u32>,
    early: BTreeMap<(Origin, u64), Delta>,
    early_bytes: usize,
    /// An epoch ended with this round: the base is looked at when it is whole.
    evaluation_due: bool,
}

impl Rounds {
    /// Whether deltas of others are awaited, and no step is to be taken.
    pub(crate) fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// The last round that we have said a delta of.
    pub(crate) fn said(&self) -> u64 {
        if self.is_open() { self.round } else { self.round.saturating_sub(1) }
    }

    pub(crate) fn evaluation_due(&self) -> bool {
        self.evaluation_due
    }

    /// Has the epoch's evaluation wait for the end of the round.
    pub(crate) fn evaluate_at_close(&mut self) {
        self.evaluation_due = true;
    }

    /// Whether that delta waits already.
    pub(crate) fn holds(&self, signed: &SignedDelta) -> bool {
        let key = (signed.header.origin, signed.header.seq);
        self.early.get(&key).is_some_and(|delta| **delta.signed() == *signed)
    }

    fn hold(&mut self, delta: Delta) {
        let origin = delta.origin();
        let of_one = self.early.range((origin, 0)..=(origin, u64::MAX)).count();
        let room = self.early.len() < EARLY_MAX && of_one < EARLY_OF_ONE_MAX;
        if room && self.early_bytes + delta.bytes() <= EARLY_BYTES_MAX {
            self.early_bytes += delta.bytes();
            if let Some(before) = self.early.insert((delta.origin(), delta.seq()), delta) {
                self.early_bytes -= before.bytes();
            }
        }
    }

    /// What waited and is of a round up to `last`, in chain order.
    fn take_due(&mut self, last: u64) -> Vec<Delta> {
        let is_due = |delta: &&Delta| delta.header().round <= last;
        let due: Vec<Delta> = self.early.values().filter(is_due).cloned().collect();
        self.early.retain(|_, delta| !is_due(&&*delta));
        self.early_bytes -= due.iter().map(Delta::bytes).sum::<usize>();
        due
    }

    /// A delta of that peer is in the log.
    pub(crate) fn note(&mut self, peer: PeerId, round: u64) {
        self.heard.insert(peer, round);
        // A peer that paused is back when it is at most one round late; a slow one never is.
        if round + 1 >= self.round && self.evicted.get(&peer).is_some_and(|&until| self.round >= until) {
            self.evicted.remove(&peer);
        }
    }

    /// The link to that peer closed: it is no member until a delta of it comes by another way.
    pub(crate) fn gone(&mut self, peer: PeerId) {
        self.heard.remove(&peer);
    }

    /// Does not wait for that peer any more: the next round at least, twice as many each time.
    fn evict(&mut self, peer: PeerId) {
        let times = self.evictions.entry(peer).or_insert(0);
        self.evicted.insert(peer, self.round.saturating_add(1 << *times));
        *times = (*times + 1).min(EVICTED_DOUBLINGS_MAX);
    }
}

impl Peer {
    pub(crate) fn in_rounds(&self) -> bool {
        self.config.gossip.mode == Mode::FullSync && self.config.gossip.enabled
    }

    /// Training begins: with the first round, or with the one that the others are in.
    pub(crate) fn begin_rounds(&mut self) {
        if !self.in_rounds() {
            return;
        }
        self.rounds.round = self.their_round().max(1);
        self.rounds.company = self.members.neighbour_ids().into_iter().collect();
    }

    /// Our delta of this round was issued: from now on those of the others are taken. Returns its number.
    pub(crate) fn open_round(&mut self) -> u64 {
        if !self.in_rounds() {
            return 0;
        }
        let until = self.now + self.config.gossip.round_deadline;
        self.rounds.open_until = Some(until);
        self.set_timer(until, Timer::Round);
        self.rounds.round
    }

    /// Lets a delta pass that does not disturb our round; `None`: it waits.
    pub(crate) fn in_time(&mut self, delta: Delta) -> Option<Delta> {
        if self.in_rounds() && delta.header().round > self.last_round_taken() {
            self.rounds.hold(delta);
            return None;
        }
        Some(delta)
    }

    /// The round that the neighbours are in, while we are not in any.
    fn their_round(&self) -> u64 {
        let statuses = self.members.neighbours().filter_map(|(_, neighbour)| neighbour.status.as_ref());
        let begun = statuses.filter(|status| status.round > 0 && !status.finished);
        median(begun.map(|status| status.round).collect())
    }

    /// The newest round whose deltas may go into the base now; any, while no step is disturbed by it.
    fn last_round_taken(&self) -> u64 {
        if self.session.is_joining() {
            // We are about to take part in the newest one, from where the others have begun it.
            self.their_round().saturating_sub(1)
        } else if self.schedule.is_running() || self.rounds.is_open() {
            self.rounds.said()
        } else {
            u64::MAX
        }
    }

    /// Whether that peer has said its delta of this round, or skipped it: the next one in its chain is of a later round.
    fn is_in(&self, peer: &PeerId) -> bool {
        let first = Origin { peer: *peer, incarnation: 0 };
        let waits = self.rounds.early.range((first, 0)..).next();
        let skipped =
            waits.is_some_and(|(&(origin, seq), _)| origin.peer == *peer && seq == self.log.heard().get(&origin) + 1);
        skipped || self.rounds.heard.get(peer).is_some_and(|&round| round >= self.rounds.round)
    }

    /// All that we have, what waits for our own round among it.
    pub(crate) fn heard_and_waiting(&self) -> VersionVector {
        let mut all = self.log.heard().clone();
        for &(origin, seq) in self.rounds.early.keys() {
            if seq == all.get(&origin) + 1 {
                all.raise(origin, seq);
            }
        }
        all
    }

    /// Peers whose deltas make a round whole, we not among them.
    pub(crate) fn round_members(&self) -> Vec<PeerId> {
        let rounds = &self.rounds;
        let held: BTreeSet<PeerId> = self.guard.holds.keys().map(|origin| origin.peer).collect();
        let wanted = |peer: &PeerId| !rounds.evicted.contains_key(peer) && !held.contains(peer);
        let near = self.members.neighbours().filter(|(peer, neighbour)| {
            let status = neighbour.status.as_ref();
            let trains = rounds.company.contains(peer)
                || rounds.heard.contains_key(peer)
                || status.is_some_and(|status| status.round > 0);
            trains && !status.is_some_and(|status| status.finished)
        });
        let far = rounds.heard.keys().filter(|peer| {
            **peer != self.origin.peer
                && self.members.neighbour(**peer).is_none()
                && self.members.lives(**peer, self.now)
        });
        near.map(|(peer, _)| peer).chain(far.copied()).filter(wanted).collect()
    }

    /// Takes what waited for our own delta, and closes the round when every member's is in.
    pub(crate) fn move_rounds(&mut self) {
        if !self.in_rounds() {
            return;
        }
        let due = self.rounds.take_due(self.last_round_taken());
        self.take_again(due);
        if !self.rounds.is_open() || self.schedule.delta_pending() {
            return;
        }
        let members = self.round_members();
        if members.iter().all(|peer| self.is_in(peer)) {
            // Who was away finds the others more than a round on, and goes on with theirs.
            let next = self.rounds.round + 1;
            let theirs = self.usual_round(&members);
            self.close_round(if theirs > next { theirs } else { next });
        }
    }

    fn close_round(&mut self, next: u64) {
        self.rounds.open_until = None;
        self.rounds.round = next;
        self.flush_ready();
        if std::mem::take(&mut self.rounds.evaluation_due) {
            self.issue_evaluation();
        } else if self.schedule.is_running() && self.schedule.look_is_due() {
            // With a short H each stretch of steps opens a round, and this is the only moment at which none is open.
            self.issue_look();
        }
    }

    /// The lower median of the rounds that the members and we have said last: a minority cannot name one that nobody is in.
    fn usual_round(&self, members: &[PeerId]) -> u64 {
        let announced = |peer: &PeerId| {
            let status = self.members.neighbour(*peer).and_then(|neighbour| neighbour.status.as_ref());
            status.map_or(0, |status| status.round).max(self.rounds.heard.get(peer).copied().unwrap_or(0))
        };
        median(members.iter().map(announced).chain([self.rounds.said()]).collect())
    }

    /// The round takes too long.
    pub(crate) fn round_overdue(&mut self) {
        if self.rounds.open_until.is_none_or(|until| self.now < until) {
            return;
        }
        let round = self.rounds.round;
        let members = self.round_members();
        let usual = self.usual_round(&members);
        if usual + 1 < round {
            // We ran ahead alone, cut off from the others: back to where they are.
            self.close_round(usual + 1);
            return;
        }
        for peer in members.into_iter().filter(|peer| !self.is_in(peer)).collect::<Vec<_>>() {
            self.rounds.evict(peer);
            self.event(Event::RoundEvicted { peer, round });
        }
    }
}

/// The lower one; 0 of none.
fn median(mut rounds: Vec<u64>) -> u64 {
    rounds.retain(|&round| round <= ROUND_FOLLOWED_MAX);
    rounds.sort_unstable();
    rounds.get(rounds.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}
