//! The audit log: what a peer decided about others, each record chained to the one before by its hash.
//!
//! The core makes the records ([`crate::Output::Audit`]); where they are kept is the driver's business. Deltas that are accepted
//! are gathered: one record an origin and ten seconds, and 32 in all, so that the log's volume does not grow with the swarm's speed and size.

use bincode::{Decode, Encode};

use crate::id::{Hash, Origin, RunId};
use crate::time::Time;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Act {
    /// Deltas up to `seq` went into the base, `count` of them since the last such record.
    Accept,
    /// A delta was refused.
    Reject,
    /// Deltas from `seq` on wait.
    Hold,
    /// The wait is over without a majority; what waited goes in.
    Release,
    /// A vote was signed by us.
    Vote,
    /// The swarm leaves out the origin from `seq` on.
    Exclude,
    /// `count` deltas from `seq` on were taken out of the base.
    Retract,
    /// The origin contradicted itself at `seq`.
    Equivocation,
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// 0, 1, 2, ...
    pub index: u64,
    /// When, microseconds of the peer's own time.
    pub at: u64,
    /// What.
    pub what: Act,
    /// About whom.
    pub who: Origin,
    /// Which delta; see [`Act`].
    pub seq: u64,
    /// How many deltas.
    pub count: u64,
    /// Why, for people.
    pub reason: String,
    /// Hash of the record before; of the first one [`genesis`].
    pub previous: Hash,
    /// Hash of all of the above.
    pub hash: Hash,
}

impl Record {
    fn digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("starling 2 audit record");
        hasher.update(&crate::wire::canonical(&Self { hash: Hash::ZERO, ..self.clone() }));
        Hash(*hasher.finalize().as_bytes())
    }
}

/// What the first record of a peer in a run is chained to.
#[must_use]
pub fn genesis(run: RunId, author: Origin) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("starling 2 audit");
    hasher.update(&run.0.0);
    hasher.update(&author.peer.0);
    hasher.update(&author.incarnation.to_le_bytes());
    Hash(*hasher.finalize().as_bytes())
}

/// The end of a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    next: u64,
    head: Hash,
}

/// What a record says, before it is chained.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) what: Act,
    pub(crate) who: Origin,
    pub(crate) seq: u64,
    pub(crate) count: u64,
    pub(crate) reason: String,
}

impl Chain {
    pub(crate) fn new(genesis: Hash) -> Self {
        Self { next: 0, head: genesis }
    }

    pub(crate) fn append(&mut self, at: Time, entry: Entry) -> Record {
        let Entry { what, who, seq, count, reason } = entry;
        let (index, previous) = (self.next, self.head);
        let mut record = Record { index, at: at.0, what, who, seq, count, reason, previous, hash: Hash::ZERO };
        record.hash = record.digest();
        self.next += 1;
        self.head = record.hash;
        record
    }
}

/// Why a chain is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A record is missing or out of place.
    #[error("record {found} stands where record {expected} belongs")]
    Index {
        /// Index that belongs there.
        expected: u64,
        /// Index found.
        found: u64,
    },
    /// A record does not follow from the one before it.
    #[error("record {0} is not chained to the record before it")]
    Previous(u64),
    /// A record was altered.
    #[error("record {0} does not match its hash")]
    Hash(u64),
}

/// Checks a chain from its first record on. Returns the hash of the last one: whoever wrote that down elsewhere also knows
/// that nothing was cut off at the end.
///
/// # Errors
/// [`ChainError`] for the first record that is wrong.
pub fn verify<'a>(genesis: Hash, records: impl IntoIterator<Item = &'a Record>) -> Result<Hash, ChainError> {
    let mut head = genesis;
    for (expected, record) in (0u64..).zip(records) {
        if record.index != expected {
            return Err(ChainError::Index { expected, found: record.index });
        }
        if record.previous != head {
            return Err(ChainError::Previous(expected));
        }
        if record.hash != record.digest() {
            return Err(ChainError::Hash(expected));
        }
        head = record.hash;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;

    #[test]
    fn whatever_is_altered_moved_or_left_out_shows() {
        let who = Origin { peer: PeerId([1; 32]), incarnation: 2 };
        let start = genesis(RunId(Hash([3; 32])), who);
        let mut chain = Chain::new(start);
        let entry = |seq| Entry { what: Act::Accept, who, seq, count: 1, reason: String::new() };
        let records: Vec<_> = (1..=4).map(|seq| chain.append(Time(seq), entry(seq))).collect();
        assert_eq!(verify(start, &records), Ok(records[3].hash));
        assert_eq!(verify(Hash::ZERO, &records), Err(ChainError::Previous(0)));
        let altered = |alter: fn(&mut Vec<Record>)| {
            let mut copy = records.clone();
            alter(&mut copy);
            verify(start, &copy)
        };
        assert_eq!(altered(|r| r[1].count = 9), Err(ChainError::Hash(1)));
        assert_eq!(altered(|r| drop(r.remove(1))), Err(ChainError::Index { expected: 1, found: 2 }));
        assert_eq!(altered(|r| r.swap(2, 3)), Err(ChainError::Index { expected: 2, found: 3 }));
        let forged = altered(|r| {
            r[1].count = 9;
            r[1].hash = r[1].digest();
        });
        assert_eq!(forged, Err(ChainError::Previous(2)));
    }
}
