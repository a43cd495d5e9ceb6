//! The port between decisions and arithmetic: [`Peer`](crate::Peer) emits a [`Command`], whoever owns a [`Learner`] calls
//! [`run`], and the result goes back in as an [`Input`](crate::Input). The node does so on a thread of its own, the
//! simulator at once with a modelled cost. Commands run in the order they were given: the version vector at the moment
//! a command was issued is the version vector of the base that it sees. One may go before its turn: [`Command::Apply`] before
//! [`Command::Train`], which does not look at the base.
//!
//! Here is the port; `command.rs` is what goes through it, `arithmetic.rs` what every learner computes alike, and `state.rs` a
//! learner's vectors in memory, for those that compute nothing else.

mod arithmetic;
mod command;
mod saved;
mod state;

pub(crate) use arithmetic::within_payload;
pub use arithmetic::{BaseHasher, Bounds, base_hash, encode_bounded, encode_within, fold, norm};
pub use command::{Command, Computed, run, run_in_turn};
pub use saved::Saved;
pub use state::State;

use std::fmt::Debug;

use crate::codec::{Codec, CodecError};
use crate::fixed::Weight;
use crate::id::{Hash, PeerId};
pub use crate::mode::pairwise::{Meeting, Met, Replicas, Said};

/// Which weights to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// The shared base `b`: the same on every peer that has heard the same deltas.
    Base,
    /// The peer's own training weights `theta`.
    Local,
}

/// How far the whole swarm is, as this peer has heard: what a learning-rate schedule goes by, so that who joined late is on
/// the page of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Samples that the swarm has trained on. They may fall, when the swarm takes out what somebody said.
    pub samples: u64,
    /// Peers that live, this one among them; 1 or more.
    pub live_peers: usize,
}

impl Progress {
    /// Of a peer that is alone and has not trained.
    pub const START: Self = Self { samples: 0, live_peers: 1 };
}

/// How much of the data that all peers train on is to be one's, as the peers find alike that hear the same deltas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Whose.
    pub peer: PeerId,
    /// Beside the weights of the others; finite and above 0.
    pub weight: f32,
}

/// What [`Learner::take_delta`] is to do.
#[derive(Clone, Copy, Debug)]
pub struct Take {
    /// How to encode.
    pub codec: &'static dyn Codec,
    /// Share that goes into the base.
    pub weight: Weight,
    /// ||v|| at most; what is longer is said in parts.
    pub norm_max: f32,
}

/// Training weights `theta` (f32), base `b` (i32, units of 2^-24), optimizer state and data of one peer.
///
/// d is the number of parameters; `theta` starts equal to `b`.
pub trait Learner: Send {
    /// d.
    fn parameters(&self) -> usize;

    /// Takes `steps` optimizer steps on `theta`; `progress` is how far the swarm is before them.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device fails.
    fn train(&mut self, steps: u32, progress: Progress) -> Result<Trained, LearnerError>;

    /// Encodes `e = theta - b` with `codec`, decodes the payload to `v`, and does `b += round(w * v)`,
    /// `theta -= v - round(w * v)`: the residual shrinks by exactly `v`, which is no longer than `norm_max`
    /// ([`encode_within`] is its arithmetic).
    ///
    /// # Errors
    /// [`LearnerError::NonFinite`] when `theta` holds a NaN or an infinity (nothing changes then), or a device failure.
    fn take_delta(
        &mut self,
        codec: &'static dyn Codec,
        weight: Weight,
        norm_max: f32,
    ) -> Result<TakenDelta, LearnerError>;

    /// [`Learner::take_delta`] and then [`Learner::train`]. A device may begin these steps while what is said comes to the host: then the delta
    /// is of `theta` before them and is taken off it after, which is the same sum. `taken` is told of the delta as soon as it is there;
    /// where it never is, the error is that of the delta.
    ///
    /// # Errors
    /// As those two.
    fn take_delta_then_train(
        &mut self,
        take: Take,
        steps: u32,
        progress: Progress,
        taken: &mut dyn FnMut(TakenDelta),
    ) -> Result<Trained, LearnerError> {
        taken(self.take_delta(take.codec, take.weight, take.norm_max)?);
        self.train(steps, progress)
    }

    /// ||theta - b|| and ||b||; nothing changes. Not finite when a weight is not.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device fails.
    fn measure(&mut self) -> Result<Measured, LearnerError>;

