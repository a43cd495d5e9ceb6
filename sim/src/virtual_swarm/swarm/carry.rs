//! What a peer wants done: messages, dials, timers, work for its learner.

use std::sync::Arc;

use protocol::learner::Command;
use protocol::log::{Delta, SignedDelta};
use protocol::time::Time;
use protocol::trust::Identity;
use protocol::wire::{self, Message};
use protocol::{Event, Input, Output};
use rand_chacha::rand_core::Rng as _;

use super::super::attackers::Attack;
use super::super::network::{Level, millis};
use super::{Happening, Swarm, identity_seed};

/// Old deltas that a replaying attacker sends with each of its own.
const REPLAYS: usize = 4;

impl Swarm<'_> {
    pub(super) fn carry_out(&mut self, level: Level, number: u32, output: Output) {
        match output {
            Output::Send { to, message } => {
                if let Some(&to) = self.numbers.get(&to) {
                    self.send(level, number, to, message);
                }
            }
            Output::Dial { peer, .. } => self.dial(level, number, peer),
            Output::Disconnect { peer } => {
                if let Some(&other) = self.numbers.get(&peer) {
                    self.unlink(level, number, other);
                }
            }
            Output::Compute(command) => self.compute(number, command),
            Output::SetTimer { at, timer } => {
                let skew = self.bodies[number as usize].as_ref().map_or(0, |body| body.skew.0);
                let at = Time(at.0.saturating_sub(skew)).max(self.now);
                self.push_input(level, at, number, Input::Timer(timer));
            }
            Output::Event(event) if level == Level::Upper => self.upper_event(number, event),
            Output::Event(event) => self.event(number, event),
            Output::Audit(record) => self.measure.audit(number, self.now, &record),
            // Nobody looks at a virtual peer.
            Output::Shown(_) | Output::Gradient(_) => {}
            // Nobody asks a virtual peer for one.
            Output::Saved(_) => {}
            // At the end of its term, or after a failure that is an event and a violation.
            Output::Stopped if level == Level::Upper => {}
            Output::Stopped => {
                if let Some(body) = self.bodies[number as usize].as_mut() {
                    body.stopped = true;
                }
                // Nothing reaches it any more: it does not stand above in silence.
                self.end_term(number);
            }
        }
    }

    fn compute(&mut self, number: u32, command: Command) {
        let Some(body) = self.bodies[number as usize].as_mut() else { return };
        let idle = body.commands.is_empty();
        let took = body.cost(&command);
        body.commands.push_back(command);
        if idle {
            self.push(self.now + took, number, Happening::LearnerDone);
        }
    }

    fn event(&mut self, number: u32, event: Event) {
        if matches!(event, Event::TrainingDone { .. })
            && let Some(body) = self.bodies[number as usize].as_mut()
        {
            body.trained = true;
        }
        let honest = self.bodies[number as usize].as_ref().is_some_and(|body| body.is_honest());
        if let Event::BaseMismatch { ours, theirs, .. } = &event
            && honest
        {
            self.violate(number, format!("equal version vectors, bases {} and {}", ours.short(), theirs.short()));
        }
        self.measure.event(number, honest, self.now, event);
    }

    fn dial(&mut self, level: Level, number: u32, peer: protocol::id::PeerId) {
        let later = self.now + millis(self.plan.scenario.network.latency_ms);
        let other = self.numbers.get(&peer).copied().filter(|&other| {
            self.bodies[other as usize].as_ref().is_some_and(|body| !body.stopped && body.stands_in(level))
                && self.network.can_dial(number, other)
        });
        let Some(other) = other else {
            self.push_input(level, later, number, Input::DialFailed { peer, refused: false });
            return;
        };
        let full = self.network.links_of(level, other).len() >= self.config.gossip.neighbours_max;
        if full {
            self.push_input(level, later, number, Input::DialFailed { peer, refused: false });
        } else if self.network.link(level, number, other) {
            for (at, of) in [(number, other), (other, number)] {
                self.push_input(level, later, at, Input::Connected { peer: self.ids[of as usize] });
            }
        }
    }

    pub(super) fn unlink(&mut self, level: Level, a: u32, b: u32) {
        if self.network.unlink(level, a, b) {
            for (at, of) in [(a, b), (b, a)] {
                self.push_input(level, self.now, at, Input::Disconnected { peer: self.ids[of as usize] });
            }
        }
    }

    fn send(&mut self, level: Level, from: u32, to: u32, message: Message) {
        if !self.network.linked(level, from, to) {
            return;
        }
        let message =
            match self.bodies[from as usize].as_ref().and_then(|body| body.attacker.as_ref()).map(|a| a.attack) {
                Some(Attack::Equivocation) if to.is_multiple_of(2) => self.forked(from, message),
                Some(Attack::Replay) => {
                    self.replay(level, from, to, &message);
                    message
                }
                _ => message,
            };
        self.deliver(level, from, to, message);
    }

    fn deliver(&mut self, level: Level, from: u32, to: u32, message: Message) {
        let bytes = wire::frame_bytes(&message);
        self.measure.sent(from, bytes);
        if self.silent_until > self.now {
            return;
        }
        let arrivals = self.network.deliveries(&self.plan.scenario.network, from, bytes, self.now, &mut self.rng);
        if let Some(second) = arrivals.second {
            self.push(second, to, Happening::Message { level, from, message: message.clone() });
        }
        if let Some(first) = arrivals.first {
            self.measure.received(to, bytes);
            self.push(first, to, Happening::Message { level, from, message });
        }
    }

    /// The attacker's deltas under the same numbers, with another content.
    fn forked(&self, from: u32, message: Message) -> Message {
        match message {
            Message::Delta(signed) => Message::Delta(self.fork(from, signed)),
            Message::Deltas(chain) => {
                Message::Deltas(chain.into_iter().map(|signed| self.fork(from, signed)).collect())
            }
            other => other,
        }
    }

    fn fork(&self, from: u32, signed: Arc<SignedDelta>) -> Arc<SignedDelta> {
        if signed.header.origin.peer != self.ids[from as usize] {
            return signed;
        }
        let mut header = signed.header.clone();
        header.steps = header.steps.wrapping_add(1);
        let identity = Identity::from_seed(&identity_seed(from));
        let fork = Delta::sign(&self.context_of(from), header, signed.payload.clone(), &identity);
        Arc::clone(fork.signed())
    }

    fn replay(&mut self, level: Level, from: u32, to: u32, message: &Message) {
        let Message::Delta(signed) = message else { return };
        let old: &mut Vec<Arc<SignedDelta>> = self.measure.overheard();
        if old.len() < 256 {
            old.push(Arc::clone(signed));
        }
        let count = old.len() as u64;
        for _ in 0..REPLAYS.min(old.len()) {
            let again = Arc::clone(&self.measure.overheard()[(self.rng.next_u64() % count) as usize]);
            self.deliver(level, from, to, Message::Delta(again));
        }
    }
}
