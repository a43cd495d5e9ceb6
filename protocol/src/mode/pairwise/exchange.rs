//! With whom and when, and the messages of an edge.
//!
//! ```text
//! leader -> follower   ExchangeSay        repeated until it is answered
//! follower -> leader   ExchangeAnswer     repeated when it is asked again, and before leaving
//! follower -> leader   ExchangeAsk        "our turn": its partner rule chose the leader
//! leader -> follower   ExchangeDone       the answer came a second time: no need to repeat it
//! follower -> leader   ExchangeLost       of that epoch it knows nothing: begin another
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::edge::{Answered, Edge, Heard, Name, Then, name_of};
use super::{Meeting, Met, Said, codec_of};
use crate::config::Mode;
use crate::event::Event;
use crate::fixed::{WEIGHT_BITS, Weight};
use crate::id::PeerId;
use crate::learner::Command;
use crate::mode::incremental::Pending;
use crate::peer::Peer;
use crate::time::Span;
use crate::wire::{Exchange, Message, Part};

/// Edges that are kept: two vectors each. As many as a peer may have neighbours.
const EDGES_MAX: usize = 64;
/// Commands about edges in the learner's line with which no further exchange begins: a part and a meeting of each edge. It takes 256, and edges
/// that are at work already bring no more than [`EDGES_MAX`] beyond this. What does not begin comes again.
const EDGE_COMMANDS_MAX: usize = 2 * EDGES_MAX;
/// An exchange that is not answered for so long is said again, at the next tick.
const AGAIN_AFTER: Span = Span::from_millis(500);
/// Exchanges that the other end of an edge may begin in a round of ours: a peer that is faster, or a liar, draws us no
/// more often.
const BEGUN_BY_OTHERS_MAX: u32 = 4;
/// Others whose beginnings are counted in a round of ours. guess: far more than a peer has neighbours in a round, if nobody comes and goes by ever
/// new names; whoever is beyond it waits for the next.
const BEGINNERS_MAX: usize = 1024;
/// A neighbour that has taken so many rounds has a model worth taking before we begin. guess.
const LATE_ROUNDS: u64 = 10;
/// Neighbours that are asked for theirs.
const MODELS_ASKED_MAX: usize = 3;
/// A peer that rests counts as agreed with its neighbours after so many exchanges in a row at which
const AGREED_EXCHANGES: u32 = 4;
/// replicas were no further apart than this share of the model, guess;
const AGREED_SHARE: f32 = 0.02;
/// or after so many ticks: a clipped merge may never bring them closer.
const AGREED_TICKS: u32 = 16;

/// The edges of a peer. Idle in other modes.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    edges: BTreeMap<PeerId, Edge>,
    /// Epochs that we as a leader have begun, over all edges: one that is new is greater than any before.
    epochs: u64,
    rounds: u64,
    exchanges: u64,
    /// Halves that the learner has yet to do.
    meeting: usize,
    close: u32,
    /// Ticks since the last step.
    rested: u32,
    /// Who was asked for a model before we began.
    asked: BTreeSet<PeerId>,
    has_model: bool,
    /// How often each neighbour has begun something in this round of ours.
    begun: BTreeMap<PeerId, u32>,
}

impl Pairs {
    pub(crate) fn exchanges(&self) -> u64 {
        self.exchanges
    }

    /// Takes one of the beginnings that a neighbour has in a round of ours, in whatever edge or epoch.
    fn lets_begin(&mut self, peer: PeerId) -> bool {
        if self.begun.len() >= BEGINNERS_MAX && !self.begun.contains_key(&peer) {
            return false;
        }
        let begun = self.begun.entry(peer).or_default();
        *begun = begun.saturating_add(1);
        *begun <= BEGUN_BY_OTHERS_MAX
    }

    /// We have a model of our own: nobody else's is taken.
    pub(crate) fn keep_model(&mut self) {
        self.has_model = true;
    }
}

// Beginning.
impl Peer {
    pub(crate) fn in_pairs(&self) -> bool {
        self.config.gossip.mode == Mode::Pairwise && self.config.gossip.enabled
    }

