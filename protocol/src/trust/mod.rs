//! Who may speak, and what keeps a liar from spoiling the model.
//!
//! ```text
//! refuse    what breaks a bound of the job ([`Limits`]) or contradicts itself: the same answer everywhere, for ever
//! suspect   measures of how a delta differs from the others' ([`suspicion`]): a local opinion, so it refuses nothing
//! hold      after a few strikes the origin's deltas wait. Our version of it stops there, and our version vector says so
//! vote      whoever holds says so, signed ([`Vote`])
//! exclude   more than half of the living peers that may vote: a record that proves itself ([`Exclusion`]); everybody retracts, exactly
//! release   no majority in time: what waited goes in
//! ```
//!
//! A minority of liars can neither exclude an honest peer (its votes are too few) nor hold it up (votes of others never
//! cause a hold). An origin that contradicts itself needs no votes ([`Equivocation`]). Everything that is decided becomes an
//! [`audit`] record. How it all is driven stands in `mode/incremental/judge.rs`; [`admission`] is the handshake of links.
//!
//! Sources: the majority rule and its limit (fewer than half are liars) after Lamport, Shostak and Pease (1982) with signed
//! messages; retraction as the remedy because robust means (Krum, arXiv 1703.02757; trimmed means, arXiv 1803.01498) would make
//! the base depend on the order of arrival.

pub mod admission;
pub mod audit;
mod electors;
mod exclusion;
mod guard;
mod identity;
mod limits;
mod proof;
pub mod suspicion;
mod vote;

pub use exclusion::{Evidence, Exclusion, RECORDS_MAX};
pub use guard::{Account, TrustView};
pub(crate) use guard::{Guard, Taken};
pub use identity::Identity;
pub use limits::Limits;
pub use proof::{Equivocation, Statement};
pub use vote::{Reason, Vote};
