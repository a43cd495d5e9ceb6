//! The arithmetic of an exchange, in integers: both sides find the same replicas and opposite transfers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::{Codec, CodecError, Decoded};
use crate::config::MergeRule;
use crate::fixed::{CONTRIBUTION_MAX, UNIT, WEIGHT_BITS, Weight, from_f32, to_f32};
use crate::id::PeerId;
use crate::learner::{Folded, Learner, LearnerError, within_payload};
use crate::merge;
use crate::wire::Part;

/// `clipped`: of what the end that has learnt less has learnt since the last exchange, a transfer is no longer than this part.
/// With 1 a single liar among the neighbours pulls as far as all our learning goes, and two pull further; with 4 it takes four
/// of them. guess between that and agreement, which wants four honest neighbours or more.
const CLIPPED_PART: u64 = 4;

/// Of every edge what both ends know of each other, `2 d` integers.
#[derive(Clone, Debug, Default)]
pub struct Replicas {
    edges: BTreeMap<PeerId, Pair>,
    /// Length of the way that the learner has gone by itself, from fold to fold, units of 2^-24.
    learnt: u64,
    decoded: Decoded,
}

#[derive(Clone, Debug)]
struct Pair {
    own: Vec<i32>,
    theirs: Vec<i32>,
    /// [`Replicas::learnt`] at our last word on this edge.
    learnt: u64,
    /// Square of the longest transfer of the rule `clipped`. It fades: peers that learn nothing more still come closer.
    most: u128,
}

/// What a learner has to say on an edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Bytes of the codec.
    pub payload: Arc<[u8]>,
    /// Way that the learner has gone by itself since it was last asked on this edge, units of 2^-24.
    pub learnt: u64,
    /// ||b||_2, the progress folded in.
    pub base_norm: f32,
}

/// The second half of an exchange: both payloads are known.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// Who is at the other end.
    pub edge: PeerId,
    /// How both payloads are encoded.
    pub codec: &'static dyn Codec,
    /// What we said.
    pub ours: Part,
    /// What they said.
    pub theirs: Part,
    /// Share of the distance that each side goes.
    pub gamma: Weight,
    /// How models are merged.
    pub merge: MergeRule,
    /// Whether it is the first exchange of the edge.
    pub opening: bool,
}

/// What came of a [`Meeting`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Met {
    /// ||h_theirs - h_own||_2 before anything was moved.
    pub distance: f32,
    /// Whether the transfer was cut to its bound.
    pub clipped: bool,
}

impl Replicas {
    /// Lets go of an edge.
    pub fn forget(&mut self, edge: PeerId) {
        self.edges.remove(&edge);
    }

    /// What both sides know of us and of them on that edge.
    #[must_use]
    pub fn of(&self, edge: PeerId) -> Option<(&[i32], &[i32])> {
        self.edges.get(&edge).map(|pair| (pair.own.as_slice(), pair.theirs.as_slice()))
    }
}

/// Folds the progress into the base, and encodes what the other end of the edge does not know of it. `fresh` begins the
/// edge anew, from b0.
pub(crate) fn say(
    learner: &mut dyn Learner,
    edge: PeerId,
    fresh: bool,
    codec: &dyn Codec,
) -> Result<Said, LearnerError> {
    let Folded { base, norm } = learner.fold()?;
    let replicas = learner.replicas();
    replicas.learnt = replicas.learnt.saturating_add((f64::from(norm) / f64::from(UNIT)) as u64);
    if fresh || learner.replicas().of(edge).is_none() {
        let start = learner.initial_base();
        let pair = Pair { own: start.clone(), theirs: start, learnt: 0, most: 0 };
        learner.replicas().edges.insert(edge, pair);
    }
    let replicas = learner.replicas();
    let total = replicas.learnt;
    let Some(pair) = replicas.edges.get_mut(&edge) else {
        return Err(LearnerError::Shape { found: 0, expected: base.len() }); // It was put there just now.
    };
    let learnt = total - std::mem::replace(&mut pair.learnt, total).min(total);
    let own = &pair.own;
    // What is beyond the range of a payload is said at the next exchange.
    let unsaid: Vec<f32> = base.iter().zip(own).map(|(&base, &own)| within_payload(base.wrapping_sub(own))).collect();
    let mut payload = Vec::new();
    codec.encode(&unsaid, &mut payload);
    let square: f64 = base.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    Ok(Said { payload: payload.into(), learnt, base_norm: (square.sqrt() * f64::from(UNIT)) as f32 })
}