    /// One round: an exchange with whom the partner rule chooses, if that edge is free.
    pub(crate) fn exchange(&mut self) {
        self.pairs.rounds += 1;
        self.pairs.begun.clear();
        self.repeat_exchanges(false);
        let Some(partner) = self.choose_partner() else { return };
        if self.origin.peer < partner {
            self.begin_exchange(partner);
        } else {
            self.send(partner, Message::ExchangeAsk);
        }
    }

    /// As the leader.
    fn begin_exchange(&mut self, follower: PeerId) {
        let now = self.now;
        let Some(life) = self.life_of(follower).filter(|_| self.has_room_to_begin()) else { return };
        if self.pairs.edges.get(&follower).is_some_and(|edge| edge.name.1 < life) {
            self.forget_edge(follower);
        }
        if !self.pairs.edges.contains_key(&follower) {
            self.pairs.epochs += 1;
            let name = (self.origin.incarnation, life, self.pairs.epochs);
            if !self.open_edge(follower, name) {
                return;
            }
        }
        let load = self.load();
        let Some(edge) = self.pairs.edges.get_mut(&follower) else { return };
        if let Some(seq) = edge.begin(load, now) {
            let name = edge.name;
            self.ask_learner(follower, name, seq);
        }
    }

    /// Whether the learner's line has room for another exchange: edges of ever new neighbours, or ever new epochs of old ones, are dropped and
    /// opened as fast as they are said, and the learner is at a step.
    fn has_room_to_begin(&self) -> bool {
        let of_edges = |pending: &Pending| {
            matches!(pending, Pending::EdgeSay { .. } | Pending::EdgeMeet { .. } | Pending::EdgeForget)
        };
        self.schedule.queued(of_edges) < EDGE_COMMANDS_MAX
    }

    /// Exchanges on their way to neighbours that are there, and one more.
    fn load(&self) -> u8 {
        let busy = |(peer, edge): &(&PeerId, &Edge)| edge.is_busy() && self.members.neighbour(**peer).is_some();
        let busy = self.pairs.edges.iter().filter(busy).count() + self.pairs.meeting;
        u8::try_from(busy + 1).unwrap_or(u8::MAX)
    }

    /// Which life of a neighbour we speak to, by its own words.
    fn life_of(&self, peer: PeerId) -> Option<u64> {
        self.members.neighbour(peer)?.status.as_ref().map(|status| status.incarnation)
    }

    fn ask_learner(&mut self, edge: PeerId, name: Name, seq: u64) {
        let codec = codec_of(seq, self.context.codec);
        self.issue(Command::EdgeSay { edge, fresh: seq == 1, codec }, Pending::EdgeSay { edge, name, seq });
    }

    /// Makes room where there is none; whether the edge is there.
    fn open_edge(&mut self, peer: PeerId, name: Name) -> bool {
        if self.pairs.edges.len() >= EDGES_MAX && !self.pairs.edges.contains_key(&peer) {
            // Settled ones first: dropping half an exchange loses the other half.
            let free = |(&other, edge): (&PeerId, &Edge)| {
                let linked = self.members.neighbour(other).is_some();
                (!linked || edge.is_settled()).then_some((!edge.is_settled(), linked, edge.used, other))
            };
            let Some((.., oldest)) = self.pairs.edges.iter().filter_map(free).min() else { return false };
            self.forget_edge(oldest);
        }
        self.pairs.edges.insert(peer, Edge::new(name, self.now));
        true
    }

    fn forget_edge(&mut self, edge: PeerId) {
        self.pairs.edges.remove(&edge);
        self.issue(Command::EdgeForget { edge }, Pending::EdgeForget);
    }

    /// The learner has encoded our part of an exchange.
    pub(crate) fn edge_said(&mut self, peer: PeerId, name: Name, seq: u64, said: &Said) {
        let now = self.now;
        let Some(edge) = self.pairs.edges.get_mut(&peer) else { return };
        let then = edge.said(name, seq, said, now);
        let exchange = edge.exchange(seq);
        match then {
            Then::Nothing => return,
            Then::Say(part) => self.send(peer, Message::ExchangeSay { exchange, part }),
            Then::Answer { ours, theirs } => {
                self.send(peer, Message::ExchangeAnswer { exchange, part: ours.clone() });
                self.meet(peer, exchange, ours, theirs);
            }
        }
        self.counters.payload_bytes_said += said.payload.len() as u64;
        self.counters.base_norm = said.base_norm;
    }

