//! Snapshots of large models between processes on loopback: they arrive whole, in bounded memory, and deltas do not wait for
//! them.

use std::io::{self, Read as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use harness::bare::{self, Carrier};

use super::actor::{self, Actor, Mind, Part};
use super::quantile;

/// What a bare stream and a snapshot are measured with.
const SIZES: [usize; 2] = [25_000_000, 200_000_000];
/// Deltas that a log holds: who was not there needs a snapshot.
const KEPT: usize = 4;
/// Must hold: a snapshot has so much of the rate of the best bare stream that is encrypted.
const RATE_MIN: f64 = 0.8;
/// Must hold: of the deltas that are said meanwhile 99 % are heard after so long.
const LATENCY_MAX: Duration = Duration::from_millis(250);
/// Times that each is measured.
const TURNS: usize = 3;

/// A swarm of two: one that says deltas, and one that says none and has snapshots to give.
struct Swarm {
    talker: Actor,
    giver: Actor,
    part: Part,
}

impl Swarm {
    /// Their logs hold the last `kept` deltas, and they have said more.
    fn begin(parameters: usize, says_every: Duration, kept: usize) -> Self {
        let part = talker(parameters, says_every, kept);
        let talker = Actor::peer(&part);
        let peer = Some(talker.address.clone());
        let part = Part { id: 2, step: None, peer, ..part };
        let mut giver = Actor::peer(&part);
        giver.until("more than a log holds", |giver| giver.heard.len() > 2 * kept);
        Self { talker, giver, part }
    }

    /// A newcomer that dials `peer`; returned when it has the snapshot.
    fn newcomer(&self, id: u8, peer: &str) -> Actor {
        let mut taker = Actor::peer(&Part { id, company: 1, peer: Some(peer.to_owned()), ..self.part.clone() });
        taker.until("a snapshot", |taker| taker.restored.is_some());
        taker
    }

    /// How long deltas were on their way from the one to the other since `from`, sorted.
    fn latencies(&mut self, from: u128) -> Vec<Duration> {
        self.talker.catch_up();
        self.giver.catch_up();
        let said = |seq: &u64| self.talker.said.get(seq).filter(|at| **at >= from);
        let taken = self.giver.heard.iter().filter_map(|((_, seq), heard)| Some(heard.saturating_sub(*said(seq)?)));
        let mut taken: Vec<_> = taken.map(|micros| Duration::from_micros(micros as u64)).collect();
        taken.sort_unstable();
        taken
    }
}

/// Says a delta every now and then, and keeps a few.
fn talker(parameters: usize, says_every: Duration, kept: usize) -> Part {
    // 64 of 4096 elements, 14 bits each, and a scale.
    let log_bytes = kept * (parameters.div_ceil(4096) * 114 + 1024);
    let mind = Mind::Still(parameters);
    Part { id: 1, mind, steps: 1, step: Some(says_every), log_bytes, company: 0, peer: None }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Enough that three copies are told from one.
const QUICK_PARAMETERS: usize = 6_000_000;

fn mib(parameters: usize) -> f64 {
    4.0 * parameters as f64 / f64::from(1 << 20)
}

#[test]
fn a_large_snapshot_arrives_whole_from_one_copy_while_deltas_flow() {
    let mut swarm = Swarm::begin(QUICK_PARAMETERS, Duration::from_millis(50), KEPT);
    let model = mib(QUICK_PARAMETERS);
    let at_rest = swarm.giver.process().forget_peak();
    let (from, address) = (actor::micros(), swarm.giver.address.clone());
    let mut taker = swarm.newcomer(10, &address);
    assert_eq!(taker.restored.unwrap().bytes, 4 * QUICK_PARAMETERS as u64);
    let grown = swarm.giver.process().peak_mib() - at_rest;
    assert!(grown < 2.0 * model, "the giver holds one copy of {model:.0} MiB, and took {grown:.0}");
    assert!(!swarm.latencies(from).is_empty(), "deltas pass meanwhile");
    taker.until("it hears what is said after it", |taker| taker.heard.len() > 2);
}

#[test]
fn a_snapshot_that_is_cut_off_arrives_whole_and_does_no_harm() {
    // One giver alone: nobody else could step in.
    // So slow that what is cut off is the snapshot, and not what is said before it.
    let part = talker(QUICK_PARAMETERS, Duration::from_millis(200), KEPT);
    let mut giver = Actor::peer(&part);
    giver.until("more than a log holds", |giver| giver.said.len() > 2 * KEPT);
    let through = cut_off_once(&giver.address, 2 * QUICK_PARAMETERS as u64);
    let mut taker = Actor::peer(&Part { id: 10, step: None, company: 1, peer: Some(through), ..part });
    taker.until("a snapshot", |taker| taker.restored.is_some());
    assert_eq!(taker.restored.unwrap().bytes, 4 * QUICK_PARAMETERS as u64);
    // On a busy machine the link may be back too late for that.
    let gone = taker.failed.iter().all(|reason| reason == "the giver is gone");
    assert!(gone, "it goes on where it was, or begins anew: {:?}", taker.failed);
    taker.until("it hears what is said after it", |taker| taker.heard.len() > 2);
}

/// An address that leads to that of a peer. Its first connection is cut when so many bytes have come from there.
fn cut_off_once(to: &str, bytes: u64) -> String {
    let port = to.split('/').nth(4).unwrap();
    let to: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (i, near) in listener.incoming().map_while(Result::ok).enumerate() {
            let far = TcpStream::connect(to).unwrap();
            let limit = if i == 0 { bytes } else { u64::MAX };
            let (mut far_in, mut near_out) = (far.try_clone().unwrap().take(limit), near.try_clone().unwrap());
            let (mut near_in, mut far_out) = (near, far);
            std::thread::spawn(move || io::copy(&mut near_in, &mut far_out));
            std::thread::spawn(move || {
                let _ = io::copy(&mut far_in, &mut near_out);
                let _ = near_out.shutdown(Shutdown::Both);
                let _ = far_in.into_inner().shutdown(Shutdown::Both);
            });
        }
    });
    format!("/ip4/127.0.0.1/tcp/{here}")
}

