//! How a stranger gets the job file of an open job: one question, one bounded answer, over a connection of its own.
//!
//! A private job's file holds the swarm key, so nobody gives it away here.
//!
//! ```text
//! question   nothing
//! answer     1 byte: 0 private, 1 open; then the job file, UTF-8, at most ANSWER_BYTES_MAX
//! ```

use std::io;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{StreamProtocol, SwarmEvent};
use libp2p::{Multiaddr, PeerId as NetworkId, SwarmBuilder};

use super::transport;
use crate::error::{Error, Kind};

/// Name of the protocol.
const PROTOCOL: &str = "/starling/job/1";
/// Longest job file.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// How long a question may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// From the dial to the answer.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// Questions under way with one peer.
const QUESTIONS_MAX: usize = 2;

/// What a peer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Ask a member for the file.
    Private,
    /// The job file.
    Open(String),
}

/// Reads and writes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Codec;

/// The behaviour of both sides.
pub(crate) type Behaviour = request_response::Behaviour<Codec>;

/// See the module.
pub(crate) fn behaviour(support: ProtocolSupport) -> Behaviour {
    let config =
        request_response::Config::default().with_request_timeout(ANSWER_MAX).with_max_concurrent_streams(QUESTIONS_MAX);
    request_response::Behaviour::with_codec(Codec, [(StreamProtocol::new(PROTOCOL), support)], config)
}

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = ();
    type Response = Answer;

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()> {
        Ok(())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
    ) -> io::Result<Answer> {
        let mut bytes = Vec::new();
        stream.take(ANSWER_BYTES_MAX + 2).read_to_end(&mut bytes).await?;
        let bad = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why.to_owned()));
        if bytes.len() as u64 > ANSWER_BYTES_MAX + 1 {
            return bad("the job file is longer than 64 KiB");
        }
        match bytes.split_first() {
            Some((0, [])) => Ok(Answer::Private),
            Some((1, text)) => match std::str::from_utf8(text) {
                Ok(text) => Ok(Answer::Open(text.to_owned())),
                Err(_) => bad("the job file is no text"),
            },
            _ => bad("no answer"),
        }
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> io::Result<()> {
        Ok(())
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        answer: Answer,
    ) -> io::Result<()> {
        match answer {
            Answer::Private => stream.write_all(&[0]).await,
            Answer::Open(text) => {
                stream.write_all(&[1]).await?;
                stream.write_all(text.as_bytes()).await
            }
        }
    }
}

/// Asks the peer there, under an identity made for the question.
///
/// # Errors
/// Nobody answers, or not as a peer does: what and why.
pub(crate) async fn fetch(named: Option<NetworkId>, addresses: Vec<Multiaddr>) -> Result<Answer, Error> {
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(Kind::Network, format!("no job file from {}: {why}", shown.join(", ")))
            .hint("`starling doctor --peer ADDRESS` finds out why")
    };
    match tokio::time::timeout(FETCH_MAX, ask(named, addresses)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(why)) => Err(failed(&why)),
        Err(_) => Err(failed(&format_args!("no answer within {} s", FETCH_MAX.as_secs()))),
    }
}

async fn ask(named: Option<NetworkId>, addresses: Vec<Multiaddr>) -> Result<Answer, String> {
    let mut swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_other_transport(transport::plain)
        .map_err(|error| error.to_string())?
        .with_behaviour(|_| behaviour(ProtocolSupport::Outbound))
        .map_err(|error| error.to_string())?
        .build();
    let options = match (named, addresses.first()) {
        (Some(peer), _) => DialOpts::peer_id(peer).addresses(addresses).build(),
        (None, Some(address)) => DialOpts::unknown_peer_id().address(address.clone()).build(),
        (None, None) => return Err("it listens nowhere that can be dialled from here".into()),
    };
    swarm.dial(options).map_err(|error| error.to_string())?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                swarm.behaviour_mut().send_request(&peer_id, ());
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.to_string()),
            SwarmEvent::Behaviour(request_response::Event::Message {
                message: request_response::Message::Response { response, .. },
                ..
            }) => return Ok(response),
            SwarmEvent::Behaviour(request_response::Event::OutboundFailure { error, .. }) => {
                return Err(error.to_string());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use futures::io::Cursor;
    use libp2p::request_response::Codec as _;

    use super::*;

    async fn read(bytes: Vec<u8>) -> io::Result<Answer> {
        Codec.read_response(&StreamProtocol::new(PROTOCOL), &mut Cursor::new(bytes)).await
    }

    #[tokio::test]
    async fn answers_are_read_as_written_and_nothing_else_is() {
        for answer in [Answer::Private, Answer::Open(String::new()), Answer::Open("x = 1\n".into())] {
            let mut bytes = Cursor::new(Vec::new());
            Codec.write_response(&StreamProtocol::new(PROTOCOL), &mut bytes, answer.clone()).await.unwrap();
            assert_eq!(read(bytes.into_inner()).await.unwrap(), answer);
        }
        let full = [vec![1], vec![b'x'; ANSWER_BYTES_MAX as usize]].concat();
        assert!(read(full.clone()).await.is_ok());
        for bad in [vec![], vec![0, 1], vec![2], vec![1, 0xff], [full, vec![b'x']].concat()] {
            assert!(read(bad).await.is_err());
        }
    }
}
