//! Peers that attack: real libp2p against real processes on loopback. What each attack may cost is in SECURITY.md.

mod place;
mod rates;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::attacker::{Link, Outcome, Secured, enter, frame, quic, runtime};
use harness::costs::orphans;
use nix::sys::signal::Signal;
use protocol::id::Hash;
use protocol::log::{Checked, Header, SignedDelta, VersionVector};
use protocol::trust::admission::SwarmKey;
use protocol::wire::{Message, Refusal, VERSION};
use tokio::task::JoinSet;

use self::place::{Cost, Place, WAIT_MAX, seed};

/// Must hold: whoever breaks the rules is gone after so long.
const GONE_MAX: Duration = Duration::from_secs(5);
/// A newcomer beside hundreds of half-open connections, on a machine that has other work.
const LET_IN_MAX: Duration = Duration::from_secs(15);
/// Must hold: memory that an attack may cost.
const MEMORY_MIB_MAX: f64 = 64.0;
/// Must hold: descriptors are back to what they were after so long.
const DESCRIPTORS_BACK_MAX: Duration = Duration::from_secs(30);

/// A question that costs the asker a few bytes.
fn question() -> Message {
    Message::Digest {
        heard: VersionVector::new(),
        excluded: Vec::new(),
        salt: 0,
        marks: Vec::new(),
        base_hash: None,
        answer: true,
    }
}

/// Says `message` as fast as it is taken, until the other side hangs up.
async fn flood(link: &mut Link, message: &Message) {
    let batch = frame(message).repeat(1000);
    while link.write(&batch).await.is_ok() {}
}

#[test]
fn whoever_floods_is_banned_until_pardoned_and_the_others_train_on() {
    let mut place = Place::new(2);
    let cost = Cost::before(&place);
    let (address, key) = (place.address(0), place.key());
    let runtime = runtime();
    runtime.block_on(async {
        let mut link = enter(address, seed(1), key).await.admitted();
        let start = Instant::now();
        tokio::time::timeout(GONE_MAX, flood(&mut link, &Message::SnapshotAsk)).await.expect("the offender is gone");
        println!("flood: gone after {:.2} s", start.elapsed().as_secs_f64());
        let again = enter(address, seed(1), key).await;
        assert!(matches!(again, Outcome::Refused(Refusal::Banned(_)) | Outcome::Closed(_)), "shut out: {again:?}");
        assert!(matches!(enter(address, seed(1), key).await, Outcome::Closed(_)), "told once, not worth a handshake");
    });
    place.peers[0].until("it is banned", WAIT_MAX, |peer| peer.status.banned == 1);
    place.they_go_on();
    place.peers[0].signal(Signal::SIGUSR1);
    place.peers[0].until("a pardon", WAIT_MAX, |peer| peer.status.banned == 0);
    runtime.block_on(async {
        let mut link = enter(address, seed(1), key).await.admitted();
        flood(&mut link, &question()).await;
    });
    place.peers[0].until("banned again", WAIT_MAX, |peer| peer.status.banned == 1);
    cost.assert_bounded();
    drop(runtime);
    let reports = place.finish();
    let banned: Vec<_> = reports[0].banned.iter().map(|banned| banned.reason.as_str()).collect();
    assert!(reports[0].bans == 2 && banned.len() == 1 && banned[0].contains("floods"), "{:?}", reports[0].banned);
    assert!(reports[1].banned.is_empty());
}

/// A delta that a peer has never said, in its name.
async fn forged(link: &mut Link, victim: &str) -> Message {
    let origin = loop {
        let heard = match link.hear().await.expect("it speaks") {
            Message::Delta(delta) => vec![delta],
            Message::Deltas(chain) => chain,
            _ => Vec::new(),
        };
        let mut origins = heard.iter().map(|delta| delta.header.origin);
        if let Some(origin) = origins.find(|origin| origin.peer.to_string() == victim) {
            break origin;
        }
    };
    let header = Header {
        origin,
        seq: 1 << 40,
        previous: Hash::ZERO,
        heard: Hash::ZERO,
        steps: 1,
        samples: 1,
        round: 0,
        weight: 1,
        codec: 1,
        l2_norm: 1.0,
    };
    let (payload, signature, checked) = (Vec::new(), [0; 64], Checked::default());
    Message::Delta(Arc::new(SignedDelta { header, payload, signature, checked }))
}

