//! What a peer keeps on disk.

pub mod identity;
