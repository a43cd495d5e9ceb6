//! The first and the last moments of a peer.
//!
//! It begins to train when the company it was told to wait for is there and has company itself (or a grace period is over),
//! and everything that this company had is in its base: a swarm that is started together begins together, and a newcomer
//! does not train on the initial weights of a swarm that is far ahead.
//! It stops after the neighbours have what it said, and the neighbours that are done too have the same set.

use crate::event::{Event, Output, Report, Timer};
use crate::id::PeerId;
use crate::learner::LearnerError;
use crate::log::VersionVector;
use crate::membership::Neighbour;
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::wire::{Message, ORIGINS_MAX};

/// Catching up takes no longer than this, but for a snapshot that comes well; then training begins with what there is.
const CATCH_UP_MAX: Span = Span::from_secs(20);
/// What the neighbours say next is caught up with too, for so long.
const TARGET_MOVES: Span = Span::from_secs(5);
/// While it settles, a peer asks its neighbours so often.
const SETTLE_INTERVAL: Span = Span::from_millis(100);

/// Where a peer stands between start and stop.
#[derive(Debug, Default)]
pub(crate) struct Session {
    joining: Option<Joining>,
    training_done: bool,
    /// Whether the neighbours know that no step is to come.
    resting: bool,
    settling_until: Option<Time>,
    stopped: bool,
}

#[derive(Debug)]
struct Joining {
    grace_until: Time,
    begin_at_latest: Time,
    moves_until: Time,
    /// Whether the neighbours to wait for are there.
    in_company: bool,
    /// All that the neighbours had when they said so in time; see [`Peer::join_target`].
    target: VersionVector,
}

impl Session {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether it has yet to begin.
    pub(crate) fn is_joining(&self) -> bool {
        self.joining.is_some()
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.settling_until.is_some()
    }
}

impl Peer {
    pub(crate) fn begin_joining(&mut self) {
        let grace_until = self.now + self.config.gossip.join_grace;
        let target = VersionVector::new();
        self.session.joining = Some(Joining {
            grace_until,
            begin_at_latest: grace_until + CATCH_UP_MAX,
            moves_until: self.now + TARGET_MOVES,
            in_company: false,
            target,
        });
        self.try_begin();
    }

    /// A digest that arrives before training adds to what we catch up with. After a while only the first one of a neighbour
    /// does: in a busy swarm somebody has always said something a moment ago, and a newcomer would never have caught up.
    pub(super) fn join_target(&mut self, from: PeerId, heard: &VersionVector) {
        let first = self.members.neighbour(from).is_some_and(|neighbour| neighbour.confirmed.is_none());
        let now = self.now;
        if let Some(joining) = self.session.joining.as_mut().filter(|joining| first || now < joining.moves_until) {
            for (origin, seq) in heard.iter().filter(|(origin, _)| *origin != self.origin) {
                // Of more than a log takes nobody catches up with all.
                if joining.target.len() >= ORIGINS_MAX && joining.target.get(&origin) == 0 {
                    continue;
                }
                joining.target.raise(origin, seq.min(self.log.excluded().last_allowed(origin)));
            }
        }
    }

    /// What was excluded is not waited for.
    pub(super) fn forget_join_targets(&mut self) {
        if let Some(joining) = &mut self.session.joining {
            let excluded = self.log.excluded();
            joining.target =
                joining.target.iter().map(|(origin, seq)| (origin, seq.min(excluded.last_allowed(origin)))).collect();
        }
    }

    /// Begins to train when nothing speaks against it any more.
    pub(crate) fn try_begin(&mut self) {
        self.drop_stale_snapshot();
        let pairs = self.in_pairs();
        if pairs {
            self.ask_model();
        }
        let wanted = self.config.gossip.company;
        let said = |neighbour: &Neighbour| neighbour.confirmed.is_some() || (pairs && neighbour.status.is_some());
        let here = self.members.neighbours().filter(|(_, neighbour)| said(neighbour)).count();
        let Some(joining) = &mut self.session.joining else { return };
        if here >= wanted && !joining.in_company {
            joining.in_company = true;
            self.announce();
        }
        let Some(joining) = &self.session.joining else { return };
        // Company that waits for company of its own would be left behind: on a busy machine by a whole run.
        let ready = self.members.neighbours().filter(|(_, neighbour)| neighbour.is_in_company(wanted)).count();
        let enough = (joining.in_company && ready >= wanted) || self.now >= joining.grace_until;
        let caught_up = self.heard_and_waiting().covers(&joining.target) && !self.snapshots.is_taking();
        // Who begins from nothing while the model is on its way has another one by then.
        let waits = self.has_nothing_of_its_own() && self.snapshot_comes_well();
        if (enough && caught_up) || (self.now >= joining.begin_at_latest && !waits) {
            self.session.joining = None;
            self.begin_training();
        }
    }

