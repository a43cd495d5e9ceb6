//! Targets that live: a peer hears what neighbours could say, and time goes on.
//!
//! ```text
//! input = step*          step = who: u8 | length: u16 LE | body
//! who 0..=5   neighbour who % 2 says the body         6   time goes on, by the length in milliseconds
//!     7       the first neighbour's link breaks, and is there again
//! ```

use std::collections::{BTreeMap, VecDeque};

use protocol::codec::TopK2Bit;
use protocol::config::{Config, Gossip, Training};
use protocol::id::{Hash, PeerId, RunId};
use protocol::learner::{Computed, base_hash, run};
use protocol::log::Context;
use protocol::schema::Schema;
use protocol::time::{Span, Time};
use protocol::trust::{Identity, Limits};
use protocol::wire::{Message, decode_body};
use protocol::{Event, Input, Output, Peer, Timer};

use super::toy::Toy;

/// Of the model under fuzz.
pub(super) const PARAMETERS: usize = 300;
/// Commands that are done in a step of an input: a peer trains for ever.
const COMMANDS_MAX: usize = 24;
/// What a peer may want at once.
const OUTPUTS_MAX: usize = 20_000;
/// A log so short that a newcomer needs a snapshot.
pub(super) const SHORT_LOG_BYTES: usize = 4 << 10;
/// Steps of one input.
const STEPS_MAX: usize = 256;

pub(super) fn context() -> Context {
    let schema = Schema { tensors: Vec::new() }.hash();
    Context { run: RunId(Hash([5; 32])), schema, parameters: PARAMETERS, codec: &TopK2Bit, limits: Limits::OFF }
}

/// A peer, its learner, and what it asked for.
pub(super) struct Living {
    pub(super) peer: Peer,
    toy: Toy,
    pub(super) now: Time,
    timers: BTreeMap<(Time, u64), Timer>,
    set: u64,
    said: Vec<(PeerId, Message)>,
    /// Of commands that are done, not heard of yet.
    results: VecDeque<Computed>,
    /// Snapshots taken.
    restored: u32,
}

impl Living {
    /// The identity is made of `index`. `log_bytes_max`: a short log makes snapshots necessary.
    pub(super) fn new(index: u8, log_bytes_max: usize) -> Self {
        // Who begins to train before a snapshot is offered takes none for seconds.
        let join_grace = Span::from_millis(if log_bytes_max <= SHORT_LOG_BYTES { 2000 } else { 10 });
        let gossip = Gossip { steps: 2, log_bytes_max, join_grace, ..Gossip::default() };
        let training = Training { steps_per_epoch: 50, epochs: None, overtime: false, evaluate_every: None };
        let config = Config { gossip, training, ..Config::default() };
        let peer = Peer::new(config, context(), identity(index), 1, u64::from(index));
        let mut living = Self {
            peer,
            toy: Toy::new(PARAMETERS, f32::from(index)),
            now: Time(0),
            timers: BTreeMap::new(),
            set: 0,
            said: Vec::new(),
            results: VecDeque::new(),
            restored: 0,
        };
        living.hear(Input::Start);
        living
    }

    /// Handles an input and does all that the peer wants; of what it trains, a little.
    pub(super) fn hear(&mut self, input: Input) {
        self.handle(input);
        for _ in 0..COMMANDS_MAX {
            let Some(result) = self.results.pop_front() else { break };
            self.handle(Input::Computed { result, took: Span::from_millis(1) });
        }
    }

    fn handle(&mut self, input: Input) {
        self.peer.handle(self.now, input);
        let mut outputs = 0;
        while let Some(output) = self.peer.next_output() {
            outputs += 1;
            assert!(outputs <= OUTPUTS_MAX, "one input draws outputs without end");
            match output {
                Output::Compute(command) => self.results.push_back(run(command, &mut self.toy)),
                Output::SetTimer { at, timer } => {
                    self.set += 1;
                    self.timers.insert((at, self.set), timer);
                }
                Output::Send { to, message } => self.said.push((to, message)),
                Output::Event(Event::SnapshotRestored { .. }) => self.restored += 1,
                _ => {}
            }
        }
        let waiting = self.timers.len().max(self.results.len());
        assert!(waiting <= OUTPUTS_MAX, "timers or commands without end");
    }

