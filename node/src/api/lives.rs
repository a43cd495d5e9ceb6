//! The lives of the last deltas: when this peer said them, which neighbours have them, and when those of others went into its base.
//!
//! That a neighbour has a delta of ours is known when it announces what it has heard: within a second or two of when it took it.

use std::collections::VecDeque;

use protocol::company::Fellow;
use protocol::id::PeerId;
use serde::Serialize;

/// Deltas that are kept of this peer's own, and as many of others.
const LIVES_MAX: usize = 128;
/// Peers that are noted for a delta.
const HEARD_MAX: usize = 64;

/// A delta of this peer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) seq: u64,
    /// Milliseconds since 1970 (UTC).
    pub(super) time_ms: u64,
    /// Optimizer steps in it.
    pub(super) steps: u32,
    /// w.
    pub(super) weight: f32,
    /// Bytes of the codec.
    pub(super) payload_bytes: usize,
    /// `||theta - b|| / ||b||` before it.
    pub(super) disagreement: f32,
    /// Who has it, and when that was known first.
    heard_by: Vec<(PeerId, u64)>,
}

/// A delta of another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Applied {
    origin: PeerId,
    seq: u64,
    time_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lives {
    said: VecDeque<Said>,
    applied: VecDeque<Applied>,
}

/// As `GET /v1/deltas` says it, the last one first.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Shown {
    own: Vec<ShownSaid>,
    others: Vec<ShownApplied>,
}

#[derive(Debug, PartialEq, Serialize)]
struct ShownSaid {
    seq: u64,
    said_ms: u64,
    steps: u32,
    weight: f32,
    payload_bytes: usize,
    disagreement: Option<f32>,
    /// Neighbours that have it in their base.
    applied_by: Vec<ShownPeer>,
}

#[derive(Debug, PartialEq, Serialize)]
struct ShownPeer {
    peer: String,
    time_ms: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct ShownApplied {
    origin: String,
    seq: u64,
    applied_ms: u64,
}

impl Said {
    /// Nobody has heard it yet.
    pub(super) fn new(
        seq: u64,
        time_ms: u64,
        steps: u32,
        weight: f32,
        payload_bytes: usize,
        disagreement: f32,
    ) -> Self {
        Self { seq, time_ms, steps, weight, payload_bytes, disagreement, heard_by: Vec::new() }
    }
}

impl Lives {
    /// This peer has said one.
    pub(super) fn said(&mut self, said: Said) {
        if self.said.len() == LIVES_MAX {
            self.said.pop_front();
        }
        self.said.push_back(said);
    }

    /// One of another went into the base.
    pub(super) fn applied(&mut self, origin: PeerId, seq: u64, time_ms: u64) {
        if self.applied.len() == LIVES_MAX {
            self.applied.pop_front();
        }
        self.applied.push_back(Applied { origin, seq, time_ms });
    }

    /// What the neighbours have announced.
    pub(super) fn company(&mut self, company: &[Fellow], time_ms: u64) {
        for (peer, holds) in company.iter().filter_map(|fellow| Some((fellow.peer, fellow.link.as_ref()?.holds))) {
            // From the newest it has to the first of which that was known already.
            for said in self.said.iter_mut().rev().skip_while(|said| said.seq > holds) {
                if said.heard_by.len() >= HEARD_MAX || said.heard_by.iter().any(|(known, _)| *known == peer) {
                    break;
                }
                said.heard_by.push((peer, time_ms));
            }
        }
    }

    pub(super) fn shown(&self) -> Shown {
        let said = |said: &Said| ShownSaid {
            seq: said.seq,
            said_ms: said.time_ms,
            steps: said.steps,
            weight: said.weight,
            payload_bytes: said.payload_bytes,
            disagreement: said.disagreement.is_finite().then_some(said.disagreement),
            applied_by: said
                .heard_by
                .iter()
                .map(|&(peer, time_ms)| ShownPeer { peer: peer.to_string(), time_ms })
                .collect(),
        };
        let applied = |&Applied { origin, seq, time_ms }: &Applied| ShownApplied {
            origin: origin.to_string(),
            seq,
            applied_ms: time_ms,
        };
        Shown {
            own: self.said.iter().rev().map(said).collect(),
            others: self.applied.iter().rev().map(applied).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::company::Linked;
    use protocol::time::Span;

    fn fellow(byte: u8, holds: u64) -> Fellow {
        let link = Linked {
            age: Span(0),
            silence: Span(0),
            round_trip: 0.0,
            behind: 0,
            agrees: true,
            steps: 0,
            steps_per_second: 0.0,
            train_loss: 0.0,
            finished: false,
            neighbours: Vec::new(),
            holds,
        };
        Fellow { peer: PeerId([byte; 32]), key: 0, deltas: 0, link: Some(link) }
    }

    #[test]
    fn a_delta_is_heard_when_its_neighbour_announces_it() {
        let mut lives = Lives::default();
        for seq in 1..=3 {
            lives.said(Said::new(seq, 1000 * seq, 10, 0.5, 99, 0.1));
        }
        lives.company(&[fellow(7, 2)], 4000);
        lives.company(&[fellow(7, 3), fellow(8, 1)], 5000);
        let heard = |lives: &Lives| -> Vec<Vec<(u8, u64)>> {
            lives.said.iter().map(|said| said.heard_by.iter().map(|(peer, at)| (peer.0[0], *at)).collect()).collect()
        };
        assert_eq!(heard(&lives), [vec![(7, 4000), (8, 5000)], vec![(7, 4000)], vec![(7, 5000)]]);
        lives.company(&[fellow(7, 3), fellow(8, 1)], 6000);
        assert_eq!(heard(&lives)[2], [(7, 5000)], "once");
        assert_eq!(lives.shown().own[0].seq, 3, "the last one first");
    }

    #[test]
    fn the_lists_stay_short() {
        let mut lives = Lives::default();
        for seq in 1..=1000 {
            lives.said(Said::new(seq, 0, 1, 0.5, 1, f32::NAN));
            lives.applied(PeerId([1; 32]), seq, 0);
        }
        for byte in 0..=255 {
            lives.company(&[fellow(byte, 1000)], 1);
        }
        let shown = lives.shown();
        assert_eq!(
            (shown.own.len(), shown.others.len(), shown.own[0].applied_by.len()),
            (LIVES_MAX, LIVES_MAX, HEARD_MAX)
        );
        assert_eq!((shown.others[0].seq, shown.own[0].disagreement), (1000, None));
    }
}
