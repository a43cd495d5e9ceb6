//! The handshake of [`protocol::trust::admission`], over a stream.
//!
//! Greetings are frames of `protocol::wire` of at most [`GREETING_BYTES_MAX`]: a stranger gets a kilobyte of our memory
//! and [`HANDSHAKE_MAX`] of our time. A refusal is said before the stream is closed, and the closing side lingers until it
//! was read: "connection reset" is no reason that an operator can act on.

use std::io;
use std::time::{Duration, Instant};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::swarm::ConnectionId;
use protocol::id::PeerId;
use protocol::trust::admission::{Credentials, Handshake, Step};
use protocol::wire::{
    GREETING_BYTES_MAX, Greeting, LENGTH_BYTES, Refusal, VERSION, WireError, body_length, decode_body, encode_frame,
};
use tokio::time::timeout;

use super::frame::read_body;
use super::places::{Answer, Places};

/// From the stream to the Welcome.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// How long a refusal may take to be read.
const LINGER_MAX: Duration = Duration::from_millis(500);

/// How a handshake ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Messages may pass; the place is ours to release.
    Admitted,
    /// One of the two said no.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Whether it was we who refused.
        by_us: bool,
    },
    /// There is a better link to the same peer.
    Duplicate,
    /// The stream broke or the time was up.
    Failed(String),
}

/// Who meets whom over what.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    pub(crate) credentials: Credentials,
    pub(crate) them: PeerId,
    pub(crate) connection: ConnectionId,
    /// Whether a third peer carries the connection.
    pub(crate) relayed: bool,
    pub(crate) places: Places,
    /// What the other side hears even if it proves the key.
    pub(crate) policy: Option<Refusal>,
}

impl Meeting {
    /// Runs the handshake to its end. Unless it ends in [`Verdict::Admitted`], no place is held afterwards.
    pub(crate) async fn hold<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> Verdict {
        let verdict = match timeout(HANDSHAKE_MAX, self.greet(stream)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => Verdict::Failed(format!("the connection broke in the handshake: {error}")),
            Err(_) => Verdict::Failed(format!("no handshake within {} s", HANDSHAKE_MAX.as_secs())),
        };
        if verdict != Verdict::Admitted {
            self.places.release(self.them, self.connection);
        }
        if let Verdict::Refused { refusal, by_us: true } = verdict {
            // Whether the other side heard it is its own affair.
            let _ = timeout(LINGER_MAX, say_and_linger(stream, refusal)).await;
        }
        verdict
    }

    async fn greet<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> io::Result<Verdict> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let (handshake, hello) = Handshake::begin(self.credentials, self.them, nonce);
        let mut handshake = handshake.refusing(self.policy);
        say(stream, &hello).await?;
        loop {
            let step = match listen(stream).await? {
                Ok(greeting) => handshake.hear(&greeting, Ok(())),
                Err(refusal) => Step::Refuse(refusal),
            };
            match step {
                Step::Say(greeting) => {
                    if greeting == Greeting::Welcome
                        && let Some(no) = self.no_place()
                    {
                        return Ok(no);
                    }
                    say(stream, &greeting).await?;
                }
                Step::Admitted => return Ok(Verdict::Admitted),
                Step::Refuse(refusal) => return Ok(Verdict::Refused { refusal, by_us: true }),
                Step::Refused(refusal) => return Ok(Verdict::Refused { refusal, by_us: false }),
            }
        }
    }

    /// Asked last, when the key was proved: a stranger takes no place, not even for a moment.
    fn no_place(&self) -> Option<Verdict> {
        match self.places.ask(self.them, self.connection, self.relayed, Instant::now()) {
            Answer::Yes => None,
            Answer::Full(places) => Some(Verdict::Refused { refusal: Refusal::Full(places), by_us: true }),
            Answer::Duplicate => Some(Verdict::Duplicate),
        }
    }
}

impl Verdict {
    /// Whether trying again soon is of no use.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if !matches!(refusal, Refusal::Full(_) | Refusal::Banned(_)))
    }
}

