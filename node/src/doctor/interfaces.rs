//! The network cards: is there one, is the cable in, and does a multicast come back.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::Finding;
use crate::swarm::interfaces::{self, Interface};

/// The groups of multicast DNS (RFC 6762, section 3).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// And their port.
const PORT: u16 = 5353;
/// How long our own multicast may take to come back.
const ECHO_MAX: Duration = Duration::from_secs(1);
/// No wait is shorter: a socket takes none of 0.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// `IFF_UP`, `IFF_LOOPBACK` and `IFF_MULTICAST` of Linux's <net/if.h>.
const FLAG_UP: u32 = 0x1;
const FLAG_LOOPBACK: u32 = 0x8;
const FLAG_MULTICAST: u32 = 0x1000;

pub(super) fn all() -> Vec<Finding> {
    let all = match interfaces::all() {
        Ok(all) => all,
        Err(error) => {
            return vec![Finding::broken(
                "interface",
                format!("the interfaces cannot be listed: {error}"),
                "are you in a sandbox without /proc?",
            )];
        }
    };
    let mut by_name: BTreeMap<&str, Vec<&Interface>> = BTreeMap::new();
    for interface in all.iter().filter(|interface| !interface.ip.is_loopback()) {
        by_name.entry(&interface.name).or_default().push(interface);
    }
    // One card in use is enough: what else is in the box may be off or without an address.
    let is_in_use = |(name, addresses): (&&str, &Vec<&Interface>)| {
        !addresses.iter().all(|interface| interface.is_virtual) && !only_link_local(addresses) && !is_off(name)
    };
    let has_other = by_name.iter().any(is_in_use);
    // IPv6 takes its addresses away from what is switched off: it is listed nowhere but in /sys.
    let mut bare = switched_off();
    bare.retain(|name| !by_name.contains_key(name.as_str()));
    let mut findings: Vec<Finding> = bare.iter().map(|name| off(name, name, has_other)).collect();
    if by_name.is_empty() && findings.is_empty() {
        return vec![Finding::broken(
            "interface",
            "this machine has no address besides its own loopback",
            "plug in a cable, join a wireless network, or set an address (ip addr)",
        )];
    }
    for (name, addresses) in by_name {
        findings.extend(one(name, &addresses, has_other));
    }
    findings
}

fn off(name: &str, shown: &str, has_other: bool) -> Finding {
    unused(format!("{shown} is switched off"), format!("ip link set {name} up"), has_other)
}

/// Bad only where no other interface leads to peers.
fn unused(what: String, remedy: String, has_other: bool) -> Finding {
    if has_other { Finding::hint("interface", what, remedy) } else { Finding::broken("interface", what, remedy) }
}

fn is_off(name: &str) -> bool {
    flags(name).is_some_and(|flags| flags & FLAG_UP == 0)
}

/// Network cards that are off; without a device behind it, an interface is only a means of this machine's system.
fn switched_off() -> Vec<String> {
    let all = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let names = all.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| is_off(name) && flags(name).is_some_and(|flags| flags & FLAG_LOOPBACK == 0))
        .filter(|name| !interfaces::is_virtual(name) && is_card(name))
        .collect()
}

/// Ethernet, of which wireless is a kind; tunnels have other types (`ARPHRD_ETHER` of <net/if_arp.h>).
fn is_card(name: &str) -> bool {
    read(name, "type").is_some_and(|text| text == "1")
}

fn only_link_local(addresses: &[&Interface]) -> bool {
    addresses.iter().all(|interface| is_link_local(interface.ip))
}

fn one(name: &str, addresses: &[&Interface], has_other: bool) -> Vec<Finding> {
    let shown: Vec<String> = addresses.iter().map(|interface| interface.ip.to_string()).collect();
    let shown = format!("{name} has {}", shown.join(", "));
    if addresses.iter().all(|interface| interface.is_virtual) {
        return vec![Finding::fine("interface", format!("{shown}: leads to this machine's own guests"))];
    }
    if is_off(name) {
        return vec![off(name, &format!("{shown}, but"), has_other)];
    }
    if read(name, "carrier").is_some_and(|text| text == "0") {
        return vec![Finding::broken(
            "interface",
            format!("{shown}, but nothing is at the other end of the cable"),
            "plug it in, or switch on what it leads to",
        )];
    }
    if only_link_local(addresses) {
        return vec![unused(
            format!("{shown}: a link-local address alone, to which peers do not connect"),
            format!(
                "use DHCP, or set an address on both machines (ip addr add 192.168.77.1/24 dev {name}, .2 on the other)"
            ),
            has_other,
        )];
    }
    let mut findings = vec![Finding::fine("interface", shown)];
    if flags(name).is_some_and(|flags| flags & FLAG_MULTICAST == 0) {
        findings.push(Finding::broken(
            "multicast",
            format!("{name} has multicast switched off: peers do not find each other there"),
            format!("ip link set {name} multicast on; or name a peer with --peer"),
        ));
        return findings;
    }
    for interface in addresses.iter().filter(|interface| !is_link_local(interface.ip)) {
        findings.push(match echo(interface) {
            Ok(()) => Finding::fine("multicast", format!("{} ({name}): what is sent comes back", interface.ip)),
            Err(error) => Finding::broken(
                "multicast",
                format!("{} ({name}): what is sent to the group of mDNS does not come back: {error}", interface.ip),
                "a firewall on this machine drops it (let in UDP 5353), or the route is missing (ip route add 224.0.0.0/4 dev ...); or name a peer with --peer",
            ),
        });
    }
    findings
}

