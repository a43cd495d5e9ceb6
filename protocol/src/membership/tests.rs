use super::*;
use crate::wire::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};

fn peer(i: u8) -> PeerId {
    PeerId([i; 32])
}

fn record(i: u8) -> PeerRecord {
    PeerRecord { peer: peer(i), addresses: vec![format!("/ip4/127.0.0.1/tcp/{i}")] }
}

#[test]
fn the_smaller_id_dials_at_once_and_the_larger_after_a_while() {
    let mut table = Membership::new(peer(5), MEMBERS_MAX, 0);
    table.learn(None, vec![record(4), record(6), record(5)], Time(0));
    let now: Vec<_> = table.to_dial(Time(0), 16).into_iter().map(|r| r.peer).collect();
    assert_eq!(now, [peer(6)], "not ourselves, and not the one that dials us");
    let later: Vec<_> = table.to_dial(Time(0) + DIAL_DEFER, 16).into_iter().map(|r| r.peer).collect();
    assert!(later.contains(&peer(4)));
}

#[test]
fn a_refusal_keeps_us_away_and_failures_end_in_oblivion() {
    let mut table = Membership::new(peer(1), MEMBERS_MAX, 0);
    table.learn(None, vec![record(2)], Time(0));
    table.dial_failed(peer(2), true, Time(0));
    assert!(table.to_dial(Time(0) + Span::from_secs(60), 16).is_empty());
    let fail =
        |table: &mut Membership| (0..=DIAL_FAILURES_MAX).for_each(|_| table.dial_failed(peer(2), false, Time(0)));
    fail(&mut table);
    assert_eq!(table.to_dial(Time(u64::MAX), 16).len(), 1, "the only one that it knows is not forgotten");
    table.learn(None, (3..3 + MEMBERS_KEPT as u8).map(record).collect(), Time(0));
    fail(&mut table);
    assert!(!table.members.contains_key(&peer(2)), "one of many is");
}

#[test]
fn who_has_more_neighbours_than_it_needs_lets_a_rich_one_go() {
    let mut table = Membership::new(peer(200), MEMBERS_MAX, 0);
    let status = |neighbours: u64| Status {
        incarnation: 1,
        steps: 0,
        steps_per_second: 0.0,
        train_loss: 0.0,
        heard: crate::id::Hash::ZERO,
        neighbours: (0..neighbours).collect(),
        finished: false,
        round: 0,
    };
    // Of two rich ones the younger; the other one belongs to the oldest half, which stays.
    for i in 1..=7 {
        table.connected(peer(i), Time(i.into()));
        let neighbours = if i == 2 || i == 6 { 5 } else { 1 };
        table.neighbour_mut(peer(i)).expect("it is up").status = Some(status(neighbours));
        let expected = if table.neighbour_count() > 6 { vec![peer(6)] } else { vec![] };
        assert_eq!(table.surplus(4), expected, "{i}");
    }
}

#[test]
fn the_neighbour_target_and_the_table_are_bounded() {
    let mut table = Membership::new(PeerId([0; 32]), MEMBERS_MAX, 0);
    for i in 0..2 * MEMBERS_MAX as u32 {
        let mut id = [1; 32];
        id[..4].copy_from_slice(&i.to_be_bytes());
        let record = PeerRecord { peer: PeerId(id), addresses: vec!["/ip4/127.0.0.1/tcp/1".into()] };
        table.learn(Some(record.peer), vec![record], Time(0));
    }
    assert_eq!(table.members.len(), MEMBERS_MAX);
    assert_eq!(table.to_dial(Time(0), 3).len(), 3);
}

#[test]
fn hostile_addresses_are_dropped() {
    let mut table = Membership::new(peer(1), MEMBERS_MAX, 0);
    let long = "x".repeat(ADDRESS_BYTES_MAX + 1);
    assert!(
        table.learn(None, vec![PeerRecord { peer: peer(2), addresses: vec![long, String::new()] }], Time(0)).is_empty()
    );
    let many = PeerRecord { peer: peer(2), addresses: (0..100).map(|i| format!("/a/{i}")).collect() };
    assert_eq!(table.learn(None, vec![many], Time(0))[0].addresses.len(), ADDRESSES_MAX);
}

