//! How soon a newcomer hears its first delta, and how soon a delta is in every base.

use std::time::{Duration, Instant};

use super::actor::{Actor, Mind, Part};
use super::quantile;

/// Peers that hear each other.
const PEERS: usize = 4;
/// Deltas that are looked at.
const DELTAS: usize = 60;
/// Must hold: of the deltas of [`DELTAS`] 95 % are in every base after so long.
const EVERYWHERE_MAX: Duration = Duration::from_millis(150);
/// Must hold: a newcomer has heard a delta so long after the start of its process.
const NEWCOMER_MAX: Duration = Duration::from_millis(1500);
/// Log of deltas: all of them.
const LOG_BYTES: usize = 64 << 20;

/// Starts peers that begin when all are there.
fn together(mind: Mind, steps: u32, step: Duration) -> Vec<Actor> {
    let company = PEERS - 1;
    let part = Part { id: 1, mind, steps, step: Some(step), log_bytes: LOG_BYTES, company, peer: None };
    let mut peers = vec![Actor::peer(&part)];
    for id in 2..=PEERS as u8 {
        let peer = Some(peers[0].address.clone());
        peers.push(Actor::peer(&Part { id, peer, ..part.clone() }));
    }
    peers
}

/// From when a learner had taken a delta to when the last of the other three had applied it, sorted.
fn latencies(peers: &mut [Actor], at_least: usize) -> Vec<Duration> {
    let last = peers.len() - 1;
    peers[last].until("deltas", |peer| peer.applied.len() >= at_least);
    peers.iter_mut().for_each(Actor::catch_up);
    let mut found = Vec::new();
    for (i, origin) in peers.iter().enumerate() {
        for (hash, took) in &origin.took {
            let others = peers.iter().enumerate().filter(|(j, _)| *j != i);
            let applied: Option<Vec<u128>> = others.map(|(_, peer)| peer.applied.get(hash).copied()).collect();
            if let Some(last) = applied.and_then(|applied| applied.into_iter().max()) {
                found.push(Duration::from_micros(last.saturating_sub(*took) as u64));
            }
        }
    }
    found.sort_unstable();
    found
}

/// `cargo nextest run -p tests --run-ignored only how_soon --no-capture`.
#[test]
#[ignore = "a minute of figures, for docs/performance.md"]
fn how_soon_a_delta_is_in_every_base() {
    // 64 * 2500 + 2500 * 2500 + 2500 * 10, and biases: 6.4 million parameters.
    let mut late = Vec::new();
    for (name, mind, steps, step) in [
        // A learner in a step applies nothing: these are short, and a delta comes with every 25th.
        ("still", Mind::Still(6_500_000), 25, Duration::from_millis(20)),
        ("training, batches of 32", Mind::Trains(2500), 4, Duration::ZERO),
    ] {
        let mut peers = together(mind, steps, step.max(Duration::from_micros(1)));
        let found = latencies(&mut peers, DELTAS);
        println!(
            "{name}: {} deltas of {PEERS} peers, in every base after p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms",
            found.len(),
            quantile(&found, 0.5).as_secs_f64() * 1e3,
            quantile(&found, 0.95).as_secs_f64() * 1e3,
            quantile(&found, 0.99).as_secs_f64() * 1e3
        );
        if quantile(&found, 0.95) > EVERYWHERE_MAX {
            late.push(name);
        }
    }
    assert!(late.is_empty(), "p95 is over {EVERYWHERE_MAX:?}: {late:?}");
}

#[test]
#[ignore = "half a minute of figures, for docs/performance.md"]
fn how_soon_a_newcomer_hears_its_first_delta() {
    let part = Part {
        id: 1,
        mind: Mind::Trains(32),
        steps: 4,
        step: Some(Duration::from_micros(1)),
        log_bytes: LOG_BYTES,
        company: 0,
        peer: None,
    };
    let first = Actor::peer(&part);
    let mut found = Vec::new();
    for id in 10..30 {
        let begun = Instant::now();
        let mut newcomer = Actor::peer(&Part { id, company: 1, peer: Some(first.address.clone()), ..part.clone() });
        newcomer.until("a delta", |newcomer| !newcomer.heard.is_empty());
        found.push(begun.elapsed());
    }
    found.sort_unstable();
    println!(
        "from the start of a process to the first delta heard: p50 {:.0} ms, p95 {:.0} ms, most {:.0} ms",
        quantile(&found, 0.5).as_secs_f64() * 1e3,
        quantile(&found, 0.95).as_secs_f64() * 1e3,
        found[found.len() - 1].as_secs_f64() * 1e3
    );
    assert!(found[found.len() - 1] <= NEWCOMER_MAX, "{found:?}");
}
