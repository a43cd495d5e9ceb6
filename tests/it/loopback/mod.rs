//! Peers on loopback whose learners cost nothing or say when they do what: how fast snapshots and deltas are, and that the one
//! does not hold up the other.

mod actor;
mod bulk;
mod quick;

use std::time::Duration;

#[test]
#[ignore = "the other processes of these tests: does nothing by itself"]
fn a_process_of_the_others() {
    actor::act();
}

/// Of values in order.
fn quantile(sorted: &[Duration], q: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}
