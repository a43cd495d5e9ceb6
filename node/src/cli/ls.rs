//! `starling ls`: the jobs and peers that are heard on this network.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::id::RunId;
use protocol::wire::VERSION;
use serde::Serialize;

use super::args::LsArgs;
use super::files::JsonTarget;
use super::say;
use crate::error::{Error, Kind};
use crate::swarm::lan::{self, Listing};
use crate::text::escape;

/// A job, as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    job: String,
    run: String,
    open: bool,
    peers: Vec<ShownPeer>,
}

#[derive(Debug, Serialize)]
struct ShownPeer {
    peer: String,
    wire: u8,
    addresses: Vec<String>,
}

pub(super) fn run(args: &LsArgs) -> Result<(), Error> {
    let json = JsonTarget::new("--json", args.json.as_deref())?;
    let heard = look(args.wait)?;
    let jobs = by_job(&heard);
    let print = if json.is_stdout() { say::aside } else { say::line };
    if jobs.is_empty() {
        print(&format!("no peer answered within {} s (`starling doctor` finds out why, if there is one)", args.wait))?;
    }
    for job in &jobs {
        let access = if job.open { "open   " } else { "private" };
        let count = job.peers.len();
        let peers = if count == 1 { "peer" } else { "peers" };
        print(&format!("{}  {access}  run {}  {count} {peers}", job.job, &job.run[..8]))?;
        for peer in &job.peers {
            let other = if peer.wire == VERSION { String::new() } else { format!("  (wire version {})", peer.wire) };
            print(&format!("  {}  {}{other}", &peer.peer[..8], peer.addresses.join("  ")))?;
        }
    }
    json.write(&jobs)
}

/// Who answers.
pub(super) fn look(wait: f32) -> Result<Vec<Listing>, Error> {
    lan::look(Duration::from_secs_f32(wait)).map_err(|error| {
        Error::new(Kind::Network, format!("cannot look for peers on this network: {error}"))
            .hint("`starling doctor` finds out why")
    })
}

fn by_job(heard: &[Listing]) -> Vec<Shown> {
    let mut jobs: BTreeMap<(&str, RunId, bool), Vec<&Listing>> = BTreeMap::new();
    // A member who waits for a newcomer with a code is no peer.
    for listing in heard.iter().filter(|listing| !listing.pairs) {
        jobs.entry((&listing.job, listing.run, listing.open)).or_default().push(listing);
    }
    let peer = |listing: &Listing| ShownPeer {
        peer: listing.peer.to_string(),
        wire: listing.wire,
        addresses: listing.addresses.iter().map(ToString::to_string).collect(),
    };
    jobs.into_iter()
        .map(|((job, run, open), mut peers)| {
            peers.sort_by_key(|listing| listing.peer);
            Shown { job: escape(job, 64), run: run.0.to_string(), open, peers: peers.into_iter().map(peer).collect() }
        })
        .collect()
}