    /// Both payloads are known: our half of the exchange.
    fn meet(&mut self, edge: PeerId, exchange: Exchange, ours: Part, theirs: Part) {
        let payload_bytes = ours.payload.len();
        let load = ours.load.max(theirs.load);
        self.pairs.meeting += 1;
        let gossip = &self.config.gossip;
        let meeting = Meeting {
            edge,
            codec: codec_of(exchange.seq, self.context.codec),
            ours,
            theirs,
            gamma: gamma(gossip.gain, load),
            merge: gossip.merge,
            opening: exchange.seq == 1,
        };
        self.issue(Command::EdgeMeet(Box::new(meeting)), Pending::EdgeMeet { edge, exchange, payload_bytes });
    }

    pub(crate) fn edge_met(&mut self, peer: PeerId, exchange: Exchange, payload_bytes: usize, met: &Met) {
        let disagreement = met.distance / self.counters.base_norm.max(f32::MIN_POSITIVE);
        self.pairs.exchanges += 1;
        self.pairs.meeting = self.pairs.meeting.saturating_sub(1);
        self.pairs.close = if disagreement <= AGREED_SHARE { self.pairs.close.saturating_add(1) } else { 0 };
        self.counters.disagreement = disagreement;
        self.event(Event::Exchanged { peer, exchange, payload_bytes, disagreement, clipped: met.clipped });
    }
}

/// The share of the way that both ends go: gain, and less where one of them has more exchanges on their way. All of them are said
/// of one model: k ends that meet it half-way at once move it by k/2 of the distance (measured on digits, 16 peers: diverges).
/// With 2/(1 + load), as the weights of Metropolis and Hastings, k of them move it by less than twice the distance up to
/// k = 10.
fn gamma(gain: f32, load: u8) -> Weight {
    let share = f64::from(gain) * 2.0 / (1.0 + f64::from(load.max(1)));
    let raw = (share * f64::from(1u32 << WEIGHT_BITS)).round();
    Weight::from_raw((raw as u32).clamp(1, Weight::ONE.raw())).unwrap_or(Weight::HALF)
}

// Hearing.
impl Peer {
    /// Whether exchanges of others are taken up: not before we have a model, nor after the last evaluation.
    fn takes_part(&self) -> bool {
        !self.session.is_joining() && !self.session.is_finishing()
    }

    pub(crate) fn hear_exchange_ask(&mut self, from: PeerId) {
        if self.origin.peer < from && self.takes_part() && self.pairs.lets_begin(from) {
            self.begin_exchange(from);
        }
    }

    pub(crate) fn hear_exchange_say(&mut self, from: PeerId, exchange: Exchange, part: &Part) {
        let (now, name, seq) = (self.now, name_of(&exchange), exchange.seq);
        if from >= self.origin.peer || exchange.follower != self.origin.incarnation {
            return; // Said to another life of ours, or by who is not to lead.
        }
        if !self.is_payload(from, seq, &part.payload) {
            return;
        }
        let known = self.pairs.edges.get(&from).map(|edge| edge.name);
        let fresh = known.is_none_or(|known| known < name);
        if fresh && seq > 1 {
            if self.takes_part() {
                self.send(from, Message::ExchangeLost { exchange });
            }
            return;
        }
        let next = |edge: &Edge| edge.name == name && edge.current().seq < seq;
        let begins = fresh || self.pairs.edges.get(&from).is_some_and(next);
        if begins && !(self.takes_part() && self.has_room_to_begin() && self.pairs.lets_begin(from)) {
            return; // It comes again.
        }
        if fresh && !self.open_edge(from, name) {
            return;
        }
        let load = self.load();
        let Some(edge) = self.pairs.edges.get_mut(&from).filter(|edge| edge.name == name) else { return };
        match edge.hear_say(seq, part, load, now) {
            Heard::Next => self.ask_learner(from, name, seq),
            Heard::Again(part) => self.send(from, Message::ExchangeAnswer { exchange, part }),
            Heard::Lost => self.send(from, Message::ExchangeLost { exchange }),
            Heard::Nothing => {}
        }
    }

