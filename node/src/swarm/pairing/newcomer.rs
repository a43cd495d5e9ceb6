//! The newcomer's side.

use std::time::Duration;

use futures::StreamExt as _;
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{PeerId as NetworkId, Swarm, SwarmBuilder};
use zeroize::Zeroizing;

use super::super::{Target, transport};
use super::{Answer, Behaviour, Code, Question, agree, begin, behaviour};
use crate::error::{Error, Kind};

/// From the dial to the file.
const FETCH_MAX: Duration = Duration::from_secs(15);

/// Why there is no file.
#[derive(Debug)]
enum No {
    /// The other side knows another code, and takes so many more tries.
    Wrong(u8),
    Over,
    /// What came was not sealed by somebody who knows the code.
    Forged,
    Network(String),
}

impl No {
    fn words(&self, place: &str) -> Error {
        let again = "ask the member for a new code: `starling swarm pair JOB` shows one";
        match self {
            Self::Wrong(0) => {
                Error::new(Kind::Network, "wrong code, and it was the last try: the code is dead").hint(again)
            }
            Self::Wrong(left) => {
                Error::new(Kind::Network, format_args!("wrong code: the member takes {left} more before it is dead"))
                    .hint("type it as the member's screen shows it")
            }
            Self::Over => Error::new(
                Kind::Network,
                "that code is good for nothing any more: used, too old, or guessed at too often",
            )
            .hint(again),
            Self::Forged => Error::new(
                Kind::Network,
                format_args!("whoever answers at {place} does not know the code: nothing was taken from there"),
            )
            .hint("somebody may sit between the two machines; compare the address with the member's screen"),
            Self::Network(why) => Error::new(Kind::Network, format_args!("no pairing at {place}: {why}"))
                .hint("`starling swarm pair JOB` must be running there; a code that was used, or is too old, is gone"),
        }
    }
}

/// The job file of the member there, if it has shown us `code`.
///
/// # Errors
/// Nobody answers, or knows another code: what and why.
pub(crate) async fn fetch(target: Target, code: &Code) -> Result<Zeroizing<String>, Error> {
    let shown: Vec<String> = target.addresses.iter().map(ToString::to_string).collect();
    let late = || No::Network(format!("no answer within {} s", FETCH_MAX.as_secs()));
    let found = tokio::time::timeout(FETCH_MAX, ask(target, code)).await.unwrap_or_else(|_| Err(late()));
    found.map_err(|no| no.words(&shown.join(", ")))
}

async fn ask(target: Target, code: &Code) -> Result<Zeroizing<String>, No> {
    let network = |error: &dyn std::fmt::Display| No::Network(error.to_string());
    // An identity made for this meeting.
    let key = Keypair::generate_ed25519();
    let us = key.public().to_peer_id();
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_other_transport(transport::plain)
        .map_err(|error| network(&error))?
        .with_behaviour(|_| behaviour(ProtocolSupport::Outbound))
        .map_err(|error| network(&error))?
        .build();
    let options = match (target.peer, target.addresses.first()) {
        (Some(peer), _) => DialOpts::peer_id(peer).addresses(target.addresses).build(),
        (None, Some(address)) => DialOpts::unknown_peer_id().address(address.clone()).build(),
        (None, None) => return Err(network(&"it listens nowhere that can be dialled from here")),
    };
    swarm.dial(options).map_err(|error| network(&error))?;
    let member = loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => break peer_id,
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(network(&error)),
            _ => {}
        }
    };
    let (side, ours) = begin(code, &us, &member, false);
    let point = ours.try_into().map_err(|_| network(&"no point"))?;
    let Answer::Reply(theirs) = question(&mut swarm, member, Question::Begin(point)).await? else {
        return Err(No::Over);
    };
    let agreed = agree(side, &theirs).ok_or(No::Forged)?;
    match question(&mut swarm, member, Question::Prove(agreed.proof())).await? {
        Answer::File(sealed) => {
            let text = agreed.open(&sealed).ok_or(No::Forged)?;
            std::str::from_utf8(&text)
                .map(|text| Zeroizing::new(text.to_owned()))
                .map_err(|_| network(&"the file is no text"))
        }
        Answer::Wrong(left) => Err(No::Wrong(left)),
        Answer::Over | Answer::Reply(_) => Err(No::Over),
    }
}

async fn question(swarm: &mut Swarm<Behaviour>, member: NetworkId, question: Question) -> Result<Answer, No> {
    swarm.behaviour_mut().send_request(&member, question);
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::Behaviour(request_response::Event::Message {
                message: request_response::Message::Response { response, .. },
                ..
            }) => return Ok(response),
            SwarmEvent::Behaviour(request_response::Event::OutboundFailure { error, .. }) => {
                return Err(No::Network(error.to_string()));
            }
            _ => {}
        }
    }
}
