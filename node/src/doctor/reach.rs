//! What becomes of a dial: the socket, the secure channel, the handshake; the first that fails is named.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use protocol::trust::admission::Credentials;
use protocol::wire::Refusal;

use crate::store::identity;
use crate::swarm::probe::{self, Outcome};
use crate::swarm::{self, Target};

/// How long a socket may take to open: the system takes three seconds to find that no machine has an address.
const CONNECT_MAX: Duration = Duration::from_millis(3200);
/// How long the rest may take.
const HANDSHAKE_MAX: Duration = Duration::from_millis(2000);

/// How far it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Admitted: job, model, key and version are the same.
    Admits,
    /// Job, key and version are the same; it links with listed peers only.
    Listed,
    /// A peer; without a job nothing more can be asked.
    Speaks,
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

/// Tries to become a neighbour, under an identity made for it.
pub(super) fn reach(target: Target, credentials: Option<Credentials>) -> Reached {
    let sockets: Vec<SocketAddr> = target.addresses.iter().filter_map(swarm::tcp_socket).collect();
    if !sockets.is_empty() {
        let tries: Vec<_> = sockets.iter().map(|socket| TcpStream::connect_timeout(socket, CONNECT_MAX)).collect();
        if let Some(Err(error)) = tries.iter().find(|tried| tried.is_err())
            && tries.iter().all(Result::is_err)
        {
            return unreachable(error);
        }
    }
    match link(target, credentials) {
        Ok(outcome) => outcome,
        Err(error) => failed(format!("could not be tried: {error}"), "see the message"),
    }
}

fn unreachable(error: &std::io::Error) -> Reached {
    match error.kind() {
        ErrorKind::ConnectionRefused => failed(
            "refuses the connection: nobody listens there",
            "is the peer still running, and is this the port it printed at its start? --listen /ip4/0.0.0.0/tcp/4001 keeps it the same",
        ),
        ErrorKind::TimedOut => failed(
            "does not answer at all: a firewall drops what is sent there, or no such machine is on",
            "on that machine let in the port; behind a router forward it there",
        ),
        ErrorKind::NetworkUnreachable => failed(
            "cannot be reached: this machine has no route to that network",
            "join the same network, or set a default route (ip route)",
        ),
        ErrorKind::HostUnreachable => failed(
            "cannot be reached: no machine with that address is on",
            "is the address still the one it printed at its start? is its cable in?",
        ),
        _ => failed(format!("cannot be reached: {error}"), "see the message"),
    }
}

fn link(target: Target, credentials: Option<Credentials>) -> Result<Reached, crate::error::Error> {
    let seed = identity::ephemeral()?;
    let outcome = probe::blocking(&seed, target, credentials, HANDSHAKE_MAX)?;
    Ok(match outcome {
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
        Outcome::Foreign(text) => failed(
            format!("answers, but not as a peer does ({text})"),
            "another program has this port: check the address",
        ),
        Outcome::Other(id) => failed(
            format!("answers, but is another peer ({id}) than the one named"),
            "take the address that the peer prints now, or leave /p2p/... out",
        ),
        Outcome::Late => failed(
            "opens the connection and then says nothing",
            "it is stopped or overloaded, or another program has this port",
        ),
    })
}