    /// What it has said since this was asked last.
    pub(super) fn take_said(&mut self) -> Vec<(PeerId, Message)> {
        std::mem::take(&mut self.said)
    }

    /// Time goes on, and what is due happens.
    pub(super) fn wait(&mut self, span: Span) {
        let until = self.now + span;
        for _ in 0..64 {
            let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= until) else { break };
            self.now = self.now.max(entry.key().0);
            let timer = entry.remove();
            self.hear(Input::Timer(timer));
        }
        self.now = self.now.max(until);
    }

    /// Hash of its base.
    pub(super) fn base(&self) -> Hash {
        base_hash(&self.toy.state.base)
    }
}

pub(super) fn identity(index: u8) -> Identity {
    Identity::from_seed(&[index; 32])
}

pub(super) fn id(index: u8) -> PeerId {
    identity(index).peer_id()
}

/// The steps of an input.
fn steps(bytes: &[u8]) -> Vec<(u8, usize, &[u8])> {
    let (mut rest, mut steps) = (bytes, Vec::new());
    while let Some((&[who, low, high], behind)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([low, high]));
        let is_message = who % 8 < 6;
        let (body, next) = behind.split_at(if is_message { length.min(behind.len()) } else { 0 });
        steps.push((who % 8, length, body));
        rest = next;
        if steps.len() >= STEPS_MAX {
            break;
        }
    }
    steps
}

/// Appends a message to an input.
pub(super) fn put(who: u8, body: &[u8], input: &mut Vec<u8>) {
    let Ok(length) = u16::try_from(body.len()) else { return };
    input.push(who);
    input.extend(length.to_le_bytes());
    input.extend(body);
}

/// Appends a pause to an input.
pub(super) fn put_pause(millis: u16, input: &mut Vec<u8>) {
    input.push(6);
    input.extend(millis.to_le_bytes());
}

fn play(living: &mut Living, bytes: &[u8]) {
    let neighbours = [id(2), id(3)];
    for neighbour in neighbours {
        living.hear(Input::Connected { peer: neighbour });
    }
    for (who, length, body) in steps(bytes) {
        match who {
            6 => living.wait(Span::from_millis(length as u64)),
            7 => {
                living.hear(Input::Disconnected { peer: neighbours[0] });
                living.hear(Input::Connected { peer: neighbours[0] });
            }
            who => {
                if let Ok(message) = decode_body(body) {
                    living.hear(Input::Message { from: neighbours[usize::from(who % 2)], message });
                }
            }
        }
        living.take_said();
    }
}

/// A peer that trains hears what neighbours could say. It says nothing in anybody else's name, and agrees with itself.
pub(super) fn input(bytes: &[u8]) {
    let mut living = Living::new(1, 1 << 20);
    play(&mut living, bytes);
    let (view, base) = (living.peer.view(), living.base());
    // A restart of the same would compute the same.
    let mut again = Living::new(1, 1 << 20);
    play(&mut again, bytes);
    assert_eq!((again.peer.view().heard, again.base()), (view.heard, base), "one input, one outcome");
}

/// Snapshots that a newcomer takes who hears an input of the target `snapshot`.
#[must_use]
pub fn snapshots_taken(bytes: &[u8]) -> u32 {
    let mut living = Living::new(4, SHORT_LOG_BYTES);
    play(&mut living, bytes);
    living.restored
}

/// A newcomer takes a snapshot: what is put together has the hash that was announced, or nothing is taken.
pub(super) fn snapshot(bytes: &[u8]) {
    let mut living = Living::new(4, SHORT_LOG_BYTES);
    let before = living.base();
    play(&mut living, bytes);
    let view = living.peer.view();
    if (view.deltas_heard, view.deltas_said, living.restored) == (0, 0, 0) {
        assert_eq!(living.base(), before, "nothing was taken, and the base is another");
    }
}
