//! The network: libp2p's events become [`Input`]s, [`Output`](protocol::Output)s become links, dials and messages, and
//! nothing is decided here that the protocol could decide.
//!
//! ```text
//! behaviour   TCP + Noise + Yamux, QUIC; ping, limits                      what libp2p gives
//! invitation  the job file of an open job, for who asks
//! lan         mDNS: peers of this run are dialled, others are listed
//! port        one raw stream a connection                                 what we add to it
//! handshake   same run, same model, proof of the swarm key                a stranger gets 1 KiB and 5 s
//! places      bounded neighbours, one link a pair                         the smaller id decides
//! link        reader and writer of an admitted stream                     a task each
//! frame queue length words, credit, bounded queues                        a slow reader slows itself
//! seeds       named addresses, dialled until they answer
//! bucket offenders   how much a neighbour may say, and who gets no link for a while
//! dialer      TCP first, then QUIC, then relayed                           a head start, not a wait
//! seeds names named addresses, looked up and dialled until they answer
//! gate        nothing below is for strangers                               opened when the key was proved
//! members     identify, AutoNAT, relaying, hole punching                   what members do for each other
//! dht         Kademlia: who else there is                                  hints, as mDNS gives them
//! reach wide  how we are reached from outside, and what comes of it
//! ```
//!
//! A connection is a link or on its way to be one: whatever is neither after 5 s is closed. The protocol
//! hears [`Input::Connected`] once for each admitted link, [`Input::Disconnected`] once after it, messages in between.

mod address;
mod behaviour;
mod bucket;
mod dht;
mod dialer;
mod frame;
mod gate;
mod handshake;
pub(crate) mod interfaces;
pub(crate) mod invitation;
pub(crate) mod lan;
mod link;
mod members;
mod names;
mod offenders;
#[cfg(test)]
mod pipe;
mod places;
mod port;
pub(crate) mod probe;
mod queue;
mod reach;
mod refusals;
mod seeds;
#[cfg(test)]
mod tests;
mod wide;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::request_response;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId as NetworkId, Swarm};
use protocol::Input;
use protocol::id::PeerId;
use protocol::trust::admission::{Credentials, Guests, SwarmKey};
use protocol::wire::{Message, Refusal, VERSION};
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::Interval;

pub use self::address::Way;
pub(crate) use self::address::parse as parse_address;
use self::behaviour::{Behaviour, BehaviourEvent};
use self::dialer::Dialer;
use self::frame::Meter;
use self::handshake::{HANDSHAKE_MAX, Meeting, Verdict};
use self::invitation::Answer;
use self::lan::{Heard, Lan, Listing};
use self::link::{End, Link, LinkEvent};
use self::members::Wide;
use self::offenders::{Offenders, Penalty};
use self::places::Places;
use self::port::Opened;
use self::queue::{Queue, Receipt};
use self::reach::Reach;
use self::refusals::Refusals;
use self::seeds::{Seed, Seeds};
use crate::driver::{LanSetup, NetworkSetup, Observation, Traffic};
use crate::error::{self, Error};
use crate::store::audit::{Audit, Kind};
use crate::text::{TEXT_CHARS_MAX, escape};

/// Messages of all links that wait for the driver; their bytes are bounded by each link's window.
const INBOX_MESSAGES: usize = 256;
/// How often due dials, late handshakes and new addresses are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a stop waits for the last words to be said.
const FLUSH_MAX: Duration = Duration::from_millis(500);
/// How long a peer that listens everywhere waits for its first address besides loopback.
const ADDRESSES_MAX_WAIT: Duration = Duration::from_millis(500);

/// Something for the driver.
#[derive(Debug)]
pub(crate) enum Happening {
    /// For the protocol. The receipt is to be dropped when the input was handled: it returns credit to the sender.
    Input(Input, Option<Receipt>),
    /// For whoever watches.
    Observe(Observation),
}

