//! What starling peers say and decide. Pure: no clock, no sockets, no files, no threads, no randomness of its own.
//!
//! Every peer trains one model on its own data and tells its neighbours what changed. The shared model is a vector `b` of
//! integers (units of 2^-24), and it is **the same function of the same set of signed deltas** on every peer: integer
//! additions commute, so neither order nor path, duplication or delay can make two peers differ that heard the same.
//!
//! - [`learner`]: the port to the arithmetic. A learner holds the training weights `theta`, the base `b`, an optimizer and
//!   data. What a peer has not said yet is `theta - b`; it is stored nowhere else.
//! - [`trigger`] says when a delta is due. [`codec`] makes bytes of the residual, and integers of the bytes. [`fixed`] has
//!   the one rounding rule: `b += round(w * v)`.
//! - [`log`] holds the deltas: signed, chained by origin, named by a version vector. Gaps are asked for, duplicates cost
//!   nothing, what is too old is replaced by a snapshot.
//! - [`partner`] says with whom to compare version vectors next; that exchange mends whatever a push has missed.
//! - [`merge`] has the rules by which modes that exchange models instead of deltas make one of several.
//! - [`membership`] knows who is there and where; [`trust`] who may speak; [`wire`] the bytes of it all.
//!
//! One call drives everything: [`Peer::handle`] takes the time and an [`Input`], and leaves [`Output`]s to be carried out.
//! A node feeds it from sockets and a worker thread, the tests from a virtual network with a seeded clock: the same code,
//! to the bit.
//!
//! ```
//! use protocol::codec::TopK2Bit;
//! use protocol::id::{Hash, RunId};
//! use protocol::log::Context;
//! use protocol::schema::{Schema, Tensor};
//! use protocol::time::Time;
//! use protocol::trust::{Identity, Limits};
//! use protocol::{Config, Input, Output, Peer};
//!
//! let schema = Schema { tensors: vec![Tensor { name: "layers.0.weight".into(), shape: vec![10, 64] }] };
//! let context = Context { run: RunId(Hash([0; 32])), schema: schema.hash(), parameters: 640, codec: &TopK2Bit, limits: Limits::OFF };
//! let mut peer = Peer::new(Config::default(), context, Identity::from_seed(&[1; 32]), 1, 42);
//! peer.handle(Time(0), Input::Start);
//! while let Some(output) = peer.next_output() {
//!     if let Output::SetTimer { at, timer } = output {
//!         println!("call me at {at:?} for {timer:?}");
//!     }
//! }
//! ```
//!
//! Papers: error-fed compressed deltas after SparseLoCo (arXiv 2508.15706) and CHOCO-SGD (arXiv 1902.00340); no outer momentum and
//! local steps that follow the peer's speed after Async Local-SGD (arXiv 2401.09135); anti-entropy after Demers et al.,
//! Epidemic Algorithms for Replicated Database Maintenance (1987).

#![forbid(unsafe_code)]

mod clock;
pub mod codec;
pub mod company;
pub mod config;
pub mod event;
pub mod fixed;
pub mod id;
pub mod learner;
pub mod log;
pub mod membership;
pub mod merge;
mod mode;
pub mod partner;
mod peer;
pub mod schema;
pub mod time;
mod tokens;
pub mod trigger;
pub mod trust;
pub mod wire;

pub use config::Config;
pub use event::{Checkpoint, Event, Input, NoPlace, Output, SaveAt, Standing, Timer};
pub use mode::groups;
pub use mode::pairwise::exchange_bytes_max;
pub use peer::{Peer, View};
