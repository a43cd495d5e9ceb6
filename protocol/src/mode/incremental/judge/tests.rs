//! Liars by the hundred: keys cost nothing to whoever may take part.

use std::sync::Arc;

use super::super::alone::{Alone, delta, identity};
use crate::event::{Event, Input, Output, Refused};
use crate::id::{Hash, Origin, PeerId};
use crate::learner::{Command, Computed, base_hash};
use crate::log::{Delta, Exclusions, Head, LIVES_TAKEN_MAX, SignedDelta};
use crate::time::{Span, Time};
use crate::trust::{Equivocation, Exclusion, Reason, Vote};
use crate::wire::{Message, ORIGINS_MAX};

pub(super) const NEIGHBOUR: PeerId = PeerId([7; 32]);
/// Batches that may stand in line; the learner's thread takes 256 commands.
const QUEUED_MAX: usize = 80;

/// A peer that trains, with a neighbour.
pub(super) fn peer() -> Alone {
    let mut alone = Alone::with(|config| config.gossip.join_grace = Span(0));
    alone.input(Input::Connected { peer: NEIGHBOUR });
    alone
}

pub(super) fn say(alone: &mut Alone, delta: &Delta) {
    alone.input(Input::Message { from: NEIGHBOUR, message: Message::Delta(delta.signed().clone()) });
}

/// Its first delta, and another one in its place.
pub(super) fn two_first_ones(alone: &Alone, number: u32) -> [Delta; 2] {
    let identity = identity(number);
    [1.0, 2.0].map(|value| delta(&alone.peer, &identity, (1, Hash::ZERO), value))
}

pub(super) fn record(alone: &Alone, number: u32) -> Exclusion {
    let [a, b] = two_first_ones(alone, number);
    Exclusion::of_proof(
        Equivocation::of(&alone.peer.context, &[a.signed().clone()], &[b.signed().clone()])
            .expect("they contradict each other"),
    )
}

pub(super) fn excluded(alone: &Alone) -> usize {
    alone.peer.trust_view().excluded.len()
}

/// Of one peer.
fn life(incarnation: u64) -> Origin {
    Origin { peer: identity(1).peer_id(), incarnation }
}

/// Puts lives on hold, the first from 0 on, until there is no hold left; returns how many.
pub(super) fn fill_holds(alone: &mut Alone) -> u64 {
    let mut holds = 0;
    while alone.peer.guard.has_room_for_a_hold() {
        alone.peer.guard.hold(life(holds), Reason::Norm, 1, Time(0), Time(1));
        holds += 1;
        assert!(holds <= 1000, "it never ends");
    }
    holds
}

#[test]
fn proofs_about_names_that_nobody_has_heard_fill_no_table() {
    let mut alone = peer();
    for number in 0..300 {
        let record = record(&alone, number);
        alone.input(Input::Message { from: NEIGHBOUR, message: Message::Exclusion(record) });
    }
    assert_eq!((excluded(&alone), alone.peer.log.excluded().len()), (0, 0));
    // Of whom it has heard it does take one.
    let [first, _] = two_first_ones(&alone, 0);
    say(&mut alone, &first);
    assert!(alone.peer.log.heard().names(first.origin().peer));
    let record = record(&alone, 0);
    alone.input(Input::Message { from: NEIGHBOUR, message: Message::Exclusion(record) });
    assert_eq!(excluded(&alone), 1);
    assert!(alone.peer.log.heard().is_empty(), "what it said is taken back");
    assert_eq!(alone.peer.log.set_hash(), alone.peer.log.heard().hash(), "and whoever never heard it has the same set");
    say(&mut alone, &first);
    assert!(alone.peer.log.heard().is_empty(), "and does not come in again");
}

