//! The integration suite: few end-to-end tests that prove the wiring. What a lower level can show is tested there.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test fails by panicking")]

mod arrows;
mod audit;
mod bad_input;
mod bench;
mod checkpoint;
mod churn;
mod dashboard;
mod data;
mod dealing;
mod dependencies;
mod documentation;
mod faults;
mod fuzz;
mod hostile;
mod lan;
mod learnt;
mod loopback;
mod main_job;
mod memory;
mod model;
mod network;
mod orphans;
mod pairing;
mod plot;
mod predictions;
mod reach;
mod service;
mod shell;
mod stalled;
mod top;
mod twin;
mod virtual_sim;
