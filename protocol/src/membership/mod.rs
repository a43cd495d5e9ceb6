//! Who is there: neighbours (links that are up), and members (peers heard of, whom we might dial).
//!
//! Addresses spread by peer exchange: a new neighbour names itself and whom it knows, and what is new is passed on at
//! once, so a swarm whose peers were all given one address becomes a mesh within a few round trips. Nobody is special:
//! once two peers know each other the first one may die.
//!
//! Of two peers that learn of each other the one with the smaller id dials first; the other waits [`DIAL_DEFER`], in case
//! the first cannot (address translation, one-way firewalls). That gives one connection a pair almost always.

mod diversity;
mod known;
pub(crate) mod news;
mod pace;
mod table;
mod whereabouts;

pub use diversity::{REFRESH, Refresh};
pub use known::Known;
pub use whereabouts::Source;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::id::{Origin, PeerId};
use crate::learner::Share;
use crate::log::{Exclusions, VersionVector};
use crate::time::{Span, Time};
use crate::tokens::Tokens;
use crate::wire::{PEER_RECORDS_MAX, PeerRecord, Status};
use known::Sent;
use pace::Paces;
use whereabouts::{Whereabouts, bounded};

/// Peers remembered, where nothing else is configured.
pub const MEMBERS_MAX: usize = 4096;
/// How long the peer with the larger id waits before it dials after all.
pub const DIAL_DEFER: Span = Span::from_millis(1500);
/// First pause after a dial that failed; doubles.
const DIAL_PAUSE: Span = Span::from_millis(500);
/// Pause before a peer is dialled whose addresses have changed.
const DIAL_MOVED: Span = Span::from_secs(2);
/// Longest pause between dials.
const DIAL_PAUSE_MAX: Span = Span::from_secs(30);
/// A neighbour that was lost without a goodbye is dialled anew this often: a cable that is plugged in again tells nobody.
const LOST_PAUSE: Span = Span::from_secs(1);
/// For so long. guess: a router that restarts takes minutes.
const LOST_WINDOW: Span = Span::from_secs(600);
/// Pause after a refusal that will not pass by itself.
const REFUSED_PAUSE: Span = Span::from_secs(300);
/// Dials that fail in a row before a member is forgotten.
const DIAL_FAILURES_MAX: u32 = 16;
/// Members that are kept however often a dial fails: whoever forgets everybody stays alone for ever.
const MEMBERS_KEPT: usize = 32;
/// A peer whose deltas arrive by way of others counts as living for so long after the last one.
pub const LIVE_WINDOW: Span = Span::from_secs(10);
/// With groups: a peer that is no neighbour is not spoken for by another for so long after its last delta. guess: a few
/// deltas; shorter than [`LIVE_WINDOW`], for two delegates do no harm and none for long costs progress.
const LEAD_WINDOW: Span = Span::from_secs(2);
/// How long a delta that was sent counts as arrived although the neighbour's version vector does not show it.
const IN_FLIGHT_MAX: Span = Span::from_secs(1);
/// And how long all that was sent does, when it was much: whoever takes it in says so as soon as it has. guess: a busy machine
/// takes 1 MiB of deltas in within this.
const REPLY_MAX: Span = Span::from_secs(3);
/// How long others are left to send a neighbour what they have said themselves. guess: three intervals of anti-entropy.
const LEFT_MAX: Span = Span::from_secs(3);

/// A neighbour that does not leave out whom we leave out is told so, so far apart.
const EXCLUSIONS_PAUSE: Span = Span::from_secs(3);

/// That a neighbour has another delta under a number than we is told so far apart: it may say so of every number, as often as it likes.
const APART_PAUSE: Span = Span::from_secs(60);

/// Digests that a neighbour is heard with, at once and a second: each is held against the whole log and answered. Who catches up says one for
/// each megabyte, everybody else one a second; what is beyond is let fall, and the next one says as much.
const DIGESTS_BURST: f64 = 256.0;
const DIGESTS_A_SECOND: f64 = 200.0;

