#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;

use proptest::prelude::*;

use super::*;
use crate::codec::{Codec as _, Decoded, DenseF32};
use crate::fixed::Weight;
use crate::id::{PeerId, RunId, SchemaHash};
use crate::trust::{Identity, Limits};
use crate::wire::DELTAS_MAX;
use std::sync::Arc;

fn context() -> Context {
    Context {
        run: RunId(Hash([1; 32])),
        schema: SchemaHash(Hash([2; 32])),
        parameters: 2,
        codec: &DenseF32,
        limits: Limits::OFF,
    }
}

fn header(identity: &Identity, seq: u64, previous: Hash) -> Header {
    Header {
        origin: Origin { peer: identity.peer_id(), incarnation: 1 },
        seq,
        previous,
        heard: Hash::ZERO,
        steps: 10,
        samples: 320,
        round: 0,
        weight: 32768,
        codec: DenseF32.wire_id(),
        l2_norm: 0.0,
    }
}

/// A delta of two values with the right norm.
fn delta(identity: &Identity, seq: u64, previous: Hash, value: f32) -> Delta {
    let mut payload = Vec::new();
    DenseF32.encode(&[value, 0.0], &mut payload);
    let header =
        Header { l2_norm: (f64::from(value) * f64::from(value)).sqrt() as f32, ..header(identity, seq, previous) };
    Delta::sign(&context(), header, payload, identity)
}

/// `n` chained deltas of identity `i`.
fn chain(i: u8, n: u64) -> Vec<Delta> {
    let identity = Identity::from_seed(&[i; 32]);
    let mut previous = Hash::ZERO;
    (1..=n)
        .map(|seq| {
            let delta = delta(&identity, seq, previous, seq as f32 / 100.0);
            previous = delta.hash();
            delta
        })
        .collect()
}

/// Judges look at what is decoded: in a simulation many peers check one copy, and only the first one verifies its signature.
#[test]
fn whoever_checks_a_delta_has_it_decoded() {
    let signed = delta(&Identity::from_seed(&[1; 32]), 1, Hash::ZERO, 0.5).signed().clone();
    for _ in 0..2 {
        let mut scratch = Decoded::default();
        Delta::check(&context(), signed.clone(), &mut scratch).unwrap();
        assert_eq!(scratch.values, [0.5, 0.0]);
    }
}

fn check(signed: SignedDelta) -> Result<Delta, Invalid> {
    Delta::check(&context(), Arc::new(signed), &mut Decoded::default())
}

#[test]
fn what_was_signed_checks_and_nothing_else_does() {
    let good = SignedDelta::clone(chain(1, 1)[0].signed());
    assert!(check(good.clone()).is_ok());
    let altered = |alter: fn(&mut SignedDelta)| {
        let mut delta = good.clone();
        alter(&mut delta);
        check(delta).map(|_| ())
    };
    assert_eq!(altered(|d| d.header.seq = 0), Err(Invalid::Sequence));
    assert_eq!(altered(|d| d.header.weight = 0), Err(Invalid::Weight { raw: 0 }));
    assert_eq!(altered(|d| d.header.weight = 65537), Err(Invalid::Weight { raw: 65537 }));
    assert_eq!(altered(|d| d.header.codec = 1), Err(Invalid::Codec { found: 1, expected: 0 }));
    for alter in [
        (|d| d.header.seq = 2) as fn(&mut SignedDelta),
        |d| d.header.steps += 1,
        |d| d.header.samples += 1,
        |d| d.header.weight += 1,
        |d| d.header.previous.0[0] ^= 1,
        |d| d.header.heard.0[31] ^= 1,
        |d| d.header.origin.incarnation += 1,
        |d| d.header.l2_norm = 1.0,
        |d| d.payload[0] ^= 1,
        |d| d.signature[63] ^= 1,
    ] {
        assert_eq!(altered(alter), Err(Invalid::Signature));
    }
    assert!(altered(|d| d.header.origin.peer = PeerId([255; 32])).is_err());
}

#[test]
fn another_run_or_model_does_not_check() {
    let signed = chain(1, 1)[0].signed().clone();
    let scratch = &mut Decoded::default();
    let other_run = Context { run: RunId(Hash([9; 32])), ..context() };
    assert_eq!(Delta::check(&other_run, signed.clone(), scratch).map(|_| ()), Err(Invalid::Signature));
    let other_model = Context { schema: SchemaHash(Hash([9; 32])), ..context() };
    assert_eq!(Delta::check(&other_model, signed, scratch).map(|_| ()), Err(Invalid::Signature));
}