/// The named command of this file:
/// `cargo nextest run -p tests --run-ignored only rates_of_snapshots --no-capture`.
#[test]
#[ignore = "two minutes of figures, for docs/performance.md"]
fn rates_of_snapshots_and_of_bare_streams() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut missed = Vec::new();
    for bytes in SIZES {
        let says_every = Duration::from_millis(if bytes > 100_000_000 { 200 } else { 50 });
        let mut swarm = Swarm::begin(bytes / 4, says_every, KEPT);
        let mut bare_rates = vec![Vec::new(); Carrier::ALL.len()];
        let (mut rates, mut latencies, mut taker_mib) = (Vec::new(), Vec::new(), 0.0f64);
        let giver_before = swarm.giver.process().forget_peak();
        for turn in 0..TURNS {
            for (carrier, rates) in Carrier::ALL.into_iter().zip(&mut bare_rates) {
                let sink = Actor::sink(carrier);
                rates.push(runtime.block_on(bare::rate(carrier, &sink.address, bytes as u64)).unwrap());
            }
            let from = actor::micros();
            let begun = Instant::now();
            let address = swarm.giver.address.clone();
            let taker = swarm.newcomer(10 + turn as u8, &address);
            let whole = begun.elapsed();
            let found = taker.restored.unwrap();
            assert_eq!(found.bytes, bytes as u64);
            rates.push(bytes as f64 / found.fetched_in.as_secs_f64());
            taker_mib = taker_mib.max(taker.process().peak_mib());
            latencies.extend(swarm.latencies(from));
            println!(
                "  snapshot of {} MB: {:.0} MB/s, fetched in {:.3} s, confirmed {}, start of the process to restored {:.2} s",
                bytes / 1_000_000,
                rates.last().unwrap() / 1e6,
                found.fetched_in.as_secs_f64(),
                found.confirmed,
                whole.as_secs_f64()
            );
        }
        latencies.sort_unstable();
        let model_mib = mib(bytes / 4);
        let mut best = 0.0f64;
        for (carrier, rates) in Carrier::ALL.into_iter().zip(&mut bare_rates) {
            let rate = median(rates);
            println!("  bare {:<16} {:>6.0} MB/s", carrier.name(), rate / 1e6);
            if carrier != Carrier::Tcp {
                best = best.max(rate);
            }
        }
        let rate = median(&mut rates);
        println!(
            "{} MB: {:.0} MB/s, {:.0} % of the best bare stream",
            bytes / 1_000_000,
            rate / 1e6,
            100.0 * rate / best
        );
        println!(
            "  deltas meanwhile: {} of them, p50 {:.1} ms, p99 {:.1} ms",
            latencies.len(),
            quantile(&latencies, 0.5).as_secs_f64() * 1e3,
            quantile(&latencies, 0.99).as_secs_f64() * 1e3
        );
        println!(
            "  memory: model {model_mib:.0} MiB a vector; giver grew by {:.0} MiB at most; taker {taker_mib:.0} MiB at most",
            swarm.giver.process().peak_mib() - giver_before
        );
        if rate < RATE_MIN * best {
            missed.push(format!("{bytes} bytes at {:.0} % of a bare stream", 100.0 * rate / best));
        }
        if quantile(&latencies, 0.99) > LATENCY_MAX {
            missed.push(format!("beside {bytes} bytes p99 of deltas {:?}", quantile(&latencies, 0.99)));
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
