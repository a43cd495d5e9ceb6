//! Two honest peers, and liars that say one thing to each.

use std::collections::VecDeque;

use super::super::alone::{Alone, delta, identity};
use super::FORKS_ASKED_MAX;
use crate::codec::DenseF32;
use crate::config::Config;
use crate::event::{Event, Input, Output, Timer};
use crate::id::{Hash, Origin, PeerId, RunId};
use crate::log::{Context, Delta};
use crate::peer::Peer;
use crate::schema::Schema;
use crate::time::{Span, Time};
use crate::trust::{Identity, Limits};
use crate::wire::Message;

/// Names in both sets.
const NAMES: u32 = 2000;

/// Two neighbours, between which every message passes at once. Their learners never answer.
struct Two {
    peers: [Peer; 2],
    now: Time,
    events: Vec<Event>,
    /// The numbers that one of them asked the other for because of its marks.
    wants: Vec<Vec<Origin>>,
}

impl Two {
    fn new(change: impl Fn(&mut Config)) -> Self {
        let peer = |seed: u8| {
            let mut config = Config::default();
            change(&mut config);
            let schema = Schema { tensors: Vec::new() }.hash();
            let context =
                Context { run: RunId(Hash::ZERO), schema, parameters: 1, codec: &DenseF32, limits: Limits::OFF };
            Peer::new(config, context, Identity::from_seed(&[seed; 32]), 1, u64::from(seed))
        };
        let mut two = Self { peers: [peer(1), peer(2)], now: Time(0), events: Vec::new(), wants: Vec::new() };
        for i in 0..2 {
            let other = two.id(1 - i);
            two.input(i, Input::Start);
            two.input(i, Input::Connected { peer: other });
        }
        two
    }

    fn id(&self, i: usize) -> PeerId {
        self.peers[i].origin().peer
    }

    /// All that follows from it, on both sides.
    fn input(&mut self, i: usize, input: Input) {
        let mut inputs = VecDeque::from([(i, input)]);
        while let Some((i, input)) = inputs.pop_front() {
            self.peers[i].handle(self.now, input);
            while let Some(output) = self.peers[i].next_output() {
                match output {
                    Output::Send { to, message } if to == self.id(1 - i) => {
                        if let Message::Want(ranges) = &message {
                            self.wants.push(ranges.iter().map(|range| range.origin).collect());
                        }
                        inputs.push_back((1 - i, Input::Message { from: self.id(i), message }));
                    }
                    Output::Event(event) => self.events.push(event),
                    _ => {}
                }
            }
        }
    }

    /// One of them hears that.
    fn hear(&mut self, i: usize, delta: &Delta) {
        let from = self.id(1 - i);
        self.input(i, Input::Message { from, message: Message::Delta(delta.signed().clone()) });
    }

    /// Both hear of a name; of a liar's each hears something else.
    fn name(&mut self, number: u32, lies: bool) {
        let said = |value| delta(&self.peers[0], &identity(number), (1, Hash::ZERO), value);
        let said = [said(1.0), said(if lies { 2.0 } else { 1.0 })];
        said.iter().enumerate().for_each(|(i, delta)| self.hear(i, delta));
    }

    /// A second, at whose end each says what it has.
    fn digests(&mut self) {
        self.now = self.now + Span::from_secs(1);
        (0..2).for_each(|i| self.input(i, Input::Timer(Timer::AntiEntropy)));
    }

    fn excluded(&self, i: usize) -> Vec<PeerId> {
        self.peers[i].trust_view().excluded.iter().map(|(about, _)| about.peer).collect()
    }

