//! QUIC handshakes that are begun and never go on: a real first packet, and nobody who reads the answer.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::core::transport::{DialOpts, PortUse, Transport as _};
use libp2p::core::{Endpoint, multiaddr::Protocol};
use libp2p::identity::Keypair;
use libp2p::quic;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longest datagram.
const DATAGRAM_BYTES_MAX: usize = 1500;
/// The packets are made on this machine: they are here at once.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two clients.
const PAUSE: Duration = Duration::from_millis(2);
/// All have said their first words when nothing comes for so long.
const QUIET: Duration = Duration::from_millis(50);
/// And in any case after so many packets each.
const PACKETS_EACH_MAX: usize = 6;

/// First packets of so many clients, as libp2p makes them: caught on the way to a socket of ours. A client's first words take more
/// than one of them.
///
/// # Errors
/// There is no socket to be had, or no packet came.
async fn first_packets(count: usize) -> io::Result<Vec<Vec<Vec<u8>>>> {
    let trap = UdpSocket::bind("127.0.0.1:0").await?;
    let port = trap.local_addr()?.port();
    let address =
        Multiaddr::empty().with(Protocol::Ip4([127, 0, 0, 1].into())).with(Protocol::Udp(port)).with(Protocol::QuicV1);
    let keys = Keypair::ed25519_from_bytes([3; 32]).map_err(io::Error::other)?;
    let mut transport = quic::tokio::Transport::new(quic::Config::new(&keys));
    let mut dials = JoinSet::new();
    for _ in 0..count {
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        dials.spawn(transport.dial(address.clone(), options).map_err(io::Error::other)?);
    }
    let mut clients: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    // Until nobody has anything new to say: what comes twice later is sent twice here.
    let mut patience = WAIT_MAX;
    while let Ok(read) = timeout(patience, trap.recv(&mut datagram)).await {
        let packet = &datagram[..read?];
        if let Some(client) = client_of(packet) {
            clients.entry(client.to_vec()).or_default().push(packet.to_vec());
        }
        if clients.len() >= count {
            patience = QUIET;
        }
        if clients.values().map(Vec::len).sum::<usize>() >= PACKETS_EACH_MAX * count {
            break;
        }
    }
    Ok(clients.into_values().collect())
}

/// The name that a client has chosen for the other side, which all its first packets carry (RFC 9000, section 17.2).
fn client_of(packet: &[u8]) -> Option<&[u8]> {
    let (&length, rest) = packet.get(5..)?.split_first()?;
    rest.get(..usize::from(length))
}

/// Begins `count` handshakes with whoever listens at `address`, each from a port of its own. They are begun for as long as the
/// sockets are kept.
///
/// # Errors
/// As many sockets are not to be had.
pub async fn half_open(address: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    let mut sockets = Vec::new();
    for packets in first_packets(count).await? {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        for packet in packets {
            socket.send_to(&packet, address).await?;
        }
        sockets.push(socket);
        // Faster, and the system drops what its buffer has no room for.
        tokio::time::sleep(PAUSE).await;
    }
    Ok(sockets)
}

/// Of these, how many were answered: the other side has taken up the handshake.
#[must_use]
pub fn answered(sockets: &[UdpSocket]) -> usize {
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    sockets.iter().filter(|socket| socket.try_recv(&mut datagram).is_ok()).count()
}
