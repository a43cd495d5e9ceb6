//! The namespace matrix: machines that must meet with nothing configured, and `doctor`, which names the cause where they
//! cannot. Real mDNS, real interfaces; needs root, and says so where it is not.

use std::time::{Duration, Instant};

use harness::cli::{self, Finished, Running};
use harness::netns::{Family, Lan, available};
use tempfile::TempDir;

/// Generous: to enter and to leave a namespace takes the kernel itself seconds where all processors are busy, and a minute was seen: a process that
/// ends with sockets of multicast waits until bridges of namespaces before it are gone.
const FIND_MAX: Duration = Duration::from_secs(150);

/// How long `doctor` may take. Must hold: 5 s; the rest is for the start of a process where all processors are busy.
const DOCTOR_MAX: Duration = Duration::from_secs(10);

/// How long the cable is out.
const UNPLUGGED: Duration = Duration::from_secs(30);

/// Some hosts on a cable, and a folder for their files.
struct Place {
    lan: Lan,
    home: TempDir,
}

impl Place {
    fn new(hosts: u8, family: Family) -> Self {
        let place = Self { lan: Lan::of(hosts, family), home: tempfile::tempdir().unwrap() };
        for (file, arguments) in [("job.toml", &[][..]), ("open.toml", &["--open", "--name", "flock of all"][..])] {
            let file = place.path(file);
            cli::run(place.home.path(), &[&["job", "init", &file], arguments].concat(), FIND_MAX).assert_succeeds();
        }
        place
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_owned()
    }

    fn start(&self, host: u8, arguments: &[&str]) -> Running {
        let own = self.home.path().join(format!("host{host}"));
        cli::start(self.lan.starling(host, &own, arguments))
    }

    fn peer(&self, host: u8, arguments: &[&str]) -> Running {
        let job = self.path("job.toml");
        self.start(host, &[&["run", "--job", &job, "--device", "cpu"], arguments].concat())
    }

    fn doctor(&self, host: u8, arguments: &[&str]) -> Finished {
        self.start(host, &[&["doctor"], arguments].concat()).finish(FIND_MAX)
    }
}

fn meet(peers: &mut [&mut Running]) {
    for peer in peers {
        peer.wait_for("neighbour", FIND_MAX, |line| line.starts_with("neighbour") && line.contains("is there"));
    }
}

/// What is broken, and how often.
fn assert_cause(found: &Finished, parts: &[&str]) {
    assert_eq!(found.code(), 4, "{}\n{}", found.stdout, found.stderr);
    let broken: Vec<_> = found.stdout.lines().filter(|line| line.starts_with("BROKEN")).collect();
    assert_eq!(broken.len(), 1, "one cause, not more: {}", found.stdout);
    assert!(parts.iter().all(|part| found.stdout.contains(part)), "{parts:?} in: {}", found.stdout);
}

#[test]
fn two_peers_without_ipv4_meet_with_no_flags() {
    if !available() {
        return;
    }
    let place = Place::new(2, Family::V6);
    let (mut a, mut b) = (place.peer(1, &[]), place.peer(2, &[]));
    meet(&mut [&mut a, &mut b]);
}

#[test]
fn an_interface_that_leads_nowhere_does_not_keep_peers_apart() {
    if !available() {
        return;
    }
    let place = Place::new(2, Family::V4);
    for host in [1, 2] {
        // The same address on both, as docker gives it: whoever dials it finds itself.
        place.lan.ip(host, &["link", "add", "docker0", "type", "bridge"]);
        place.lan.ip(host, &["addr", "add", "172.17.0.1/16", "dev", "docker0"]);
        place.lan.ip(host, &["link", "set", "docker0", "up"]);
    }
    let (mut a, mut b) = (place.peer(1, &[]), place.peer(2, &[]));
    meet(&mut [&mut a, &mut b]);
}