/// Who we are and what we admit.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) credentials: Credentials,
    pub(crate) guests: Guests,
    /// Links at most.
    pub(crate) neighbours_max: usize,
    /// Links that are enough.
    pub(crate) neighbours_target: usize,
    /// Largest frame body of this run.
    pub(crate) body_bytes_max: usize,
    /// Where it is recorded who was let in.
    pub(crate) audit: Audit,
}

/// All links of this peer.
pub(crate) struct Network {
    swarm: Swarm<Behaviour>,
    /// `None`: nobody is looked for on the LAN.
    lan: Option<Lan>,
    /// Whether the operator was told that mDNS has trouble.
    lan_trouble: bool,
    /// What a stranger gets who asks for the job file.
    invitation: Answer,
    admission: Admission,
    places: Places,
    links: BTreeMap<PeerId, Up>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Dials that the protocol asked for.
    dialer: Dialer,
    seeds: Seeds,
    /// Names of seeds that are being looked up: at most one for each.
    lookups: JoinSet<(Multiaddr, io::Result<Vec<Multiaddr>>)>,
    refusals: Refusals,
    offenders: Offenders,
    bans: u64,
    wide: Wide,
    reach: Reach,
    meter: Arc<Meter>,
    events: Sender<LinkEvent>,
    inbox: Receiver<LinkEvent>,
    tasks: JoinSet<()>,
    tick: Interval,
    listening: BTreeSet<Multiaddr>,
    listening_changed: bool,
    /// Until then, more addresses than those of loopback may still come: the system tells of them one by one.
    settled_by: Instant,
    happenings: VecDeque<Happening>,
}

/// An admitted link.
struct Up {
    connection: ConnectionId,
    queue: Arc<Queue>,
    /// Whether the other side has said anything: then it has admitted us as well.
    heard: bool,
}

/// A connection that libp2p has established.
struct Connection {
    peer: PeerId,
    /// Where its other end is.
    address: Multiaddr,
    since: Instant,
    way: Way,
    /// Our public address at which it has come in.
    reached_at: Option<Multiaddr>,
    /// Whether a task has its stream.
    in_task: bool,
}

impl Network {
    /// Listens, and will dial the named peers as soon as it is polled.
    ///
    /// # Errors
    /// A bad address, a port in use.
    pub(crate) fn open(setup: &NetworkSetup, seed: &[u8; 32], admission: Admission) -> Result<Self, Error> {
        Self::open_as(setup, seed, admission, false)
    }

