//! Who is on this network: DNS-SD over multicast DNS (RFC 6762, RFC 6763).
//!
//! A peer announces a service `_starling._tcp` whose text says what a stranger needs to know before dialling: run, schema,
//! wire version, name of the job, whether it is open. So peers of other jobs are listed (`starling ls`) and never dialled.
//!
//! The daemon of `mdns-sd` listens on every interface, IPv4 and IPv6, asks at once, then after 1, 2, 4 s and so on, asks
//! again on an interface that appears, and announces each address only where it can be reached from. libp2p's own
//! behaviour says nothing but addresses, keeps one interval for ever, and its IPv6 picks one interface (rust-libp2p 6473).
//!
//! Nothing that is heard here is believed: it is a hint whom to dial, and the handshake decides.

mod listings;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use mdns_sd::{DaemonEvent, IfKind, Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use protocol::id::{Hash, PeerId, RunId, SchemaHash, parse_hex};
use protocol::wire::VERSION;

use self::listings::Listings;
use super::address;
use super::bucket::Bucket;

/// What we announce and look for.
const SERVICE: &str = "_starling._tcp.local.";
/// How often new interfaces and addresses are looked for, seconds.
const INTERFACES_INTERVAL_S: u32 = 2;
/// Peers that a look around lists, of all jobs: a flood of made-up announcements ends here.
const HEARD_MAX: usize = 1024;
/// Peers of our run that are passed on a second, to be dialled: whoever announces may make up as many as it likes. As many again are those whose
/// turn it is, so that a flood of new names does not keep out who is known.
const OFFERS_PER_SECOND: f64 = 16.0;
/// And at once, beyond that.
const OFFERS_BURST: f64 = 64.0;
/// mDNS ends a search whose events are not taken in as fast as they come; the next one begins so much later.
const CUT_OFF_PAUSE: Duration = Duration::from_secs(5);
/// Addresses taken from one announcement.
const ADDRESSES_MAX: usize = 8;
/// Bytes taken of a job's name.
const JOB_BYTES_MAX: usize = 64;
/// Who is known and has no link is offered to be dialled again after so long.
const OFFER_INTERVAL: Duration = Duration::from_secs(10);
/// And is passed on for what it announces anew no sooner than so long after the last time: a flood in its name takes no others' place.
const NEWS_PAUSE: Duration = Duration::from_secs(2);
/// Without any neighbour, questions begin anew after so long: the daemon's own become rare.
const LONELY_INTERVAL: Duration = Duration::from_secs(10);
/// How long a stop waits for its goodbye to be said.
const GOODBYE_MAX: Duration = Duration::from_millis(100);

/// What one peer announces of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) peer: PeerId,
    pub(crate) run: RunId,
    pub(crate) schema: SchemaHash,
    pub(crate) wire: u8,
    pub(crate) job: String,
    /// Whether the job has no key.
    pub(crate) open: bool,
    /// Whether it is no peer, but a member who waits for a newcomer with a code; see [`super::pairing`].
    pub(crate) pairs: bool,
    /// Where it listens, without the peer id.
    pub(crate) addresses: Vec<Multiaddr>,
}

/// Something about the LAN.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A peer of our run, to be dialled.
    Ours(PeerId, Vec<Multiaddr>),
    /// A peer of ours with another wire version or another model, or of another run.
    Other(Listing),
    /// Somebody else announces our identity.
    Double(Listing),
    /// mDNS does not work, or not everywhere.
    Trouble(String),
}

/// See the module.
pub(crate) struct Lan {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    monitor: Receiver<DaemonEvent>,
    /// Ours, with the addresses that were announced last.
    us: Listing,
    life: u32,
    fullname: Option<String>,
    heard: Listings,
    offered: Instant,
    /// Still to be offered in this turn.
    waiting: VecDeque<PeerId>,
    /// What may be passed on of what is announced.
    offers: Bucket,
    /// And of those whose turn it is.
    turns: Bucket,
    /// Who was passed on within [`NEWS_PAUSE`].
    passed: BTreeMap<PeerId, Instant>,
    asked: Instant,
    /// The search was ended by mDNS itself, at that time.
    cut_off: Option<Instant>,
}

