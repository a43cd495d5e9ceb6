//! Addresses and identities, between libp2p's types and ours.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};

use libp2p::core::ConnectedPoint;
use libp2p::core::transport::TransportError;
use libp2p::identity::{Keypair, PublicKey};
use libp2p::multiaddr::Protocol;
use libp2p::multihash::Multihash;
use libp2p::{Multiaddr, PeerId as NetworkId};
use protocol::id::PeerId;

use super::names;
use crate::error::{Error, Kind};

/// Code of the "identity" multihash: the hash is the key itself.
const IDENTITY_HASH: u64 = 0;
/// What precedes the 32 bytes of an ed25519 key in libp2p's protobuf: type 1, then a byte string of 32.
const ED25519_PREFIX: [u8; 4] = [0x08, 0x01, 0x12, 0x20];
/// Addresses that always work, as an example in hints.
const EXAMPLE: &str =
    "write it like /ip4/192.0.2.7/tcp/4001, /ip4/192.0.2.7/udp/4001/quic-v1 or /dns4/host.example/tcp/4001";
/// Addresses that are announced; the protocol passes on no more of one peer.
const ANNOUNCED_MAX: usize = 8;
/// Of those, relayed ones.
const RELAYED_MAX: usize = 3;
/// Of them at most those that others say they have reached us at, where we listen at more than there is place for.
const CONFIRMED_MAX: usize = 2;
/// Ports that are tried for one that is free on both.
const PORT_TRIES: usize = 16;

/// How a peer is reached, the better way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// TCP + Noise + Yamux.
    Tcp,
    /// QUIC, over UDP.
    Quic,
    /// Through a third peer that carries the bytes and cannot read them.
    Relayed,
}

impl Way {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
            Self::Relayed => "relayed",
        }
    }
}

/// Which way an address goes; `None` for one that we do not go.
pub(crate) fn way(address: &Multiaddr) -> Option<Way> {
    let has = |is: fn(&Protocol<'_>) -> bool| address.iter().any(|part| is(&part));
    if has(|part| matches!(part, Protocol::P2pCircuit)) {
        Some(Way::Relayed)
    } else if has(|part| matches!(part, Protocol::QuicV1)) {
        Some(Way::Quic)
    } else {
        has(|part| matches!(part, Protocol::Tcp(_))).then_some(Way::Tcp)
    }
}

/// libp2p's name of a peer.
pub(crate) fn to_network(peer: PeerId) -> Option<NetworkId> {
    let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(&peer.0).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// Our name of a peer; `None` for one whose identity is no ed25519 key.
pub(crate) fn from_network(id: &NetworkId) -> Option<PeerId> {
    let hash: &Multihash<64> = id.as_ref();
    let key = hash.digest().strip_prefix(&ED25519_PREFIX)?;
    (hash.code() == IDENTITY_HASH).then_some(())?;
    key.try_into().ok().map(PeerId)
}

/// The key pair of a seed.
pub(crate) fn key_pair(seed: &[u8; 32]) -> Result<Keypair, Error> {
    // libp2p wipes the bytes it is given.
    Keypair::ed25519_from_bytes(*seed)
        .map_err(|error| Error::new(Kind::Internal, format_args!("the identity seed makes no key: {error}")))
}

/// Which way a connection has come.
pub(crate) fn way_of(endpoint: &ConnectedPoint) -> Way {
    let address = match endpoint {
        ConnectedPoint::Dialer { address, .. } => address,
        ConnectedPoint::Listener { local_addr, .. } => local_addr,
    };
    // What came in without a port that we know came through somebody.
    way(address).unwrap_or(Way::Relayed)
}

/// An address to dial, as typed.
pub(crate) fn parse(text: &str) -> Result<Multiaddr, Error> {
    let usage = |why: &str| Error::new(Kind::Usage, format_args!("`{text}` is no address: {why}")).hint(EXAMPLE);
    let address: Multiaddr = text.parse().map_err(|error: libp2p::multiaddr::Error| usage(&error.to_string()))?;
    let known = |part: &Protocol<'_>| {
        use Protocol::{Dns, Dns4, Dns6, Ip4, Ip6, P2p, P2pCircuit, QuicV1, Tcp, Udp};
        matches!(part, Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_) | Tcp(_) | Udp(_) | QuicV1 | P2p(_) | P2pCircuit)
    };
    if let Some(part) = address.iter().find(|part| !known(part)) {
        return Err(usage(&format!("`{}` is not spoken here", part.tag())));
    }
    match way(&address) {
        None => Err(usage("it names no TCP port, and no UDP port with /quic-v1")),
        Some(_) if ip(&address).is_none() && !names::is_named(&address) => Err(usage("it names no host")),
        Some(_) => Ok(address),
    }
}