#[test]
fn deltas_in_a_peers_own_name_are_counted_and_not_written_one_by_one() {
    /// At once: fewer than one may say within a second, and less than a window of bytes.
    const SAID: usize = 10_000;
    let mut place = Place::new(2);
    let cost = Cost::before(&place);
    let (address, key, victim) = (place.address(0), place.key(), place.id(0));
    let runtime = runtime();
    let link = runtime.block_on(async {
        let mut link = enter(address, seed(1), key).await.admitted();
        let forged = forged(&mut link, &victim).await;
        link.write(&frame(&forged).repeat(SAID)).await.unwrap();
        link
    });
    place.they_go_on();
    let until = Instant::now() + WAIT_MAX;
    let mut rejected = place.records(0, "reject");
    while rejected.is_empty() {
        assert!(Instant::now() < until, "it is told of");
        rejected = place.records(0, "reject");
    }
    let lines: Vec<_> = rejected.lines().collect();
    assert!(lines.len() <= 2, "one, and after a minute another: {} records", lines.len());
    assert!(lines[0].contains(&format!("from={}", place::name(seed(1)))), "{}", lines[0]);
    cost.assert_bounded();
    drop((link, runtime));
    place.finish();
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let mut place = Place::new(2);
    let cost = Cost::before(&place);
    let (address, key) = (place.address(0), place.key());
    let runtime = runtime();
    let took = runtime.block_on(async {
        let silent: Vec<_> = (0..200).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        // These have a secure channel, and open no stream.
        let mut half = JoinSet::new();
        for i in 0..200 {
            half.spawn(Secured::dial(address, seed(1000 + i)));
        }
        let half: Vec<_> = half.join_all().await;
        let mut took = Duration::ZERO;
        for i in 0..10 {
            let start = Instant::now();
            drop(enter(address, seed(10 + i), key).await.admitted());
            took = took.max(start.elapsed());
        }
        // They stay as long as they are let.
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop((silent, half));
        took
    });
    println!("half open: the slowest of 10 newcomers was admitted after {:.2} s", took.as_secs_f64());
    assert!(took < LET_IN_MAX, "{took:?}");
    cost.assert_bounded();
    cost.assert_closed();
    place.they_go_on();
    place.finish();
}

#[test]
fn quic_handshakes_that_are_never_finished_keep_nobody_out() {
    let mut place = Place::new(2);
    let cost = Cost::before(&place);
    let (udp, tcp, key) = (place.socket(0, "udp"), place.address(0), place.key());
    let runtime = runtime();
    let half = runtime.block_on(quic::half_open(udp, 200)).unwrap();
    // By the same way, and by the other one.
    place.join("udp");
    runtime.block_on(async {
        for i in 0..10 {
            let newcomer = tokio::time::timeout(LET_IN_MAX, enter(tcp, seed(10 + i), key)).await;
            drop(newcomer.expect("it is let in at once").admitted());
        }
    });
    let answered = quic::answered(&half);
    println!("{answered} of 200 handshakes were taken up");
    assert!(answered > 100, "most of them are real: {answered}");
    cost.assert_bounded();
    cost.assert_closed();
    place.they_go_on();
    drop((half, runtime));
    place.finish();
}

/// A hundred times the wish for a part of a snapshot that is served.
async fn wants(link: &mut Link) -> std::io::Result<Vec<u8>> {
    link.say(&Message::SnapshotAsk).await?;
    loop {
        if let Message::SnapshotHead(head) = link.hear().await? {
            return Ok(frame(&Message::SnapshotWant { base_hash: head.base_hash, offset: 0 }).repeat(100));
        }
    }
}

