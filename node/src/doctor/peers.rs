//! The others: who is heard on the LAN, and what becomes of a dial.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use protocol::id::PeerId;
use protocol::wire::VERSION;

use super::reach::{self, Reached};
use super::{Finding, Question};
use crate::swarm::interfaces;
use crate::swarm::lan::{self, Listing};
use crate::swarm::{self, Door, Target};

/// The check that listens for peers.
pub(super) const HEARD: &str = "mDNS";
/// How long to listen for peers.
const HEAR_MAX: Duration = Duration::from_millis(2500);
/// How long a name may take to be looked up: of the time, so much is left to try what it stands for.
const LOOK_UP_MAX: Duration = Duration::from_millis(2500);
/// How long a peer may take to prove its identity at an address that somebody on this network has announced.
const MEET_MAX: Duration = Duration::from_secs(1);
/// Addresses that are asked so, all at once.
const MEETINGS_MAX: usize = 64;
/// Peers of the LAN that are tried.
const TRIED_MAX: usize = 8;

/// Who is heard, and of the job's peers who can be linked with.
pub(super) fn heard(question: &Question, us: Option<PeerId>, by: Instant) -> Vec<Finding> {
    let heard = match lan::look(HEAR_MAX) {
        Ok(heard) => heard,
        Err(error) => {
            return vec![Finding::broken(
                HEARD,
                format!("does not work here: {error}"),
                "is UDP port 5353 kept by a program that does not share it? or name a peer with --peer",
            )];
        }
    };
    let ours = interfaces::all().unwrap_or_default();
    let (selves, others): (Vec<_>, Vec<_>) = heard.iter().partition(|listing| Some(listing.peer) == us);
    let mut findings: Vec<Finding> = selves.iter().map(|listing| double(listing, &ours)).collect();
    // Neither takes the other's time.
    std::thread::scope(|scope| {
        let twice = scope.spawn(|| twice(&heard, us, by));
        let found = linkable(question, others, by);
        findings.extend(twice.join().unwrap_or_default());
        findings.extend(found);
    });
    findings
}