#[test]
fn a_signed_lie_about_the_norm_or_a_nan_is_refused() {
    let identity = Identity::from_seed(&[1; 32]);
    let sign = |value: f32, l2_norm: f32| {
        let mut payload = Vec::new();
        DenseF32.encode(&[value, 0.0], &mut payload);
        let header = Header { l2_norm, ..header(&identity, 1, Hash::ZERO) };
        check(SignedDelta::clone(Delta::sign(&context(), header, payload, &identity).signed())).map(|_| ())
    };
    assert_eq!(sign(0.5, 0.5), Ok(()));
    assert_eq!(sign(0.5, 0.4), Err(Invalid::Norm { claimed: 0.4, found: 0.5 }));
    assert!(matches!(sign(f32::NAN, f32::NAN), Err(Invalid::Payload(_))));
    assert!(matches!(sign(1e9, 1e9), Err(Invalid::Payload(_))));
}

#[test]
fn the_job_caps_norm_and_weight_of_a_delta() {
    let good = SignedDelta::clone(chain(1, 3)[2].signed());
    let check = |limits: Limits| {
        let context = Context { limits, ..context() };
        Delta::check(&context, Arc::new(good.clone()), &mut Decoded::default()).map(|_| ())
    };
    assert_eq!(check(Limits::OFF), Ok(()));
    assert_eq!(check(Limits { norm_max: 0.03, ..Limits::OFF }), Ok(()), "the cap itself passes");
    assert_eq!(check(Limits { norm_max: 0.02, ..Limits::OFF }), Err(Invalid::NormCap { found: 0.03, cap: 0.02 }));
    let half = Limits { weight_max: Weight::HALF, ..Limits::OFF };
    assert_eq!(check(half), Ok(()));
    assert_eq!(check(Limits { probation: 2, ..half }), Ok(()), "its probation is over");
    let young = check(Limits { probation: 3, ..half });
    assert_eq!(young, Err(Invalid::WeightCap { raw: 32768, cap: 3276 }));
}

#[test]
fn gaps_are_held_and_named_and_close_in_order() {
    let chain = chain(1, 5);
    let mut log = Log::new(1 << 20);
    let gap = |arrival| match arrival {
        Arrival::Held(range) => (range.first, range.last),
        other => panic!("{other:?}"),
    };
    assert_eq!(gap(log.offer(chain[2].clone())), (1, 2));
    assert_eq!(gap(log.offer(chain[4].clone())), (1, 2), "what waits is not asked for again");
    assert!(matches!(log.offer(chain[4].clone()), Arrival::Known));
    assert!(matches!(log.offer(chain[0].clone()), Arrival::Ready(d) if d.len() == 1));
    assert!(matches!(log.offer(chain[1].clone()), Arrival::Ready(d) if d.len() == 2));
    assert!(matches!(log.offer(chain[3].clone()), Arrival::Ready(d) if d.len() == 2));
    assert!(matches!(log.offer(chain[0].clone()), Arrival::Known));
    assert_eq!(log.deltas(), 5);
}

#[test]
fn a_second_delta_under_one_number_is_equivocation() {
    let identity = Identity::from_seed(&[1; 32]);
    let mut log = Log::new(1 << 20);
    log.offer(delta(&identity, 1, Hash::ZERO, 0.1));
    let other = delta(&identity, 1, Hash::ZERO, 0.2);
    assert!(matches!(log.offer(other.clone()), Arrival::Refused(Refused::Equivocation)));
    let fork = delta(&identity, 2, other.hash(), 0.2);
    assert!(matches!(log.offer(fork), Arrival::Refused(Refused::Chain)));
}

#[test]
fn what_waits_is_bounded() {
    let identity = Identity::from_seed(&[1; 32]);
    let mut log = Log::new(1 << 20);
    for seq in 0..HELD_MAX as u64 {
        assert!(matches!(log.offer(delta(&identity, seq + 2, Hash([7; 32]), 0.1)), Arrival::Held(_)));
    }
    let one_more = delta(&identity, 9999, Hash([7; 32]), 0.1);
    assert!(matches!(log.offer(one_more), Arrival::Refused(Refused::Ahead { limit: HELD_MAX })));
}

