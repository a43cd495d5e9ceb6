//! What a peer keeps on disk.

pub mod audit;
pub mod bounded;
pub mod identity;
pub mod tuned;
