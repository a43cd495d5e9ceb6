//! What is known of one peer of a simulation, over all of its lives.

use std::time::{Duration, Instant};

use super::child::Child;
use super::event::{ChildEvent, EpochDone, Ready, Restored, Status};
use crate::report::{Blocked, PeerReport};

/// How long a peer may say nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until it has told its state for the first time.
    pub(super) starting: Duration,
    /// From then on.
    pub(super) running: Duration,
}

/// How a peer's last life ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// It has not.
    #[default]
    Alive,
    /// It said its last word and stopped.
    Finished,
    /// It was killed on request.
    Killed,
    /// It did not say its last word in time and was killed.
    Overdue,
    /// It said nothing at all for so long and was killed.
    Silent {
        /// How long.
        seconds: u64,
    },
    /// It died by itself.
    Died {
        /// Exit code, when no signal killed it.
        code: Option<i32>,
        /// The signal that killed it.
        signal: Option<i32>,
        /// The last lines of its standard error.
        stderr: String,
    },
}

impl Ending {
    /// One word for tables and data.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Finished => "finished",
            Self::Killed => "killed",
            Self::Overdue | Self::Silent { .. } => "overdue",
            Self::Died { .. } => "died",
        }
    }
}

/// What the lives of a peer before its last one have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    steps: u64,
    bytes_sent: u64,
    bytes_received: u64,
    deltas_said: u64,
    deltas_heard: u64,
    deltas_refused: u64,
    payload_bytes_said: u64,
}

impl Earlier {
    fn with(self, life: &PeerReport) -> Self {
        Self {
            steps: self.steps + life.steps,
            bytes_sent: self.bytes_sent + life.bytes_sent,
            bytes_received: self.bytes_received + life.bytes_received,
            deltas_said: self.deltas_said + life.deltas_said,
            deltas_heard: self.deltas_heard + life.deltas_heard,
            deltas_refused: self.deltas_refused + life.deltas_refused,
            payload_bytes_said: self.payload_bytes_said + life.payload_bytes_said,
        }
    }

    fn add_to(self, report: &mut PeerReport) {
        let sum = self.with(report);
        report.steps = sum.steps;
        report.bytes_sent = sum.bytes_sent;
        report.bytes_received = sum.bytes_received;
        report.deltas_said = sum.deltas_said;
        report.deltas_heard = sum.deltas_heard;
        report.deltas_refused = sum.deltas_refused;
        report.payload_bytes_said = sum.payload_bytes_said;
    }
}

/// The latest that a peer has said, and how it ended. A new life forgets what the old one said, but for what it cost.
#[derive(Clone, Debug, Default)]
pub struct PeerFacts {
    /// Who it is and what it trains on.
    pub ready: Option<Ready>,
    /// How it stood last.
    pub status: Option<Status>,
    /// Its last epoch.
    pub epoch: Option<EpochDone>,
    /// The snapshot it caught up with.
    pub restored: Option<Restored>,
    /// Its last word.
    pub last: Option<PeerReport>,
    /// How it ended.
    pub ending: Ending,
    /// Processes started for it so far.
    pub lives: u32,
    /// Sums over the lives before this one.
    pub earlier: Earlier,
    /// And how long their steps were blocked.
    pub earlier_blocked: Blocked,
}

impl PeerFacts {
    /// Takes in what it said.
    pub fn hear(&mut self, event: &ChildEvent) {
        match event {
            ChildEvent::Ready(ready) => self.ready = Some(ready.clone()),
            ChildEvent::Status(status) => self.status = Some(status.clone()),
            ChildEvent::Epoch(epoch) => self.epoch = Some(epoch.clone()),
            ChildEvent::Restored(restored) => self.restored = Some(*restored),
            ChildEvent::Final(report) => self.last = Some((**report).clone()),
            ChildEvent::Note(_) => {}
        }
    }

    pub(super) fn new_life(&mut self) {
        let life = self.this_life();
        let earlier = self.earlier.with(&life);
        let mut earlier_blocked = std::mem::take(&mut self.earlier_blocked);
        earlier_blocked.merge(&life.blocked);
        *self = Self { lives: self.lives + 1, earlier, earlier_blocked, ..Self::default() };
    }

    /// The numbers of this peer: its last word, or what can be pieced together when it never got to say it.
    #[must_use]
    pub fn report(&self, index: u32) -> PeerReport {
        let mut report = self.this_life();
        self.earlier.add_to(&mut report);
        report.blocked.merge(&self.earlier_blocked);
        report.blocked = report.blocked.derive();
        report.index = index;
        report.ending = self.ending.word().to_owned();
        report.lives = self.lives;
        report.caught_up_deltas = self.restored.map(|restored| restored.deltas);
        report
    }