#[test]
fn where_multicast_is_off_doctor_says_so_and_a_named_peer_is_found() {
    if !available() {
        return;
    }
    let place = Place::new(2, Family::V4);
    place.lan.ip(2, &["link", "set", "eth0", "multicast", "off"]);
    let mut a = place.peer(1, &["--listen", "/ip4/0.0.0.0/tcp/4001", "--no-mdns"]);
    let address = format!("/ip4/{}/tcp/4001", place.lan.address(1));
    let mut b = place.peer(2, &["--peer", &address]);
    meet(&mut [&mut a, &mut b]);
    let found = place.doctor(2, &["--peer", &address]);
    assert_cause(&found, &["eth0 has multicast switched off", "ip link set eth0 multicast on", "--peer"]);
}

/// What is not in order of an interface is a hint where another one leads to peers, and the cause where none does.
#[test]
fn an_interface_beside_one_that_works_is_no_cause() {
    if !available() {
        return;
    }
    let place = Place::new(1, Family::V4);
    let ip = |arguments: &str| place.lan.ip(1, &arguments.split(' ').collect::<Vec<_>>());
    // A card whose other end is off, and one whose multicast is.
    ip("link add spare type veth peer name veth0");
    ip("addr add 10.79.1.1/24 dev spare");
    ip("link set spare up");
    let cable = "nothing is at the other end of the cable";
    let found = place.doctor(1, &[]);
    found.assert_succeeds();
    assert!(found.stdout.contains(&format!("spare has 10.79.1.1, but {cable}")), "{}", found.stdout);
    ip("link add eth1 type veth peer name veth1");
    ip("addr add 10.79.2.1/24 dev eth1");
    ip("link set eth1 multicast off up");
    ip("link set veth1 up");
    let off = "eth1 has multicast switched off";
    let found = place.doctor(1, &[]);
    found.assert_succeeds();
    assert!(found.stdout.contains(off) && found.stdout.contains(cable), "{}", found.stdout);
    // Each by itself.
    ip("link del eth0");
    assert_cause(&place.doctor(1, &[]), &[off, cable]);
    ip("link del eth1");
    assert_cause(&place.doctor(1, &[]), &[cable]);
}

/// A firewall goes by ports: what is let in and what is dropped is found out on the port of mDNS.
#[test]
fn doctor_tries_multicast_on_the_port_of_mdns() {
    if !harness::nat::available() {
        return;
    }
    let place = Place::new(2, Family::V4);
    let rules = |policy: &str, rule: &str| {
        let table = "table inet wall";
        format!(
            "{table} {{}}; delete {table}; {table} {{ chain in {{ type filter hook input priority 0; policy {policy}; {rule}; }}; }}"
        )
    };
    place.lan.inside(2, &["nft", &rules("drop", "udp dport 5353 accept")]);
    let fine = place.doctor(2, &[]);
    fine.assert_succeeds();
    let alone = ["no other peer answered", "rules of nftables drop what comes in"];
    assert!(alone.iter().all(|part| fine.stdout.contains(part)), "{}", fine.stdout);
    place.lan.inside(2, &["nft", &rules("accept", "udp dport 5353 drop")]);
    assert_cause(&place.doctor(2, &[]), &["does not come back", "let in UDP 5353", "rules of nftables drop"]);
}

#[test]
fn after_the_cable_was_out_they_meet_again() {
    if !available() {
        return;
    }
    let place = Place::new(2, Family::V4);
    let (mut a, mut b) = (place.peer(1, &[]), place.peer(2, &[]));
    meet(&mut [&mut a, &mut b]);
    place.lan.plug(2, false);
    let plugged = Instant::now() + UNPLUGGED;
    for peer in [&mut a, &mut b] {
        peer.wait_for("a loss", FIND_MAX, |line| line.contains("is gone"));
    }
    std::thread::sleep(plugged.saturating_duration_since(Instant::now()));
    place.lan.plug(2, true);
    let begun = Instant::now();
    meet(&mut [&mut a, &mut b]);
    println!("they met {:.2} s after the cable was in again", begun.elapsed().as_secs_f64());
}