/// Weight of the newest round trip in the smoothed one. paper: RFC 6298.
const ROUND_TRIP_SMOOTHING: f32 = 1.0 / 8.0;

/// A link that is up.
#[derive(Debug)]
pub struct Neighbour {
    /// When the link came up.
    pub since: Time,
    /// When it last said anything.
    pub last_heard: Time,
    /// Its last announcement.
    pub status: Option<Status>,
    /// Its version vector as it last said itself; `None` before its first digest.
    pub confirmed: Option<Arc<VersionVector>>,
    /// Whether we lacked most of that when it said so.
    pub far_ahead: bool,
    /// What it leaves out, as it last said; of very much the part that tells of our set.
    pub excluded: Exclusions,
    /// What it has as far as we can tell: what it said, what it passed to us, what we sent it.
    pub known: Known,
    /// What we sent lately, so that a digest composed before it arrived does not make us send it again.
    sent: Sent,
    /// When it was sent a part of what it lacks, until it says that this has arrived.
    replied: Option<Time>,
    /// Since when others are left to send it what it lacks.
    left_to_others: Option<Time>,
    /// When it may be offered a snapshot again.
    pub snapshot_offer_after: Time,
    /// When it may be told again what a snapshot consists of.
    pub snapshot_head_after: Time,
    /// Time from a digest of ours to its answer, smoothed, seconds; NaN before the first answer. What it sends us ahead
    /// of the answer is part of it: this is what an exchange costs, not what a ping does.
    pub round_trip: f32,
    /// When it may be told again whom we leave out.
    exclusions_after: Time,
    /// When people may be told again that it has another delta than we.
    apart_after: Time,
    digests: Tokens,
    /// Digests that wait for an answer, and when the last of them went out.
    asked: (u32, Time),
}

impl Neighbour {
    fn new(now: Time) -> Self {
        Self {
            since: now,
            last_heard: now,
            status: None,
            confirmed: None,
            far_ahead: false,
            excluded: Exclusions::default(),
            known: Known::default(),
            sent: Sent::default(),
            replied: None,
            left_to_others: None,
            snapshot_offer_after: Time(0),
            snapshot_head_after: Time(0),
            round_trip: f32::NAN,
            exclusions_after: Time(0),
            apart_after: Time(0),
            digests: Tokens::new(DIGESTS_BURST, DIGESTS_A_SECOND),
            asked: (0, now),
        }
    }

    /// Whether it may be told now whom we leave out and it does not: it may not believe that, and it says so ten times a second.
    pub fn may_be_told_exclusions(&mut self, now: Time) -> bool {
        let may = now >= self.exclusions_after;
        if may {
            self.exclusions_after = now + EXCLUSIONS_PAUSE;
        }
        may
    }

    /// Whether people may be told now that it has another delta than we.
    pub fn may_be_told_apart(&mut self, now: Time) -> bool {
        let may = now >= self.apart_after;
        if may {
            self.apart_after = now + APART_PAUSE;
        }
        may
    }

    /// Whether a digest of it is looked at.
    pub(crate) fn may_say_what_it_has(&mut self, now: Time) -> bool {
        self.digests.take(now)
    }

    /// A digest goes out that is to be answered.
    pub fn note_asked(&mut self, now: Time) {
        self.asked = (self.asked.0.saturating_add(1), now);
    }

    /// It answered a digest. An answer that could belong to either of two digests measures nothing (Karn's rule).
    pub fn note_answered(&mut self, now: Time) {
        self.replied = None;
        let (waiting, at) = std::mem::replace(&mut self.asked, (0, now));
        if waiting == 1 {
            let seconds = (now - at).as_secs_f64() as f32;
            let old = self.round_trip;
            self.round_trip = if old.is_nan() { seconds } else { old + ROUND_TRIP_SMOOTHING * (seconds - old) };
        }
    }

    /// Notes that deltas go out to it, up to that number without gaps. What does not follow what it has is of no use to it yet:
    /// a newcomer that is told of every new delta lacks all before them.
    pub fn note_sent(&mut self, origin: Origin, (first, last): (u64, u64), now: Time) {
        if first <= self.known.get(&origin) + 1 && self.known.raise(origin, last) {
            self.sent.note(origin, last, now, self.known.places_for_sent());
        }
    }