    pub(crate) fn hear_exchange_answer(&mut self, from: PeerId, exchange: Exchange, part: Part) {
        let now = self.now;
        if from <= self.origin.peer || !self.is_payload(from, exchange.seq, &part.payload) {
            return;
        }
        let edge = self.pairs.edges.get_mut(&from).filter(|edge| edge.name == name_of(&exchange));
        // Of an epoch that is over nothing is to come.
        match edge.map_or(Answered::Again, |edge| edge.hear_answer(exchange.seq, now)) {
            Answered::Meet { ours } => self.meet(from, exchange, ours, part),
            Answered::Again => self.send(from, Message::ExchangeDone { exchange }),
            Answered::Nothing => {}
        }
    }

    pub(crate) fn hear_exchange_done(&mut self, from: PeerId, exchange: &Exchange) {
        if let Some(edge) = self.pairs.edges.get_mut(&from).filter(|edge| edge.name == name_of(exchange)) {
            edge.hear_done(exchange.seq);
            self.settle(false);
        }
    }

    /// The follower has no such edge (any more): what is open there is void, and the next exchange opens another epoch.
    pub(crate) fn hear_exchange_lost(&mut self, from: PeerId, exchange: &Exchange) {
        let open = self.pairs.edges.get(&from).and_then(Edge::unanswered);
        if self.origin.peer < from && open.is_some_and(|(open, _)| open == *exchange) {
            self.forget_edge(from);
        }
    }

    /// Whether the payload decodes; says so if not.
    fn is_payload(&mut self, from: PeerId, seq: u64, payload: &[u8]) -> bool {
        let codec = codec_of(seq, self.context.codec);
        let outcome = codec.decode(payload, self.context.parameters, Weight::ONE, &mut self.scratch);
        if let Err(reason) = outcome {
            self.counters.deltas_refused += 1;
            self.event(Event::ExchangeRefused { from, reason });
            return false;
        }
        true
    }
}

// Repeating, joining, leaving.
impl Peer {
    /// Once a tick, in place of anti-entropy.
    pub(crate) fn tick_pairs(&mut self) {
        if self.is_done() && self.takes_part() {
            self.pairs.rested = self.pairs.rested.saturating_add(1);
            self.exchange();
        } else {
            self.repeat_exchanges(false);
        }
    }

    /// Says again what was not answered; where a peer is about to leave, answers too of which it does not know whether
    /// they have arrived.
    pub(crate) fn repeat_exchanges(&mut self, leaving: bool) {
        let now = self.now;
        let mut stale = Vec::new();
        let mut again = Vec::new();
        for (&peer, edge) in &mut self.pairs.edges {
            let Some(neighbour) = self.members.neighbour(peer) else { continue };
            if let Some((exchange, part)) = edge.unanswered() {
                if neighbour.status.as_ref().is_some_and(|status| status.incarnation > exchange.follower) {
                    stale.push(peer);
                } else if now - edge.said_at >= AGAIN_AFTER {
                    edge.said_at = now;
                    again.push((peer, Message::ExchangeSay { exchange, part }));
                }
            } else if let Some((exchange, part)) = edge.unconfirmed().filter(|_| leaving) {
                again.push((peer, Message::ExchangeAnswer { exchange, part }));
            }
        }
        again.into_iter().for_each(|(to, message)| self.send(to, message));
        // Who was meant is gone, with its half.
        stale.into_iter().for_each(|peer| self.forget_edge(peer));
    }

    /// Whether every exchange with those that are there is whole.
    pub(crate) fn pairs_settled(&self) -> bool {
        self.pairs.edges.iter().all(|(&peer, edge)| edge.is_settled() || self.members.neighbour(peer).is_none())
    }

    /// Whether our last exchanges found no more than a small distance, or there were enough of them.
    pub(crate) fn pairs_agree(&self) -> bool {
        self.members.neighbour_count() == 0 || self.pairs.close >= AGREED_EXCHANGES || self.pairs.rested >= AGREED_TICKS
    }

