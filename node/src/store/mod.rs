//! What a peer keeps on disk.

pub mod audit;
pub mod bounded;
pub mod checkpoint;
pub mod identity;
pub mod metrics;
pub mod tuned;