#[test]
fn the_log_forgets_the_oldest_and_says_so() {
    let chain = chain(1, 50);
    let mut log = Log::new(10 * chain[0].bytes());
    for delta in &chain {
        log.offer(delta.clone());
    }
    assert!(log.bytes() <= 10 * chain[0].bytes());
    let origin = chain[0].origin();
    assert_eq!(log.first_retained(origin), 41);
    assert!(!log.missing(&VersionVector::new()).complete);
    assert!(log.missing(&[(origin, 40)].into_iter().collect()).complete);
    assert_eq!(log.range(Range { origin, first: 1, last: 45 }).count(), 5);
}

#[test]
fn a_snapshot_takes_over_and_keeps_what_it_lacks() {
    let (ours, theirs) = (chain(1, 5), chain(2, 9));
    let mut giver = Log::new(1 << 20);
    ours[..2].iter().chain(&theirs[..7]).for_each(|delta| drop(giver.offer(delta.clone())));
    let mut taker = Log::new(1 << 20);
    ours.iter().chain(&theirs[..1]).for_each(|delta| drop(taker.offer(delta.clone())));
    taker.offer(theirs[8].clone());
    taker.offer(theirs[7].clone());

    let heads = giver.heads();
    let replay: Vec<_> = taker.beyond(&heads, &Exclusions::default()).replay.iter().map(Delta::seq).collect();
    assert_eq!(replay, [3, 4, 5], "our own that the snapshot lacks");
    let ready: Vec<_> = taker.adopt(&heads, &Exclusions::default()).iter().map(Delta::seq).collect();
    assert_eq!(ready, [8, 9], "what had waited is next now");
    assert_eq!(taker.heard().get(&theirs[0].origin()), 9);
    assert_eq!(taker.first_retained(theirs[0].origin()), 8, "a gap is not retained");
    assert_eq!(taker.head(&ours[0].origin()), ours[4].hash());
}

/// A liar told us another story than the giver: the base to come holds the giver's, and so does our log from then on.
#[test]
fn a_snapshot_takes_over_the_story_that_its_base_holds() {
    for heard_there in [1, 3, 6] {
        let theirs = chain(1, heard_there);
        let liar = Identity::from_seed(&[1; 32]);
        let mut previous = Hash::ZERO;
        let ours: Vec<Delta> = (1..=4)
            .map(|seq| {
                let delta = delta(&liar, seq, previous, 7.0);
                previous = delta.hash();
                delta
            })
            .collect();
        let (mut giver, mut taker) = (Log::new(1 << 20), Log::new(1 << 20));
        theirs.iter().for_each(|delta| drop(giver.offer(delta.clone())));
        ours.iter().chain(&chain(2, 2)).for_each(|delta| drop(taker.offer(delta.clone())));

        let beyond = taker.beyond(&giver.heads(), &Exclusions::default());
        assert!(beyond.replay.iter().all(|delta| delta.origin() != ours[0].origin()), "nothing of ours fits on theirs");
        assert_eq!(beyond.replay.len(), 2);
        let known_to_differ = if heard_there <= 4 { vec![ours[0].origin()] } else { vec![] };
        assert_eq!((beyond.gone, &beyond.contradicted), (vec![], &known_to_differ));
        taker.renounce(&beyond.contradicted);
        taker.adopt(&giver.heads(), &Exclusions::default());
        assert_eq!(taker.heard().get(&ours[0].origin()), heard_there);
        assert_eq!(taker.head(&ours[0].origin()), theirs.last().unwrap().hash());
        assert!(
            taker.get(ours[0].origin(), 1).is_none(),
            "what we had heard of it can be taken back from no base any more"
        );
    }
}

