//! The others: who is heard on the LAN, and what becomes of a dial.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, TcpStream};
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
/// How long a door may take to open that somebody on this network has announced.
const ANSWER_MAX: Duration = Duration::from_millis(250);
/// How long a peer may take to prove its identity there, over QUIC.
const MEET_MAX: Duration = Duration::from_millis(500);
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
    findings.extend(twice(&heard, us, by));
    if others.is_empty() {
        findings.push(Finding::hint(
            HEARD,
            format!("no other peer answered within {:.1} s", HEAR_MAX.as_secs_f32()),
            "if one runs on this network: is it on another subnet, a guest network or a VPN, or does the access point keep its clients apart? --peer ADDRESS names it (it prints its addresses at its start)",
        ));
        return findings;
    }
    let Some((name, credentials)) = &question.job else {
        let runs: BTreeSet<_> = others.iter().map(|listing| listing.run).collect();
        findings.push(Finding::fine(
            HEARD,
            format!("{} other peers of {} jobs answer (`starling ls`)", others.len(), runs.len()),
        ));
        return findings;
    };
    let (mine, foreign): (Vec<&Listing>, Vec<&Listing>) =
        others.into_iter().partition(|listing| listing.run == credentials.run);
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

/// Identities that two processes answer for, wherever they run. What a killed peer has announced is heard for two minutes more, so
/// only doors that open count.
fn twice(heard: &[Listing], us: Option<PeerId>, by: Instant) -> Vec<Finding> {
    let mut lives: BTreeMap<PeerId, Vec<&Listing>> = BTreeMap::new();
    heard
        .iter()
        .filter(|listing| !listing.pairs)
        .for_each(|listing| lives.entry(listing.peer).or_default().push(listing));
    let several = lives.into_iter().filter(|(_, lives)| lives.len() > 1).take(TRIED_MAX);
    let opens = |listing: &Listing| {
        let doors = listing.addresses.iter().filter_map(swarm::door);
        let (tcp, udp): (Vec<_>, Vec<_>) = doors.partition(|door| matches!(door, Door::Tcp(_)));
        let rest = |most: Duration| by.saturating_duration_since(Instant::now()).min(most);
        let opens = |door: &Door| match *door {
            Door::Tcp(at) => {
                let wait = rest(ANSWER_MAX);
                !wait.is_zero() && TcpStream::connect_timeout(&at, wait).is_ok()
            }
            Door::Udp(_) => reach::answers(listing.peer, Target::of(listing), Instant::now() + rest(MEET_MAX)),
        };
        // QUIC is dialled with all addresses at once.
        let door = if tcp.is_empty() { udp.into_iter().take(1).find(opens) } else { tcp.into_iter().find(opens) };
        door.map(|(Door::Tcp(at) | Door::Udp(at))| at)
    };
    let one = |(peer, lives): (PeerId, Vec<&Listing>)| {
        let open: Vec<(&Listing, SocketAddr)> =
            lives.into_iter().filter_map(|listing| Some((listing, opens(listing)?))).collect();
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
    several.filter_map(one).collect()
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

    use super::*;

    fn listing(peer: u8, at: SocketAddr) -> Listing {
        Listing {
            peer: PeerId([peer; 32]),
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
        let nowhere = Listing { addresses: Vec::new(), ..listing(1, "127.0.0.1:1".parse().unwrap()) };
        assert_eq!(double(&nowhere, &[]).level, super::super::Level::Hint);
    }

    #[test]
    fn an_identity_is_used_twice_where_two_doors_open() {
        let doors = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [a, b] = doors.each_ref().map(|door| door.local_addr().unwrap());
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        let by = Instant::now() + Duration::from_secs(2);
        let us = Some(PeerId([1; 32]));
        // A life that is over, the same door in a new life, and another peer.
        let fine = [listing(1, a), listing(1, closed), listing(1, a), listing(2, b)];
        assert_eq!(twice(&fine, us, by).len(), 0);
        // And one that has had one network, and has two since.
        let mut moved = listing(1, b);
        moved.addresses.extend(listing(1, a).addresses);
        assert_eq!(twice(&[listing(1, a), moved], us, by).len(), 0);
        let copied = [listing(1, a), listing(1, b), listing(3, a), listing(3, b)];
        let found: Vec<String> = twice(&copied, us, by).iter().map(|finding| format!("{finding:?}")).collect();
        assert!(
            found.len() == 2 && found[0].contains("this identity") && found[1].contains("identity of peer 0303"),
            "{found:?}"
        );
    }
}
