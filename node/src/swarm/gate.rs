//! Behaviours for members only: what is inside sees a connection when its peer has proved the swarm key, and not before.
//!
//! libp2p gives every behaviour every connection as soon as the secure channel stands. Kademlia, relaying and the like
//! would then serve strangers, and take their word for who is where. Here the handler of a connection stays empty: it
//! speaks no protocol and asks for nothing, until the gate is opened for it. From then on everything is as if the
//! connection had been made at that moment.
//!
//! It opens in two steps, since the two ends do not open theirs at the same time, and a question that comes too early
//! is answered "no such protocol" and not asked again. [`Gate::open`] comes with the admission: what the other side asks is
//! taken in. [`Gate::ask`] comes with the first word over the link, which the other side says when it has opened its own
//! gate: now questions go out.
//!
//! The one exception is a dial-back of AutoNAT, which is made by the behaviour inside and carries nothing else: an
//! outgoing connection from a port of its own ([`is_dial_back`]).

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::DeniedUpgrade;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::{AddressChange, ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::derive_prelude::Either;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, ListenUpgradeError, SendWrapper};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::candidates::Candidates;

/// Whether a connection of ours is a dial-back of AutoNAT. Nothing else here dials from a port of its own.
pub(crate) fn is_dial_back(port_use: PortUse) -> bool {
    port_use == PortUse::New
}

/// See the module.
pub(crate) struct Gate<B: NetworkBehaviour> {
    inner: B,
    connections: HashMap<ConnectionId, Behind>,
    /// Dial-backs that are not established yet.
    at_once: HashSet<ConnectionId>,
    /// Open connections of each peer.
    open: HashMap<PeerId, Vec<ConnectionId>>,
    candidates: Candidates,
    actions: VecDeque<ToSwarm<B::ToSwarm, THandlerInEvent<Self>>>,
}

/// A connection, before or after the gate was opened for it.
struct Behind {
    peer: PeerId,
    endpoint: ConnectedPoint,
    is_open: bool,
}

impl<B: NetworkBehaviour> Gate<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self {
            inner,
            connections: HashMap::new(),
            at_once: HashSet::new(),
            open: HashMap::new(),
            candidates: Candidates::default(),
            actions: VecDeque::new(),
        }
    }

    /// The behaviours inside.
    pub(crate) fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    /// The peer at the other end has proved the swarm key.
    pub(crate) fn open(&mut self, connection: ConnectionId) {
        let Some(behind) = self.connections.get_mut(&connection).filter(|behind| !behind.is_open) else { return };
        let peer = behind.peer;
        let handler = match &behind.endpoint {
            ConnectedPoint::Dialer { address, role_override, port_use } => {
                self.inner.handle_established_outbound_connection(connection, peer, address, *role_override, *port_use)
            }
            ConnectedPoint::Listener { local_addr, send_back_addr } => {
                self.inner.handle_established_inbound_connection(connection, peer, local_addr, send_back_addr)
            }
        };
        let Ok(handler) = handler.inspect_err(|error| tracing::debug!(%peer, %error, "nothing but the link")) else {
            return;
        };
        behind.is_open = true;
        let endpoint = behind.endpoint.clone();
        self.established(peer, connection, &endpoint, &[]);
        self.order(peer, connection, Order::Open(Box::new(handler)));
    }

    /// The other end has opened its gate, too.
    pub(crate) fn ask(&mut self, connection: ConnectionId) {
        if let Some(peer) = self.connections.get(&connection).filter(|behind| behind.is_open).map(|behind| behind.peer)
        {
            self.order(peer, connection, Order::Ask);
        }
    }

    fn order(&mut self, peer_id: PeerId, connection: ConnectionId, event: Order<THandler<B>>) {
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(connection), event });
    }

    fn established(
        &mut self,
        peer_id: PeerId,
        connection_id: ConnectionId,
        endpoint: &ConnectedPoint,
        failed_addresses: &[Multiaddr],
    ) {
        let open = self.open.entry(peer_id).or_default();
        let other_established = open.len();
        open.push(connection_id);
        self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id,
            connection_id,
            endpoint,
            failed_addresses,
            other_established,
        }));
    }

    fn on_closed(&mut self, closed: ConnectionClosed<'_>) {
        let was_open = self.connections.remove(&closed.connection_id).is_some_and(|behind| behind.is_open);
        if !was_open {
            return;
        }
        let open = self.open.entry(closed.peer_id).or_default();
        open.retain(|&connection| connection != closed.connection_id);
        let remaining_established = open.len();
        if open.is_empty() {
            self.open.remove(&closed.peer_id);
        }
        self.inner.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed { remaining_established, ..closed }));
    }

    /// What the inner behaviours want, as the swarm is to hear it; `None` for what it is not to hear.
    fn translate(
        &mut self,
        action: ToSwarm<B::ToSwarm, THandlerInEvent<B>>,
    ) -> Option<ToSwarm<B::ToSwarm, THandlerInEvent<Self>>> {
        match action {
            // "Any" of its connections may be one that is not open.
            ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event } => {
                let &connection = self.open.get(&peer_id)?.first()?;
                Some(ToSwarm::NotifyHandler {
                    peer_id,
                    handler: NotifyHandler::One(connection),
                    event: Order::Inner(event),
                })
            }
            ToSwarm::NewExternalAddrCandidate(address) => {
                let is_taken = self.candidates.takes(&address, Instant::now());
                is_taken.then_some(ToSwarm::NewExternalAddrCandidate(address))
            }
            action => Some(action.map_in(Order::Inner)),
        }
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Gate<B> {
    type ConnectionHandler = Handler<THandler<B>>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler { inner: None, asks: false })
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !is_dial_back(port_use) {
            return Ok(Handler { inner: None, asks: false });
        }
        let inner = self.inner.handle_established_outbound_connection(connection, peer, address, role, port_use)?;
        self.at_once.insert(connection);
        Ok(Handler { inner: Some(inner), asks: true })
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let ConnectionEstablished { peer_id, connection_id, endpoint, failed_addresses, .. } = established;
                let is_open = self.at_once.remove(&connection_id);
                let behind = Behind { peer: peer_id, endpoint: endpoint.clone(), is_open };
                self.connections.insert(connection_id, behind);
                if is_open {
                    self.established(peer_id, connection_id, endpoint, failed_addresses);
                }
            }
            FromSwarm::ConnectionClosed(closed) => self.on_closed(closed),
            FromSwarm::AddressChange(change) => {
                let AddressChange { connection_id, new, .. } = change;
                let Some(behind) = self.connections.get_mut(&connection_id) else { return };
                behind.endpoint = new.clone();
                if behind.is_open {
                    self.inner.on_swarm_event(event);
                }
            }
            event => {
                if let FromSwarm::DialFailure(failure) = &event {
                    self.at_once.remove(&failure.connection_id);
                }
                self.inner.on_swarm_event(event);
            }
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // An order to open goes out before anything that the inner behaviours say to the handler inside.
        if let Some(action) = self.actions.pop_front() {
            return Poll::Ready(action);
        }
        while let Poll::Ready(action) = self.inner.poll(context) {
            if let Some(action) = self.translate(action) {
                return Poll::Ready(action);
            }
        }
        Poll::Pending
    }
}