#[test]
fn the_samples_of_a_set_do_not_hang_on_how_it_was_heard() {
    // What a delta of origin i holds is 10 i samples.
    let chains: Vec<_> = (1..=3u8)
        .map(|i| {
            let identity = Identity::from_seed(&[i; 32]);
            let mut previous = Hash::ZERO;
            let mut chain = Vec::new();
            for seq in 1..=8 {
                let mut payload = Vec::new();
                DenseF32.encode(&[0.01, 0.0], &mut payload);
                let header = Header { samples: 10 * u64::from(i), ..header(&identity, seq, previous) };
                chain.push(Delta::sign(&context(), header, payload, &identity));
                previous = chain[chain.len() - 1].hash();
            }
            chain
        })
        .collect();
    let offer = |log: &mut Log, chain: &[Delta]| chain.iter().for_each(|delta| drop(log.offer(delta.clone())));
    let mut whole = Log::new(1 << 20);
    chains.iter().for_each(|chain| offer(&mut whole, chain));
    assert_eq!(whole.samples(), 8 * (10 + 20 + 30));

    // By snapshot, with a part of ours beyond it and a part that had waited.
    let mut giver = Log::new(3 * chains[0][0].bytes());
    chains.iter().for_each(|chain| offer(&mut giver, &chain[..6]));
    let mut taker = Log::new(1 << 20);
    offer(&mut taker, &chains[0]);
    offer(&mut taker, &chains[1][6..]);
    taker.adopt(&giver.heads(), &Exclusions::default());
    assert_eq!(taker.samples(), 8 * (10 + 20) + 6 * 30);
    offer(&mut taker, &chains[2][6..]);
    assert_eq!(taker.samples(), whole.samples());
    assert_eq!(taker.heads(), whole.heads());

    // From a disk that is a little behind, and after an exclusion.
    let heard: VersionVector = chains.iter().map(|chain| (chain[0].origin(), 5)).collect();
    let heads: Vec<_> = heard.iter().filter_map(|(origin, seq)| whole.head_at(origin, seq)).collect();
    let mut disk = Log::new(1 << 20);
    disk.adopt(&heads, &Exclusions::default());
    assert_eq!(disk.samples(), 5 * 60);
    assert!(whole.exclude(chains[2][0].origin(), 3).is_some());
    assert_eq!(whole.samples(), 8 * (10 + 20) + 2 * 30);
    whole.renounce(&[chains[1][0].origin()]);
    assert_eq!(whole.samples(), 8 * 10 + 2 * 30);
}

#[test]
fn what_one_origin_claims_beyond_measure_does_not_count() {
    let mut log = Log::new(1 << 20);
    assert_eq!(log.samples(), 0);
    for (i, samples) in [(1, 100), (2, 120), (3, u64::MAX)] {
        let identity = Identity::from_seed(&[i; 32]);
        let mut payload = Vec::new();
        DenseF32.encode(&[0.01, 0.0], &mut payload);
        let header = Header { samples, ..header(&identity, 1, Hash::ZERO) };
        log.offer(Delta::sign(&context(), header, payload, &identity));
    }
    assert_eq!(log.samples(), 100 + 120 + 121 * CLAIM_MAX);
}

#[test]
fn an_exclusion_takes_a_chain_back_to_where_it_was() {
    let (good, bad) = (chain(1, 4), chain(2, 9));
    let mut log = Log::new(1 << 20);
    good.iter().chain(&bad[..7]).for_each(|delta| drop(log.offer(delta.clone())));
    log.offer(bad[8].clone());
    let mut short = Log::new(1 << 20);
    good.iter().chain(&bad[..3]).for_each(|delta| drop(short.offer(delta.clone())));

    let about = bad[0].origin();
    let seqs: Vec<_> = log.exclude(about, 4).expect("retained").iter().map(Delta::seq).collect();
    assert_eq!(seqs, [4, 5, 6, 7]);
    assert_eq!((log.heard(), log.bytes(), log.heads()), (short.heard(), short.bytes(), short.heads()));
    assert_ne!(log.set_hash(), short.set_hash(), "the exclusion is part of the set's name");
    assert_eq!(short.exclude(about, 4).map(|out| out.len()), Some(0));
    assert_eq!(log.set_hash(), short.set_hash());
    for delta in &bad[3..] {
        assert!(matches!(log.offer(delta.clone()), Arrival::Refused(Refused::Excluded)));
    }
    assert!(matches!(log.offer(bad[2].clone()), Arrival::Known));
    // Earlier wins, later changes nothing.
    assert_eq!(log.exclude(about, 6).map(|out| out.len()), Some(0));
    assert_eq!(log.exclude(about, 1).map(|out| out.len()), Some(3));
    assert_eq!(log.heads().len(), 1);
}

