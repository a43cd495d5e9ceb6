//! For tests of when things are said: one peer, its learner's queue, and a clock of 100 steps a second, if nobody says otherwise.

use std::collections::VecDeque;

use crate::codec::DenseF32;
use crate::config::{Config, TriggerRule};
use crate::event::{Checkpoint, Input, Output, Standing, Timer};
use crate::fixed::Weight;
use crate::id::{Hash, Origin, RunId};
use crate::learner::{Command, Computed, Measured, TakenDelta, Trained};
use crate::log::{Context, Delta, Header};
use crate::peer::Peer;
use crate::schema::Schema;
use crate::time::{Span, Time};
use crate::trust::{Identity, Limits};

/// One of as many as a liar likes to make.
pub(crate) fn identity(number: u32) -> Identity {
    let mut seed = [9; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    Identity::from_seed(&seed)
}

/// The delta of that number, which says that value.
pub(crate) fn delta(peer: &Peer, identity: &Identity, (seq, previous): (u64, Hash), value: f32) -> Delta {
    let header = Header {
        origin: Origin { peer: identity.peer_id(), incarnation: 1 },
        seq,
        previous,
        heard: Hash::ZERO,
        steps: 4,
        samples: 4,
        round: 0,
        weight: Weight::ONE.raw(),
        codec: peer.context.codec.wire_id(),
        l2_norm: value.abs(),
    };
    Delta::sign(&peer.context, header, value.to_le_bytes().to_vec(), identity)
}

/// A peer alone, and the queue of its learner.
pub(crate) struct Alone {
    pub(crate) peer: Peer,
    pub(crate) queue: VecDeque<Command>,
    pub(crate) now: Time,
    pub(crate) loss: f32,
    pub(crate) drift: f32,
    /// Time of a step.
    pub(crate) step: Span,
    checkpoint: Option<Checkpoint>,
}

impl Alone {
    pub(crate) fn new(trigger: TriggerRule) -> Self {
        Self::with(|config| config.gossip.trigger = trigger)
    }

    /// H = 4, and what `change` makes of it.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Self::config();
        change(&mut config);
        Self::begin(Self::peer(config, 1))
    }

    /// One that goes on from there, in such a life.
    pub(crate) fn resumed(trigger: TriggerRule, life: u64, standing: &Standing) -> Self {
        let mut config = Self::config();
        config.gossip.trigger = trigger;
        let mut peer = Self::peer(config, life);
        peer.resume_at(standing).expect("there is a place");
        Self::begin(peer)
    }

    fn config() -> Config {
        let mut config = Config::default();
        (config.gossip.steps, config.training.steps_per_epoch) = (4, 1_000_000);
        config
    }

    pub(crate) fn peer(config: Config, life: u64) -> Peer {
        let schema = Schema { tensors: Vec::new() }.hash();
        let context = Context { run: RunId(Hash::ZERO), schema, parameters: 1, codec: &DenseF32, limits: Limits::OFF };
        Peer::new(config, context, Identity::from_seed(&[1; 32]), life, 1)
    }

    fn begin(peer: Peer) -> Self {
        let (queue, step) = (VecDeque::new(), Span::from_millis(10));
        let mut alone = Self { peer, queue, now: Time(0), loss: 1.0, drift: 0.0, step, checkpoint: None };
        alone.input(Input::Start);
        alone.now = alone.now + Span::from_secs(1);
        alone.input(Input::Timer(Timer::JoinGrace));
        alone
    }

    /// The checkpoint that follows from this result.
    pub(crate) fn saved(&mut self, result: Computed) -> Option<Checkpoint> {
        self.input(Input::Computed { result, took: Span(0) });
        self.checkpoint.take()
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.peer.handle(self.now, input);
        while let Some(output) = self.peer.next_output() {
            match output {
                Output::Compute(command) => self.queue.push_back(command),
                Output::Saved(checkpoint) => self.checkpoint = Some(*checkpoint),
                _ => {}
            }
        }
    }

    /// Answers the command at the head of the queue; 100 steps a second, if nobody says otherwise.
    pub(crate) fn answer(&mut self) -> Command {
        let command = self.queue.pop_front().expect("there is always a next step");
        let result = match &command {
            Command::Train { steps, .. } => {
                self.now = self.now + Span(u64::from(*steps) * self.step.0);
                Computed::Trained(Trained { steps: *steps, samples: 1, mean_loss: self.loss })
            }
            Command::Measure => Computed::Measured(Measured { residual_norm: self.drift, base_norm: 1.0 }),
            Command::TakeDelta { .. } => Computed::DeltaTaken(TakenDelta {
                payload: vec![0; 4],
                l2_norm: 0.0,
                residual_norm: self.drift,
                base_norm: 1.0,
            }),
            other => panic!("nobody asks for {other:?}"),
        };
        self.input(Input::Computed { result, took: Span(0) });
        command
    }

    /// Steps until the learner is asked to take a delta, and questions before it.
    pub(crate) fn until_delta(&mut self, mut between: impl FnMut(&mut Self)) -> (u32, u32) {
        let (mut done, mut questions) = (0, 0);
        loop {
            let command = self.answer();
            assert!(!self.queue.is_empty(), "the learner has work at every moment");
            between(self);
            match command {
                Command::Train { steps, .. } => done += steps,
                Command::Measure => questions += 1,
                Command::TakeDelta { .. } => return (done, questions),
                _ => {}
            }
        }
    }
}
