//! What happened, in sentences: a bounded list of the last events, each with a number that a reader goes on from.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Events that are kept: what a reader misses beyond them is gone, and it can tell by the numbers.
pub(super) const EVENTS_MAX: usize = 512;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3, ...
    pub seq: u64,
    /// Milliseconds since 1970 (UTC).
    pub time_ms: u64,
    /// What it is about.
    pub kind: Kind,
    /// How much it matters.
    pub level: Level,
    /// The peer that it is about, hex.
    pub peer: Option<String>,
    /// A sentence.
    pub text: String,
}

/// See [`Entry::kind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Links and peers that come and go.
    #[default]
    Peers,
    /// Epochs and evaluations.
    Training,
    /// Snapshots.
    Snapshot,
    /// Checkpoints.
    Checkpoint,
    /// Refusals, bans, votes.
    Trust,
    /// The device.
    Device,
    /// What somebody asked of this peer by this interface.
    Control,
}

impl Kind {
    /// As JSON says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Training => "training",
            Self::Snapshot => "snapshot",
            Self::Checkpoint => "checkpoint",
            Self::Trust => "trust",
            Self::Device => "device",
            Self::Control => "control",
        }
    }
}

/// See [`Entry::level`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    #[default]
    Info,
    /// Worth a look.
    Warning,
    /// Must not happen.
    Error,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: VecDeque<Arc<Entry>>,
    said: u64,
}

impl Ring {
    /// Adds an event under the next number, which is returned.
    pub(super) fn push(&mut self, make: impl FnOnce(u64) -> Entry) -> u64 {
        self.said += 1;
        if self.entries.len() == EVENTS_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(Arc::new(make(self.said)));
        self.said
    }

    /// Those after number `seq`, oldest first. A reader that is ahead of us speaks of an earlier life, and gets all.
    pub(super) fn after(&self, seq: u64) -> Vec<Arc<Entry>> {
        let seq = if seq > self.said { 0 } else { seq };
        self.entries.iter().filter(|entry| entry.seq > seq).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64) -> Entry {
        Entry { seq, time_ms: 0, kind: Kind::Peers, level: Level::Info, peer: None, text: String::new() }
    }

    #[test]
    fn a_reader_goes_on_from_where_it_was_and_the_list_stays_short() {
        let mut ring = Ring::default();
        for _ in 0..EVENTS_MAX + 10 {
            ring.push(entry);
        }
        let numbers = |after| ring.after(after).iter().map(|entry| entry.seq).collect::<Vec<_>>();
        let last = EVENTS_MAX as u64 + 10;
        assert_eq!(numbers(last - 2), [last - 1, last]);
        assert_eq!((numbers(0).len(), numbers(0)[0]), (EVENTS_MAX, 11), "the oldest are gone");
        assert_eq!(numbers(last + 1).len(), EVENTS_MAX, "of another life");
    }
}
