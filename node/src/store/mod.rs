//! What a peer keeps on disk.

pub mod bounded;
pub mod identity;
pub mod tuned;
