//! What goes into the audit log of what the core has decided.
//!
//! Some records a neighbour could make as many of as it likes: one for every delta that is none, every last part of a snapshot that it
//! asks for. They would turn the log over, and with it whatever it has done before. So of each kind and neighbour the first is
//! written at once, and the others are counted and written together.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant, take};
use std::time::Duration;

use protocol::Event;
use protocol::event::Refused;
use protocol::id::PeerId;
use protocol::trust::audit::{Act, Record};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Driver;
use crate::store::audit::Kind;

/// The same of the same neighbour is gathered for so long.
const GATHER: Duration = Duration::from_secs(60);
/// Kinds and neighbours that are told apart; the rest is counted together, kind by kind.
const REMEMBERED_MAX: usize = 256;

/// What a neighbour can make us record as often as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Refused(Discriminant<Refused>),
    Served,
    GivenUp,
}

/// Records that wait to be written together.
#[derive(Debug, Default)]
pub(super) struct Gathered(HashMap<(Option<[u8; 32]>, What), Said>);

#[derive(Debug)]
struct Said {
    /// When the last record was written.
    at: Instant,
    /// What has happened since.
    again: u64,
    /// The last of it.
    last: Value,
}

impl What {
    fn kind(self) -> Kind {
        match self {
            Self::Refused(_) => Kind::Reject,
            Self::Served | Self::GivenUp => Kind::Snapshot,
        }
    }
}

impl Gathered {
    /// `fields` are an object. Returned when they are to be written now.
    fn note(&mut self, peer: PeerId, what: What, fields: Value, now: Instant) -> Option<(Kind, Value)> {
        let is_full = self.0.len() >= REMEMBERED_MAX && !self.0.contains_key(&(Some(peer.0), what));
        let key = (if is_full { None } else { Some(peer.0) }, what);
        if let Some(said) = self.0.get_mut(&key) {
            said.again += 1;
            said.last = fields;
            return None;
        }
        self.0.insert(key, Said { at: now, again: 0, last: Value::Null });
        Some((what.kind(), counted(fields, 1)))
    }

    /// What is to be written of what was only counted: what is old enough, or `all`.
    fn due(&mut self, now: Instant, all: bool) -> Vec<(Kind, Value)> {
        let mut due = Vec::new();
        self.0.retain(|(_, what), said| {
            if !all && now - said.at < GATHER {
                return true;
            }
            let (again, last) = (take(&mut said.again), take(&mut said.last));
            if again > 0 {
                said.at = now;
                due.push((what.kind(), counted(last, again)));
            }
            again > 0
        });
        due
    }
}

fn counted(mut fields: Value, count: u64) -> Value {
    fields["count"] = count.into();
    fields
}

impl Driver<'_> {
    pub(super) fn record(&self, record: &Record) {
        let Record { what, who, seq, count, reason, .. } = record;
        tracing::debug!(?what, ?who, seq, count, reason, "audit");
        if *what == Act::Reject {
            return; // Of each there is an event, too, which knows who has said it.
        }
        let mut fields = json!({ "origin": who.peer, "incarnation": who.incarnation, "delta": seq, "count": count });
        if !reason.is_empty() {
            fields["reason"] = reason.as_str().into();
        }
        self.audit.note((*what).into(), fields);
    }

    /// What became of a snapshot, and of a delta that was refused, is worth a record.
    pub(super) fn record_event(&mut self, event: &Event) {
        let (peer, what, fields) = match event {
            Event::SnapshotRestored { from, bytes, deltas, witness, .. } => {
                let fields =
                    json!({ "what": "taken", "peer": from, "bytes": bytes, "deltas": deltas, "witness": witness });
                return self.audit.note(Kind::Snapshot, fields);
            }
            Event::SnapshotServed { to, bytes } => {
                (*to, What::Served, json!({ "what": "served", "peer": to, "bytes": bytes }))
            }
            Event::SnapshotFailed { from, reason } => {
                (*from, What::GivenUp, json!({ "what": "given up", "peer": from, "reason": reason }))
            }
            Event::DeltaRefused { from, origin, seq, reason } => {
                let fields = json!({
                    "from": from,
                    "origin": origin.peer,
                    "incarnation": origin.incarnation,
                    "delta": seq,
                    "reason": reason.to_string(),
                });
                (*from, What::Refused(discriminant(reason)), fields)
            }
            _ => return,
        };
        if let Some((kind, fields)) = self.gathered.note(peer, what, fields, Instant::now()) {
            self.audit.note(kind, fields);
        }
    }

    /// Writes what was gathered for long enough; at the end, `all`.
    pub(super) fn record_gathered(&mut self, all: bool) {
        for (kind, fields) in self.gathered.due(Instant::now(), all) {
            self.audit.note(kind, fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u8) -> PeerId {
        PeerId([id; 32])
    }

    #[test]
    fn a_neighbour_that_is_refused_a_million_times_makes_a_record_a_minute() {
        let (mut gathered, start) = (Gathered::default(), Instant::now());
        let (ours, chain) = (What::Refused(discriminant(&Refused::Ours)), What::Refused(discriminant(&Refused::Chain)));
        let mut written = Vec::new();
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            for delta in 0..1000 {
                written.extend(gathered.note(peer(1), ours, json!({ "delta": delta }), now));
            }
            written.extend(gathered.due(now, false));
        }
        written.extend(gathered.note(peer(1), chain, json!({ "delta": 7 }), start));
        written.extend(gathered.note(peer(2), What::Served, json!({ "delta": 7 }), start));
        written.extend(gathered.due(start, true));
        assert!((12..=14).contains(&written.len()), "{written:?}");
        assert_eq!(written[0], (Kind::Reject, json!({ "delta": 0, "count": 1 })), "the first one at once");
        assert_eq!(written[1].1["delta"], 999, "the last of those that were counted");
        let counts = written.iter().map(|(_, fields)| fields["count"].as_u64().unwrap_or(0));
        assert_eq!(counts.sum::<u64>(), 600 * 1000 + 2, "none is lost");
    }

    #[test]
    fn of_many_neighbours_no_more_than_some_are_remembered() {
        let (mut gathered, now) = (Gathered::default(), Instant::now());
        let what = [What::Served, What::GivenUp];
        let note = |gathered: &mut Gathered, i: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(i as u64 / 2).to_le_bytes());
            gathered.note(PeerId(id), what[i % 2], json!({}), now)
        };
        let written = (0..10_000).filter(|&i| note(&mut gathered, i).is_some()).count();
        assert_eq!((written, gathered.0.len()), (REMEMBERED_MAX + 2, REMEMBERED_MAX + 2));
        let counts = gathered.due(now + GATHER, false);
        let counted = counts.iter().map(|(_, fields)| fields["count"].as_u64().unwrap_or(0)).sum::<u64>();
        assert_eq!(counted, 10_000 - written as u64);
        assert!(gathered.due(now + 2 * GATHER, false).is_empty() && gathered.0.is_empty(), "and forgotten in time");
    }
}