    fn this_life(&self) -> PeerReport {
        self.last.clone().unwrap_or_else(|| self.pieced_together())
    }

    fn pieced_together(&self) -> PeerReport {
        let mut report = PeerReport::default();
        if let Some(ready) = &self.ready {
            report.id.clone_from(&ready.peer);
            report.device.clone_from(&ready.device);
            report.backend.clone_from(&ready.backend);
        }
        if let Some(epoch) = &self.epoch {
            report.test_loss = epoch.test_loss;
            report.test_accuracy = epoch.test_accuracy;
        }
        if let Some(status) = &self.status {
            report.steps = status.steps;
            report.epochs = status.epoch;
            report.train_loss = status.train_loss;
            report.bytes_sent = status.bytes_sent;
            report.bytes_received = status.bytes_received;
            report.deltas_said = status.deltas_said;
            report.deltas_heard = status.deltas_heard;
            report.live_peers = status.live_peers;
            report.deltas_refused = status.deltas_refused;
            report.payload_bytes_said = status.payload_bytes_said;
            report.blocked.clone_from(&status.blocked);
            report.steps_per_second = status.steps_per_second;
        }
        report
    }
}

/// A place in the swarm: the process that fills it now, and what is known.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) child: Option<Child>,
    pub(super) facts: PeerFacts,
    /// When it said something last, or was started.
    pub(super) heard_at: Instant,
    /// Whether it is silent because it was stopped on request.
    pub(super) paused: bool,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self { child: None, facts: PeerFacts::default(), heard_at: Instant::now(), paused: false }
    }

    /// For how long it has been silent, if that is longer than it may be.
    pub(super) fn overdue(&self, patience: Patience) -> Option<Duration> {
        // Its state is told twice a second, but only when its device is up.
        let limit = if self.facts.status.is_some() { patience.running } else { patience.starting };
        let silence = self.heard_at.elapsed();
        (self.child.is_some() && !self.paused && silence > limit).then_some(silence)
    }

    /// Whether a process is there and takes no further step.
    pub(super) fn resting(&self) -> bool {
        self.facts.status.as_ref().is_some_and(|status| status.resting)
    }

    /// Whether a process is there and the epochs it was asked for are over.
    pub(super) fn finished(&self) -> bool {
        self.facts.status.as_ref().is_some_and(|status| status.finished)
    }

    /// Hash of what it has heard.
    pub(super) fn heard(&self) -> Option<&str> {
        self.facts.status.as_ref().map(|status| status.heard.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_peer_is_reported_by_what_it_said_last() {
        let mut facts = PeerFacts::default();
        facts.new_life();
        facts.hear(&ChildEvent::Status(Status { steps: 40, bytes_sent: 9, ..Status::default() }));
        facts.ending = Ending::Killed;
        let report = facts.report(2);
        assert_eq!((report.index, report.steps, report.bytes_sent), (2, 40, 9));
        assert_eq!(report.ending, "killed");
        assert_eq!(report.base_hash, None, "an unfinished peer vouches for no base");
    }

    #[test]
    fn a_new_life_starts_from_nothing() {
        let mut facts = PeerFacts::default();
        facts.new_life();
        facts.hear(&ChildEvent::Status(Status { steps: 40, ..Status::default() }));
        facts.new_life();
        assert_eq!((facts.lives, facts.status.is_none()), (2, true));
    }

    #[test]
    fn the_numbers_are_those_of_all_lives() {
        let mut facts = PeerFacts::default();
        for life in 1..=3 {
            facts.new_life();
            let status = Status {
                steps: 40,
                epoch: life,
                bytes_sent: 9,
                bytes_received: 8,
                deltas_said: 7,
                deltas_heard: 6,
                ..Status::default()
            };
            facts.hear(&ChildEvent::Status(status));
        }
        let last = PeerReport { steps: 50, epochs: 3, bytes_sent: 10, ..PeerReport::default() };
        facts.hear(&ChildEvent::Final(Box::new(last)));
        let report = facts.report(0);
        assert_eq!((report.steps, report.bytes_sent, report.bytes_received), (130, 28, 16));
        assert_eq!((report.deltas_said, report.deltas_heard), (14, 12));
        assert_eq!((report.epochs, report.lives), (3, 3), "epochs are a place in the training, no cost");
        assert_eq!(facts.report(0), report, "asking twice adds nothing");
    }
}