#[test]
fn hundreds_that_contradict_themselves_do_not_fill_the_learners_queue() {
    let mut alone = peer();
    let before = alone.queue.len();
    for number in 0..1500 {
        for delta in two_first_ones(&alone, number) {
            say(&mut alone, &delta);
        }
    }
    assert!(alone.peer.log.heard().is_empty(), "all is taken back");
    let queued = alone.queue.len() - before;
    assert!(queued <= QUEUED_MAX, "{queued} commands while the learner is at a step");
    // Of the latest it is known that they lie; the set names none of them.
    assert!((1000..1100).contains(&excluded(&alone)), "{}", excluded(&alone));
    assert_eq!(alone.peer.log.excluded().len(), excluded(&alone));
    let [first, last] = [0, 1499].map(|number| identity(number).peer_id());
    assert_eq!([first, last].map(|peer| alone.peer.members.is_banned(peer)), [false, true]);
    // In the end the base holds as much of them as the log.
    alone.peer.flush_ready();
    let mut sum = 0_i64;
    while let Some(output) = alone.peer.next_output() {
        if let Output::Compute(command) = output {
            alone.queue.push_back(command);
        }
    }
    for command in &alone.queue {
        match command {
            Command::Apply { deltas } => sum += i64::try_from(deltas.len()).expect("few"),
            Command::Retract { deltas } => sum -= i64::try_from(deltas.len()).expect("few"),
            _ => {}
        }
    }
    assert_eq!(sum, 0);
}

/// Each snapshot is a copy of the base and a hash on the learner's thread, and takes what was heard before it into the line. Names cost nothing,
/// and so does hanging up.
#[test]
fn hundreds_that_ask_for_a_snapshot_and_hang_up_draw_one() {
    let mut alone = peer();
    let before = alone.queue.len();
    for number in 0..300 {
        let [first, _] = two_first_ones(&alone, number);
        say(&mut alone, &first);
        let peer = first.origin().peer;
        alone.input(Input::Connected { peer });
        alone.input(Input::Message { from: peer, message: Message::SnapshotAsk });
        alone.input(Input::Disconnected { peer });
    }
    let snapshots = |alone: &Alone| alone.queue.iter().filter(|c| matches!(c, Command::Snapshot)).count();
    assert_eq!(snapshots(&alone), 1);
    let queued = alone.queue.len() - before;
    assert!(queued <= 8, "{queued} commands while the learner is at a step");
    // Of something that is in it is found out meanwhile that it lies, so it cannot be given. Nobody waits: no other one is made.
    two_first_ones(&alone, 0).iter().for_each(|delta| say(&mut alone, delta));
    assert_eq!(excluded(&alone), 1);
    let result = Computed::Snapshot { base: vec![1], base_hash: base_hash(&[1]) };
    while !matches!(alone.queue.front(), Some(Command::Snapshot)) {
        match alone.queue.front().expect("it was asked for") {
            Command::Apply { .. } => {
                alone.queue.pop_front();
                alone.input(Input::Computed { result: Computed::Applied, took: Span(0) });
            }
            _ => drop(alone.answer()),
        }
    }
    alone.queue.pop_front();
    alone.input(Input::Computed { result: result.clone(), took: Span(0) });
    assert_eq!(snapshots(&alone), 0);
    // Who asks and stays is given one all the same.
    alone.input(Input::Message { from: NEIGHBOUR, message: Message::SnapshotAsk });
    assert_eq!(snapshots(&alone), 1);
}

/// Else a member that makes up names would cost a signature and a judgement each, for ever.
#[test]
fn a_set_that_is_full_looks_at_nothing_that_a_new_name_says() {
    let mut alone = peer();
    let filler = |i: u64| {
        let origin = Origin { peer: NEIGHBOUR, incarnation: i };
        Head { origin, seq: 1, hash: Hash([7; 32]), samples: 1 }
    };
    let heads: Vec<Head> = (1..ORIGINS_MAX as u64).map(filler).collect();
    alone.peer.log.adopt(&heads, &Exclusions::default());
    let [first, _] = two_first_ones(&alone, 0);
    let second = delta(&alone.peer, &identity(0), (2, first.hash()), 1.0);
    let spoiled = |delta: &Delta| {
        let mut signed = SignedDelta::clone(delta.signed());
        signed.signature[0] ^= 1;
        signed.payload[0] ^= 1;
        Arc::new(signed)
    };
    let chain = vec![spoiled(&first), spoiled(&second)];
    for message in [Message::Delta(spoiled(&first)), Message::Deltas(chain)] {
        alone.peer.handle(alone.now, Input::Message { from: NEIGHBOUR, message });
        let reasons: Vec<Refused> = std::iter::from_fn(|| alone.peer.next_output())
            .filter_map(|output| match output {
                Output::Event(Event::DeltaRefused { reason, .. }) => Some(reason),
                _ => None,
            })
            .collect();
        assert_eq!(reasons, [Refused::Origins { limit: LIVES_TAKEN_MAX }], "and not that it is spoiled");
    }
}

