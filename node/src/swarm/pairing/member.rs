//! The member's side: one code, a few tries, one newcomer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId as NetworkId, Swarm, SwarmBuilder, connection_limits};

use protocol::id::{Hash, RunId, SchemaHash};
use protocol::wire::VERSION;

use super::super::lan::{self, Lan, Listing};
use super::super::{address, interfaces, invitation, listen_everywhere, transport};
use super::{Agreed, Answer, Behaviour, Code, FILE_BYTES_MAX, Question, TRIES_MAX, agree, begin, behaviour};
use crate::error::{Error, Kind};

/// How long a code is good where nothing else is said, seconds.
pub(crate) const VALID_DEFAULT_S: u32 = 300;
/// How long it may be good, seconds.
pub(crate) const VALID_MAX_S: u32 = 3600;
/// Newcomers that have begun and not proved anything yet; a further one takes the place of the oldest.
const MEETINGS_MAX: usize = 8;
/// From the question to the proof.
const MEETING_MAX: Duration = Duration::from_secs(10);
/// Connections at once, proved or not.
const CONNECTIONS_MAX: u32 = 16;
/// How long the last answer may take to be read.
const LINGER_MAX: Duration = Duration::from_secs(2);

/// What became of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// The file is on its way.
    Paired(NetworkId),
    /// Another code; so many tries are left.
    Wrong(NetworkId, u32),
}

/// A code, and the file that it is good for.
pub(crate) struct Offer {
    us: NetworkId,
    code: Code,
    file: String,
    wrong: u32,
    until: Instant,
    used: bool,
    meetings: BTreeMap<NetworkId, (Agreed, Instant)>,
}

impl Offer {
    /// Good from `now` on.
    ///
    /// # Errors
    /// The file is too long to be handed over.
    pub(crate) fn new(us: NetworkId, code: Code, file: String, valid: Duration, now: Instant) -> Result<Self, Error> {
        if file.len() > FILE_BYTES_MAX {
            return Err(Error::new(Kind::Input, "the job file, spelled out, is longer than 64 KiB: copy it by hand"));
        }
        let until = now + valid;
        Ok(Self { us, code, file, wrong: 0, until, used: false, meetings: BTreeMap::new() })
    }

    /// Whether the code still opens anything.
    pub(crate) fn is_good(&self, now: Instant) -> bool {
        !self.used && self.wrong < TRIES_MAX && now < self.until
    }

    /// Whether it was guessed at too often.
    pub(crate) fn is_dead(&self) -> bool {
        self.wrong >= TRIES_MAX
    }

    /// The answer to a question, and what came of a proof.
    pub(super) fn hear(&mut self, from: NetworkId, question: &Question, now: Instant) -> (Answer, Option<Meeting>) {
        if !self.is_good(now) {
            return (Answer::Over, None);
        }
        match question {
            Question::Begin(point) => (self.begin(from, point, now).unwrap_or(Answer::Over), None),
            Question::Prove(proof) => {
                // Whatever comes of it, a meeting has one proof.
                let begun = self.meetings.remove(&from).filter(|(_, since)| now - *since < MEETING_MAX);
                let Some((agreed, _)) = begun else { return (Answer::Over, None) };
                // Hashes are compared in constant time.
                if blake3::Hash::from(agreed.proof()) != blake3::Hash::from(*proof) {
                    self.wrong += 1;
                    let left = TRIES_MAX - self.wrong;
                    return (Answer::Wrong(left as u8), Some(Meeting::Wrong(from, left)));
                }
                let Some(sealed) = agreed.seal(&self.file) else { return (Answer::Over, None) };
                self.used = true;
                (Answer::File(sealed), Some(Meeting::Paired(from)))
            }
        }
    }

    fn begin(&mut self, from: NetworkId, point: &[u8], now: Instant) -> Option<Answer> {
        let (side, ours) = begin(&self.code, &from, &self.us, true);
        let agreed = agree(side, point)?;
        if self.meetings.len() >= MEETINGS_MAX && !self.meetings.contains_key(&from) {
            let oldest = self.meetings.iter().min_by_key(|(_, (_, since))| *since).map(|(peer, _)| *peer)?;
            self.meetings.remove(&oldest);
        }
        self.meetings.insert(from, (agreed, now));
        Some(Answer::Reply(ours.try_into().ok()?))
    }
}

#[derive(NetworkBehaviour)]
struct Parts {
    limits: connection_limits::Behaviour,
    pairing: Behaviour,
    /// Says that the job is private to whoever asks for its file without a code.
    invitation: invitation::Behaviour,
}

/// Where a member waits for its newcomer.
pub(crate) struct Place<'a> {
    /// Multiaddresses; none: every interface.
    pub(crate) listen: &'a [String],
    /// Name and run to announce on the LAN.
    pub(crate) lan: Option<(&'a str, RunId)>,
}

