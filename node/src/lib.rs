//! The real peer and the `starling` binary: the only crate with tokio, libp2p, files and a terminal.

#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
pub mod config;
mod doctor;
pub mod driver;
pub mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod inference;
mod platform;
#[cfg(test)]
mod reference;
pub mod store;
pub mod swarm;
mod text;
pub mod worker;
