//! `starling top`

use std::path::PathBuf;

use clap::Args;

use super::Places;
use crate::cli::place;

/// `starling top`
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Where dashboards are served: IP:PORT, a range of ports as 127.0.0.1:7878-7881, or a port of this machine (several, one a peer)
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:7878", value_parser = place::parse)]
    pub places: Vec<Places>,
    /// Bring the token in this file, where the dashboard asks for one
    #[arg(long, value_name = "FILE")]
    pub dashboard_token: Option<PathBuf>,
    /// Print one frame as text and end
    #[arg(long)]
    pub once: bool,
    /// Write the states as JSON and end; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "once")]
    pub json: Option<PathBuf>,
}
