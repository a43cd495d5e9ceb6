//! [`Delegate`]: a peer of the upper log, and the exchange between it and the peer of the group.
//!
//! The driver owns both. After every input of either it calls [`Delegate::follow`], then drains both, and runs what the group's
//! peer wants computed as ever; what the upper peer wants computed is done here, at once: sums of vectors.

use std::collections::BTreeMap;

use super::bridge::Bridge;
use super::{GROUPS_MAX, upper_run};
use crate::config::Config;
use crate::event::{Event, Input, Output, Timer};
use crate::fixed::Weight;
use crate::id::{PeerId, RunId};
use crate::learner;
use crate::log::Context;
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::trust::{Identity, Limits};

/// The groups have taken the job's gain already: `u` is their mean. With 4 here a swarm of 32 in 4 groups would take its steps 16
/// times.
const UPPER_GAIN: f32 = 1.0;
/// At rest a delegate looks so often whether there is still something to say.
const REST_INTERVAL: Span = Span::from_millis(200);
/// And exchanges while that is more than this share of ||u||. guess: a tenth of what a round of training moves.
pub const REST_DISTANCE: f32 = 1e-3;

/// See the module.
#[derive(Debug)]
pub struct Delegate {
    upper: Peer,
    bridge: Bridge,
    /// Whether it speaks, or stands by: then it hears what is said above, so that `u` outlives whoever speaks.
    speaks: bool,
    /// Whether it has exchanged anything since it speaks.
    begun: bool,
    /// Deltas of the group's peer when the last exchange began.
    own_deltas: u64,
    /// Samples in the group's log at the last delta up.
    samples: u64,
    /// An exchange waits for the group's learner.
    open: bool,
    /// It is time to look, at rest.
    tick: bool,
    outputs: Vec<Output>,
}

impl Delegate {
    /// The delegate that `group`'s peer becomes. `config` and `context` are the job's, `run` is its run; `initial` is b0;
    /// `incarnation` must be higher than that of any earlier term of this peer.
    #[must_use]
    pub fn new(
        config: &Config,
        context: Context,
        run: RunId,
        initial: Vec<i32>,
        (identity, incarnation, seed): (Identity, u64, u64),
        group: &Peer,
    ) -> Self {
        let mut config = config.clone();
        config.gossip.neighbours_max = config.gossip.neighbours_max.min(GROUPS_MAX as usize);
        // It waits to be told what to say.
        config.training.epochs = Some(0);
        config.training.overtime = false;
        config.trust.enabled = false;
        // The upper deltas of a successor are as good as those of the peer before it: no probation.
        let context = Context { run: upper_run(run), limits: Limits::OFF, ..context };
        Self {
            upper: Peer::new(config, context, identity, incarnation, seed),
            bridge: Bridge::new(initial),
            speaks: false,
            begun: false,
            own_deltas: group.own_deltas(),
            samples: group.log.samples(),
            open: false,
            tick: false,
            outputs: Vec::new(),
        }
    }

    /// Whether it is to speak for its group from now on.
    pub fn speak(&mut self, speaks: bool) {
        self.begun &= speaks;
        self.speaks = speaks;
    }

    /// Whether it speaks for its group, or stands by.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.speaks
    }

    /// An input of the upper peer, the first of them [`Input::Start`].
    pub fn handle(&mut self, now: Time, input: Input, group: &mut Peer) {
        let started = matches!(input, Input::Start);
        if started || matches!(input, Input::Timer(Timer::Groups)) {
            self.tick = !started;
            self.outputs.push(Output::SetTimer { at: now + REST_INTERVAL, timer: Timer::Groups });
        }
        if !matches!(input, Input::Timer(Timer::Groups)) {
            self.upper.handle(now, input);
        }
        self.compute(now);
        self.follow(now, group);
    }

    /// To be called after every input of the group's peer.
    pub fn follow(&mut self, now: Time, group: &mut Peer) {
        // One of an earlier term was told to the bridge of that term.
        if let Some(moved) = group.take_moved().filter(|_| self.open) {
            self.open = false;
            self.own_deltas = group.own_deltas();
            self.bridge.told(&moved.by, moved.base);
            if !std::mem::replace(&mut self.begun, true) {
                // Only now it has seen the group's base.
                if self.upper.log.heard().is_empty() { self.bridge.begin_first() } else { self.bridge.begin() }
            }
            self.up(now, group);
        }
        let said = group.own_deltas() != self.own_deltas; // Fewer after a new chain was begun.
        let resting = std::mem::take(&mut self.tick) && group.is_done() && self.distance() > REST_DISTANCE;
        if self.speaks && (said || resting) && !self.open && !self.upper.session.is_joining() {
            let pending = self.bridge.pending();
            let by = if self.begun { pending.to_vec() } else { vec![0; pending.len()] };
            self.open = group.issue_move(now, by);
        }
    }

    /// `u` follows the group.
    fn up(&mut self, now: Time, group: &Peer) {
        let total = group.log.samples();
        let samples = total.saturating_sub(std::mem::replace(&mut self.samples, total));
        let weight = self.weight(now, samples);
        self.upper.say_now(now, weight, samples);
        self.compute(now);
    }

    /// w = min(samples_own / samples_all, 1/2); as many as there are share alike where nobody has spoken yet. Samples are those of a delta, on
    /// average over each origin's chain.
    fn weight(&self, now: Time, samples: u64) -> Weight {
        let mut means: BTreeMap<PeerId, f64> = BTreeMap::new();
        for head in self.upper.log.heads() {
            if self.upper.members.lives(head.origin.peer, now) {
                means.insert(head.origin.peer, head.samples as f64 / head.seq.max(1) as f64);
            }
        }
        let (own, others): (f64, f64) = (samples as f64, means.values().sum());
        if others <= 0.0 || own <= 0.0 {
            return Weight::for_swarm(UPPER_GAIN, self.upper.members.live_peers(now));
        }
        // Twice the share in a swarm of two is the share, within the same bounds.
        Weight::for_swarm(UPPER_GAIN * 2.0 * (own / (own + others)) as f32, 2)
    }

    /// What the upper peer wants computed is computed; everything else goes out.
    fn compute(&mut self, now: Time) {
        while let Some(output) = self.upper.next_output() {
            if let Output::Compute(command) = output {
                let result = learner::run(command, &mut self.bridge);
                self.upper.handle(now, Input::Computed { result, took: Span(0) });
            } else {
                self.outputs.push(output);
            }
        }
    }

    /// What the driver is to do for the upper peer since the last call, in order; nothing to compute is among it.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Stops in good order: the others hear a goodbye.
    pub fn leave(&mut self) -> Vec<Output> {
        self.upper.leave();
        self.outputs.extend(std::iter::from_fn(|| self.upper.next_output()));
        self.take_outputs()
    }

    /// How much is still to be said, above and below, as a share of ||u||; with the group's base as it was last read.
    #[must_use]
    pub fn distance(&self) -> f32 {
        self.bridge.distance()
    }

    /// `u`.
    #[must_use]
    pub fn upper_base(&self) -> &[i32] {
        self.bridge.upper()
    }

    /// Name of the set of upper deltas that `u` is the sum of.
    #[must_use]
    pub fn heard(&self) -> crate::id::Hash {
        self.upper.log.set_hash()
    }

    /// Whether it has caught up with the upper log.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !self.upper.session.is_joining()
    }

    /// Whether an event of the upper peer is one that must never happen.
    #[must_use]
    pub fn is_wrong(event: &Event) -> bool {
        matches!(event, Event::BaseMismatch { .. } | Event::LearnerFailed(_))
    }
}