/// A refusal as the operator of this side reads it. [`Refusal`] carries the numbers as the refusing side sees them.
pub(crate) fn words(refusal: Refusal, by_us: bool, us: PeerId, them: PeerId) -> String {
    match refusal {
        Refusal::NotAllowed if by_us => {
            format!("it is not on this job's list of peers (swarm.allow): `starling swarm allow JOB {them}` lets it in")
        }
        Refusal::NotAllowed => {
            format!("we are not on its list of peers: its operator lets us in with `starling swarm allow JOB {us}`")
        }
        Refusal::Banned(seconds) if by_us => format!("it has broken the rules before: no link for {seconds} s more"),
        Refusal::Banned(seconds) => {
            format!("it takes no link of ours for {seconds} s: this peer has broken the rules (is it another release?)")
        }
        Refusal::Run { ours, theirs } if !by_us => Refusal::Run { ours: theirs, theirs: ours }.to_string(),
        Refusal::Version { ours, theirs } if by_us => Refusal::Version { ours: theirs, theirs: ours }.to_string(),
        Refusal::Full(places) if by_us => format!("this peer has all the neighbours it takes ({places})"),
        _ => refusal.to_string(),
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, greeting: &Greeting) -> io::Result<()> {
    let mut frame = Vec::with_capacity(128);
    encode_frame(greeting, &mut frame).map_err(io::Error::other)?;
    debug_assert!(frame.len() <= LENGTH_BYTES + GREETING_BYTES_MAX, "a greeting is short");
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// The next greeting, or what to answer to bytes that are none.
async fn listen<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Result<Greeting, Refusal>> {
    let mut prefix = [0; LENGTH_BYTES];
    stream.read_exact(&mut prefix).await?;
    let Ok(length) = body_length(prefix, GREETING_BYTES_MAX) else { return Ok(Err(Refusal::Malformed)) };
    let mut body = Vec::new();
    read_body(stream, length, &mut body).await?;
    Ok(decode_body(&body).map_err(|error| match error {
        WireError::Version { found } => Refusal::Version { ours: VERSION, theirs: found },
        _ => Refusal::Malformed,
    }))
}

/// Says no, and reads on until the other side has closed: closing over unread bytes could overtake the refusal.
async fn say_and_linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, refusal: Refusal) -> io::Result<()> {
    say(stream, &Greeting::Refuse(refusal)).await?;
    stream.close().await?;
    let mut scratch = [0; GREETING_BYTES_MAX];
    while stream.read(&mut scratch).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::swarm::pipe::{Pipe, pipe};
    use protocol::id::{Hash, RunId, SchemaHash};

    fn meeting(us: u8, them: u8, run: u8, key: u8) -> Meeting {
        let credentials = Credentials {
            us: PeerId([us; 32]),
            run: RunId(Hash([run; 32])),
            schema: SchemaHash(Hash([7; 32])),
            swarm_key: [key; 32],
        };
        Meeting {
            credentials,
            them: PeerId([them; 32]),
            connection: ConnectionId::new_unchecked(1),
            relayed: false,
            places: Places::new(PeerId([us; 32]), 4),
            policy: None,
        }
    }

    async fn meet(a: &Meeting, b: &Meeting) -> (Verdict, Verdict) {
        let (mut left, mut right): (Pipe, Pipe) = pipe(4);
        tokio::join!(async { a.hold(&mut left).await }, async { b.hold(&mut right).await })
    }

    #[tokio::test]
    async fn one_job_and_one_key_are_admitted() {
        let ends = meet(&meeting(1, 2, 5, 9), &meeting(2, 1, 5, 9)).await;
        assert_eq!(ends, (Verdict::Admitted, Verdict::Admitted));
    }

    #[tokio::test]
    async fn both_sides_learn_why_they_are_refused() {
        let (a, b) = meet(&meeting(1, 2, 5, 9), &meeting(2, 1, 6, 9)).await;
        for (end, ours, theirs) in [(a, "0505", "0606"), (b, "0606", "0505")] {
            let Verdict::Refused { refusal, by_us } = end else { panic!("{end:?}") };
            let text = words(refusal, by_us, PeerId([1; 32]), PeerId([2; 32]));
            assert!(text.find(theirs).unwrap() < text.find(ours).unwrap(), "theirs is named first: {text}");
        }
        let (a, b) = meet(&meeting(1, 2, 5, 9), &meeting(2, 1, 5, 8)).await;
        for end in [a, b] {
            assert!(matches!(end, Verdict::Refused { refusal: Refusal::Key, .. }), "{end:?}");
            assert!(end.is_lasting());
        }
    }

    #[tokio::test]
    async fn whoever_is_not_on_the_list_is_told_so_and_what_helps() {
        let (mut a, b) = (meeting(1, 2, 5, 9), meeting(2, 1, 5, 9));
        a.policy = Some(Refusal::NotAllowed);
        let (ours, theirs) = meet(&a, &b).await;
        for (end, expected_by_us) in [(ours, true), (theirs, false)] {
            assert!(end.is_lasting(), "{end:?}");
            let Verdict::Refused { refusal, by_us } = end else { panic!("{end:?}") };
            assert_eq!((refusal, by_us), (Refusal::NotAllowed, expected_by_us));
            let (us, them) = (a.credentials.us, b.credentials.us);
            let text = if by_us { words(refusal, by_us, us, them) } else { words(refusal, by_us, them, us) };
            // Both operators read the same command, with the id that is missing.
            assert!(text.contains(&format!("swarm allow JOB {them}")), "{text}");
        }
    }

    #[tokio::test]
    async fn a_full_house_refuses_and_the_other_side_gives_its_place_back() {
        let (mut full, guest) = (meeting(1, 2, 5, 9), meeting(2, 1, 5, 9));
        full.places = Places::new(PeerId([1; 32]), 0);
        let (a, b) = meet(&full, &guest).await;
        assert_eq!(a, Verdict::Refused { refusal: Refusal::Full(0), by_us: true });
        assert_eq!(b, Verdict::Refused { refusal: Refusal::Full(0), by_us: false });
        assert!(!b.is_lasting());
        for id in 10..14 {
            let answer =
                guest.places.ask(PeerId([id; 32]), ConnectionId::new_unchecked(id.into()), false, Instant::now());
            assert_eq!(answer, Answer::Yes, "all four places are free");
        }
    }

    #[tokio::test]
    async fn another_wire_version_is_named() {
        let (mut left, mut right) = pipe(4);
        let stranger = async {
            right.write_all(&[3, 0, 0, 0, VERSION + 1, 0, 0]).await.unwrap();
            right.flush().await.unwrap();
            listen(&mut right).await.unwrap().unwrap();
            listen(&mut right).await.unwrap().unwrap()
        };
        let us = meeting(1, 2, 5, 9);
        let (verdict, heard) = tokio::join!(us.hold(&mut left), stranger);
        let refusal = Refusal::Version { ours: VERSION, theirs: VERSION + 1 };
        assert_eq!(verdict, Verdict::Refused { refusal, by_us: true });
        assert_eq!(heard, Greeting::Refuse(refusal));
    }

    #[tokio::test]
    async fn garbage_and_a_long_greeting_are_refused_unread() {
        for bytes in [vec![0; 4], vec![255; 64], vec![2, 0, 0, 0, VERSION, 99]] {
            let (mut left, mut right) = pipe(4);
            right.write_all(&bytes).await.unwrap();
            right.close().await.unwrap();
            let verdict = meeting(1, 2, 5, 9).hold(&mut left).await;
            assert_eq!(verdict, Verdict::Refused { refusal: Refusal::Malformed, by_us: true });
        }
    }

    #[tokio::test]
    async fn whoever_says_nothing_is_not_waited_for() {
        let (mut left, _right) = pipe(4);
        assert!(matches!(meeting(1, 2, 5, 9).hold(&mut left).await, Verdict::Failed(_)));
    }
}
