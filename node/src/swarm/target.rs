//! Addresses as other rooms of this crate use them: where a peer is asked for something, and whether one may listen.

use super::*;

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
    target_within(text, names::LOOK_UP_MAX)
}

/// As [`target`]; a look-up that takes longer than `wait` is given up.
///
/// # Errors
/// It is none, or the name is not known.
pub(crate) fn target_within(text: &str, wait: Duration) -> Result<Target, Error> {
    let (address, peer) = address::split_peer(address::parse(text)?);
    if !names::is_named(&address) {
        return Ok(Target { peer, addresses: vec![address] });
    }
    let unknown = |error: io::Error| {
        Error::new(error::Kind::Network, format_args!("the name in `{text}` is not known here: {error}"))
            .hint("does this machine have a name server? else give the IP address")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unknown)?;
    let found = runtime.block_on(async { tokio::time::timeout(wait, names::look_up(address)).await });
    // The resolver cannot be interrupted: it is left behind.
    runtime.shutdown_background();
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {wait:.1?}"));
    let addresses = found.unwrap_or_else(|_| Err(late())).map_err(unknown)?;
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

/// A socket that an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Tcp(SocketAddr),
    Udp(SocketAddr),
}

/// Where TCP or QUIC would connect to; of a relayed address, where the relay is.
pub(crate) fn door(address: &Multiaddr) -> Option<Door> {
    let ip = address::ip(address)?;
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(Door::Tcp(SocketAddr::new(ip, port))),
        Protocol::Udp(port) => Some(Door::Udp(SocketAddr::new(ip, port))),
        _ => None,
    })
}