    /// A part of what it lacks went out, with a digest behind it whose answer draws the next part.
    pub fn note_replied(&mut self, now: Time) {
        self.replied = Some(now);
    }

    /// Whether such a part is still on its way: more of them would only wait in line, or come twice.
    #[must_use]
    pub fn takes_reply(&self, now: Time) -> bool {
        self.replied.is_some_and(|at| now - at < REPLY_MAX)
    }

    /// Whether it is right to leave what it lacks to those who have said it: for so long at most as nothing else is to be sent
    /// to it, since they may be slow, or gone.
    pub fn leaves_to_others(&mut self, nothing_else: bool, now: Time) -> bool {
        if !nothing_else {
            self.left_to_others = None;
            return true;
        }
        now - *self.left_to_others.get_or_insert(now) < LEFT_MAX
    }

    /// Takes its own word for what it has, plus what is still on its way.
    pub fn confirm(&mut self, heard: VersionVector, now: Time) {
        if !self.takes_reply(now) {
            self.sent.forget_older(now, IN_FLIGHT_MAX);
        }
        let heard = Arc::new(heard);
        self.known.replace(heard.clone());
        for (origin, seq) in self.sent.iter() {
            self.known.raise(origin, seq);
        }
        self.confirmed = Some(heard);
    }

    /// Takes its own word for what it leaves out; `ours` is the set that we have.
    pub fn leaves_out(&mut self, theirs: Exclusions, ours: &VersionVector) {
        self.excluded = known::remembered(theirs, ours);
    }

    /// Whether it has `company` neighbours, or trains already.
    #[must_use]
    pub fn is_in_company(&self, company: usize) -> bool {
        self.status.as_ref().is_some_and(|status| status.steps > 0 || status.neighbours.len() >= company)
    }

    /// Whether it announced a link to that peer, who then tells it everything itself.
    #[must_use]
    pub fn is_neighbour_of(&self, peer: PeerId) -> bool {
        self.status.as_ref().is_some_and(|status| status.neighbours.contains(&short_key(peer)))
    }
}

/// First 8 bytes of a key, for lists of neighbours: a collision costs one offer, nothing else.
#[must_use]
pub fn short_key(peer: PeerId) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&peer.0[..8]);
    u64::from_le_bytes(bytes)
}

/// Who told of a peer that has not spoken for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Teller {
    Peer(PeerId),
    /// A look round the network: mDNS, Kademlia. Whoever is on it may make it find anybody.
    Network,
}

#[derive(Debug)]
struct Member {
    places: Whereabouts,
    /// Who told of it first; `None`: itself.
    teller: Option<Teller>,
    /// Whether there ever was a link.
    reached: bool,
    dial_after: Time,
    failures: u32,
    /// It refused us for a reason that will not pass by itself.
    refused: bool,
    /// When its link was lost, if it did not say goodbye.
    lost: Option<Time>,
    /// Whether it said goodbye.
    left: bool,
}

impl Member {
    fn new(places: Whereabouts, teller: Option<Teller>, dial_after: Time) -> Self {
        Self { places, teller, reached: false, dial_after, failures: 0, refused: false, lost: None, left: false }
    }

    /// Whether its link was lost a while ago: most likely it lives, and one of us is cut off.
    fn is_lost(&self, now: Time) -> bool {
        self.lost.is_some_and(|at| now - at < LOST_WINDOW)
    }

    /// Pause until the next dial.
    fn pause(&self, now: Time) -> Span {
        let pause = Span(DIAL_PAUSE.0 << self.failures.min(6)).min(DIAL_PAUSE_MAX);
        if self.is_lost(now) { pause.min(LOST_PAUSE) } else { pause }
    }
}

/// How many live, and how long that stays true unless somebody comes or goes.
#[derive(Clone, Copy, Debug)]
struct Counted {
    live: usize,
    from: Time,
    /// The first of those who are no neighbours would fall silent then, had it said nothing since.
    until: Time,
}

