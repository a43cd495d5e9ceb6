//! Liars about whom there is a proof that no log can carry out.

use super::super::super::alone::{Alone, delta, identity};
use super::super::tests::{NEIGHBOUR, answers, said, say};
use super::*;
use crate::event::{Input, Timer};
use crate::id::Hash;
use crate::learner::{Command, Computed, base_hash};
use crate::log::{Delta, Head, Header, SignedDelta, VersionVector};
use crate::time::Span;
use crate::trust::{Equivocation, Evidence, Vote};
use crate::wire::{Message, Range, SnapshotHead};

/// The liar, by its number.
const LIAR: u32 = 1;
/// Deltas that it says before it lies, of which the log holds the latest.
const SAID: u64 = 200;
const RETAINED: usize = 20;

/// Its chain.
struct Liar(u32, Vec<Delta>);

impl Liar {
    /// One that has said so many.
    fn new(alone: &mut Alone, number: u32, deltas: u64) -> Self {
        let mut liar = Self(number, Vec::new());
        (0..deltas).for_each(|_| liar.goes_on(alone));
        liar
    }

    fn origin(&self) -> Origin {
        Origin { peer: identity(self.0).peer_id(), incarnation: 1 }
    }

    fn goes_on(&mut self, alone: &mut Alone) {
        let previous = self.1.last().map_or(Hash::ZERO, Delta::hash);
        self.1.push(delta(&alone.peer, &identity(self.0), (self.1.len() as u64 + 1, previous), 1.0));
        say(alone, &self.1[self.1.len() - 1]);
    }

    /// A proof about that number, made by itself.
    fn proof(&self, alone: &Alone, seq: u64) -> Exclusion {
        let true_one = &self.1[seq as usize - 1];
        let rival = delta(&alone.peer, &identity(self.0), (seq, true_one.header().previous), 2.0);
        Exclusion::of_proof(
            Equivocation::of(&alone.peer.context, &[true_one.signed().clone()], &[rival.signed().clone()])
                .expect("they contradict each other"),
        )
    }
}

/// A peer that has spoken, with a short log, and a liar the first of whose deltas have left it.
fn alone() -> (Alone, Liar) {
    let bytes = RETAINED * (size_of::<SignedDelta>() + 4);
    let mut alone = Alone::with(|config| {
        (config.gossip.join_grace, config.gossip.log_bytes_max) = (Span(0), bytes);
    });
    alone.until_delta(|_| {});
    alone.input(Input::Connected { peer: NEIGHBOUR });
    let liar = Liar::new(&mut alone, LIAR, SAID);
    assert_eq!(heard(&alone, &liar), SAID);
    (alone, liar)
}

fn heard(alone: &Alone, liar: &Liar) -> u64 {
    alone.peer.log.heard().get(&liar.origin())
}

fn pending(alone: &Alone) -> Vec<(Origin, u64)> {
    alone.peer.trust_view().pending
}

fn tell(alone: &mut Alone, record: Exclusion) -> Vec<Message> {
    said(alone, Message::Exclusion(record))
}

/// So many pass in which its neighbour lives.
fn seconds(alone: &mut Alone, seconds: u64) {
    for _ in 0..seconds {
        alone.now = alone.now + Span::from_secs(1);
        answers(alone, Input::Timer(Timer::Heartbeat));
        answers(alone, Input::Timer(Timer::Snapshot));
        let lives = digest(alone, Vec::new());
        said(alone, lives);
    }
}

/// The learner does what it is asked for, up to a new base.
fn work(alone: &mut Alone) {
    for _ in 0..100 {
        match alone.queue.front() {
            None | Some(Command::Restore { .. }) => return,
            Some(Command::Apply { .. } | Command::Retract { .. }) => {
                let retracts = matches!(alone.queue.pop_front(), Some(Command::Retract { .. }));
                let result = if retracts { Computed::Retracted } else { Computed::Applied };
                alone.input(Input::Computed { result, took: Span(0) });
            }
            Some(_) => drop(alone.answer()),
        }
    }
}

