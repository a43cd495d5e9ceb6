//! What becomes of a dial: the socket, the secure channel, the handshake; the first that fails is named.
//!
//! All of it at once and under one deadline: a peer has several addresses, and each that leads nowhere takes seconds to say so. The
//! handshake tells what is right; what a bare socket meets with ([`knock`]) tells what is wrong.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use protocol::id::PeerId;
use protocol::trust::admission::Credentials;
use protocol::wire::Refusal;

use crate::store::identity;
use crate::swarm::probe::{self, Outcome};
use crate::swarm::{self, Door, Target};

/// Sockets of one peer that are tried.
const DOORS_MAX: usize = 16;
/// Left of the time when everything was tried, so that what was found can still be told.
const SLACK: Duration = Duration::from_millis(100);
/// A wait for a datagram takes place in pieces of so long.
const PIECE: Duration = Duration::from_millis(50);
/// No wait is shorter: a socket takes none of 0.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// How far it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Admitted: job, model, key and version are the same.
    Admits,
    /// Job, key and version are the same; it links with listed peers only.
    Listed,
    /// A peer; without a job nothing more can be asked.
    Speaks,
    /// Somebody with our identity.
    Ourselves,
    /// It ends here.
    Failed {
        /// Follows the name of the peer.
        what: String,
        /// What to do.
        remedy: String,
    },
}

fn failed(what: impl Into<String>, remedy: &str) -> Reached {
    Reached::Failed { what: what.into(), remedy: remedy.into() }
}

/// Tries to become a neighbour, under an identity made for it; our own is `us`. Ends before `by`.
pub(super) fn reach(target: Target, credentials: Option<Credentials>, us: Option<PeerId>, by: Instant) -> Reached {
    let tries = Tries::begin(&target, by);
    match link(target, credentials, us, rest(by - SLACK)) {
        Ok(Linked::Known(reached)) => reached,
        Ok(Linked::No(text)) => tries.why(&text, by),
        Err(error) => failed(format!("could not be tried: {error}"), "see the message"),
    }
}

/// Whether a peer proves that identity there, by then: that a socket opens would not tell whose it is.
pub(super) fn answers(peer: PeerId, target: Target, by: Instant) -> bool {
    let wait = by.saturating_duration_since(Instant::now());
    let met = || {
        let seed = identity::ephemeral().ok()?;
        probe::blocking(&seed, target, None, wait).ok()?.0
    };
    !wait.is_zero() && met() == Some(peer)
}

fn rest(by: Instant) -> Duration {
    by.saturating_duration_since(Instant::now()).max(WAIT_MIN)
}

/// Bare sockets, each in a thread of its own, which ends in time by itself.
struct Tries {
    /// The one to blame where none has met with anything: of TCP if there is one, since that tells more.
    blamed: Option<Door>,
    results: Receiver<(Door, io::Result<()>)>,
}

impl Tries {
    fn begin(target: &Target, by: Instant) -> Self {
        let (sender, results) = sync_channel(DOORS_MAX);
        let doors: Vec<Door> = target.addresses.iter().filter_map(swarm::door).take(DOORS_MAX).collect();
        for &door in &doors {
            let sender = sender.clone();
            thread::spawn(move || sender.send((door, knock(door, by - SLACK))));
        }
        let blamed = doors.iter().find(|door| matches!(door, Door::Tcp(_))).or(doors.first()).copied();
        Self { blamed, results }
    }

    /// Why there was no link, by what the sockets have met with; by the words of the dial where they have met with nothing.
    fn why(self, dial: &str, by: Instant) -> Reached {
        let mut worst: Option<(Door, io::Error)> = None;
        while let Ok((door, result)) = self.results.recv_timeout(rest(by)) {
            match result {
                // A socket that opens is not to blame.
                Ok(()) if dial.is_empty() => return silent(),
                Ok(()) => return foreign(dial),
                // TCP comes first, and tells more.
                Err(error) if worst.is_none() || matches!(door, Door::Tcp(_)) => worst = Some((door, error)),
                Err(_) => {}
            }
        }
        match (worst, self.blamed) {
            (Some((door, error)), _) => unreachable(door, &error),
            // It has not come back by the end of the time: nothing has answered.
            (None, Some(door)) if dial.is_empty() => unreachable(door, &ErrorKind::TimedOut.into()),
            (None, None) if dial.is_empty() => silent(),
            (None, _) => failed(format!("cannot be reached: {dial}"), "see the message"),
        }
    }
}

