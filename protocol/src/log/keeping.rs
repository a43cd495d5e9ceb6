//! What the log lets go of when it is full, and what it keeps for somebody all the same.
//!
//! Whoever takes a snapshot is led on from there by the logs of its neighbours. A large one takes a while, and a log that had turned over by
//! then would make the next snapshot necessary. So what came after the one that is served stays as long as it is: at most as many bytes
//! more as the snapshot itself has.

use super::{Log, VersionVector};

/// Deltas that are kept beyond the bound of the log.
#[derive(Debug)]
pub(super) struct Keep {
    beyond: VersionVector,
    bytes_more: usize,
}

impl Log {
    /// Keeps what is beyond that set, as far as it is no more than so many bytes beyond the bound.
    pub fn keep_beyond(&mut self, set: VersionVector, bytes_more: usize) {
        self.keep = Some(Keep { beyond: set, bytes_more });
    }

    /// The bound is what it was.
    pub fn keep_nothing(&mut self) {
        self.keep = None;
        self.let_go();
    }

    /// Lets go of the oldest deltas until the rest is within its bound.
    pub(super) fn let_go(&mut self) {
        while self.bytes > self.bytes_max {
            let Some(&(origin, seq)) = self.arrivals.front() else { break };
            let kept = self.keep.as_ref().is_some_and(|keep| {
                seq > keep.beyond.get(&origin) && self.bytes <= self.bytes_max.saturating_add(keep.bytes_more)
            });
            if kept {
                break;
            }
            self.arrivals.pop_front();
            if let Some(run) = self.retained.get_mut(&origin) {
                self.bytes -= run.forget(seq);
                self.drop_if_empty(origin);
            }
        }
    }
}
