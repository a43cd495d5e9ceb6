//! `starling ls`, `starling join`, `starling doctor`.

use std::path::PathBuf;

use clap::Args;

use super::RunArgs;

/// Seconds that a look at the network takes, where nothing else is said. A peer that has just answered somebody else answers
/// again after a second (RFC 6762, section 6); questions go out at 0, 1 and 3 s.
const LOOK_DEFAULT_S: f32 = 2.5;

/// Seconds to look around.
fn seconds(text: &str) -> Result<f32, String> {
    let refuse = || "seconds, 0.1 to 60".to_owned();
    text.parse().ok().filter(|seconds| (0.1..=60.0).contains(seconds)).ok_or_else(refuse)
}

/// `starling ls`
#[derive(Debug, Args)]
pub struct LsArgs {
    /// How long to listen for answers
    #[arg(long, value_name = "SECONDS", default_value_t = LOOK_DEFAULT_S, value_parser = seconds)]
    pub wait: f32,
    /// Write what was heard as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `starling join`
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// A job by its name or the beginning of its run id, as `starling ls` shows them, or the address of a peer
    #[arg(value_name = "NAME|RUN|MULTIADDR")]
    pub what: String,
    /// Where to keep the job file [default: the job's name with .toml, here]
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// The code of `starling swarm pair`, for a private job [default: asked for at the terminal]
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
    /// Take part without being asked first
    #[arg(long)]
    pub yes: bool,
    /// Get the job file and stop
    #[arg(long)]
    pub fetch_only: bool,
    /// How long to look for it on the network
    #[arg(long, value_name = "SECONDS", default_value_t = LOOK_DEFAULT_S, value_parser = seconds)]
    pub wait: f32,
    /// As in `starling run`, which follows.
    #[command(flatten)]
    pub run: RunArgs,
}

/// `starling doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Whether peers of this job can be met
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,
    /// Whether this peer can be reached (repeatable)
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Vec<String>,
    /// Whether those in this file can be reached, one address a line, # for comments; of more than 32 the first ones
    #[arg(long, value_name = "FILE")]
    pub peers: Option<PathBuf>,
    /// Whether this can be listened on (repeatable)
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// File of the identity key [default: identity.key in the user's data directory]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Write the findings as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
