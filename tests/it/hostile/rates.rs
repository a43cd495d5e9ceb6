//! What attacks cost those who train: rates beside a clean run. Figures, so not part of the suite:
//! `cargo nextest run -p tests --run-ignored only honest_peers_keep --no-capture`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use harness::attacker::{enter, frame, runtime};
use protocol::trust::admission::SwarmKey;
use protocol::wire::Message;
use tokio::task::JoinSet;

use super::place::{Cost, Place, seed};
use super::{MEMORY_MIB_MAX, draw, forged};

/// Each run.
const WINDOW: Duration = Duration::from_secs(10);
/// The attacker's rate.
const FRAMES_PER_SECOND: u32 = 100_000;
/// Of one who keeps to what one may say: three quarters of it.
const DELTAS_PER_SECOND: u32 = 15_000;
/// Must hold: of the steps of a clean run.
const STEPS_MIN: f64 = 0.7;
/// Must hold where only slow readers attack: of the deltas of a clean run.
const GOSSIP_MIN: f64 = 0.9;

/// Steps and heard deltas a second, of all peers together.
fn rates(place: &mut Place) -> (f64, f64) {
    let look = |place: &mut Place| {
        let mut sums = (0, 0);
        for peer in &mut place.peers {
            let until = Instant::now() + Duration::from_millis(700);
            // Told twice a second.
            while Instant::now() < until {
                peer.catch_up();
                std::thread::sleep(Duration::from_millis(20));
            }
            sums = (sums.0 + peer.status.steps, sums.1 + peer.status.deltas_heard);
        }
        (sums, Instant::now())
    };
    let (before, start) = look(place);
    std::thread::sleep(WINDOW);
    let (after, end) = look(place);
    let seconds = (end - start).as_secs_f64();
    ((after.0 - before.0) as f64 / seconds, (after.1 - before.1) as f64 / seconds)
}

/// One admitted peer at a time that says 10^5 frames a second; when it is banned it comes back under another name.
async fn flooders(address: SocketAddr, key: SwarmKey, names: Arc<AtomicU32>) {
    for number in 20_000.. {
        names.fetch_add(1, Ordering::Relaxed);
        let mut link = enter(address, seed(number), key).await.admitted();
        let batch = frame(&Message::SnapshotAsk).repeat(1000);
        let mut pace = tokio::time::interval(Duration::from_secs(1) * 1000 / FRAMES_PER_SECOND);
        loop {
            pace.tick().await;
            if link.write(&batch).await.is_err() {
                break;
            }
        }
    }
}

/// One admitted peer that says deltas in the name of whom it says them to, as many as one may. What they cost is a look at each.
async fn forgers(address: SocketAddr, key: SwarmKey, victim: String) {
    const BATCH: u32 = 150;
    for number in 40_000.. {
        let mut link = enter(address, seed(number), key).await.admitted();
        let batch = frame(&forged(&mut link, &victim).await).repeat(BATCH as usize);
        let mut pace = tokio::time::interval(Duration::from_secs(1) * BATCH / DELTAS_PER_SECOND);
        loop {
            pace.tick().await;
            if link.write(&batch).await.is_err() {
                break;
            }
        }
    }
}

/// Two hundred connections that say nothing; those that are cut off are made again.
async fn silent(address: SocketAddr) {
    let mut open = JoinSet::new();
    loop {
        while open.len() < 200 {
            open.spawn(async move {
                if let Ok(stream) = tokio::net::TcpStream::connect(address).await {
                    let _ = stream.readable().await;
                    // Its greeting: then it waits for ours.
                    let mut scratch = [0; 256];
                    while stream.try_read(&mut scratch).is_ok_and(|read| read > 0) || stream.readable().await.is_ok() {
                        if matches!(stream.try_read(&mut scratch), Ok(0)) {
                            break;
                        }
                    }
                }
            });
        }
        open.join_next().await;
    }
}

/// Fifty readers at 10 bytes a second that do nothing else; those that are cut off come back.
async fn readers(address: SocketAddr, key: SwarmKey) {
    let mut open = JoinSet::new();
    for number in 50_000..50_050 {
        open.spawn(async move {
            loop {
                if let harness::attacker::Outcome::Admitted(mut link) = enter(address, seed(number), key).await {
                    link.read_at(10);
                    link.closed(Duration::from_secs(3600)).await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    open.join_all().await;
}

/// As these, and each asks for parts of a snapshot a thousand times a second.
async fn askers(address: SocketAddr, key: SwarmKey) {
    let mut open = JoinSet::new();
    for number in 30_000..30_050 {
        open.spawn(async move {
            loop {
                if let harness::attacker::Outcome::Admitted(mut link) = enter(address, seed(number), key).await {
                    let _ = draw(&mut link).await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    open.join_all().await;
}

#[ignore = "measures: run it on an idle machine"]
#[test]
fn honest_peers_keep_their_rates() {
    let mut place = Place::new(2);
    let (address, key) = (place.address(0), place.key());
    let cost = Cost::before(&place);
    let mut clean = rates(&mut place);
    println!("clean: {:.0} steps/s, {:.1} deltas/s", clean.0, clean.1);
    let mut lowest = Vec::new();
    let names = Arc::default();
    for attack in ["flood", "deltas in its name", "half open", "slow readers", "slow readers that ask"] {
        let runtime = runtime();
        match attack {
            "flood" => drop(runtime.spawn(flooders(address, key, Arc::clone(&names)))),
            "deltas in its name" => drop(runtime.spawn(forgers(address, key, place.id(0)))),
            "half open" => drop(runtime.spawn(silent(address))),
            "slow readers" => drop(runtime.spawn(readers(address, key))),
            _ => drop(runtime.spawn(askers(address, key))),
        }
        std::thread::sleep(Duration::from_secs(2));
        let before = names.load(Ordering::Relaxed);
        let found = rates(&mut place);
        if attack == "flood" {
            println!("under {} names meanwhile", names.load(Ordering::Relaxed) - before);
        }
        let [memory, other] = cost.memory_mib();
        drop(runtime);
        std::thread::sleep(Duration::from_secs(3));
        // The machine is not the same all the time: the mean of the clean runs before and after.
        let after = rates(&mut place);
        let base = ((clean.0 + after.0) / 2.0, (clean.1 + after.1) / 2.0);
        let share = (found.0 / base.0, found.1 / base.1);
        println!(
            "{attack}: {:.0} steps/s ({:.0} %), {:.1} deltas/s ({:.0} %), {memory:+.1} MiB (of the other, whose log grows as well, {other:+.1}); clean after it {:.0} and {:.1}",
            found.0,
            100.0 * share.0,
            found.1,
            100.0 * share.1,
            after.0,
            after.1
        );
        lowest.push((attack, share, memory - other.max(0.0)));
        clean = after;
    }
    for (attack, (steps, gossip), grown) in lowest {
        assert!(grown <= MEMORY_MIB_MAX, "{attack}: {grown:.1} MiB more than without it");
        assert!(steps >= STEPS_MIN, "{attack}: {steps:.2} of the steps");
        assert!(attack != "slow readers" || gossip >= GOSSIP_MIN, "{attack}: {gossip:.2} of the deltas");
    }
    place.finish();
}
