//! What a learner is asked to do, what became of it, and [`run`], which does it.

use std::sync::Arc;

use super::{
    Evaluation, Learner, LearnerError, Measured, Meeting, Met, Moved, Progress, Said, Saved, Share, Take, TakenDelta,
    Trained, Weights, base_hash, norm, within_payload,
};
use crate::codec::{Codec, CodecError, Decoded};
use crate::fixed::{Weight, to_f32};
use crate::id::PeerId;
use crate::log::Delta;
use crate::mode::pairwise;

/// Work for a learner.
#[derive(Clone, Debug)]
pub enum Command {
    /// [`Learner::train`].
    Train {
        /// Optimizer steps.
        steps: u32,
        /// How far the swarm is before them.
        progress: Progress,
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
    /// [`Learner::gradient`].
    Gradient,
    /// [`Learner::base`] and its hash, made here: of a large model that takes longer than the peer may be held up.
    Snapshot,
    /// [`base_hash`] of what is no longer the learner's, without some of the deltas in it: for the same reason.
    Hash {
        /// What to hash.
        base: Vec<i32>,
        /// What to take out of it first.
        without: Vec<Arc<Delta>>,
    },
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
    /// [`Learner::deal`].
    Deal {
        /// Of everybody who trains, in the order of their ids.
        shares: Vec<Share>,
    },
    /// [`Learner::save`] and the hash of the base.
    Save,
    /// [`Learner::evaluate`] and the hash of the base.
    Evaluate {
        /// What to look at.
        weights: Weights,
    },
}

/// What became of a [`Command`]; one for each, in order, but that what is heard may have been added before steps (module).
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
    /// Of [`Command::Gradient`].
    Gradient(Option<Vec<f32>>),
    /// Of [`Command::Snapshot`].
    Snapshot {
        /// `b`, length d.
        base: Vec<i32>,
        /// Its [`base_hash`].
        base_hash: crate::id::Hash,
    },
    /// Of [`Command::Hash`].
    Hashed {
        /// What is left.
        base: Vec<i32>,
        /// Its [`base_hash`]; `None` when a payload does not decode.
        base_hash: Option<crate::id::Hash>,
    },
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
    /// Of [`Command::Deal`].
    Dealt {
        /// Our share of the data, where it is dealt.
        samples: Option<u64>,
    },
    /// Of [`Command::Save`].
    Saved {
        /// What it goes on from.
        learner: Box<Saved>,
        /// [`base_hash`] of `b`.
        base_hash: crate::id::Hash,
    },
    /// Of [`Command::Evaluate`].
    Evaluated {
        /// Loss and accuracy.
        evaluation: Evaluation,
        /// [`base_hash`](super::base_hash) of `b`.
        base_hash: crate::id::Hash,
    },
    /// The command failed; the learner may not be used for training any more.
    Failed(LearnerError),
}

/// Runs one command. The caller measures how long it takes.
pub fn run(command: Command, learner: &mut dyn Learner) -> Computed {
    try_run(command, learner).unwrap_or_else(Computed::Failed)
}

/// The same for a command and, where a device can begin on it meanwhile, the one that comes next: it is taken then. `tell` hears what became of
/// each, in their order; after a failure nothing is begun.
pub fn run_in_turn(
    command: Command,
    next: &mut Option<Command>,
    learner: &mut dyn Learner,
    tell: &mut dyn FnMut(Computed),
) {
    match (command, next.take()) {
        (Command::TakeDelta { codec, weight, norm_max }, Some(Command::Train { steps, progress })) => {
            let take = Take { codec, weight, norm_max };
            let trained =
                learner.take_delta_then_train(take, steps, progress, &mut |taken| tell(Computed::DeltaTaken(taken)));
            tell(trained.map_or_else(Computed::Failed, Computed::Trained));
        }
        (command, later) => {
            *next = later;
            tell(run(command, learner));
        }
    }
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
        Command::Gradient => Computed::Gradient(learner.gradient()?),
        Command::Snapshot => {
            let base = learner.base()?;
            let base_hash = base_hash(&base);
            Computed::Snapshot { base, base_hash }
        }
        Command::Hash { mut base, without } => {
            let base_hash = take_out(&mut base, &without).map(|()| base_hash(&base)).ok();
            Computed::Hashed { base, base_hash }
        }
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
        Command::Deal { shares } => Computed::Dealt { samples: learner.deal(&shares)? },
        Command::Save => {
            let saved = learner.save()?;
            let base_hash = base_hash(&saved.base);
            Computed::Saved { learner: Box::new(saved), base_hash }
        }
        Command::Evaluate { weights } => {
            let evaluation = learner.evaluate(weights)?;
            let base_hash = learner.base_hash()?;
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
    // What is beyond the range of a payload is said next time.
    let way: Vec<f32> = by.iter().map(|&by| within_payload(by)).collect();
    let scaled: Vec<f32> = way.iter().map(|value| value * over).collect();
    let mut payload = Vec::new();
    codec.encode(&scaled, &mut payload);
    let mut decoded = Decoded::default();
    codec.decode(&payload, before.len(), weight, &mut decoded)?;
    learner.apply(codec, weight, &payload)?;
    let base_norm = norm(before.iter().map(|&value| to_f32(value)));
    let taken = TakenDelta { payload, l2_norm: decoded.l2_norm(), residual_norm: norm(&way), base_norm };
    Ok(Moved { taken, by: decoded.iter().map(|(i, _, add)| (i, add)).collect(), base: learner.base()? })
}

/// `base -= round(w * v)` for each, to the bit.
fn take_out(base: &mut [i32], deltas: &[Arc<Delta>]) -> Result<(), CodecError> {
    let mut decoded = Decoded::default();
    for delta in deltas {
        delta.codec().decode(delta.payload(), base.len(), delta.weight(), &mut decoded)?;
        decoded.iter().for_each(|(i, _, add)| base[i] = base[i].wrapping_sub(add));
    }
    Ok(())
}

fn apply_all(deltas: &[Arc<Delta>], learner: &mut dyn Learner) -> Result<(), LearnerError> {
    for delta in deltas {
        learner.apply(delta.codec(), delta.weight(), delta.payload())?;
    }
    Ok(())
}