/// Who was left out from its second delta on, and from its first on when that shows to be a lie, too, is no longer in the set.
#[test]
fn who_goes_out_of_the_set_by_and_by_is_forgotten_as_well() {
    let mut alone = peer();
    for number in 0..1200 {
        let [first, other] = two_first_ones(&alone, number);
        let second = [3.0, 4.0].map(|value| delta(&alone.peer, &identity(number), (2, first.hash()), value));
        [&first, &second[0], &second[1], &other].into_iter().for_each(|delta| say(&mut alone, delta));
    }
    assert!(alone.peer.log.heard().is_empty(), "{}", alone.peer.log.heard().len());
    assert!((1000..1100).contains(&excluded(&alone)), "{}", excluded(&alone));
    assert_eq!(alone.peer.log.excluded().len(), excluded(&alone));
}

/// A head holds 256 records, and whoever is given more takes its giver for a liar.
#[test]
fn a_snapshot_leaves_out_no_more_than_a_head_holds() {
    let mut alone = peer();
    for number in 0..400 {
        let [first, _] = two_first_ones(&alone, number);
        say(&mut alone, &first);
        if number >= 100 {
            let second = [3.0, 4.0].map(|value| delta(&alone.peer, &identity(number), (2, first.hash()), value));
            second.iter().for_each(|delta| say(&mut alone, delta));
        } else {
            let [_, other] = two_first_ones(&alone, number);
            say(&mut alone, &other);
        }
    }
    assert_eq!((excluded(&alone), alone.peer.log.heard().len()), (400, 300));
    let given = alone.peer.exclusions_to_give();
    assert_eq!(given.len(), crate::trust::RECORDS_MAX);
    assert!(given.iter().all(|record| alone.peer.log.heard().names(record.about.peer)), "those in the set come first");
}

#[test]
fn what_was_heard_waits_for_a_learner_that_takes_long() {
    let mut alone = peer();
    let before = alone.queue.len();
    let heard = delta(&alone.peer, &identity(1), (1, Hash::ZERO), 0.0);
    for _ in 0..200_000 {
        alone.peer.apply(vec![heard.clone()]);
        alone.peer.pump();
    }
    let mut commands = 0;
    while let Some(output) = alone.peer.next_output() {
        commands += usize::from(matches!(output, Output::Compute(_)));
    }
    let queued = alone.queue.len() - before + commands;
    assert!(queued <= QUEUED_MAX, "{queued} commands");
}

#[test]
fn records_are_passed_on_at_a_pace_and_the_others_with_the_digests() {
    let mut alone = peer();
    let mut passed_on = 0;
    for number in 0..200 {
        for delta in two_first_ones(&alone, number) {
            let message = Message::Delta(delta.signed().clone());
            alone.peer.handle(alone.now, Input::Message { from: NEIGHBOUR, message });
        }
        while let Some(output) = alone.peer.next_output() {
            passed_on += usize::from(matches!(output, Output::Send { message: Message::Exclusion(_), .. }));
        }
    }
    assert!((1..=100).contains(&passed_on), "{passed_on} stand before the deltas");
    // The neighbour has heard of all of them and knows nothing of their lies.
    let heard = (0..200).map(|number| (Origin { peer: identity(number).peer_id(), incarnation: 1 }, 1)).collect();
    let digest =
        Message::Digest { heard, excluded: Vec::new(), salt: 0, marks: Vec::new(), base_hash: None, answer: false };
    let now = alone.now + Span::from_secs(10);
    alone.peer.handle(now, Input::Message { from: NEIGHBOUR, message: digest });
    let told = std::iter::from_fn(|| alone.peer.next_output())
        .filter(|output| matches!(output, Output::Send { message: Message::Exclusion(_), .. }));
    assert_eq!(told.count(), 200);
}

