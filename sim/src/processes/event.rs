//! What a child says on its standard output: one JSON object a line, tagged by `event`.
//!
//! ```
//! use sim::processes::event::{ChildEvent, Note};
//!
//! let line = ChildEvent::Note(Note { text: "no GPU".into() }).to_line();
//! assert_eq!(line, "{\"event\":\"note\",\"text\":\"no GPU\"}\n");
//! assert!(matches!(ChildEvent::from_line(&line), Ok(ChildEvent::Note(_))));
//! ```
//!
//! A loss that is not a number (no step taken yet, training diverged) is `null`, since JSON has no NaN.

use serde::{Deserialize, Serialize};

use crate::report::{Blocked, PeerReport};

/// Longest line that is read from a child, bytes: its last word holds a curve, 60 kB of it.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// Something a child wants the launcher to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ChildEvent {
    /// It listens and its device is up. Said once.
    Ready(Ready),
    /// How it stands. Said twice a second.
    Status(Status),
    /// An epoch is over.
    Epoch(EpochDone),
    /// Something a person may want to read.
    Note(Note),
    /// It caught up by a snapshot.
    Restored(Restored),
    /// The last thing it says.
    Final(Box<PeerReport>),
}

/// See [`ChildEvent::Ready`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Its identity, hex.
    pub peer: String,
    /// Multiaddresses to dial it, with its identity.
    pub addresses: Vec<String>,
    /// Name of the device it trains on.
    pub device: String,
    /// Back end: `vulkan`, `metal`, `dx12`, `cpu`.
    pub backend: String,
    /// d.
    pub parameters: usize,
    /// Optimizer steps of an epoch.
    pub steps_per_epoch: u32,
}

/// See [`ChildEvent::Status`]; the words are those of `protocol::View`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Optimizer steps taken.
    pub steps: u64,
    /// Epochs done.
    pub epoch: u32,
    /// Mean loss of the last stretch of steps, nats a sample.
    pub train_loss: Option<f32>,
    /// ||theta - b|| / ||b|| when the last delta was taken.
    pub disagreement: Option<f32>,
    /// Deltas of its own.
    pub deltas_said: u64,
    /// Deltas of others in its base.
    pub deltas_heard: u64,
    /// Deltas it refused.
    pub deltas_refused: u64,
    /// Bytes over its links, out.
    pub bytes_sent: u64,
    /// Bytes over its links, in.
    pub bytes_received: u64,
    /// Links that are up.
    pub neighbours: u32,
    /// Peers that count as living, itself among them.
    pub live_peers: u32,
    /// Hash of its version vector, hex: equal where the same deltas were heard.
    pub heard: String,
    /// Whether all its neighbours announced the same version vector.
    pub agreed: bool,
    /// Whether the epochs that were asked for are over.
    pub finished: bool,
    /// Whether it takes no further step and has said everything.
    pub resting: bool,
    /// Lately.
    pub steps_per_second: f32,
    /// Codec bytes of its own deltas, each counted once.
    pub payload_bytes_said: u64,
    /// Peers that get no link now, since they have broken the rules.
    #[serde(default)]
    pub banned: u32,
    /// How long its steps were blocked on the network.
    #[serde(default)]
    pub blocked: Blocked,
}

/// See [`ChildEvent::Epoch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochDone {
    /// Epochs done: of an evaluation within one, those before it.
    pub epoch: u32,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Mean over the epoch, or lately within one, nats a sample.
    pub train_loss: Option<f32>,
    /// On the test split, nats a sample.
    pub test_loss: Option<f32>,
    /// On the test split, 0 to 1.
    pub test_accuracy: Option<f32>,
    /// Hash of the base that was evaluated, hex.
    pub base_hash: String,
}

/// See [`ChildEvent::Note`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// One line.
    pub text: String,
}

/// See [`ChildEvent::Restored`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Bytes of the base that came in.
    pub bytes: u64,
    /// Deltas in it.
    pub deltas: u64,
}

impl ChildEvent {
    /// The event as one line, newline included.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Plain structs with string keys: serialization cannot fail, and a lost line is better than a lost child.
        serde_json::to_string(self).map(|json| json + "\n").unwrap_or_default()
    }

    /// Reads one line.
    ///
    /// # Errors
    /// When the line is no such object.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// `None` for NaN and infinities, which JSON cannot say.
#[must_use]
pub fn finite(value: f32) -> Option<f32> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn every_event_survives_a_round_trip() {
        let events = [
            ChildEvent::Ready(Ready {
                peer: "00".into(),
                addresses: vec!["/ip4/127.0.0.1/tcp/4001".into()],
                device: "llvmpipe".into(),
                backend: "vulkan".into(),
                parameters: 4810,
                steps_per_epoch: 22,
            }),
            ChildEvent::Status(Status { train_loss: finite(f32::NAN), steps: 7, ..Status::default() }),
            ChildEvent::Epoch(EpochDone {
                epoch: 1,
                steps: 22,
                train_loss: finite(0.25),
                test_loss: finite(f32::INFINITY),
                test_accuracy: finite(0.9),
                base_hash: "ab".into(),
            }),
            ChildEvent::Note(Note { text: "a \"quoted\"\nline".into() }),
            ChildEvent::Restored(Restored { bytes: 19240, deltas: 12 }),
            ChildEvent::Final(Box::default()),
        ];
        for event in events {
            let line = event.to_line();
            assert_eq!(line.matches('\n').count(), 1, "one event, one line: {line}");
            assert_eq!(ChildEvent::from_line(&line).unwrap(), event);
        }
    }
}
