//! A virtual peer: the protocol's [`Peer`], its learner, its speed, its clock and its disk.

use std::collections::{BTreeSet, VecDeque};

use protocol::Peer;
use protocol::groups::Delegate;
use protocol::learner::Command;
use protocol::time::{Span, Time};

use super::attackers::Attacker;
use super::checks::Applied;
use super::network::Level;
use super::task::Mind;

/// Commands other than training take so long: an apply of a few kB.
const COMMAND: Span = Span(50);

/// See the module.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) peer: Peer,
    pub(super) mind: Mind,
    /// While it speaks for its group.
    pub(super) delegate: Option<Box<Delegate>>,
    /// How often it has become one: what was meant for an earlier term is not delivered.
    pub(super) term: u64,
    pub(super) commands: VecDeque<Command>,
    /// Time of one optimizer step.
    pub(super) step: Span,
    /// What its clock shows more than the true time.
    pub(super) skew: Span,
    /// Which life this is; what was meant for an earlier one is not delivered.
    pub(super) life: u64,
    /// It stands still until then.
    pub(super) paused_until: Time,
    /// When what it has put off comes again: a pause may grow while something waits for its earlier end.
    pub(super) put_off_to: BTreeSet<Time>,
    pub(super) applied: Applied,
    pub(super) attacker: Option<Attacker>,
    pub(super) trained: bool,
    /// It was told to leave: it says goodbye, and the rest of the swarm goes on without it.
    pub(super) leaving: bool,
    pub(super) stopped: bool,
}

impl Body {
    /// What its own clock shows.
    pub(super) fn clock(&self, now: Time) -> Time {
        now + self.skew
    }

    pub(super) fn cost(&self, command: &Command) -> Span {
        match command {
            Command::Train { steps, .. } => Span(self.step.0.saturating_mul(u64::from(*steps))),
            _ => COMMAND,
        }
    }

    /// Whether it has a peer in that log.
    pub(super) fn stands_in(&self, level: Level) -> bool {
        level == Level::Group || self.delegate.is_some()
    }

    pub(super) fn is_honest(&self) -> bool {
        self.attacker.is_none()
    }
}