/// An address to listen on, as typed.
pub(crate) fn parse_listen(text: &str) -> Result<Multiaddr, Error> {
    let address = parse(text)?;
    if ip(&address).is_none() || way(&address) == Some(Way::Relayed) {
        return Err(Error::new(
            Kind::Usage,
            format_args!("`{text}` is no address to listen on: it names no interface"),
        )
        .hint("/ip4/0.0.0.0/tcp/4001 stands for all that this machine has"));
    }
    Ok(address)
}

/// An address that others have told: names are not looked up for them.
pub(crate) fn parse_heard(text: &str) -> Option<Multiaddr> {
    parse(text).ok().filter(|address| !names::is_named(address))
}

/// Every interface, both families, TCP and QUIC, on a port that is free on all: so one number is all there is to open in a firewall.
/// A machine may lack a family.
pub(crate) fn listen_default() -> Vec<String> {
    let free = || {
        let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        let port = tcp.local_addr().ok()?.port();
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).ok().map(|_| port)
    };
    // None: any port, on each.
    let port = (0..PORT_TRIES).find_map(|_| free()).unwrap_or(0);
    let hosts = [format!("/ip4/{}", Ipv4Addr::UNSPECIFIED), format!("/ip6/{}", Ipv6Addr::UNSPECIFIED)];
    hosts.iter().flat_map(|host| [format!("{host}/tcp/{port}"), format!("{host}/udp/{port}/quic-v1")]).collect()
}

/// An address without the peer id at its end, and the id.
pub(crate) fn split_peer(mut address: Multiaddr) -> (Multiaddr, Option<NetworkId>) {
    match address.pop() {
        Some(Protocol::P2p(id)) => (address, Some(id)),
        Some(last) => (address.with(last), None),
        None => (address, None),
    }
}

/// Host of an address, when it is an IP address.
pub(crate) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    })
}

/// Whether an address means one machine on every network: not 0.0.0.0, and not a link-local one of IPv6, which cannot be
/// dialled without naming the interface.
pub(crate) fn names_a_machine(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
    }
}

/// Whether none of them leads to another machine.
pub(crate) fn is_loopback_only<'a>(addresses: impl IntoIterator<Item = &'a Multiaddr>) -> bool {
    addresses.into_iter().filter_map(ip).all(|ip| ip.is_loopback())
}

/// Whether nobody but this machine is reached there.
pub(crate) fn is_loopback(address: &Multiaddr) -> bool {
    ip(address).is_some_and(|ip| ip.is_loopback())
}