    /// As [`Self::open`]; what is for machines beyond this one may be had on loopback, too.
    fn open_as(setup: &NetworkSetup, seed: &[u8; 32], admission: Admission, always: bool) -> Result<Self, Error> {
        let listen = setup.listen.iter().map(|text| address::parse_listen(text)).collect::<Result<Vec<_>, _>>()?;
        let beyond = always || listen.is_empty() || !listen.iter().all(address::is_loopback);
        let wide = Wide { beyond, relay: beyond && setup.relay, upnp: setup.upnp };
        let key = address::key_pair(seed)?;
        let run = admission.credentials.run;
        let mut swarm = behaviour::build(key, run, admission.neighbours_max, wide)?;
        // All before the first: our own sockets would be found, too.
        listen.iter().try_for_each(address::check_free)?;
        for address in listen {
            swarm.listen_on(address.clone()).map_err(|error| address::cannot_listen(&address, error))?;
        }
        if setup.listen.is_empty() {
            listen_everywhere(&mut swarm)?;
        }
        let seeds = setup.peers.iter().map(|text| address::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if let Some(seed) = seeds.iter().find(|&seed| !wide.relay && address::way(seed) == Some(Way::Relayed)) {
            return Err(address::may_not_be_relayed(seed));
        }
        let (events, inbox) = channel(INBOX_MESSAGES);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Ok(Self {
            swarm,
            lan_trouble: false,
            invitation: setup.invitation.clone().map_or(Answer::Private, Answer::Open),
            lan: setup.lan.as_ref().and_then(|lan| look_around(lan, &admission.credentials)),
            places: Places::new(admission.credentials.us, admission.neighbours_max),
            admission,
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            dialer: Dialer::default(),
            seeds: Seeds::new(seeds, Instant::now()),
            lookups: JoinSet::new(),
            refusals: Refusals::default(),
            offenders: Offenders::default(),
            bans: 0,
            wide,
            reach: Reach::default(),
            meter: Arc::default(),
            events,
            inbox,
            tasks: JoinSet::new(),
            tick,
            listening: BTreeSet::new(),
            listening_changed: false,
            settled_by: Instant::now() + if setup.listen.is_empty() { ADDRESSES_MAX_WAIT } else { Duration::ZERO },
            happenings: VecDeque::new(),
        })
    }

    /// What happens next. Cancel safe: what was taken from a channel is in `happenings` before the next wait.
    pub(crate) async fn next(&mut self) -> Happening {
        loop {
            if let Some(happening) = self.happenings.pop_front() {
                return happening;
            }
            self.step().await;
        }
    }

    async fn step(&mut self) {
        tokio::select! {
            event = self.swarm.select_next_some() => self.on_swarm(event),
            Some(event) = self.inbox.recv() => self.on_link(event),
            heard = lan::next(&mut self.lan) => self.on_lan(heard),
            Some(found) = self.lookups.join_next() => self.on_looked_up(found.ok()),
            _ = self.tick.tick() => self.on_tick(Instant::now()),
        }
    }

    /// Queues a message; counts it when it is dropped because the link is gone or its queue full.
    pub(crate) fn send(&mut self, to: PeerId, message: Message) {
        if !self.links.get(&to).is_some_and(|up| up.queue.push(message)) {
            self.meter.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Dials a peer, unless a link to it is up or under way.
    pub(crate) fn dial(&mut self, peer: PeerId, addresses: &[String]) {
        if self.links.contains_key(&peer)
            || self.dialer.is_dialling(peer)
            || self.connections.values().any(|connection| connection.peer == peer)
        {
            return;
        }
        if self.admission.guests.refusal(peer).is_some() {
            // Known from others, and nobody that we link with.
            self.input(Input::DialFailed { peer, refused: true });
            return;
        }
        if self.offenders.remaining(peer, Instant::now()).is_some() {
            self.input(Input::DialFailed { peer, refused: false });
            return;
        }
        // Passed on by others, so bad ones are no news.
        let addresses = addresses.iter().filter_map(|text| address::parse_heard(text));
        let addresses = addresses.map(|address| address::split_peer(address).0);
        let addresses = addresses.filter(|address| self.may_go(address)).collect();
        if self.dialer.begin(peer, addresses, Instant::now()) {
            self.dial_waves(Instant::now());
        } else {
            self.input(Input::DialFailed { peer, refused: false });
        }
    }

    /// Closes the link at once.
    pub(crate) fn disconnect(&mut self, peer: PeerId) {
        if let Some(up) = self.links.remove(&peer) {
            self.reach.gone(peer);
            up.queue.abort();
            self.closed(peer, "dropped by us");
            self.input(Input::Disconnected { peer });
        }
    }

    /// Bytes so far.
    pub(crate) fn traffic(&self) -> Traffic {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            bytes_sent: read(&self.meter.sent),
            bytes_received: read(&self.meter.received),
            messages_dropped: read(&self.meter.dropped),
            bans: self.bans,
        }
    }

    /// Says what is queued, for at most [`FLUSH_MAX`], and closes all links.
    pub(crate) async fn close(&mut self) {
        for up in self.links.values() {
            up.queue.finish();
        }
        let flushed = async {
            while !self.links.is_empty() {
                self.step().await;
                self.happenings.clear();
            }
        };
        if tokio::time::timeout(FLUSH_MAX, flushed).await.is_err() {
            tracing::debug!(links = self.links.len(), "closed before everything was said");
        }
        self.tasks.abort_all();
        if let Some(lan) = &mut self.lan {
            lan.close().await;
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Port(opened)) => self.on_stream(opened),
            SwarmEvent::Behaviour(BehaviourEvent::Invitation(event)) => self.on_invitation(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => self.on_closed(connection_id),
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_error(connection_id, &error)
            }
            SwarmEvent::NewListenAddr { address, .. } => self.listening_changed |= self.listening.insert(address),
            SwarmEvent::ExpiredListenAddr { address, .. } => self.listening_changed |= self.listening.remove(&address),
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "an incoming connection failed"),
            SwarmEvent::ListenerClosed { ref addresses, reason: Err(ref error), .. }
                if addresses.iter().any(|address| address::way(address) != Some(Way::Relayed)) =>
            {
                tracing::warn!(?addresses, %error, "listens there no more");
            }
            event => self.on_wide(event),
        }
    }

