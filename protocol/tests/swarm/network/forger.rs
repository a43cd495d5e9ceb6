//! A member that offers a base of its own making.

use std::sync::Arc;

use protocol::id::PeerId;
use protocol::learner;
use protocol::log::{Head, VersionVector};
use protocol::wire::{BasePart, Message, SNAPSHOT_PART_BYTES, SnapshotHead};

use super::Network;

/// A member that makes up a base: what it says of its set, and its snapshot.
pub struct Forger {
    pub id: PeerId,
    /// Set in its digests and heads beside all that is true, or in its place.
    pub claims: Head,
    pub base: Vec<i32>,
    /// All that it has told anybody lately.
    heard: VersionVector,
}

impl Forger {
    pub fn new(id: PeerId, claims: Head, base: Vec<i32>) -> Self {
        Self { id, claims, base, heard: VersionVector::new() }
    }
}

impl Network {
    /// What the forger says in place of that; nothing: it is no forger's.
    pub(super) fn forge(&mut self, from: PeerId, to: PeerId, message: &Message) -> Option<Vec<(PeerId, Message)>> {
        let Forger { id, claims, base, heard } = self.forger.as_mut()?;
        let name = learner::base_hash(base);
        match message {
            Message::Digest { heard: told, excluded, answer, .. } if from == *id => {
                heard.clone_from(told);
                let mut told = told.clone();
                told.raise(claims.origin, claims.seq);
                let (excluded, answer) = (excluded.clone(), *answer);
                // Who says no marks is compared with nobody.
                let (salt, marks) = (0, Vec::new());
                let digest = Message::Digest { heard: told, excluded, salt, marks, base_hash: None, answer };
                Some(vec![(to, digest), (to, Message::SnapshotOffer { bytes: 4 * base.len() as u64 })])
            }
            Message::SnapshotAsk if to == *id => {
                let mut heads = self.nodes[id].peer.heads_at(heard)?;
                heads.retain(|head| head.origin != claims.origin);
                heads.push(*claims);
                heads.sort_by_key(|head| head.origin);
                let (parameters, exclusions) = (base.len() as u64, Vec::new());
                let head = SnapshotHead { base_hash: name, parameters, heads, exclusions };
                Some(vec![(from, Message::SnapshotHead(head))])
            }
            Message::SnapshotWant { base_hash, offset } if to == *id && *base_hash == name => {
                let start = *offset as usize / 4;
                let bytes = BasePart::of(&Arc::new(base.clone()), start..start + SNAPSHOT_PART_BYTES / 4);
                Some(vec![(from, Message::SnapshotPart { base_hash: name, offset: *offset, bytes })])
            }
            _ => None,
        }
    }
}