/// Asks for more than it will ever read.
async fn draw(link: &mut Link) -> std::io::Result<()> {
    let want = wants(link).await?;
    link.read_at(10);
    let digest = frame(&question()).repeat(10);
    loop {
        link.write(&want).await?;
        link.write(&digest).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn those_who_hardly_read_cost_little() {
    let mut place = Place::new(2);
    let cost = Cost::before(&place);
    let (address, key) = (place.address(0), place.key());
    let runtime = runtime();
    let readers = runtime.block_on(async {
        let mut readers = JoinSet::new();
        let admitted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for i in 0..50 {
            let admitted = Arc::clone(&admitted);
            readers.spawn(async move {
                // What the one half leaves unread is with the system, of the other half with the peer.
                let secured = match i % 2 {
                    0 => Secured::dial(address, seed(100 + i)).await,
                    _ => Secured::dial_narrow(address, seed(100 + i)).await,
                };
                let mut link = secured.unwrap().enter(key).await.admitted();
                admitted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let _ = draw(&mut link).await;
                // Its end stays open, whatever ours does.
                std::future::pending::<()>().await;
            });
        }
        // Longer than a link that makes no progress is kept.
        for _ in 0..24 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            cost.assert_bounded();
        }
        assert_eq!(admitted.load(std::sync::atomic::Ordering::Relaxed), 50);
        place.they_go_on();
        cost.assert_bounded();
        readers
    });
    // While they still hardly read.
    cost.assert_closed();
    drop((readers, runtime));
    place.finish();
}

/// Asks for much, reads nothing any more, and hangs up. The connection stays, and is not read.
async fn turn_away(address: SocketAddr, seed: [u8; 32], key: SwarmKey) -> std::io::Result<Secured> {
    /// The answer fills what a narrow line and the buffer on its other side hold, many times over.
    const ANSWERED: Duration = Duration::from_millis(200);
    let narrow = Secured::dial_narrow(address, seed).await?;
    let Outcome::Admitted(mut link) = narrow.enter(key).await else { return Err(std::io::ErrorKind::Other.into()) };
    let wants = wants(&mut link).await?;
    link.read_at(1);
    link.write(&wants).await?;
    tokio::time::sleep(ANSWERED).await;
    Ok(link.hang_up())
}

#[test]
fn those_who_hang_up_and_never_read_hold_nothing() {
    /// More than all connections that a peer may have.
    const TURNED_AWAY: usize = 300;
    /// A busy peer has no patience with some.
    const TRIES_MAX: u16 = 900;
    const AT_ONCE: usize = 16;
    let mut place = Place::new(2);
    let cost = Cost::before(&place);
    let (address, key) = (place.address(0), place.key());
    let runtime = runtime();
    let open = runtime.block_on(async {
        let (mut coming, mut open, mut tries) = (JoinSet::new(), Vec::new(), 0..TRIES_MAX);
        while open.len() < TURNED_AWAY {
            for i in tries.by_ref().take(AT_ONCE - coming.len()) {
                coming.spawn(turn_away(address, seed(2000 + i), key));
            }
            let Some(done) = coming.join_next().await else { break };
            open.extend(done.unwrap());
        }
        open
    });
    assert_eq!(open.len(), TURNED_AWAY, "that many were let in");
    cost.assert_bounded();
    cost.assert_closed();
    assert_eq!(orphans(address.port()), 0, "nor does the system keep what they do not read");
    place.join("tcp");
    place.they_go_on();
    drop((open, runtime));
    place.finish();
}

#[test]
fn a_frame_that_claims_a_trillion_numbers_ends_the_link() {
    let mut place = Place::new(2);
    let cost = Cost::before(&place);
    let (address, key) = (place.address(0), place.key());
    // The last byte is how many bytes follow; a number of 64 bits begins with 253.
    let mut claim = frame(&Message::SnapshotPart { base_hash: Hash::ZERO, offset: 0, bytes: Vec::new().into() });
    assert_eq!(claim.pop(), Some(0));
    claim.push(253);
    claim.extend((1_u64 << 40).to_le_bytes());
    let length = u32::try_from(claim.len() - 4).unwrap();
    claim[..4].copy_from_slice(&length.to_le_bytes());
    let bad: [&[u8]; 4] = [&claim, &[0xff, 0xff, 0xff, 0x7f], &[2, 0, 0, 0, VERSION, 0xfe], &[0; 4]];
    let runtime = runtime();
    runtime.block_on(async {
        for (i, bytes) in (0..).zip(bad) {
            let mut link = enter(address, seed(i), key).await.admitted();
            link.write(bytes).await.unwrap();
            link.closed(GONE_MAX).await;
            let again = enter(address, seed(i), key).await;
            assert!(matches!(again, Outcome::Refused(Refusal::Banned(_)) | Outcome::Closed(_)), "a pause: {again:?}");
        }
    });
    cost.assert_bounded();
    cost.assert_closed();
    place.they_go_on();
    place.finish();
}

#[test]
fn of_a_thousand_strangers_none_is_admitted() {
    let mut place = Place::new(2);
    let cost = Cost::before(&place);
    let (address, key) = (place.address(0), place.key());
    let runtime = runtime();
    let (refused, closed, link) = runtime.block_on(async {
        let (mut refused, mut closed, mut strangers) = (0, 0, JoinSet::new());
        for i in 0..1000 {
            // Half of them know none, which is the key of open jobs; the others a wrong one.
            let wrong = if i % 2 == 0 { [0; 32] } else { [i as u8; 32] };
            strangers.spawn(enter(address, seed(5000 + i), wrong));
            while strangers.len() >= 32 || (i == 999 && !strangers.is_empty()) {
                match strangers.join_next().await.unwrap().unwrap() {
                    Outcome::Refused(Refusal::Key) => refused += 1,
                    Outcome::Closed(_) => closed += 1,
                    other => panic!("{other:?}"),
                }
            }
        }
        // Kept: whoever hangs up with its last word still unsaid was never admitted by the other side.
        (refused, closed, enter(address, seed(1), key).await.admitted())
    });
    println!("strangers: {refused} refused for their key, {closed} cut off");
    assert_eq!(refused + closed, 1000);
    assert!(refused > 500, "most of them had their say: {refused}");
    let expected = [place.id(1), place::name(seed(1))];
    // The log is written behind.
    let until = Instant::now() + WAIT_MAX;
    let mut admitted = place.admitted(0);
    while !admitted.contains(&expected[1]) {
        assert!(Instant::now() < until, "whoever has the key is admitted: {admitted:?}");
        admitted = place.admitted(0);
    }
    drop((link, runtime));
    assert!(admitted.iter().all(|peer| expected.contains(peer)), "{admitted:?}");
    cost.assert_bounded();
    cost.assert_closed();
    place.they_go_on();
    place.finish();
}