/// Addresses on which others may reach us, best first: none that names no machine (0.0.0.0, link-local IPv6), and
/// loopback only when we listen nowhere else.
///
/// Those that others say they have reached us at take no more than [`CONFIRMED_MAX`] places from those where we listen: a member can say so of any.
pub(crate) fn announced<'a>(
    listening: impl IntoIterator<Item = &'a Multiaddr>,
    confirmed: impl IntoIterator<Item = &'a Multiaddr>,
) -> Vec<Multiaddr> {
    let all = listening.into_iter().map(|address| (false, address));
    let all = all.chain(confirmed.into_iter().map(|address| (true, address)));
    let usable = all.filter_map(|(told, address)| ip(address).filter(names_a_machine).map(|ip| (ip, told, address)));
    let (loopback, others): (Vec<_>, Vec<_>) = usable.partition(|(ip, ..)| ip.is_loopback());
    let chosen = if others.is_empty() { loopback } else { others };
    let mut places: BTreeMap<Multiaddr, bool> = BTreeMap::new();
    for (_, told, address) in chosen {
        *places.entry(split_peer(address.clone()).0).or_insert(told) &= told;
    }
    let mut chosen: Vec<_> = places.into_iter().map(|(address, told)| (way(&address), told, address)).collect();
    chosen.sort();
    // The last resort has its place among the few that are passed on.
    let (relayed, direct): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(way, ..)| *way == Some(Way::Relayed));
    let places = ANNOUNCED_MAX - relayed.len().min(RELAYED_MAX);
    let (told, ours): (Vec<_>, Vec<_>) = direct.into_iter().partition(|(_, told, _)| *told);
    let of_told = told.len().min(CONFIRMED_MAX.max(places.saturating_sub(ours.len())));
    let mut direct: Vec<_> = ours.into_iter().take(places - of_told).chain(told.into_iter().take(of_told)).collect();
    direct.sort();
    direct.truncate(places);
    direct.into_iter().chain(relayed.into_iter().take(RELAYED_MAX)).map(|(.., address)| address).collect()
}

/// Why a relayed address is not dialled.
pub(crate) fn may_not_be_relayed(address: &Multiaddr) -> Error {
    Error::new(Kind::Usage, format_args!("{address} is relayed, and relayed links are forbidden here"))
        .hint("leave out --no-relay, or name an address that is reached directly")
}

/// Whether an address with a port can be listened on by us alone.
///
/// libp2p's sockets share a port with every other process of this user that shares it too, as another starling does:
/// the kernel would then deal the connections out to both. A plain socket does not share, so it finds the other one.
pub(crate) fn check_free(address: &Multiaddr) -> Result<(), Error> {
    let port = address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) if port != 0 => Some(port),
        _ => None,
    });
    let Some((ip, port)) = ip(address).zip(port) else { return Ok(()) };
    let free = match way(address) {
        Some(Way::Quic) => UdpSocket::bind((ip, port)).map(drop),
        _ => TcpListener::bind((ip, port)).map(drop),
    };
    free.map_err(|error| cannot_listen(address, TransportError::Other(error)))
}

/// Why an address cannot be listened on, with a remedy.
pub(crate) fn cannot_listen(address: &Multiaddr, error: TransportError<io::Error>) -> Error {
    let error = match error {
        TransportError::MultiaddrNotSupported(_) => {
            return Error::new(Kind::Usage, format_args!("cannot listen on {address}: only TCP and QUIC are spoken"))
                .hint("write it like /ip4/0.0.0.0/tcp/4001 or /ip4/0.0.0.0/udp/4001/quic-v1");
        }
        TransportError::Other(error) => error,
    };
    let cause = root_kind(&error);
    let hint = match cause {
        io::ErrorKind::AddrInUse => "another program has this port: choose another, or 0 for any that is free",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: /ip4/0.0.0.0 stands for all that it has",
        io::ErrorKind::PermissionDenied => "ports below 1024 are the administrator's: choose a higher one",
        _ => "try /ip4/0.0.0.0/tcp/0",
    };
    let what = match cause {
        io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        _ => error.to_string(),
    };
    Error::new(Kind::Network, format_args!("cannot listen on {address}: {what}")).hint(hint)
}