/// What a connection's handler is told.
pub(crate) enum Order<H: ConnectionHandler> {
    /// From now on this handler is in charge of what comes in.
    Open(Box<H>),
    /// And of what goes out.
    Ask,
    /// For the handler inside.
    Inner(H::FromBehaviour),
}

impl<H: ConnectionHandler> fmt::Debug for Order<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_) => f.write_str("Open"),
            Self::Ask => f.write_str("Ask"),
            Self::Inner(event) => f.debug_tuple("Inner").field(event).finish(),
        }
    }
}

/// A handler that is empty until the gate is opened for its connection.
pub(crate) struct Handler<H> {
    inner: Option<H>,
    /// Whether what is inside may say anything.
    asks: bool,
}

impl<H: ConnectionHandler> ConnectionHandler for Handler<H> {
    type FromBehaviour = Order<H>;
    type ToBehaviour = H::ToBehaviour;
    type InboundProtocol = Either<SendWrapper<H::InboundProtocol>, SendWrapper<DeniedUpgrade>>;
    type OutboundProtocol = H::OutboundProtocol;
    type InboundOpenInfo = Either<H::InboundOpenInfo, ()>;
    type OutboundOpenInfo = H::OutboundOpenInfo;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        match &self.inner {
            Some(inner) => {
                inner.listen_protocol().map_upgrade(|upgrade| Either::Left(SendWrapper(upgrade))).map_info(Either::Left)
            }
            None => SubstreamProtocol::new(Either::Right(SendWrapper(DeniedUpgrade)), Either::Right(())),
        }
    }

    fn connection_keep_alive(&self) -> bool {
        self.inner.as_ref().is_some_and(H::connection_keep_alive)
    }

    fn on_behaviour_event(&mut self, order: Order<H>) {
        match (order, &mut self.inner) {
            // The connection is polled again after each order, and then offers the new protocols.
            (Order::Open(handler), inner @ None) => *inner = Some(*handler),
            (Order::Ask, _) => self.asks = true,
            (Order::Inner(event), Some(inner)) => inner.on_behaviour_event(event),
            (Order::Open(_), Some(_)) | (Order::Inner(_), None) => {}
        }
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        self.inner.as_mut().filter(|_| self.asks).map_or(Poll::Pending, |inner| inner.poll(context))
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Option<Self::ToBehaviour>> {
        self.inner.as_mut().map_or(Poll::Ready(None), |inner| inner.poll_close(context))
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        let Some(inner) = &mut self.inner else { return };
        let event = match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, info }) => {
                let (futures::future::Either::Left(protocol), Either::Left(info)) = (protocol, info) else {
                    return;
                };
                ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, info })
            }
            ConnectionEvent::ListenUpgradeError(ListenUpgradeError { error, info }) => {
                // Of the time before it was opened nothing concerns the handler inside.
                let (Either::Left(error), Either::Left(info)) = (error, info) else { return };
                ConnectionEvent::ListenUpgradeError(ListenUpgradeError { error, info })
            }
            ConnectionEvent::FullyNegotiatedOutbound(event) => ConnectionEvent::FullyNegotiatedOutbound(event),
            ConnectionEvent::DialUpgradeError(event) => ConnectionEvent::DialUpgradeError(event),
            ConnectionEvent::AddressChange(event) => ConnectionEvent::AddressChange(event),
            ConnectionEvent::LocalProtocolsChange(event) => ConnectionEvent::LocalProtocolsChange(event),
            ConnectionEvent::RemoteProtocolsChange(event) => ConnectionEvent::RemoteProtocolsChange(event),
            _ => return,
        };
        inner.on_connection_event(event);
    }
}
