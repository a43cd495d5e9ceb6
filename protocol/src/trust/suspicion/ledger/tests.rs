#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::id::PeerId;
use crate::trust::suspicion::{Measure as _, Norm};

fn header(peer: u8, seq: u64, l2_norm: f32, weight: Weight) -> Header {
    Header {
        origin: Origin { peer: PeerId([peer; 32]), incarnation: 1 },
        seq,
        previous: Hash::ZERO,
        heard: Hash([seq as u8; 32]),
        steps: 10,
        samples: 10,
        round: 0,
        weight: weight.raw(),
        codec: 0,
        l2_norm,
    }
}

/// Five origins that say deltas of length 1 at w = 0.1, ten a second, for three seconds.
fn usual() -> (Ledger, Time) {
    let mut ledger = Ledger::new(1, 64.0);
    ledger.set_live(5);
    let mut now = Time(0);
    for seq in 1..=30 {
        now = now + Span::from_millis(100);
        (0..5).for_each(|peer| ledger.own(now, &header(peer, seq, 1.0, tenth())));
        if seq % 10 == 0 {
            ledger.tick(now);
        }
    }
    (ledger, now)
}

fn tenth() -> Weight {
    Weight::from_raw(6554).unwrap()
}

#[test]
fn who_stays_below_the_longest_usual_is_not_struck() {
    let (mut ledger, now) = usual();
    let config = Trust::default();
    for weight in [tenth(), Weight::ONE] {
        let longest = ledger.longest_usual(now, weight, 10, &config);
        for (share, struck) in [(0.99, false), (1.01, true)] {
            let header = header(1, 31, share * longest, weight);
            let medians = ledger.medians(now);
            let (ratio, weighted) = ratios(&header, medians);
            let evidence = ledger.evidence(now, &header, &[0.0; SKETCH], medians);
            assert_eq!((evidence.norm_ratio, evidence.weighted_ratio), (ratio, weighted));
            let strikes = Norm.strikes(&evidence, &config);
            assert_eq!(strikes > 0, struck, "{share} of {longest}");
        }
    }
    assert!((ledger.longest_usual(now, tenth(), 10, &config) - 3.0).abs() < 1e-3);
    assert!((ledger.longest_usual(now, tenth(), 20, &config) - 6.0).abs() < 1e-3, "twice the steps");
    assert!(ledger.longest_usual(now, Weight::ONE, 10, &config) < 1.0, "by its weight");
    assert_eq!(Ledger::new(1, 64.0).longest_usual(now, tenth(), 10, &config), f32::INFINITY);
}

#[test]
fn a_chain_that_was_there_before_we_met_it_is_not_measured_by_its_weight() {
    let (mut ledger, mut now) = usual();
    let weighted = |ledger: &mut Ledger, now, seq| {
        let header = header(9, seq, 1.0, Weight::ONE);
        let medians = ledger.medians(now);
        let ratio = ledger.evidence(now, &header, &[0.0; SKETCH], medians).weighted_ratio;
        ledger.own(now, &header);
        ratio
    };
    weighted(&mut ledger, now, 1);
    // Ten a second is usual: what comes within a moment was said before.
    assert!((2..=20).all(|seq| weighted(&mut ledger, now, seq) == 0.0));
    for seq in 21..=60 {
        now = now + Span::from_millis(100);
        let ratio = weighted(&mut ledger, now, seq);
        assert_eq!(ratio > 5.0, seq >= 39, "{seq}: {ratio}");
    }
}

#[test]
fn hearsay_pushes_nobody_out_and_excuses_nobody_for_good() {
    let (mut ledger, now) = usual();
    let stranger = |i: u64| Origin { peer: PeerId([200; 32]), incarnation: i };
    for i in 0..2 * ORIGINS_MAX as u64 {
        ledger.note_ahead(now, stranger(i), 0, u64::MAX);
    }
    assert_eq!(ledger.origins.len(), ORIGINS_MAX);
    let known = |peer| ledger.origins.contains_key(&header(peer, 1, 1.0, tenth()).origin);
    assert!((0..5).all(known), "whoever was heard is still known");
    // Silent for a second, in which ten deltas are usual, it cannot have said 2^47.
    let later = now + Span::from_secs(1);
    let origin = header(1, 1, 1.0, tenth()).origin;
    ledger.note_ahead(later, origin, 30, 1 << 47);
    let backlog = ledger.origins[&origin].backlog;
    assert!((40..=60).contains(&backlog), "{backlog}");
}

/// Norms shrink as training goes on, and what the other half of a swarm has said at the beginning of a cut arrives at its end.
#[test]
fn whoever_was_cut_off_remembers_what_was_usual_before() {
    let (mut ledger, mut now) = usual();
    let config = Trust::default();
    for seq in 31..=150 {
        now = now + Span::from_millis(100);
        // Two of five go on, and say less and less; the others count as living for a while, and then no more.
        ledger.set_live(if seq < 140 { 5 } else { 2 });
        (0..2).for_each(|peer| ledger.own(now, &header(peer, seq, 0.1, tenth())));
        ledger.medians(now);
        if seq % 10 == 0 {
            ledger.tick(now);
        }
    }
    assert!(!ledger.is_long(now, &header(4, 31, 1.0, tenth()), &config), "as it was usual twelve seconds ago");
    assert!(ledger.is_long(now, &header(4, 31, 4.0, tenth()), &config), "and not longer");
    let later = now + Span::from_secs(240);
    (0..2).for_each(|peer| ledger.own(later, &header(peer, 151, 0.1, tenth())));
    assert!(ledger.is_long(later, &header(4, 31, 1.0, tenth()), &config), "nor for ever");
}

/// A peer that is killed and comes back begins a life; twelve a minute would fill the ledger, and the dead stay in what others are compared with.
#[test]
fn lives_that_are_over_are_forgotten_and_nobody_is_compared_with_them() {
    let (mut ledger, mut now) = usual();
    let moved: Vec<f32> = (0..SKETCH).map(|cell| cell as f32).collect();
    for life in 2..200 {
        let mut header = header(4, 1, 1.0, tenth());
        header.origin.incarnation = life;
        ledger.remember(now, &header, moved.clone());
        now = now + Span::from_secs(5);
        for peer in 0..4 {
            ledger.own(now, &self::header(peer, 30 + life, 1.0, tenth()));
        }
        ledger.tick(now);
        let lives = usize::try_from(SILENCE_MAX.0 / Span::from_secs(5).0).unwrap();
        assert!(ledger.origins.len() <= 5 + lives, "{} after {life} lives", ledger.origins.len());
        assert!(ledger.moving <= lives, "{}", ledger.moving);
    }
    now = now + SILENCE_MAX;
    ledger.tick(now);
    assert_eq!((ledger.origins.len(), ledger.moving), (0, 0));
    assert!(norm(&ledger.total) < 1e-3, "{}", norm(&ledger.total));
}

#[test]
fn strikes_are_not_washed_off_by_a_short_silence_and_kept_by_no_life_that_is_over() {
    let (mut ledger, now) = usual();
    let origin = header(0, 1, 1.0, tenth()).origin;
    ledger.origins.get_mut(&origin).unwrap().strikes.push_back((30, Reason::Norm, 1));
    ledger.tick(now + SILENCE_MAX);
    assert_eq!(ledger.origins.keys().copied().collect::<Vec<_>>(), [origin]);
    ledger.tick(now + STRUCK_SILENCE_MAX);
    assert!(ledger.origins.is_empty());
}
