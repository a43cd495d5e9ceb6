//! A starling swarm on one machine.
//!
//! [`processes`] starts N real `starling` processes, each with its own identity, shard and port, lets them find each other,
//! harms them on request, waits until they agree, and collects what they say. [`report`] turns that into the numbers that a
//! person or a script looks at.
//!
//! [`virtual_swarm`] runs thousands of peers in virtual time instead, from one seed.
//!
//! Nothing here speaks the network protocol or knows a runtime: a peer is a child process, its standard output is a stream
//! of [`processes::event::ChildEvent`] lines, its standard input is the leash. Threads and bounded channels are enough.

#![forbid(unsafe_code)]

pub mod processes;
pub mod report;
pub mod virtual_swarm;
