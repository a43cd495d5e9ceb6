//! libp2p's part: the behaviours composed, over what carries them, and its limits.

use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::request_response::ProtocolSupport;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{Swarm, SwarmBuilder, autonat, ping, relay, upnp};
use protocol::id::RunId;

use super::gate::Gate;
use super::leaving::LEAVING_MAX;
use super::members::{Members, Wide};
use super::waiting::{Doorway, WAITING_MAX};
use super::{invitation, port, transport};
use crate::error::{Error, Kind};

/// libp2p closes a connection on which no stream is open for so long. Our links have one, and what has none is closed
/// by
/// [`super::Network`] much earlier: this is only not to be the default of 10 s.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Connections that we may be making.
const PENDING_CONNECTIONS_MAX: u32 = 64;
/// Connections that may be in the handshake, besides those that are links. Whoever comes when there are as many is let in, and the
/// oldest yields: see [`super::waiting`].
pub(super) const HANDSHAKES_MAX: usize = 64;
/// Streams of a connection on which it is not settled yet what they speak.
const UNSETTLED_STREAMS_MAX: usize = 32;
/// Connections of one peer: both dial at once, a relayed link is replaced by a direct one, and AutoNAT dials back.
const CONNECTIONS_PER_PEER_MAX: u32 = 8;

/// The behaviours, composed.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// First: it denies before the others spend anything.
    limits: connection_limits::Behaviour,
    port: port::Behaviour,
    ping: ping::Behaviour,
    /// For strangers: it says what an open job says to everybody.
    pub(super) invitation: invitation::Behaviour,
    /// Asks members whether we can be reached. Whoever dials us back does so on a connection of its own, which is no link:
    /// so it stands outside the gate. It takes eight bytes of a stranger, and believes them when they are the ones it drew.
    autonat: Toggle<autonat::v2::client::Behaviour>,
    upnp: Toggle<upnp::tokio::Behaviour>,
    pub(crate) members: Gate<Members>,
}

/// A swarm that listens nowhere yet.
///
/// # Errors
/// [`Kind::Network`] when the secure channel cannot be set up.
pub(crate) fn build(
    key: Keypair,
    run: RunId,
    neighbours_max: usize,
    wide: Wide,
    doorway: Doorway,
) -> Result<Swarm<Behaviour>, Error> {
    let limits = limits(neighbours_max);
    let (relayed, relay_client) = relay::client::new(key.public().to_peer_id());
    let behaviour = |key: &Keypair| Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        port: port::Behaviour::default(),
        ping: ping::Behaviour::default(),
        invitation: invitation::behaviour(ProtocolSupport::Inbound),
        autonat: Toggle::from(wide.beyond.then(autonat::v2::client::Behaviour::default)),
        upnp: Toggle::from((wide.beyond && wide.upnp).then(upnp::tokio::Behaviour::default)),
        members: Gate::new(Members::new(key, run, wide, relay_client)),
    };
    let no_channel =
        |error: &dyn std::fmt::Display| Error::new(Kind::Network, format_args!("no secure channel: {error}"));
    let builder = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_other_transport(|key| transport::with_relay(key, relayed, doorway))
        .map_err(|error| no_channel(&error))?
        .with_behaviour(behaviour)
        .map_err(|error| Error::new(Kind::Internal, error))?;
    let config = |config: libp2p::swarm::Config| {
        config.with_idle_connection_timeout(IDLE_MAX).with_max_negotiating_inbound_streams(UNSETTLED_STREAMS_MAX)
    };
    Ok(builder.with_swarm_config(config).build())
}

fn limits(neighbours_max: usize) -> ConnectionLimits {
    // Twice what we let wait, and room for those that are being closed: whoever has to yield is gone a moment later, and nobody
    // else is turned away for it.
    let count = |n: usize| Some(u32::try_from(n).unwrap_or(u32::MAX));
    ConnectionLimits::default()
        .with_max_pending_incoming(count(2 * WAITING_MAX))
        .with_max_pending_outgoing(Some(PENDING_CONNECTIONS_MAX))
        .with_max_established(count(neighbours_max.saturating_add(2 * HANDSHAKES_MAX + LEAVING_MAX)))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
}
