//! TCP and QUIC side by side: how soon a link is there, and what it carries. Figures for docs/performance.md, so no part of the suite:
//! `cargo nextest run --workspace --run-ignored only -E 'test(ways_side_by_side) or test(ways_over_a_slow_link)' --no-capture`.

use std::process::Command;

use protocol::wire::{BasePart, SNAPSHOT_PART_BYTES};

use super::*;

/// Links that are made, one after the other.
const LINKS: u8 = 21;
/// Times that a rate is looked at.
const WINDOWS: usize = 5;
/// How long each takes, and how long the link runs before the first.
const WINDOW: Duration = Duration::from_secs(1);
/// How often the queue of a link is filled up: it holds 8 MiB of parts.
const FILL_EVERY: Duration = Duration::from_millis(2);
/// Links over [`SLOW`].
const SLOW: [&str; 3] = ["10mbit", "100mbit", "1gbit"];

fn median<T: PartialOrd + Copy>(values: &mut [T]) -> T {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

/// From the dial to the admitted link; the last of them is kept.
async fn links(a: &mut Living, listen: &str) -> (Living, Duration) {
    let mut times = Vec::new();
    for id in 1.. {
        let mut b = Living::start(10 + id, &setup(&[listen], &[])).await;
        let (to, addresses) = (a.id, vec![bare(&a.listening[0])]);
        let since = Instant::now();
        b.order(move |network| network.dial(to, &addresses));
        b.linked().await;
        times.push(since.elapsed());
        a.saw("it is there", |seen| matches!(seen, Seen::Input(Input::Connected { .. })).then_some(())).await;
        if id == LINKS {
            return (b, median(&mut times));
        }
        let peer = b.id;
        a.order(move |network| network.disconnect(peer));
    }
    unreachable!("the last one was returned");
}

/// Bytes a second of parts of a snapshot that one says and the other hears, window by window.
async fn rates(from: &Living, to: &mut Living) -> Vec<f64> {
    let (base, id) = (Arc::new(vec![1; SNAPSHOT_PART_BYTES / 4]), to.id);
    let feed = async {
        loop {
            let base = Arc::clone(&base);
            from.order(move |network| {
                let part = || Message::SnapshotPart {
                    base_hash: Hash::ZERO,
                    offset: 0,
                    bytes: BasePart::of(&base, 0..base.len()),
                };
                while network.links.get(&id).is_some_and(|up| up.queue.push(part())) {}
            });
            tokio::time::sleep(FILL_EVERY).await;
        }
    };
    // What still waits is a view of the base, which goes with this future: it is never said.
    let count = async {
        let mut rates = Vec::new();
        for _ in 0..=WINDOWS {
            let (since, mut bytes) = (Instant::now(), 0);
            while since.elapsed() < WINDOW {
                to.hears().await;
                bytes += SNAPSHOT_PART_BYTES;
            }
            rates.push(bytes as f64 / since.elapsed().as_secs_f64());
        }
        rates.split_off(1)
    };
    tokio::select! {
        () = feed => unreachable!("it goes on for ever"),
        rates = count => rates,
    }
}

#[ignore = "a measurement: see the module"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_side_by_side() {
    for listen in [TCP, QUIC] {
        let mut a = Living::start(1, &setup(&[listen], &[])).await;
        let (b, took) = links(&mut a, listen).await;
        let mut rates = rates(&b, &mut a).await;
        let rate = median(&mut rates) / 1e6;
        println!("{listen}: link in {took:.1?} (median of {LINKS}), {rate:.1} MB/s (median of {WINDOWS})");
        assert!(rate > 0.0);
    }
}

/// The same in a network of its own, whose loopback lets so much pass and has packets as a cable has. It goes with the process.
#[ignore = "a measurement: see the module"]
#[test]
fn ways_over_a_slow_link() {
    let program = std::env::current_exe().unwrap();
    for rate in SLOW {
        let within =
            "ip link set lo up mtu 1500 && tc qdisc add dev lo root tbf rate $0 burst 64kb latency 50ms && exec \"$@\"";
        let test = ["--exact", "swarm::tests::ways::ways_side_by_side", "--ignored", "--nocapture"];
        let output =
            Command::new("unshare").args(["--net", "sh", "-c", within, rate]).arg(&program).args(test).output();
        let output = output.unwrap_or_else(|error| panic!("it needs root, `unshare`, `ip` and `tc`: {error}"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said.lines().filter(|line| line.contains("MB/s")).for_each(|line| println!("tbf {rate}: {line}"));
    }
}