/// Ports of a peer by transport and family; most peers listen on one of each.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ports {
    tcp4: Option<u16>,
    tcp6: Option<u16>,
    quic4: Option<u16>,
    quic6: Option<u16>,
}

impl Ports {
    fn of(addresses: &[Multiaddr]) -> Self {
        let mut ports = Self::default();
        for address in addresses {
            let is_quic = address.iter().any(|part| matches!(part, Protocol::QuicV1));
            let port = address.iter().find_map(|part| match part {
                Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
                _ => None,
            });
            let place = match (address::ip(address), is_quic) {
                (Some(IpAddr::V4(_)), false) => &mut ports.tcp4,
                (Some(IpAddr::V6(_)), false) => &mut ports.tcp6,
                (Some(IpAddr::V4(_)), true) => &mut ports.quic4,
                (Some(IpAddr::V6(_)), true) => &mut ports.quic6,
                (None, _) => continue,
            };
            *place = place.or(port);
        }
        ports
    }

    fn named(&self) -> [(&'static str, Option<u16>); 4] {
        [("tcp4", self.tcp4), ("tcp6", self.tcp6), ("quic4", self.quic4), ("quic6", self.quic6)]
    }
}

impl Listing {
    /// The text of an announcement, `key=value`.
    fn properties(&self, ports: &Ports) -> Vec<(&'static str, String)> {
        let mut properties = vec![
            ("peer", self.peer.to_string()),
            ("run", self.run.0.to_string()),
            ("schema", self.schema.0.to_string()),
            ("wire", self.wire.to_string()),
            ("job", self.job.clone()),
            ("open", u8::from(self.open).to_string()),
        ];
        properties.extend(self.pairs.then(|| ("pair", "1".to_owned())));
        properties.extend(ports.named().into_iter().filter_map(|(name, port)| Some((name, port?.to_string()))));
        properties
    }

    /// What a text and addresses say; `None` for what is no announcement of a peer.
    fn read<'a>(get: impl Fn(&str) -> Option<&'a str>, ips: impl IntoIterator<Item = IpAddr>) -> Option<Self> {
        let hash = |key: &str| get(key).and_then(parse_hex);
        let port = |key: &str| get(key).and_then(|text| text.parse::<u16>().ok()).filter(|port| *port != 0);
        let ports = Ports { tcp4: port("tcp4"), tcp6: port("tcp6"), quic4: port("quic4"), quic6: port("quic6") };
        let mut addresses: Vec<Multiaddr> = Vec::new();
        let mut ips: Vec<IpAddr> = ips.into_iter().filter(address::names_a_machine).collect();
        ips.sort();
        for ip in ips {
            let (tcp, quic) = if ip.is_ipv4() { (ports.tcp4, ports.quic4) } else { (ports.tcp6, ports.quic6) };
            let host = Multiaddr::from(ip);
            addresses.extend(tcp.map(|port| host.clone().with(Protocol::Tcp(port))));
            addresses.extend(quic.map(|port| host.with(Protocol::Udp(port)).with(Protocol::QuicV1)));
        }
        // TCP first: it is the better one where both work.
        addresses.sort_by_key(|address| address.iter().any(|part| matches!(part, Protocol::QuicV1)));
        addresses.truncate(ADDRESSES_MAX);
        Some(Self {
            peer: PeerId(hash("peer")?),
            run: RunId(Hash(hash("run")?)),
            schema: SchemaHash(Hash(hash("schema")?)),
            wire: get("wire")?.parse().ok()?,
            job: get("job").unwrap_or_default().chars().filter(char::is_ascii).take(JOB_BYTES_MAX).collect(),
            open: get("open") == Some("1"),
            pairs: get("pair") == Some("1"),
            addresses,
        })
    }