    fn on_connected(&mut self, id: NetworkId, connection: ConnectionId, endpoint: &ConnectedPoint) {
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
        let record = Connection { peer, address, since: now, way, reached_at, in_task: false };
        self.connections.insert(connection, record);
    }

    /// A connection that never got its stream is gone; of the others their task tells.
    fn on_closed(&mut self, connection: ConnectionId) {
        if let Some(Connection { peer, in_task: false, .. }) = self.connections.remove(&connection) {
            self.not_linked(peer, false);
        }
    }

    fn on_stream(&mut self, Opened { connection, stream }: Opened) {
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
                    events: self.events.clone(),
                    body_bytes_max: self.admission.body_bytes_max,
                };
                self.tasks.spawn(link.run(stream));
            }
            // mDNS finds whatever speaks libp2p on the LAN.
            Err(error) => {
                tracing::debug!(peer = %them, %error, "this is no peer of ours");
                self.connections.remove(&connection);
                self.close_connection(connection);
                self.not_linked(them, true);
            }
        }
    }

    fn on_invitation(&mut self, event: request_response::Event<(), Answer>) {
        if let request_response::Event::Message {
            message: request_response::Message::Request { channel, .. },
            peer,
            ..
        } = event
        {
            tracing::info!(%peer, "asks for the job file");
            // Whoever is gone needs no answer.
            let _ = self.swarm.behaviour_mut().invitation.send_response(channel, self.invitation.clone());
        }
    }

    fn on_lan(&mut self, heard: Heard) {
        match heard {
            Heard::Ours(peer, addresses) => {
                let addresses = addresses.iter().map(Multiaddr::to_string).collect();
                self.input(Input::Discovered { peer, addresses });
            }
            // Listed, not dialled.
            Heard::Other(listing) => self.other_job(&listing),
            Heard::Double(listing) => {
                let place = listing.addresses.first().map_or_else(String::new, |address| format!(" at {address}"));
                self.refused(&listing.peer.short(), &format!("{}{place}", Refusal::Identity));
            }
            Heard::Trouble(error) => {
                // Once: it is the same trouble on every interface, again and again.
                if !std::mem::replace(&mut self.lan_trouble, true) {
                    tracing::warn!(error, "peers on this network may not be found: `starling doctor` says more");
                }
            }
        }
    }

    /// Once for each run: someone who expects to meet these peers reads why that does not happen.
    fn other_job(&mut self, listing: &Listing) {
        if listing.run != self.admission.credentials.run {
            tracing::debug!(job = listing.job, run = %listing.run.0.short(), "a peer of another run is on this network");
            return;
        }
        let reason = if listing.wire == VERSION {
            "it trains a model of another shape under this run's name".to_owned()
        } else {
            Refusal::Version { ours: VERSION, theirs: listing.wire }.to_string()
        };
        self.refused(&listing.peer.short(), &reason);
    }

    fn on_dial_error(&mut self, connection: ConnectionId, error: &DialError) {
        match error {
            DialError::LocalPeerId { address } => {
                self.seeds.forget(connection);
                if !self.listening.contains(&address::split_peer(address.clone()).0) {
                    self.refused(&address.to_string(), &Refusal::Identity.to_string());
                }
            }
            DialError::WrongPeerId { obtained, address } => {
                self.refused(
                    &address.to_string(),
                    &format!("another peer than the one named answers there: {obtained}"),
                );
            }
            _ => {}
        }
        if self.seeds.failed(connection, Instant::now()) {
            tracing::warn!(%error, "a named peer cannot be reached; trying again");
        }
        if let Some(peer) = self.dialer.failed(connection) {
            self.input(Input::DialFailed { peer, refused: false });
        }
        self.dial_waves(Instant::now());
    }

    fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { peer, connection, queue } => {
                self.admitted(peer, connection);
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
        if end.is_fault() && self.refusals.note(&peer.to_string(), "a fault", Instant::now()).is_some() {
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

    /// The protocol has heard what no honest peer says.
    pub(crate) fn offended(&mut self, peer: PeerId, what: &str) {
        self.penalize(peer, 1, what);
        self.disconnect(peer);
    }

    fn penalize(&mut self, peer: PeerId, strikes: u32, what: &str) {
        let Penalty { pause, is_ban } = self.offenders.offend(peer, strikes, Instant::now());
        let seconds = pause.as_secs();
        tracing::warn!(peer = %peer.short(), what, seconds, is_ban, "a neighbour has broken the rules");
        if is_ban {
            self.bans += 1;
            self.admission.audit.note(Kind::Ban, json!({ "peer": peer, "seconds": seconds, "reason": what }));
            let reason = what.to_owned();
            self.happenings.push_back(Happening::Observe(Observation::Banned {
                peer: peer.to_string(),
                reason,
                seconds,
            }));
        }
    }

    fn on_verdict(&mut self, peer: PeerId, verdict: &Verdict) {
        match verdict {
            Verdict::Refused { refusal, by_us } => {
                let us = self.admission.credentials.us;
                self.refused(&peer.to_string(), &handshake::words(*refusal, *by_us, us, peer));
            }
            Verdict::Failed(reason) => tracing::debug!(peer = %peer.short(), reason, "no link"),
            Verdict::Admitted | Verdict::Duplicate => return,
        }
        self.not_linked(peer, verdict.is_lasting());
    }

    /// A connection came to nothing: worth a word to the protocol unless another one is, or may become, the link.
    fn not_linked(&mut self, peer: PeerId, refused: bool) {
        let hopeful = self.connections.values().any(|connection| connection.peer == peer);
        if !self.links.contains_key(&peer) && (refused || !hopeful) {
            self.input(Input::DialFailed { peer, refused });
        }
    }

    fn admitted(&self, peer: PeerId, connection: ConnectionId) {
        let address = self.connections.get(&connection).map(|connection| connection.address.to_string());
        self.admission.audit.note(Kind::Admit, json!({ "peer": peer, "address": address }));
    }

    fn closed(&self, peer: PeerId, reason: &str) {
        self.admission.audit.note(Kind::Closed, json!({ "peer": peer, "reason": reason }));
    }

    /// Tells of a refusal, and counts those that are no news. Part of the words may be a stranger's.
    fn refused(&mut self, peer: &str, reason: &str) {
        let [peer, reason] = [peer, reason].map(|text| escape(text, TEXT_CHARS_MAX));
        if let Some(times) = self.refusals.note(&peer, &reason, Instant::now()) {
            tracing::warn!(peer, reason, "a link was refused");
            self.admission.audit.note(Kind::Refuse, json!({ "peer": peer, "reason": reason, "times": times }));
            self.happenings.push_back(Happening::Observe(Observation::LinkRefused { peer, reason }));
        }
    }

    fn on_tick(&mut self, now: Instant) {
        while self.tasks.try_join_next().is_some() {}
        if self.listening_changed && (now > self.settled_by || !address::is_loopback_only(&self.listening)) {
            self.listening_changed = false;
            self.announce();
        }
        let is_late = |connection: &Connection| !connection.in_task && now - connection.since > HANDSHAKE_MAX;
        let late = self.connections.iter().filter(|(_, connection)| is_late(connection)).map(|(&id, _)| id);
        for connection in late.collect::<Vec<_>>() {
            self.swarm.close_connection(connection);
        }
        for peer in self.offenders.released(now) {
            self.admission.audit.note(Kind::Unban, json!({ "peer": peer }));
        }
        for (peer, reason, times) in self.refusals.untold(now) {
            self.admission.audit.note(Kind::Refuse, json!({ "peer": peer, "reason": reason, "times": times }));
        }
        self.on_wide_tick(now);
        self.dial_waves(now);
        self.dial_seeds(now);
        let links = &self.links;
        let due = self.lan.as_mut().map(|lan| lan.due(now, links.is_empty(), |peer| links.contains_key(&peer)));
        due.into_iter().flatten().for_each(|heard| self.on_lan(heard));
    }

    fn announce(&mut self) {
        let us = *self.swarm.local_peer_id();
        let addresses = interfaces::real_first(address::announced(&self.listening));
        if let Some(lan) = &mut self.lan {
            lan.announce(addresses);
        }
        let addresses = address::announced(self.listening.iter().chain(self.reach.addresses()));
        let addresses = interfaces::real_first(addresses);
        let with_id = addresses.iter().map(|address| address.clone().with(Protocol::P2p(us)).to_string());
        self.happenings.push_back(Happening::Observe(Observation::Listening(with_id.collect())));
        self.input(Input::Listening { addresses: addresses.iter().map(Multiaddr::to_string).collect() });
    }

    fn dial_waves(&mut self, now: Instant) {
        while let Some((peer, addresses)) = self.dialer.next_due(now) {
            match self.try_dial(address::to_network(peer), addresses) {
                Ok(connection) => self.dialer.dialled(peer, connection),
                Err(error) => {
                    tracing::debug!(%peer, %error, "cannot dial");
                    if self.dialer.not_dialled(peer) {
                        self.input(Input::DialFailed { peer, refused: false });
                    }
                }
            }
        }
    }

    fn dial_seeds(&mut self, now: Instant) {
        let Self { seeds, links, swarm, lookups, .. } = self;
        for seed in seeds.due(now, |peer| links.contains_key(&peer)) {
            if names::is_named(&seed.address) {
                seed.looks_up();
                let address = seed.address.clone();
                lookups.spawn(async { (address.clone(), names::look_up(address).await) });
            } else {
                dial_seed(swarm, seed, seed.address.clone(), now);
            }
        }
    }

    fn on_looked_up(&mut self, found: Option<(Multiaddr, io::Result<Vec<Multiaddr>>)>) {
        let (Some((name, found)), now) = (found, Instant::now()) else { return };
        let Some(seed) = self.seeds.looked_up(&name) else { return };
        match found.map(|addresses| seed.turn(&addresses).cloned()) {
            Ok(Some(address)) => dial_seed(&mut self.swarm, seed, address, now),
            Ok(None) => seed.failed(now),
            Err(error) => {
                if seed.failed_for_long(now) {
                    tracing::warn!(address = %name, %error, "a named peer cannot be reached; trying again");
                }
            }
        }
    }

    fn try_dial(&mut self, id: Option<NetworkId>, addresses: Vec<Multiaddr>) -> Result<ConnectionId, DialError> {
        match id {
            Some(id) if !addresses.is_empty() => {
                // A better way may be under way still.
                dial(&mut self.swarm, Some(id), addresses, PeerCondition::Disconnected)
            }
            _ => Err(DialError::NoAddresses),
        }
    }

    fn close_connection(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.swarm.close_connection(connection);
    }

    fn is_up(&self, peer: PeerId, connection: ConnectionId) -> bool {
        self.links.get(&peer).is_some_and(|up| up.connection == connection)
    }

    fn input(&mut self, input: Input) {
        self.happenings.push_back(Happening::Input(input, None));
    }
}

fn dial_seed(swarm: &mut Swarm<Behaviour>, seed: &mut Seed, address: Multiaddr, now: Instant) {
    match dial(swarm, seed.named, vec![address], PeerCondition::DisconnectedAndNotDialing) {
        Ok(connection) => seed.dialled(connection),
        Err(error) => {
            tracing::debug!(address = %seed.address, %error, "not dialled now");
            seed.failed(now);
        }
    }
}

/// Dials `addresses`, or, when nobody was named, the first of them and whoever is there.
fn dial(
    swarm: &mut Swarm<Behaviour>,
    id: Option<NetworkId>,
    addresses: Vec<Multiaddr>,
    condition: PeerCondition,
) -> Result<ConnectionId, DialError> {
    let options = match (id, addresses.first()) {
        (Some(id), _) => DialOpts::peer_id(id).condition(condition).addresses(addresses).build(),
        (None, Some(address)) => DialOpts::unknown_peer_id().address(address.clone()).build(),
        (None, None) => return Err(DialError::NoAddresses),
    };
    let connection = options.connection_id();
    swarm.dial(options).map(|()| connection)
}

/// On every interface, by both families: a machine may lack one of them.
fn listen_everywhere(swarm: &mut Swarm<Behaviour>) -> Result<(), Error> {
    let mut outcome = Ok(());
    let mut listens = false;
    for text in address::listen_default() {
        let address = address::parse_listen(&text)?;
        match swarm.listen_on(address.clone()) {
            Ok(_) => listens = true,
            Err(error) => outcome = Err(address::cannot_listen(&address, error)),
        }
    }
    if listens { Ok(()) } else { outcome }
}

/// A machine without a LAN has no mDNS; its peers can still be named.
fn look_around(lan: &LanSetup, credentials: &Credentials) -> Option<Lan> {
    let us = Listing {
        peer: credentials.us,
        run: credentials.run,
        schema: credentials.schema,
        wire: VERSION,
        job: lan.job.clone(),
        open: credentials.swarm_key == SwarmKey::default(),
        addresses: Vec::new(),
    };
    Lan::open(us)
        .inspect_err(|error| tracing::warn!(%error, "peers on the LAN are not looked for: mDNS does not work here"))
        .ok()
}

/// Where a peer is asked for something, outside the swarm.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) peer: Option<NetworkId>,
    pub(crate) addresses: Vec<Multiaddr>,
}

