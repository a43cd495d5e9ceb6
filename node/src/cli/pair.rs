//! `starling swarm pair`: shows a code, and hands the job file to the newcomer who types it.

use std::path::Path;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use protocol::trust::Identity;
use serde_json::json;

use super::args::SwarmPair;
use super::{id, job as job_command, say};
use crate::config::{Job, RawJob};
use crate::error::{Error, Kind};
use crate::store::audit::{self, Audit};
use crate::store::identity;
use crate::swarm::pairing::{self, Code, Meeting, Offer, TRIES_MAX};

/// How long the last records of the log may take to be written.
const AUDIT_FLUSH_MAX: Duration = Duration::from_secs(1);

pub(super) fn run(args: &SwarmPair) -> Result<(), Error> {
    let job = Job::new(RawJob::read(&args.job)?)?;
    if job.key.is_none() {
        return Err(Error::new(
            Kind::Usage,
            format!("{} is open: everybody may join without a code", args.job.display()),
        )
        .hint("`starling join NAME` takes part in an open job; `starling swarm new JOB` makes one private"));
    }
    let audit = open_log(args, &job)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, format!("cannot start the runtime: {error}")))?;
    let outcome = runtime.block_on(pair(args, &job, &audit));
    let _ = audit.flush(AUDIT_FLUSH_MAX);
    outcome
}

async fn pair(args: &SwarmPair, job: &Job, audit: &Audit) -> Result<(), Error> {
    let (code, key) = (Code::draw()?, Keypair::generate_ed25519());
    let valid = Duration::from_secs(args.valid.into());
    let run = job.run_id();
    let mut offer =
        Offer::new(key.public().to_peer_id(), code.clone(), job_command::shared(job), valid, Instant::now())?;
    say::line(&format!("swarm {:?}, run {}", job.name, run.0.short()))?;
    say::line(&format!("code  {code}   good for {}, one newcomer, {TRIES_MAX} wrong tries", spell(valid)))?;
    if !args.no_mdns {
        say::line(&format!("there  starling join {}   and the code when it asks for it", job.name))?;
    }
    audit.note(audit::Kind::Pair, json!({ "what": "shown", "run": run.0.to_string(), "seconds": args.valid }));
    let mut listening = |address: &Multiaddr| {
        // A terminal that is gone reads no code either.
        let _ = say::line(&format!("or     starling join {address}   from beyond this network"));
    };
    let mut met = |meeting: &Meeting| {
        let (what, peer) = match meeting {
            Meeting::Wrong(peer, left) => {
                let _ = say::line(&format!("wrong code from {peer}: {left} more and this one is dead"));
                ("wrong code", peer)
            }
            Meeting::Paired(peer) => ("paired", peer),
        };
        audit.note(audit::Kind::Pair, json!({ "what": what, "peer": peer.to_string(), "run": run.0.to_string() }));
    };
    let place = pairing::Place { listen: &args.listen, lan: (!args.no_mdns).then_some((job.name.as_str(), run)) };
    let served = tokio::select! {
        served = pairing::serve(key, place, &mut offer, &mut listening, &mut met) => served?,
        _ = tokio::signal::ctrl_c() => {
            audit.note(audit::Kind::Pair, json!({ "what": "stopped" }));
            return Err(Error::new(Kind::Interrupted, "stopped: the code is good for nothing any more"));
        }
    };
    if served {
        return say::line("paired: the newcomer has the job file, and the code is used up");
    }
    let why = if offer.is_dead() { "dead: it was guessed at too often" } else { "too old" };
    audit.note(audit::Kind::Pair, json!({ "what": "over", "why": why }));
    Err(Error::new(Kind::Network, format!("nobody was paired: the code is {why}")).hint("run it again for a new code"))
}

/// A log of its own: that of a running peer has one writer.
fn open_log(args: &SwarmPair, job: &Job) -> Result<Audit, Error> {
    let place = match &args.audit {
        Some(none) if none == Path::new("none") => return Ok(Audit::default()),
        Some(dir) => Some(dir.clone()),
        None => None,
    };
    let path = id::path(args.identity.as_deref())?;
    if args.identity.is_none() {
        id::make_folder(&path)?;
    }
    let seed = identity::load_or_create(&path)?;
    let us = Identity::from_seed(&seed).peer_id();
    let folder = || path.with_extension("audit").join(format!("pairing-{}", &job.run_id().0.to_string()[..16]));
    Audit::open(&place.unwrap_or_else(folder), &us.to_string())
}

fn spell(span: Duration) -> String {
    match span.as_secs() {
        60 => "1 minute".to_owned(),
        seconds if seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
