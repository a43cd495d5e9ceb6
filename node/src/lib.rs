//! The real peer and the `starling` binary: the only crate with tokio, libp2p, files and a terminal.

pub mod api;
pub mod cli;
pub mod config;
mod doctor;
pub mod driver;
pub mod error;
pub mod inference;
pub mod store;
pub mod swarm;
mod text;
pub mod worker;
