//! Incremental asynchronous averaging: the delta log (DESIGN section 2).
//!
//! ```text
//! train           theta -= optimizer step                                            schedule.rs
//! when it is time asked of the trigger: by default every H steps                     when.rs
//! then            v = decode(encode(theta - b));  b += round(w v);  theta -= v - round(w v)
//!                 w = min(gain / live_peers, 1/2); sign, log, push to the neighbours say.rs
//! loss up         a smaller gain until it is down again                              brake.rs
//! on a delta      check, log, b += round(w v), theta += round(w v)                   hear.rs
//!                 offer it to neighbours that do not hear its origin themselves
//! every second    compare version vectors with one partner, send what it lacks       anti_entropy.rs
//! two of a number find who says one thing here and another there                     forks.rs
//! too far behind  take a snapshot: base, and the head of every chain                 snapshot.rs
//! believe it      when a second peer finds the same base for the same deltas            witness.rs
//! liars           suspect, hold, vote, exclude and retract                            judge.rs
//! restraint       an honest peer says nothing that would make others suspicious      restraint.rs
//! to be looked at a copy of the base, a pause                                     show.rs
//! checkpoints     where a peer stands, and how it goes on from there                 checkpoint.rs
//! first and last  wait for company, catch up, begin; agree, evaluate, stop           session.rs
//! ```
//!
//! Training never waits for any of this: the schedule keeps the learner's queue filled with the next stretch of steps,
//! and deltas are applied between stretches.

mod ahead;
#[cfg(test)]
pub(crate) mod alone;
mod anti_entropy;
mod brake;
mod checkpoint;
mod evaluate;
mod forks;
mod hear;
mod judge;
mod moved;
mod restraint;
mod say;
mod schedule;
mod session;
mod show;
mod snapshot;
mod speed;
mod when;
mod witness;

pub(crate) use anti_entropy::Digest;
pub(crate) use checkpoint::Saving;
pub use checkpoint::{Checkpoint, NoPlace, SaveAt, Standing};
pub(crate) use forks::Forks;
pub(crate) use hear::Offers;
pub(crate) use judge::TakenBack;
pub(crate) use restraint::Restraint;
pub(crate) use schedule::{Pending, Schedule};
pub(crate) use session::Session;
pub use show::{GRADIENT_PARAMETERS_MAX, Gradient, Shown};
pub(crate) use snapshot::Snapshots;
pub(crate) use witness::Witness;

/// Bytes of deltas that one message is answered with; what remains goes with the next exchange.
pub(crate) const REPLY_BYTES_MAX: usize = 1 << 20;
