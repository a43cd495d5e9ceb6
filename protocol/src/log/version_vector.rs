//! Which deltas a peer has: per origin the length of the prefix it has applied.

use std::collections::BTreeSet;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};

use super::by_origin::ByOrigin;
use crate::id::{Hash, Origin, PeerId};

/// Origin -> highest sequence number of the gapless prefix; absent means 0. Equal version vectors name equal sets of
/// deltas, hence bit-equal bases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionVector(ByOrigin<u64>);

impl VersionVector {
    /// Nothing heard yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(ByOrigin::new())
    }

    /// Highest sequence number of `origin`, 0 when unknown.
    #[must_use]
    pub fn get(&self, origin: &Origin) -> u64 {
        self.0.get(origin).copied().unwrap_or(0)
    }

    /// Sets the entry; 0 removes it, so that equal sets have one form.
    pub fn set(&mut self, origin: Origin, seq: u64) {
        if seq == 0 {
            self.0.remove(&origin);
        } else {
            self.0.insert(origin, seq);
        }
    }

    /// Raises the entry to `seq` when it is lower.
    pub fn raise(&mut self, origin: Origin, seq: u64) {
        match self.0.get_mut(&origin) {
            Some(known) => *known = seq.max(*known),
            None => self.set(origin, seq),
        }
    }

    /// Removes these entries.
    pub(super) fn remove_all(&mut self, gone: &BTreeSet<Origin>) {
        self.0.remove_all(gone);
    }

    /// Entries in order of origin.
    pub fn iter(&self) -> impl Iterator<Item = (Origin, u64)> + '_ {
        self.0.iter().map(|(origin, &seq)| (origin, seq))
    }

    /// The lives of a peer and what is heard of each.
    pub fn lives(&self, peer: PeerId) -> impl Iterator<Item = (Origin, u64)> + '_ {
        self.0.lives(peer).map(|(origin, &seq)| (origin, seq))
    }

    /// Deltas of all lives of a peer.
    #[must_use]
    pub fn of_peer(&self, peer: PeerId) -> u64 {
        self.lives(peer).fold(0, |sum, (_, seq)| sum.saturating_add(seq))
    }

    /// Whether any delta of that peer is in the set.
    #[must_use]
    pub fn names(&self, peer: PeerId) -> bool {
        self.lives(peer).next().is_some()
    }

    /// Number of origins.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was heard.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it takes of the heap.
    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.0.room()
    }

    /// Whether every entry of `other` is reached.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(origin, seq)| self.get(&origin) >= seq)
    }

    /// Where `self` is ahead of `other`: (origin, first missing, last) in order of origin.
    pub fn ahead_of<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (Origin, u64, u64)> + 'a {
        self.iter().filter_map(|(origin, seq)| {
            let theirs = other.get(&origin);
            (seq > theirs).then_some((origin, theirs + 1, seq))
        })
    }

    /// blake3 over the entries in order: the short name of the set.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("starling 1 version vector");
        for (origin, seq) in self.iter() {
            hasher.update(&origin.peer.0);
            hasher.update(&origin.incarnation.to_le_bytes());
            hasher.update(&seq.to_le_bytes());
        }
        Hash(*hasher.finalize().as_bytes())
    }
}

impl FromIterator<(Origin, u64)> for VersionVector {
    /// The last entry of an origin counts.
    fn from_iter<I: IntoIterator<Item = (Origin, u64)>>(entries: I) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        if entries.iter().all(|(_, seq)| *seq > 0) {
            return Self(ByOrigin::of(entries));
        }
        let mut vector = Self::new();
        for (origin, seq) in entries {
            vector.set(origin, seq);
        }
        vector
    }
}

/// As a map by origin: how many, then key and value of each.
impl Encode for VersionVector {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.len() as u64).encode(encoder)?;
        self.iter().try_for_each(|entry| entry.encode(encoder))
    }
}

/// A claim of a length costs nothing before the entries are there. What names a life twice, or in another order, is in no form that anybody
/// writes: its room would be of as many places as it has entries.
impl<C> Decode<C> for VersionVector {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let claimed = u64::decode(decoder)?;
        let len = usize::try_from(claimed).map_err(|_| DecodeError::OutsideUsizeRange(claimed))?;
        decoder.claim_container_read::<(Origin, u64)>(len)?;
        let mut entries: Vec<(Origin, u64)> = Vec::new();
        for _ in 0..len {
            decoder.unclaim_bytes_read(size_of::<(Origin, u64)>());
            let entry = <(Origin, u64)>::decode(decoder)?;
            if entries.last().is_some_and(|(before, _)| *before >= entry.0) {
                return Err(DecodeError::Other("the origins of a version vector do not ascend"));
            }
            entries.push(entry);
        }
        Ok(Self(ByOrigin::of(entries)))
    }
}

impl<'de, C> BorrowDecode<'de, C> for VersionVector {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}