/// Of deltas that the learner is to take back, those since the last question.
fn retracted(alone: &mut Alone) -> usize {
    alone.peer.flush_ready();
    answers(alone, Input::Timer(Timer::Offers));
    let commands = std::mem::take(&mut alone.queue);
    commands.iter().map(|command| if let Command::Retract { deltas } = command { deltas.len() } else { 0 }).sum()
}

fn digest(alone: &Alone, excluded: Vec<(Origin, u64)>) -> Message {
    let heard = alone.peer.log.heard().iter();
    let heard = heard.filter(|(origin, _)| excluded.iter().all(|(about, _)| about.peer != origin.peer)).collect();
    Message::Digest { heard, excluded, salt: 0, marks: Vec::new(), base_hash: None, answer: false }
}

fn asks_for_a_base(messages: &[Message]) -> bool {
    messages.iter().any(|message| matches!(message, Message::SnapshotAsk))
}

fn votes(messages: &[Message]) -> Vec<Vote> {
    let vote = |message: &Message| if let Message::Vote(vote) = message { Some(vote.clone()) } else { None };
    messages.iter().filter_map(vote).collect()
}

/// Whoever has nothing to lose could have made itself immune by it.
#[test]
fn a_proof_that_nobody_can_carry_out_stands_before_no_other() {
    let (mut alone, liar) = alone();
    let (first, later) = (liar.proof(&alone, 1), liar.proof(&alone, SAID - 4));
    tell(&mut alone, first.clone());
    assert_eq!((pending(&alone), heard(&alone, &liar)), (vec![(liar.origin(), 1)], SAID));
    tell(&mut alone, later);
    assert_eq!((heard(&alone, &liar), retracted(&mut alone)), (SAID - 5, 5));
    assert_eq!(alone.peer.trust_view().excluded, [(liar.origin(), SAID - 4)]);
    assert_eq!(pending(&alone), [(liar.origin(), 1)], "of what came before it is to be rid as ever");
    // Nor is the one that waits heard again as if it were news.
    let before = alone.peer.guard.pending.clone();
    assert!(tell(&mut alone, first).is_empty());
    assert_eq!(alone.peer.guard.pending, before);
}

#[test]
fn of_what_waits_the_record_is_kept_that_is_carried_out_most_easily() {
    let (mut alone, liar) = alone();
    for (seq, kept) in [(5, 5), (1, 5), (9, 9)] {
        let record = liar.proof(&alone, seq);
        tell(&mut alone, record);
        assert_eq!(pending(&alone), [(liar.origin(), kept)], "{seq}");
    }
}

#[test]
fn nothing_new_is_taken_of_whom_a_proof_waits_and_a_majority_leaves_it_out_from_there_on() {
    let (mut alone, mut liar) = alone();
    let peer = liar.origin().peer;
    alone.input(Input::Connected { peer });
    // One more that has spoken, and so has a voice: of four that live three are a majority.
    let other = Liar::new(&mut alone, 50, 1);
    let proof = liar.proof(&alone, 1);
    let heard_of_it = votes(&tell(&mut alone, proof));
    assert!(alone.peer.members.is_banned(peer) && alone.peer.members.neighbour(peer).is_none());
    assert_eq!(
        heard_of_it.iter().map(|vote| (vote.about, vote.from_seq)).collect::<Vec<_>>(),
        [(liar.origin(), SAID + 1)]
    );
    assert!(!alone.peer.may_vote(peer), "and it has no voice");
    liar.goes_on(&mut alone);
    liar.goes_on(&mut alone);
    assert_eq!(heard(&alone, &liar), SAID);
    // The other one has heard one more by the time that the proof comes to it.
    let window = (SAID + 2, SAID + 2 + WINDOW);
    let vote = Vote::sign(&alone.peer.context, &identity(other.0), liar.origin(), window, REASON, 1);
    said(&mut alone, Message::Vote(vote));
    assert_eq!(alone.peer.trust_view().excluded, [(liar.origin(), SAID + 2)], "from where both stand before it");
    assert_eq!(heard(&alone, &liar), SAID + 1, "what waited and comes before that is in the set of both");
    assert_eq!(alone.peer.trust_view().holds, []);
    let Some(Evidence::Votes(votes)) = alone.peer.guard.record_about(peer).map(|record| record.evidence.clone()) else {
        panic!("it was voted out");
    };
    assert_eq!(votes.len(), 2);
}

