//! The port between decisions and arithmetic: [`Peer`](crate::Peer) emits a [`Command`], whoever owns a [`Learner`] calls
//! [`run`], and the result goes back in as an [`Input`](crate::Input). The node does so on a thread of its own, the
//! simulator at once with a modelled cost. Commands run in the order they were given: the version vector at the moment
//! a command was issued is the version vector of the base that it sees.

use std::fmt::Debug;
use std::sync::Arc;

use crate::codec::{Codec, CodecError, Decoded};
use crate::fixed::{CONTRIBUTION_MAX, Weight, from_f32, to_f32};
use crate::id::PeerId;
use crate::log::Delta;
use crate::mode::pairwise;
pub use crate::mode::pairwise::{Meeting, Met, Replicas, Said};

/// Which weights to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// The shared base `b`: the same on every peer that has heard the same deltas.
    Base,
    /// The peer's own training weights `theta`.
    Local,
}

/// Training weights `theta` (f32), base `b` (i32, units of 2^-24), optimizer state and data of one peer.
///
/// d is the number of parameters; `theta` starts equal to `b`.
pub trait Learner: Send {
    /// d.
    fn parameters(&self) -> usize;

    /// Takes `steps` optimizer steps on `theta`. `progress` is the number of samples that the whole swarm has trained on
    /// before them, as far as this peer has heard: what a learning-rate schedule goes by, so that who joined late is on
    /// the page of the others. It may fall, when the swarm takes out what somebody said.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device fails.
    fn train(&mut self, steps: u32, progress: u64) -> Result<Trained, LearnerError>;

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

/// Encodes a finite residual so that the decoded `v` is no longer than `norm_max`: a longer one is scaled down as a whole, and
/// the rest of it stays in the residual. `decoded` holds `v` and its contributions afterwards; returns the payload.
///
/// # Errors
/// [`LearnerError::Diverged`] when a contribution is over the cap.
pub fn encode_within(
    codec: &'static dyn Codec,
    residual: &[f32],
    weight: Weight,
    norm_max: f32,
    decoded: &mut Decoded,
) -> Result<Vec<u8>, LearnerError> {
    /// Codes and scales round, so a scaled residual may decode to something a little longer.
    const SLACK: f32 = 0.97;
    let mut payload = Vec::new();
    codec.encode(residual, &mut payload);
    let length = match codec.decode(&payload, residual.len(), weight, decoded) {
        Ok(()) => decoded.l2_norm(),
        Err(CodecError::Contribution { .. }) if norm_max < norm(residual) => norm(residual),
        Err(error) => return Err(too_far(error)),
    };
    if length <= norm_max {
        return Ok(payload);
    }
    let scale = SLACK * norm_max.max(0.0) / length;
    let shorter: Vec<f32> = residual.iter().map(|value| scale * value).collect();
    payload.clear();
    codec.encode(&shorter, &mut payload);
    codec.decode(&payload, residual.len(), weight, decoded).map_err(too_far)?;
    Ok(payload)
}

/// What a codec says of its own payload: only a contribution can be wrong with it.
fn too_far(error: CodecError) -> LearnerError {
    match error {
        CodecError::Contribution { .. } => LearnerError::Diverged,
        error => error.into(),
    }
}

/// ||values||_2.
#[must_use]
pub fn norm(values: &[f32]) -> f32 {
    values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt() as f32
}

/// The integers of [`Learner::fold`], of the residual `theta - b`.
///
/// # Errors
/// [`LearnerError::NonFinite`], or [`LearnerError::Diverged`] when one is over [`CONTRIBUTION_MAX`].
pub fn fold(residual: &[f32]) -> Result<Vec<i32>, LearnerError> {
    let count = residual.iter().filter(|value| !value.is_finite()).count();
    if count > 0 {
        return Err(LearnerError::NonFinite { count, parameters: residual.len() });
    }
    let adds: Vec<i32> = residual.iter().map(|&value| from_f32(value)).collect();
    let far = adds.iter().any(|add| add.unsigned_abs() > CONTRIBUTION_MAX.unsigned_abs());
    if far { Err(LearnerError::Diverged) } else { Ok(adds) }
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
    /// A weight moved further than one delta may say.
    #[error(
        "a weight moved by more than 32.0 between two deltas: training has diverged (try a lower learning rate or gain)"
    )]
    Diverged,
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