/// One address of a family tells as much as two, and this kind is everywhere.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn read(name: &str, what: &str) -> Option<String> {
    fs::read_to_string(format!("/sys/class/net/{name}/{what}")).ok().map(|text| text.trim().to_owned())
}

fn flags(name: &str) -> Option<u32> {
    u32::from_str_radix(read(name, "flags")?.trim_start_matches("0x"), 16).ok()
}

/// Asks the group through that interface, as mDNS does, and waits to hear it: on the port of mDNS, since a firewall goes by ports.
/// Nobody has the name that is asked for, so nobody answers.
fn echo(interface: &Interface) -> io::Result<()> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    let question = question(&nonce);
    let (socket, to) = match interface.ip {
        IpAddr::V4(ip) => {
            let socket = shared(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, PORT).into())?;
            socket.join_multicast_v4(&GROUP_V4, &ip)?;
            socket.set_multicast_if_v4(&ip)?;
            (socket, SocketAddr::from((GROUP_V4, PORT)))
        }
        IpAddr::V6(_) => {
            let index = interface.index.unwrap_or(0);
            let socket = shared(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, PORT).into())?;
            socket.join_multicast_v6(&GROUP_V6, index)?;
            socket.set_multicast_if_v6(index)?;
            (socket, SocketAddrV6::new(GROUP_V6, PORT, 0, index).into())
        }
    };
    let socket = UdpSocket::from(socket);
    socket.send_to(&question, to)?;
    let by = Instant::now() + ECHO_MAX;
    // A datagram of mDNS is no longer; the words of others on this port are passed over.
    let mut heard = [0; 9000];
    loop {
        // Asked once more when time is up: it may have come while this process stood still.
        let rest = by.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(rest.max(WAIT_MIN)))?;
        match socket.recv_from(&mut heard) {
            Ok((length, _)) if heard[..length] == question => return Ok(()),
            // The words of others may go on without end.
            Ok(_) if !rest.is_zero() => {}
            Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(error);
            }
            _ if rest.is_zero() => return Err(io::Error::other("nothing within a second")),
            _ => {}
        }
    }
}

/// A socket on the port of mDNS beside those of all who listen there already (RFC 6762, section 15.1).
fn shared(family: Domain, at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(family, Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    Ok(socket)
}

/// A query of mDNS for a text record of a name that was made up for it (RFC 1035, section 4.1).
fn question(nonce: &[u8; 16]) -> Vec<u8> {
    let name: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    // No id, no flags, one question, no records.
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [name.as_str(), "_starling-doctor", "_udp", "local"] {
        // Shorter than the 63 bytes that a label may have.
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    // The root; TXT; IN.
    message.extend([0, 0, 16, 0, 1]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, ip: &str) -> Interface {
        Interface { name: name.into(), ip: ip.parse().unwrap(), index: None, is_virtual: false }
    }

    #[test]
    fn an_interface_with_nothing_but_a_link_local_address_leads_to_no_peer() {
        let (local, other) = (interface("eth0", "fe80::1"), interface("eth0", "192.0.2.7"));
        assert!(only_link_local(&[&local]));
        assert!(!only_link_local(&[&local, &other]));
    }

    #[test]
    fn the_question_is_well_formed() {
        let message = question(&[0xab; 16]);
        let mut at = 12;
        let mut labels = Vec::new();
        while message[at] != 0 {
            let end = at + 1 + usize::from(message[at]);
            labels.push(String::from_utf8(message[at + 1..end].to_vec()).unwrap());
            at = end;
        }
        assert_eq!(labels.join("."), format!("{}._starling-doctor._udp.local", "ab".repeat(16)));
        assert_eq!(message[at..], [0, 0, 16, 0, 1]);
    }
}
