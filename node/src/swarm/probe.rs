//! Dials a peer, goes through the handshake if there is a job, and hangs up: what a link would come to.

use std::cell::Cell;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::PeerId as NetworkId;
use libp2p::swarm::dial_opts::PeerCondition;
use libp2p::swarm::{DialError, SwarmEvent};
use protocol::id::{Hash, PeerId, RunId};
use protocol::trust::Identity;
use protocol::trust::admission::Credentials;
use protocol::wire::Refusal;

use super::behaviour::{self, BehaviourEvent};
use super::handshake::{self, Meeting, Verdict};
use super::members::Wide;
use super::places::Places;
use super::port::Opened;
use super::waiting::Doorway;
use super::{Target, address};
use crate::error::{Error, Kind};

/// How it ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// As a neighbour.
    Admitted,
    /// It has our stream; without credentials it was not asked for more.
    Speaks,
    /// One of the two said no.
    Refused(Refusal, String),
    /// No connection has come about.
    Unreached(String),
    /// No peer of ours.
    Foreign(String),
    /// A peer, but another one than was named.
    Other(NetworkId),
    /// Nothing within the time: whether a connection stood.
    Late(bool),
}

/// Blocks for `wait` at most. `credentials` say what is shared; who asks is `seed`. Who was met comes with how it ended.
///
/// # Errors
/// The dial cannot even begin.
pub(crate) fn blocking(
    seed: &[u8; 32],
    target: Target,
    credentials: Option<Credentials>,
    wait: Duration,
) -> Result<(Option<PeerId>, Outcome), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, format!("cannot start the runtime: {error}")))?;
    let met = Cell::new(None);
    runtime.block_on(async {
        let dial = dial(seed, target, credentials, &met);
        let late = |_| Ok(Outcome::Late(met.get().is_some()));
        tokio::time::timeout(wait, dial).await.unwrap_or_else(late).map(|outcome| (met.get(), outcome))
    })
}

async fn dial(
    seed: &[u8; 32],
    target: Target,
    credentials: Option<Credentials>,
    met: &Cell<Option<PeerId>>,
) -> Result<Outcome, Error> {
    // Nobody is to come back to this identity.
    let wide = Wide { beyond: false, relay: false, upnp: false };
    let run = credentials.map_or(RunId(Hash([0; 32])), |credentials| credentials.run);
    let mut swarm = behaviour::build(address::key_pair(seed)?, run, 1, wide, Doorway::default())?;
    super::dialling::dial(&mut swarm, target.peer, target.addresses, PeerCondition::Always)
        .map_err(|error| Error::new(Kind::Network, format!("cannot dial: {error}")))?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                met.set(address::from_network(&peer_id));
            }
            SwarmEvent::OutgoingConnectionError { error: DialError::WrongPeerId { obtained, .. }, .. } => {
                return Ok(Outcome::Other(obtained));
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => return Ok(Outcome::Unreached(error.to_string())),
            SwarmEvent::Behaviour(BehaviourEvent::Port(Opened { connection, stream })) => {
                let (Ok(mut stream), Some(them)) = (stream, met.get()) else {
                    return Ok(Outcome::Foreign("it does not speak starling's protocol".into()));
                };
                let Some(credentials) = credentials else { return Ok(Outcome::Speaks) };
                let us = Identity::from_seed(seed).peer_id();
                let credentials = Credentials { us, ..credentials };
                let meeting =
                    Meeting { credentials, them, connection, relayed: false, places: Places::new(us, 1), policy: None };
                // The stream needs the swarm to move.
                return Ok(tokio::select! {
                    verdict = meeting.hold(&mut stream) => of(verdict, us, them),
                    () = turn(&mut swarm) => Outcome::Late(true),
                });
            }
            _ => {}
        }
    }
}

async fn turn(swarm: &mut libp2p::Swarm<behaviour::Behaviour>) {
    loop {
        swarm.select_next_some().await;
    }
}

fn of(verdict: Verdict, us: PeerId, them: PeerId) -> Outcome {
    match verdict {
        // The same peer twice cannot be: the identity is new.
        Verdict::Admitted | Verdict::Duplicate => Outcome::Admitted,
        Verdict::Refused { refusal, by_us } => Outcome::Refused(refusal, handshake::words(refusal, by_us, us, them)),
        Verdict::Failed(text) => Outcome::Foreign(text),
    }
}
