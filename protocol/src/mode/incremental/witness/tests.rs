//! A newcomer, its giver and its witnesses.

mod full;

use crate::codec::DenseF32;
use crate::config::Config;
use crate::event::{Event, Input, Output, Timer};
use crate::id::{Hash, Origin, PeerId, RunId};
use crate::learner::{Command, Computed, base_hash};
use crate::log::{Context, Head, VersionVector};
use crate::peer::Peer;
use crate::schema::Schema;
use crate::time::{Span, Time};
use crate::trust::{Evidence, Exclusion, Identity, Limits};
use crate::wire::{Message, Range, SNAPSHOT_PART_BYTES, SnapshotHead};

use super::ANSWER_PAUSE;

const GIVER: PeerId = PeerId([1; 32]);
const WITNESS: PeerId = PeerId([2; 32]);
const STRANGER: Origin = Origin { peer: PeerId([3; 32]), incarnation: 1 };
/// Whose deltas everybody has.
const OLD: Origin = Origin { peer: PeerId([8; 32]), incarnation: 1 };
const TICK: Span = Span::from_millis(250);

/// A newcomer with a giver and a witness for neighbours.
struct Taker(Peer, Time);

impl Taker {
    fn new() -> Self {
        Self::of(2, 0)
    }

    /// With a model of that size, and so many deltas of [`OLD`] from a life before this one.
    fn of(parameters: usize, old: u64) -> Self {
        let schema = Schema { tensors: Vec::new() }.hash();
        let context = Context { run: RunId(Hash::ZERO), schema, parameters, codec: &DenseF32, limits: Limits::OFF };
        let mut taker = Self(Peer::new(Config::default(), context, Identity::from_seed(&[9; 32]), 1, 1), Time(1));
        if old > 0 {
            taker.0.resume(&[Head { origin: OLD, seq: old, hash: Hash([6; 32]), samples: 1 }], Vec::new());
        }
        taker.input(Input::Start);
        if old > 0 {
            // It has begun to train.
            let grace = Config::default().gossip.join_grace;
            (0..=grace.0 / TICK.0).for_each(|_| drop(taker.after(TICK)));
            taker.input(Input::Timer(Timer::JoinGrace));
        }
        taker.input(Input::Connected { peer: GIVER });
        taker.input(Input::Connected { peer: WITNESS });
        taker
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.0.handle(self.1, input);
        std::iter::from_fn(|| self.0.next_output()).collect()
    }

    /// Time passes, and the timer of the snapshot comes round.
    fn after(&mut self, span: Span) -> Vec<Output> {
        self.1 = self.1 + span;
        self.input(Input::Timer(Timer::Snapshot))
    }

    fn hear(&mut self, from: PeerId, message: Message) -> Vec<Output> {
        self.input(Input::Message { from, message })
    }

    /// Time passes in quarters of a second.
    fn wait(&mut self, span: Span) -> Vec<Output> {
        (0..span.0 / TICK.0).flat_map(|_| self.after(TICK)).collect()
    }

    /// The giver's snapshot up to its head.
    fn head(&mut self, heads: Vec<(Origin, u64, Hash)>, base: &[i32]) -> Vec<Output> {
        self.head_without(heads, base, Vec::new())
    }

    /// The same, of a giver that leaves these out.
    fn head_without(
        &mut self,
        heads: Vec<(Origin, u64, Hash)>,
        base: &[i32],
        exclusions: Vec<Exclusion>,
    ) -> Vec<Output> {
        let heard: VersionVector = heads.iter().map(|&(origin, seq, _)| (origin, seq)).collect();
        let mut outputs = self.hear(GIVER, digest(heard));
        outputs.extend(self.hear(GIVER, Message::SnapshotOffer { bytes: 4 * base.len() as u64 }));
        // Whoever has a model asks a while later.
        for _ in 0..2 {
            self.1 = self.1 + Config::default().gossip.anti_entropy;
            outputs.extend(self.input(Input::Timer(Timer::AntiEntropy)));
        }
        let heads = heads.into_iter().map(|(origin, seq, hash)| Head { origin, seq, hash, samples: 1 }).collect();
        let (base_hash, parameters) = (base_hash(base), base.len() as u64);
        let head = SnapshotHead { base_hash, parameters, heads, exclusions };
        outputs.extend(self.hear(GIVER, Message::SnapshotHead(head)));
        outputs
    }