    pub(crate) fn begin_training(&mut self) {
        self.event(Event::TrainingStarted { deltas: self.log.deltas() });
        self.begin_rounds();
        self.deal();
        self.schedule.run();
        self.announce();
        // Whoever resumes after its last epoch has no result to wait for.
        self.note_training_done();
    }

    pub(super) fn note_training_done(&mut self) {
        if !self.session.training_done && self.is_finished() {
            self.session.training_done = true;
            self.event(Event::TrainingDone { steps: self.schedule.steps_done() });
        }
        if !self.session.resting && self.is_done() {
            self.session.resting = true;
            // Not at the next heartbeat: whoever settles now is to know that the last of our deltas is said.
            self.announce();
        }
    }

    /// Takes no further steps, and gossips on.
    pub(crate) fn rest(&mut self) {
        self.session.joining = None;
        self.stop_training();
        self.note_training_done();
    }

    /// Takes no further steps, and stops as soon as the others have what we said.
    pub(crate) fn finish(&mut self) {
        if self.session.is_finishing() {
            return;
        }
        self.session.joining = None;
        self.stop_training();
        self.session.settling_until = Some(self.now + self.config.gossip.settle_max);
        self.set_timer(self.now + SETTLE_INTERVAL, Timer::Settle);
        self.settle(false);
    }

    /// Looks whether agreement is reached; `ask` draws the neighbours' word for it.
    pub(crate) fn settle(&mut self, ask: bool) {
        let Some(until) = self.session.settling_until else {
            return;
        };
        if self.schedule.final_pending() || self.session.stopped {
            return;
        }
        let settled = self.is_done() && (!self.config.gossip.enabled || self.is_settled());
        if settled || self.now >= until {
            self.issue_final();
            return;
        }
        if ask {
            self.set_timer(self.now + SETTLE_INTERVAL, Timer::Settle);
            if self.in_pairs() {
                self.repeat_exchanges(true);
            }
            for peer in self.members.neighbour_ids() {
                self.send_digest(peer, true);
            }
        }
    }

    /// Every neighbour has what we said, and those that are done too have what we have.
    fn is_settled(&self) -> bool {
        if self.in_pairs() {
            return self.pairs_settled();
        }
        let said = self.log.heard().get(&self.origin);
        self.members.neighbours().all(|(_, neighbour)| {
            let Some(confirmed) = &neighbour.confirmed else {
                return false;
            };
            let done = neighbour.status.as_ref().is_some_and(|status| status.finished);
            confirmed.get(&self.origin) >= said && (!done || **confirmed == *self.log.heard())
        })
    }

    /// Whether every neighbour announced the set of deltas that we have.
    pub(crate) fn agreed(&self) -> bool {
        if self.in_pairs() {
            return self.pairs_agree();
        }
        let ours = self.log.heard();
        self.members.neighbours().all(|(_, neighbour): (_, &Neighbour)| neighbour.confirmed.as_deref() == Some(ours))
    }

    pub(super) fn session_over(&mut self, report: Report) {
        self.event(Event::Final(report));
        self.audit_accepted(true);
        self.say_to_all(None, &Message::Bye);
        self.session.stopped = true;
        self.output(Output::Stopped);
    }

    /// Without a learner there is nothing to do for a peer.
    pub(super) fn learner_failed(&mut self, error: LearnerError) {
        self.event(Event::LearnerFailed(error));
        self.leave();
    }

    /// Stops at once.
    pub(crate) fn leave(&mut self) {
        self.audit_accepted(true);
        self.say_to_all(None, &Message::Bye);
        self.session.stopped = true;
        self.output(Output::Stopped);
    }
}