    fn resolved(service: &ResolvedService) -> Option<Self> {
        let ips = service.get_addresses().iter().map(|ip: &ScopedIp| ip.to_ip_addr());
        Self::read(|key| service.get_property_val_str(key), ips)
    }

    /// Name of the instance, another one in each life: two daemons that claim one name (a copied key file) contradict each
    /// other without end, and fill the network with it. What a killed peer announced is forgotten after two minutes.
    fn instance(&self, life: u32) -> String {
        let peer: String = self.peer.to_string().chars().take(32).collect();
        format!("{peer}-{life:08x}")
    }
}

/// A daemon that looks for peers on every interface but loopback.
fn daemon() -> mdns_sd::Result<ServiceDaemon> {
    let daemon = ServiceDaemon::new()?;
    daemon.set_ip_check_interval(INTERFACES_INTERVAL_S)?;
    daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
    Ok(daemon)
}

impl Lan {
    /// Looks for peers from now on; announces nothing before [`Lan::announce`].
    ///
    /// # Errors
    /// What the system says when there is no mDNS here.
    pub(crate) fn open(us: Listing) -> Result<Self, mdns_sd::Error> {
        let daemon = daemon()?;
        let (events, monitor) = (daemon.browse(SERVICE)?, daemon.monitor()?);
        let (now, mut life) = (Instant::now(), [0; 4]);
        getrandom::fill(&mut life).map_err(|error| mdns_sd::Error::Msg(format!("no randomness: {error}")))?;
        let life = u32::from_le_bytes(life);
        Ok(Self {
            daemon,
            events,
            monitor,
            us,
            life,
            fullname: None,
            heard: Listings::default(),
            offered: now,
            waiting: VecDeque::new(),
            offers: Bucket::new(OFFERS_PER_SECOND, OFFERS_BURST, now),
            turns: Bucket::new(OFFERS_PER_SECOND, OFFERS_BURST, now),
            passed: BTreeMap::new(),
            asked: now,
            cut_off: None,
        })
    }

    /// Announces that we listen there, in place of what was announced before.
    pub(crate) fn announce(&mut self, addresses: Vec<Multiaddr>) {
        let ports = Ports::of(&addresses);
        let ips: Vec<IpAddr> = addresses.iter().filter_map(address::ip).filter(|ip| !ip.is_loopback()).collect();
        self.us.addresses = addresses;
        let Some(port) = ports.named().into_iter().find_map(|(_, port)| port).filter(|_| !ips.is_empty()) else {
            return self.withdraw();
        };
        let (instance, properties) = (self.us.instance(self.life), self.us.properties(&ports));
        let host = format!("{instance}.local.");
        let info = ServiceInfo::new(SERVICE, &instance, &host, &ips[..], port, &properties[..]);
        let done = info.and_then(|mut info| {
            // The name is ours alone: it is part of a public key. A probe would cost 750 ms.
            info.set_requires_probe(false);
            self.fullname = Some(info.get_fullname().to_owned());
            self.daemon.register(info)
        });
        if let Err(error) = done {
            tracing::warn!(%error, "this peer cannot be announced on the LAN");
        }
    }

    fn withdraw(&mut self) {
        if let Some(name) = self.fullname.take() {
            let _ = self.daemon.unregister(&name);
        }
    }