    /// The part of it that begins there.
    fn part(&mut self, base: &[i32], offset: usize) -> Vec<Output> {
        let bytes: Vec<u8> = base.iter().flat_map(|value| value.to_le_bytes()).collect();
        let part = &bytes[offset..bytes.len().min(offset + SNAPSHOT_PART_BYTES)];
        let (base_hash, offset, bytes) = (base_hash(base), offset as u64, part.to_vec().into());
        self.hear(GIVER, Message::SnapshotPart { base_hash, offset, bytes })
    }

    /// All of it.
    fn offered(&mut self, heads: Vec<(Origin, u64, Hash)>, base: &[i32]) -> Vec<Output> {
        let mut outputs = self.head(heads, base);
        outputs.extend(self.part(base, 0));
        outputs
    }

    /// Others than these two, who have that.
    fn others(&mut self, ids: impl Iterator<Item = u8>, heard: &VersionVector) {
        for peer in ids.map(|id| PeerId([id; 32])) {
            self.input(Input::Connected { peer });
            self.hear(peer, digest(heard.clone()));
        }
    }

    /// Whoever is asked answers as `says` has it (`None`: not at all), and so does who is asked next. All that comes of it.
    fn answered(&mut self, outputs: Vec<Output>, says: impl Fn(PeerId) -> Option<Option<bool>>) -> Vec<Output> {
        let (mut all, mut next) = (Vec::new(), outputs);
        while !next.is_empty() {
            let asked = witnesses(&next);
            all.append(&mut next);
            for (witness, base_hash) in asked {
                if let Some(same) = says(witness) {
                    next.extend(self.hear(witness, Message::SnapshotChecked { base_hash, same }));
                }
            }
            assert!(all.len() < 10_000, "it never ends");
        }
        all
    }

    /// The same, while time passes.
    fn answered_for(&mut self, span: Span, says: impl Fn(PeerId) -> Option<Option<bool>>) -> Vec<Output> {
        let mut all = Vec::new();
        for _ in 0..span.0 / TICK.0 {
            let outputs = self.after(TICK);
            all.extend(self.answered(outputs, &says));
        }
        all
    }
}

/// Who is asked whether it has the same base.
fn witnesses(outputs: &[Output]) -> Vec<(PeerId, Hash)> {
    let of = |output: &Output| match output {
        Output::Send { to, message: Message::SnapshotCheck { base_hash, .. } } => Some((*to, *base_hash)),
        _ => None,
    };
    outputs.iter().filter_map(of).collect()
}

fn unconfirmed(outputs: &[Output]) -> usize {
    outputs.iter().filter(|output| matches!(output, Output::Event(Event::Unconfirmed { .. }))).count()
}

fn set(of: &[(Origin, u64)]) -> VersionVector {
    of.iter().copied().collect()
}

fn digest(heard: VersionVector) -> Message {
    Message::Digest { heard, excluded: Vec::new(), salt: 0, marks: Vec::new(), base_hash: None, answer: false }
}

fn restores(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Compute(Command::Restore { .. })))
}

fn failed(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Event(Event::SnapshotFailed { .. })))
}

fn asks(outputs: &[Output]) -> bool {
    outputs
        .iter()
        .any(|output| matches!(output, Output::Send { to, message: Message::SnapshotCheck { .. } } if *to == WITNESS))
}

#[test]
fn a_base_is_taken_when_another_peer_has_the_same_one_and_refused_when_it_has_another() {
    for same in [true, false] {
        let mut taker = Taker::new();
        let outputs = taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
        assert!(asks(&outputs) && !restores(&outputs), "{outputs:?}");
        let answer = Message::SnapshotChecked { base_hash: base_hash(&[1, 2]), same: Some(same) };
        assert!(!restores(&taker.hear(GIVER, answer.clone())), "nobody is his own witness");
        let outputs = taker.hear(WITNESS, answer);
        assert_eq!((restores(&outputs), failed(&outputs)), (same, !same));
    }
}

