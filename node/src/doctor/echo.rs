//! Whether a multicast comes back: what is said to the group of mDNS through an interface is to be heard there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::swarm::interfaces::Interface;

/// The groups of multicast DNS (RFC 6762, section 3).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// And their port.
const PORT: u16 = 5353;
/// How long our own multicast may take to come back.
const ECHO_MAX: Duration = Duration::from_secs(1);
/// No wait is shorter: a socket takes none of 0.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Asks the group through that interface, as mDNS does, and waits to hear it: on the port of mDNS, since a firewall goes by ports.
/// Nobody has the name that is asked for, so nobody answers.
pub(super) fn echo(interface: &Interface) -> io::Result<()> {
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
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

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
