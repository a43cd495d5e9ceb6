//! One edge, seen from one of its ends: which exchange is on its way, and what is to be said again.
//!
//! ```text
//! leader     Idle --begin--> Saying --said--> Open --answer (same number)--> Idle, meet        repeats while Open
//! follower   Idle --say (next number)--> Saying --said--> Idle, meet, answer                   repeats when asked again
//! ```
//!
//! An exchange is named by the lives of both ends, an epoch and a number. The leader counts; an epoch ends when an end
//! has lost its state, and the next begins with fresh replicas at number 1. Of every number each end does its half once: a
//! message with a number that is done changes nothing, and so does one of an earlier epoch.

use std::sync::Arc;

use super::Said;
use crate::time::Time;
use crate::wire::{Exchange, Part};

/// Which run of exchanges: (life of the leader, life of the follower, epoch). A later one is greater.
pub(super) type Name = (u64, u64, u64);

pub(super) fn name_of(exchange: &Exchange) -> Name {
    (exchange.leader, exchange.follower, exchange.epoch)
}

/// See the module.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) name: Name,
    /// Exchanges of which we have done our half.
    done: u64,
    stage: Stage,
    /// Of a follower: its answer to number `done`.
    answer: Option<Part>,
    /// Of a follower: whether the leader has done its half of it.
    confirmed: bool,
    /// When it was last of use.
    pub(super) used: Time,
    /// Of a leader: when the open exchange was last said.
    pub(super) said_at: Time,
}

#[derive(Debug, PartialEq)]
enum Stage {
    Idle,
    /// The learner is asked what to say, under this load; with what the leader said, if that is not us.
    Saying(u8, Option<Part>),
    /// Of a leader: said, and not answered yet.
    Open(Part),
}

/// What is to be done once the learner has said its part.
#[derive(Debug, PartialEq)]
pub(super) enum Then {
    /// Say it to the follower, and wait.
    Say(Part),
    /// Answer the leader, and meet.
    Answer { ours: Part, theirs: Part },
    /// It was said for an exchange that is no more.
    Nothing,
}

/// What a leader's message asks of us.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// The next exchange: ask the learner.
    Next,
    /// It has not heard our answer: say it again.
    Again(Part),
    /// One that we know nothing of.
    Lost,
    /// Old, or in work.
    Nothing,
}

/// What a follower's answer brings.
#[derive(Debug, PartialEq)]
pub(super) enum Answered {
    /// What we had said: the exchange is whole.
    Meet { ours: Part },
    /// Done before.
    Again,
    /// Of no exchange that was ever begun.
    Nothing,
}

impl Edge {
    pub(super) fn new(name: Name, now: Time) -> Self {
        Self { name, done: 0, stage: Stage::Idle, answer: None, confirmed: true, used: now, said_at: now }
    }

    pub(super) fn exchange(&self, seq: u64) -> Exchange {
        Exchange { leader: self.name.0, follower: self.name.1, epoch: self.name.2, seq }
    }

    /// The exchange that is on its way, or was last.
    pub(super) fn current(&self) -> Exchange {
        self.exchange(self.done + u64::from(self.stage != Stage::Idle))
    }