#[test]
fn who_says_goodbye_is_gone_and_who_is_cut_off_counts_for_a_while() {
    let mut table = Membership::new(peer(1), MEMBERS_MAX, 0);
    for other in [2, 3, 4] {
        table.spoke(peer(other), Time(0));
    }
    table.connected(peer(2), Time(0));
    table.connected(peer(4), Time(0));
    assert_eq!(table.live_peers(Time(0)), 4);
    table.disconnected(peer(4), Time(1));
    assert_eq!(table.live_peers(Time(1)), 4, "it may be we who are cut off");
    table.left(peer(2));
    table.disconnected(peer(2), Time(1));
    assert_eq!(table.live_peers(Time(1)), 3);
    assert_eq!(table.live_peers(Time(1) + LIVE_WINDOW), 1, "and the other one has fallen silent");
}

#[test]
fn what_was_just_sent_counts_as_known_for_a_moment() {
    let origin = Origin { peer: peer(1), incarnation: 1 };
    let mut neighbour = Neighbour::new(Time(0));
    neighbour.note_sent(origin, (1, 3), Time(0));
    neighbour.confirm(VersionVector::new(), Time(1));
    assert_eq!(neighbour.known.get(&origin), 3);
    neighbour.note_sent(origin, (7, 7), Time(1));
    assert_eq!(neighbour.known.get(&origin), 3, "it lacks those between");
    neighbour.confirm(VersionVector::new(), Time(1) + IN_FLIGHT_MAX);
    assert_eq!(neighbour.known.get(&origin), 0);
}

#[test]
fn a_peer_that_is_found_again_is_dialled_again_unless_it_refused() {
    let mut table = Membership::new(peer(1), MEMBERS_MAX, 0);
    table.learn(None, vec![record(2), record(3)], Time(0));
    (0..5).for_each(|_| table.dial_failed(peer(2), false, Time(0)));
    table.dial_failed(peer(3), true, Time(0));
    assert!(table.to_dial(Time(1), 16).is_empty());
    table.found(peer(2), Time(1));
    table.found(peer(3), Time(1));
    let dialled: Vec<_> = table.to_dial(Time(1), 16).into_iter().map(|r| r.peer).collect();
    assert_eq!(dialled, [peer(2)]);
}

/// A bridge that is one again tells nobody: neither side may have put off the next dial by half a minute.
#[test]
fn a_neighbour_that_was_lost_is_dialled_every_second_and_one_that_left_ever_more_seldom() {
    let mut table = Membership::new(peer(1), MEMBERS_MAX, 0);
    table.learn(None, vec![record(2), record(3)], Time(0));
    for other in [peer(2), peer(3)] {
        table.connected(other, Time(0));
    }
    table.left(peer(3));
    for other in [peer(2), peer(3)] {
        table.disconnected(other, Time(0));
    }
    let mut dials = [0; 2];
    for second in 1..=60 {
        let now = Time(0) + Span::from_secs(second);
        for record in table.to_dial(now, 16) {
            dials[usize::from(record.peer == peer(3))] += 1;
            table.dial_failed(record.peer, false, now);
        }
    }
    assert!(dials[0] >= 59 && dials[1] <= 8, "{dials:?}");
    let later = Time(0) + LOST_WINDOW + Span::from_secs(60);
    table.dial_failed(peer(2), false, later);
    assert!(table.to_dial(later + LOST_PAUSE, 16).iter().all(|record| record.peer != peer(2)), "and not for ever");
}

#[test]
fn a_part_that_is_on_its_way_is_known_until_it_is_answered() {
    let origin = Origin { peer: peer(1), incarnation: 1 };
    let mut neighbour = Neighbour::new(Time(0));
    neighbour.note_sent(origin, (1, 300), Time(0));
    neighbour.note_asked(Time(0));
    neighbour.note_replied(Time(0));
    let later = Time(0) + IN_FLIGHT_MAX + IN_FLIGHT_MAX;
    neighbour.confirm(VersionVector::new(), later);
    assert!(neighbour.takes_reply(later) && neighbour.known.get(&origin) == 300, "a busy machine takes its time");
    neighbour.note_answered(later);
    neighbour.confirm(VersionVector::new(), later);
    assert!(!neighbour.takes_reply(later) && neighbour.known.get(&origin) == 0, "it has answered, and lacks it");
    neighbour.note_replied(later);
    assert!(!neighbour.takes_reply(later + REPLY_MAX), "an answer that never comes is not waited for");
}

#[test]
fn what_others_have_said_is_left_to_them_for_a_while() {
    let mut neighbour = Neighbour::new(Time(0));
    let later = Time(0) + LEFT_MAX;
    assert!(
        neighbour.leaves_to_others(true, Time(0)) && !neighbour.leaves_to_others(true, later),
        "they do not send it"
    );
    assert!(neighbour.leaves_to_others(false, later), "there is enough to do");
    assert!(neighbour.leaves_to_others(true, later + LEFT_MAX), "and then they have as long again");
}