/// Else those who had heard more than others would keep another base for ever.
#[test]
fn without_a_majority_what_waited_goes_in_and_the_next_one_waits_again() {
    let (mut alone, mut liar) = alone();
    Liar::new(&mut alone, 2, 1); // Another voice, which knows nothing of it.
    let proof = liar.proof(&alone, 1);
    tell(&mut alone, proof);
    liar.goes_on(&mut alone);
    liar.goes_on(&mut alone);
    assert_eq!(heard(&alone, &liar), SAID);
    seconds(&mut alone, 10);
    assert_eq!((heard(&alone, &liar), alone.peer.trust_view().holds.len()), (SAID + 2, 0));
    liar.goes_on(&mut alone);
    assert_eq!((heard(&alone, &liar), alone.peer.trust_view().holds.len()), (SAID + 2, 1));
}

#[test]
fn one_record_that_nobody_can_carry_out_stands_before_no_base_that_helps_with_another() {
    let (mut alone, liar) = alone();
    let other = Liar::new(&mut alone, 2, SAID);
    for record in [liar.proof(&alone, 1), other.proof(&alone, 1)] {
        tell(&mut alone, record);
    }
    let theirs = digest(&alone, vec![(other.origin(), 1)]);
    // What it may have taken back itself it is asked for first, and has it no more.
    assert!(said(&mut alone, theirs.clone()).iter().any(|message| matches!(message, Message::Want(_))));
    seconds(&mut alone, 4);
    assert!(asks_for_a_base(&said(&mut alone, theirs)));
}

fn true_head(alone: &Alone, exclusions: Vec<Exclusion>) -> SnapshotHead {
    let named = |head: &Head| exclusions.iter().all(|record| record.about.peer != head.origin.peer);
    let heads = alone.peer.log.heads().into_iter().filter(named).collect();
    SnapshotHead { base_hash: base_hash(&[0]), parameters: 1, heads, exclusions }
}

/// A true base that is taken again and again costs the log each time, and then it can take nothing back.
#[test]
fn who_gives_a_base_that_rids_us_of_nothing_is_passed_over() {
    let (mut alone, liar) = alone();
    let proof = liar.proof(&alone, 1);
    tell(&mut alone, proof.clone());
    let bytes = alone.peer.snapshot_bytes() as u64;
    assert!(!asks_for_a_base(&said(&mut alone, Message::SnapshotOffer { bytes })), "it may have the very same base");
    let theirs = digest(&alone, vec![(liar.origin(), 1)]);
    let head = true_head(&alone, Vec::new());
    let mut asked = 0;
    for _ in 0..10 {
        alone.now = alone.now + Span::from_secs(1);
        if asks_for_a_base(&said(&mut alone, theirs.clone())) {
            asked += 1;
            let parts = said(&mut alone, Message::SnapshotHead(head.clone()));
            assert!(!parts.iter().any(|message| matches!(message, Message::SnapshotWant { .. })));
        }
    }
    assert_eq!(asked, 1);
    // And of who has another one it is taken.
    seconds(&mut alone, 20);
    said(&mut alone, theirs.clone());
    seconds(&mut alone, 4);
    assert!(asks_for_a_base(&said(&mut alone, theirs)));
    let head = true_head(&alone, vec![proof]);
    let parts = said(&mut alone, Message::SnapshotHead(head));
    assert!(parts.iter().any(|message| matches!(message, Message::SnapshotWant { .. })));
}

