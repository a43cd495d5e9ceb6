//! One stream a connection: the smallest behaviour that hands out a raw stream.
//!
//! Whoever dialled the connection opens the stream, once; the other side takes the first that comes and resets the
//! rest. (A dial-back of AutoNAT is no link and gets none.) So a stream always belongs to a connection that we can name
//! and close, and none is ever lost in a queue.
//! (`libp2p_stream` picks a connection at random and drops streams that arrive in a burst.)

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour, Stream,
    StreamProtocol, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use protocol::wire::STREAM_PROTOCOL;

use super::gate::is_dial_back;

/// The stream of a connection is there, or will never be.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: ConnectionId,
    /// The stream; an error when the other side does not speak [`STREAM_PROTOCOL`].
    pub(crate) stream: Result<Stream, String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    /// At most one for each connection.
    opened: VecDeque<Opened>,
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Opened;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler { stage: Stage::Listen, result: None })
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let stage = match role {
            _ if is_dial_back(port_use) => Stage::Done,
            Endpoint::Dialer => Stage::Ask,
            // Through two NATs both have dialled at once, and agreed who counts as the dialler.
            Endpoint::Listener => Stage::Listen,
        };
        Ok(Handler { stage, result: None })
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, connection: ConnectionId, stream: THandlerOutEvent<Self>) {
        self.opened.push_back(Opened { connection, stream });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // No waker: the swarm polls its behaviours after each event of a handler, and nothing else fills the queue.
        match self.opened.pop_front() {
            Some(opened) => Poll::Ready(ToSwarm::GenerateEvent(opened)),
            None => Poll::Pending,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Handler {
    stage: Stage,
    result: Option<Result<Stream, String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// We dialled: ask for the stream.
    Ask,
    /// We have asked.
    Asked,
    /// They dialled: wait for theirs.
    Listen,
    /// The one stream was handed out, or there is none.
    Done,
}

impl Handler {
    fn done(&mut self, result: Result<Stream, String>) {
        self.stage = Stage::Done;
        self.result = Some(result);
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Result<Stream, String>;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(StreamProtocol::new(STREAM_PROTOCOL)), ())
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if let Some(result) = self.result.take() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(result));
        }
        if self.stage == Stage::Ask {
            self.stage = Stage::Asked;
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol: self.listen_protocol() });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: stream, .. })
                if self.stage == Stage::Listen =>
            {
                self.done(Ok(stream));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: stream, .. })
                if self.stage == Stage::Asked =>
            {
                self.done(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) if self.stage == Stage::Asked => {
                self.done(Err(error.to_string()));
            }
            // A stream that nobody asked for is dropped, which resets it.
            _ => {}
        }
    }
}
