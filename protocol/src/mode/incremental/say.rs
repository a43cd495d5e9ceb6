//! Saying a delta: sign what the learner took, log it, push it.

use crate::event::Event;
use crate::fixed::Weight;
use crate::id::Hash;
use crate::learner::TakenDelta;
use crate::log::{Delta, Header};
use crate::peer::Peer;
use crate::wire::Message;

impl Peer {
    /// The learner took a delta out of the residual: it is in our base already, now it goes to the others.
    pub(super) fn say_delta(&mut self, seq: u64, heard: Hash, weight: Weight, round: u64, taken: TakenDelta) {
        let steps = std::mem::take(&mut self.schedule.unsaid_steps);
        let samples = std::mem::take(&mut self.schedule.unsaid_samples);
        self.say_payload((seq, heard, weight, round), (steps, samples), taken);
    }

    pub(super) fn say_payload(
        &mut self,
        (seq, heard, weight, round): (u64, Hash, Weight, u64),
        (steps, samples): (u32, u64),
        taken: TakenDelta,
    ) {
        let payload_bytes = taken.payload.len();
        let header = Header {
            origin: self.origin,
            seq,
            previous: self.log.head(&self.origin),
            heard,
            steps,
            samples,
            round,
            weight: weight.raw(),
            codec: self.context.codec.wire_id(),
            l2_norm: taken.l2_norm,
        };
        let delta = Delta::sign(&self.context, header, taken.payload, &self.identity);
        self.log.say(delta.clone());
        self.guard.ledger.own(self.now, delta.header());
        self.members.trained(self.origin, samples, self.now);
        self.push(&delta);

        let disagreement = taken.residual_norm / taken.base_norm.max(f32::MIN_POSITIVE);
        self.counters.payload_bytes_said += payload_bytes as u64;
        self.counters.disagreement = disagreement;
        self.event(Event::DeltaSaid { seq, steps, weight: weight.as_f32(), payload_bytes, disagreement });
    }

    /// Sends a delta of our own to every neighbour.
    fn push(&mut self, delta: &Delta) {
        let now = self.now;
        for to in self.members.neighbour_ids() {
            self.send(to, Message::Delta(delta.signed().clone()));
            if let Some(account) = self.guard.account(to) {
                account.bytes_taken += delta.payload().len() as u64;
            }
            if let Some(neighbour) = self.members.neighbour_mut(to) {
                neighbour.note_sent(delta.origin(), (delta.seq(), delta.seq()), now);
            }
        }
    }
}
