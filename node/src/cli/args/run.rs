//! `starling run`.

use std::path::PathBuf;

use clap::Args;

use super::{Common, DashboardArgs, Keeping, Shard};
use crate::config::RawJob;
use crate::config::raw::{RawData, RawTraining};

/// `starling run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The job file (`starling job init` writes one); without it the public demo job, which wants --open
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,
    /// Agree to train with everyone: the job has no key
    #[arg(long)]
    pub open: bool,
    /// Listen here (repeatable) [default: every interface, TCP and QUIC on one free port]
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// Dial this peer (repeatable); others are found by mDNS and through the peers
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Vec<String>,
    /// Dial the peers in this file, one address a line, # for comments
    #[arg(long, value_name = "FILE")]
    pub peers: Option<PathBuf>,
    /// Neither announce this peer on the LAN nor look for others there
    #[arg(long)]
    pub no_mdns: bool,
    /// Neither take links that another peer relays, nor relay for others
    #[arg(long)]
    pub no_relay: bool,
    /// Do not ask the router to open a port (UPnP)
    #[arg(long)]
    pub no_upnp: bool,
    /// File of the identity key, made when it is not there [default: identity.key in the user's data directory]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Folder of the audit log, or none [default: identity.audit/RUN, beside the identity]
    #[arg(long, value_name = "DIR|none")]
    pub audit: Option<PathBuf>,
    /// Train on this shard, numbered from 0, of the job's [default: drawn from the identity]
    #[arg(long, value_name = "I[/N]")]
    pub shard: Option<Shard>,
    /// Stop after so many epochs [default: as in the job, else never]
    #[arg(long, value_name = "E")]
    pub epochs: Option<u32>,
    /// Train alone, without a socket
    #[arg(long)]
    pub no_gossip: bool,
    /// Smoke test: train alone on one batch for 200 steps [or --epochs of 50]; exit code 3 unless it was learnt by heart
    #[arg(long, conflicts_with_all = ["child", "company"])]
    pub overfit_one_batch: bool,
    /// Neither a bar nor a line of an epoch or a neighbour: the summary, warnings and errors stay
    #[arg(long, short)]
    pub quiet: bool,
    /// What people look at.
    #[command(flatten)]
    pub dashboard: DashboardArgs,
    /// What is kept of it.
    #[command(flatten)]
    pub keeping: Keeping,
    /// What every command understands.
    #[command(flatten)]
    pub common: Common,
    /// Wait for so many neighbours before training, for a while
    #[arg(long, hide = true, value_name = "N")]
    pub company: Option<u16>,
    /// Speak to a launcher: events on stdout, stop when stdin ends
    #[arg(long, hide = true)]
    pub child: bool,
}

impl RunArgs {
    /// What the flags say about the job.
    #[must_use]
    pub fn job_layer(&self) -> RawJob {
        RawJob {
            data: RawData { path: self.common.data.clone(), label: self.common.label.clone(), ..RawData::default() },
            training: RawTraining { epochs: self.epochs, ..RawTraining::default() },
            ..RawJob::default()
        }
    }
}