#[test]
fn an_exclusion_beyond_the_log_changes_nothing_and_a_snapshot_brings_it() {
    let (good, bad) = (chain(1, 4), chain(2, 9));
    let mut log = Log::new(4 * good[0].bytes());
    bad.iter().chain(&good[..2]).for_each(|delta| drop(log.offer(delta.clone())));
    let before = log.set_hash();
    let about = bad[0].origin();
    assert!(log.exclude(about, 3).is_none());
    assert_eq!(log.set_hash(), before);

    let mut giver = Log::new(1 << 20);
    good.iter().take(1).chain(&bad[..5]).for_each(|delta| drop(giver.offer(delta.clone())));
    assert!(giver.exclude(about, 3).is_some());
    let heads = giver.heads();
    let replay: Vec<_> = log.beyond(&heads, giver.excluded()).replay.iter().map(Delta::origin).collect();
    assert_eq!(replay, [good[0].origin()], "nothing that is excluded is added again");
    log.adopt(&heads, giver.excluded());
    assert_eq!(log.heard().get(&about), 2);
    giver.offer(good[1].clone());
    assert_eq!(log.set_hash(), giver.set_hash());
}

#[test]
fn a_snapshot_is_refused_when_our_log_is_too_short() {
    let ours = chain(1, 5);
    let mut taker = Log::new(2 * ours[0].bytes());
    ours.iter().for_each(|delta| drop(taker.offer(delta.clone())));
    let none = Exclusions::default();
    assert_eq!(taker.beyond(&[], &none).gone, [ours[0].origin()]);
    assert!(
        taker
            .beyond(&[Head { origin: ours[0].origin(), seq: 3, hash: ours[2].hash(), samples: 3 }], &none)
            .gone
            .is_empty()
    );
    taker.renounce(&[ours[0].origin()]);
    assert_eq!((taker.heard().get(&ours[0].origin()), taker.head(&ours[0].origin())), (0, Hash::ZERO));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Every order and every duplication of the same deltas ends in the same set, each applied once and in chain order.
    #[test]
    fn any_order_applies_each_delta_once(order in prop::collection::vec((0usize..3, 0usize..12), 0..120), seed in any::<u64>()) {
        let chains: Vec<_> = (1..=3).map(|i| chain(i, 12)).collect();
        let mut log = Log::new(1 << 20);
        let mut applied: Vec<(Origin, u64)> = Vec::new();
        let mut rest: Vec<_> = (0..3).flat_map(|c| (0..12).map(move |s| (c, s))).collect();
        let turn = (seed % 36) as usize;
        rest.rotate_left(turn);
        for (c, s) in order.into_iter().chain(rest) {
            if let Arrival::Ready(deltas) = log.offer(chains[c][s].clone()) {
                applied.extend(deltas.iter().map(|delta| (delta.origin(), delta.seq())));
            }
        }
        for chain in &chains {
            let seqs: Vec<_> = applied.iter().filter(|(o, _)| *o == chain[0].origin()).map(|(_, seq)| *seq).collect();
            prop_assert_eq!(seqs, (1..=12).collect::<Vec<_>>());
        }
        prop_assert_eq!(log.heard().hash(), chains.iter().map(|c| (c[0].origin(), 12)).collect::<VersionVector>().hash());
    }
}

#[test]
fn what_is_in_the_set_goes_back_into_the_log_from_its_head_down() {
    let identity = Identity::from_seed(&[7; 32]);
    let mut chain: Vec<Delta> = Vec::new();
    for seq in 1..=3 {
        let previous = chain.last().map_or(Hash::ZERO, Delta::hash);
        chain.push(delta(&identity, seq, previous, seq as f32));
    }
    let mut whole = Log::new(1 << 20);
    chain.iter().for_each(|delta| whole.say(delta.clone()));
    let mut log = Log::new(1 << 20);
    log.adopt(&whole.heads(), &Exclusions::default());
    assert!(!log.missing(&VersionVector::new()).complete, "a base without its deltas");
    let forged = delta(&identity, 3, chain[1].hash(), 9.0);
    assert!(!log.backfill(forged), "not the one that the head names");
    assert!(!log.backfill(chain[0].clone()), "there would be a gap");
    assert!(chain.iter().rev().all(|delta| log.backfill(delta.clone())));
    assert!(!log.backfill(chain[0].clone()), "it is there");
    assert!(log.missing(&VersionVector::new()).complete);
    assert_eq!((log.heard(), log.bytes()), (whole.heard(), whole.bytes()));
}

/// The delta as it travels, with a signature that is not its own.
fn spoiled(delta: &Delta) -> Arc<SignedDelta> {
    let mut signed = SignedDelta::clone(delta.signed());
    signed.signature[10] ^= 1;
    Arc::new(signed)
}

