//! Records that others can cause as often as they like: the first ones in full, the rest counted.
//!
//! A link that comes and goes or is refused, a delta that is none, an origin that somebody has made up: each costs whoever causes it next to nothing, and a
//! record of each would turn the log over, and with it whatever was written before. So of each kind and peer the first few are
//! written at once, and what comes after them is counted and written together: after a minute, and while it goes on after two, four, eight.
//! Peers are as free to make, so they are bounded, too: those beyond the bounds are counted together, kind by kind.

use std::collections::HashMap;
use std::mem::{Discriminant, take};
use std::time::{Duration, Instant};

use protocol::event::Refused;
use protocol::id::PeerId;
use protocol::wire::Refusal;
use serde_json::Value;

use super::{Audit, Kind};

/// What was counted is written after so long; whoever goes on is counted for twice as long the next time.
const GATHER: Duration = Duration::from_secs(60);
/// And for no longer than this: a peer that is killed takes with it what was only counted.
const GATHER_MAX: Duration = Duration::from_secs(8 * 60);
/// Peers that are told apart in the records of a kind, until one was quiet for as long as it was counted; the others are counted
/// together. A record waits for each: a few hundred KiB a kind.
const REMEMBERED_MAX: usize = 256;
/// Records of a kind in full in [`FULL_TIME`], whoever they are about: by names without number, too, a kind fills a MiB an hour, of the 256 that
/// are kept. It is four links a peer, of all that are remembered.
const FULL_MAX: u32 = 1024;
/// See [`FULL_MAX`].
const FULL_TIME: Duration = Duration::from_secs(3600);
/// Of links, bans, and what the swarm decides of a peer, until it was quiet: whoever comes and goes twice is seen to.
const FEW: u32 = 4;
/// Of checkpoints, the same: one every two seconds has a record of its own.
const CHECKPOINTS: u32 = 30;

/// What can happen as often as somebody likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// A link.
    Admitted,
    /// Its end.
    Closed,
    /// A ban.
    Banned,
    /// Its end.
    Unbanned,
    /// A link was refused, by either side.
    Turned(Discriminant<Refusal>),
    /// Somebody else answers at an address.
    Mistaken,
    /// A delta.
    Refused(Discriminant<Refused>),
    /// A snapshot was sent.
    Served,
    /// One was not taken.
    GivenUp,
    /// One was.
    Taken,
    /// What the core has decided of an origin.
    Decided(Kind),
    /// A checkpoint is on the disk.
    Written,
    /// Or it is not.
    Unwritten,
}

impl What {
    fn kind(self) -> Kind {
        match self {
            Self::Admitted => Kind::Admit,
            Self::Closed => Kind::Closed,
            Self::Banned => Kind::Ban,
            Self::Unbanned => Kind::Unban,
            Self::Turned(_) | Self::Mistaken => Kind::Refuse,
            Self::Refused(_) => Kind::Reject,
            Self::Served | Self::GivenUp | Self::Taken => Kind::Snapshot,
            Self::Decided(kind) => kind,
            Self::Written | Self::Unwritten => Kind::Checkpoint,
        }
    }

    /// So many at once are written in full.
    fn in_full(self) -> u32 {
        match self {
            Self::Refused(_) | Self::Served | Self::GivenUp => 1,
            Self::Written | Self::Unwritten => CHECKPOINTS,
            _ => FEW,
        }
    }

    /// Under which name a record says how often it has happened. `count` is taken where it counts deltas.
    fn times(self) -> &'static str {
        match self {
            Self::Refused(_) | Self::Served | Self::GivenUp => "count",
            _ => "times",
        }
    }

    /// Whether its `count` of deltas is that of all, and not of the last one.
    fn adds_up(self) -> bool {
        self == Self::Decided(Kind::Retract)
    }
}

/// A log, and what waits to be written into it together.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    audit: Audit,
    kinds: HashMap<Kind, OfKind>,
}

#[derive(Debug, Default)]
struct OfKind {
    /// `None` are ourselves, or all for whom there was no place.
    said: HashMap<(Option<[u8; 32]>, What), Said>,
    /// Records in full since then.
    full: u32,
    since: Option<Instant>,
}

#[derive(Debug)]
struct Said {
    /// When it happened first, or was last written together.
    at: Instant,
    /// How long it is counted from then on.
    wait: Duration,
    /// Written in full.
    full: u32,
    /// What was only counted since.
    again: u64,
    /// The last of it.
    last: Value,
}

impl Gathered {
    pub(crate) fn new(audit: Audit) -> Self {
        Self { audit, kinds: HashMap::new() }
    }