#[test]
fn round_trips_are_smoothed_and_ambiguous_ones_left_out() {
    let mut neighbour = Neighbour::new(Time(0));
    neighbour.note_answered(Time(5));
    assert!(neighbour.round_trip.is_nan(), "an answer that nobody asked for");
    neighbour.note_asked(Time(0));
    neighbour.note_answered(Time(0) + Span::from_millis(100));
    assert!((neighbour.round_trip - 0.1).abs() < 1e-6);
    neighbour.note_asked(Time(0) + Span::from_secs(1));
    neighbour.note_answered(Time(0) + Span::from_millis(1900));
    assert!((neighbour.round_trip - 0.2).abs() < 1e-6, "{}", neighbour.round_trip);
    // The first answer was lost, or is late: which digest does this one belong to?
    neighbour.note_asked(Time(0) + Span::from_secs(2));
    neighbour.note_asked(Time(0) + Span::from_secs(9));
    neighbour.note_answered(Time(0) + Span::from_secs(9));
    assert!((neighbour.round_trip - 0.2).abs() < 1e-6);
}

#[test]
fn the_number_of_the_living_is_remembered_only_as_long_as_it_is_true() {
    let mut table = Membership::new(peer(0), MEMBERS_MAX, 0);
    let (mut now, mut state) = (Time(0), 1u64);
    for step in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = (state >> 33) as u32;
        let other = peer((draw % 12) as u8);
        match draw / 12 % 16 {
            0 => drop(table.connected(other, now)),
            1 | 2 => drop(table.disconnected(other, now)),
            3 => table.left(other),
            4 if step > 15_000 && table.banned.len() < 4 => drop(table.ban(other)),
            5..=9 => table.spoke(other, now),
            _ => now = now + Span(u64::from(draw) % LIVE_WINDOW.0 / 4),
        }
        let beyond = (1..12).map(peer).filter(|&p| table.neighbour(p).is_none() && table.lives(p, now)).count();
        assert_eq!(table.live_peers(now), 1 + table.neighbour_count() + beyond, "after step {step}");
        assert_eq!(table.live_peers(now), table.live_peers(now));
    }
}

fn numbered(i: u32) -> PeerRecord {
    let mut id = [1; 32];
    id[..4].copy_from_slice(&i.to_be_bytes());
    PeerRecord { peer: PeerId(id), addresses: vec!["/ip4/127.0.0.1/tcp/1".into()] }
}

#[test]
fn one_peer_that_tells_of_thousands_fills_a_share_of_the_table() {
    let mut table = Membership::new(PeerId([0; 32]), MEMBERS_MAX, 0);
    let liar = peer(9);
    for start in (0..2 * MEMBERS_MAX as u32).step_by(PEER_RECORDS_MAX) {
        table.learn(Some(liar), (start..start + PEER_RECORDS_MAX as u32).map(numbered).collect(), Time(0));
    }
    assert_eq!(table.members.len(), MEMBERS_MAX / 8);
    assert_eq!(table.learn(Some(peer(8)), vec![record(7)], Time(0)).len(), 1, "others are heard");
}

#[test]
fn what_the_network_shows_takes_half_of_the_table_and_nobodys_place_who_speaks() {
    let mut table = Membership::new(PeerId([0; 32]), MEMBERS_MAX, 0);
    for i in 0..3 * MEMBERS_MAX as u32 {
        assert_eq!(table.learn(None, vec![numbered(i)], Time(0)).len(), 1, "the latest finds its place");
    }
    assert_eq!(table.members.len(), MEMBERS_MAX / 2);
    for i in 0..200 {
        let own = record(i + 1);
        assert_eq!(table.learn(Some(own.peer), vec![own], Time(0)).len(), 1);
    }
    assert_eq!(table.members.len(), MEMBERS_MAX / 2 + 200);
}

