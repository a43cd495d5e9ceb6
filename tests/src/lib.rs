//! Harness of the integration suite: runs the real `starling` binary with a deadline on everything.
//!
//! Every process that a test starts is ended by its id when the test ends, however it ends. Network tests use loopback, or
//! namespaces that they make themselves. [`attacker`] speaks libp2p by itself: no honest peer would do what it does.

#![forbid(unsafe_code)]

pub mod attacker;
pub mod bare;
pub mod browser;
pub mod cli;
pub mod costs;
pub mod data;
pub mod documented;
pub mod fuzz;
pub mod http;
pub mod nat;
pub mod netns;
pub mod open_metrics;
pub mod peer;
pub mod process;
pub mod still;
pub mod swarm;
pub mod timed;
