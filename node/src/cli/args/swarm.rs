//! `starling swarm`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use protocol::id::{PeerId, parse_hex};

use crate::swarm::pairing::{VALID_DEFAULT_S, VALID_MAX_S};

/// `starling swarm`
#[derive(Debug, Subcommand)]
pub enum SwarmCommand {
    /// Give a job file a fresh swarm key: a private swarm, and a new one where there was a key before
    New(SwarmFile),
    /// Print whether a job is open or private, the fingerprint of its key, and whom this machine links with
    Show(SwarmFile),
    /// Link with these peers (as well), and with nobody who is not on the list
    Allow(SwarmAllow),
    /// Take peers off the list
    Deny(SwarmDeny),
    /// Show a code: whoever types it at `starling join` gets the file of this private job, once
    #[command(after_help = PAIR_EXAMPLES)]
    Pair(SwarmPair),
}

const PAIR_EXAMPLES: &str = "\
Examples:
  starling swarm pair job.toml                 here: shows a code like 7KQM-4TXD
  starling join flock                          there: asks for the code, shows the job, and trains
Exit code 0 when a newcomer has the file, 4 when the code came to its end before.";

/// `starling swarm pair`
#[derive(Debug, Args)]
pub struct SwarmPair {
    /// The job file
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
    /// How long the code is good
    #[arg(long, value_name = "SECONDS", default_value_t = VALID_DEFAULT_S, value_parser = clap::value_parser!(u32).range(1..=VALID_MAX_S as i64))]
    pub valid: u32,
    /// Wait here (repeatable) [default: every interface, TCP and QUIC on one free port]
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// Do not announce it on the LAN: the newcomer types an address
    #[arg(long)]
    pub no_mdns: bool,
    /// File of the identity key, in whose name the log is kept [default: identity.key in the user's data directory]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Folder of the audit log, or none [default: identity.audit/pairing-RUN, beside the identity]
    #[arg(long, value_name = "DIR|none")]
    pub audit: Option<PathBuf>,
}

/// A job.
#[derive(Debug, Args)]
pub struct SwarmFile {
    /// The job file
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
}

/// `starling swarm allow`
#[derive(Debug, Args)]
pub struct SwarmAllow {
    /// The job file
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
    /// Ids of 64 hex digits, as `starling id show` prints them
    #[arg(value_name = "PEER_ID", required_unless_present = "everybody", value_parser = peer)]
    pub peers: Vec<PeerId>,
    /// No list: everybody who knows the key
    #[arg(long, conflicts_with = "peers")]
    pub everybody: bool,
}

/// `starling swarm deny`
#[derive(Debug, Args)]
pub struct SwarmDeny {
    /// The job file
    #[arg(value_name = "JOB")]
    pub job: PathBuf,
    /// Ids of 64 hex digits
    #[arg(value_name = "PEER_ID", required = true, value_parser = peer)]
    pub peers: Vec<PeerId>,
}

fn peer(text: &str) -> Result<PeerId, String> {
    parse_hex(text).map(PeerId).ok_or_else(|| "a peer id is 64 hex digits, as `starling id show` prints it".into())
}
