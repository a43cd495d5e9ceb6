//! Honest peers for attackers to attack, and what that costs them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::cli;
use harness::costs::Process;
use harness::peer::Peer;
use protocol::trust::Identity;
use protocol::trust::admission::SwarmKey;
use sim::report::PeerReport;
use tempfile::TempDir;

use super::{DESCRIPTORS_BACK_MAX, MEMORY_MIB_MAX};

/// Generous: machines that run tests are busy.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);
/// Descriptors come and go by a few: files, connections of one peer that replace each other.
const DESCRIPTORS_SLACK: usize = 4;

/// A seed of an identity, and so a name.
pub(super) fn seed(number: u16) -> [u8; 32] {
    let mut seed = [77; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    seed
}

/// The public key of a seed, hex.
pub(super) fn name(seed: [u8; 32]) -> String {
    Identity::from_seed(&seed).peer_id().to_string()
}

/// The address of that kind that a peer listens on.
fn listens(peer: &mut Peer, kind: &str) -> String {
    peer.until("it listens", WAIT_MAX, |peer| peer.ready.is_some());
    let addresses = &peer.ready.as_ref().unwrap().addresses;
    let of_kind = addresses.iter().find(|address| address.contains(&format!("/{kind}/")));
    of_kind.unwrap_or_else(|| panic!("{kind}: {addresses:?}")).clone()
}

/// Peers of one private job on loopback, all linked; each has an audit log.
pub(super) struct Place {
    home: TempDir,
    pub(super) peers: Vec<Peer>,
}

impl Place {
    /// Starts them and waits until they train and hear each other.
    pub(super) fn new(peers: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let job = home.path().join("job.toml");
        cli::run(home.path(), &["job", "init", job.to_str().unwrap()], WAIT_MAX).assert_succeeds();
        let mut place = Self { home, peers: Vec::new() };
        let mut known: Option<String> = None;
        for _ in 0..peers {
            let mut peer = place.start(known.as_deref());
            known.get_or_insert(listens(&mut peer, "tcp"));
            place.peers.push(peer);
        }
        for peer in &mut place.peers {
            peer.until("company", WAIT_MAX, |peer| peer.status.neighbours > 0 && peer.status.deltas_heard > 0);
        }
        place
    }

    /// One more, who is told of the first one's address of that kind, and is linked with it.
    pub(super) fn join(&mut self, kind: &str) {
        let known = listens(&mut self.peers[0], kind);
        let mut peer = self.start(Some(&known));
        peer.until("company", WAIT_MAX, |peer| peer.status.neighbours > 0 && peer.status.deltas_heard > 0);
        self.peers.push(peer);
    }

    fn start(&self, known: Option<&str>) -> Peer {
        let index = self.peers.len();
        let at = |name: String| self.home.path().join(name).to_str().unwrap().to_owned();
        let (job, key, audit) = (at("job.toml".into()), at(format!("{index}.key")), at(format!("audit{index}")));
        let shard = format!("{index}/4");
        let mut arguments = vec!["run", "--child", "--job", &job, "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
        arguments.extend([
            "--listen",
            "/ip4/127.0.0.1/udp/0/quic-v1",
            "--device",
            "cpu",
            "--threads",
            "1",
            "--epochs",
            "1000000",
            "--shard",
            &shard,
        ]);
        arguments.extend(["--identity", &key, "--audit", &audit]);
        arguments.extend(known.iter().flat_map(|address| ["--peer", address]));
        Peer::start(cli::command(self.home.path(), &arguments))
    }

    /// The key that admits.
    pub(super) fn key(&self) -> SwarmKey {
        let job = std::fs::read_to_string(self.home.path().join("job.toml")).unwrap();
        let key = job.lines().find_map(|line| line.strip_prefix("key = \"")?.strip_suffix('"')).unwrap();
        let byte = |i: usize| u8::from_str_radix(&key[2 * i..2 * i + 2], 16).unwrap();
        std::array::from_fn(byte)
    }

    /// Where a peer listens for TCP.
    pub(super) fn address(&mut self, peer: usize) -> SocketAddr {
        self.socket(peer, "tcp")
    }

    /// Where it listens, `tcp` or `udp`.
    pub(super) fn socket(&mut self, peer: usize, kind: &str) -> SocketAddr {
        let address = listens(&mut self.peers[peer], kind);
        let mut parts = address.split('/').skip(2).step_by(2);
        let (ip, port) = (parts.next().unwrap(), parts.next().unwrap());
        SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap())
    }

    /// Its name.
    pub(super) fn id(&self, peer: usize) -> String {
        self.peers[peer].ready.as_ref().unwrap().peer.clone()
    }

    /// The records of that kind in a peer's audit log.
    pub(super) fn records(&self, peer: usize, kind: &str) -> String {
        let dir = self.home.path().join(format!("audit{peer}"));
        let shown = cli::run(self.home.path(), &["audit", "show", dir.to_str().unwrap(), "--kind", kind], WAIT_MAX);
        shown.assert_succeeds();
        shown.stdout
    }

    /// Whom a peer has ever admitted, by its audit log.
    pub(super) fn admitted(&self, peer: usize) -> Vec<String> {
        let records = self.records(peer, "admit");
        let words = records.split_whitespace();
        words.filter_map(|word| word.strip_prefix("peer=")).map(str::to_owned).collect()
    }

    /// Every peer takes steps, and hears what the others say.
    pub(super) fn they_go_on(&mut self) {
        for peer in &mut self.peers {
            peer.catch_up();
            let (steps, heard) = (peer.status.steps, peer.status.deltas_heard);
            peer.until("it goes on", WAIT_MAX, |peer| {
                peer.status.steps > steps + 100 && peer.status.deltas_heard > heard + 10
            });
        }
    }

    /// They rest, agree, and say their last word: all have one base.
    pub(super) fn finish(mut self) -> Vec<PeerReport> {
        for word in ["rest", "finish"] {
            for peer in &mut self.peers {
                peer.tell(word);
            }
            if word == "rest" {
                for peer in &mut self.peers {
                    peer.until("agreement", WAIT_MAX, |peer| peer.status.resting && peer.status.agreed);
                }
            }
        }
        let reports: Vec<_> = (self.peers.iter_mut())
            .map(|peer| {
                peer.until("its last word", WAIT_MAX, |peer| peer.report.is_some());
                peer.report.take().unwrap()
            })
            .collect();
        let base = reports[0].base_hash.clone();
        assert!(base.is_some() && reports.iter().all(|report| report.base_hash == base), "{reports:#?}");
        reports
    }
}

/// What the first peer, who is attacked, took before, and a second one, who is not.
pub(super) struct Cost {
    attacked: Process,
    other: Process,
    memory_mib: [f64; 2],
    descriptors: usize,
}

impl Cost {
    pub(super) fn before(place: &Place) -> Self {
        let [attacked, other] = [0, 1].map(|peer: usize| place.peers[peer].process());
        let memory_mib = [attacked, other].map(Process::memory_mib);
        Self { attacked, other, memory_mib, descriptors: attacked.descriptors() }
    }

    /// MiB more than before: of the peer that is attacked, and of the other, whose log grows with what is said in any case.
    pub(super) fn memory_mib(&self) -> [f64; 2] {
        [self.attacked.memory_mib() - self.memory_mib[0], self.other.memory_mib() - self.memory_mib[1]]
    }

    pub(super) fn assert_bounded(&self) {
        let [attacked, other] = self.memory_mib();
        println!("memory: {attacked:+.1} MiB, of one who is not attacked {other:+.1} MiB");
        let grown = attacked - other.max(0.0);
        assert!(grown <= MEMORY_MIB_MAX, "{grown:.1} MiB more than without the attack");
    }

    /// The descriptors that the attack has cost come back.
    pub(super) fn assert_closed(&self) {
        let start = Instant::now();
        let mut open = self.attacked.descriptors();
        while open > self.descriptors + DESCRIPTORS_SLACK {
            assert!(start.elapsed() < DESCRIPTORS_BACK_MAX, "{open} descriptors are open, {} before", self.descriptors);
            std::thread::sleep(Duration::from_millis(100));
            open = self.attacked.descriptors();
        }
        println!("descriptors: {} before, {open} after {:.1} s", self.descriptors, start.elapsed().as_secs_f64());
    }
}
