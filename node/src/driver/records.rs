//! What goes into the audit log of what the core has decided, and of checkpoints.
//!
//! What others can cause as often as they like is gathered ([`Gathered`]). Accepted deltas the core itself gathers.

use std::mem::discriminant;
use std::time::Instant;

use protocol::Event;
use protocol::trust::audit::{Act, Record};
use serde_json::json;

use crate::store::audit::{Audit, Gathered, Kind, What};
use crate::store::checkpoint::News;

/// See the module.
#[derive(Debug)]
pub(super) struct Records {
    audit: Audit,
    gathered: Gathered,
}

impl Records {
    pub(super) fn new(audit: Audit) -> Self {
        Self { gathered: Gathered::new(audit.clone()), audit }
    }

    pub(super) fn decided(&mut self, record: &Record) {
        let Record { what, who, seq, count, reason, .. } = record;
        tracing::debug!(?what, ?who, seq, count, reason, "audit");
        let mut fields = json!({ "origin": who.peer, "incarnation": who.incarnation, "delta": seq, "count": count });
        if !reason.is_empty() {
            fields["reason"] = reason.as_str().into();
        }
        match what {
            Act::Reject => {} // Of each there is an event, too, which knows who has said it.
            Act::Accept => self.audit.note(Kind::Accept, fields),
            // An origin is as free to make as a peer.
            act => self.gathered.note(What::Decided((*act).into()), Some(who.peer), fields, Instant::now()),
        }
    }

    /// What became of a snapshot, and of a delta that was refused, is worth a record.
    pub(super) fn event(&mut self, event: &Event) {
        let (peer, what, fields) = match event {
            Event::SnapshotRestored { from, bytes, deltas, witness, .. } => {
                let fields =
                    json!({ "what": "taken", "peer": from, "bytes": bytes, "deltas": deltas, "witness": witness });
                (*from, What::Taken, fields)
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
        self.gathered.note(what, Some(peer), fields, Instant::now());
    }

    /// A checkpoint is written, or is not.
    pub(super) fn checkpoint(&mut self, news: &News) {
        let (what, fields) = match news {
            News::Written { path, bytes, steps, epochs, base, .. } => {
                let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                let fields = json!({
                    "what": "written",
                    "file": file,
                    "steps": steps,
                    "epochs": epochs,
                    "base": base.to_string(),
                    "bytes": bytes,
                });
                (What::Written, fields)
            }
            News::Failed { steps, why } => {
                (What::Unwritten, json!({ "what": "failed", "steps": steps, "reason": why }))
            }
        };
        self.gathered.note(what, None, fields, Instant::now());
    }

    /// Writes what was gathered for long enough; at the end, `all`.
    pub(super) fn settle(&mut self, all: bool) {
        self.gathered.settle(Instant::now(), all);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use protocol::event::Refused;
    use protocol::id::{Hash, Origin, PeerId};

    use super::*;
    use crate::store::audit::{each_line, files, parse, tally};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn whatever_one_peer_does_a_thousand_times_is_a_few_records_that_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path(), "aa").unwrap();
        let mut records = Records::new(audit.clone());
        let peer = PeerId([7; 32]);
        let who = Origin { peer, incarnation: 1 };
        let acts = [Act::Hold, Act::Release, Act::Vote, Act::Exclude, Act::Retract, Act::Equivocation];
        for i in 0..1000 {
            for what in acts {
                let (hash, reason) = (Hash::ZERO, "Norm".to_owned());
                let record = Record { index: i, at: i, what, who, seq: i, count: 1, reason, previous: hash, hash };
                records.decided(&record);
            }
            let who = Origin { incarnation: i, ..who };
            records.event(&Event::DeltaRefused { from: peer, origin: who, seq: i, reason: Refused::Ours });
            records.event(&Event::SnapshotServed { to: peer, bytes: 9 });
            let (path, took) = (format!("kept/step-{i}").into(), Duration::ZERO);
            let (steps, epochs, base) = (i, 1, Hash::ZERO);
            records.checkpoint(&News::Written { path, bytes: 9, took, steps, epochs, base });
        }
        records.settle(true);
        audit.flush(PATIENCE).unwrap();
        let found = tally(folder.path());
        for act in acts {
            assert_eq!(found[Kind::from(act).name()], (5, 1000), "{act:?}");
        }
        assert_eq!((found["reject"], found["snapshot"], found["checkpoint"]), ((2, 1000), (2, 1000), (31, 1000)));
    }

    #[test]
    fn a_checkpoint_is_a_record_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path(), "aa").unwrap();
        let mut records = Records::new(audit.clone());
        let (path, took, base) = ("kept/step-40".into(), Duration::ZERO, Hash([5; 32]));
        records.checkpoint(&News::Written { path, bytes: 9, took, steps: 40, epochs: 2, base });
        records.checkpoint(&News::Failed { steps: 60, why: "the disk is full".to_owned() });
        audit.flush(PATIENCE).unwrap();
        let mut found = Vec::new();
        let (_, path) = files(folder.path()).unwrap().remove(0);
        each_line(&path, |_, line, _| {
            found.extend(parse(line).ok().filter(|record| record.kind == "checkpoint").map(|record| record.fields));
            true
        })
        .unwrap();
        let base = base.to_string();
        let written = json!({
            "what": "written", "file": "step-40", "steps": 40, "epochs": 2, "base": base, "bytes": 9, "times": 1
        });
        let failed = json!({ "what": "failed", "steps": 60, "reason": "the disk is full", "times": 1 });
        assert_eq!(found.into_iter().map(serde_json::Value::Object).collect::<Vec<_>>(), [written, failed]);
    }
}
