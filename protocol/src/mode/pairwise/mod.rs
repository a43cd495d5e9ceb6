//! Pairwise averaging: two peers at a time meet half-way. What a peer says in a round does not grow with the swarm.
//!
//! ```text
//! state of a peer   theta, b as everywhere; b is its own model x, equal to nobody else's
//! of an edge (a,b)  replicas h_a, h_b on both sides, equal to the bit, from b0 on
//! a round           b += round(theta - b)                            all progress is in b: fold
//!                   v_a = decode(encode(b_a - h_a)), v_b likewise    both say what the other has not heard
//!                   h_a += v_a;  h_b += v_b
//!                   t = round(gamma (h_b - h_a))                     odd rounding: the other side finds -t
//!                   b_a += t;  theta_a += t;  h_a += t;  h_b -= t    the other side: minus
//! ```
//!
//! Nothing is lost to a codec (what it leaves out is still in `b - h` and is said at the next exchange), and the sum of all
//! `b` changes by what peers have learnt and by nothing else, to the bit (modulo 2^32), as soon as both sides of every
//! exchange are done. Source: CHOCO-SGD (arXiv 1902.00340), with two differences. The replicas are of an edge and not
//! of a peer, so they may follow `t`, which both sides know: what an exchange has moved need not be said again, and its
//! codec noise does not come back through the same edge. And an edge opens with a fine codec ([`OPENING`]): a coarse one
//! would say the distance from `b0` to a trained model in noise of about that size.
//!
//! An end that has `load` exchanges on their way at once goes 2 gamma / (1 + load) of the way in each, the larger load of both
//! counting: each is a step towards another model, taken from one and the same place.
//!
//! `clipped` bounds ||t|| by a quarter of min(l_a, l_b), where l is the way that an end has gone by training alone since the last
//! exchange of this edge, said with it: nobody pulls us further than our own learning allows, whatever it claims, and what
//! others have moved us gives nobody room. The opening only gets acquainted. (After ClippedGossip, arXiv 2202.01545, whose
//! radius is made of what nobody knows.) Both sides know both, so the sum is still conserved. `coordinate_median` and `trimmed_mean` take
//! one step of gamma towards the merged replicas of all edges: robust, and the sum moves.
//!
//! - [`edge`]: the state machine of one edge. The smaller id leads: it numbers the exchanges (epoch, seq) and repeats
//!   what was not answered. The follower does its half at once, and repeats the answer when it is asked again.
//! - [`exchange`]: with whom, when, and the messages.
//! - [`replicas`]: the arithmetic, called by whoever owns the learner.
//!
//! The delta log is idle: no deltas, no version vectors, and nothing to retract. A newcomer takes a neighbour's model
//! before it trains (the snapshot of the log, with no delta in it and nobody who could be its witness).

mod edge;
mod exchange;
mod replicas;

pub(crate) use exchange::Pairs;
pub use replicas::{Meeting, Met, Replicas, Said};
pub(crate) use replicas::{meet, say};

use crate::codec::{Codec, Int8};

/// How an edge opens, unless the job's codec is as fine.
const OPENING: &dyn Codec = &Int8;

/// The codec of exchange `seq` of an edge.
pub(crate) fn codec_of(seq: u64, job: &'static dyn Codec) -> &'static dyn Codec {
    // An element of a model as large as it gets: which of the two says more of it.
    let fine = OPENING.payload_bytes_max(1 << 12) <= job.payload_bytes_max(1 << 12);
    if seq > 1 || fine { job } else { OPENING }
}

/// Largest payload of an exchange.
#[must_use]
pub fn exchange_bytes_max(parameters: usize, job: &'static dyn Codec) -> usize {
    job.payload_bytes_max(parameters).max(codec_of(1, job).payload_bytes_max(parameters))
}
