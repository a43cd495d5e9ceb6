//! How much a log holds, and what it leaves behind.

use std::collections::BTreeMap;

use super::*;

#[test]
fn a_set_takes_no_more_origins_than_a_message_holds() {
    let known = chain(1, 2);
    let mut log = Log::new(1 << 20);
    log.offer(known[0].clone());
    log.adopt(&heads_of(0..LIVES_TAKEN_MAX as u64 - 1), &Exclusions::default());
    let arrival = log.offer(chain(2, 1)[0].clone());
    assert!(matches!(arrival, Arrival::Refused(Refused::Origins { limit: LIVES_TAKEN_MAX })), "{arrival:?}");
    assert!(matches!(log.offer(known[1].clone()), Arrival::Ready(_)), "those that are in it go on");
}

fn heads_of(names: std::ops::Range<u64>) -> Vec<Head> {
    let head = |i: u64| {
        let mut id = [9; 32];
        id[..8].copy_from_slice(&i.to_be_bytes());
        Head { origin: Origin { peer: PeerId(id), incarnation: 1 }, seq: 1, hash: Hash([7; 32]), samples: 1 }
    };
    names.map(head).collect()
}

/// Two sets that were filled by different names: the union of them is nobody's, and whoever said it would be taken for a liar.
#[test]
fn the_union_with_a_snapshot_holds_no_more_lives_than_a_set_may() {
    let (mine, others) = (chain(1, 2), [chain(2, 2), chain(3, 3)]);
    let own = mine[0].origin();
    let none = Exclusions::default();
    let mut log = Log::new(1 << 20);
    log.adopt(&heads_of(0..LIVES_TAKEN_MAX as u64 - 10), &none);
    others.iter().flatten().for_each(|delta| assert!(matches!(log.offer(delta.clone()), Arrival::Ready(_))));
    mine.iter().for_each(|delta| log.say(delta.clone()));
    for (missing, kept) in [(0, 0), (1, 1), (9, 2)] {
        let theirs = heads_of(0..(LIVES_TAKEN_MAX - missing) as u64);
        let beyond = log.beyond_within_bounds(own, &theirs, &none);
        assert_eq!(beyond.gone.len(), 2 - kept);
        let mut replayed: Vec<Origin> = beyond.replay.iter().map(Delta::origin).collect();
        replayed.dedup();
        assert!(replayed.contains(&own) && replayed.len() == 1 + kept, "what is given up is not applied again");
        assert!(beyond.gone.iter().all(|gone| !replayed.contains(gone)));
    }
    let theirs = heads_of(0..LIVES_TAKEN_MAX as u64);
    let gone = log.beyond_within_bounds(own, &theirs, &none).gone;
    log.renounce(&gone);
    log.adopt(&theirs, &none);
    assert_eq!(
        (log.heard().len(), log.heads().len()),
        (LIVES_TAKEN_MAX + 1, LIVES_TAKEN_MAX + 1),
        "theirs and our own"
    );
    let full = heads_of(0..ORIGINS_MAX as u64 - 1);
    assert!(log.beyond_within_bounds(own, &full, &none).gone.is_empty(), "our own has a place in any case");
}

/// Liars say a little each and are proved: the log never fills, and what they leave behind would never be let go of.
#[test]
fn what_is_taken_back_leaves_no_arrivals_behind() {
    let mut log = Log::new(1 << 30);
    for i in 0..60u8 {
        let deltas = chain(i, 64);
        let about = deltas[0].origin();
        deltas.into_iter().for_each(|delta| drop(log.offer(delta)));
        if i % 2 == 0 {
            assert_eq!(log.exclude(about, 2).map(|out| out.len()), Some(63));
        } else {
            log.renounce(&[about]);
        }
        assert!(log.arrivals.len() <= 2 * log.count + 1024 + 64, "{} for {}", log.arrivals.len(), log.count);
    }
    assert_eq!(log.count, 30);
    // What came again is let go of when its turn comes, and not when that of its first coming would have.
    let again = chain(1, 64);
    again.iter().for_each(|delta| drop(log.offer(delta.clone())));
    log.sweep_arrivals();
    assert_eq!(log.first_retained(again[0].origin()), 1);
}

/// Of a swarm whose peers restart every few seconds for days: beside this, each neighbour's word for what it has takes 16 bytes a life.
#[test]
fn a_life_that_is_over_takes_little_room_for_good() {
    let (mut log, lives) = (Log::new(1), 1000u64);
    for life in 1..=lives {
        for peer in 1..=6 {
            let identity = Identity::from_seed(&[peer; 32]);
            let first = header(&identity, 1, Hash::ZERO);
            let origin = Origin { incarnation: life, ..first.origin };
            let delta = Delta::sign(&context(), Header { origin, ..first }, vec![0; 8], &identity);
            assert!(matches!(log.offer(delta), Arrival::Ready(_)));
        }
    }
    assert_eq!((log.heard().len() as u64, log.retained.len()), (6 * lives, 0));
    let (room, neighbours) = (log.heard.room() + log.heads.room() + log.arrivals.room(), 6 * log.heard.clone().room());
    let a_life = (room + neighbours) / log.heard().len();
    assert!(a_life < 200, "{a_life} bytes a life");
}

#[test]
fn a_version_vector_is_on_the_wire_what_a_map_is() {
    let codec = bincode::config::standard();
    let origin = |i: u8, incarnation| Origin { peer: PeerId([i; 32]), incarnation };
    let entries =
        [(origin(3, 9), 4u64), (origin(1, 2), 70_000), (origin(3, 1), 1), (origin(1, 1 << 40), 5), (origin(3, 9), 8)];
    let map: BTreeMap<Origin, u64> = entries.into_iter().collect();
    let vector: VersionVector = entries.into_iter().collect();
    let bytes = bincode::encode_to_vec(&map, codec).unwrap();
    assert_eq!(bincode::encode_to_vec(&vector, codec).unwrap(), bytes);
    let decoded = |bytes: &[u8]| bincode::decode_from_slice::<VersionVector, _>(bytes, codec).map(|(vector, _)| vector);
    assert_eq!(decoded(&bytes).unwrap(), vector);
    // In another order, or named twice, it is in no form that anybody writes.
    let in_order: Vec<_> = map.into_iter().collect();
    let twice = [&in_order[..1], &in_order[..]].concat();
    for loose in [entries.to_vec(), twice] {
        assert!(decoded(&bincode::encode_to_vec(loose, codec).unwrap()).is_err());
    }
    assert!((0..bytes.len()).all(|end| decoded(&bytes[..end]).is_err()));
    // A claim of a length costs an error.
    let limited = bincode::config::standard().with_limit::<0x4000>();
    let claim = bincode::encode_to_vec(u64::from(u32::MAX), codec).unwrap();
    assert!(bincode::decode_from_slice::<VersionVector, _>(&claim, limited).is_err());
}

/// Of a swarm whose peers come and go for weeks.
#[test]
fn a_life_that_is_over_leaves_no_room_behind() {
    let first = chain(1, 1).remove(0);
    let mut log = Log::new(10 * first.bytes());
    for i in 1..=50 {
        for delta in chain(i, 20) {
            assert!(matches!(log.offer(delta), Arrival::Ready(_)));
        }
    }
    assert_eq!((log.heard().len(), log.retained.len()), (50, 1), "only the last one has deltas here");
    let about = Origin { peer: Identity::from_seed(&[50; 32]).peer_id(), incarnation: 1 };
    let first = log.first_retained(about);
    assert!(log.exclude(about, first).is_some());
    assert_eq!((log.bytes(), log.retained.len()), (0, 0), "nor does one that is taken back");
}
