//! Anti-entropy: two peers compare version vectors, and each sends what the other lacks. Whatever was lost, dropped or
//! cut off is mended by it, so nothing else has to be reliable.
//!
//! ```text
//! A -> B  Digest(answer)     B -> A  deltas that A lacks, Digest     A -> B  deltas that B lacks
//! ```

use rand_chacha::rand_core::Rng as _;

use super::REPLY_BYTES_MAX;
use super::restraint::far_ahead;
use crate::config::Distance;
use crate::event::{Event, Timer};
use crate::id::{Hash, Origin, PeerId};
use crate::log::{Exclusions, Mark, VersionVector};
use crate::membership::Neighbour;
use crate::partner::{self, Candidate, Choice};
use crate::peer::Peer;
use crate::trust::Exclusion;
use crate::wire::{Message, ORIGINS_MAX, Range};

/// All that a neighbour has, in its own words.
#[derive(Debug)]
pub(crate) struct Digest {
    pub(crate) heard: VersionVector,
    pub(crate) excluded: Exclusions,
    pub(crate) salt: u64,
    pub(crate) marks: Vec<Mark>,
    pub(crate) base_hash: Option<Hash>,
}

impl Digest {
    /// Whether nothing of what the record leaves out is in its base.
    pub(super) fn is_without(&self, record: &Exclusion) -> bool {
        self.excluded.covers(record.about, record.from_seq) || !self.heard.names(record.about.peer)
    }
}

impl Peer {
    /// The periodic exchange with one partner.
    pub(crate) fn anti_entropy(&mut self) {
        self.set_timer(self.now + self.config.gossip.anti_entropy, Timer::AntiEntropy);
        if self.in_pairs() {
            self.tick_pairs();
            return;
        }
        self.take_what_nobody_sends();
        if let Some(partner) = self.choose_partner() {
            self.send_digest(partner, true);
        }
    }

    /// Whom the partner rule names next.
    pub(crate) fn choose_partner(&mut self) -> Option<PeerId> {
        let gossip = &self.config.gossip;
        let choice = Choice {
            us: self.origin.peer,
            round: self.counters.exchanges_begun,
            candidates: &self.candidates(),
            alpha: gossip.partner_alpha,
            graph: &gossip.partner_graph,
        };
        let chosen = partner::of(gossip.partner).choose(&choice, &mut self.rng);
        self.counters.exchanges_begun += 1;
        chosen
    }

    /// The neighbours and how far away they are.
    fn candidates(&self) -> Vec<Candidate> {
        // A loss below zero is no cross-entropy: announced, it would make every honest peer infinitely far.
        let loss = |neighbour: &Neighbour| {
            let announced = neighbour.status.as_ref().map(|status| status.train_loss);
            announced.filter(|loss| loss.is_finite() && *loss >= 0.0)
        };
        let best = self.members.neighbours().filter_map(|(_, neighbour)| loss(neighbour)).fold(f32::INFINITY, f32::min);
        let distance = |neighbour: &Neighbour| match self.config.gossip.partner_distance {
            Distance::Loss => loss(neighbour).map_or(f32::NAN, |loss| loss - best),
            Distance::RoundTrip => neighbour.round_trip,
        };
        self.members.neighbours().map(|(peer, neighbour)| Candidate { peer, distance: distance(neighbour) }).collect()
    }

    /// Tells `to` what we have.
    pub(crate) fn send_digest(&mut self, to: PeerId, answer: bool) {
        if self.in_pairs() {
            return; // There is no log to compare.
        }
        let heard = self.log.heard().clone();
        let base_hash = self.base_hash_at(self.log.set_hash());
        let salt = self.rng.next_u64();
        let marks = if self.config.trust.enabled { self.log.marks(salt) } else { Vec::new() };
        let now = self.now;
        let neighbour = self.members.neighbour_mut(to);
        // What neither of us has heard of is nothing to be told.
        let named = |about: &Origin| {
            heard.names(about.peer) || neighbour.as_ref().is_some_and(|neighbour| neighbour.known.names(about.peer))
        };
        let excluded = self.log.excluded().iter().filter(|(about, _)| named(about)).take(ORIGINS_MAX).collect();
        if let Some(neighbour) = neighbour.filter(|_| answer) {
            neighbour.note_asked(now);
        }
        self.send(to, Message::Digest { heard, excluded, salt, marks, base_hash, answer });
    }

    /// Hash of our base at that set of deltas, when it was computed.
    fn base_hash_at(&self, heard: Hash) -> Option<Hash> {
        self.schedule.known_base.and_then(|(at, base_hash)| (at == heard).then_some(base_hash))
    }

