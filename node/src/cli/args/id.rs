//! `starling id`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `starling id`
#[derive(Debug, Subcommand)]
pub enum IdCommand {
    /// Print the id of a peer, and where its key is
    Show(IdFile),
    /// Make a new identity; never overwrites without --force
    New {
        /// Where.
        #[command(flatten)]
        file: IdFile,
        /// Replace the one that is there, which is lost then
        #[arg(long)]
        force: bool,
    },
}

/// An identity.
#[derive(Debug, Args)]
pub struct IdFile {
    /// File of the identity key [default: identity.key in the user's data directory]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
}