    /// Whether an exchange is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.stage != Stage::Idle
    }

    /// Whether both ends have done their halves of everything, as far as we know.
    pub(super) fn is_settled(&self) -> bool {
        self.stage == Stage::Idle && self.confirmed
    }

    /// Leader: begins the next exchange; its number, or `None` while one is on its way.
    pub(super) fn begin(&mut self, load: u8, now: Time) -> Option<u64> {
        if self.stage != Stage::Idle {
            return None;
        }
        self.stage = Stage::Saying(load, None);
        self.used = now;
        Some(self.done + 1)
    }

    /// The learner's part of exchange `seq` of the epoch `name`.
    pub(super) fn said(&mut self, name: Name, seq: u64, said: &Said, now: Time) -> Then {
        if (name, seq) != (self.name, self.done + 1) {
            return Then::Nothing;
        }
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Saying(load, theirs) => {
                let ours = Part { load, learnt: said.learnt, payload: Arc::clone(&said.payload) };
                let Some(theirs) = theirs else {
                    self.stage = Stage::Open(ours.clone());
                    self.said_at = now;
                    return Then::Say(ours);
                };
                self.done = seq;
                self.answer = Some(ours.clone());
                self.confirmed = false;
                Then::Answer { ours, theirs }
            }
            other => {
                self.stage = other;
                Then::Nothing
            }
        }
    }

    /// Follower: the leader says its part of exchange `seq` of this epoch.
    pub(super) fn hear_say(&mut self, seq: u64, part: &Part, load: u8, now: Time) -> Heard {
        if self.stage != Stage::Idle || seq < self.done {
            return Heard::Nothing;
        }
        self.used = now;
        if seq == self.done {
            return self.answer.clone().map_or(Heard::Nothing, Heard::Again);
        }
        if seq > self.done + 1 {
            return Heard::Lost;
        }
        self.confirmed = true;
        self.stage = Stage::Saying(load, Some(part.clone()));
        Heard::Next
    }

    /// Leader: the follower answers exchange `seq` of this epoch.
    pub(super) fn hear_answer(&mut self, seq: u64, now: Time) -> Answered {
        if seq <= self.done {
            return Answered::Again;
        }
        if seq != self.done + 1 {
            return Answered::Nothing;
        }
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Open(ours) => {
                self.done = seq;
                self.used = now;
                Answered::Meet { ours }
            }
            other => {
                self.stage = other;
                Answered::Nothing
            }
        }
    }

    /// Follower: the leader has done its half of exchange `seq`.
    pub(super) fn hear_done(&mut self, seq: u64) {
        self.confirmed |= seq == self.done;
    }

    /// Leader: what was said and not answered.
    pub(super) fn unanswered(&self) -> Option<(Exchange, Part)> {
        match &self.stage {
            Stage::Open(part) => Some((self.exchange(self.done + 1), part.clone())),
            _ => None,
        }
    }

    /// Follower: the answer of which we do not know whether it arrived.
    pub(super) fn unconfirmed(&self) -> Option<(Exchange, Part)> {
        let answer = self.answer.as_ref().filter(|_| !self.confirmed && self.stage == Stage::Idle)?;
        Some((self.exchange(self.done), answer.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name = (1, 1, 1);
    const NOW: Time = Time(0);

    fn bytes(byte: u8) -> Said {
        Said { payload: [byte].into(), learnt: 3, base_norm: 1.0 }
    }

    fn part(byte: u8) -> Part {
        Part { load: 1, learnt: 3, payload: [byte].into() }
    }

    /// A leader and a follower that have done `n` exchanges.
    fn ends(n: u64) -> (Edge, Edge) {
        let (mut leader, mut follower) = (Edge::new(NAME, NOW), Edge::new(NAME, NOW));
        for seq in 1..=n {
            assert_eq!(leader.begin(1, NOW), Some(seq));
            assert_eq!(leader.said(NAME, seq, &bytes(1), NOW), Then::Say(part(1)));
            assert_eq!(follower.hear_say(seq, &part(1), 1, NOW), Heard::Next);
            assert_eq!(follower.said(NAME, seq, &bytes(2), NOW), Then::Answer { ours: part(2), theirs: part(1) });
            assert_eq!(leader.hear_answer(seq, NOW), Answered::Meet { ours: part(1) });
        }
        (leader, follower)
    }

    #[test]
    fn duplicates_and_late_messages_change_nothing() {
        let (mut leader, mut follower) = ends(3);
        assert_eq!(leader.hear_answer(3, NOW), Answered::Again);
        assert_eq!(leader.hear_answer(1, NOW), Answered::Again);
        assert_eq!(leader.hear_answer(4, NOW), Answered::Nothing, "never begun");
        assert_eq!(follower.hear_say(3, &part(9), 1, NOW), Heard::Again(part(2)), "the answer as it was");
        assert_eq!(follower.hear_say(2, &part(9), 1, NOW), Heard::Nothing);
        assert_eq!((leader.done, follower.done), (3, 3));
        assert_eq!(leader.begin(1, NOW), Some(4));
        assert_eq!(leader.begin(1, NOW), None, "one at a time");
        assert_eq!(leader.hear_answer(4, NOW), Answered::Nothing, "not said yet");
        assert_eq!(follower.hear_say(5, &part(1), 1, NOW), Heard::Lost);
    }

    #[test]
    fn what_was_said_for_another_epoch_is_dropped() {
        let (mut leader, mut follower) = ends(1);
        assert_eq!(leader.begin(1, NOW), Some(2));
        assert_eq!(leader.said((1, 1, 0), 2, &bytes(1), NOW), Then::Nothing);
        assert_eq!(leader.said(NAME, 1, &bytes(1), NOW), Then::Nothing);
        assert_eq!(leader.said(NAME, 2, &bytes(1), NOW), Then::Say(part(1)));
        assert_eq!(follower.hear_say(2, &part(1), 1, NOW), Heard::Next);
        assert_eq!(follower.hear_say(2, &part(1), 1, NOW), Heard::Nothing, "in work");
        assert_eq!(follower.said((2, 1, 1), 2, &bytes(2), NOW), Then::Nothing);
        assert_eq!(follower.said(NAME, 2, &bytes(2), NOW), Then::Answer { ours: part(2), theirs: part(1) });
    }

    #[test]
    fn settled_is_when_both_halves_are_done() {
        let (mut leader, mut follower) = ends(1);
        assert!(leader.is_settled() && !follower.is_settled(), "the follower does not know");
        assert_eq!(follower.unconfirmed(), Some((follower.exchange(1), part(2))));
        follower.hear_done(0);
        assert!(!follower.is_settled());
        follower.hear_done(1);
        assert!(follower.is_settled() && follower.unconfirmed().is_none());
        leader.begin(1, NOW);
        assert!(!leader.is_settled() && leader.unanswered().is_none());
        leader.said(NAME, 2, &bytes(7), NOW);
        assert_eq!(leader.unanswered(), Some((leader.exchange(2), part(7))));
    }
}
