//! What must hold after every command of every learner, whatever the network does.
//!
//! The account is the simulator's own: it watches which deltas each learner was given and never asks the peer.
//!
//! - **once**: per origin the deltas of a base are a gapless prefix; none is applied twice or out of order.
//! - **equal**: two learners that were given one set of deltas hold one base, to the bit.
//! - **kept**: what an optimizer did is what was said of it plus what is still to be said (quadratic learner).
//! - **finite**: no weight is NaN or infinite.
//! - **bounded**: log and command queue stay within their limits.

use std::collections::BTreeMap;

use protocol::id::{Hash, Origin};
use protocol::log::VersionVector;
use serde::{Deserialize, Serialize};

/// Most violations that are kept; the first one is the one to look at.
const VIOLATIONS_MAX: usize = 32;
/// Sets of deltas whose base hash is remembered.
const SETS_MAX: usize = 1 << 20;
/// Snapshots that are remembered.
const SNAPSHOTS_MAX: usize = 4096;
/// Commands in a learner's queue.
pub(super) const COMMANDS_MAX: usize = 64;
/// How far the account of a quadratic learner may be off: the rounding of f32 weights.
pub(super) const UNACCOUNTED_MAX: f64 = 2e-3;

/// Something that must not happen did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Number of the event after which it was seen: what `--until` takes.
    pub event: u64,
    /// Virtual time, microseconds.
    pub at_us: u64,
    /// Number of the peer.
    pub peer: u32,
    /// What.
    pub what: String,
}

/// Which deltas are in a base, as the simulator saw them go in.
#[derive(Clone, Debug, Default)]
pub(super) struct Applied {
    pub(super) heard: VersionVector,
    /// Sum over the set of the names of its deltas: one number for one set, whatever the order.
    sum: u128,
    /// Whether any was taken out again.
    pub(super) retracted: bool,
}

/// A name of a delta for [`Applied::sum`].
fn name(origin: Origin, seq: u64) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&origin.peer.0);
    hasher.update(&origin.incarnation.to_le_bytes());
    hasher.update(&seq.to_le_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    u128::from_le_bytes(bytes)
}

impl Applied {
    /// A delta goes into the base; `Err` when it is not the next of its origin.
    pub(super) fn add(&mut self, origin: Origin, seq: u64) -> Result<(), String> {
        let before = self.heard.get(&origin);
        self.heard.set(origin, seq);
        self.sum = self.sum.wrapping_add(name(origin, seq));
        if seq == before + 1 {
            return Ok(());
        }
        Err(format!("delta {seq} of {origin:?} was applied after number {before}: once, in order, without gaps"))
    }

    /// A delta is taken out again; `Err` when it was not in.
    pub(super) fn remove(&mut self, origin: Origin, seq: u64) -> Result<(), String> {
        let last = self.heard.get(&origin);
        self.retracted = true;
        if seq > last && self.sum != 0 && !self.heard.is_empty() && last == 0 {
            return Err(format!("delta {seq} of {origin:?} was retracted and is not in the base"));
        }
        self.heard.set(origin, last.min(seq - 1));
        self.sum = self.sum.wrapping_sub(name(origin, seq));
        Ok(())
    }

    /// The name of the set.
    pub(super) fn hash(&self) -> Hash {
        self.heard.hash()
    }
}

/// The account over all peers of a run.
#[derive(Debug, Default)]
pub(super) struct Account {
    bases: BTreeMap<u128, Hash>,
    snapshots: BTreeMap<Hash, Applied>,
    pub(super) violations: Vec<Violation>,
    pub(super) count: u64,
}

impl Account {
    pub(super) fn violate(&mut self, event: u64, at_us: u64, peer: u32, what: String) {
        self.count += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { event, at_us, peer, what });
        }
    }

    /// A base with these deltas has this hash; `Err` when an equal set had another.
    pub(super) fn base(&mut self, applied: &Applied, hash: Hash) -> Result<(), String> {
        if self.bases.len() >= SETS_MAX {
            self.bases.clear();
        }
        let known = *self.bases.entry(applied.sum).or_insert(hash);
        if known == hash {
            return Ok(());
        }
        Err(format!("one set of {} origins, two bases: {} and {}", applied.heard.len(), known.short(), hash.short()))
    }

    /// A base was read out: if it travels, whoever restores it has these deltas.
    pub(super) fn read_out(&mut self, hash: Hash, applied: &Applied) {
        if self.snapshots.len() >= SNAPSHOTS_MAX {
            self.snapshots.pop_first();
        }
        self.snapshots.insert(hash, applied.clone());
    }

    /// The deltas of a base that was read out somewhere.
    pub(super) fn restored(&self, hash: Hash) -> Option<Applied> {
        self.snapshots.get(&hash).cloned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use protocol::id::PeerId;

    use super::*;

    fn origin(byte: u8) -> Origin {
        Origin { peer: PeerId([byte; 32]), incarnation: 1 }
    }

    #[test]
    fn twice_and_gaps_are_seen_and_order_between_origins_is_free() {
        let mut a = Applied::default();
        let mut b = Applied::default();
        for (origin_number, seq) in [(1, 1), (2, 1), (1, 2)] {
            a.add(origin(origin_number), seq).unwrap();
        }
        for (origin_number, seq) in [(1, 1), (1, 2), (2, 1)] {
            b.add(origin(origin_number), seq).unwrap();
        }
        assert_eq!(a.sum, b.sum);
        assert!(a.clone().add(origin(1), 2).is_err(), "twice");
        assert!(a.add(origin(1), 4).is_err(), "a gap");
    }

    #[test]
    fn one_set_has_one_base() {
        let mut account = Account::default();
        let mut set = Applied::default();
        set.add(origin(1), 1).unwrap();
        account.base(&set, Hash([1; 32])).unwrap();
        account.base(&set, Hash([1; 32])).unwrap();
        assert!(account.base(&set, Hash([2; 32])).is_err());
    }
}
