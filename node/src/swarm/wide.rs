//! Beyond the LAN: what [`Network`] does with what the members' behaviours find out.
//!
//! Here events of Kademlia, identify, AutoNAT, UPnP and the relays become hints for the protocol, addresses that are
//! announced, and reservations. What is decided stands in [`super::reach`], `super::dht` and the protocol.

use std::time::Instant;

use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId as NetworkId, autonat, identify, relay, upnp};
use protocol::Input;
use protocol::id::PeerId;
use protocol::wire::PeerRecord;

use super::Network;
use super::address::{self, Way};
use super::behaviour::BehaviourEvent;
use super::dht::{HINT_ADDRESSES_MAX, Hint};
use super::members::MembersEvent;
use super::reach::{Wish, is_public, through};

/// The public address of this machine at which the other side has reached us, if that is how the connection came.
pub(super) fn reached_at(endpoint: &ConnectedPoint) -> Option<Multiaddr> {
    match endpoint {
        ConnectedPoint::Listener { local_addr, .. } => is_public(local_addr).then(|| local_addr.clone()),
        ConnectedPoint::Dialer { .. } => None,
    }
}

impl Network {
    /// Takes an event that is about how we are reached, or who else there is.
    pub(super) fn on_wide(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Members(event)) => self.on_members(event),
            SwarmEvent::Behaviour(BehaviourEvent::Autonat(autonat::v2::client::Event {
                tested_addr,
                server,
                result,
                ..
            })) => {
                tracing::debug!(address = %tested_addr, %server, reached = result.is_ok(), "AutoNAT");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Upnp(event)) => match event {
                upnp::Event::NewExternalAddr { external_addr, .. } => {
                    tracing::info!(address = %external_addr, "the router has opened a port (UPnP)");
                }
                event => tracing::debug!(?event, "UPnP"),
            },
            SwarmEvent::ExternalAddrConfirmed { address } => {
                let (address, _) = address::split_peer(address);
                if self.reach.confirmed(address.clone(), Instant::now()) {
                    tracing::info!(%address, "this peer is reached there");
                    self.listening_changed = true;
                }
            }
            SwarmEvent::ExternalAddrExpired { address } => {
                self.listening_changed |= self.reach.expired(&address::split_peer(address).0);
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                tracing::debug!(?listener_id, ?reason, "a listener is closed");
                self.reach.closed(listener_id, Instant::now());
            }
            _ => {}
        }
    }

    fn on_members(&mut self, event: MembersEvent) {
        match event {
            MembersEvent::Dht(Hint { peer, addresses }) => {
                let Some(peer) = address::from_network(&peer) else { return };
                if !self.links.contains_key(&peer) {
                    let bare = addresses.into_iter().map(|address| address::split_peer(address).0.to_string());
                    self.input(Input::Discovered { peer, addresses: bare.collect() });
                }
            }
            MembersEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                let relays = info.protocols.contains(&relay::HOP_PROTOCOL_NAME);
                if let Some(peer) = address::from_network(&peer_id).filter(|peer| self.links.contains_key(peer)) {
                    self.reach.heard(peer, relays, &info.listen_addrs);
                }
            }
            MembersEvent::Dcutr(event) => match event.result {
                Ok(_) => tracing::info!(peer = %event.remote_peer_id, "a direct way through the NATs was found"),
                Err(error) => tracing::debug!(peer = %event.remote_peer_id, %error, "no direct way"),
            },
            MembersEvent::RelayClient(event) => tracing::debug!(?event, "relayed"),
            MembersEvent::Relay(event) => tracing::debug!(?event, "relays"),
            MembersEvent::Autonat(event) => tracing::debug!(client = %event.client, "AutoNAT asked"),
            MembersEvent::Identify(_) => {}
        }
    }

    /// A link is up: its peer is a member.
    pub(super) fn welcome(&mut self, connection: ConnectionId) {
        self.swarm.behaviour_mut().members.open(connection);
        let reached = self.connections.get(&connection).and_then(|record| record.reached_at.clone());
        if let Some(address) = reached
            && self.wide.beyond
        {
            // No word of the other side's: its packets have come in there.
            self.swarm.add_external_address(address.clone());
            self.listening_changed |= self.reach.confirmed(address, Instant::now());
        }
    }

    /// A neighbour says where it and others are: where it is itself goes into the table of Kademlia.
    pub(super) fn overhear(&mut self, from: PeerId, records: &[PeerRecord]) {
        let Some(id) = address::to_network(from) else { return };
        // One word about itself a message: the protocol's bounds are looked at later.
        if let Some(record) = records.iter().find(|record| record.peer == from) {
            let addresses = record.addresses.iter().take(HINT_ADDRESSES_MAX);
            let addresses = addresses.filter_map(|text| address::parse_heard(text)).collect();
            self.swarm.behaviour_mut().members.inner_mut().know(id, addresses);
        }
    }

    /// Reservations that are wanted or not any more, and walks when neighbours are few.
    pub(super) fn on_wide_tick(&mut self, now: Instant) {
        while let Some(wish) = self.reach.wish(now) {
            match wish {
                Wish::Reserve(peer, relay) => match address::to_network(peer) {
                    Some(id) if self.wide.relay => self.reserve(peer, id, relay, now),
                    _ => self.reach.refused(peer, now),
                },
                Wish::GiveBack(listener) => drop(self.swarm.remove_listener(listener)),
            }
        }
        if !self.links.is_empty() && self.links.len() < self.admission.neighbours_target {
            self.swarm.behaviour_mut().members.inner_mut().dht.walk(now);
        }
    }

    pub(super) fn reserve(&mut self, peer: PeerId, id: NetworkId, relay: Multiaddr, now: Instant) {
        match self.swarm.listen_on(through(relay, id)) {
            Ok(listener) => {
                tracing::info!(relay = %peer.short(), "nobody reaches this peer from outside: asking a neighbour to relay");
                self.reach.reserving(peer, listener);
            }
            Err(error) => {
                tracing::debug!(relay = %peer.short(), %error, "not asked to relay");
                self.reach.refused(peer, now);
            }
        }
    }

    /// Whether we go that way.
    pub(super) fn may_go(&self, address: &Multiaddr) -> bool {
        self.wide.relay || address::way(address) != Some(Way::Relayed)
    }
}
