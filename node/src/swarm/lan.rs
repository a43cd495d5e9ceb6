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

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use mdns_sd::{DaemonEvent, IfKind, Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use protocol::id::{Hash, PeerId, RunId, SchemaHash, parse_hex};
use protocol::wire::VERSION;

use super::address;

/// What we announce and look for.
const SERVICE: &str = "_starling._tcp.local.";
/// How often new interfaces and addresses are looked for, seconds.
const INTERFACES_INTERVAL_S: u32 = 2;
/// Peers remembered, of all jobs: a flood of made-up announcements ends here.
const HEARD_MAX: usize = 1024;
/// Addresses taken from one announcement.
const ADDRESSES_MAX: usize = 8;
/// Bytes taken of a job's name.
const JOB_BYTES_MAX: usize = 64;
/// Who is known and has no link is offered to be dialled again after so long.
const OFFER_INTERVAL: Duration = Duration::from_secs(10);
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
    heard: BTreeMap<String, Listing>,
    offered: Instant,
    asked: Instant,
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
        Ok(Self { daemon, events, monitor, us, life, fullname: None, heard: BTreeMap::new(), offered: now, asked: now })
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
                Ok(event) = self.events.recv_async() => self.on_service(event),
                Ok(event) = self.monitor.recv_async() => on_daemon(&event),
                else => std::future::pending().await,
            };
            if let Some(heard) = heard {
                return heard;
            }
        }
    }

    fn on_service(&mut self, event: ServiceEvent) -> Option<Heard> {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let listing = Listing::resolved(&service)?;
                let name = service.get_fullname().to_owned();
                if self.heard.len() >= HEARD_MAX && !self.heard.contains_key(&name) {
                    return None;
                }
                let known = self.heard.insert(name, listing.clone());
                self.judge(listing, known.as_ref())
            }
            ServiceEvent::ServiceRemoved(_, name) => {
                self.heard.remove(&name);
                None
            }
            _ => None,
        }
    }

    fn judge(&self, listing: Listing, known: Option<&Listing>) -> Option<Heard> {
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
            return self.ours(listing.peer);
        }
        (known != Some(&listing)).then_some(Heard::Other(listing))
    }

    fn is_ours(&self, listing: &Listing) -> bool {
        !listing.pairs && (listing.run, listing.schema, listing.wire) == (self.us.run, self.us.schema, VERSION)
    }

    /// Called now and then: who of our run was heard of and has no link, when it is time to say so again.
    pub(crate) fn due(&mut self, now: Instant, lonely: bool, is_up: impl Fn(PeerId) -> bool) -> Vec<Heard> {
        if lonely && now - self.asked > LONELY_INTERVAL {
            self.asked = now;
            let _ = self.daemon.stop_browse(SERVICE);
            if let Ok(events) = self.daemon.browse(SERVICE) {
                self.events = events;
            }
        }
        if now - self.offered < OFFER_INTERVAL {
            return Vec::new();
        }
        self.offered = now;
        let ours = self.heard.values().filter(|listing| self.is_ours(listing) && !is_up(listing.peer));
        let peers: BTreeSet<PeerId> = ours.map(|listing| listing.peer).collect();
        peers.into_iter().filter_map(|peer| self.ours(peer)).collect()
    }

    /// A peer of our run with all addresses that it, or its life before, has announced.
    fn ours(&self, peer: PeerId) -> Option<Heard> {
        let listings = self.heard.values().filter(|listing| listing.peer == peer && self.is_ours(listing));
        let addresses: BTreeSet<_> = listings.flat_map(|listing| listing.addresses.iter().cloned()).collect();
        (!addresses.is_empty()).then(|| Heard::Ours(peer, addresses.into_iter().collect()))
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
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn listing(addresses: &[&str]) -> Listing {
        Listing {
            peer: PeerId([7; 32]),
            run: RunId(Hash([1; 32])),
            schema: SchemaHash(Hash([2; 32])),
            wire: VERSION,
            job: "flock".into(),
            open: true,
            pairs: false,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn again(listing: &Listing) -> Option<Listing> {
        let properties = listing.properties(&Ports::of(&listing.addresses));
        let get = |key: &str| properties.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
        Listing::read(get, listing.addresses.iter().filter_map(address::ip).collect::<BTreeSet<_>>())
    }

    #[test]
    fn what_is_announced_is_what_is_read() {
        let all = listing(&[
            "/ip4/192.0.2.7/tcp/4001",
            "/ip6/2001:db8::7/tcp/4002",
            "/ip4/192.0.2.7/udp/4001/quic-v1",
            "/ip6/2001:db8::7/udp/4003/quic-v1",
        ]);
        let pairs = Listing { pairs: true, ..all.clone() };
        assert_eq!(again(&pairs), Some(pairs));
        assert_eq!(again(&all), Some(all));
        assert!(all_fit(&listing(&["/ip4/192.0.2.7/tcp/4001"])));
    }

    /// A string of a TXT record has 255 bytes at most.
    fn all_fit(listing: &Listing) -> bool {
        let mut listing = listing.clone();
        listing.job = "x".repeat(JOB_BYTES_MAX);
        listing.properties(&Ports::default()).iter().all(|(key, value)| key.len() + 1 + value.len() <= 255)
    }

    #[test]
    fn what_cannot_be_dialled_is_left_out() {
        let found = again(&listing(&["/ip4/0.0.0.0/tcp/1", "/ip6/fe80::1/tcp/1", "/ip4/192.0.2.7/tcp/1"])).unwrap();
        assert_eq!(found.addresses, ["/ip4/192.0.2.7/tcp/1".parse().unwrap()]);
    }

    proptest! {
        #[test]
        fn hostile_text_is_no_panic_and_bounded(values in prop::collection::vec(".{0,300}", 11), ips in prop::collection::vec(any::<u32>(), 0..40)) {
            let keys = ["peer", "run", "schema", "wire", "job", "open", "tcp4", "tcp6", "quic4", "quic6", "pair"];
            let good = "07".repeat(32);
            for trust in [false, true] {
                let get = |key: &str| {
                    let i = keys.iter().position(|name| *name == key)?;
                    Some(match i { 0..=2 if trust => good.as_str(), 3 if trust => "3", _ => values[i].as_str() })
                };
                let ips = ips.iter().map(|&bits| IpAddr::V4(bits.into()));
                if let Some(listing) = Listing::read(get, ips) {
                    prop_assert!(listing.addresses.len() <= ADDRESSES_MAX && listing.job.len() <= JOB_BYTES_MAX);
                }
            }
        }
    }
}
