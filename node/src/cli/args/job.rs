//! `starling job`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `starling job`
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Write a commented job with a fresh swarm key; never overwrites
    Init(JobInitArgs),
    /// Check a job file and the data it names
    Check(JobFileArgs),
    /// Print a job with every default spelled out, and the id of its run
    Show(JobFileArgs),
}

/// `starling job init`
#[derive(Debug, Args)]
pub struct JobInitArgs {
    /// Where to write it
    #[arg(value_name = "FILE", default_value = "job.toml")]
    pub file: PathBuf,
    /// Name of the swarm
    #[arg(long, default_value = "flock")]
    pub name: String,
    /// Without a key: everyone may join
    #[arg(long)]
    pub open: bool,
    /// Print it instead
    #[arg(long)]
    pub stdout: bool,
}

/// `starling job check|show`
#[derive(Debug, Args)]
pub struct JobFileArgs {
    /// The job file; without it the embedded demo job
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}
