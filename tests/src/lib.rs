//! Harness of the integration suite: runs the real `starling` binary with a deadline on everything.
//!
//! Every process that a test starts is ended by its id when the test ends, however it ends. Network tests use loopback, or
//! namespaces that they make themselves.

pub mod browser;
pub mod cli;
pub mod data;
pub mod http;
pub mod nat;
pub mod netns;
pub mod peer;
pub mod process;
pub mod swarm;