/// Work for a learner.
#[derive(Clone, Debug)]
pub enum Command {
    /// [`Learner::train`].
    Train {
        /// Optimizer steps.
        steps: u32,
        /// Samples of the whole swarm before them.
        progress: u64,
    },
    /// [`Learner::take_delta`].
    TakeDelta {
        /// How to encode.
        codec: &'static dyn Codec,
        /// Share that goes into the base.
        weight: Weight,
        /// ||v|| at most; what is longer is said in parts.
        norm_max: f32,
    },
    /// With groups: moves the base, and `theta` with it, by what the codec keeps of `by`, as a delta of that weight.
    Move {
        /// How to encode.
        codec: &'static dyn Codec,
        /// Weight of the delta; what is encoded is `by` over it.
        weight: Weight,
        /// How far, length d.
        by: Vec<i32>,
    },
    /// [`Learner::measure`].
    Measure,
    /// [`Learner::apply`] for each, in order.
    Apply {
        /// Deltas of other peers, validated.
        deltas: Vec<Arc<Delta>>,
    },
    /// [`Learner::retract`] for each: the swarm has excluded them.
    Retract {
        /// Deltas that were applied.
        deltas: Vec<Arc<Delta>>,
    },
    /// [`Learner::base`].
    Base,
    /// [`Learner::restore`], then [`Learner::apply`] for each of `replay`.
    Restore {
        /// The new base, length d.
        base: Vec<i32>,
        /// Deltas that this peer had and the base lacks, the peer's own among them.
        replay: Vec<Arc<Delta>>,
        /// Share of the difference of the bases that goes into the residual.
        carry: f32,
    },
    /// [`Learner::fold`].
    Fold,
    /// Mode `pairwise`: fold, and encode what the other end of an edge does not know yet.
    EdgeSay {
        /// Who is at the other end.
        edge: PeerId,
        /// Whether its replicas begin anew, from b0.
        fresh: bool,
        /// How to encode.
        codec: &'static dyn Codec,
    },
    /// Mode `pairwise`: both payloads of an exchange are known.
    EdgeMeet(Box<Meeting>),
    /// Mode `pairwise`: lets go of the replicas of an edge.
    EdgeForget {
        /// Who is at the other end.
        edge: PeerId,
    },
    /// [`Learner::evaluate`] and the hash of the base.
    Evaluate {
        /// What to look at.
        weights: Weights,
    },
}

/// What became of a [`Command`]; one for each, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Computed {
    /// Of [`Command::Train`].
    Trained(Trained),
    /// Of [`Command::TakeDelta`].
    DeltaTaken(TakenDelta),
    /// Of [`Command::Move`].
    Moved(Moved),
    /// Of [`Command::Measure`].
    Measured(Measured),
    /// Of [`Command::Apply`].
    Applied,
    /// Of [`Command::Retract`].
    Retracted,
    /// Of [`Command::Base`].
    Base(Vec<i32>),
    /// Of [`Command::Restore`].
    Restored,
    /// Of [`Command::Fold`].
    Folded,
    /// Of [`Command::EdgeSay`].
    EdgeSaid(Said),
    /// Of [`Command::EdgeMeet`].
    EdgeMet(Met),
    /// Of [`Command::EdgeForget`].
    EdgeForgotten,
    /// Of [`Command::Evaluate`].
    Evaluated {
        /// Loss and accuracy.
        evaluation: Evaluation,
        /// [`base_hash`] of `b`.
        base_hash: crate::id::Hash,
    },
    /// The command failed; the learner may not be used for training any more.
    Failed(LearnerError),
}

/// Runs one command. The caller measures how long it takes.
pub fn run(command: Command, learner: &mut dyn Learner) -> Computed {
    try_run(command, learner).unwrap_or_else(Computed::Failed)
}