/// Takes both payloads into the replicas, and moves the learner towards the other end.
pub(crate) fn meet(learner: &mut dyn Learner, meeting: &Meeting) -> Result<Met, LearnerError> {
    let replicas = learner.replicas();
    let Some(pair) = replicas.edges.get_mut(&meeting.edge) else {
        // Forgotten in between: whoever drops an edge drops its exchanges.
        return Ok(Met { distance: 0.0, clipped: false });
    };
    let decoded = &mut replicas.decoded;
    hear(meeting.codec, &meeting.ours.payload, &mut pair.own, decoded)?;
    hear(meeting.codec, &meeting.theirs.payload, &mut pair.theirs, decoded)?;
    let learnt = meeting.ours.learnt.min(meeting.theirs.learnt) / CLIPPED_PART;
    pair.most = if meeting.opening { 0 } else { u128::from(learnt).pow(2).max(pair.most / 16 * 15) };
    let most = pair.most;
    let distance =
        pair.own.iter().zip(&pair.theirs).map(|(&own, &theirs)| (f64::from(theirs) - f64::from(own)).powi(2));
    let distance = (distance.sum::<f64>().sqrt() * f64::from(UNIT)) as f32;
    let conserving = matches!(meeting.merge, MergeRule::Average | MergeRule::Clipped);
    if !conserving {
        let by = towards_merged(learner, meeting)?;
        learner.shift(&by)?;
        return Ok(Met { distance, clipped: false });
    }
    let mut by: Vec<i32> = pair.own.iter().zip(&pair.theirs).map(|(&a, &b)| transfer(meeting.gamma, a, b)).collect();
    let mut clipped = false;
    if meeting.merge == MergeRule::Clipped {
        clipped = clip(&mut by, most);
    }
    for ((own, theirs), &by) in pair.own.iter_mut().zip(&mut pair.theirs).zip(&by) {
        *own = own.wrapping_add(by);
        *theirs = theirs.wrapping_sub(by);
    }
    learner.shift(&by)?;
    Ok(Met { distance, clipped })
}

/// Adds a payload to a replica.
fn hear(codec: &dyn Codec, payload: &[u8], replica: &mut [i32], decoded: &mut Decoded) -> Result<(), CodecError> {
    codec.decode(payload, replica.len(), Weight::ONE, decoded)?;
    for (i, _, add) in decoded.iter() {
        replica[i] = replica[i].wrapping_add(add);
    }
    Ok(())
}

/// `round(gamma (theirs - own))`, at most [`CONTRIBUTION_MAX`] either way: the other side finds the opposite, to the bit.
fn transfer(gamma: Weight, own: i32, theirs: i32) -> i32 {
    scaled(gamma.raw(), i64::from(theirs) - i64::from(own))
}

/// `round(share * by)` with a share in units of 2^-16, ties away from zero.
fn scaled(share: u32, by: i64) -> i32 {
    let magnitude = (by.unsigned_abs() * u64::from(share) + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS;
    let magnitude = i32::try_from(magnitude).unwrap_or(i32::MAX).min(CONTRIBUTION_MAX);
    if by < 0 { -magnitude } else { magnitude }
}

/// Scales a transfer down until the square of its length is at most `most`; whether that was needed. Sums are exact
/// and square roots correctly rounded, so both sides find one factor.
fn clip(by: &mut [i32], most: u128) -> bool {
    let square: u128 = by.iter().map(|&by| u128::from(by.unsigned_abs()).pow(2)).sum();
    if square <= most {
        return false;
    }
    let share = ((most as f64 / square as f64).sqrt() * f64::from(Weight::ONE.raw())) as u32;
    by.iter_mut().for_each(|by| *by = scaled(share, i64::from(*by)));
    true
}

/// One step of gamma towards our model merged with what all edges know of their other ends.
fn towards_merged(learner: &mut dyn Learner, meeting: &Meeting) -> Result<Vec<i32>, LearnerError> {
    let base = learner.base()?;
    let floats = |values: &[i32]| values.iter().map(|&value| to_f32(value)).collect::<Vec<f32>>();
    let others: Vec<Vec<f32>> = learner.replicas().edges.values().map(|pair| floats(&pair.theirs)).collect();
    let others: Vec<&[f32]> = others.iter().map(Vec::as_slice).collect();
    let mut merged = Vec::new();
    let outcome = merge::of(meeting.merge).merge(&floats(&base), &others, &mut merged);
    // All are of one length and finite: they come from integers.
    debug_assert_eq!(outcome, Ok(()));
    let step = |(&own, &to): (&i32, &f32)| transfer(meeting.gamma, own, from_f32(to));
    Ok(if outcome.is_ok() { base.iter().zip(&merged).map(step).collect() } else { vec![0; base.len()] })
}
