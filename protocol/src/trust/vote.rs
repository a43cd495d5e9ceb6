//! A vote: "from this number on I do not take what that origin says", signed by whoever says so.
//!
//! A vote names a *window* of the accused's own numbers: `from_seq` is the first delta that the voter holds against it,
//! `seen` the last that the voter has seen. Votes count together only where their windows overlap, so votes that were given
//! at quite different moments, about quite different deltas, can never be collected into a majority later. No clock is
//! needed for that: the accused's own chain is the clock.

use bincode::{Decode, Encode};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

use super::Identity;
use crate::id::{Origin, PeerId};
use crate::log::Context;

/// What made a peer suspicious. Never renumbered: it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Reason {
    /// ||w v|| far above that of the others.
    Norm,
    /// Far more deltas a second than the others.
    Rate,
    /// Against the common direction of the others.
    Direction,
    /// It does not move with what it hears, or claims no steps.
    Stale,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Vote {
    /// The accused.
    pub about: Origin,
    /// The first of its deltas that the voter holds against it, at least 1.
    pub from_seq: u64,
    /// The last of its deltas that the voter has seen, not below `from_seq`.
    pub seen: u64,
    /// Why.
    pub reason: Reason,
    /// Who says so.
    pub voter: PeerId,
    /// Counts the voter's votes of all its lives, upwards: the later one about an origin replaces the earlier one.
    /// By convention incarnation (milliseconds) plus a counter.
    pub at: u64,
    /// ed25519 over all of the above, run and schema.
    pub signature: [u8; 64],
}

impl Vote {
    /// Signs a vote of one's own.
    #[must_use]
    pub fn sign(
        context: &Context,
        identity: &Identity,
        about: Origin,
        window: (u64, u64),
        reason: Reason,
        at: u64,
    ) -> Self {
        let (from_seq, seen) = window;
        let mut vote = Self { about, from_seq, seen, reason, voter: identity.peer_id(), at, signature: [0; 64] };
        vote.signature = identity.key().sign(&vote.digest(context)).to_bytes();
        vote
    }

    /// Whether it is well formed and its voter's own.
    #[must_use]
    pub fn is_genuine(&self, context: &Context) -> bool {
        self.from_seq >= 1
            && self.seen >= self.from_seq
            && self.about.peer != self.voter
            && verifies(self.voter, &self.digest(context), &self.signature)
    }

    fn digest(&self, context: &Context) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("starling 2 vote");
        hasher.update(&context.run.0.0);
        hasher.update(&context.schema.0.0);
        let unsigned = Self { signature: [0; 64], ..self.clone() };
        hasher.update(&crate::wire::canonical(&unsigned));
        *hasher.finalize().as_bytes()
    }
}

/// Whether `signature` is that peer's under `digest`.
pub(super) fn verifies(peer: PeerId, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(&peer.0)
        .is_ok_and(|key| key.verify_strict(digest, &Signature::from_bytes(signature)).is_ok())
}
