//! Kademlia as a source of hints: it says who else there is, and dials nobody.
//!
//! Peer exchange (`protocol::membership`) spreads addresses between neighbours at once, and that is all a small swarm
//! needs. In a large one nobody knows everybody, and a peer whose neighbours are all gone, or all of one mind, has nobody to
//! ask: the DHT lets it walk to other parts of the swarm. paper: Maymounkov and Mazieres 2002.
//!
//! Whom a query wants to reach becomes [`Hint`], for `Input::Discovered`: the protocol decides whether there is room,
//! and the handshake whether it is one of us. When a link comes of it within [`QUERY_MAX`] the query goes on over it. Tables
//! hold linked peers only, so what is passed on was once proved; no records are kept for anybody; and the protocol's
//! name holds the run, so that tables of different runs never mix.

use std::collections::BTreeMap;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::kad::store::MemoryStore;
use libp2p::kad::{self, BucketInserts, Mode, StoreInserts};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, StreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use protocol::id::RunId;

/// How long a walk may take.
const QUERY_MAX: Duration = Duration::from_secs(30);
/// Pause before the second walk; it doubles. The first begins with the first neighbour.
const WALK_PAUSE_MIN: Duration = Duration::from_secs(2);
/// Longest pause between walks.
const WALK_PAUSE_MAX: Duration = Duration::from_secs(600);
/// Most addresses of a hint that are passed on.
pub(super) const HINT_ADDRESSES_MAX: usize = 8;

/// A peer that a walk wants to reach.
#[derive(Debug)]
pub(crate) struct Hint {
    pub(crate) peer: PeerId,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// See the module.
pub(crate) struct Dht {
    kad: kad::Behaviour<MemoryStore>,
    walks: Walks,
    /// Linked peers that are in the table; as many as there are links.
    known: BTreeMap<PeerId, Vec<Multiaddr>>,
}

/// When to walk.
#[derive(Debug)]
struct Walks {
    pause: Duration,
    due: Option<Instant>,
}

impl Walks {
    /// Whether to walk now. Whoever lost a neighbour, or has found one, walks soon; else less and less often.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = *self.due.get_or_insert(now);
        if due > now {
            return false;
        }
        self.due = Some(now + self.pause);
        self.pause = (2 * self.pause).min(WALK_PAUSE_MAX);
        true
    }

    fn soon(&mut self, now: Instant) {
        self.pause = WALK_PAUSE_MIN;
        self.due = Some(self.due.map_or(now, |due| due.min(now + WALK_PAUSE_MIN)));
    }
}

impl Dht {
    pub(crate) fn new(us: PeerId, run: RunId) -> Self {
        let name = format!("/starling/kad/{}", run.0.short());
        let name = StreamProtocol::try_from_owned(name).unwrap_or(StreamProtocol::new("/starling/kad"));
        let mut config = kad::Config::new(name);
        config
            .set_query_timeout(QUERY_MAX)
            // Entries are made by us, of linked peers.
            .set_kbucket_inserts(BucketInserts::Manual)
            // What others want to store is told to us, and forgotten.
            .set_record_filtering(StoreInserts::FilterBoth)
            .set_replication_interval(None)
            .set_publication_interval(None)
            .set_provider_publication_interval(None)
            .set_periodic_bootstrap_interval(None);
        let mut kad = kad::Behaviour::with_config(us, MemoryStore::new(us), config);
        kad.set_mode(Some(Mode::Server));
        Self { kad, walks: Walks { pause: WALK_PAUSE_MIN, due: None }, known: BTreeMap::new() }
    }

    /// A linked peer is reached at these addresses.
    pub(crate) fn know(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>, now: Instant) {
        let addresses: Vec<Multiaddr> = addresses.into_iter().take(HINT_ADDRESSES_MAX).collect();
        if self.known.get(&peer) == Some(&addresses) {
            return;
        }
        // In place of what it said before: the table has no bound of its own for the addresses of one peer.
        self.kad.remove_peer(&peer);
        for address in &addresses {
            self.kad.add_address(&peer, address.clone());
        }
        if self.known.insert(peer, addresses).is_none() {
            self.walks.soon(now);
        }
    }

    /// There are fewer neighbours than there should be: walks, when the time has come, towards a random place.
    pub(crate) fn walk(&mut self, now: Instant) {
        if self.walks.is_due(now) {
            self.kad.get_closest_peers(PeerId::random());
        }
    }
}

impl NetworkBehaviour for Dht {
    type ConnectionHandler = <kad::Behaviour<MemoryStore> as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Hint;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.kad.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.kad.handle_established_outbound_connection(connection, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(closed) = &event
            && closed.remaining_established == 0
        {
            // It may be gone for ever, and only linked peers are passed on.
            self.kad.remove_peer(&closed.peer_id);
            self.known.remove(&closed.peer_id);
            self.walks.soon(Instant::now());
        }
        self.kad.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        self.kad.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Hint, THandlerInEvent<Self>>> {
        while let Poll::Ready(action) = self.kad.poll(context) {
            match action {
                ToSwarm::Dial { opts } => {
                    let (connection, peer) = (opts.connection_id(), opts.get_peer_id());
                    // Addresses of the table and of the query in hand.
                    let found = self.kad.handle_pending_outbound_connection(connection, peer, &[], Endpoint::Dialer);
                    if let (Some(peer), Ok(mut addresses)) = (peer, found)
                        && !addresses.is_empty()
                    {
                        addresses.truncate(HINT_ADDRESSES_MAX);
                        return Poll::Ready(ToSwarm::GenerateEvent(Hint { peer, addresses }));
                    }
                }
                // Progress and tables: nothing that anybody acts on.
                ToSwarm::GenerateEvent(event) => tracing::trace!(?event, "kademlia"),
                action => return Poll::Ready(action.map_out(|_| unreachable!("events were taken above"))),
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_come_soon_after_news_and_then_ever_later() {
        let (start, mut walks) = (Instant::now(), Walks { pause: WALK_PAUSE_MIN, due: None });
        let mut done = Vec::new();
        for second in 0..40 {
            let now = start + Duration::from_secs(second);
            if second == 21 {
                walks.soon(now);
            }
            if walks.is_due(now) {
                done.push(second);
            }
        }
        assert_eq!(done, [0, 2, 6, 14, 23, 25, 29, 37]);
        walks.pause = WALK_PAUSE_MAX;
        assert!(walks.is_due(start + WALK_PAUSE_MAX));
        assert!(!walks.is_due(start + 2 * WALK_PAUSE_MAX - Duration::from_secs(1)));
    }
}
