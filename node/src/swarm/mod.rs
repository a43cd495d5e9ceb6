//! The network: libp2p's events become [`Input`]s, [`Output`](protocol::Output)s become links, dials and messages, and
//! nothing is decided here that the protocol could decide.
//!
//! ```text
//! behaviour   TCP + Noise + Yamux, QUIC; ping, mDNS, limits                what libp2p gives
//! port        one raw stream a connection                                 what we add to it
//! handshake   same run, same model, proof of the swarm key                a stranger gets 1 KiB and 5 s
//! places      bounded neighbours, one link a pair                         the smaller id decides
//! link        reader and writer of an admitted stream                     a task each
//! frame queue length words, credit, bounded queues                        a slow reader slows itself
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
mod dht;
mod dialer;
mod frame;
mod gate;
mod handshake;
mod link;
mod members;
mod names;
#[cfg(test)]
mod pipe;
mod places;
mod port;
mod queue;
mod reach;
mod refusals;
mod seeds;
#[cfg(test)]
mod tests;
mod wide;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId as NetworkId, Swarm, mdns};
use protocol::Input;
use protocol::id::PeerId;
use protocol::trust::admission::Credentials;
use protocol::wire::{Message, Refusal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::Interval;

pub use self::address::Way;
pub(crate) use self::address::{listen_default, parse as parse_address};
use self::behaviour::{Behaviour, BehaviourEvent};
use self::dialer::Dialer;
use self::frame::Meter;
use self::handshake::{HANDSHAKE_MAX, Meeting, Verdict};
use self::link::{End, Link, LinkEvent};
use self::members::Wide;
use self::places::Places;
use self::port::Opened;
use self::queue::{Queue, Receipt};
use self::reach::Reach;
use self::refusals::Refusals;
use self::seeds::{Seed, Seeds};
use crate::driver::{NetworkSetup, Observation, Traffic};
use crate::error::Error;

/// Messages of all links that wait for the driver; their bytes are bounded by each link's window.
const INBOX_MESSAGES: usize = 256;
/// How often due dials, late handshakes and new addresses are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a stop waits for the last words to be said.
const FLUSH_MAX: Duration = Duration::from_millis(500);

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
    /// Links at most.
    pub(crate) neighbours_max: usize,
    /// Links that are enough.
    pub(crate) neighbours_target: usize,
    /// Largest frame body of this run.
    pub(crate) body_bytes_max: usize,
}

/// All links of this peer.
pub(crate) struct Network {
    swarm: Swarm<Behaviour>,
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
    wide: Wide,
    reach: Reach,
    meter: Arc<Meter>,
    events: Sender<LinkEvent>,
    inbox: Receiver<LinkEvent>,
    tasks: JoinSet<()>,
    tick: Interval,
    listening: BTreeSet<Multiaddr>,
    listening_changed: bool,
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
        let beyond = always || !listen.iter().all(address::is_loopback);
        let wide = Wide { beyond, relay: beyond && setup.relay, upnp: setup.upnp };
        let key = address::key_pair(seed)?;
        let run = admission.credentials.run;
        let mut swarm = behaviour::build(key, run, admission.neighbours_max, setup.mdns, wide)?;
        // All before the first: our own sockets would be found, too.
        listen.iter().try_for_each(address::check_free)?;
        for address in listen {
            swarm.listen_on(address.clone()).map_err(|error| address::cannot_listen(&address, error))?;
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
            places: Places::new(admission.credentials.us, admission.neighbours_max),
            admission,
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            dialer: Dialer::default(),
            seeds: Seeds::new(seeds, Instant::now()),
            lookups: JoinSet::new(),
            refusals: Refusals::default(),
            wide,
            reach: Reach::default(),
            meter: Arc::default(),
            events,
            inbox,
            tasks: JoinSet::new(),
            tick,
            listening: BTreeSet::new(),
            listening_changed: false,
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
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Port(opened)) => self.on_stream(opened),
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(mdns::Event::Discovered(found))) => self.on_discovered(found),
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
        self.dialer.reached(peer);
        self.seeds.reached(connection, peer, now);
        let (way, reached_at) = (address::way_of(endpoint), wide::reached_at(endpoint));
        self.connections.insert(connection, Connection { peer, since: now, way, reached_at, in_task: false });
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
                let relayed = record.way == Way::Relayed;
                let link = Link {
                    meeting: Meeting { credentials, them, connection, relayed, places },
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

    fn on_discovered(&mut self, found: Vec<(NetworkId, Multiaddr)>) {
        let mut by_peer: BTreeMap<PeerId, Vec<String>> = BTreeMap::new();
        for (id, address) in found {
            if let Some(peer) = address::from_network(&id) {
                by_peer.entry(peer).or_default().push(address::split_peer(address).0.to_string());
            }
        }
        for (peer, addresses) in by_peer {
            self.input(Input::Discovered { peer, addresses });
        }
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
                if let Some(old) = self.links.insert(peer, Up { connection, queue, heard: false }) {
                    old.queue.abort();
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
        if end.is_fault() && self.refusals.is_news(&peer.short(), "a fault", Instant::now()) {
            tracing::warn!(peer = %peer.short(), %end, "a neighbour was dropped");
        }
        if self.is_up(peer, connection) {
            self.links.remove(&peer);
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
            Verdict::Refused { refusal, by_us } => self.refused(&peer.short(), &handshake::words(*refusal, *by_us)),
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

    fn refused(&mut self, peer: &str, reason: &str) {
        if self.refusals.is_news(peer, reason, Instant::now()) {
            tracing::warn!(peer, reason, "a link was refused");
            let observation = Observation::LinkRefused { peer: peer.to_owned(), reason: reason.to_owned() };
            self.happenings.push_back(Happening::Observe(observation));
        }
    }

    fn on_tick(&mut self, now: Instant) {
        while self.tasks.try_join_next().is_some() {}
        if std::mem::take(&mut self.listening_changed) {
            self.announce();
        }
        let is_late = |connection: &Connection| !connection.in_task && now - connection.since > HANDSHAKE_MAX;
        let late = self.connections.iter().filter(|(_, connection)| is_late(connection)).map(|(&id, _)| id);
        for connection in late.collect::<Vec<_>>() {
            self.swarm.close_connection(connection);
        }
        self.on_wide_tick(now);
        self.dial_waves(now);
        self.dial_seeds(now);
    }

    fn announce(&mut self) {
        let us = *self.swarm.local_peer_id();
        let addresses = address::announced(self.listening.iter().chain(self.reach.addresses()));
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