impl Target {
    /// A peer that was heard of on the LAN.
    pub(crate) fn of(listing: &Listing) -> Self {
        Self { peer: address::to_network(listing.peer), addresses: listing.addresses.clone() }
    }
}

/// An address as typed; a name is looked up, which takes a moment.
///
/// # Errors
/// It is none, or the name is not known.
pub(crate) fn target(text: &str) -> Result<Target, Error> {
    let (address, peer) = address::split_peer(address::parse(text)?);
    if !names::is_named(&address) {
        return Ok(Target { peer, addresses: vec![address] });
    }
    let unknown = |error: io::Error| {
        Error::new(error::Kind::Network, format_args!("the name in `{text}` is not known here: {error}"))
            .hint("does this machine have a name server? else give the IP address")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unknown)?;
    let addresses = runtime.block_on(names::look_up(address)).map_err(unknown)?;
    Ok(Target { peer, addresses })
}

/// Whether an address can be listened on.
///
/// # Errors
/// It is none, or somebody has it.
pub(crate) fn can_listen(text: &str) -> Result<(), Error> {
    address::check_free(&address::parse_listen(text)?)
}

/// Host of an address, when it is an IP address.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address::ip(address)
}

/// Where TCP would connect to.
pub(crate) fn tcp_socket(address: &Multiaddr) -> Option<SocketAddr> {
    let port = address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    })?;
    Some(SocketAddr::new(address::ip(address)?, port))
}
