//! Two honest peers, and liars that say one thing to each.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::alone::{Alone, delta, identity};
use super::FORKS_ASKED_MAX;
use crate::codec::DenseF32;
use crate::config::Config;
use crate::event::{Event, Input, Output, Timer};
use crate::id::{Hash, Origin, PeerId, RunId};
use crate::log::{Context, Delta, SignedDelta};
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

/// A chain of a liar: from there on so many, of which those at these numbers alone are signed.
fn chain(two: &Two, (first, previous): (u64, Hash), length: u64, value: f32, signed: &[u64]) -> Vec<Arc<SignedDelta>> {
    let mut previous = previous;
    let numbers = first..first + length;
    numbers
        .map(|seq| {
            let delta = delta(&two.peers[0], &identity(0), (seq, previous), value);
            previous = delta.hash();
            let mut said = SignedDelta::clone(delta.signed());
            if !signed.contains(&seq) {
                said.signature = [1; 64];
            }
            Arc::new(said)
        })
        .collect()
}

impl Two {
    /// One of them hears these, in messages as long as given.
    fn hear_chain(&mut self, i: usize, chain: &[Arc<SignedDelta>], lengths: &[usize]) {
        let (from, mut rest) = (self.id(1 - i), chain);
        for &length in lengths {
            let (message, behind) = rest.split_at(length);
            self.input(i, Input::Message { from, message: Message::Deltas(message.to_vec()) });
            rest = behind;
        }
        let last = chain.last().expect("it has one").header.seq;
        assert_eq!(self.peers[i].log.heard().get(&origin(0)), last, "all of it is taken");
    }

    /// The sets have one name, and the chains one end, without the liar's two stories.
    fn are_one_again(&mut self, from: u64) {
        for i in 0..2 {
            assert_eq!(self.peers[i].trust_view().excluded, [(origin(0), from)], "peer {i}");
        }
        let sets = [0, 1].map(|i| (self.peers[i].log.set_hash(), self.peers[i].log.heads()));
        assert_eq!(sets[0], sets[1]);
        let wants = self.wants.len();
        self.digests();
        assert_eq!(self.wants.len(), wants, "what is the same is asked for by nobody");
    }
}

/// Of what travels together the last one's signature alone is looked at, so that a liar need not sign what it says first.
#[test]
fn whoever_signs_only_what_comes_after_its_lie_is_excluded_from_the_lie_on() {
    for length in [2, 64] {
        let mut two = Two::new(|_| {});
        let chains = [1.0, 2.0].map(|value| chain(&two, (1, Hash::ZERO), length, value, &[length]));
        (0..2).for_each(|i| two.hear_chain(i, &chains[i], &[length as usize]));
        (0..3).for_each(|_| two.digests());
        two.are_one_again(1);
        assert!(!two.peers[0].log.heard().names(identity(0).peer_id()));
    }
}

/// Nor do the signed ones of both stories have to have one number, or numbers beside each other.
#[test]
fn whoever_signs_its_two_stories_at_different_numbers_is_excluded_all_the_same() {
    let mut two = Two::new(|_| {});
    let here = chain(&two, (1, Hash::ZERO), 64, 1.0, &[64]);
    let there = chain(&two, (1, Hash::ZERO), 96, 2.0, &[32, 96]);
    two.hear_chain(0, &here, &[64]);
    two.hear_chain(1, &there, &[32, 64]);
    (0..4).for_each(|_| two.digests());
    two.are_one_again(1);
}

/// A long lie is gone back through message by message, to where both stories are one.
#[test]
fn a_long_fork_is_left_out_from_where_it_begins_or_a_little_before() {
    let mut two = Two::new(|_| {});
    let common = chain(&two, (1, Hash::ZERO), 100, 1.0, &[50, 100]);
    let begin = (101, Delta::check(&two.peers[0].context, common[99].clone(), &mut Default::default()).unwrap().hash());
    for (i, value) in [1.0, 2.0].into_iter().enumerate() {
        two.hear_chain(i, &common, &[50, 50]);
        two.hear_chain(i, &chain(&two, begin, 200, value, &[150, 200, 250, 300]), &[50, 50, 50, 50]);
    }
    (0..8).for_each(|_| two.digests());
    let from = two.peers[0].trust_view().excluded[0].1;
    assert!((101 - 63..=101).contains(&from), "{from}");
    two.are_one_again(from);
}
