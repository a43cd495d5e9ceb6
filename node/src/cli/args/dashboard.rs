//! `--dashboard` and what belongs to it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Where the dashboard is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dashboard {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

/// One or several addresses, of one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(pub Vec<SocketAddr>);

/// Flags of whoever serves a dashboard.
#[derive(Clone, Debug, Default, Args)]
pub struct DashboardArgs {
    /// Serve the dashboard, state, metrics and predictions over HTTP there, or none [default: 127.0.0.1:7878, or a free port when that is
    /// taken]. Beyond loopback, and with --dashboard-host, it asks for a token
    #[arg(long, value_name = "IP:PORT|none", value_parser = crate::cli::dashboard::parse)]
    pub dashboard: Option<Dashboard>,
    /// Ask for the token in this file, made when it is not there [default: identity.token beside the identity, beyond
    /// loopback and with --dashboard-host]
    #[arg(long, value_name = "FILE")]
    pub dashboard_token: Option<PathBuf>,
    /// The dashboard may be called by this name, too (repeatable): that of a proxy in front of it. Who comes by it
    /// needs the token
    #[arg(long, value_name = "NAME")]
    pub dashboard_host: Vec<String>,
}