#[test]
fn an_open_job_is_listed_and_joined_by_its_name() {
    if !available() {
        return;
    }
    let place = Place::new(2, Family::V4);
    let open = place.path("open.toml");
    let mut a = place.start(1, &["run", "--job", &open, "--open", "--device", "cpu"]);
    let mut private = place.peer(1, &["--identity", &place.path("other.key")]);
    for peer in [&mut a, &mut private] {
        peer.wait_for("its addresses", FIND_MAX, |line| line.starts_with("listening on"));
    }
    let listed = place.start(2, &["ls", "--wait", "3", "--json", "-"]).finish(FIND_MAX);
    listed.assert_succeeds();
    let jobs: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let shown = |job: &serde_json::Value| (job["job"].as_str().unwrap().to_owned(), job["open"].as_bool().unwrap());
    let mut shown: Vec<_> = jobs.as_array().unwrap().iter().map(shown).collect();
    shown.sort();
    assert_eq!(shown, [("flock".to_owned(), false), ("flock of all".to_owned(), true)]);

    let got = place.path("got.toml");
    let nobody = place.start(2, &["join", "flock of all", "--wait", "3", "--save", &got]).finish(FIND_MAX);
    nobody.assert_fails(2, &["nobody is there to agree", "--yes"]);
    assert!(!std::path::Path::new(&got).exists(), "nothing is kept of what was not agreed to");
    let refused = place.start(2, &["join", "flock", "--wait", "3", "--save", &got, "--yes"]).finish(FIND_MAX);
    refused.assert_fails(3, &["private", "ask for the file"]);
    let mut b = place.start(2, &["join", "flock of all", "--wait", "3", "--yes", "--save", &got, "--device", "cpu"]);
    meet(&mut [&mut b, &mut a]);
    let kept = std::fs::read_to_string(&got).unwrap();
    assert!(kept.contains("name = \"flock of all\""), "{kept}");
}

#[test]
fn doctor_names_what_is_wrong_with_the_network() {
    if !available() {
        return;
    }
    let place = Place::new(2, Family::V4);
    let job = place.path("job.toml");
    place.doctor(2, &[]).assert_succeeds();

    let both = ["--listen", "/ip4/0.0.0.0/tcp/4001", "--listen", "/ip4/0.0.0.0/udp/4001/quic-v1"];
    let mut a = place.peer(1, &both);
    a.wait_for("its address", FIND_MAX, |line| line.starts_with("listening on"));
    let at = |port: u16| format!("/ip4/{}/tcp/{port}", place.lan.address(1));
    let quic = |port: u16| format!("/ip4/{}/udp/{port}/quic-v1", place.lan.address(1));
    let fine = place.doctor(2, &["--job", &job, "--peer", &at(4001), "--peer", &quic(4001)]);
    fine.assert_succeeds();
    let taken = fine.stdout.matches("would take us as a neighbour").count();
    assert_eq!(taken, 3, "heard, and named twice: {}", fine.stdout);
    for nobody in [at(4002), quic(4002)] {
        assert_cause(&place.doctor(2, &["--peer", &nobody]), &["refuses the connection: nobody listens there"]);
    }
    let file = place.path("peers");
    std::fs::write(&file, format!("# ours\n{}\n", at(4002))).unwrap();
    assert_cause(&place.doctor(2, &["--peers", &file]), &["refuses the connection: nobody listens there"]);
    assert_cause(&place.doctor(2, &["--peer", "/ip4/10.78.255.77/tcp/1"]), &["no machine with that address", "cable"]);
    let other = place.path("other.toml");
    cli::run(place.home.path(), &["job", "init", &other], FIND_MAX).assert_succeeds();
    let differs = ["runs a job called \"flock\", but run", "the files differ"];
    assert_cause(&place.doctor(2, &["--job", &other]), &differs);
    let text = std::fs::read_to_string(&job).unwrap();
    let bad = place.path("bad.toml");
    std::fs::write(&bad, format!("{text}\n[nonsense]\n")).unwrap();
    let wrong = place.doctor(2, &["--job", &bad, "--peer", &at(4001)]);
    assert_eq!(wrong.code(), 3, "{}", wrong.stdout);
    let both = ["BROKEN  job", "nonsense", "it is a peer"];
    assert!(both.iter().all(|part| wrong.stdout.contains(part)), "{}", wrong.stdout);
    let busy = place.doctor(1, &["--listen", "/ip4/0.0.0.0/tcp/4001"]);
    assert_cause(&busy, &["the port is in use"]);

    // The key file of the first, on the second.
    let key = |host: u8| place.home.path().join(format!("host{host}/data/starling/identity.key"));
    std::fs::create_dir_all(key(2).parent().unwrap()).unwrap();
    std::fs::copy(key(1), key(2)).unwrap();
    assert_cause(&place.doctor(2, &[]), &["another machine", "the key file was copied", "remove the file"]);
    let named = place.doctor(2, &["--job", &job, "--peer", &at(4001)]);
    assert!(named.stdout.contains(&format!("another machine ({}) uses this identity", at(4001))), "{}", named.stdout);
    let here = place.doctor(1, &["--job", &job, "--peer", &at(4001)]);
    assert!(here.stdout.contains("own identity: it is the peer that runs here"), "{}", here.stdout);
    std::fs::remove_file(key(2)).unwrap();
    drop(a);

    place.lan.plug(2, false);
    assert_cause(&place.doctor(2, &[]), &["nothing is at the other end of the cable"]);
    place.lan.plug(2, true);
    place.lan.ip(2, &["link", "set", "eth0", "down"]);
    assert_cause(&place.doctor(2, &[]), &["eth0 has", "but is switched off", "ip link set eth0 up"]);
    place.lan.ip(2, &["addr", "flush", "dev", "eth0"]);
    assert_cause(&place.doctor(2, &[]), &["eth0 is switched off", "ip link set eth0 up"]);
    place.lan.ip(2, &["link", "set", "eth0", "up"]);
    assert_cause(&place.doctor(2, &[]), &["link-local address alone", "use DHCP"]);
    place.lan.ip(2, &["link", "del", "eth0"]);
    assert_cause(&place.doctor(2, &[]), &["no address besides its own loopback"]);
}

