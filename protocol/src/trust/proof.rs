//! Proof of equivocation: two deltas, both signed by one origin, that cannot be of one chain.
//!
//! ```text
//! same number, other content:       a.seq = b.seq,      hash(a) != hash(b)
//! a successor of something else:    a.seq + 1 = b.seq,  b.previous != hash(a)
//! ```
//!
//! No honest peer makes such a pair, so the proof needs no vote: whoever reads it excludes the origin from `a.seq` on. That is
//! also needed: from there on a version vector would name two different sets.

use bincode::{Decode, Encode};

use super::vote::verifies;
use crate::id::{Hash, Origin};
use crate::log::{Context, Delta, Header};

/// A delta without its payload: all that its signature needs.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Statement {
    /// What the delta says of itself.
    pub header: Header,
    /// blake3 of its payload.
    pub payload: Hash,
    /// ed25519 over the delta's hash.
    pub signature: [u8; 64],
}

impl Statement {
    fn of(delta: &Delta) -> Self {
        let signed = delta.signed();
        Self {
            header: signed.header.clone(),
            payload: Hash(*blake3::hash(&signed.payload).as_bytes()),
            signature: signed.signature,
        }
    }

    fn hash(&self, context: &Context) -> Hash {
        self.header.hash(context, &self.payload)
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
    /// Of two checked deltas; `None` when they do not contradict each other, or one has come with others and a spoiled signature.
    #[must_use]
    pub fn of(context: &Context, a: &Delta, b: &Delta) -> Option<Self> {
        let (a, b) = if a.seq() <= b.seq() { (a, b) } else { (b, a) };
        let proof = Self { a: Statement::of(a), b: Statement::of(b) };
        (proof.contradicts(context) && a.is_signed(context) && b.is_signed(context)).then_some(proof)
    }

    /// Whose.
    #[must_use]
    pub fn about(&self) -> Origin {
        self.a.header.origin
    }

    /// The first number that names two things.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.a.header.seq
    }

    /// Whether it proves what it claims.
    #[must_use]
    pub fn is_proof(&self, context: &Context) -> bool {
        self.contradicts(context)
            && [&self.a, &self.b].iter().all(|statement| {
                verifies(statement.header.origin.peer, &statement.hash(context).0, &statement.signature)
            })
    }

    fn contradicts(&self, context: &Context) -> bool {
        let (a, b) = (&self.a.header, &self.b.header);
        let hash = self.a.hash(context);
        let same = a.seq == b.seq && hash != self.b.hash(context);
        let fork = a.seq.checked_add(1) == Some(b.seq) && b.previous != hash;
        a.origin == b.origin && a.seq >= 1 && (same || fork)
    }
}
