//! A peer that does not keep to the rules: it speaks libp2p as a real one does, by hand, so that every step can be left out, done
//! wrong or done slowly.
//!
//! ```text
//! line      TCP, read as slowly as wished
//! secured   Noise and Yamux: its identity is proved                 whoever stops here is half open
//! stream    /starling/delta/1
//! admitted  the handshake with the swarm key, or a wrong one        from here on it is a neighbour
//! ```
//!
//! The run and the model need not be known: the other side names them in its first word.

mod line;
pub mod quic;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::poll_fn;
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox};
use libp2p::core::upgrade::OutboundConnectionUpgrade as _;
use libp2p::identity::Keypair;
use libp2p::{noise, yamux};
use protocol::id::PeerId;
use protocol::trust::Identity;
use protocol::trust::admission::{Credentials, Handshake, Step, SwarmKey};
use protocol::wire::{Greeting, LENGTH_BYTES, Message, Refusal, STREAM_PROTOCOL, decode_body, encode_frame};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::line::Line;
pub use self::line::Slowness;

/// Nothing that an attacker waits for takes longer.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Name of the negotiation that libp2p begins everything with.
const NEGOTIATION: &str = "/multistream/1.0.0";
/// Marks a word of a link that grants credit.
const CREDIT_BIT: u32 = 1 << 31;

/// Runs an attack on threads of its own.
///
/// # Panics
/// When there are none to be had.
#[must_use]
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread")
}

/// A connection whose secure channel stands.
#[derive(Debug)]
pub struct Secured {
    /// Who is at the other end.
    pub them: PeerId,
    us: PeerId,
    seed: [u8; 32],
    muxer: Option<StreamMuxerBox>,
    task: Option<JoinHandle<()>>,
    slowness: Slowness,
}

/// An admitted link.
#[derive(Debug)]
pub struct Link {
    /// Our id.
    pub us: PeerId,
    stream: SubstreamBox,
    connection: Secured,
}

/// How an attempt to be admitted ended.
#[derive(Debug)]
pub enum Outcome {
    /// As a neighbour.
    Admitted(Box<Link>),
    /// With a reason.
    Refused(Refusal),
    /// Without.
    Closed(io::Error),
}

impl Secured {
    /// Connects and proves the identity of `seed`.
    ///
    /// # Errors
    /// Nobody is there, or it hangs up.
    pub async fn dial(address: SocketAddr, seed: [u8; 32]) -> io::Result<Self> {
        timeout(WAIT_MAX, Self::secure(address, seed, false)).await.unwrap_or_else(|late| Err(late.into()))
    }

    /// As [`Self::dial`], over a line that takes next to nothing that is not read: the other side is left with it.
    ///
    /// # Errors
    /// As [`Self::dial`].
    pub async fn dial_narrow(address: SocketAddr, seed: [u8; 32]) -> io::Result<Self> {
        timeout(WAIT_MAX, Self::secure(address, seed, true)).await.unwrap_or_else(|late| Err(late.into()))
    }

    async fn secure(address: SocketAddr, seed: [u8; 32], narrow: bool) -> io::Result<Self> {
        let (mut line, slowness) = Line::open(address, narrow).await?;
        negotiate(&mut line, "/noise").await?;
        let keys = Keypair::ed25519_from_bytes(seed).map_err(io::Error::other)?;
        let noise = noise::Config::new(&keys).map_err(io::Error::other)?;
        let (id, mut channel) = noise.upgrade_outbound(line, "/noise").await.map_err(io::Error::other)?;
        negotiate(&mut channel, "/yamux/1.0.0").await?;
        let muxer = yamux::Config::default().upgrade_outbound(channel, "/yamux/1.0.0").await?;
        // An ed25519 key is its own name: the last 32 bytes of it.
        let bytes = id.to_bytes();
        let key = bytes.last_chunk::<32>().ok_or_else(|| io::Error::other("no ed25519 key"))?;
        let us = Identity::from_seed(&seed).peer_id();
        let muxer = Some(StreamMuxerBox::new(muxer));
        Ok(Self { them: PeerId(*key), us, seed, muxer, task: None, slowness })
    }

    /// Asks for the stream of a link, and keeps the connection going from then on.
    ///
    /// # Errors
    /// It is refused, or the connection is gone.
    ///
    /// # Panics
    /// The second time.
    pub async fn open(&mut self) -> io::Result<SubstreamBox> {
        let mut muxer = self.muxer.take().expect("one stream a connection");
        let opening = poll_fn(|cx| {
            let _ = muxer.poll_unpin(cx);
            muxer.poll_outbound_unpin(cx)
        });
        let mut stream = timeout(WAIT_MAX, opening).await?.map_err(io::Error::other)?;
        // What the other side opens (ping) is dropped.
        let turn = async move {
            let _ = poll_fn(|cx| {
                while let std::task::Poll::Ready(inbound) = muxer.poll_inbound_unpin(cx) {
                    inbound?;
                }
                muxer.poll_unpin(cx).map_ok(drop)
            })
            .await;
        };
        self.task = Some(tokio::spawn(turn));
        timeout(WAIT_MAX, negotiate(&mut stream, STREAM_PROTOCOL)).await??;
        Ok(stream)
    }