/// The table of peers.
#[derive(Debug)]
pub struct Membership {
    us: PeerId,
    addresses: Vec<String>,
    neighbours: BTreeMap<PeerId, Neighbour>,
    members: BTreeMap<PeerId, Member>,
    /// Last delta of each origin's peer, however it came.
    spoke: BTreeMap<PeerId, Time>,
    /// How fast those whose deltas arrive train, we among them.
    paces: Paces,
    /// The last answer of [`Self::live_peers`]: asked once a delta, it would otherwise go through all of `spoke` each time.
    counted: Cell<Option<Counted>>,
    members_max: usize,
    /// Peers that the swarm has excluded: never neighbours again.
    banned: BTreeSet<PeerId>,
    /// When [`Self::refresh`] is due; 0 before it was first asked.
    refresh_after: Time,
    /// For choices that nobody must foresee.
    rng: ChaCha8Rng,
}

impl Membership {
    /// A table that knows nobody, and will know up to `members_max`. `seed` is a secret: whom we choose must not be foreseen.
    #[must_use]
    pub fn new(us: PeerId, members_max: usize, seed: u64) -> Self {
        Self {
            us,
            addresses: Vec::new(),
            neighbours: BTreeMap::new(),
            members: BTreeMap::new(),
            spoke: BTreeMap::new(),
            paces: Paces::default(),
            counted: Cell::new(None),
            members_max,
            banned: BTreeSet::new(),
            refresh_after: Time(0),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Replaces our own addresses.
    pub fn set_addresses(&mut self, addresses: Vec<String>) {
        self.addresses = bounded(addresses);
    }

    /// The links that are up, in order of id.
    pub fn neighbours(&self) -> impl Iterator<Item = (PeerId, &Neighbour)> + '_ {
        self.neighbours.iter().map(|(&peer, neighbour)| (peer, neighbour))
    }

    /// Ids of the neighbours, ascending.
    #[must_use]
    pub fn neighbour_ids(&self) -> Vec<PeerId> {
        self.neighbours.keys().copied().collect()
    }

    /// Number of links that are up.
    #[must_use]
    pub fn neighbour_count(&self) -> usize {
        self.neighbours.len()
    }

    /// The link to `peer`, when it is up.
    #[must_use]
    pub fn neighbour(&self, peer: PeerId) -> Option<&Neighbour> {
        self.neighbours.get(&peer)
    }

    /// As [`Self::neighbour`], to change it.
    pub fn neighbour_mut(&mut self, peer: PeerId) -> Option<&mut Neighbour> {
        self.neighbours.get_mut(&peer)
    }

    /// A link is up. Returns whether it is new.
    pub fn connected(&mut self, peer: PeerId, now: Time) -> bool {
        if let Some(member) = self.members.get_mut(&peer) {
            (member.failures, member.lost, member.left, member.reached) = (0, None, false, true);
        }
        self.counted.set(None);
        self.neighbours.insert(peer, Neighbour::new(now)).is_none()
    }

    /// The peer said goodbye: it does not live until it is heard of again.
    pub fn left(&mut self, peer: PeerId) {
        self.counted.set(None);
        self.spoke.remove(&peer);
        if let Some(member) = self.members.get_mut(&peer) {
            member.left = true;
        }
    }

    /// A link is down. Returns whether it was up. Without a goodbye the peer counts as living for [`LIVE_WINDOW`] after its last
    /// delta: it may be we who are cut off. Were all the others forgotten at once, everyone who is cut off would take its
    /// deltas whole (w = 1), and the sum of them would overshoot when the swarm is one again.
    pub fn disconnected(&mut self, peer: PeerId, now: Time) -> bool {
        if let Some(member) = self.members.get_mut(&peer) {
            member.dial_after = now + DIAL_PAUSE;
            member.lost = (!member.left).then_some(now);
        }
        self.counted.set(None);
        self.neighbours.remove(&peer).is_some()
    }

    /// A delta of that peer went into the base.
    pub fn spoke(&mut self, peer: PeerId, now: Time) {
        if self.spoke.len() >= MEMBERS_MAX {
            self.spoke.retain(|_, at| now - *at < LIVE_WINDOW);
        }
        if self.spoke.len() < MEMBERS_MAX && !self.banned.contains(&peer) {
            let before = self.spoke.insert(peer, now);
            // Whoever lived lives longer, and the count stands.
            if before.is_none_or(|at| now - at >= LIVE_WINDOW) {
                self.counted.set(None);
            }
        }
    }

    /// A delta of that peer, or of ours, of so many samples was heard as it was said: what is caught up with tells no pace.
    pub fn trained(&mut self, origin: Origin, samples: u64, now: Time) {
        if !self.banned.contains(&origin.peer) {
            self.paces.note(origin, samples, now);
        }
    }

    /// Who takes which share of what all train on: everybody who lives and has not taken all its steps, we among them, in the order of the ids.
    #[must_use]
    pub fn shares(&self, now: Time) -> Vec<Share> {
        let resting = |peer: &PeerId| {
            self.neighbours.get(peer).and_then(|n| n.status.as_ref()).is_some_and(|status| status.finished)
        };
        let mut peers: BTreeSet<PeerId> = self.spoke.keys().filter(|peer| self.lives(**peer, now)).copied().collect();
        peers.extend(self.neighbours.keys());
        peers.retain(|peer| !resting(peer) && !self.banned.contains(peer));
        peers.insert(self.us);
        let peers: Vec<PeerId> = peers.into_iter().collect();
        let paces = self.paces.rounded(&peers, now);
        peers.into_iter().zip(paces).map(|(peer, weight)| Share { peer, weight }).collect()
    }

    /// Has no more to do with that peer. Returns whether it is a neighbour: its link is to be closed.
    pub fn ban(&mut self, peer: PeerId) -> bool {
        self.counted.set(None);
        self.banned.insert(peer);
        self.paces.forget(peer);
        self.spoke.remove(&peer);
        self.members.remove(&peer);
        self.neighbours.contains_key(&peer)
    }

    /// Nobody knows any more why it was banned.
    pub fn unban(&mut self, peer: PeerId) {
        self.banned.remove(&peer);
    }

    /// Whether that peer was excluded.
    #[must_use]
    pub fn is_banned(&self, peer: PeerId) -> bool {
        self.banned.contains(&peer)
    }

    /// Whether that peer counts as living.
    #[must_use]
    pub fn lives(&self, peer: PeerId, now: Time) -> bool {
        self.neighbours.contains_key(&peer) || self.spoke.get(&peer).is_some_and(|at| now - *at < LIVE_WINDOW)
    }

    /// All of whom [`Self::lives`] is true.
    pub fn living(&self, now: Time) -> impl Iterator<Item = PeerId> + '_ {
        let spoke =
            self.spoke.iter().filter(move |(peer, at)| now - **at < LIVE_WINDOW && !self.neighbours.contains_key(peer));
        self.neighbours.keys().copied().chain(spoke.map(|(peer, _)| *peer))
    }