#[test]
fn doctor_is_done_in_time_where_all_that_is_said_vanishes() {
    if !available() {
        return;
    }
    let place = Place::new(2, Family::V4);
    let listen = |port: u16| [format!("/ip4/0.0.0.0/tcp/{port}"), format!("/ip4/0.0.0.0/udp/{port}/quic-v1")];
    let start = |port: u16| {
        let ([tcp, quic], key) = (listen(port), place.path(&format!("{port}.key")));
        let mut peer = place.peer(1, &["--identity", &key, "--listen", &tcp, "--listen", &quic]);
        peer.wait_for("its address", FIND_MAX, |line| line.starts_with("listening on"));
        peer
    };
    let _peers = [start(4001), start(4002)];
    // They are heard, and what is said to them goes to a card that nobody has.
    let address = place.lan.address(1);
    let nobody = ["neigh", "replace", &address, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent"];
    place.lan.ip(2, &nobody);
    let (job, quic) = (place.path("job.toml"), format!("/ip4/{address}/udp/4001/quic-v1"));
    let begun = Instant::now();
    let found = place.doctor(2, &["--job", &job, "--peer", &quic]);
    let took = begun.elapsed();
    println!("doctor took {:.2} s", took.as_secs_f64());
    let broken: Vec<_> = found.stdout.lines().filter(|line| line.starts_with("BROKEN")).collect();
    // One was named; of the other two a busy machine may hear too late.
    assert!(broken.iter().all(|line| line.contains("does not answer")), "{}", found.stdout);
    assert!(broken.iter().any(|line| line.contains("does not answer over UDP")), "{}", found.stdout);
    assert!(took < DOCTOR_MAX, "{took:?}");
}

/// Must hold: p95 <= 3 s over 20 tries. A figure, so not part of the suite:
/// `cargo nextest run -p tests --run-ignored only twenty_times --no-capture`.
#[ignore = "measures: run it on an idle machine"]
#[test]
fn two_peers_meet_twenty_times() {
    if !available() {
        return;
    }
    let place = Place::new(2, Family::V4);
    let mut took: Vec<f64> = (0..20)
        .map(|_| {
            let mut a = place.peer(1, &[]);
            a.wait_for("its address", FIND_MAX, |line| line.starts_with("listening on"));
            let start = Instant::now();
            let mut b = place.peer(2, &[]);
            meet(&mut [&mut a, &mut b]);
            start.elapsed().as_secs_f64()
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!(
        "from the start of the second process to the link, 20 tries: median {:.2} s, p95 {:.2} s, most {:.2} s",
        took[10], took[18], took[19]
    );
    assert!(took[18] <= 3.0);
}