/// Two of eight that are in league give nobody a base: more than a third of those who could know must have it.
#[test]
fn the_more_could_know_the_more_must_say_so() {
    let others = [2, 4, 5, 6, 7, 8].map(|id| PeerId([id; 32]));
    let name = base_hash(&[1, 2]);
    let answer = |same| Message::SnapshotChecked { base_hash: name, same };
    for (honest, quick) in [(true, true), (false, true), (false, false)] {
        let mut taker = Taker::new();
        for peer in others {
            taker.input(Input::Connected { peer });
            // Those in league are not to be believed because they are the first to say anything.
            if quick {
                taker.hear(peer, digest([(STRANGER, 5)].into_iter().collect()));
            }
        }
        let outputs = taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
        // The first that is asked is in league with the giver, or not; the others know nothing of its base, or all the same.
        let (mut waiting, mut said) = (witnesses(&outputs), 0);
        assert_eq!(waiting.len(), 2, "as many at once as are needed");
        while let Some((witness, _)) = waiting.pop() {
            let same = (said == 0 || honest).then_some(true);
            let outputs = taker.hear(witness, answer(same));
            waiting.extend(witnesses(&outputs));
            said += 1;
            assert!(said < 10, "it never ends");
            assert_eq!(restores(&outputs), honest && said == 2, "{said}");
        }
        if !honest && quick {
            let patient: Vec<Output> = (0..35).flat_map(|_| taker.after(Span::from_secs(1))).collect();
            assert!(!restores(&patient) && failed(&patient));
        }
    }
}

/// One attacker with two places: names that come, say yes and hang up are one voice and not many.
#[test]
fn who_has_hung_up_has_no_voice() {
    for hangs_up in [true, false] {
        let mut taker = Taker::new();
        taker.others(10..17, &set(&[(OLD, 1)]));
        taker.hear(WITNESS, digest(set(&[(OLD, 1)])));
        let outputs = taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
        // Of 9 or more that could know 3 must say so; of 13 that stay, 4.
        let league = |peer: PeerId| Some((peer.0[0] >= 100).then_some(true));
        let mut all = taker.answered(outputs, league);
        for id in 100..105 {
            let peer = PeerId([id; 32]);
            taker.others(id..=id, &set(&[(OLD, 1), (STRANGER, 5)]));
            all.extend(taker.answered_for(Span::from_secs(1), league));
            if hangs_up {
                taker.input(Input::Disconnected { peer });
            }
        }
        assert_eq!(restores(&all), !hangs_up);
        let asked = |id| witnesses(&all).iter().any(|(peer, _)| *peer == PeerId([id; 32]));
        assert!(asked(100) && asked(101), "they were asked");
    }
}

/// Five of fifteen take their time, and no honest base is dropped for that.
#[test]
fn as_many_are_asked_at_once_as_must_say_yes_and_they_may_take_their_time() {
    let mut taker = Taker::new();
    let heard = set(&[(STRANGER, 5)]);
    taker.others(10..24, &heard);
    taker.hear(WITNESS, digest(heard));
    let outputs = taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
    let asked = witnesses(&outputs);
    assert_eq!(asked.len(), 5);
    let base_hash = asked[0].1;
    let yes = Message::SnapshotChecked { base_hash, same: Some(true) };
    for (peer, _) in &asked[..3] {
        assert!(!restores(&taker.hear(*peer, yes.clone())));
    }
    let patient = taker.wait(Span::from_secs(12));
    assert!(!failed(&patient), "nobody says no, and two are at it");
    assert!(witnesses(&patient).len() >= 2, "others are asked meanwhile");
    assert!(!restores(&taker.hear(asked[3].0, yes.clone())));
    assert!(restores(&taker.hear(asked[4].0, yes)));
}

/// What its taker cannot make its own of that says nothing of the base, if it is of nobody in it.
#[test]
fn a_base_is_not_refused_for_whom_it_has_nothing_of() {
    let voted = |about| Exclusion { about, from_seq: 1, evidence: Evidence::Votes(Vec::new()) };
    let nobody = Origin { peer: PeerId([77; 32]), incarnation: 1 };
    for (about, refused) in [(nobody, false), (STRANGER, true)] {
        let mut taker = Taker::of(2, 1);
        let heads = vec![(STRANGER, 5, Hash([7; 32])), (OLD, 1, Hash([6; 32]))];
        let outputs = taker.head_without(heads, &[1, 2], vec![voted(about)]);
        assert_eq!(failed(&outputs), refused, "{outputs:?}");
    }
}