/// The log goes by the wider record, and whoever is told must hear that one.
#[test]
fn a_wider_record_that_comes_with_a_base_replaces_ours() {
    let (mut alone, liar) = alone();
    let (narrow, wide) = (liar.proof(&alone, SAID - 2), liar.proof(&alone, 5));
    tell(&mut alone, narrow);
    let peer = liar.origin().peer;
    assert_eq!(alone.peer.guard.record_about(peer).map(|record| record.from_seq), Some(SAID - 2));
    let left = liar.1[3].clone();
    let mut head = true_head(&alone, vec![wide.clone()]);
    let Header { origin, seq, .. } = *left.header();
    head.heads.push(Head { origin, seq, hash: left.hash(), samples: 4 * seq });
    head.heads.sort_by_key(|head| head.origin);
    let base_hash = head.base_hash;
    alone.peer.ask_snapshot(NEIGHBOUR);
    said(&mut alone, Message::SnapshotHead(head));
    let bytes = crate::wire::BasePart::of(&std::sync::Arc::new(vec![0]), 0..1);
    said(&mut alone, Message::SnapshotPart { base_hash, offset: 0, bytes });
    // What nobody else can know is believed after a while, and taken when the learner is at no delta of its own.
    seconds(&mut alone, 2);
    work(&mut alone);
    let restores = |command: &Command| matches!(command, Command::Restore { .. });
    assert!(alone.queue.iter().any(restores), "the base is taken");
    assert_eq!(heard(&alone, &liar), 4);
    assert_eq!(alone.peer.guard.record_about(peer), Some(&wide));
}

/// The one that could take it back had another base for ever, to which nobody else could bear witness.
#[test]
fn who_cannot_take_it_back_gathers_it_from_who_could() {
    let (mut short, liar) = alone();
    let mut long = Alone::with(|config| config.gossip.join_grace = Span(0));
    long.input(Input::Connected { peer: NEIGHBOUR });
    liar.1.iter().for_each(|delta| say(&mut long, delta));
    let proof = liar.proof(&long, 1);
    for alone in [&mut long, &mut short] {
        tell(alone, proof.clone());
    }
    assert_eq!((heard(&long, &liar), pending(&long), heard(&short, &liar)), (0, vec![], SAID));
    let theirs = digest(&short, vec![(liar.origin(), 1)]);
    // A piece that was lost is asked for again, and a false one is none.
    said(&mut short, theirs.clone());
    let forged = delta(&short.peer, &identity(LIAR), (SAID - RETAINED as u64, Hash::ZERO), 3.0);
    say(&mut short, &forged);
    assert_eq!(short.peer.trust_view().pending.len(), 1);
    seconds(&mut short, 15);
    let mut wants = said(&mut short, theirs);
    assert!(!asks_for_a_base(&wants), "nobody could bear witness to it");
    for _ in 0..20 {
        let given: Vec<Message> = wants.into_iter().flat_map(|want| said(&mut long, want)).collect();
        wants = given.into_iter().flat_map(|deltas| said(&mut short, deltas)).collect();
        wants.retain(|message| matches!(message, Message::Want(_)));
    }
    assert_eq!((heard(&short, &liar), pending(&short)), (0, vec![]));
    assert_eq!(retracted(&mut short) as u64, SAID);
    assert_eq!(short.peer.log.set_hash(), VersionVector::hash(short.peer.log.heard()));
    // And what was taken back is kept for no longer than it takes.
    let want = Message::Want(vec![Range { origin: liar.origin(), first: 1, last: SAID }]);
    assert!(!said(&mut long, want.clone()).is_empty());
    seconds(&mut long, 61);
    assert!(said(&mut long, want).is_empty());
}
