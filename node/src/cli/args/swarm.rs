//! `starling swarm`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use protocol::id::{PeerId, parse_hex};

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
