//! What a device does, measured: every kernel beside its reference ([`kernels`]; `cargo bench -p shaders --bench kernels`), and the
//! few figures that say how good a device is to train on ([`figures`]; `starling device bench`).
//!
//! A reference is measured in the same run on the same machine: another product or copy next to it says more than a number from
//! another day. Every measurement has a budget of time and is estimated before it is tried, so that the same command ends in time
//! on a data-centre GPU and on a driver that computes on the CPU.

pub mod clock;
pub mod figures;
pub mod gossip;
pub mod kernels;
pub mod models;
mod shapes;
