//! Members that speak well-formed messages: more in one than anybody should say, or small ones again and again.

use std::time::{Duration, Instant};

use harness::attacker::{Link, enter, frame, runtime};
use protocol::id::{Hash, PeerId};
use protocol::wire::{Message, PeerRecord, Status};

use super::place::{Cost, Place, WAIT_MAX, seed};
use super::{GONE_MAX, flood};

/// A member's own word for where it is.
fn own(number: u16, ports: std::ops::Range<u32>) -> PeerRecord {
    let peer = protocol::trust::Identity::from_seed(&seed(number)).peer_id();
    let addresses = ports.map(|port| format!("/ip4/10.{}.{}.{}/tcp/4001", port >> 16, port >> 8 & 255, port & 255));
    PeerRecord { peer, addresses: addresses.collect() }
}

fn status(neighbours: usize) -> Message {
    Message::Status(Status {
        incarnation: 1,
        steps: 0,
        steps_per_second: 0.0,
        train_loss: 0.0,
        heard: Hash::ZERO,
        neighbours: vec![1; neighbours],
        finished: false,
        round: 0,
    })
}

/// Each of these was enough to end a process, or to keep it busy for good: a table without a bound behind it.
#[test]
fn lists_that_fill_a_frame_end_the_link_and_cost_nothing() {
    let mut place = Place::new(2);
    let cost = Cost::before(&place);
    let (address, key) = (place.address(0), place.key());
    let many = (0..12_000).map(|i| own(1, 8 * i..8 * i + 8)).collect();
    let wide = vec![own(2, 0..90_000)];
    let strangers = (0..40_000_u32).map(|i| {
        let mut id = [7; 32];
        id[..4].copy_from_slice(&i.to_le_bytes());
        PeerRecord { peer: PeerId(id), addresses: vec!["/ip4/10.0.0.1/tcp/4001".to_owned()] }
    });
    let lists = [Message::Peers(many), Message::Peers(wide), Message::Peers(strangers.collect()), status(3_000_000)];
    let runtime = runtime();
    runtime.block_on(async {
        for (number, list) in (1..).zip(&lists) {
            let start = Instant::now();
            let mut link = enter(address, seed(number), key).await.admitted();
            // It may hang up before it has all of it.
            let _ = link.write(&frame(list)).await;
            link.closed(GONE_MAX).await;
            println!("list {number} of {} bytes: gone after {:.2} s", frame(list).len(), start.elapsed().as_secs_f64());
        }
    });
    cost.assert_bounded();
    place.they_go_on();
    drop(runtime);
    place.finish();
}

/// What is counted is what a peer says, and not what it says over one link.
#[test]
fn who_floods_in_small_pieces_and_comes_back_is_banned_all_the_same() {
    let mut place = Place::new(2);
    let (address, key) = (place.address(0), place.key());
    let runtime = runtime();
    let burst = frame(&Message::SnapshotAsk).repeat(4_000);
    let links = runtime.block_on(async {
        for round in 1..=20 {
            // Refused, or cut off: it is banned.
            let harness::attacker::Outcome::Admitted(mut link) = enter(address, seed(1), key).await else {
                return round;
            };
            let _ = link.write(&burst).await;
            // Most of it is taken in by then, and the next link comes at once.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        u32::MAX
    });
    println!("banned before link {links}");
    assert!(links < 20, "{links}");
    place.peers[0].until("it is banned", WAIT_MAX, |peer| peer.status.banned == 1);
    place.they_go_on();
    drop(runtime);
    place.finish();
}

/// Who is somebody else's neighbour decides how often that one speaks to its other neighbours: not that often.
#[test]
fn a_member_that_moves_a_thousand_times_a_second_gets_nobody_banned() {
    let mut place = Place::new(2);
    let (address, key) = (place.address(0), place.key());
    let runtime = runtime();
    runtime.block_on(async {
        let mut links: Vec<Link> = Vec::new();
        for number in 1..=3 {
            links.push(enter(address, seed(number), key).await.admitted());
        }
        let start = Instant::now();
        let mut port = 0;
        // Three of them, each below what one may say; together enough to have drained the bucket of who passed it all on.
        while start.elapsed() < Duration::from_secs(12) {
            for (number, link) in (1..).zip(&mut links) {
                let moves: Vec<u8> =
                    (0..40).flat_map(|i| frame(&Message::Peers(vec![own(number, port + i..port + i + 1)]))).collect();
                let _ = link.write(&moves).await;
            }
            port += 40;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for peer in &mut place.peers {
            peer.until("a look", WAIT_MAX, |_| true);
            assert_eq!(peer.status.banned, 0, "nobody has flooded");
        }
        let mut more = enter(address, seed(9), key).await.admitted();
        let gone = tokio::time::timeout(GONE_MAX, flood(&mut more, &status(0))).await;
        gone.expect("who really floods is gone all the same");
    });
    place.they_go_on();
    drop(runtime);
    let reports = place.finish();
    assert!(reports[1].banned.is_empty() && reports[1].bans == 0, "{:?}", reports[1].banned);
}