    /// Peers of a lower id that are no neighbours and were heard by way of others a moment ago.
    #[must_use]
    pub fn heard_from_lower(&self, us: PeerId, now: Time) -> usize {
        let lower = self.spoke.range(..us);
        lower.filter(|(peer, _)| !self.neighbours.contains_key(peer)).filter(|(_, at)| now - **at < LEAD_WINDOW).count()
    }

    /// Peers that live, we among them: neighbours, and those whose deltas came lately by way of others.
    #[must_use]
    pub fn live_peers(&self, now: Time) -> usize {
        if let Some(counted) = self.counted.get().filter(|counted| (counted.from..counted.until).contains(&now)) {
            return counted.live;
        }
        let (mut live, mut until) = (1 + self.neighbours.len(), Time(u64::MAX));
        for (peer, &at) in &self.spoke {
            if now - at < LIVE_WINDOW && *peer != self.us && !self.neighbours.contains_key(peer) {
                live += 1;
                until = until.min(at + LIVE_WINDOW);
            }
        }
        self.counted.set(Some(Counted { live, from: now, until }));
        live
    }

    /// Neighbours that have said nothing for longer than `silence_max`.
    #[must_use]
    pub fn silent(&self, now: Time, silence_max: Span) -> Vec<PeerId> {
        let silent = |(_, neighbour): &(&PeerId, &Neighbour)| now - neighbour.last_heard > silence_max;
        self.neighbours.iter().filter(silent).map(|(&peer, _)| peer).collect()
    }

