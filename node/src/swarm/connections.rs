//! From a connection to a link, and back: what becomes of each.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Instant;

use libp2p::PeerId as NetworkId;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use protocol::Input;
use protocol::id::PeerId;
use protocol::wire::Message;

use super::address::{self, Way};
use super::handshake::{self, Meeting, Verdict};
use super::link::{End, Link, LinkEvent};
use super::port::Opened;
use super::waiting::Crowd;
use super::{Connection, Happening, Network, Up, wide};
use crate::driver::Observation;
use crate::store::audit::{Kind, What};

impl Network {
    pub(super) fn on_connected(&mut self, id: NetworkId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let Some(peer) = address::from_network(&id) else {
            self.close_connection(connection);
            return;
        };
        let now = Instant::now();
        if self.offenders.is_told(peer, now) {
            self.close_connection(connection);
            return;
        }
        self.dialer.reached(peer);
        self.seeds.reached(connection, peer, now);
        let (way, reached_at) = (address::way_of(endpoint), wide::reached_at(endpoint));
        let address = endpoint.get_remote_address().clone();
        let came_in = matches!(endpoint, ConnectedPoint::Listener { .. });
        let crowd = if came_in { &mut self.strangers } else { &mut self.called };
        let (place, yields) = crowd.enter(address::ip(&address), connection);
        let from = (came_in && way != Way::Relayed).then(|| address::ip(&address)).flatten();
        let place = Some(place);
        let record = Connection { peer, address, since: now, way, reached_at, came_in, from, in_task: false, place };
        self.connections.insert(connection, record);
        if let Some(yields) = yields {
            tracing::debug!("a connection that is no link yet makes room for a newer one");
            self.close_connection(yields);
        }
    }

    /// Removes the record of a connection.
    fn forget(&mut self, connection: ConnectionId) -> Option<Connection> {
        let record = self.connections.remove(&connection)?;
        if let Some(place) = record.place {
            self.crowd(record.came_in).leave(place);
        }
        Some(record)
    }

    /// Those that are no links yet.
    fn crowd(&mut self, came_in: bool) -> &mut Crowd<ConnectionId> {
        if came_in { &mut self.strangers } else { &mut self.called }
    }

    /// A connection that never got its stream is gone; of the others their task tells.
    pub(super) fn on_closed(&mut self, connection: ConnectionId) {
        if let Some(Connection { peer, in_task: false, .. }) = self.forget(connection) {
            self.not_linked(peer, false);
        }
    }

    pub(super) fn on_stream(&mut self, Opened { connection, stream }: Opened) {
        let Some(record) = self.connections.get_mut(&connection) else { return };
        let them = record.peer;
        match stream {
            Ok(stream) => {
                record.in_task = true;
                let (credentials, places) = (self.admission.credentials, self.places.clone());
                let banned = self.offenders.refusal(them, Instant::now());
                let policy = self.admission.guests.refusal(them).or(banned);
                let relayed = record.way == Way::Relayed;
                let link = Link {
                    meeting: Meeting { credentials, them, connection, relayed, places, policy },
                    meter: Arc::clone(&self.meter),
                    budget: Arc::clone(&self.budget),
                    inbox_room: Arc::clone(&self.inbox_room),
                    events: self.events.clone(),
                    body_bytes_max: self.admission.body_bytes_max,
                    allowances: self.allowances.clone(),
                };
                self.tasks.spawn(link.run(stream));
            }
            // mDNS finds whatever speaks libp2p on the LAN.
            Err(error) => {
                tracing::debug!(peer = %them, %error, "this is no peer of ours");
                self.close_connection(connection);
                self.not_linked(them, true);
            }
        }
    }

    pub(super) fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { peer, connection, queue } => {
                self.admitted(peer, connection);
                if let Some(record) = self.connections.get_mut(&connection)
                    && let (came_in, Some(place)) = (record.came_in, record.place.take())
                {
                    self.crowd(came_in).leave(place);
                }
                if let Some(old) = self.links.insert(peer, Up { connection, queue, heard: false }) {
                    old.queue.abort();
                    self.closed(peer, "replaced by a newer link");
                    self.input(Input::Disconnected { peer });
                }
                self.seeds.up(peer);
                let way = self.connections.get(&connection).map_or(Way::Tcp, |record| record.way);
                self.welcome(connection);
                self.happenings.push_back(Happening::Observe(Observation::Linked { peer, way }));
                self.input(Input::Connected { peer });
            }
            LinkEvent::Message { peer, connection, message, receipt } => {
                if let Some(up) = self.links.get_mut(&peer).filter(|up| up.connection == connection) {
                    if !std::mem::replace(&mut up.heard, true) {
                        self.swarm.behaviour_mut().members.ask(connection);
                    }
                    if let Message::Peers(records) = &message {
                        self.overhear(peer, records);
                    }
                    self.happenings.push_back(Happening::Input(Input::Message { from: peer, message }, Some(receipt)));
                }
            }
            LinkEvent::Down { peer, connection, end } => self.on_down(peer, connection, &end),
            LinkEvent::NotAdmitted { peer, connection, verdict } => {
                self.close_connection(connection);
                self.on_verdict(peer, &verdict);
            }
        }
    }

    fn on_down(&mut self, peer: PeerId, connection: ConnectionId, end: &End) {
        tracing::debug!(%peer, %end, "a link is down");
        if end.is_fault() && self.refusals.note(Kind::Closed, &peer.to_string(), "a fault", Instant::now()).is_some() {
            tracing::warn!(peer = %peer.short(), %end, "a neighbour was dropped");
        }
        if end.is_fault() {
            self.penalize(peer, end.strikes(), &end.to_string());
        }
        if self.is_up(peer, connection) {
            self.links.remove(&peer);
            self.closed(peer, &end.to_string());
            self.reach.gone(peer);
            self.input(Input::Disconnected { peer });
            if end.is_fault() {
                self.input(Input::DialFailed { peer, refused: true });
            }
        }
        self.close_connection(connection);
    }

    fn on_verdict(&mut self, peer: PeerId, verdict: &Verdict) {
        match verdict {
            Verdict::Refused { refusal, by_us } => {
                let us = self.admission.credentials.us;
                let what = What::Turned(discriminant(refusal));
                self.refused(what, Some(peer), &peer.to_string(), &handshake::words(*refusal, *by_us, us, peer));
            }
            Verdict::Failed(reason) => tracing::debug!(peer = %peer.short(), reason, "no link"),
            Verdict::Admitted | Verdict::Duplicate => return,
        }
        self.not_linked(peer, verdict.is_lasting());
    }

    /// A connection came to nothing: worth a word to the protocol unless another one is, or may become, the link.
    pub(super) fn not_linked(&mut self, peer: PeerId, refused: bool) {
        let hopeful = self.connections.values().any(|connection| connection.peer == peer);
        if !self.links.contains_key(&peer) && (refused || !hopeful) {
            self.input(Input::DialFailed { peer, refused });
        }
    }

    pub(super) fn close_connection(&mut self, connection: ConnectionId) {
        self.forget(connection);
        self.swarm.close_connection(connection);
    }

    pub(super) fn is_up(&self, peer: PeerId, connection: ConnectionId) -> bool {
        self.links.get(&peer).is_some_and(|up| up.connection == connection)
    }
}