    /// Adds another peer's delta: `b += round(w * v)`, `theta += round(w * v)`.
    ///
    /// # Errors
    /// [`LearnerError::Codec`] for a payload that does not decode (nothing changes then), or a device failure.
    fn apply(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError>;

    /// Takes a delta back out, to the bit: `b -= round(w * v)`, `theta -= round(w * v)`. What the peer has not said stays.
    ///
    /// # Errors
    /// As [`Learner::apply`].
    fn retract(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError>;

    /// Copy of `b`, length d.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device fails.
    fn base(&mut self) -> Result<Vec<i32>, LearnerError>;

    /// The gradient of the last step, length d, as the optimizer took it; `None` where it lies nowhere any more, or this learner shows none.
    /// For people: nothing that the swarm does depends on it.
    ///
    /// # Errors
    /// A device failure.
    fn gradient(&mut self) -> Result<Option<Vec<f32>>, LearnerError> {
        Ok(None)
    }

    /// [`base_hash`] of `b`. Whoever need not hold a copy of all of it for that does not.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device fails.
    fn base_hash(&mut self) -> Result<Hash, LearnerError> {
        Ok(base_hash(&self.base()?))
    }

    /// Replaces `b` and keeps the residual: `theta += (1 - carry) (base - b)`, `b = base`. Optimizer moments are zeroed.
    /// With `carry` 0 the residual stays what it was; a share `carry` of what the old base had and the new one lacks is
    /// added to it, to be said again.
    ///
    /// # Errors
    /// [`LearnerError::Shape`] when `base` has another length than d.
    fn restore(&mut self, base: &[i32], carry: f32) -> Result<(), LearnerError>;

    /// Loss and accuracy on the test split.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device fails.
    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError>;

    /// b0, the base that every learner of the run begins with.
    fn initial_base(&self) -> Vec<i32>;

    /// Takes all progress into the base: `b += round(theta - b)`, `theta` stays. [`fold`] is its arithmetic.
    ///
    /// # Errors
    /// [`LearnerError::NonFinite`] and [`LearnerError::Diverged`] as [`Learner::take_delta`], or a device failure.
    fn fold(&mut self) -> Result<Folded, LearnerError>;

    /// Moves the learner: `b += by`, and `theta` so that `theta - b` stays. `by` has length d.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device fails.
    fn shift(&mut self, by: &[i32]) -> Result<(), LearnerError>;

    /// Peers came, went or changed their pace: takes its share of the data, where they are dealt anew (`Gossip::deal`), and says how many samples that
    /// is; `None` of a learner whose data stay what they are.
    ///
    /// # Errors
    /// A device failure.
    fn deal(&mut self, _shares: &[Share]) -> Result<Option<u64>, LearnerError> {
        Ok(None)
    }

    /// All that it goes on from; nothing changes.
    ///
    /// # Errors
    /// [`LearnerError::Checkpoint`] of a learner that keeps none, or a device failure.
    fn save(&mut self) -> Result<Saved, LearnerError> {
        Err(LearnerError::Checkpoint("this learner keeps none".to_owned()))
    }

    /// Becomes the learner that was saved; it has taken no step before.
    ///
    /// # Errors
    /// [`LearnerError::Checkpoint`] when it is of another model, optimizer or share of the data, or a device failure.
    fn load(&mut self, _saved: &Saved) -> Result<(), LearnerError> {
        Err(LearnerError::Checkpoint("this learner keeps none".to_owned()))
    }

    /// What it knows of the edges to its neighbours, in the mode `pairwise`.
    fn replicas(&mut self) -> &mut Replicas;
}

/// Result of [`Learner::fold`].
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// The base after it.
    pub base: Vec<i32>,
    /// ||theta - b||_2 before it.
    pub norm: f32,
}

/// Result of [`Learner::train`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    /// Steps taken.
    pub steps: u32,
    /// Samples seen in them.
    pub samples: u64,
    /// Mean training loss over them, nats a sample.
    pub mean_loss: f32,
}

/// Result of [`Learner::take_delta`].
#[derive(Clone, Debug, PartialEq)]
pub struct TakenDelta {
    /// Bytes of the codec.
    pub payload: Vec<u8>,
    /// ||v||_2.
    pub l2_norm: f32,
    /// ||theta - b||_2 before anything was taken.
    pub residual_norm: f32,
    /// ||b||_2 before anything was added.
    pub base_norm: f32,
}

/// Result of [`Command::Move`].
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// What was said; its norms are those of the difference and of the base before.
    pub taken: TakenDelta,
    /// What the base has moved by.
    pub by: Vec<(usize, i32)>,
    /// The base after it.
    pub base: Vec<i32>,
}

/// Result of [`Learner::measure`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// ||theta - b||_2.
    pub residual_norm: f32,
    /// ||b||_2.
    pub base_norm: f32,
}

impl Measured {
    /// ||theta - b|| / ||b||: how far the peer is from what it has said and heard.
    #[must_use]
    pub fn drift(&self) -> f32 {
        self.residual_norm / self.base_norm.max(f32::MIN_POSITIVE)
    }
}

/// Result of [`Learner::evaluate`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy, nats a sample.
    pub loss: f32,
    /// Share of samples whose most likely class is the right one, 0 to 1.
    pub accuracy: f32,
    /// Samples looked at.
    pub samples: u64,
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LearnerError {
    /// The device was lost, ran out of memory, or refused the work.
    #[error("device: {0}")]
    Device(String),
    /// Samples that stay in a file could not be read from it.
    #[error("data: {0}")]
    Data(String),
    /// A payload did not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A vector has another length than the model.
    #[error("{found} parameters, the model has {expected}")]
    Shape {
        /// Elements given.
        found: usize,
        /// Elements of the model.
        expected: usize,
    },
    /// A checkpoint is of something else, or there can be none.
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    /// A weight moved further than one delta may say.
    #[error(
        "a weight moved by more than 32.0 between two deltas: training has diverged (try a lower learning rate or gain)"
    )]
    Diverged,
    /// The loss of a step is NaN: training has diverged.
    #[error("the loss is NaN in step {step}: training has diverged (try a lower learning rate, or clip the gradient)")]
    Loss {
        /// Which step of this learner, from 1 on.
        step: u64,
    },
    /// Weights are NaN or infinite: training has diverged.
    #[error(
        "{count} of {parameters} weights are not finite: training has diverged (try a lower learning rate or gain)"
    )]
    NonFinite {
        /// Weights that are NaN or infinite.
        count: usize,
        /// Weights in all.
        parameters: usize,
    },
}