    /// Before we begin, among peers that have: takes the model of one of them.
    pub(crate) fn ask_model(&mut self) {
        if !self.session.is_joining() || self.pairs.has_model || self.pairs.asked.len() >= MODELS_ASKED_MAX {
            return;
        }
        let far = LATE_ROUNDS * u64::from(self.config.gossip.steps.max(1));
        let ahead = self.members.neighbours().find(|(peer, neighbour)| {
            !self.pairs.asked.contains(peer) && neighbour.status.as_ref().is_some_and(|status| status.steps >= far)
        });
        if let Some((peer, _)) = ahead.filter(|_| !self.snapshots.is_taking()) {
            self.pairs.asked.insert(peer);
            self.ask_snapshot(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Input;
    use crate::mode::incremental::alone::Alone;

    #[test]
    fn the_other_side_begins_so_often_in_a_round_of_ours_and_nobody_else_pays_for_it() {
        let mut pairs = Pairs::default();
        let [one, other] = [1, 2].map(|byte| PeerId([byte; 32]));
        let lets = |pairs: &mut Pairs, peer| (0..10).filter(|_| pairs.lets_begin(peer)).count();
        assert_eq!(lets(&mut pairs, one), BEGUN_BY_OTHERS_MAX as usize);
        assert_eq!(lets(&mut pairs, other), BEGUN_BY_OTHERS_MAX as usize);
        pairs.begun.clear();
        assert!(pairs.lets_begin(one), "the next round");
        let let_begin = (0..5000).filter(|&number| pairs.lets_begin(leader(number))).count();
        assert_eq!((let_begin, pairs.begun.len()), (BEGINNERS_MAX - 1, BEGINNERS_MAX), "names that are made up");
        assert!(pairs.lets_begin(one), "who is known goes on");
    }

    /// Less than any key: it may lead.
    fn leader(number: u16) -> PeerId {
        let mut id = [0; 32];
        id[1..3].copy_from_slice(&number.to_le_bytes());
        PeerId(id)
    }

    fn opening(peer: &Peer, epoch: u64) -> Message {
        let mut payload = Vec::new();
        codec_of(1, peer.context.codec).encode(&[0.5], &mut payload);
        let part = Part { load: 1, learnt: 1, payload: payload.into() };
        Message::ExchangeSay { exchange: Exchange { leader: 1, follower: 1, epoch, seq: 1 }, part }
    }

    /// Each name opens an edge for which another is let go of, and each is a command or two for a learner that takes 256.
    #[test]
    fn ever_new_names_do_not_fill_the_learners_line() {
        let mut alone = Alone::with(|config| config.gossip.mode = Mode::Pairwise);
        let before = alone.queue.len();
        let message = opening(&alone.peer, 1);
        for number in 0..2000_u16 {
            let leader = leader(number);
            alone.input(Input::Connected { peer: leader });
            alone.input(Input::Message { from: leader, message: message.clone() });
            alone.input(Input::Disconnected { peer: leader });
        }
        let queued = alone.queue.len() - before;
        assert!((EDGES_MAX..=EDGE_COMMANDS_MAX + 2).contains(&queued), "{queued} commands while it is at a step");
        assert!(alone.peer.pairs.edges.len() <= EDGES_MAX);
    }

    /// As many as a peer has, each of which says four epochs at once.
    #[test]
    fn sixty_four_neighbours_that_begin_anew_do_not_fill_the_learners_line() {
        let mut alone = Alone::with(|config| config.gossip.mode = Mode::Pairwise);
        let before = alone.queue.len();
        let leaders: Vec<PeerId> = (0..64).map(leader).collect();
        leaders.iter().for_each(|&peer| alone.input(Input::Connected { peer }));
        for epoch in 1..=4 {
            let message = opening(&alone.peer, epoch);
            leaders.iter().for_each(|&from| alone.input(Input::Message { from, message: message.clone() }));
        }
        let queued = alone.queue.len() - before;
        assert!((EDGES_MAX..=EDGE_COMMANDS_MAX + 2).contains(&queued), "{queued} commands while it is at a step");
    }

    #[test]
    fn ever_new_epochs_draw_no_more_than_their_share() {
        let mut alone = Alone::with(|config| config.gossip.mode = Mode::Pairwise);
        let leader = PeerId([0; 32]); // Less than any key: it may lead.
        alone.input(Input::Connected { peer: leader });
        for epoch in 1..=50 {
            let message = opening(&alone.peer, epoch);
            alone.input(Input::Message { from: leader, message });
        }
        let drawn = alone.queue.iter().filter(|command| matches!(command, Command::EdgeSay { .. })).count();
        assert_eq!(drawn, BEGUN_BY_OTHERS_MAX as usize);
    }
}
