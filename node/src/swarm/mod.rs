//! The network: libp2p's events become [`Input`]s, [`Output`](protocol::Output)s become links, dials and messages, and
//! nothing is decided here that the protocol could decide.
//!
//! ```text
//! behaviour   ping, limits                                                what libp2p gives
//! transport   TCP + Noise + Yamux, QUIC, relayed streams                  below it
//! invitation  the job file of an open job, for who asks
//! pairing     the job file of a private job, for who types a member's code
//! lan         mDNS: peers of this run are dialled, others are listed
//! waiting     who opens connections and says nothing               the oldest of the most crowded address yields
//! turns       who is cut off and comes back at once                        a host's connections at a bounded rate
//! leaving     who reads nothing while its connection is closed            dropped after 2 s
//! connections from a connection to a link, and back
//! port        one raw stream a connection                                 what we add to it
//! handshake   same run, same model, proof of the swarm key                a stranger gets 1 KiB and 5 s
//! places      bounded neighbours, one link a pair                         the smaller id decides
//! link        reader and writer of an admitted stream                     a task each
//! frame queue length words, credit, bounded queues                        a slow reader slows itself
//! budget      bytes that all links together hold in memory         who does not read gets no more
//! bucket allowances offenders   how much a neighbour may say, and who gets no link for a while
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
mod allowances;
mod behaviour;
mod bucket;
mod budget;
mod candidates;
mod connections;
mod dht;
mod dialer;
mod dialling;
pub(crate) mod frame;
mod gate;
mod handshake;
pub(crate) mod interfaces;
pub(crate) mod invitation;
pub(crate) mod lan;
mod leaving;
mod link;
mod members;
mod metrics;
mod names;
mod offenders;
pub(crate) mod pairing;
#[cfg(test)]
mod pipe;
mod places;
mod port;
pub(crate) mod probe;
mod queue;
mod reach;
mod record;
mod refusals;
mod seeds;
mod strangers;
mod target;
#[cfg(test)]
mod tests;
mod transport;
mod turns;
mod waiting;
mod wide;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::io;
use std::mem::discriminant;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::request_response;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, NetworkBehaviour, SwarmEvent};
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
use self::allowances::Allowances;
use self::behaviour::{Behaviour, BehaviourEvent};
use self::bucket::Bucket;
use self::budget::{Budget, Room};
use self::dialer::Dialer;
use self::frame::Meter;
use self::handshake::HANDSHAKE_MAX;
use self::invitation::Answer;
use self::lan::{Heard, Lan, Listing};
use self::link::LinkEvent;
use self::members::Wide;
pub use self::metrics::NetworkMetrics;
use self::offenders::{Offenders, Penalty};
use self::places::Places;
use self::queue::{Queue, Receipt};
use self::reach::Reach;
use self::refusals::Refusals;
use self::seeds::{Seed, Seeds};
pub(crate) use self::target::{Door, Target, can_listen, door, ip_of, target, target_within};
use self::turns::BAN_COST;
use self::waiting::{Crowd, Doorway};
use crate::driver::{LanSetup, NetworkSetup, Observation, Traffic};
use crate::error::{self, Error};
use crate::store::audit::{Audit, Gathered, Kind, What};
use crate::text::{TEXT_CHARS_MAX, escape};

