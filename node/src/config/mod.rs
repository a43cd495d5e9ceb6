//! From what was typed to what is meant.
//!
//! A job comes in layers, each a [`raw::RawJob`] in which everything may be missing: flags over the file over the embedded
//! demo job (`demo.toml`: defaults are data). [`job::Job`] is the result: complete, checked, with one canonical form, whose
//! hash is the name of the run.

pub mod checks;
pub mod data;
pub mod gossip;
pub mod job;
pub mod model;
pub mod optimizer;
pub mod raw;
mod template;
pub mod weights;

pub use data::{Data, Reading};
pub use job::{Init, Job};
pub use optimizer::OptimizerKind;
pub use raw::RawJob;
pub use template::template;
