//! What may be asked of a peer that trains, without any effect on what it becomes: a copy of the base, a gradient, a pause.
//!
//! A gradient lies on the device from a step to whatever is computed next, so it is asked for right behind steps, and comes after the base.

use crate::event::Output;
use crate::fixed::from_f32;
use crate::id::Hash;
use crate::learner::{Command, Saved};
use crate::peer::Peer;

use super::schedule::Pending;

/// Copies of the base that may be under way at once: they are large.
const SHOWS_MAX: usize = 1;

/// Largest model whose gradient is shown, parameters: the copy takes 4 MiB.
pub const GRADIENT_PARAMETERS_MAX: usize = 1 << 20;

/// The gradient of this peer's last step before it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// As the optimizer took it, length d.
    pub values: Vec<f32>,
    /// Optimizer steps that this peer had taken with it.
    pub steps: u64,
    /// Epochs that this peer had begun before it and ended.
    pub epoch: u32,
}

/// A copy of the base, and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// b, units of 2^-24, length d; without gossip what the peer has trained, rounded to them.
    pub base: Vec<i32>,
    /// Hash of the set of deltas in it.
    pub heard: Hash,
    /// Samples that the swarm has trained on for it, as that set says.
    pub samples: u64,
    /// Optimizer steps that this peer had taken.
    pub steps: u64,
    /// Epochs that this peer had done.
    pub epoch: u32,
}

/// What was known when a copy was asked for.
#[derive(Debug)]
pub(crate) struct Showing {
    heard: Hash,
    samples: u64,
    steps: u64,
    epoch: u32,
}

impl Peer {
    /// Asks the learner for a copy of the base, unless one is on its way: whoever asks then takes that one.
    pub(crate) fn show(&mut self) {
        if self.schedule.queued(|pending| matches!(pending, Pending::Show(_))) >= SHOWS_MAX {
            return;
        }
        self.schedule.gradient_wanted = self.context.parameters <= GRADIENT_PARAMETERS_MAX;
        self.flush_ready();
        let showing = Showing {
            heard: self.set_when_issued(),
            samples: self.log.samples(),
            steps: self.schedule.steps_done(),
            epoch: self.schedule.epochs_done(),
        };
        // A peer that speaks with nobody keeps all that it learns to itself.
        let command = if self.config.gossip.enabled { Command::Base } else { Command::Save };
        self.issue(command, Pending::Show(Box::new(showing)));
    }

    pub(super) fn shown(&mut self, showing: &Showing, base: Vec<i32>) {
        let &Showing { heard, samples, steps, epoch } = showing;
        self.output(Output::Shown(Box::new(Shown { base, heard, samples, steps, epoch })));
    }

    pub(super) fn shown_alone(&mut self, showing: &Showing, learner: &Saved) {
        self.shown(showing, learner.theta.iter().map(|&weight| from_f32(weight)).collect());
    }

    /// Behind steps that were just issued: asks for their last gradient, where somebody looks.
    pub(super) fn show_gradient(&mut self) {
        if std::mem::take(&mut self.schedule.gradient_wanted) {
            let (steps, epoch) = (self.schedule.steps_issued, self.schedule.epochs_issued);
            self.issue(Command::Gradient, Pending::Gradient { steps, epoch });
        }
    }

    pub(super) fn gradient_shown(&mut self, steps: u64, epoch: u32, values: Option<Vec<f32>>) {
        if let Some(values) = values {
            self.output(Output::Gradient(Box::new(Gradient { values, steps, epoch })));
        }
    }

    /// Takes no steps until it is told to resume, and gossips on: for the others it is a slow peer.
    pub(crate) fn pause(&mut self, paused: bool) {
        self.schedule.paused = paused;
    }
}

#[cfg(test)]
mod tests {
    use super::Gradient;
    use crate::config::TriggerRule;
    use crate::event::{Input, Output};
    use crate::learner::{Command, Computed};
    use crate::mode::incremental::alone::Alone;
    use crate::time::Span;

    fn trains(alone: &Alone) -> usize {
        alone.queue.iter().filter(|command| matches!(command, Command::Train { .. })).count()
    }

    #[test]
    fn a_paused_peer_takes_no_step_until_it_resumes() {
        let mut alone = Alone::new(TriggerRule::default());
        let queued = trains(&alone);
        assert!(queued > 0, "it trains");
        alone.input(Input::Pause);
        while !alone.queue.is_empty() {
            alone.answer();
        }
        let steps = alone.peer.view().steps;
        assert!(alone.peer.view().paused && steps > 0, "what was queued ran out");
        alone.input(Input::Resume);
        assert!(trains(&alone) > 0 && !alone.peer.view().paused);
    }

    #[test]
    fn a_peer_without_company_shows_what_it_has_trained() {
        let mut alone = Alone::with(|config| config.gossip.enabled = false);
        alone.input(Input::Show);
        let asked = |is: fn(&Command) -> bool| alone.queue.iter().filter(|command| is(command)).count();
        assert_eq!((asked(|c| matches!(c, Command::Save)), asked(|c| matches!(c, Command::Base))), (1, 0));
    }

    /// Answers the next command, whatever it is.
    fn answer(alone: &mut Alone) {
        if matches!(alone.queue.front(), Some(Command::Base)) {
            alone.queue.pop_front();
            alone.input(Input::Computed { result: Computed::Base(vec![0]), took: Span(0) });
        } else {
            alone.answer();
        }
    }

    #[test]
    fn a_gradient_is_asked_for_once_and_right_behind_steps() {
        let mut alone = Alone::new(TriggerRule::default());
        let asked = |alone: &Alone| alone.queue.iter().position(|command| matches!(command, Command::Gradient));
        for _ in 0..50 {
            alone.answer();
            assert_eq!(asked(&alone), None, "nobody looks");
        }
        alone.input(Input::Show);
        alone.input(Input::Show);
        while asked(&alone).is_none() {
            answer(&mut alone);
        }
        let place = asked(&alone).unwrap_or_default();
        assert!(matches!(alone.queue[place - 1], Command::Train { .. }), "{:?}", alone.queue);
        while asked(&alone) != Some(0) {
            answer(&mut alone);
        }
        alone.queue.pop_front();
        let steps = alone.peer.view().steps;
        let result = Computed::Gradient(Some(vec![0.5]));
        alone.peer.handle(alone.now, Input::Computed { result, took: Span(0) });
        let outputs = std::iter::from_fn(|| alone.peer.next_output());
        let shown: Vec<_> = outputs.filter_map(|o| if let Output::Gradient(g) = o { Some(*g) } else { None }).collect();
        assert_eq!(shown, [Gradient { values: vec![0.5], steps, epoch: 0 }]);
        assert_eq!(asked(&alone), None, "once");
    }

    #[test]
    fn one_copy_of_the_base_at_a_time() {
        let mut alone = Alone::new(TriggerRule::default());
        alone.input(Input::Show);
        alone.input(Input::Show);
        let asked = alone.queue.iter().filter(|command| matches!(command, Command::Base)).count();
        assert_eq!(asked, 1);
    }
}
