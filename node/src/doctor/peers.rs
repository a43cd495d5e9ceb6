//! The others: who is heard on the LAN, and what becomes of a dial.

use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use protocol::id::PeerId;
use protocol::wire::VERSION;

use super::reach::{self, Reached};
use super::{Finding, Question};
use crate::swarm::interfaces;
use crate::swarm::lan::{self, Listing};
use crate::swarm::{self, Target};

/// How long to listen for peers.
const HEAR_MAX: Duration = Duration::from_millis(2500);
/// How long a name may take to be looked up: of the time, so much is left to try what it stands for.
const LOOK_UP_MAX: Duration = Duration::from_millis(2500);
/// Peers of the LAN that are tried.
const TRIED_MAX: usize = 8;

/// Who is heard, and of the job's peers who can be linked with.
pub(super) fn heard(question: &Question, us: Option<PeerId>, by: Instant) -> Vec<Finding> {
    let heard = match lan::look(HEAR_MAX) {
        Ok(heard) => heard,
        Err(error) => {
            return vec![Finding::broken(
                "mDNS",
                format!("does not work here: {error}"),
                "is UDP port 5353 kept by a program that does not share it? or name a peer with --peer",
            )];
        }
    };
    let ours = interfaces::all().unwrap_or_default();
    let (selves, others): (Vec<_>, Vec<_>) = heard.iter().partition(|listing| Some(listing.peer) == us);
    let mut findings: Vec<Finding> = selves.iter().map(|listing| double(listing, &ours)).collect();
    if others.is_empty() {
        findings.push(Finding::hint(
            "mDNS",
            format!("no other peer answered within {:.1} s", HEAR_MAX.as_secs_f32()),
            "if one runs on this network: is it on another subnet, a guest network or a VPN, or does the access point keep its clients apart? --peer ADDRESS names it (it prints its addresses at its start)",
        ));
        return findings;
    }
    let Some((name, credentials)) = &question.job else {
        let runs: std::collections::BTreeSet<_> = others.iter().map(|listing| listing.run).collect();
        findings.push(Finding::fine(
            "mDNS",
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
            "mDNS",
            format!("{} other peers answer, none of this job", foreign.len()),
            "start one with this job file on another machine",
        ));
    }
    let one = |listing: &Listing| {
        version(listing, credentials.schema).unwrap_or_else(|| {
            let target = Target::of(listing);
            let shown = format!("peer {} at {}", listing.peer.short(), shown(&target.addresses));
            finding(&shown, reach::reach(target, Some(*credentials), by))
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
    if listing.addresses.iter().all(is_here) {
        return Finding::fine("identity", format!("a peer with it runs on this machine, of job {:?}", listing.job));
    }
    Finding::broken(
        "identity",
        format!("another machine ({}) uses this identity: the key file was copied", shown(&listing.addresses)),
        "remove the file on one of the two: its next run makes a new one",
    )
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
pub(super) fn tried(question: &Question, by: Instant) -> Vec<Finding> {
    std::thread::scope(|scope| {
        let credentials = question.job.as_ref().map(|(_, credentials)| *credentials);
        let one = |text| {
            move || match swarm::target_within(text, LOOK_UP_MAX) {
                Ok(target) => finding(text, reach::reach(target, credentials, by)),
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
        Reached::Admits => Finding::fine("reach", format!("{who} answers and would take us as a neighbour")),
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