/// Which of those who are heard can be linked with.
fn linkable(question: &Question, others: Vec<&Listing>, by: Instant) -> Vec<Finding> {
    if others.is_empty() {
        return vec![Finding::hint(
            HEARD,
            format!("no other peer answered within {:.1} s", HEAR_MAX.as_secs_f32()),
            "if one runs on this network: is it on another subnet, a guest network or a VPN, or does the access point keep its clients apart? --peer ADDRESS names it (it prints its addresses at its start)",
        )];
    }
    let Some((name, credentials)) = &question.job else {
        let runs: BTreeSet<_> = others.iter().map(|listing| listing.run).collect();
        let what = format!("{} other peers of {} jobs answer (`starling ls`)", others.len(), runs.len());
        return vec![Finding::fine(HEARD, what)];
    };
    let (mine, foreign): (Vec<&Listing>, Vec<&Listing>) =
        others.into_iter().partition(|listing| listing.run == credentials.run);
    let mut findings = Vec::new();
    findings.extend(foreign.iter().filter(|listing| &listing.job == name).map(|listing| {
        Finding::broken(
            "job",
            format!(
                "peer {} runs a job called {name:?}, but run {}, ours is {}",
                listing.peer.short(),
                listing.run.0.short(),
                credentials.run.0.short()
            ),
            "the files differ (`starling job show` prints what counts): give all peers the same file",
        )
    }));
    if mine.is_empty() {
        findings.push(Finding::hint(
            HEARD,
            format!("{} other peers answer, none of this job", foreign.len()),
            "start one with this job file on another machine",
        ));
    }
    let one = |listing: &Listing| {
        version(listing, credentials.schema).unwrap_or_else(|| {
            let target = Target::of(listing);
            let shown = format!("peer {} at {}", listing.peer.short(), shown(&target.addresses));
            finding(&shown, reach::reach(target, Some(*credentials), None, by))
        })
    };
    findings.extend(std::thread::scope(|scope| {
        let threads: Vec<_> = mine.iter().take(TRIED_MAX).map(|listing| scope.spawn(|| one(listing))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    }));
    findings
}

/// Our own identity, announced: by a peer that runs here, or by a copy.
fn double(listing: &Listing, ours: &[interfaces::Interface]) -> Finding {
    let is_here =
        |address: &Multiaddr| swarm::ip_of(address).is_some_and(|ip| ours.iter().any(|interface| interface.ip == ip));
    if listing.addresses.is_empty() {
        return Finding::hint(
            "identity",
            format!("a peer with it runs, of job {:?}; where, it does not say", listing.job),
            "if it is none of this machine, the key file was copied: remove it on one of the two, its next run makes a new one",
        );
    }
    if listing.addresses.iter().all(is_here) {
        return Finding::fine("identity", format!("a peer with it runs on this machine, of job {:?}", listing.job));
    }
    Finding::broken(
        "identity",
        copied(&shown(&listing.addresses)),
        "remove the file on one of the two: its next run makes a new one",
    )
}

fn copied(at: &str) -> String {
    format!("another machine ({at}) uses this identity: the key file was copied")
}

/// Identities that two processes answer for, wherever they run. What a killed peer has announced is heard for two minutes more, and
/// somebody else may have its port by then: so only where the identity is proved counts.
fn twice(heard: &[Listing], us: Option<PeerId>, by: Instant) -> Vec<Finding> {
    let mut lives: BTreeMap<PeerId, Vec<&Listing>> = BTreeMap::new();
    heard
        .iter()
        .filter(|listing| !listing.pairs)
        .for_each(|listing| lives.entry(listing.peer).or_default().push(listing));
    let several: Vec<_> = lives.into_iter().filter(|(_, lives)| lives.len() > 1).take(TRIED_MAX).collect();
    let until = by.min(Instant::now() + MEET_MAX);
    let all = several.iter().flat_map(|(_, lives)| lives).flat_map(|&listing| {
        let each = listing.addresses.iter().filter_map(swarm::door).zip(&listing.addresses);
        each.map(move |(door, address)| (listing, door, address))
    });
    // All at once: an address that leads nowhere takes all of the time.
    let proved: Vec<(&Listing, SocketAddr)> = std::thread::scope(|scope| {
        let ask = |(listing, door, address): (_, _, &Multiaddr)| {
            let target = Target { addresses: vec![address.clone()], ..Target::of(listing) };
            let (Door::Tcp(at) | Door::Udp(at)) = door;
            scope.spawn(move || reach::answers(listing.peer, target, until).then_some((listing, at)))
        };
        let threads: Vec<_> = all.take(MEETINGS_MAX).map(ask).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect()
    });
    let one = |(peer, lives): (PeerId, Vec<&Listing>)| {
        let first = |listing: &Listing| proved.iter().find(|(proved, _)| std::ptr::eq(*proved, listing));
        let open: Vec<(&Listing, SocketAddr)> = lives.into_iter().filter_map(first).copied().collect();
        // A peer that begins anew at its old port, perhaps with one more network, is one.
        let has = |listing: &Listing, at: SocketAddr| {
            let mut doors = listing.addresses.iter().filter_map(swarm::door);
            doors.any(|(Door::Tcp(door) | Door::Udp(door))| door == at)
        };
        let (first, second) = open.iter().enumerate().find_map(|(i, &(one, at))| {
            let other = open[i + 1..].iter().find(|&&(other, door)| !has(one, door) && !has(other, at))?;
            Some((at, other.1))
        })?;
        let is_ours = Some(peer) == us;
        let whose = if is_ours { "this identity".to_owned() } else { format!("the identity of peer {}", peer.short()) };
        Some(Finding::broken(
            "identity",
            format!(
                "two processes use {whose} (at {first} and {second}): the key file was copied, and they take each other's links away"
            ),
            "remove the file for one of the two: its next run makes a new one",
        ))
    };
    several.into_iter().filter_map(one).collect()
}

fn version(listing: &Listing, schema: protocol::id::SchemaHash) -> Option<Finding> {
    let peer = listing.peer.short();
    if listing.wire != VERSION {
        let what = format!("peer {peer} speaks wire version {}, this release speaks {VERSION}", listing.wire);
        return Some(Finding::broken("version", what, "run the same release on both machines"));
    }
    (listing.schema != schema).then(|| {
        let what = format!("peer {peer} trains a model of another shape under this job");
        Finding::broken("version", what, "its data set has other shapes, or its release differs: give both the same")
    })
}

/// The addresses that were named.
pub(super) fn tried(question: &Question, us: Option<PeerId>, by: Instant) -> Vec<Finding> {
    let ours: Vec<IpAddr> = interfaces::all().unwrap_or_default().into_iter().map(|interface| interface.ip).collect();
    let ours = &ours;
    std::thread::scope(|scope| {
        let credentials = question.job.as_ref().map(|(_, credentials)| *credentials);
        let one = |text| {
            move || match swarm::target_within(text, LOOK_UP_MAX) {
                Ok(target) => {
                    let is_here = |address| swarm::ip_of(address).is_some_and(|ip| ours.contains(&ip));
                    let is_here = target.addresses.iter().all(is_here);
                    match reach::reach(target, credentials, us, by) {
                        Reached::Ourselves if !is_here => Finding::broken(
                            "identity",
                            copied(text),
                            "remove the file on one of the two: its next run makes a new one",
                        ),
                        reached => finding(text, reached),
                    }
                }
                Err(error) => Finding::error("reach", error),
            }
        };
        let threads: Vec<_> = question.peers.iter().map(|text| scope.spawn(one(text))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

fn finding(who: &str, reached: Reached) -> Finding {
    let who = crate::text::escape(who, 200);
    match reached {
        Reached::Admits => Finding::fine(
            "reach",
            format!(
                "{who} answers and would take us as a neighbour (asked under another identity: whether it has banned ours is not known)"
            ),
        ),
        Reached::Ourselves => Finding::hint(
            "reach",
            format!("{who} answers with this machine's own identity: it is the peer that runs here"),
            "name a peer of another machine",
        ),
        Reached::Listed => Finding::hint(
            "reach",
            format!("{who} answers, and links with peers of its own list only"),
            "this machine's id (`starling id show`) must be on it: `starling swarm allow JOB ID` there",
        ),
        Reached::Speaks => {
            Finding::fine("reach", format!("{who} answers, it is a peer (--job FILE tries whether it admits us)"))
        }
        Reached::Failed { what, remedy } => Finding::broken("reach", format!("{who} {what}"), remedy),
    }
}

fn shown(addresses: &[Multiaddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use protocol::trust::Identity;
    use protocol::trust::admission::{Credentials, Guests};

    use super::*;
    use crate::driver::{NetworkSetup, Observation};
    use crate::store::audit::Audit;
    use crate::swarm::{Admission, Happening, Network};

    fn listing(peer: PeerId, at: SocketAddr) -> Listing {
        Listing {
            peer,
            run: protocol::id::RunId(protocol::id::Hash([1; 32])),
            schema: protocol::id::SchemaHash(protocol::id::Hash([2; 32])),
            wire: VERSION,
            job: "job".to_owned(),
            open: true,
            pairs: false,
            addresses: vec![Multiaddr::from(at.ip()).with(libp2p::multiaddr::Protocol::Tcp(at.port()))],
        }
    }

    #[test]
    fn who_announces_no_address_is_not_taken_for_this_machine() {
        let nowhere = Listing { addresses: Vec::new(), ..listing(peer(1), "127.0.0.1:1".parse().unwrap()) };
        assert_eq!(double(&nowhere, &[]).level, super::super::Level::Hint);
    }

    /// Where a process with the key made of `seed` answers, for as long as the test takes.
    fn answering(seed: u8) -> SocketAddr {
        let (sender, at) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let us = Identity::from_seed(&[seed; 32]).peer_id();
            let Listing { run, schema, .. } = listing(us, ([127, 0, 0, 1], 1).into());
            let admission = Admission {
                credentials: Credentials { us, run, schema, swarm_key: [3; 32] },
                neighbours_max: 8,
                neighbours_target: 4,
                body_bytes_max: 1 << 20,
                guests: Guests::default(),
                audit: Audit::default(),
            };
            let setup = NetworkSetup { listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()], ..NetworkSetup::default() };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut network = Network::open(&setup, &[seed; 32], admission).unwrap();
                loop {
                    if let Happening::Observe(Observation::Listening(addresses)) = network.next().await {
                        let address = addresses.first().unwrap().parse().unwrap();
                        let Some(Door::Tcp(at) | Door::Udp(at)) = swarm::door(&address) else { continue };
                        let _ = sender.send(at);
                    }
                }
            });
        });
        at.recv_timeout(Duration::from_secs(30)).unwrap()
    }

    fn peer(seed: u8) -> PeerId {
        Identity::from_seed(&[seed; 32]).peer_id()
    }

    /// On a busy machine a peer may take long to answer: what is found is found at the second or third time.
    fn found(heard: &[Listing], us: PeerId) -> Vec<String> {
        let look = || twice(heard, Some(us), Instant::now() + Duration::from_secs(10));
        let found = (0..5).map(|_| look()).max_by_key(Vec::len).unwrap();
        found.iter().map(|finding| format!("{finding:?}")).collect()
    }

    #[test]
    fn an_identity_is_used_twice_where_two_processes_prove_it() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (us, here, there) = (peer(1), answering(1), answering(1));
        // A life that is over, one whose port somebody else has got, the same door in a new life, and another peer.
        let taken = other.local_addr().unwrap();
        let doors = [(us, here), (us, gone), (us, taken), (us, here), (peer(2), there)];
        let mut heard: Vec<Listing> = doors.map(|(peer, at)| listing(peer, at)).into();
        // And one that has had one network, and has two since.
        let mut moved = listing(us, there);
        moved.addresses.extend(listing(us, here).addresses);
        heard.push(moved);
        assert_eq!(found(&heard, us), [] as [String; 0]);
        let theirs = [answering(3), answering(3)];
        let copied = [(us, here), (us, there), (peer(3), theirs[0]), (peer(3), theirs[1])];
        let found = found(&copied.map(|(peer, at)| listing(peer, at)), us);
        let of_another = format!("identity of peer {}", peer(3).short());
        let named = |text: &str| found.iter().any(|found| found.contains(text));
        assert!(found.len() == 2 && named("this identity") && named(&of_another), "{found:?}");
    }

    /// Whoever is tried meanwhile keeps its time.
    #[test]
    fn those_who_say_nothing_take_one_meeting_of_time_together() {
        let silent: Vec<TcpListener> = (0..32).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let heard: Vec<Listing> =
            silent.iter().zip(0..).map(|(door, i)| listing(peer(i / 4), door.local_addr().unwrap())).collect();
        let begun = Instant::now();
        assert_eq!(twice(&heard, None, begun + Duration::from_secs(60)).len(), 0);
        let took = begun.elapsed();
        assert!(took >= MEET_MAX && took < 16 * MEET_MAX, "{took:?}");
    }
}