#[test]
fn a_witness_that_is_busy_takes_nobody_elses_turn() {
    let mut taker = Taker::new();
    let heard = set(&[(STRANGER, 5)]);
    taker.others(10..24, &heard);
    taker.hear(WITNESS, digest(heard));
    let mut outputs = taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
    // Not those of the timers.
    outputs.retain(|output| matches!(output, Output::Send { message: Message::SnapshotCheck { .. }, .. }));
    let all = taker.answered(outputs, |peer| Some((peer.0[0] >= 19).then_some(true)));
    assert!(restores(&all), "the five that are not busy say so at once");
    assert!(!all.iter().any(|output| matches!(output, Output::Send { message: Message::Digest { .. }, .. })));
}

/// A large base takes longer to come than a giver that nobody can confirm is waited for.
#[test]
fn a_base_that_comes_is_not_given_up_for_silence() {
    let base = vec![1; 9 * SNAPSHOT_PART_BYTES / 4];
    let mut taker = Taker::of(base.len(), 0);
    taker.hear(WITNESS, digest(set(&[(STRANGER, 100)])));
    let outputs = taker.head(vec![(STRANGER, 5, Hash([7; 32]))], &base);
    let mut all = taker.answered(outputs, |_| Some(None));
    for part in 0..9 {
        all.extend(taker.answered_for(Span::from_millis(750), |_| Some(None)));
        all.extend(taker.part(&base, part * SNAPSHOT_PART_BYTES));
        assert!(!failed(&all), "part {part}");
        if part == 7 {
            all.extend(taker.answered_for(Span::from_secs(1), |_| Some(Some(true))));
        }
    }
    assert!(restores(&all));
}

/// Of a swarm that has come back only two have more. They are believed by whoever has come back as well, and by nobody of whom most
/// others went on while it was away.
#[test]
fn who_comes_back_counts_those_who_went_on() {
    let (old, more) = (set(&[(OLD, 7)]), set(&[(OLD, 9), (STRANGER, 5)]));
    let heads = || vec![(STRANGER, 5, Hash([7; 32])), (OLD, 9, Hash([7; 32]))];
    let two = |peer: PeerId| Some((peer == WITNESS).then_some(true));
    let third = PeerId([20; 32]);
    let no = |peer: PeerId| if peer == third { Some(Some(false)) } else { two(peer) };
    let taker = || {
        let mut taker = Taker::of(2, 7);
        taker.others(10..16, &old);
        taker.hear(WITNESS, digest(more.clone()));
        taker
    };
    let outcome = |mut taker: Taker, says: &dyn Fn(PeerId) -> Option<Option<bool>>| {
        let outputs = taker.offered(heads(), &[1, 2]);
        let mut all = taker.answered(outputs, says);
        all.extend(taker.answered_for(Span::from_secs(10), says));
        assert!(!restores(&all), "it waits for whoever else may have more");
        all.extend(taker.answered_for(Span::from_secs(20), says));
        (restores(&all), failed(&all))
    };
    assert_eq!(outcome(taker(), &two), (true, false));
    // That those who came back have begun again makes no difference, nor do a few checkpoints that are newer.
    let mut with_lives = taker();
    with_lives.others(16..19, &set(&[(OLD, 7), (Origin { incarnation: 2, ..OLD }, 1)]));
    with_lives.others(19..22, &set(&[(OLD, 8)]));
    assert_eq!(outcome(with_lives, &two), (true, false));
    // Four others went on, and cannot say; or one says no.
    let mut with_others = taker();
    with_others.others(20..24, &set(&[(OLD, 9)]));
    assert_eq!(outcome(with_others, &two), (false, true));
    let mut with_newcomers = taker();
    with_newcomers.others(20..24, &set(&[(OLD, 7), (STRANGER, 1)]));
    assert_eq!(outcome(with_newcomers, &two), (false, true));
    let mut with_a_no = taker();
    with_a_no.others(20..21, &more);
    assert_eq!(outcome(with_a_no, &no), (false, true));
    // One alone, or to whoever has not come back lately.
    assert_eq!(outcome(taker(), &|_| Some(None)), (false, true));
    let mut long_here = taker();
    long_here.wait(Span::from_secs(601));
    assert_eq!(outcome(long_here, &two), (false, true));
}

