//! What carries connections: TCP with Noise and Yamux, QUIC, and for members the streams of a relay. All are closed in time
//! ([`super::leaving`]).

use std::error::Error;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, Transport as _};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, noise, quic, relay, tcp, yamux};

use super::leaving::{self, Line};
use super::waiting::{Crowded, Doorway};

/// Its connections are proved to be a peer's, and carry streams.
pub(super) type Transport = Boxed<(PeerId, StreamMuxerBox)>;
/// Why there is none.
pub(super) type Failed = Box<dyn Error + Send + Sync>;

/// For one question or answer.
pub(super) fn plain(key: &Keypair) -> Result<Transport, Failed> {
    direct(key).map(leaving::in_time)
}

/// For links: what comes in waits in a crowd from which the oldest yields, and a third peer may carry what has no other way.
pub(super) fn with_relay(
    key: &Keypair,
    relayed: relay::client::Transport,
    doorway: Doorway,
) -> Result<Transport, Failed> {
    let relayed = relayed
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(yamux::Config::default())
        .boxed();
    let either = relayed.or_transport(Crowded::new(direct(key)?, doorway)).map(|either, _| either.into_inner());
    Ok(leaving::in_time(either.boxed()))
}

fn direct(key: &Keypair) -> Result<Transport, Failed> {
    // Without nodelay a 64-byte message takes 44 to 132 ms, with it 0.1 to 0.3 ms (measured).
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(|stream, _| Line(stream))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(yamux::Config::default())
        .boxed();
    let quic = quic::tokio::Transport::new(quic::Config::new(key))
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    Ok(tcp.or_transport(quic).map(|either, _| either.into_inner()).boxed())
}