fn try_run(command: Command, learner: &mut dyn Learner) -> Result<Computed, LearnerError> {
    Ok(match command {
        Command::Train { steps, progress } => Computed::Trained(learner.train(steps, progress)?),
        Command::TakeDelta { codec, weight, norm_max } => {
            Computed::DeltaTaken(learner.take_delta(codec, weight, norm_max)?)
        }
        Command::Move { codec, weight, by } => Computed::Moved(move_by(learner, codec, weight, &by)?),
        Command::Measure => Computed::Measured(learner.measure()?),
        Command::Apply { deltas } => {
            apply_all(&deltas, learner)?;
            Computed::Applied
        }
        Command::Retract { deltas } => {
            for delta in &deltas {
                learner.retract(delta.codec(), delta.weight(), delta.payload())?;
            }
            Computed::Retracted
        }
        Command::Base => Computed::Base(learner.base()?),
        Command::Restore { base, replay, carry } => {
            learner.restore(&base, carry)?;
            apply_all(&replay, learner)?;
            Computed::Restored
        }
        Command::Fold => {
            learner.fold()?;
            Computed::Folded
        }
        Command::EdgeSay { edge, fresh, codec } => Computed::EdgeSaid(pairwise::say(learner, edge, fresh, codec)?),
        Command::EdgeMeet(meeting) => Computed::EdgeMet(pairwise::meet(learner, &meeting)?),
        Command::EdgeForget { edge } => {
            learner.replicas().forget(edge);
            Computed::EdgeForgotten
        }
        Command::Evaluate { weights } => {
            let evaluation = learner.evaluate(weights)?;
            let base_hash = base_hash(&learner.base()?);
            Computed::Evaluated { evaluation, base_hash }
        }
    })
}

fn move_by(
    learner: &mut dyn Learner,
    codec: &'static dyn Codec,
    weight: Weight,
    by: &[i32],
) -> Result<Moved, LearnerError> {
    let before = learner.base()?;
    if by.len() != before.len() {
        return Err(LearnerError::Shape { found: by.len(), expected: before.len() });
    }
    let over = 1.0 / weight.as_f32();
    let way: Vec<f32> = by.iter().map(|&by| to_f32(by)).collect();
    let scaled: Vec<f32> = way.iter().map(|value| value * over).collect();
    let mut payload = Vec::new();
    codec.encode(&scaled, &mut payload);
    let mut decoded = Decoded::default();
    codec.decode(&payload, before.len(), weight, &mut decoded)?;
    learner.apply(codec, weight, &payload)?;
    let base_norm = norm(&before.iter().map(|&value| to_f32(value)).collect::<Vec<_>>());
    let taken = TakenDelta { payload, l2_norm: decoded.l2_norm(), residual_norm: norm(&way), base_norm };
    Ok(Moved { taken, by: decoded.iter().map(|(i, _, add)| (i, add)).collect(), base: learner.base()? })
}

fn apply_all(deltas: &[Arc<Delta>], learner: &mut dyn Learner) -> Result<(), LearnerError> {
    for delta in deltas {
        learner.apply(delta.codec(), delta.weight(), delta.payload())?;
    }
    Ok(())
}

/// blake3 of `b` as little-endian bytes.
#[must_use]
pub fn base_hash(base: &[i32]) -> crate::id::Hash {
    let mut hasher = blake3::Hasher::new_derive_key("starling 1 base");
    if cfg!(target_endian = "little") {
        hasher.update(bytemuck::cast_slice(base));
    } else {
        for value in base {
            hasher.update(&value.to_le_bytes());
        }
    }
    crate::id::Hash(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn residual() -> Vec<f32> {
        (0..5000).map(|i| (i as f32 * 0.7).sin() * 0.01 * (1 + i % 7) as f32).collect()
    }

    #[test]
    fn what_is_too_long_is_said_in_part_and_in_its_own_direction() {
        let residual = residual();
        for codec in codec::ALL {
            let mut whole = Decoded::default();
            let unbounded = encode_within(*codec, &residual, Weight::HALF, f32::INFINITY, &mut whole).unwrap();
            let mut payload = Vec::new();
            codec.encode(&residual, &mut payload);
            assert_eq!(unbounded, payload, "{}: no bound, no change", codec.name());
            let bound = 0.3 * whole.l2_norm();
            let mut part = Decoded::default();
            encode_within(*codec, &residual, Weight::HALF, bound, &mut part).unwrap();
            let length = part.l2_norm();
            assert!(length <= bound && length > 0.9 * bound, "{}: {length} of {bound}", codec.name());
            let inner: f32 = part.iter().map(|(i, value, _)| value * residual[i]).sum();
            assert!(inner > 0.0, "{}", codec.name());
        }
    }

    #[test]
    fn what_no_delta_could_say_is_said_in_part_too() {
        let far = vec![100.0; 64];
        let mut decoded = Decoded::default();
        let dense = &codec::DenseF32;
        let unbounded = encode_within(dense, &far, Weight::ONE, f32::INFINITY, &mut decoded);
        assert!(matches!(unbounded, Err(LearnerError::Diverged)));
        encode_within(dense, &far, Weight::ONE, 10.0, &mut decoded).unwrap();
        assert!((decoded.l2_norm() - 9.7).abs() < 0.01, "{}", decoded.l2_norm());
    }
}