    /// It happened; `fields` are an object, and `who` the peer that may have caused it, if it is another one.
    pub(crate) fn note(&mut self, what: What, who: Option<PeerId>, fields: Value, now: Instant) {
        if let Some(fields) = self.kinds.entry(what.kind()).or_default().take(what, who, fields, now) {
            self.audit.note(what.kind(), fields);
        }
    }

    /// Writes what was counted for long enough; at the end, `all`.
    pub(crate) fn settle(&mut self, now: Instant, all: bool) {
        for (kind, of_kind) in &mut self.kinds {
            of_kind.due(now, all).into_iter().for_each(|fields| self.audit.note(*kind, fields));
        }
    }
}

impl OfKind {
    /// Returned when it is to be written now.
    fn take(&mut self, what: What, who: Option<PeerId>, fields: Value, now: Instant) -> Option<Value> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= FULL_TIME) {
            (self.since, self.full) = (Some(now), 0);
        }
        let has_room = self.full < FULL_MAX;
        let who = who.map(|peer| peer.0);
        let has_place = has_room && self.said.len() < REMEMBERED_MAX || self.said.contains_key(&(who, what));
        let place = who.filter(|_| has_place);
        let said = self.said.entry((place, what)).or_insert_with(|| Said::new(now));
        // Without a peer it is one row, whose own bound is enough.
        if said.full < what.in_full() && (has_room || place.is_none()) {
            said.full += 1;
            self.full += u32::from(place.is_some());
            return Some(counted(what, fields, 1));
        }
        said.add(what, fields, place != who);
        None
    }

    fn due(&mut self, now: Instant, all: bool) -> Vec<Value> {
        let mut due = Vec::new();
        self.said.retain(|(_, what), said| {
            if !all && now.saturating_duration_since(said.at) < said.wait {
                return true;
            }
            let (again, last) = (take(&mut said.again), take(&mut said.last));
            if again > 0 {
                (said.at, said.wait) = (now, (2 * said.wait).min(GATHER_MAX));
                due.push(counted(*what, last, again));
            }
            again > 0
        });
        due
    }
}

impl Said {
    fn new(now: Instant) -> Self {
        Self { at: now, wait: GATHER, full: 0, again: 0, last: Value::Null }
    }

    fn add(&mut self, what: What, mut fields: Value, of_several: bool) {
        self.again += 1;
        if what.adds_up()
            && let (Some(before), Some(now)) = (self.last["count"].as_u64(), fields["count"].as_u64())
        {
            fields["count"] = before.saturating_add(now).into();
        }
        if of_several {
            fields["of"] = "several peers, this one was the last".into();
        }
        self.last = fields;
    }
}