    /// The peer was found right now: it is worth a dial at once, whatever came of earlier ones.
    pub fn found(&mut self, peer: PeerId, now: Time) {
        let turn = self.turn(peer);
        if let Some(member) = self.members.get_mut(&peer).filter(|member| !member.refused) {
            member.failures = 0;
            member.dial_after = member.dial_after.min(now + turn);
        }
    }

    /// How long to leave the first dial to the other side.
    fn turn(&self, peer: PeerId) -> Span {
        if self.us < peer { Span(0) } else { DIAL_DEFER }
    }

    /// Whom to dial now, so that there are up to `target` neighbours; drawn, where there are more than that. The peers
    /// returned are not returned again soon.
    pub fn to_dial(&mut self, now: Time, target: usize) -> Vec<PeerRecord> {
        let room = target.saturating_sub(self.neighbours.len());
        if room == 0 {
            return Vec::new();
        }
        let is_due =
            |(peer, member): &(&PeerId, &Member)| member.dial_after <= now && !self.neighbours.contains_key(*peer);
        let due: Vec<PeerId> = self.members.iter().filter(is_due).map(|(&peer, _)| peer).collect();
        let mut records = Vec::new();
        for peer in diversity::draw(due, room, &mut self.rng) {
            if let Some(member) = self.members.get_mut(&peer) {
                member.dial_after = now + member.pause(now);
                records.push(PeerRecord { peer, addresses: member.places.to_dial() });
            }
        }
        records
    }

    /// Neighbours that we can let go, so that there is always room for one who finds nobody else: those of the younger half
    /// with more than `target` neighbours of their own, when we have more than half as many again.
    #[must_use]
    pub fn surplus(&self, target: usize) -> Vec<PeerId> {
        if self.neighbours.len() <= target + target / 2 {
            return Vec::new();
        }
        let rich = |neighbour: &Neighbour| neighbour.status.as_ref().is_some_and(|s| s.neighbours.len() > target);
        self.younger_half().into_iter().filter(|peer| self.neighbours.get(peer).is_some_and(rich)).collect()
    }

    /// A dial came to nothing.
    pub fn dial_failed(&mut self, peer: PeerId, refused: bool, now: Time) {
        let Some(member) = self.members.get_mut(&peer) else {
            return;
        };
        member.failures += 1;
        member.refused = refused;
        member.dial_after = now + if refused { REFUSED_PAUSE } else { member.pause(now) };
        if member.failures > DIAL_FAILURES_MAX && !member.is_lost(now) && self.members.len() > MEMBERS_KEPT {
            self.members.remove(&peer);
        }
    }

    /// Whether there are fewer links than wanted, and peers that are being dialled for the first time.
    #[must_use]
    pub fn expects_links(&self, target: usize) -> bool {
        let is_coming = |(peer, member): (&PeerId, &Member)| {
            member.failures == 0 && !member.refused && !self.neighbours.contains_key(peer)
        };
        self.neighbours.len() < target && self.members.iter().any(is_coming)
    }

    /// Ourselves and whom we know, as many as one message takes.
    #[must_use]
    pub fn records(&self) -> Vec<PeerRecord> {
        let ours =
            (!self.addresses.is_empty()).then(|| PeerRecord { peer: self.us, addresses: self.addresses.clone() });
        let linked = self.members.iter().filter(|(peer, _)| self.neighbours.contains_key(peer));
        let others = linked.map(|(&peer, member)| PeerRecord { peer, addresses: member.places.to_tell() });
        ours.into_iter().chain(others).take(PEER_RECORDS_MAX).collect()
    }
}

#[cfg(test)]
mod tests;
