//! Looking up host names: `/dns4/host.example/tcp/4001` becomes an IP address when it is dialled, each time again.
//!
//! The system's resolver does it, so `/etc/hosts`, search domains and mDNS names (`host.local`) work as everywhere else on
//! this machine, and no resolver is linked in. Only names that the operator typed are looked up: a neighbour cannot make
//! us ask for names of its choice.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// How long a look-up may take.
pub(super) const LOOK_UP_MAX: Duration = Duration::from_secs(5);

/// Whether an address that a name stands for is of the kind asked for.
type WillDo = fn(&IpAddr) -> bool;

/// Name in an address, and which addresses will do.
fn name(address: &Multiaddr) -> Option<(String, WillDo)> {
    address.iter().find_map(|part| match part {
        Protocol::Dns(name) => Some((name.to_string(), (|_| true) as WillDo)),
        Protocol::Dns4(name) => Some((name.to_string(), IpAddr::is_ipv4)),
        Protocol::Dns6(name) => Some((name.to_string(), IpAddr::is_ipv6)),
        _ => None,
    })
}

/// Whether there is a name to look up.
pub(crate) fn is_named(address: &Multiaddr) -> bool {
    name(address).is_some()
}

/// The same address at every IP address that the name has now, in the resolver's order; at least one.
pub(crate) async fn look_up(address: Multiaddr) -> io::Result<Vec<Multiaddr>> {
    let Some((host, will_do)) = name(&address) else { return Ok(vec![address]) };
    // Of a pair of host and port that the resolver wants, only the host counts.
    let looking = tokio::net::lookup_host((host.as_str(), 0));
    let found = tokio::time::timeout(LOOK_UP_MAX, looking)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer for {host} within {LOOK_UP_MAX:?}")))?
        .map_err(|error| io::Error::new(error.kind(), format!("{host} is not found: {error}")))?;
    let addresses: Vec<_> = found.map(|found| found.ip()).filter(will_do).map(|ip| at(&address, ip)).collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address of that kind")));
    }
    Ok(addresses)
}

fn at(address: &Multiaddr, ip: IpAddr) -> Multiaddr {
    let part = |part| match part {
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => Protocol::from(ip),
        part => part,
    };
    address.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[tokio::test]
    async fn a_name_becomes_an_address_of_the_kind_asked_for() {
        let address = |text: &str| text.parse::<Multiaddr>().unwrap();
        let found = look_up(address("/dns4/localhost/tcp/4001")).await.unwrap();
        assert_eq!(found[0], address("/ip4/127.0.0.1/tcp/4001"));
        let found = look_up(address("/dns/127.0.0.1/udp/1/quic-v1")).await.unwrap();
        assert_eq!(found, [address("/ip4/127.0.0.1/udp/1/quic-v1")]);
        assert_eq!(look_up(found[0].clone()).await.unwrap(), found, "nothing to look up");
        let error = look_up(address("/dns6/127.0.0.1/tcp/1")).await.unwrap_err();
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
}