/// Waits until the code is used, dead or too old. `listening` hears of each address, `met` of each proof. Returns whether a newcomer
/// has the file.
///
/// # Errors
/// It cannot listen.
pub(crate) async fn serve(
    key: Keypair,
    place: Place<'_>,
    offer: &mut Offer,
    listening: &mut dyn FnMut(&Multiaddr),
    met: &mut dyn FnMut(&Meeting),
) -> Result<bool, Error> {
    let listen = place.listen.iter().map(|text| address::parse_listen(text)).collect::<Result<Vec<_>, _>>()?;
    listen.iter().try_for_each(address::check_free)?;
    let only_here = !listen.is_empty() && listen.iter().all(address::is_loopback);
    let mut lan = place.lan.filter(|_| !only_here).and_then(|(job, run)| announce_on(&offer.us, job, run));
    let mut swarm = build(key)?;
    for address in &listen {
        swarm.listen_on(address.clone()).map_err(|error| address::cannot_listen(address, error))?;
    }
    if listen.is_empty() {
        listen_everywhere(&mut swarm)?;
    }
    let deadline = tokio::time::sleep_until(offer.until.into());
    let mut deadline = std::pin::pin!(deadline);
    let mut addresses = Vec::new();
    while offer.is_good(Instant::now()) {
        let event = tokio::select! {
            event = swarm.select_next_some() => event,
            // Who else is there is of no interest, but it is to be read.
            _ = lan::next(&mut lan) => continue,
            () = &mut deadline => break,
        };
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                // A link-local one of IPv6 leads nowhere without its interface, which the newcomer cannot know.
                let leads_here = address::ip(&address).is_none_or(|ip| address::names_a_machine(&ip));
                if leads_here && address::is_loopback(&address) == only_here {
                    listening(&address);
                }
                addresses.push(address);
                if let Some(lan) = &mut lan {
                    lan.announce(interfaces::real_first(address::announced(&addresses, [])));
                }
            }
            SwarmEvent::Behaviour(PartsEvent::Pairing(request_response::Event::Message {
                peer,
                message: request_response::Message::Request { request, channel, .. },
                ..
            })) => {
                let (answer, meeting) = offer.hear(peer, &request, Instant::now());
                // Whoever is gone needs no answer.
                let _ = swarm.behaviour_mut().pairing.send_response(channel, answer);
                meeting.iter().for_each(&mut *met);
            }
            SwarmEvent::Behaviour(PartsEvent::Invitation(request_response::Event::Message {
                message: request_response::Message::Request { channel, .. },
                ..
            })) => drop(swarm.behaviour_mut().invitation.send_response(channel, invitation::Answer::Private)),
            _ => {}
        }
    }
    if let Some(lan) = &mut lan {
        lan.close().await;
    }
    if offer.used || offer.wrong > 0 {
        // The last answer is to be read before the door is shut.
        let _ = tokio::time::timeout(LINGER_MAX, said(&mut swarm)).await;
    }
    Ok(offer.used)
}

/// Until the last answer was written and its reader has hung up.
async fn said(swarm: &mut Swarm<Parts>) {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionClosed { num_established: 0, .. } => return,
            SwarmEvent::Behaviour(PartsEvent::Pairing(request_response::Event::Message {
                message: request_response::Message::Request { channel, .. },
                ..
            })) => drop(swarm.behaviour_mut().pairing.send_response(channel, Answer::Over)),
            _ => {}
        }
    }
}

/// Peers of the run see that this is none of them and let it be.
fn announce_on(us: &NetworkId, job: &str, run: RunId) -> Option<Lan> {
    let us = Listing {
        peer: address::from_network(us)?,
        run,
        schema: SchemaHash(Hash::ZERO),
        wire: VERSION,
        job: job.to_owned(),
        open: false,
        pairs: true,
        addresses: Vec::new(),
    };
    Lan::open(us).inspect_err(|error| tracing::warn!(%error, "mDNS does not work here: the address must be typed")).ok()
}

fn build(key: Keypair) -> Result<Swarm<Parts>, Error> {
    let no_channel =
        |error: &dyn std::fmt::Display| Error::new(Kind::Network, format_args!("no secure channel: {error}"));
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(CONNECTIONS_MAX))
        .with_max_established(Some(CONNECTIONS_MAX))
        .with_max_established_per_peer(Some(1));
    let parts = |_: &Keypair| Parts {
        limits: connection_limits::Behaviour::new(limits),
        pairing: behaviour(ProtocolSupport::Inbound),
        invitation: invitation::behaviour(ProtocolSupport::Inbound),
    };
    Ok(SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_other_transport(transport::plain)
        .map_err(|error| no_channel(&error))?
        .with_behaviour(parts)
        .map_err(|error| Error::new(Kind::Internal, error))?
        .build())
}