    /// What happens next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            let heard = tokio::select! {
                event = self.events.recv_async(), if self.cut_off.is_none() => match event {
                    Ok(event) => self.on_service(event, Instant::now()),
                    Err(_) => self.on_cut_off(Instant::now()),
                },
                Ok(event) = self.monitor.recv_async() => on_daemon(&event),
                else => std::future::pending().await,
            };
            if let Some(heard) = heard {
                return heard;
            }
        }
    }

    /// [`Lan::due`] searches again.
    fn on_cut_off(&mut self, now: Instant) -> Option<Heard> {
        self.cut_off = Some(now);
        let pause = CUT_OFF_PAUSE.as_secs();
        Some(Heard::Trouble(format!("more is announced than can be taken in: the search begins anew in {pause} s")))
    }

    fn on_service(&mut self, event: ServiceEvent, now: Instant) -> Option<Heard> {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let listing = Listing::resolved(&service)?;
                self.on_listing(service.get_fullname(), listing, now)
            }
            ServiceEvent::ServiceRemoved(_, name) => {
                self.heard.remove(&name);
                None
            }
            _ => None,
        }
    }

    fn on_listing(&mut self, name: &str, listing: Listing, now: Instant) -> Option<Heard> {
        // What we say ourselves, perhaps with an address that we no longer have.
        if self.fullname.as_deref() == Some(name) {
            return None;
        }
        let known = self.heard.get(name).cloned();
        // A life has one identity: a name that goes from one to the next is made up.
        if known.as_ref().is_some_and(|known| known.peer != listing.peer) {
            return None;
        }
        self.heard.insert(name.to_owned(), listing.clone(), self.is_ours(&listing));
        self.judge(listing, known.as_ref(), now)
    }

    fn judge(&mut self, listing: Listing, known: Option<&Listing>, now: Instant) -> Option<Heard> {
        if listing.pairs {
            return None;
        }
        if listing.peer == self.us.peer {
            // Our own life before this one had another port, not another host.
            let ours = |ip| self.us.addresses.iter().any(|address| address::ip(address) == Some(ip));
            let foreign = listing.addresses.iter().filter_map(address::ip).any(|ip| !ours(ip));
            let news = known != Some(&listing);
            return (foreign && news && self.fullname.is_some()).then_some(Heard::Double(listing));
        }
        if self.is_ours(&listing) {
            // Who is too many now comes when it is its turn.
            self.passed.retain(|_, at| now.saturating_duration_since(*at) < NEWS_PAUSE);
            if self.passed.contains_key(&listing.peer) || self.offers.take(1.0, now).is_err() {
                return None;
            }
            self.passed.insert(listing.peer, now);
            return self.ours(listing.peer);
        }
        (known != Some(&listing)).then_some(Heard::Other(listing))
    }

    fn is_ours(&self, listing: &Listing) -> bool {
        !listing.pairs && (listing.run, listing.schema, listing.wire) == (self.us.run, self.us.schema, VERSION)
    }

    /// Called now and then: who of our run was heard of and has no link, when it is time to say so again.
    pub(crate) fn due(&mut self, now: Instant, lonely: bool, is_up: impl Fn(PeerId) -> bool) -> Vec<Heard> {
        let again = match self.cut_off {
            Some(at) => now.saturating_duration_since(at) > CUT_OFF_PAUSE,
            None => lonely && now.saturating_duration_since(self.asked) > LONELY_INTERVAL,
        };
        if again {
            self.search(now);
        }
        self.heard.note_links(&is_up);
        if self.waiting.is_empty() && now.saturating_duration_since(self.offered) >= OFFER_INTERVAL {
            self.offered = now;
            self.waiting.extend(self.heard.in_turn());
        }
        let mut due = Vec::new();
        while let Some(&peer) = self.waiting.front() {
            if peer != self.us.peer
                && !is_up(peer)
                && let Some(heard) = self.ours(peer)
            {
                if self.turns.take(1.0, now).is_err() {
                    break;
                }
                due.push(heard);
            }
            self.waiting.pop_front();
        }
        due
    }

    fn search(&mut self, now: Instant) {
        self.asked = now;
        let _ = self.daemon.stop_browse(SERVICE);
        match self.daemon.browse(SERVICE) {
            Ok(events) => (self.events, self.cut_off) = (events, None),
            // A daemon that is gone is asked again after the same pause.
            Err(error) => {
                tracing::debug!(%error, "mDNS does not search");
                self.cut_off = self.cut_off.map(|_| now);
            }
        }
    }

    /// A peer of our run with the addresses that it, or its life before, has announced, as many as one announcement has: the first of each announcement,
    /// the latest first, then the second of each. Whoever announces another one in its name hides none of its own.
    fn ours(&self, peer: PeerId) -> Option<Heard> {
        let listings = self.heard.of(peer);
        let turns =
            (0..ADDRESSES_MAX).flat_map(|turn| listings.iter().filter_map(move |listing| listing.addresses.get(turn)));
        let mut addresses: Vec<Multiaddr> = Vec::new();
        for address in turns {
            if addresses.len() < ADDRESSES_MAX && !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        (!addresses.is_empty()).then_some(Heard::Ours(peer, addresses))
    }

    /// Says goodbye, so that nobody dials us any more.
    pub(crate) async fn close(&mut self) {
        let goodbye = self.fullname.take().and_then(|name| self.daemon.unregister(&name).ok());
        if let Some(said) = goodbye {
            let _ = tokio::time::timeout(GOODBYE_MAX, said.recv_async()).await;
        }
        let _ = self.daemon.shutdown();
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = self.daemon.shutdown();
    }
}

