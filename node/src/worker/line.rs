//! What stands in line for the learner. What is heard goes before steps that have not begun.
//!
//! ```text
//! queued    Train  Train  Apply  Evaluate        a step may take a second
//! run       Apply  Train  Train  Evaluate
//! ```
//!
//! Steps change `theta` alone and deltas are added to both `b` and `theta`: what comes behind them finds the same base, and the steps
//! are taken where the swarm is. Nothing else is passed, and what is heard keeps its order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};

use protocol::learner::Command;

/// Commands taken out of the queue to look for what is heard. The peer keeps fewer steps than this ahead.
pub(super) const LINE_MAX: usize = 8;

/// Commands that left the queue and have not begun, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Line {
    commands: VecDeque<Command>,
}

/// Nothing stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// And more may come.
    Open,
    /// And nothing will.
    Closed,
}

impl Line {
    /// What is to run next; never waits.
    ///
    /// # Errors
    /// [`Empty`].
    pub(super) fn next(&mut self, queue: &Receiver<Command>) -> Result<Command, Empty> {
        if self.commands.is_empty() {
            let first = queue.try_recv().map_err(|error| match error {
                TryRecvError::Empty => Empty::Open,
                TryRecvError::Disconnected => Empty::Closed,
            })?;
            self.commands.push_back(first);
        }
        self.heard(queue).or_else(|| self.commands.pop_front()).ok_or(Empty::Open)
    }

    /// Puts a command at the head: it was waited for while nothing stood there.
    pub(super) fn came(&mut self, command: Command) {
        self.commands.push_front(command);
    }

    /// Steps that may be begun together with what runs: those at the head, unless something heard goes first.
    pub(super) fn steps(&mut self, queue: &Receiver<Command>) -> Option<Command> {
        self.look(queue);
        let at_head = matches!(self.commands.front(), Some(Command::Train { .. })) && self.heard_at().is_none();
        if at_head { self.commands.pop_front() } else { None }
    }

    /// What is heard and stands behind nothing but steps.
    fn heard(&mut self, queue: &Receiver<Command>) -> Option<Command> {
        self.look(queue);
        self.heard_at().and_then(|at| self.commands.remove(at))
    }

    /// Takes commands up as long as they are steps.
    fn look(&mut self, queue: &Receiver<Command>) {
        while self.commands.len() < LINE_MAX && self.commands.iter().all(is_steps) {
            let Ok(command) = queue.try_recv() else { return };
            self.commands.push_back(command);
        }
    }

    fn heard_at(&self) -> Option<usize> {
        let at = self.commands.iter().position(|command| !is_steps(command))?;
        matches!(self.commands.get(at), Some(Command::Apply { .. })).then_some(at)
    }
}

fn is_steps(command: &Command) -> bool {
    matches!(command, Command::Train { .. })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::mpsc::sync_channel;

    use protocol::learner::{Progress, Weights};

    use super::*;

    fn train(steps: u32) -> Command {
        Command::Train { steps, progress: Progress::START }
    }

    fn apply() -> Command {
        Command::Apply { deltas: Vec::new() }
    }

    fn name(command: &Command) -> String {
        match command {
            Command::Train { steps, .. } => steps.to_string(),
            Command::Apply { .. } => "heard".into(),
            Command::Evaluate { .. } => "look".into(),
            Command::Retract { .. } => "retract".into(),
            other => panic!("{other:?}"),
        }
    }

    fn in_turn(commands: impl IntoIterator<Item = Command>) -> Vec<String> {
        let (send, queue) = sync_channel(64);
        commands.into_iter().for_each(|command| send.send(command).unwrap());
        drop(send);
        let mut line = Line::default();
        let mut seen = Vec::new();
        loop {
            match line.next(&queue) {
                Ok(command) => seen.push(name(&command)),
                Err(empty) => {
                    assert_eq!(empty, Empty::Closed);
                    return seen;
                }
            }
        }
    }

    #[test]
    fn what_is_heard_goes_before_steps_and_before_nothing_else() {
        let look = || Command::Evaluate { weights: Weights::Base };
        assert_eq!(in_turn([train(1), train(2), apply(), train(3)]), ["heard", "1", "2", "3"]);
        assert_eq!(in_turn([train(1), look(), apply(), train(2)]), ["1", "look", "heard", "2"]);
        assert_eq!(in_turn([train(1), apply(), look(), apply()]), ["heard", "1", "look", "heard"]);
        assert_eq!(in_turn([apply(), train(1), apply(), apply()]), ["heard", "heard", "heard", "1"]);
        let retract = Command::Retract { deltas: Vec::new() };
        assert_eq!(in_turn([train(1), retract, apply()]), ["1", "retract", "heard"]);
    }

    #[test]
    fn the_line_is_no_second_queue() {
        let commands = (0..LINE_MAX as u32).map(train).chain([apply()]);
        let seen = in_turn(commands);
        assert_eq!(seen[..2], ["0", "heard"], "it is seen when there is room: {seen:?}");
    }

    #[test]
    fn steps_begin_beside_a_delta_unless_something_is_heard() {
        let (send, queue) = sync_channel(64);
        let mut line = Line::default();
        send.send(train(1)).unwrap();
        assert!(line.steps(&queue).is_some());
        assert!(line.steps(&queue).is_none(), "there are no more");
        [train(2), apply()].into_iter().for_each(|command| send.send(command).unwrap());
        assert!(line.steps(&queue).is_none());
        assert_eq!(name(&line.next(&queue).unwrap()), "heard");
        assert_eq!(name(&line.next(&queue).unwrap()), "2");
        assert_eq!(line.next(&queue).unwrap_err(), Empty::Open);
    }
}
