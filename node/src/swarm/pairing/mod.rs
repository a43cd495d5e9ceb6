//! How a newcomer gets the job file of a private job from a member who shows it a code.
//!
//! ```text
//! newcomer -> member   Begin: SPAKE2 message X            member -> newcomer   Reply: SPAKE2 message Y
//! newcomer -> member   Prove: derived from the key        member -> newcomer   File: sealed under the key, or Wrong, or Over
//! ```
//!
//! SPAKE2 (RFC 9382) makes a key of the code: both have the same one only if both know the code, and who does not know it learns
//! nothing but whether one guess was right. The identities that the secure channel has proved are part of the key, so nobody
//! between the two can pass messages on. The member counts wrong proofs: after [`TRIES_MAX`] the code is dead, and after the first right one,
//! too. The file is sealed (ChaCha20-Poly1305) under a key that only this meeting has; opening it proves the member.
//!
//! Two questions and two answers on `/starling/pair/1`, each on a stream of its own, each at most [`FILE_BYTES_MAX`] long and
//! answered within [`ANSWER_MAX`].

mod code;
mod member;
mod newcomer;

pub(crate) use code::Code;
pub(crate) use member::{Meeting, Offer, Place, VALID_DEFAULT_S, VALID_MAX_S, serve};
pub(crate) use newcomer::fetch;

use std::io;
use std::time::Duration;

use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::PeerId as NetworkId;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::StreamProtocol;
use spake2::{Ed25519Group, Identity, Password, Spake2};
use zeroize::Zeroizing;

/// Name of the protocol.
const PROTOCOL: &str = "/starling/pair/1";
/// Longest job file.
const FILE_BYTES_MAX: usize = 64 << 10;
/// What sealing adds.
const TAG_BYTES: usize = 16;
/// A SPAKE2 message: whose side it is of, and a point.
const POINT_BYTES: usize = 33;
/// A proof.
const PROOF_BYTES: usize = 32;
/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Questions under way with one peer.
const QUESTIONS_MAX: usize = 2;
/// Wrong proofs after which a code is dead.
pub(crate) const TRIES_MAX: u32 = 3;

/// What a newcomer asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Begin([u8; POINT_BYTES]),
    Prove([u8; PROOF_BYTES]),
}

/// What a member answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Reply([u8; POINT_BYTES]),
    /// The job file, sealed.
    File(Vec<u8>),
    /// Another code; so many tries are left.
    Wrong(u8),
    /// The code is used, dead or too old, or the question comes out of order.
    Over,
}

/// The key that both sides make of the code.
struct Agreed(Zeroizing<Vec<u8>>);

impl Agreed {
    /// What the newcomer shows for it: no help to find the key.
    fn proof(&self) -> [u8; PROOF_BYTES] {
        blake3::derive_key("starling 1 pairing proof", &self.0)
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        let key = Zeroizing::new(blake3::derive_key("starling 1 pairing seal", &self.0));
        ChaCha20Poly1305::new((&*key).into())
    }

    /// A key seals one text, so one nonce is enough.
    fn seal(&self, text: &str) -> Option<Vec<u8>> {
        self.cipher().encrypt(&Default::default(), text.as_bytes()).ok()
    }

    fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.cipher().decrypt(&Default::default(), sealed).ok().map(Zeroizing::new)
    }
}

/// One side of SPAKE2, and its message.
fn begin(code: &Code, newcomer: &NetworkId, member: &NetworkId, is_member: bool) -> (Spake2<Ed25519Group>, Vec<u8>) {
    let (password, newcomer) = (Password::new(code.bytes()), Identity::new(&newcomer.to_bytes()));
    let member = Identity::new(&member.to_bytes());
    let start = if is_member { Spake2::start_b } else { Spake2::start_a };
    start(&password, &newcomer, &member)
}

fn agree(side: Spake2<Ed25519Group>, theirs: &[u8]) -> Option<Agreed> {
    side.finish(theirs).ok().map(|key| Agreed(Zeroizing::new(key)))
}

/// Reads and writes questions and answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Codec;

/// The behaviour of both sides.
pub(crate) type Behaviour = request_response::Behaviour<Codec>;

fn behaviour(support: ProtocolSupport) -> Behaviour {
    let config =
        request_response::Config::default().with_request_timeout(ANSWER_MAX).with_max_concurrent_streams(QUESTIONS_MAX);
    request_response::Behaviour::with_codec(Codec, [(StreamProtocol::new(PROTOCOL), support)], config)
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// All that the other side says, at most `limit` bytes of it.
async fn read_all<T: AsyncRead + Unpin + Send>(stream: &mut T, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(limit as u64 + 1).read_to_end(&mut bytes).await?;
    if bytes.len() > limit { Err(bad("more than a pairing ever says")) } else { Ok(bytes) }
}

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Question;
    type Response = Answer;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
    ) -> io::Result<Question> {
        let bytes = read_all(stream, 1 + POINT_BYTES).await?;
        match bytes.split_first() {
            Some((0, point)) => point.try_into().map(Question::Begin).map_err(|_| bad("no point")),
            Some((1, proof)) => proof.try_into().map(Question::Prove).map_err(|_| bad("no proof")),
            _ => Err(bad("no question")),
        }
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
    ) -> io::Result<Answer> {
        let bytes = read_all(stream, 1 + FILE_BYTES_MAX + TAG_BYTES).await?;
        match bytes.split_first() {
            Some((0, point)) => point.try_into().map(Answer::Reply).map_err(|_| bad("no point")),
            Some((1, sealed)) => Ok(Answer::File(sealed.to_vec())),
            Some((2, [left])) => Ok(Answer::Wrong(*left)),
            Some((3, [])) => Ok(Answer::Over),
            _ => Err(bad("no answer")),
        }
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        question: Question,
    ) -> io::Result<()> {
        let (word, bytes): (u8, &[u8]) = match &question {
            Question::Begin(point) => (0, point),
            Question::Prove(proof) => (1, proof),
        };
        stream.write_all(&[&[word], bytes].concat()).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        answer: Answer,
    ) -> io::Result<()> {
        let (word, bytes): (u8, &[u8]) = match &answer {
            Answer::Reply(point) => (0, point),
            Answer::File(sealed) => (1, sealed),
            Answer::Wrong(left) => (2, &[*left]),
            Answer::Over => (3, &[]),
        };
        stream.write_all(&[&[word], bytes].concat()).await
    }
}

#[cfg(test)]
mod tests;