fn signed(chain: &[Delta]) -> Vec<Arc<SignedDelta>> {
    chain.iter().map(|delta| delta.signed().clone()).collect()
}

#[test]
fn the_last_signature_speaks_for_a_chain_and_no_other_one_does() {
    let deltas = chain(1, 6);
    let proofs = proven(&context(), &signed(&deltas)).unwrap();
    assert!(proofs.iter().zip(&deltas).all(|(proof, delta)| proof.hash == delta.hash()));
    assert_eq!(proofs.iter().filter(|proof| proof.signed).count(), 1);
    // Spoiled on the way: nothing hangs on it.
    let mut middle = signed(&deltas);
    middle[2] = spoiled(&deltas[2]);
    assert!(proven(&context(), &middle).is_some());
    let mut last = signed(&deltas);
    last[5] = spoiled(&deltas[5]);
    assert_eq!(proven(&context(), &last), None);
    // A delta of somebody else's making has another hash than the next one names.
    let mut altered = signed(&deltas);
    let mut other = SignedDelta::clone(&altered[3]);
    other.payload[0] ^= 1;
    altered[3] = Arc::new(other);
    assert_eq!(proven(&context(), &altered), None);
    assert_eq!(proven(&context(), &[signed(&deltas)[0].clone(), signed(&deltas)[2].clone()]), None, "a gap");
    assert_eq!(proven(&context(), &[]), None);
}

#[test]
fn what_goes_out_ends_with_a_good_signature() {
    let lengths = |deltas: Vec<Delta>| -> Vec<usize> { pieces(&context(), &deltas).iter().map(Vec::len).collect() };
    let long = chain(1, DELTAS_MAX as u64 + 6);
    assert_eq!(lengths(long.clone()), [DELTAS_MAX, 6]);
    assert_eq!(lengths([&long[..3], &chain(2, 2)].concat()), [3, 2], "a chain each");
    assert_eq!(lengths([&long[..3], &long[4..5]].concat()), [3, 1], "without gaps");
    // As they are after they came with others.
    let proofs = proven(&context(), &signed(&long)).unwrap();
    let take = |i: usize, signed: Arc<SignedDelta>| {
        let proof = Proven { signed: false, ..proofs[i] };
        Delta::check_proven(&context(), signed, proof, &mut Decoded::default()).unwrap()
    };
    let mut came = long.clone();
    for i in [4, 5, DELTAS_MAX - 1, DELTAS_MAX] {
        came[i] = take(i, spoiled(&long[i]));
        assert!(!came[i].is_signed(&context()));
    }
    came[6] = take(6, long[6].signed().clone());
    assert!(came[6].is_signed(&context()), "its own was good, and is looked at when it is asked for");
    assert_eq!(lengths(came[..6].to_vec()), [4], "cut back to the last one");
    assert_eq!(lengths(came.clone()), [DELTAS_MAX - 1, 7]);
    assert_eq!(lengths(came[4..6].to_vec()), [0; 0]);
}

#[test]
fn what_came_after_a_snapshot_that_is_given_stays_as_long_as_it_is_given() {
    let (old, chain) = (chain(2, 10), chain(1, 40));
    let bytes = chain[0].bytes();
    let mut log = Log::new(10 * bytes);
    old.into_iter().for_each(|delta| drop(log.offer(delta)));
    let set: VersionVector = log.heard().clone();
    log.keep_beyond(set.clone(), 20 * bytes);
    let mut offer = chain.into_iter();
    offer.by_ref().take(30).for_each(|delta| drop(log.offer(delta)));
    assert!(log.missing(&set).complete && log.bytes() == 30 * bytes, "what was before it makes room first");
    offer.by_ref().take(5).for_each(|delta| drop(log.offer(delta)));
    assert!(!log.missing(&set).complete && log.bytes() == 30 * bytes, "bounded all the same");
    log.keep_nothing();
    assert_eq!(log.bytes(), 10 * bytes);
}

#[test]
fn a_head_is_known_by_the_delta_after_it() {
    let chain = chain(1, 20);
    let mut log = Log::new(10 * chain[0].bytes());
    chain.iter().for_each(|delta| drop(log.offer(delta.clone())));
    let origin = chain[0].origin();
    assert_eq!(log.first_retained(origin), 11);
    assert_eq!(log.head_at(origin, 10).map(|head| head.hash), Some(chain[9].hash()));
    assert_eq!(log.head_at(origin, 9), None);
}
