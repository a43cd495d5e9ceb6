//! Peers that find each other beyond one LAN.

use std::path::Path;
use std::time::Duration;

use harness::cli::{self, Running};
use harness::nat::{self, Internet, Nat};
use harness::peer::Peer;

const WAIT_MAX: Duration = Duration::from_secs(60);

fn start(home: &Path, index: u32, known: Option<&str>) -> Peer {
    let key = home.join(format!("{index}.key"));
    let (key, shard) = (key.to_str().unwrap(), format!("{index}/4"));
    let mut arguments = vec!["run", "--child", "--open", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
    arguments.extend(["--device", "cpu", "--identity", key, "--shard", &shard, "--epochs", "1000000"]);
    arguments.extend(known.iter().flat_map(|address| ["--peer", address]));
    Peer::start(cli::command(home, &arguments))
}

#[test]
fn any_peer_is_a_way_in_and_the_first_may_die_for_ever() {
    let home = tempfile::tempdir().unwrap();
    let mut a = start(home.path(), 0, None);
    let at_a = a.address(WAIT_MAX);
    let (mut b, mut c) = (start(home.path(), 1, Some(&at_a)), start(home.path(), 2, Some(&at_a)));
    for peer in [&mut b, &mut c] {
        peer.until("two neighbours", WAIT_MAX, |peer| peer.status.neighbours == 2);
    }
    a.kill();
    let at_b = b.address(WAIT_MAX);
    let mut rest = [b, c, start(home.path(), 3, Some(&at_b))];
    for peer in &mut rest {
        peer.until("the others", WAIT_MAX, |peer| peer.status.neighbours == 2 && peer.status.deltas_heard > 0);
    }
    for peer in &mut rest {
        peer.tell("rest");
    }
    for peer in &mut rest {
        peer.until("agreement", WAIT_MAX, |peer| peer.status.resting && peer.status.agreed);
    }
    for peer in &mut rest {
        peer.tell("finish");
    }
    let bases = rest.map(|mut peer| {
        peer.until("its last word", WAIT_MAX, |peer| peer.report.is_some());
        peer.report.take().unwrap().base_hash.unwrap()
    });
    assert!(bases.iter().all(|base| *base == bases[0]), "{bases:?}");
}

/// Twelve seconds until it is clear that nobody reaches a peer, a few more for the reservation and the word of it.
const MEET_MAX: Duration = Duration::from_secs(90);

/// A at home behind one router, B behind another, R on a public address that both know. Ends when A and B are linked by R;
/// gives A and its name for B.
fn meet(internet: &Internet, home: &Path) -> ([Running; 3], String) {
    let job = home.join("job.toml");
    let job = job.to_str().unwrap();
    cli::run(home, &["job", "init", job], WAIT_MAX).assert_succeeds();
    let common = ["run", "--job", job, "--device", "cpu", "--no-mdns", "--no-upnp", "--epochs", "1000000"];
    let listens = ["--listen", "/ip4/0.0.0.0/tcp/4001", "--listen", "/ip4/0.0.0.0/udp/4001/quic-v1"];
    let known = ["--peer", "/ip4/203.0.113.1/tcp/4001"];
    let folder = |name: &str| home.join(name);
    let mut r = cli::start(internet.public(&folder("r"), &[&common[..], &listens].concat()));
    r.wait_for("an address", WAIT_MAX, |line| line.contains("listening on /ip4/203.0.113.1/tcp/4001"));
    let at_home = [&common[..], &known].concat();
    let mut a = cli::start(internet.at_home(false, &folder("a"), &at_home));
    let b = cli::start(internet.at_home(true, &folder("b"), &at_home));
    a.wait_for("the public peer", WAIT_MAX, |line| line.contains("is there (tcp)"));
    let line = a.wait_for("a relayed link", MEET_MAX, |line| line.contains("is there (relayed)"));
    let name = line.split_whitespace().skip_while(|word| *word != "neighbour").nth(1).unwrap().to_owned();
    ([a, b, r], name)
}

#[test]
fn two_peers_behind_routers_that_cannot_be_crossed_are_linked_by_a_third() {
    if !nat::available() {
        return;
    }
    let internet = Internet::new(Nat::DrawsPorts);
    let home = tempfile::tempdir().unwrap();
    drop(meet(&internet, home.path()));
}

#[test]
fn two_peers_behind_common_routers_find_a_direct_way() {
    if !nat::available() {
        return;
    }
    let internet = Internet::new(Nat::KeepsPorts);
    let home = tempfile::tempdir().unwrap();
    let ([mut a, _b, _r], name) = meet(&internet, home.path());
    let is_direct =
        |line: &str| line.contains(&name) && (line.contains("is there (tcp)") || line.contains("is there (quic)"));
    a.wait_for("a direct link", MEET_MAX, is_direct);
}
