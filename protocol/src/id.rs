//! Names of things on the wire: 32-byte keys and hashes, and what they mean.

use std::cmp::Ordering;
use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// 32 bytes of blake3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Encode, Decode)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// All zero: "nothing before this" in a chain of deltas.
    pub const ZERO: Self = Self([0; 32]);

    /// The first 4 bytes in hex, for people.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..4])
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// A peer: its ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct PeerId(pub [u8; 32]);

/// The order of the bytes. Most look-ups of the protocol compare peers, and the first eight bytes tell nearly all apart: one
/// comparison of two numbers instead of a call.
impl Ord for PeerId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.leading().cmp(&other.leading()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for PeerId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PeerId {
    fn leading(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// The first 4 bytes in hex, for people.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..4])
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// Source of a chain of deltas: a peer in one of its lives.
///
/// A peer that lost its state cannot know which sequence numbers it has used; it says its deltas under a new
/// `incarnation` (its start time), so one (origin, seq) never names two deltas of an honest peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Origin {
    /// Who.
    pub peer: PeerId,
    /// Which life of it: strictly higher than that of any earlier life. Milliseconds since the Unix epoch at start, by convention.
    pub incarnation: u64,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.peer.short(), self.incarnation)
    }
}

/// A training run: hash of the canonical job, swarm key included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct RunId(pub Hash);

/// Hash of a [`crate::schema::Schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct SchemaHash(pub Hash);

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

impl Serialize for PeerId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_hex(&text).map(Self).ok_or_else(|| serde::de::Error::custom("a peer id is 64 hex digits"))
    }
}

/// 64 hex digits as 32 bytes.
#[must_use]
pub fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let high = (pair[0] as char).to_digit(16)?;
        let low = (pair[1] as char).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(bytes)
}
