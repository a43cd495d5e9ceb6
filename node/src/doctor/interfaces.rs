//! The network cards: is there one, is the cable in, and does a multicast come back.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use super::Finding;
use crate::swarm::interfaces::{self, Interface};

/// The groups of multicast DNS (RFC 6762, section 3).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// How long our own multicast may take to come back.
const ECHO_MAX: Duration = Duration::from_millis(300);
/// `IFF_MULTICAST` of Linux's <net/if.h>.
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
    if by_name.is_empty() {
        return vec![Finding::broken(
            "interface",
            "this machine has no address besides its own loopback",
            "plug in a cable, join a wireless network, or set an address (ip addr)",
        )];
    }
    let mut findings = Vec::new();
    for (name, addresses) in by_name {
        findings.extend(one(name, &addresses));
    }
    findings
}

fn one(name: &str, addresses: &[&Interface]) -> Vec<Finding> {
    let shown: Vec<String> = addresses.iter().map(|interface| interface.ip.to_string()).collect();
    let shown = format!("{name} has {}", shown.join(", "));
    if addresses.iter().all(|interface| interface.is_virtual) {
        return vec![Finding::fine("interface", format!("{shown}: leads to this machine's own guests"))];
    }
    if read(name, "carrier").is_some_and(|text| text == "0") {
        return vec![Finding::broken(
            "interface",
            format!("{shown}, but nothing is at the other end of the cable"),
            "plug it in, or switch on what it leads to",
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

/// Sends to the group through that interface and waits to hear it.
fn echo(interface: &Interface) -> io::Result<()> {
    let nonce: [u8; 16] = {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        nonce
    };
    let (ear, mouth, to) = match interface.ip {
        IpAddr::V4(ip) => {
            let ear = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            ear.join_multicast_v4(&GROUP_V4, &ip)?;
            let to = SocketAddr::from((GROUP_V4, ear.local_addr()?.port()));
            (ear, UdpSocket::bind((ip, 0))?, to)
        }
        IpAddr::V6(ip) => {
            let index = interface.index.unwrap_or(0);
            let ear = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
            ear.join_multicast_v6(&GROUP_V6, index)?;
            let to = SocketAddrV6::new(GROUP_V6, ear.local_addr()?.port(), 0, index).into();
            (ear, UdpSocket::bind((ip, 0))?, to)
        }
    };
    ear.set_read_timeout(Some(ECHO_MAX))?;
    mouth.send_to(&nonce, to)?;
    let mut heard = [0; 32];
    // Somebody else's words on this port are possible, if unlikely.
    for _ in 0..8 {
        let (length, _) = ear.recv_from(&mut heard).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => io::Error::other("nothing within 0.3 s"),
            _ => error,
        })?;
        if heard[..length] == nonce {
            return Ok(());
        }
    }
    Err(io::Error::other("only other messages"))
}