/// Whoever is on hold keeps what it says in memory, and so do its other lives.
#[test]
fn holds_have_one_bound_on_memory_and_on_how_many_there_are() {
    use crate::log::HELD_BYTES_MAX;
    use crate::trust::Taken;
    let mut alone = peer();
    let holds = fill_holds(&mut alone);
    let mut large = delta(&alone.peer, &identity(1), (1, Hash::ZERO), 0.0);
    let header = large.header().clone();
    large = Delta::sign(&alone.peer.context, header, vec![0; 8 << 20], &identity(1));
    let kept = (0..holds).filter(|&number| matches!(alone.peer.guard.wait(life(number), large.clone()), Taken::Waits));
    assert_eq!(kept.count(), HELD_BYTES_MAX / large.bytes());
    alone.peer.guard.holds.clear();
}

#[test]
fn who_finds_no_hold_left_is_judged_again_when_there_is_one() {
    let mut alone = peer();
    fill_holds(&mut alone);
    let (guard, origin) = (&mut alone.peer.guard, life);
    assert!(!guard.is_turned_away(origin(99), 5), "it has not been judged yet");
    guard.turn_away(origin(99), 5);
    assert!(guard.is_turned_away(origin(99), 5), "however often it comes");
    assert!(!guard.is_turned_away(origin(99), 6) && !guard.is_turned_away(origin(98), 5));
    guard.release(origin(0), Time(1));
    assert!(!guard.is_turned_away(origin(99), 5));
}

/// A delta that looks like a lie is let fall where there is no hold for its origin, and is taken when it is judged anew.
#[test]
fn what_looks_like_a_lie_waits_outside_the_log_until_there_is_a_hold() {
    let mut alone = peer();
    // Those among whom it is judged, and who says far too much after a while.
    let mut last = [Hash::ZERO; 5];
    for seq in 1..=9 {
        for (number, previous) in (10..).zip(&mut last) {
            let next = delta(&alone.peer, &identity(number), (seq, *previous), 0.01);
            say(&mut alone, &next);
            *previous = next.hash();
        }
    }
    let liar = Origin { peer: identity(10).peer_id(), incarnation: 1 };
    assert_eq!(alone.peer.log.heard().get(&liar), 9);
    fill_holds(&mut alone);
    let lie = delta(&alone.peer, &identity(10), (10, last[0]), 10.0);
    say(&mut alone, &lie);
    assert_eq!(alone.peer.log.heard().get(&liar), 9, "it is not in the log");
    let held_against = alone.peer.guard.ledger.held_against(liar);
    assert!(held_against > 0);
    for _ in 0..5 {
        say(&mut alone, &lie);
    }
    assert_eq!(alone.peer.log.heard().get(&liar), 9);
    assert_eq!(alone.peer.guard.ledger.held_against(liar), held_against, "it is judged once, however often it comes");
    alone.peer.guard.release(life(0), Time(1));
    say(&mut alone, &lie);
    assert!(alone.peer.guard.holds.contains_key(&liar), "there is a hold for it now");
    assert_eq!(alone.peer.log.heard().get(&liar), 9);
    alone.peer.guard.holds.clear();
}

/// What it says to a message of its neighbour.
pub(super) fn said(alone: &mut Alone, message: Message) -> Vec<Message> {
    answers(alone, Input::Message { from: NEIGHBOUR, message })
}

/// The messages that come of an input.
pub(super) fn answers(alone: &mut Alone, input: Input) -> Vec<Message> {
    alone.peer.handle(alone.now, input);
    let mut messages = Vec::new();
    while let Some(output) = alone.peer.next_output() {
        match output {
            Output::Compute(command) => alone.queue.push_back(command),
            Output::Send { message, .. } => messages.push(message),
            _ => {}
        }
    }
    messages
}

/// A giver may leave out liars that its witness has never heard of.
#[test]
fn a_witness_need_not_know_whom_the_base_has_nothing_of() {
    let mut alone = peer();
    for number in 0..3 {
        let [first, _] = two_first_ones(&alone, number);
        say(&mut alone, &first);
    }
    let mut check = |left_out: Origin| {
        alone.now = alone.now + Span::from_secs(1); // It answers at a pace.
        let (heads, excluded) = (alone.peer.log.heads(), vec![(left_out, 1)]);
        let answers = said(&mut alone, Message::SnapshotCheck { base_hash: Hash::ZERO, heads, excluded });
        answers.iter().any(|answer| matches!(answer, Message::SnapshotChecked { same: None, .. }))
    };
    let of = |number| Origin { peer: identity(number).peer_id(), incarnation: 1 };
    assert!(check(Origin { incarnation: 0, ..of(2) }), "one of the set it would have to leave out, too");
    assert!(!check(of(77)), "it looks at its base");
    assert!(alone.queue.iter().any(|command| matches!(command, Command::Base)));
}

