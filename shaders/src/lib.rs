//! Everything that computes.
//!
//! [`kernels`] are written twice, in WGSL and in plain Rust; an [`engine`] runs a recording of them on a GPU or on the CPU.
//! [`layers`], [`models`] and [`optim`] append kernels to a recording; all weights lie in one flat buffer, so optimizer,
//! residual and scatter-add are single dispatches. [`data`] holds the data sets and splits them; the [`learner`] puts it all
//! behind `protocol::learner::Learner`. [`predict`] asks a trained model. [`bench`] measures all of it.

pub mod bench;
pub mod data;
pub mod engine;
pub mod kernels;
pub mod layers;
pub mod learner;
pub mod models;
pub mod optim;
pub mod predict;
pub mod step;
pub mod wgsl;

pub use learner::{
    Again, Dealt, DeviceKind, Footprint, Holds, LearnerSpec, Life, Misfit, Recovered, Recovery, Reopen, Room,
    TrainingLearner,
};