#[test]
fn people_are_told_when_a_peer_cannot_catch_up() {
    let mut taker = Taker::of(2, 7);
    let old = set(&[(OLD, 7)]);
    taker.others(10..12, &old);
    taker.hear(WITNESS, digest(old));
    let mut all = Vec::new();
    for round in 0..3 {
        assert_eq!(unconfirmed(&all), 0, "{round}");
        let outputs = taker.offered(vec![(OLD, 9, Hash([7; 32]))], &[1, 2]);
        all.extend(taker.answered(outputs, |_| Some(None)));
        all.extend(taker.answered_for(Span::from_secs(30), |_| Some(None)));
    }
    assert!(!restores(&all));
    assert_eq!(unconfirmed(&all), 1);
}

/// What nobody can say is taken by a newcomer when nobody else has anything to give, and after a while.
#[test]
fn a_base_of_which_nobody_can_say_anything_is_the_last_that_a_newcomer_takes() {
    for another in [false, true] {
        let mut taker = Taker::new();
        if another {
            taker.hear(WITNESS, digest([(STRANGER, 100)].into_iter().collect()));
        }
        taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
        let answer = Message::SnapshotChecked { base_hash: base_hash(&[1, 2]), same: None };
        let outputs = taker.hear(WITNESS, answer.clone());
        assert!(!restores(&outputs) && !failed(&outputs), "an honest one is known to others a moment later");
        let outputs = taker.after(Span::from_secs(2));
        assert!(asks(&outputs) && !restores(&outputs), "so it asks again: {outputs:?}");
        taker.hear(WITNESS, answer);
        taker.after(Span::from_secs(2));
        let outputs = taker.after(Span::from_secs(2));
        assert_eq!((restores(&outputs), failed(&outputs)), (!another, another));
        let next = |output: &Output| matches!(output, Output::Send { to: WITNESS, message: Message::SnapshotAsk });
        assert_eq!(outputs.iter().any(next), another, "and asks the other one");
    }
}

#[test]
fn while_a_snapshot_comes_what_is_beyond_it_is_asked_for() {
    let mut taker = Taker::new();
    taker.hear(GIVER, digest([(STRANGER, 5)].into_iter().collect()));
    taker.hear(GIVER, Message::SnapshotOffer { bytes: 8 });
    let range = |first, last| Range { origin: STRANGER, first, last };
    let wants = |outputs: &[Output]| {
        let want = |output: &Output| match output {
            Output::Send { message: Message::Want(ranges), .. } => Some(ranges.clone()),
            _ => None,
        };
        outputs.iter().find_map(want)
    };
    let outputs = taker.hear(WITNESS, Message::Offer(vec![range(1, 6)]));
    assert_eq!(wants(&outputs), None, "whoever has nothing asks for no deltas");
    let heads = vec![Head { origin: STRANGER, seq: 5, hash: Hash([7; 32]), samples: 1 }];
    let head = SnapshotHead { base_hash: base_hash(&[1, 2]), parameters: 2, heads, exclusions: Vec::new() };
    taker.hear(GIVER, Message::SnapshotHead(head));
    let outputs = taker.hear(WITNESS, Message::Offer(vec![range(3, 7)]));
    assert_eq!(wants(&outputs), Some(vec![range(6, 7)]));
}

