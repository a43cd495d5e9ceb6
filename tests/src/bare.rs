//! Streams with nothing of ours on them: what a transport can carry at best on this machine, to hold our own rates against.
//!
//! ```text
//! sender    bytes to come: u64 LE, then so many bytes          sink      reads them all, answers one byte
//! ```

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::future::poll_fn;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::core::Endpoint;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt as _};
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, PortUse, Transport as _, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId, noise, quic, tcp, tls, yamux};
use tokio::time::timeout;

/// Bytes of a write, and of a read: what a link of ours writes at once.
const PIECE_BYTES: usize = 64 << 10;
/// No measurement takes longer.
const RATE_MAX: Duration = Duration::from_secs(120);

/// What carries the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// TCP alone: no encryption, nobody proves who they are.
    Tcp,
    /// TCP, Noise, Yamux.
    Noise,
    /// TCP, TLS 1.3, Yamux.
    Tls,
    /// QUIC.
    Quic,
}

impl Carrier {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Noise, Self::Tls, Self::Quic];

    /// Name in tables and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Noise => "tcp+noise+yamux",
            Self::Tls => "tcp+tls+yamux",
            Self::Quic => "quic",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|carrier| carrier.name() == name)
    }

    fn transport(self) -> Boxed<(PeerId, StreamMuxerBox)> {
        let key = Keypair::generate_ed25519();
        let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true)).upgrade(Version::V1Lazy);
        let noise = || noise::Config::new(&key).expect("a key");
        match self {
            Self::Tcp | Self::Noise => tcp.authenticate(noise()).multiplex(yamux::Config::default()).boxed(),
            Self::Tls => {
                let tls = tls::Config::new(&key).expect("a certificate");
                tcp.authenticate(tls).multiplex(yamux::Config::default()).boxed()
            }
            Self::Quic => quic::tokio::Transport::new(quic::Config::new(&key))
                .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
                .boxed(),
        }
    }

    fn listen_address(self) -> Multiaddr {
        let text = if self == Self::Quic { "/ip4/127.0.0.1/udp/0/quic-v1" } else { "/ip4/127.0.0.1/tcp/0" };
        text.parse().expect("an address")
    }
}

/// Takes in whatever comes, on loopback, until the runtime ends. `listening` is told where.
///
/// # Errors
/// No port is to be had.
pub async fn sink(carrier: Carrier, listening: impl FnOnce(&str)) -> io::Result<()> {
    if carrier == Carrier::Tcp {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        listening(&listener.local_addr()?.to_string());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(swallow(tcp::tokio::TcpStream(stream)));
        }
    }
    let mut transport = carrier.transport();
    transport.listen_on(ListenerId::next(), carrier.listen_address()).map_err(io::Error::other)?;
    let mut listening = Some(listening);
    loop {
        match transport.select_next_some().await {
            TransportEvent::NewAddress { listen_addr, .. } => {
                if let Some(listening) = listening.take() {
                    listening(&listen_addr.to_string());
                }
            }
            TransportEvent::Incoming { upgrade, .. } => {
                tokio::spawn(async move {
                    let (_, mut muxer) = upgrade.await.map_err(io::Error::other)?;
                    let stream = poll_fn(|cx| {
                        let _ = muxer.poll_unpin(cx);
                        muxer.poll_inbound_unpin(cx)
                    });
                    let stream = stream.await.map_err(io::Error::other)?;
                    tokio::spawn(keep_going(muxer));
                    swallow(stream).await
                });
            }
            _ => {}
        }
    }
}

/// Bytes a second of one stream to a [`sink`]: from its first byte to the answer.
///
/// # Errors
/// Nobody is there, or it took longer than two minutes.
pub async fn rate(carrier: Carrier, address: &str, bytes: u64) -> io::Result<f64> {
    let measured = async {
        if carrier == Carrier::Tcp {
            let address: SocketAddr = address.parse().map_err(io::Error::other)?;
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            return pour(tcp::tokio::TcpStream(stream), bytes).await;
        }
        let mut transport = carrier.transport();
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let address = address.parse().map_err(io::Error::other)?;
        let mut dial = transport.dial(address, options).map_err(io::Error::other)?;
        // QUIC makes progress by being polled as a transport.
        let (_, mut muxer) = poll_fn(|cx| {
            let _ = Pin::new(&mut transport).poll(cx);
            Future::poll(Pin::new(&mut dial), cx)
        })
        .await
        .map_err(io::Error::other)?;
        let stream = poll_fn(|cx| {
            let _ = muxer.poll_unpin(cx);
            muxer.poll_outbound_unpin(cx)
        });
        let stream = stream.await.map_err(io::Error::other)?;
        let turn = tokio::spawn(keep_going(muxer));
        let rate = pour(stream, bytes).await;
        turn.abort();
        rate
    };
    timeout(RATE_MAX, measured).await?
}

async fn keep_going(mut muxer: StreamMuxerBox) {
    let _ = poll_fn(|cx| muxer.poll_unpin(cx).map_ok(drop)).await;
}

async fn pour<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: u64) -> io::Result<f64> {
    let piece = vec![0x5a; PIECE_BYTES];
    let begun = Instant::now();
    stream.write_all(&bytes.to_le_bytes()).await?;
    let mut left = bytes;
    while left > 0 {
        let now = left.min(PIECE_BYTES as u64);
        stream.write_all(&piece[..now as usize]).await?;
        left -= now;
    }
    stream.flush().await?;
    stream.read_exact(&mut [0]).await?;
    Ok(bytes as f64 / begun.elapsed().as_secs_f64())
}

async fn swallow<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let mut word = [0; 8];
    stream.read_exact(&mut word).await?;
    let mut left = u64::from_le_bytes(word);
    let mut piece = vec![0; PIECE_BYTES];
    while left > 0 {
        let most = left.min(PIECE_BYTES as u64) as usize;
        match stream.read(&mut piece[..most]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => left -= read as u64,
        }
    }
    stream.write_all(&[1]).await?;
    stream.flush().await?;
    // The other side hangs up when it has read this.
    let _ = stream.read(&mut word).await;
    Ok(())
}