    pub(crate) fn hear_digest(&mut self, from: PeerId, digest: Digest, answer: bool) {
        self.compare_bases(from, &digest);
        self.compare_marks(from, &digest);
        self.join_target(from, &digest.heard);
        let now = self.now;
        for (origin, first, last) in digest.heard.ahead_of(self.log.heard()) {
            self.guard.ledger.note_ahead(now, origin, first - 1, last);
        }
        self.compare_exclusions(from, &digest);
        let far_ahead = far_ahead(&digest.heard, self.log.heard());
        if let Some(neighbour) = self.members.neighbour_mut(from) {
            neighbour.far_ahead = far_ahead;
            if !answer {
                neighbour.note_answered(now);
            }
            neighbour.confirm(digest.heard, now);
            neighbour.leaves_out(digest.excluded, self.log.heard());
        }
        self.send_missing(from);
        if answer {
            self.send_digest(from, false);
        }
        self.try_begin();
        self.settle(false);
    }

    /// What we have beyond `known`, from our own deltas on round the ring of origins: several who send to one that lacks much
    /// begin at different places, and what one of them has sent the next answer tells the others.
    fn ring(&self, known: &VersionVector) -> Vec<(Origin, u64, u64)> {
        let mut ahead: Vec<_> = self.log.heard().ahead_of(known).collect();
        let ours = ahead.partition_point(|&(origin, ..)| origin < self.origin);
        ahead.rotate_left(ours);
        ahead
    }

    /// Of that, when it is more than a reply holds, what nobody else will send: the deltas of an origin that has a link to `to`
    /// are left to that one for a while.
    fn share_of_much(&mut self, to: PeerId, known: &VersionVector) -> Vec<(Origin, u64, u64)> {
        let (us, now, ring) = (self.origin.peer, self.now, self.ring(known));
        let Some(neighbour) = self.members.neighbour_mut(to) else { return ring };
        let ours = |origin: &Origin| origin.peer == us || !neighbour.is_neighbour_of(origin.peer);
        let share: Vec<_> = ring.iter().filter(|(origin, ..)| ours(origin)).copied().collect();
        if neighbour.leaves_to_others(share.is_empty(), now) { share } else { ring }
    }

    /// The invariant of the whole design, watched in the open: equal sets, equal bits.
    fn compare_bases(&mut self, from: PeerId, digest: &Digest) {
        let heard = self.log.heard();
        if digest.heard != *heard || !digest.excluded.equal_within(heard, self.log.excluded()) {
            return;
        }
        if let (Some(theirs), Some(ours)) = (digest.base_hash, self.base_hash_at(self.log.set_hash()))
            && ours != theirs
            && self.may_tell_apart(from)
        {
            self.event(Event::BaseMismatch { peer: from, ours, theirs });
        }
    }