    /// Of which numbers it was told that the sets differ.
    fn apart(&self) -> Vec<(Origin, u64)> {
        let of = |event: &Event| match event {
            Event::HeadMismatch { origin, seq, .. } => Some((*origin, *seq)),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }
}

fn origin(number: u32) -> Origin {
    Origin { peer: identity(number).peer_id(), incarnation: 1 }
}

/// By one head a digest, drawn from all, it took half an hour, and the logs had let go of the proof by then.
#[test]
fn a_fork_behind_two_thousand_names_is_found_at_the_next_digest() {
    let mut two = Two::new(|_| {});
    (0..NAMES).for_each(|number| two.name(number, number == 1000));
    assert_eq!(two.peers[0].log.heard(), two.peers[1].log.heard(), "the sets have one name");
    assert_eq!(two.excluded(0), []);
    two.digests();
    for i in 0..2 {
        assert_eq!(two.excluded(i), [identity(1000).peer_id()]);
    }
    let sets = [0, 1].map(|i| two.peers[i].view().heard);
    assert_eq!(sets[0], sets[1]);
    let wants = two.wants.len();
    two.digests();
    assert_eq!(two.wants.len(), wants, "what is the same is asked for by nobody");
    assert_eq!(two.apart(), []);
}

#[test]
fn of_many_forks_some_are_asked_for_at_each_digest_and_all_are_found() {
    let mut two = Two::new(|_| {});
    (0..100).for_each(|number| two.name(number, number % 2 == 0));
    (0..10).for_each(|_| two.digests());
    for i in 0..2 {
        assert_eq!(two.excluded(i).len(), 50);
    }
    assert!(two.wants.iter().all(|wants| wants.len() <= FORKS_ASKED_MAX));
    assert_eq!(two.wants.iter().map(Vec::len).max(), Some(FORKS_ASKED_MAX));
}

/// A liar may begin as many lives as it likes, and say two things in each.
#[test]
fn of_the_lives_of_one_liar_one_is_asked_for() {
    let mut two = Two::new(|_| {});
    for incarnation in 1..=200 {
        for i in 0..2 {
            let mut header = delta(&two.peers[0], &identity(0), (1, Hash::ZERO), 1.0 + i as f32).header().clone();
            header.origin.incarnation = incarnation;
            let payload = header.l2_norm.to_le_bytes().to_vec();
            let delta = Delta::sign(&two.peers[0].context, header, payload, &identity(0));
            two.hear(i, &delta);
        }
    }
    two.name(1, true);
    two.digests();
    assert_eq!(two.wants[0].len(), 2, "{:?}", two.wants[0]);
    let liars = [identity(0).peer_id(), identity(1).peer_id()];
    assert!((0..2).all(|i| liars.iter().all(|liar| two.excluded(i).contains(liar))));
}

/// Behind the logs nobody can prove it. It is told of, however often it shows, once a minute.
#[test]
fn a_fork_that_has_left_the_logs_is_named() {
    let mut two = Two::new(|config| config.gossip.log_bytes_max = 0);
    (0..10).for_each(|number| two.name(number, number == 5));
    (0..10).for_each(|_| two.digests());
    assert_eq!(two.apart(), [(origin(5), 1); 2], "by each of the two");
    assert!(two.wants.is_empty() && two.excluded(0).is_empty());
    (0..60).for_each(|_| two.digests());
    assert_eq!(two.apart().len(), 4);
}

/// Whoever hangs up and comes back by another name tells no more for it.
#[test]
fn people_are_told_of_no_more_than_they_can_read() {
    let mut alone = Alone::with(|config| (config.gossip.join_grace, config.gossip.log_bytes_max) = (Span(0), 0));
    let mut told = 0;
    for number in 0..200 {
        let peer = identity(number).peer_id();
        alone.input(Input::Connected { peer });
        let said = delta(&alone.peer, &identity(0), (1, Hash::ZERO), 1.0);
        alone.input(Input::Message { from: peer, message: Message::Delta(said.signed().clone()) });
        let heard = alone.peer.log.heard().clone();
        let marks = vec![[0; crate::log::MARK_BYTES]; heard.len()];
        let digest = Message::Digest { heard, excluded: Vec::new(), salt: 1, marks, base_hash: None, answer: false };
        alone.peer.handle(alone.now, Input::Message { from: peer, message: digest });
        let events = std::iter::from_fn(|| alone.peer.next_output());
        told += events.filter(|output| matches!(output, Output::Event(Event::HeadMismatch { .. }))).count();
        alone.input(Input::Disconnected { peer });
    }
    assert_eq!(told, 16);
}

/// Marks of nothing are one offer to talk, and no more: a liar's digest makes nobody look bad but itself.
#[test]
fn marks_that_are_made_up_cost_a_question() {
    let mut alone = Alone::with(|config| config.gossip.join_grace = Span(0));
    let liar = PeerId([7; 32]);
    alone.input(Input::Connected { peer: liar });
    for number in 0..100 {
        let said = delta(&alone.peer, &identity(number), (1, Hash::ZERO), 1.0);
        alone.input(Input::Message { from: liar, message: Message::Delta(said.signed().clone()) });
    }
    let heard = alone.peer.log.heard().clone();
    let marks = vec![[0; crate::log::MARK_BYTES]; heard.len()];
    let digest = Message::Digest { heard, excluded: Vec::new(), salt: 1, marks, base_hash: None, answer: false };
    alone.peer.handle(alone.now, Input::Message { from: liar, message: digest });
    let wants: Vec<usize> = std::iter::from_fn(|| alone.peer.next_output())
        .filter_map(|output| match output {
            Output::Send { to, message: Message::Want(ranges) } if to == liar => Some(ranges.len()),
            _ => None,
        })
        .collect();
    assert_eq!(wants, [FORKS_ASKED_MAX]);
    assert!(alone.peer.trust_view().excluded.is_empty());
}