#[test]
fn a_lie_of_whom_the_set_has_nothing_stops_no_snapshot() {
    let mut alone = peer();
    let [first, _] = two_first_ones(&alone, 0);
    say(&mut alone, &first);
    assert!(said(&mut alone, Message::SnapshotAsk).is_empty(), "it is made");
    for delta in two_first_ones(&alone, 1) {
        say(&mut alone, &delta);
    }
    assert_eq!(excluded(&alone), 1);
    loop {
        match alone.queue.front().expect("it was asked for") {
            Command::Snapshot => break,
            Command::Apply { .. } => {
                alone.queue.pop_front();
                alone.input(Input::Computed { result: Computed::Applied, took: Span(0) });
            }
            _ => drop(alone.answer()),
        }
    }
    let base = vec![1];
    let base_hash = base_hash(&base);
    let result = Computed::Snapshot { base, base_hash };
    alone.peer.handle(alone.now, Input::Computed { result, took: Span(0) });
    let given = std::iter::from_fn(|| alone.peer.next_output())
        .any(|output| matches!(output, Output::Send { message: Message::SnapshotHead(_), .. }));
    assert!(given);
    for delta in two_first_ones(&alone, 2) {
        say(&mut alone, &delta);
    }
    let want = Message::SnapshotWant { base_hash, offset: 0 };
    let parts = said(&mut alone, want);
    assert!(parts.iter().any(|message| matches!(message, Message::SnapshotPart { .. })), "it is given on");
}

/// A key is made in no time, and a link is had for it.
#[test]
fn links_that_say_nothing_do_not_raise_the_bar_for_those_who_vote() {
    let mut alone = peer();
    let liar = two_first_ones(&alone, 0)[0].clone();
    say(&mut alone, &liar);
    for number in 1..=3 {
        let honest = two_first_ones(&alone, number)[0].clone();
        say(&mut alone, &honest);
    }
    (100..160).for_each(|i| alone.input(Input::Connected { peer: PeerId([i; 32]) }));
    for number in 1..=3 {
        assert_eq!(excluded(&alone), 0, "{} of five", number - 1);
        let context = &alone.peer.context;
        let vote = Vote::sign(context, &identity(number), liar.origin(), (1, 1), Reason::Norm, 1);
        alone.input(Input::Message { from: NEIGHBOUR, message: Message::Vote(vote) });
    }
    assert_eq!(excluded(&alone), 1);
}

/// The voters of long ago are strangers to whoever has just come, and it may have heard one delta before the base comes.
#[test]
fn who_has_heard_one_delta_takes_a_base_without_whom_the_swarm_has_voted_out() {
    let mut alone = peer();
    let stray = two_first_ones(&alone, 9)[0].clone();
    let out = Origin { peer: identity(0).peer_id(), incarnation: 1 };
    let context = &alone.peer.context;
    let votes = (1..=3).map(|number| Vote::sign(context, &identity(number), out, (5, 9), Reason::Norm, 1)).collect();
    let record = Exclusion { about: out, from_seq: 5, evidence: crate::trust::Evidence::Votes(votes) };
    let set = |voters: std::ops::RangeInclusive<u32>| {
        let of = |number| (Origin { peer: identity(number).peer_id(), incarnation: 1 }, 3);
        voters.map(of).chain([(out, 4)]).collect()
    };
    assert!(alone.peer.takes_exclusions(std::slice::from_ref(&record), &set(7..=8)), "a newcomer takes any");
    say(&mut alone, &stray);
    assert!(alone.peer.takes_exclusions(std::slice::from_ref(&record), &set(1..=3)));
    assert!(
        !alone.peer.takes_exclusions(std::slice::from_ref(&record), &set(2..=2)),
        "one of those who count is not enough"
    );
}