    /// Sends `to` what it lacks, as far as one reply goes; offers a snapshot for what the log no longer holds, or when it has
    /// nothing at all and a snapshot is shorter.
    fn send_missing(&mut self, to: PeerId) {
        let now = self.now;
        let Some(neighbour) = self.members.neighbour_mut(to).filter(|neighbour| !neighbour.takes_reply(now)) else {
            return;
        };
        // Of our set: what it leaves out it does not lack.
        let has = |(origin, last): (Origin, u64)| {
            let (known, allowed) = (neighbour.known.get(&origin), neighbour.excluded.last_allowed(origin));
            (origin, if known >= allowed { known.max(last) } else { known })
        };
        let known: VersionVector = self.log.heard().iter().map(has).filter(|(_, seq)| *seq > 0).collect();
        let missing = self.log.missing(&known);
        let newcomer = neighbour.confirmed.as_deref().is_some_and(VersionVector::is_empty);
        let snapshot_is_shorter = newcomer && missing.bytes > self.snapshot_bytes();
        if !missing.complete || snapshot_is_shorter {
            self.offer_snapshot(to);
        }
        if snapshot_is_shorter {
            return;
        }
        let mut reply = Vec::new();
        let mut room = REPLY_BYTES_MAX;
        let mut truncated = false;
        let ahead = if missing.bytes > REPLY_BYTES_MAX { self.share_of_much(to, &known) } else { self.ring(&known) };
        'origins: for (origin, first, last) in ahead {
            if self.log.first_retained(origin) > first {
                continue; // Beyond a gap that we cannot close.
            }
            for delta in self.log.range(Range { origin, first, last }) {
                if room < delta.bytes() && !reply.is_empty() {
                    truncated = true;
                    break 'origins;
                }
                room = room.saturating_sub(delta.bytes());
                reply.push(delta.clone());
            }
        }
        self.send_deltas(to, &reply);
        if truncated && missing.complete {
            // Its answer shows that these have arrived, and draws the next ones.
            self.send_digest(to, true);
            if let Some(neighbour) = self.members.neighbour_mut(to) {
                neighbour.note_replied(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::DenseF32;
    use crate::config::{Config, Distance, PartnerRule};
    use crate::event::{Input, Output, Timer};
    use crate::id::{Hash, PeerId, RunId};
    use crate::log::{Context, VersionVector};
    use crate::peer::Peer;
    use crate::schema::Schema;
    use crate::time::{Span, Time};
    use crate::trust::{Identity, Limits};
    use crate::wire::{Message, Status};

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);
    const C: PeerId = PeerId([3; 32]);

    /// Whom a peer with neighbours A, B and C asks in 50 rounds.
    fn asked(distance: Distance, before: impl FnOnce(&mut Peer)) -> Vec<PeerId> {
        let mut config = Config::default();
        let gossip = &mut config.gossip;
        (gossip.partner, gossip.partner_alpha, gossip.partner_distance) = (PartnerRule::Exponential, 1e3, distance);
        let schema = Schema { tensors: Vec::new() }.hash();
        let context = Context { run: RunId(Hash::ZERO), schema, parameters: 1, codec: &DenseF32, limits: Limits::OFF };
        let mut peer = Peer::new(config, context, Identity::from_seed(&[1; 32]), 1, 1);
        peer.handle(Time(0), Input::Start);
        for neighbour in [A, B, C] {
            peer.handle(Time(0), Input::Connected { peer: neighbour });
        }
        before(&mut peer);
        while peer.next_output().is_some() {}
        for _ in 0..50 {
            peer.handle(Time(0), Input::Timer(Timer::AntiEntropy));
        }
        let mut asked: Vec<_> = std::iter::from_fn(|| peer.next_output())
            .filter_map(|output| match output {
                Output::Send { to, message: Message::Digest { answer: true, .. } } => Some(to),
                _ => None,
            })
            .collect();
        assert_eq!(asked.len(), 50);
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    fn announce(peer: &mut Peer, from: PeerId, train_loss: f32) {
        let status = Status {
            incarnation: 1,
            steps: 0,
            steps_per_second: 0.0,
            train_loss,
            heard: Hash::ZERO,
            neighbours: Vec::new(),
            finished: false,
            round: 0,
        };
        peer.handle(Time(0), Input::Message { from, message: Message::Status(status) });
    }

    fn answer(peer: &mut Peer, from: PeerId, millis: u64) {
        let message = Message::Digest {
            heard: VersionVector::new(),
            excluded: Vec::new(),
            salt: 0,
            marks: Vec::new(),
            base_hash: None,
            answer: false,
        };
        peer.handle(Time(0) + Span::from_millis(millis), Input::Message { from, message });
    }

    #[test]
    fn near_is_who_announced_the_best_loss() {
        let best = asked(Distance::Loss, |peer| {
            announce(peer, A, 2.0);
            announce(peer, B, 0.5);
            announce(peer, C, 0.9);
        });
        assert_eq!(best, [B]);
        let honest = asked(Distance::Loss, |peer| {
            announce(peer, A, f32::NEG_INFINITY);
            announce(peer, B, -1e30);
            announce(peer, C, 0.9);
            announce(peer, A, f32::NAN);
        });
        assert_eq!(honest, [A, B, C], "an impossible loss counts as the farthest known, which is all there is");
    }

    /// Each is held against the whole log; and who says what it has once a second is always heard.
    #[test]
    fn a_flood_of_digests_is_answered_at_a_pace() {
        let mut config = Config::default();
        config.gossip.company = 5;
        let schema = Schema { tensors: Vec::new() }.hash();
        let context = Context { run: RunId(Hash::ZERO), schema, parameters: 1, codec: &DenseF32, limits: Limits::OFF };
        let mut peer = Peer::new(config, context, Identity::from_seed(&[1; 32]), 1, 1);
        peer.handle(Time(0), Input::Start);
        peer.handle(Time(0), Input::Connected { peer: A });
        while peer.next_output().is_some() {}
        let mut answers = |at: Span, digests: usize| {
            let message = Message::Digest {
                heard: VersionVector::new(),
                excluded: Vec::new(),
                salt: 0,
                marks: Vec::new(),
                base_hash: None,
                answer: true,
            };
            for _ in 0..digests {
                peer.handle(Time(0) + at, Input::Message { from: A, message: message.clone() });
            }
            let answer = |output: &Output| matches!(output, Output::Send { message: Message::Digest { .. }, .. });
            std::iter::from_fn(|| peer.next_output()).filter(answer).count()
        };
        assert!((1..=300).contains(&answers(Span(0), 10_000)));
        assert!((1..=210).contains(&answers(Span::from_secs(1), 10_000)));
        assert!((2..60).all(|second| answers(Span::from_secs(second), 1) == 1));
    }

    #[test]
    fn near_is_who_answered_soonest() {
        let soonest = asked(Distance::RoundTrip, |peer| {
            answer(peer, C, 20);
            answer(peer, A, 400);
        });
        assert_eq!(soonest, [C], "B has not answered at all");
    }
}
