//! libp2p's part: TCP with Noise and Yamux, QUIC, and the behaviours composed.

use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{Swarm, SwarmBuilder, identify, mdns, noise, ping, tcp, yamux};

use super::port;
use crate::error::{Error, Kind};

/// What identify says of us, apart from the protocol names.
const IDENTIFY_PROTOCOL: &str = "/starling/1";
/// libp2p closes a connection on which no stream is open for so long. Our links have one, and what has none is closed
/// by
/// [`super::Network`] much earlier: this is only not to be the default of 10 s.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Time between two mDNS queries: a peer that appears on the LAN is found within it. (libp2p's default is 5 minutes.)
const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(2);
/// How long an mDNS record is believed.
const MDNS_TTL: Duration = Duration::from_secs(30);
/// Connections that may be in the making, each way.
const PENDING_CONNECTIONS_MAX: u32 = 64;
/// Connections that may be in the handshake, besides those that are links.
const HANDSHAKES_MAX: u32 = 64;
/// Connections of one peer: both dial at once, and a link is replaced.
const CONNECTIONS_PER_PEER_MAX: u32 = 4;

/// The behaviours, composed.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// First: it denies before the others spend anything.
    limits: connection_limits::Behaviour,
    port: port::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
}

/// A swarm that listens nowhere yet.
///
/// # Errors
/// [`Kind::Network`] when the secure channel or mDNS cannot be set up.
pub(crate) fn build(key: Keypair, neighbours_max: usize, with_mdns: bool) -> Result<Swarm<Behaviour>, Error> {
    let limits = limits(neighbours_max);
    let behaviour = |key: &Keypair| Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        port: port::Behaviour::default(),
        identify: identify::Behaviour::new(
            identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), key.public())
                .with_agent_version(concat!("starling/", env!("CARGO_PKG_VERSION")).to_owned())
                .with_hide_listen_addrs(true),
        ),
        ping: ping::Behaviour::default(),
        mdns: Toggle::from(if with_mdns { mdns_of(key) } else { None }),
    };
    // Without nodelay a 64-byte message takes 44 to 132 ms, with it 0.1 to 0.3 ms (measured).
    let builder = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| Error::new(Kind::Network, format_args!("no secure channel: {error}")))?
        .with_quic()
        .with_behaviour(behaviour)
        .map_err(|error| Error::new(Kind::Internal, error))?;
    Ok(builder.with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_MAX)).build())
}

fn limits(neighbours_max: usize) -> ConnectionLimits {
    let links = u32::try_from(neighbours_max).unwrap_or(u32::MAX);
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_CONNECTIONS_MAX))
        .with_max_pending_outgoing(Some(PENDING_CONNECTIONS_MAX))
        .with_max_established(Some(links.saturating_add(HANDSHAKES_MAX)))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
}

/// A machine without a LAN has no mDNS; its peers can still be named.
fn mdns_of(key: &Keypair) -> Option<mdns::tokio::Behaviour> {
    let config = mdns::Config { ttl: MDNS_TTL, query_interval: MDNS_QUERY_INTERVAL, enable_ipv6: false };
    mdns::tokio::Behaviour::new(config, key.public().to_peer_id())
        .inspect_err(|error| tracing::warn!(%error, "peers on the LAN are not looked for: mDNS does not work here"))
        .ok()
}
