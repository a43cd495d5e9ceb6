//! What members do for each other beyond their links, all behind the [`Gate`](super::gate::Gate): strangers get none of it.
//!
//! ```text
//! identify   "this is the address I see you at"               what the others work with
//! dht        who else there is                                 see its file
//! autonat    "dial me back there": am I reachable?             v2; the asking half needs strangers' connections, so it is outside
//! relay      carries the bytes of two that cannot meet         for members of this run only, within the limits below
//! dcutr      both dial at the same moment through their NATs   replaces a relayed link by a direct one
//! ```

use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, autonat, dcutr, identify, relay};
use protocol::id::RunId;

use super::dht::Dht;

/// What identify says of us, apart from the protocol names.
const IDENTIFY_PROTOCOL: &str = "/starling/1";
/// Members that may wait at this peer for calls.
const RELAY_RESERVATIONS_MAX: usize = 64;
/// Of one member: it renews one, and may lose one.
const RELAY_RESERVATIONS_PER_PEER_MAX: usize = 2;
/// How long a reservation holds; it is renewed before.
const RELAY_RESERVATION: Duration = Duration::from_secs(3600);
/// Links that this peer carries for others at a time.
const RELAY_CIRCUITS_MAX: usize = 32;
/// Of those, with one member at the calling end.
const RELAY_CIRCUITS_PER_PEER_MAX: usize = 8;
/// A carried link is cut after this, and may be made again: so the places go round.
const RELAY_CIRCUIT_DURATION_MAX: Duration = Duration::from_secs(3600);
/// And after so many bytes either way. guess: a day of deltas of a small model, a few snapshots of a large one.
const RELAY_CIRCUIT_BYTES_MAX: u64 = 1 << 30;

/// The behaviours inside the gate.
#[derive(NetworkBehaviour)]
pub(crate) struct Members {
    pub(crate) identify: identify::Behaviour,
    pub(crate) dht: Dht,
    autonat: Toggle<autonat::v2::server::Behaviour>,
    relay: Toggle<relay::Behaviour>,
    relay_client: Toggle<relay::client::Behaviour>,
    dcutr: Toggle<dcutr::Behaviour>,
}

/// How far this peer goes to be reached from outside its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wide {
    /// Whether it listens beyond this machine: else there is nothing to find out.
    pub(crate) beyond: bool,
    /// Whether links may be relayed, its own and those of others.
    pub(crate) relay: bool,
    /// Whether to ask the router for a port.
    pub(crate) upnp: bool,
}

impl Members {
    pub(crate) fn new(key: &Keypair, run: RunId, wide: Wide, relay_client: relay::client::Behaviour) -> Self {
        let us = key.public().to_peer_id();
        let relays = wide.beyond && wide.relay;
        Self {
            identify: identify::Behaviour::new(
                identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), key.public())
                    .with_agent_version(concat!("starling/", env!("CARGO_PKG_VERSION")).to_owned())
                    .with_hide_listen_addrs(true)
                    // What changes is told: who relays, and where it is reached.
                    .with_push_listen_addr_updates(true),
            ),
            dht: Dht::new(us, run),
            autonat: Toggle::from(wide.beyond.then(autonat::v2::server::Behaviour::default)),
            relay: Toggle::from(relays.then(|| relay::Behaviour::new(us, relay_limits()))),
            relay_client: Toggle::from(relays.then_some(relay_client)),
            dcutr: Toggle::from(relays.then(|| dcutr::Behaviour::new(us))),
        }
    }

    /// A peer in the terms of libp2p is reached at these addresses.
    pub(crate) fn know(&mut self, peer: PeerId, addresses: Vec<libp2p::Multiaddr>) {
        self.dht.know(peer, addresses, std::time::Instant::now());
    }
}

fn relay_limits() -> relay::Config {
    relay::Config {
        max_reservations: RELAY_RESERVATIONS_MAX,
        max_reservations_per_peer: RELAY_RESERVATIONS_PER_PEER_MAX,
        reservation_duration: RELAY_RESERVATION,
        max_circuits: RELAY_CIRCUITS_MAX,
        max_circuits_per_peer: RELAY_CIRCUITS_PER_PEER_MAX,
        max_circuit_duration: RELAY_CIRCUIT_DURATION_MAX,
        max_circuit_bytes: RELAY_CIRCUIT_BYTES_MAX,
        // How often a peer or an address may ask is limited as in libp2p's defaults.
        ..relay::Config::default()
    }
}
