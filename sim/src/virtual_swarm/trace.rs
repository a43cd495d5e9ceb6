//! The trace of a run in 32 bytes: two runs with one trace hash are one run.

use protocol::Input;
use protocol::id::Hash;
use protocol::learner::Computed;
use protocol::time::Time;
use protocol::wire::{self, Message};

/// Hashes every input of every peer.
#[derive(Debug)]
pub(super) struct Trace {
    hasher: blake3::Hasher,
    scratch: Vec<u8>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { hasher: blake3::Hasher::new_derive_key("starling 1 trace"), scratch: Vec::new() }
    }

    pub(super) fn input(&mut self, now: Time, peer: u32, input: &Input) {
        self.scratch.clear();
        self.scratch.extend_from_slice(&now.0.to_le_bytes());
        self.scratch.extend_from_slice(&peer.to_le_bytes());
        self.describe(input);
        self.hasher.update(&self.scratch);
    }

    fn describe(&mut self, input: &Input) {
        let out = &mut self.scratch;
        match input {
            // A signature names a delta whole.
            Input::Message { from, message: Message::Delta(signed) } => {
                out.push(1);
                out.extend_from_slice(&from.0);
                out.extend_from_slice(&signed.signature);
            }
            Input::Message { from, message: Message::Deltas(chain) } => {
                out.push(21);
                out.extend_from_slice(&from.0);
                chain.iter().for_each(|signed| out.extend_from_slice(&signed.signature));
            }
            Input::Message { from, message } => {
                out.push(2);
                out.extend_from_slice(&from.0);
                // A message that does not fit a frame could not have been sent.
                let _ = wire::encode_frame(message, out);
            }
            Input::Computed { result, .. } => {
                out.push(3);
                match result {
                    Computed::Trained(trained) => out.extend_from_slice(&trained.mean_loss.to_le_bytes()),
                    Computed::DeltaTaken(taken) => out.extend_from_slice(&taken.payload),
                    Computed::Moved(moved) => out.extend_from_slice(&moved.taken.payload),
                    Computed::EdgeSaid(said) => out.extend_from_slice(&said.payload),
                    Computed::Evaluated { base_hash, .. } => out.extend_from_slice(&base_hash.0),
                    _ => {}
                }
            }
            Input::Connected { peer } => {
                out.push(4);
                out.extend_from_slice(&peer.0);
            }
            Input::Disconnected { peer } => {
                out.push(5);
                out.extend_from_slice(&peer.0);
            }
            Input::Timer(timer) => out.extend_from_slice(&[6, *timer as u8]),
            Input::Start => out.push(7),
            Input::Rest => out.push(8),
            Input::Finish => out.push(9),
            Input::Show => out.push(13),
            Input::Pause => out.push(14),
            Input::Resume => out.push(15),
            Input::Save(_) => out.push(20),
            Input::Listening { .. } => out.push(10),
            Input::Discovered { peer, .. } => {
                out.push(11);
                out.extend_from_slice(&peer.0);
            }
            Input::DialFailed { peer, .. } => {
                out.push(12);
                out.extend_from_slice(&peer.0);
            }
        }
    }

    pub(super) fn finish(&self) -> Hash {
        Hash(*self.hasher.finalize().as_bytes())
    }
}
