//! How progress is shared: one room a mode. `incremental`, the delta log, is the default; `full_sync` puts rounds with a
//! barrier on the same log; `pairwise`
//! has no log, and lets two peers at a time meet half-way; `groups` joins several logs where one would be too much to hear. Their names and the job key are [`crate::config::Mode`].

pub(crate) mod full_sync;
pub mod groups;
pub(crate) mod incremental;
pub(crate) mod pairwise;

pub use incremental::{GRADIENT_PARAMETERS_MAX, Gradient, Shown};