/// Messages of all links that wait for the driver; their bytes are bounded by each link's window, and in all by [`Room`].
const INBOX_MESSAGES: usize = 256;
/// How often due dials, late handshakes and new addresses are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a stop waits for the last words to be said.
const FLUSH_MAX: Duration = Duration::from_millis(500);
/// How long a peer waits with its first word about where it listens: for an address of each listener it asked for, and where it
/// listens everywhere, for one besides loopback.
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
    /// Or that nobody can reach this peer.
    solitude_told: bool,
    /// What a stranger gets who asks for the job file.
    invitation: Answer,
    /// Connections over which it was given: who needs it needs it once.
    answered: BTreeSet<ConnectionId>,
    metrics: Option<NetworkMetrics>,
    admission: Admission,
    places: Places,
    links: BTreeMap<PeerId, Up>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Of those, the ones that came in and are no links yet.
    strangers: Crowd<ConnectionId>,
    /// And the ones that we have dialled: names that somebody makes up on the LAN are dialled, too, and whoever answers there may say nothing.
    called: Crowd<ConnectionId>,
    /// Where connections come in.
    doorway: Doorway,
    /// Dials that the protocol asked for.
    dialer: Dialer,
    seeds: Seeds,
    /// Names of seeds that are being looked up: at most one for each.
    lookups: JoinSet<(Multiaddr, io::Result<Vec<Multiaddr>>)>,
    refusals: Refusals,
    refusal_lines: Bucket,
    /// What goes into the audit log of links and bans.
    gathered: Gathered,
    offenders: Offenders,
    allowances: Allowances,
    bans: u64,
    wide: Wide,
    reach: Reach,
    meter: Arc<Meter>,
    budget: Arc<Budget>,
    inbox_room: Arc<Room>,
    events: Sender<LinkEvent>,
    inbox: Receiver<LinkEvent>,
    tasks: JoinSet<()>,
    tick: Interval,
    listening: BTreeSet<Multiaddr>,
    listening_changed: bool,
    /// Listeners that were asked for and have no address yet: the system tells of them one by one.
    unheard: HashSet<ListenerId>,
    /// Nobody said where to listen: addresses besides those of loopback are to be expected.
    everywhere: bool,
    /// Until then, it may be worth to wait for more addresses.
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
    /// Whether it has come in, or was dialled by us.
    came_in: bool,
    /// Where it has come in from, if it has, and by no relay.
    from: Option<IpAddr>,
    /// Whether a task has its stream.
    in_task: bool,
    /// Its number among those that are no links yet, as long as it is none.
    place: Option<u64>,
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
        let doorway = Doorway::default();
        let mut swarm = behaviour::build(key, run, admission.neighbours_max, wide, doorway.clone())?;
        // All before the first: our own sockets would be found, too.
        listen.iter().try_for_each(address::check_free)?;
        let mut unheard = HashSet::new();
        for address in listen {
            unheard.insert(swarm.listen_on(address.clone()).map_err(|error| address::cannot_listen(&address, error))?);
        }
        if setup.listen.is_empty() {
            unheard = listen_everywhere(&mut swarm)?;
        }
        let seeds = setup.peers.iter().map(|text| address::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if let Some(seed) = seeds.iter().find(|&seed| !wide.relay && address::way(seed) == Some(Way::Relayed)) {
            return Err(address::may_not_be_relayed(seed));
        }
        let (events, inbox) = channel(INBOX_MESSAGES);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let found = setup.lan.as_ref().map(|lan| strangers::look_around(lan, &admission.credentials));
        let (lan, no_lan) = match found {
            Some(Ok(lan)) => (Some(lan), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        let mut network = Self {
            swarm,
            lan_trouble: false,
            solitude_told: false,
            answered: BTreeSet::new(),
            invitation: setup.invitation.clone().map_or(Answer::Private, Answer::Open),
            lan,
            places: Places::new(admission.credentials.us, admission.neighbours_max),
            metrics: setup.metrics.clone(),
            gathered: Gathered::new(admission.audit.clone()),
            admission,
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            strangers: Crowd::new(behaviour::HANDSHAKES_MAX),
            called: Crowd::new(behaviour::HANDSHAKES_MAX),
            doorway,
            dialer: Dialer::default(),
            seeds: Seeds::new(seeds, Instant::now()),
            lookups: JoinSet::new(),
            refusals: Refusals::default(),
            refusal_lines: Bucket::new(record::REFUSAL_LINES_PER_SECOND, record::REFUSAL_LINES_BURST, Instant::now()),
            offenders: Offenders::default(),
            allowances: Allowances::default(),
            bans: 0,
            wide,
            reach: Reach::default(),
            meter: Arc::default(),
            budget: Arc::default(),
            inbox_room: Arc::default(),
            events,
            inbox,
            tasks: JoinSet::new(),
            tick,
            listening: BTreeSet::new(),
            listening_changed: false,
            unheard,
            everywhere: setup.listen.is_empty(),
            settled_by: Instant::now() + ADDRESSES_MAX_WAIT,
            happenings: VecDeque::new(),
        };
        no_lan.into_iter().for_each(|why| network.hidden(why));
        Ok(network)
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
        self.settle_records(Instant::now(), true);
        self.tasks.abort_all();
        if let Some(lan) = &mut self.lan {
            lan.close().await;
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        if let Some(metrics) = &self.metrics {
            metrics.record(&event);
        }
        // A listener that is over has no address to tell of.
        if let SwarmEvent::ListenerClosed { listener_id, .. } = &event {
            self.unheard.remove(listener_id);
        }
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Port(opened)) => self.on_stream(opened),
            SwarmEvent::Behaviour(BehaviourEvent::Invitation(event)) => self.on_invitation(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.answered.remove(&connection_id);
                self.on_closed(connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_error(connection_id, &error)
            }
            SwarmEvent::NewListenAddr { address, listener_id } => {
                self.unheard.remove(&listener_id);
                self.listening_changed |= self.listening.insert(address);
            }
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

    fn on_tick(&mut self, now: Instant) {
        while self.tasks.try_join_next().is_some() {}
        let is_whole = self.unheard.is_empty() && !(self.everywhere && address::is_loopback_only(&self.listening));
        if self.listening_changed && (is_whole || now > self.settled_by) {
            self.listening_changed = false;
            self.announce();
        }
        let is_late = |connection: &Connection| !connection.in_task && now - connection.since > HANDSHAKE_MAX;
        let late = self.connections.iter().filter(|(_, connection)| is_late(connection)).map(|(&id, _)| id);
        for connection in late.collect::<Vec<_>>() {
            self.swarm.close_connection(connection);
        }
        self.settle_records(now, false);
        self.on_wide_tick(now);
        self.dial_waves(now);
        self.dial_seeds(now);
        let links = &self.links;
        let due = self.lan.as_mut().map(|lan| lan.due(now, links.is_empty(), |peer| links.contains_key(&peer)));
        due.into_iter().flatten().for_each(|heard| self.on_lan(heard));
    }

    fn announce(&mut self) {
        let us = *self.swarm.local_peer_id();
        let addresses = interfaces::real_first(address::announced(&self.listening, []));
        if self.everywhere && addresses.iter().all(address::is_loopback) {
            let alone = strangers::solitude().filter(|_| !self.solitude_told);
            self.solitude_told |= alone.is_some();
            alone.into_iter().for_each(|why| self.hidden(why));
        }
        if let Some(lan) = &mut self.lan {
            lan.announce(addresses);
        }
        let addresses = address::announced(&self.listening, self.reach.addresses());
        let addresses = interfaces::real_first(addresses);
        let with_id = addresses.iter().map(|address| address.clone().with(Protocol::P2p(us)).to_string());
        self.happenings.push_back(Happening::Observe(Observation::Listening(with_id.collect())));
        self.input(Input::Listening { addresses: addresses.iter().map(Multiaddr::to_string).collect() });
    }

    fn input(&mut self, input: Input) {
        self.happenings.push_back(Happening::Input(input, None));
    }
}

/// On every interface, by both families: a machine may lack one of them. Which listeners will tell of their addresses.
fn listen_everywhere<B: NetworkBehaviour>(swarm: &mut Swarm<B>) -> Result<HashSet<ListenerId>, Error> {
    let mut listeners = HashSet::new();
    let mut failed = None;
    for text in address::listen_default() {
        let address = address::parse_listen(&text)?;
        match swarm.listen_on(address.clone()) {
            Ok(listener) => drop(listeners.insert(listener)),
            Err(error) => failed = Some(address::cannot_listen(&address, error)),
        }
    }
    match failed {
        Some(failed) if listeners.is_empty() => Err(failed),
        _ => Ok(listeners),
    }
}