#[test]
fn whoever_speaks_for_itself_finds_a_place_in_a_table_full_of_hearsay() {
    let mut table = Membership::new(PeerId([0; 32]), MEMBERS_MAX, 0);
    for i in 0..2 * MEMBERS_MAX as u32 {
        table.learn(Some(peer((i / 64) as u8 % 64 + 100)), vec![numbered(i)], Time(0));
    }
    assert_eq!(table.members.len(), MEMBERS_MAX);
    let reached = table.members.keys().next().copied().expect("it is full");
    table.connected(reached, Time(0));
    for i in 0..64 {
        let own = record(i + 1);
        assert_eq!(table.learn(Some(own.peer), vec![own], Time(0)).len(), 1);
    }
    assert_eq!(table.learn(None, vec![record(90)], Time(0)).len(), 1, "and whom we find ourselves");
    assert!(table.members.len() == MEMBERS_MAX && table.members.contains_key(&reached));
    assert!(table.learn(Some(peer(3)), vec![record(91)], Time(0)).is_empty(), "one more rumour does not");
}

/// A neighbour was told of before it spoke, as a peer that others made up may be: it has a link, and keeps its place.
#[test]
fn who_has_a_link_is_not_forgotten_as_hearsay() {
    let (linked, teller) = (peer(9), Some(peer(2)));
    let fill = |table: &mut Membership| {
        for i in 10..60 {
            table.learn(Some(peer(i)), vec![record(i)], Time(0));
        }
    };
    let mut table = Membership::new(peer(1), 4, 0);
    table.connected(linked, Time(0));
    table.learn(teller, vec![record(9)], Time(0));
    fill(&mut table);
    assert!(table.members.contains_key(&linked), "it is linked");
    // And whoever speaks for itself is no hearsay, even if it says what others have said, and its link is gone.
    let mut table = Membership::new(peer(1), 4, 0);
    table.learn(teller, vec![record(9)], Time(0));
    table.learn(Some(linked), vec![record(9)], Time(0));
    assert_eq!(table.members[&linked].teller, None);
    fill(&mut table);
    assert!(table.members.contains_key(&linked), "it spoke for itself");
}

/// Sixty-four identities of one attacker, each of which says all that a message holds.
#[test]
fn whatever_all_neighbours_say_that_they_have_and_leave_out_takes_less_than_64_mib() {
    let name = |i: u32| {
        let mut id = [7; 32];
        id[..4].copy_from_slice(&i.to_be_bytes());
        Origin { peer: PeerId(id), incarnation: 1 }
    };
    let most = crate::wire::ORIGINS_MAX as u32;
    let ours: VersionVector = (0..most).map(|i| (name(2 * i), 9)).collect();
    for said in [0, most / 2, most] {
        let mut neighbour = Neighbour::new(Time(0));
        neighbour.confirm((0..said).map(|i| (name(2 * i + 1), 1)).collect(), Time(0));
        neighbour.leaves_out((0..most).map(|i| (name(i), 1)).collect(), &ours);
        for i in 0..most {
            neighbour.note_sent(name(2 * i), (1, 1), Time(0));
            neighbour.known.raise(name(4 * most + i), 1);
        }
        // guess: an entry of a tree whose nodes are half empty takes twice its bytes.
        let excluded = neighbour.excluded.len() * 2 * size_of::<(PeerId, (u64, u64))>();
        let sent = neighbour.sent.iter().count() * 2 * size_of::<(Origin, (u64, Time))>();
        let bytes = neighbour.known.room() + excluded + sent;
        assert!(neighbour.confirmed.as_ref().is_some_and(|heard| heard.len() as u32 == said), "its word is kept whole");
        assert!(bytes < 1 << 20, "{bytes} bytes a neighbour");
        assert!(
            neighbour.excluded.iter().all(|(about, _)| ours.names(about.peer)),
            "what tells of our set comes first"
        );
    }
}

#[test]
fn what_a_neighbour_has_is_its_own_word_and_what_passed_since() {
    let origin = |i: u8| Origin { peer: peer(i), incarnation: 1 };
    let mut neighbour = Neighbour::new(Time(0));
    neighbour.confirm([(origin(1), 5), (origin(2), 5)].into_iter().collect(), Time(0));
    neighbour.known.raise(origin(1), 3);
    neighbour.known.raise(origin(2), 7);
    neighbour.known.raise(origin(3), 1);
    assert_eq!([1, 2, 3, 4].map(|i| neighbour.known.get(&origin(i))), [5, 7, 1, 0]);
    assert!(neighbour.known.names(peer(3)) && !neighbour.known.names(peer(4)));
    let set = |seq| -> VersionVector { [(origin(1), 5), (origin(2), seq)].into_iter().collect() };
    assert!(neighbour.known.covers(&set(7)) && !neighbour.known.covers(&set(8)));
    neighbour.confirm(set(6), Time(1));
    assert_eq!([1, 2, 3].map(|i| neighbour.known.get(&origin(i))), [5, 6, 0]);
}