fn counted(what: What, mut fields: Value, times: u64) -> Value {
    fields[what.times()] = times.into();
    fields
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeMap;
    use std::mem::discriminant;
    use std::path::Path;

    use serde_json::json;

    use super::super::{each_line, files, parse};
    use super::*;

    /// Of each kind in a folder: how many records, and how often it has happened by them.
    pub(crate) fn tally(dir: &Path) -> BTreeMap<String, (u64, u64)> {
        let mut found: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (_, path) in files(dir).unwrap() {
            each_line(&path, |_, line, _| {
                let record = parse(line).unwrap();
                let times = record.fields.get("times").or(record.fields.get("count")).and_then(Value::as_u64);
                let (records, sum) = found.entry(record.kind).or_default();
                (*records, *sum) = (*records + 1, *sum + times.unwrap_or(0));
                true
            })
            .unwrap();
        }
        found
    }

    /// All that one peer can cause.
    fn all() -> Vec<What> {
        let decided = [Kind::Hold, Kind::Release, Kind::Vote, Kind::Exclude, Kind::Retract, Kind::Equivocation];
        let mut all: Vec<What> = decided.into_iter().map(What::Decided).collect();
        all.extend([What::Admitted, What::Closed, What::Banned, What::Unbanned]);
        all.extend([What::Served, What::GivenUp, What::Taken, What::Refused(discriminant(&Refused::Ours))]);
        all.extend([What::Written, What::Unwritten, What::Turned(discriminant(&Refusal::Key)), What::Mistaken]);
        all
    }

    fn peer(number: u64) -> PeerId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        PeerId(id)
    }

    fn sum(what: What, records: &[Value]) -> u64 {
        records.iter().map(|fields| fields[what.times()].as_u64().unwrap()).sum()
    }

    #[test]
    fn a_thousand_of_one_peer_are_a_few_records_that_add_up() {
        for what in all() {
            let (mut of_kind, start) = (OfKind::default(), Instant::now());
            let mut records = Vec::new();
            for i in 0..1000 {
                records.extend(of_kind.take(what, Some(peer(1)), json!({ "i": i, "count": 3 }), start));
            }
            assert_eq!(records.len(), what.in_full() as usize, "{what:?}");
            assert!(of_kind.due(start + GATHER / 2, false).is_empty(), "not yet");
            records.extend(of_kind.due(start + GATHER, false));
            assert_eq!((records.len(), sum(what, &records)), (what.in_full() as usize + 1, 1000), "{what:?}");
            assert_eq!((&records[0]["i"], &records[records.len() - 1]["i"]), (&json!(0), &json!(999)), "{what:?}");
        }
    }

    #[test]
    fn a_neighbour_that_is_refused_a_million_times_makes_a_record_every_few_minutes() {
        let (mut of_kind, start) = (OfKind::default(), Instant::now());
        let (ours, chain) = (What::Refused(discriminant(&Refused::Ours)), What::Refused(discriminant(&Refused::Chain)));
        let mut written = Vec::new();
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            for delta in 0..300 {
                written.extend(of_kind.take(ours, Some(peer(1)), json!({ "delta": delta }), now));
            }
            written.extend(of_kind.due(now, false));
        }
        written.extend(of_kind.take(chain, Some(peer(1)), json!({ "delta": 7 }), start));
        written.extend(of_kind.due(start, true));
        // At once, after 1, 2, 4 and then every 8 minutes; the other one; the rest.
        assert!((10..=13).contains(&written.len()), "{}: {written:?}", written.len());
        assert_eq!(written[0], json!({ "delta": 0, "count": 1 }), "the first one at once");
        assert_eq!(written[1], json!({ "delta": 299, "count": 61 * 300 - 1 }), "the last of those that were counted");
        assert_eq!(sum(ours, &written), 3600 * 300 + 1, "none is lost");
    }

    #[test]
    fn of_many_peers_the_first_are_told_of_in_full_and_no_more_than_some_are_remembered() {
        for what in all() {
            let (mut of_kind, start) = (OfKind::default(), Instant::now());
            let mut records = Vec::new();
            for number in 0..10_000 {
                records.extend(of_kind.take(what, Some(peer(number)), json!({ "peer": peer(number) }), start));
            }
            let whose = |fields: &Value| serde_json::from_value::<PeerId>(fields["peer"].clone()).unwrap();
            let first: Vec<_> = records[..REMEMBERED_MAX].iter().map(whose).collect();
            assert_eq!(first, (0..REMEMBERED_MAX as u64).map(peer).collect::<Vec<_>>(), "{what:?}");
            let most = REMEMBERED_MAX + what.in_full() as usize;
            assert_eq!((records.len(), of_kind.said.len()), (most, REMEMBERED_MAX + 1), "{what:?}");
            let later = of_kind.due(start + GATHER, false);
            assert_eq!((later.len(), whose(&later[0])), (1, peer(9999)), "{what:?}");
            assert!(later[0]["of"].as_str().unwrap().contains("several"), "{later:?}");
            assert_eq!(sum(what, &records) + sum(what, &later), 10_000, "{what:?}");
            assert!(of_kind.due(start + 3 * GATHER, false).is_empty(), "{what:?}");
            assert!(of_kind.said.is_empty(), "and forgotten in time");
        }
    }

    #[test]
    fn new_names_without_end_fill_no_more_than_an_hours_share() {
        let (mut of_kind, start, mut records, mut last) = (OfKind::default(), Instant::now(), Vec::new(), 0);
        // Three at a time, so that the table alone never fills.
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            for number in 3 * second..3 * second + 3 {
                records.extend(of_kind.take(What::Admitted, Some(peer(number)), json!({}), now));
            }
            records.extend(of_kind.due(now, false));
            last = 3 * second + 3;
        }
        assert!(records.len() < FULL_MAX as usize + 20, "{}", records.len());
        let after = of_kind.take(What::Admitted, Some(peer(last)), json!({}), start + FULL_TIME);
        assert!(after.is_some(), "the next hour has its own");
        records.extend(after);
        records.extend(of_kind.due(start + FULL_TIME, true));
        assert_eq!(sum(What::Admitted, &records), last + 1, "none is lost");
    }

    #[test]
    fn deltas_that_were_taken_back_are_added_up() {
        let (mut of_kind, now) = (OfKind::default(), Instant::now());
        let (retract, vote) = (What::Decided(Kind::Retract), What::Decided(Kind::Vote));
        let mut records = Vec::new();
        for what in [retract, vote] {
            (0..10).for_each(|_| records.extend(of_kind.take(what, Some(peer(1)), json!({ "count": 7 }), now)));
        }
        let mut later = of_kind.due(now + GATHER, false);
        later.sort_by_key(|fields| fields["count"].as_u64());
        assert_eq!(later, [json!({ "count": 7, "times": 6 }), json!({ "count": 42, "times": 6 })]);
        assert_eq!(records.len(), 2 * FEW as usize);
    }
}