fn on_daemon(event: &DaemonEvent) -> Option<Heard> {
    match event {
        DaemonEvent::Error(error) => Some(Heard::Trouble(error.to_string())),
        _ => None,
    }
}

/// [`Lan::next`]; without one, nothing ever happens.
pub(crate) async fn next(lan: &mut Option<Lan>) -> Heard {
    match lan {
        Some(lan) => lan.next().await,
        None => std::future::pending().await,
    }
}

/// Everybody who answers within `wait`, of all jobs, and whether mDNS had trouble. Blocks for so long.
///
/// # Errors
/// What the system says when there is no mDNS here.
pub(crate) fn look(wait: Duration) -> Result<Vec<Listing>, mdns_sd::Error> {
    let daemon = daemon()?;
    let events = daemon.browse(SERVICE)?;
    let end = Instant::now() + wait;
    let mut heard: BTreeMap<String, Listing> = BTreeMap::new();
    // However much is said: not past the end.
    while let Some(rest) = end.checked_duration_since(Instant::now())
        && let Ok(event) = events.recv_timeout(rest)
    {
        match event {
            ServiceEvent::ServiceResolved(service) if heard.len() < HEARD_MAX => {
                if let Some(listing) = Listing::resolved(&service) {
                    heard.insert(service.get_fullname().to_owned(), listing);
                }
            }
            ServiceEvent::ServiceRemoved(_, name) => drop(heard.remove(&name)),
            _ => {}
        }
    }
    let _ = daemon.shutdown();
    Ok(heard.into_values().collect())
}

/// For [`crate::fuzz`]: reads lines `key=value`. What was read, announced and read again is the same.
///
/// # Panics
/// When it is not.
pub(crate) fn read_lines(bytes: &[u8]) {
    let (ips, text) = bytes.split_at(bytes.len().min(8));
    let ips: Vec<IpAddr> = ips.as_chunks::<4>().0.iter().map(|ip| IpAddr::from(*ip)).collect();
    let text = String::from_utf8_lossy(text);
    let find = |lines: &[(String, String)], wanted: &str| lines.iter().position(|(key, _)| key == wanted);
    let lines: Vec<(String, String)> =
        text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let get = |key: &str| find(&lines, key).map(|at| lines[at].1.as_str());
    let Some(listing) = Listing::read(get, ips.iter().copied()) else { return };
    assert!(listing.addresses.len() <= ADDRESSES_MAX && listing.job.len() <= JOB_BYTES_MAX, "{listing:?}");
    let announced: Vec<(String, String)> = listing
        .properties(&Ports::of(&listing.addresses))
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let get = |key: &str| find(&announced, key).map(|at| announced[at].1.as_str());
    let again = Listing::read(get, ips.iter().copied());
    assert_eq!(again.as_ref(), Some(&listing), "announced and read again");
}

#[cfg(test)]
mod tests;