    /// Goes through the handshake with that key.
    pub async fn enter(mut self, key: SwarmKey) -> Outcome {
        let opened = self.open().await;
        match opened {
            Ok(stream) => {
                timeout(WAIT_MAX, self.greet(stream, key)).await.unwrap_or_else(|late| Outcome::Closed(late.into()))
            }
            Err(error) => Outcome::Closed(error),
        }
    }

    async fn greet(self, mut stream: SubstreamBox, swarm_key: SwarmKey) -> Outcome {
        match shake(&mut stream, (self.us, self.them), self.seed, swarm_key).await {
            Ok(None) => Outcome::Admitted(Box::new(Link { us: self.us, stream, connection: self })),
            Ok(Some(refusal)) => Outcome::Refused(refusal),
            Err(error) => Outcome::Closed(error),
        }
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Dials and goes through the handshake.
pub async fn enter(address: SocketAddr, seed: [u8; 32], key: SwarmKey) -> Outcome {
    match Secured::dial(address, seed).await {
        Ok(secured) => secured.enter(key).await,
        Err(error) => Outcome::Closed(error),
    }
}

impl Outcome {
    /// The link.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn admitted(self) -> Link {
        match self {
            Self::Admitted(link) => *link,
            other => panic!("not admitted: {other:?}"),
        }
    }
}

impl Link {
    /// Writes bytes as they are.
    ///
    /// # Errors
    /// The other side has hung up, or takes nothing.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(WAIT_MAX, written).await?
    }

    /// Says a message.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn say(&mut self, message: &Message) -> io::Result<()> {
        self.write(&frame(message)).await
    }

    /// The next message, credit passed over.
    ///
    /// # Errors
    /// The other side has hung up, or says nothing.
    pub async fn hear(&mut self) -> io::Result<Message> {
        let body = timeout(WAIT_MAX, read_body(&mut self.stream)).await??;
        decode_body(&body).map_err(io::Error::other)
    }

    /// Waits until the other side has hung up; what it still says is thrown away.
    ///
    /// # Panics
    /// When it does not within `deadline`.
    pub async fn closed(&mut self, deadline: Duration) {
        let mut scratch = [0; 4096];
        let end = async { while self.stream.read(&mut scratch).await.is_ok_and(|read| read > 0) {} };
        timeout(deadline, end).await.expect("it hangs up");
    }

    /// From now on it is read at that many bytes a second.
    pub fn read_at(&self, bytes_per_second: u32) {
        self.connection.slowness.set(bytes_per_second);
    }

    /// Ends the link by ending its stream. The connection stays.
    #[must_use]
    pub fn hang_up(self) -> Secured {
        self.connection
    }
}

/// The bytes of a message on a link.
///
/// # Panics
/// When it has no frame.
#[must_use]
pub fn frame(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(message, &mut frame).expect("it fits");
    frame
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, greeting: &Greeting) -> io::Result<()> {
    let mut frame = Vec::new();
    encode_frame(greeting, &mut frame).map_err(io::Error::other)?;
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// The next body; words of credit are passed over.
async fn read_body<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    loop {
        let mut word = [0; LENGTH_BYTES];
        stream.read_exact(&mut word).await?;
        let word = u32::from_le_bytes(word);
        if word & CREDIT_BIT == 0 {
            let mut body = vec![0; word as usize];
            stream.read_exact(&mut body).await?;
            return Ok(body);
        }
    }
}

async fn read_greeting<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Greeting> {
    decode_body(&read_body(stream).await?).map_err(io::Error::other)
}

/// `None`: welcome.
async fn shake(
    stream: &mut SubstreamBox,
    (us, them): (PeerId, PeerId),
    nonce: [u8; 32],
    swarm_key: SwarmKey,
) -> io::Result<Option<Refusal>> {
    let hello = read_greeting(stream).await?;
    let Greeting::Hello { run, schema, .. } = hello else { return Err(io::Error::other("no hello")) };
    let credentials = Credentials { us, run, schema, swarm_key };
    // Nothing here needs to be secret.
    let (mut handshake, ours) = Handshake::begin(credentials, them, nonce);
    say(stream, &ours).await?;
    let mut heard = hello;
    loop {
        match handshake.hear(&heard, Ok(())) {
            Step::Say(next) => say(stream, &next).await?,
            Step::Admitted => return Ok(None),
            // Whoever has a wrong key finds the other's proof wrong: it goes on all the same.
            Step::Refuse(Refusal::Key) => say(stream, &Greeting::Welcome).await?,
            Step::Refuse(refusal) => return Err(io::Error::other(refusal.to_string())),
            Step::Refused(refusal) => return Ok(Some(refusal)),
        }
        heard = read_greeting(stream).await?;
    }
}

/// Both sides name the negotiation, then we name what we want, and it is said back.
async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, protocol: &str) -> io::Result<()> {
    for name in [NEGOTIATION, protocol] {
        let mut line = vec![u8::try_from(name.len() + 1).map_err(io::Error::other)?];
        line.extend_from_slice(name.as_bytes());
        line.push(b'\n');
        stream.write_all(&line).await?;
        stream.flush().await?;
        let mut answer = vec![0; line.len()];
        stream.read_exact(&mut answer).await?;
        if answer != line {
            return Err(io::Error::other(format!("it does not speak {name}")));
        }
    }
    Ok(())
}