/// Whether a socket opens. A datagram that is none of QUIC gets no answer from a peer, but where nobody listens the system there
/// says so, and where there is no such machine or no way to it the one here does.
fn knock(door: Door, by: Instant) -> io::Result<()> {
    let to = match door {
        Door::Tcp(to) => return TcpStream::connect_timeout(&to, rest(by)).map(drop),
        Door::Udp(to) => to,
    };
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from)?;
    socket.connect(to)?;
    socket.send(&[0])?;
    loop {
        // In pieces: Linux rounds a long one up by as much as a sixteenth.
        socket.set_read_timeout(Some(rest(by).min(PIECE)))?;
        match socket.recv(&mut [0; 64]) {
            // As Linux calls it.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if Instant::now() >= by {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
            Ok(_) => return Ok(()),
        }
    }
}

fn silent() -> Reached {
    failed(
        "opens the connection and then says nothing",
        "it is stopped or overloaded, or another program has this port",
    )
}

fn foreign(text: &str) -> Reached {
    failed(format!("answers, but not as a peer does ({text})"), "another program has this port: check the address")
}

fn unreachable(door: Door, error: &io::Error) -> Reached {
    match (error.kind(), door) {
        (ErrorKind::ConnectionRefused, _) => failed(
            "refuses the connection: nobody listens there",
            "is the peer still running, and is this the port it printed at its start? --listen /ip4/0.0.0.0/tcp/4001 keeps it the same",
        ),
        (ErrorKind::TimedOut, Door::Tcp(_)) => failed(
            "does not answer at all: a firewall drops what is sent there, or no such machine is on",
            "on that machine let in the port; behind a router forward it there",
        ),
        (ErrorKind::TimedOut, Door::Udp(_)) => failed(
            "does not answer over UDP: a firewall drops what is sent there, or no such machine is on",
            "on that machine let in the port for UDP; behind a router forward it there; or name its address with /tcp/",
        ),
        (ErrorKind::NetworkUnreachable, _) => failed(
            "cannot be reached: this machine has no route to that network",
            "join the same network, or set a default route (ip route)",
        ),
        (ErrorKind::HostUnreachable, _) => failed(
            "cannot be reached: no machine with that address is on",
            "is the address still the one it printed at its start? is its cable in?",
        ),
        _ => failed(format!("cannot be reached: {error}"), "see the message"),
    }
}

/// What came of a dial.
enum Linked {
    /// It was answered.
    Known(Reached),
    /// It was not: the words of whoever dialled; none when time was up.
    No(String),
}

fn link(
    target: Target,
    credentials: Option<Credentials>,
    us: Option<PeerId>,
    wait: Duration,
) -> Result<Linked, crate::error::Error> {
    let seed = identity::ephemeral()?;
    let (met, outcome) = probe::blocking(&seed, target, credentials, wait)?;
    // Whatever it says: the secure channel has proved whose key it has.
    if met.is_some() && met == us {
        return Ok(Linked::Known(Reached::Ourselves));
    }
    Ok(Linked::Known(match outcome {
        Outcome::Admitted => Reached::Admits,
        Outcome::Speaks => Reached::Speaks,
        Outcome::Refused(refusal, text) => match refusal {
            // It would be the same for the real one.
            Refusal::Full(_) => {
                failed(format!("answers: {text}"), "others will pass your deltas on: name another peer")
            }
            // Who asks is nobody: a listed peer may be let in.
            Refusal::NotAllowed => Reached::Listed,
            _ => failed(format!("refuses us: {text}"), "give both machines the same job file and the same release"),
        },
        Outcome::Unreached(text) => return Ok(Linked::No(text)),
        Outcome::Foreign(text) => foreign(&text),
        Outcome::Other(id) => failed(
            format!("answers, but is another peer ({id}) than the one named"),
            "take the address that the peer prints now, or leave /p2p/... out",
        ),
        Outcome::Late(true) => silent(),
        Outcome::Late(false) => return Ok(Linked::No(String::new())),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn why(doors: &[Door], dial: &str) -> String {
        // Kept, and never used: none of the sockets has come back.
        let (_sender, results) = sync_channel(DOORS_MAX);
        let tries = Tries { blamed: doors.first().copied(), results };
        match tries.why(dial, Instant::now()) {
            Reached::Failed { what, .. } => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_has_not_come_back_has_met_with_nothing() {
        let at = SocketAddr::from(([192, 0, 2, 1], 4001));
        assert!(why(&[Door::Udp(at)], "").starts_with("does not answer over UDP"));
        assert!(why(&[Door::Tcp(at)], "").starts_with("does not answer at all"));
        assert!(why(&[Door::Tcp(at)], "no route").contains("no route"));
    }

    #[test]
    fn a_knock_that_nothing_answers_ends_in_time() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let begun = Instant::now();
        let error = knock(Door::Udp(silent.local_addr().unwrap()), begun + Duration::from_millis(200)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() >= Duration::from_millis(200));
    }
}