/// Each answer costs a copy of the base: sixty-four askers would end a peer.
#[test]
fn one_question_is_answered_at_a_time() {
    let mut witness = Taker::new();
    let name = base_hash(&[1, 2]);
    let ask = |witness: &mut Taker, from: PeerId| {
        let check = Message::SnapshotCheck { base_hash: name, heads: Vec::new(), excluded: Vec::new() };
        let outputs = witness.hear(from, check);
        let said = |output: &Output| match output {
            Output::Send { message: Message::SnapshotChecked { same, .. }, .. } => Some(*same),
            _ => None,
        };
        let copies = outputs.iter().filter(|output| matches!(output, Output::Compute(Command::Base))).count();
        (copies, outputs.iter().find_map(said))
    };
    assert_eq!(ask(&mut witness, GIVER), (1, None), "the learner is asked");
    assert_eq!(ask(&mut witness, GIVER), (0, None), "who asks again is not told that there is no answer: it comes");
    assert_eq!(ask(&mut witness, WITNESS), (0, Some(None)), "and nobody else is answered meanwhile");
    let outputs = witness.input(Input::Computed { result: Computed::Base(vec![1, 2]), took: Span(0) });
    let hashes = |output: &Output| matches!(output, Output::Compute(Command::Hash { .. }));
    assert!(outputs.iter().any(hashes));
    assert_eq!(ask(&mut witness, WITNESS), (0, Some(None)));
    let result = Computed::Hashed { base: vec![1, 2], base_hash: Some(name) };
    witness.input(Input::Computed { result, took: Span(0) });
    assert_eq!(ask(&mut witness, WITNESS), (0, Some(Some(true))), "it has that base at hand now");
}

/// What cannot be answered costs a look at the whole log all the same.
#[test]
fn a_question_that_comes_to_nothing_is_one_of_those_that_are_answered_at_a_pace() {
    let mut witness = Taker::new();
    let looks = |witness: &mut Taker, heads: &[Head]| {
        let (base_hash, heads) = (base_hash(&[1, 2]), heads.to_vec());
        let outputs = witness.hear(GIVER, Message::SnapshotCheck { base_hash, heads, excluded: Vec::new() });
        outputs.iter().any(|output| matches!(output, Output::Compute(Command::Base)))
    };
    let unheard = Head { origin: STRANGER, seq: 5, hash: Hash([7; 32]), samples: 1 };
    assert!(!looks(&mut witness, &[unheard]));
    assert!(!looks(&mut witness, &[]), "what it could be told is not looked up yet");
    witness.after(ANSWER_PAUSE);
    assert!(looks(&mut witness, &[]));
}

#[test]
fn a_flood_of_questions_for_a_snapshot_gets_few_answers() {
    let mut giver = Taker::new();
    let heads = |outputs: &[Output]| {
        let is_head = |output: &&Output| matches!(output, Output::Send { message: Message::SnapshotHead(_), .. });
        outputs.iter().filter(is_head).count()
    };
    giver.hear(GIVER, Message::SnapshotAsk);
    let result = Computed::Snapshot { base: vec![1, 2], base_hash: base_hash(&[1, 2]) };
    assert_eq!(heads(&giver.input(Input::Computed { result, took: Span(0) })), 1);
    let flood = |giver: &mut Taker, from: PeerId| -> usize {
        (0..1000).map(|_| heads(&giver.hear(from, Message::SnapshotAsk))).sum()
    };
    assert_eq!((flood(&mut giver, GIVER), flood(&mut giver, WITNESS)), (0, 1), "each by itself");
    giver.after(Span::from_millis(100));
    assert_eq!(flood(&mut giver, GIVER), 1, "who has not understood may ask again");
}

#[test]
fn nobody_speaks_in_our_name() {
    let mut taker = Taker::new();
    let own = taker.0.origin();
    let outputs = taker.offered(vec![(own, 5, Hash([7; 32])), (STRANGER, 5, Hash([7; 32]))], &[1, 2]);
    let outputs_sorted = failed(&outputs) || outputs.iter().any(|o| matches!(o, Output::Disconnect { .. }));
    assert!(outputs_sorted && !asks(&outputs) && !restores(&outputs), "{outputs:?}");
}

#[test]
fn numbers_beyond_all_bounds_end_the_link() {
    let mut taker = Taker::new();
    let outputs = taker.offered(vec![(STRANGER, u64::MAX, Hash([7; 32]))], &[1, 2]);
    assert!(outputs.iter().any(|output| matches!(output, Output::Disconnect { peer } if *peer == GIVER)));
    assert!(!restores(&outputs));
}

#[test]
fn who_is_not_behind_takes_no_offer() {
    let mut taker = Taker::new();
    let outputs = taker.hear(GIVER, Message::SnapshotOffer { bytes: 8 });
    let asked = outputs.iter().any(|output| matches!(output, Output::Send { message: Message::SnapshotAsk, .. }));
    assert!(!asked, "{outputs:?}");
}
