//! Addresses and identities, between libp2p's types and ours.

use std::io;
use std::net::{IpAddr, TcpListener};

use libp2p::core::transport::TransportError;
use libp2p::identity::{Keypair, PublicKey};
use libp2p::multiaddr::Protocol;
use libp2p::multihash::Multihash;
use libp2p::{Multiaddr, PeerId as NetworkId};
use protocol::id::PeerId;

use crate::error::{Error, Kind};

/// Code of the "identity" multihash: the hash is the key itself.
const IDENTITY_HASH: u64 = 0;
/// What precedes the 32 bytes of an ed25519 key in libp2p's protobuf: type 1, then a byte string of 32.
const ED25519_PREFIX: [u8; 4] = [0x08, 0x01, 0x12, 0x20];
/// An address that always works, as an example in hints.
const EXAMPLE: &str = "write it like /ip4/192.0.2.7/tcp/4001";

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

/// An address as typed.
pub(crate) fn parse(text: &str) -> Result<Multiaddr, Error> {
    let usage = |why: &str| Error::new(Kind::Usage, format_args!("`{text}` is no address: {why}")).hint(EXAMPLE);
    let address: Multiaddr = text.parse().map_err(|error: libp2p::multiaddr::Error| usage(&error.to_string()))?;
    if !address.iter().any(|part| matches!(part, Protocol::Tcp(_))) {
        return Err(usage("it names no TCP port"));
    }
    if address
        .iter()
        .any(|part| matches!(part, Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)))
    {
        return Err(usage("names are not looked up, give the IP address"));
    }
    Ok(address)
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

/// Addresses on which others may reach us, best first: none that names no machine (0.0.0.0, link-local IPv6), and
/// loopback only when we listen nowhere else.
pub(crate) fn announced<'a>(listening: impl IntoIterator<Item = &'a Multiaddr>) -> Vec<Multiaddr> {
    let usable =
        listening.into_iter().filter_map(|address| ip(address).filter(names_a_machine).map(|ip| (ip, address)));
    let (loopback, others): (Vec<_>, Vec<_>) = usable.partition(|(ip, _)| ip.is_loopback());
    let chosen = if others.is_empty() { loopback } else { others };
    chosen.into_iter().map(|(_, address)| address.clone()).collect()
}

/// Whether an address with a port can be listened on by us alone.
///
/// libp2p's sockets share a port with every other process of this user that shares it too, as another starling does:
/// the kernel would then deal the connections out to both. A plain socket does not share, so it finds the other one.
pub(crate) fn check_free(address: &Multiaddr) -> Result<(), Error> {
    let port = address.iter().find_map(|part| match part {
        Protocol::Tcp(port) if port != 0 => Some(port),
        _ => None,
    });
    let Some((ip, port)) = ip(address).zip(port) else { return Ok(()) };
    TcpListener::bind((ip, port)).map(drop).map_err(|error| cannot_listen(address, TransportError::Other(error)))
}

/// Why an address cannot be listened on, with a remedy.
pub(crate) fn cannot_listen(address: &Multiaddr, error: TransportError<io::Error>) -> Error {
    let error = match error {
        TransportError::MultiaddrNotSupported(_) => {
            return Error::new(Kind::Usage, format_args!("cannot listen on {address}: only TCP is spoken"))
                .hint("write it like /ip4/0.0.0.0/tcp/4001");
        }
        TransportError::Other(error) => error,
    };
    let cause = root_kind(&error);
    let hint = match cause {
        io::ErrorKind::AddrInUse => "another program has this port: choose another, or /tcp/0 for any that is free",
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
        assert_eq!(announced(&all), [all[2].clone()]);
        assert_eq!(announced(&all[..2]), [all[1].clone()], "loopback, when there is nothing else");
    }

    #[test]
    fn bad_addresses_are_named() {
        for text in
            ["", "nonsense", "127.0.0.1:4001", "/ip4/300.0.0.1/tcp/1", "/ip4/127.0.0.1/udp/1", "/dns4/a.example/tcp/1"]
        {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind, Kind::Usage);
            assert!(error.message.contains(&format!("`{text}`")) && error.hint.is_some(), "{error}");
        }
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