/// Kind of the system's error. libp2p wraps it in types that hide it from `source()`; what remains is its number in the
/// text.
fn root_kind(error: &io::Error) -> io::ErrorKind {
    let text = error.to_string();
    let number = text.rsplit_once("(os error ").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
    number.map_or(error.kind(), |number| io::Error::from_raw_os_error(number).kind())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use protocol::trust::Identity;

    #[test]
    fn one_seed_is_one_peer_in_both_worlds() {
        let seed = [42; 32];
        let ours = Identity::from_seed(&seed).peer_id();
        let theirs = key_pair(&seed).unwrap().public().to_peer_id();
        assert_eq!(to_network(ours), Some(theirs));
        assert_eq!(from_network(&theirs), Some(ours));
        // A hash that is not of the identity kind: as of an RSA key.
        let hashed = Multihash::wrap(0x12, &[1; 32]).unwrap();
        assert_eq!(from_network(&NetworkId::from_multihash(hashed).unwrap()), None);
    }

    #[test]
    fn what_is_announced_can_be_reached() {
        let all = ["/ip4/0.0.0.0/tcp/1", "/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.7/tcp/1", "/ip6/fe80::1/tcp/1"];
        let all: Vec<Multiaddr> = all.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(announced(&all, []), [all[2].clone()]);
        assert_eq!(announced(&all[..2], []), [all[1].clone()], "loopback, when there is nothing else");
    }

    /// A member may say of any address that it has reached us there, and of as many as it likes.
    #[test]
    fn what_others_claim_takes_no_place_from_where_we_listen() {
        let addresses = |net: &str, count: u8| -> Vec<Multiaddr> {
            (1..=count).map(|i| format!("/ip4/{net}.{i}/tcp/1").parse().unwrap()).collect()
        };
        let (ours, claimed) = (addresses("192.0.2", 4), addresses("1.0.0", 16));
        let told = announced(&ours, &claimed);
        assert_eq!(told.len(), ANNOUNCED_MAX);
        assert!(ours.iter().all(|address| told.contains(address)));
        let many = addresses("192.0.2", 20);
        let told = announced(&many, &claimed[..1]);
        assert!(told.contains(&claimed[0]), "nor does a machine of many networks hide where it is reached from beyond");
        assert_eq!(announced(&ours, &ours), ours);
    }

    #[test]
    fn bad_addresses_are_named() {
        let bad = ["", "nonsense", "127.0.0.1:4001", "/ip4/300.0.0.1/tcp/1", "/ip4/127.0.0.1/udp/1", "/tcp/1"];
        for text in bad.into_iter().chain(["/ip4/127.0.0.1/tcp/1/ws", "/ip4/127.0.0.1/udp/1/quic"]) {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind, Kind::Usage);
            assert!(error.message.contains(&format!("`{text}`")) && error.hint.is_some(), "{error}");
        }
    }

    #[test]
    fn names_are_dialled_and_not_listened_on_and_not_taken_from_others() {
        for (text, taken) in [
            ("/dns4/a.example/tcp/1", [true, false, false]),
            ("/ip4/127.0.0.1/udp/1/quic-v1", [true, true, true]),
            ("/ip6/::1/tcp/1", [true, true, true]),
        ] {
            assert_eq!([parse(text).is_ok(), parse_listen(text).is_ok(), parse_heard(text).is_some()], taken, "{text}");
        }
    }

    #[test]
    fn by_default_one_port_serves_both() {
        let listen = listen_default();
        let ways: Vec<_> = listen.iter().map(|text| way(&parse_listen(text).unwrap())).collect();
        assert_eq!(ways, [Some(Way::Tcp), Some(Way::Quic)].repeat(2));
        let port = |text: &str| text.split('/').nth(4).unwrap().to_owned();
        assert!(listen.iter().all(|text| port(text) == port(&listen[0])));
        listen
            .iter()
            .filter(|text| text.starts_with("/ip4"))
            .try_for_each(|text| check_free(&parse_listen(text).unwrap()))
            .unwrap();
    }

    #[test]
    fn the_peer_id_comes_off_an_address() {
        let id = key_pair(&[1; 32]).unwrap().public().to_peer_id();
        let bare: Multiaddr = "/ip4/192.0.2.7/tcp/4001".parse().unwrap();
        assert_eq!(split_peer(bare.clone()), (bare.clone(), None));
        assert_eq!(split_peer(bare.clone().with(Protocol::P2p(id))), (bare, Some(id)));
        assert_eq!(split_peer(Multiaddr::empty()), (Multiaddr::empty(), None));
    }
}
