//! A peer's signing key.

use std::fmt;

use ed25519_dalek::SigningKey;

use crate::id::PeerId;

/// An ed25519 key pair: the name of a peer, and its signature under every delta. The same key authenticates its links.
pub struct Identity(SigningKey);

impl Identity {
    /// The identity of a 32-byte ed25519 seed. dalek wipes it on drop.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Its public key.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        PeerId(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.peer_id().short())
    }
}
