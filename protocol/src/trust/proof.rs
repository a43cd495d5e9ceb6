//! Proof of equivocation: two deltas, both signed by one origin, that cannot be of one chain.
//!
//! ```text
//! same number, other content:       a.seq = b.seq,      hash(a) != hash(b)
//! a successor of something else:    a.seq + 1 = b.seq,  b.previous != hash(a)
//! ```
//!
//! No honest peer makes such a pair, so the proof needs no vote: whoever reads it excludes the origin from there on. That is
//! also needed: from there on a version vector would name two different sets.
//!
//! Deltas travel in chains of which only the last one's signature is looked at (`log/chain.rs`), so an origin can say what it never signs by itself. A
//! statement therefore holds what follows up to one that is signed, of each its body: names are made of name and body, so that signature
//! speaks for all of them.
//!
//! ```text
//! name(first) = successor(first.previous, body(first));  name(next) = successor(name(before), link);  the last name is signed
//! ```
//!
//! Where the two do not even follow the same delta the fork begins further back, at a number that nobody needs to have said by itself. The
//! exclusion goes back by as many as one message holds; where that is not enough the heads still differ, and the next proof goes
//! back from there.

use std::sync::Arc;

use bincode::{Decode, Encode};

use super::vote::verifies;
use crate::id::{Hash, Origin};
use crate::log::{Context, Header, SignedDelta, successor};
use crate::wire::{DELTAS_MAX, SEQ_MAX};

/// A delta without its payload, and what its origin's signature needs to speak for it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Statement {
    /// What the delta says of itself.
    pub header: Header,
    /// blake3 of its payload.
    pub payload: Hash,
    /// Bodies ([`Header::body`]) of the deltas behind it up to the one that is signed, fewer than [`DELTAS_MAX`]; none: it is itself.
    pub links: Vec<Hash>,
    /// ed25519 over the name of the last one.
    pub signature: [u8; 64],
}

impl Statement {
    /// Of the first one of a chain, the last one of which is signed.
    fn of(context: &Context, chain: &[Arc<SignedDelta>]) -> Option<Self> {
        let (first, behind) = chain.split_first()?;
        let payload = |signed: &SignedDelta| Hash(*blake3::hash(&signed.payload).as_bytes());
        Some(Self {
            header: first.header.clone(),
            payload: payload(first),
            links: behind.iter().map(|signed| signed.header.body(context, &payload(signed))).collect(),
            signature: chain.last()?.signature,
        })
    }

    fn hash(&self, context: &Context) -> Hash {
        self.header.hash(context, &self.payload)
    }

    fn is_signed(&self, context: &Context) -> bool {
        let end = self.links.iter().fold(self.hash(context), |before, link| successor(&before, link));
        self.is_within_bounds() && verifies(self.header.origin.peer, &end.0, &self.signature)
    }

    fn is_within_bounds(&self) -> bool {
        self.links.len() < DELTAS_MAX && self.header.seq <= SEQ_MAX
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Equivocation {
    /// The earlier statement, or either one.
    pub a: Statement,
    /// The other one.
    pub b: Statement,
}

impl Equivocation {
    /// Of two chains of checked deltas, the first ones of which contradict each other and the last ones of which are signed; `None` when
    /// they do not, or are not.
    #[must_use]
    pub fn of(context: &Context, a: &[Arc<SignedDelta>], b: &[Arc<SignedDelta>]) -> Option<Self> {
        let seq = |chain: &[Arc<SignedDelta>]| chain.first().map(|first| first.header.seq);
        let (a, b) = if seq(a)? <= seq(b)? { (a, b) } else { (b, a) };
        let proof = Self { a: Statement::of(context, a)?, b: Statement::of(context, b)? };
        proof.is_proof(context).then_some(proof)
    }

    /// Whose.
    #[must_use]
    pub fn about(&self) -> Origin {
        self.a.header.origin
    }

    /// A number that names two things.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.a.header.seq
    }

    /// The first that is to be left out; see the module.
    #[must_use]
    pub fn from_seq(&self) -> u64 {
        let (a, b) = (&self.a.header, &self.b.header);
        let begins = a.seq == b.seq && a.previous == b.previous;
        if begins { a.seq } else { a.seq.saturating_sub(DELTAS_MAX as u64 - 1).max(1) }
    }

    /// Whether no number in it is beyond those that anybody says.
    #[must_use]
    pub fn is_within_bounds(&self) -> bool {
        self.a.is_within_bounds() && self.b.is_within_bounds()
    }

    /// Whether it proves what it claims.
    #[must_use]
    pub fn is_proof(&self, context: &Context) -> bool {
        self.contradicts(context) && self.a.is_signed(context) && self.b.is_signed(context)
    }

    fn contradicts(&self, context: &Context) -> bool {
        let (a, b) = (&self.a.header, &self.b.header);
        let hash = self.a.hash(context);
        let same = a.seq == b.seq && hash != self.b.hash(context);
        let fork = a.seq.checked_add(1) == Some(b.seq) && b.previous != hash;
        a.origin == b.origin && a.seq >= 1 && (same || fork)
    }
}
