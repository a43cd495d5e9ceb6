//! Groups and their delegates: who is in which, who speaks for it, and what goes to the upper log.

use std::collections::{BTreeMap, BTreeSet};

use protocol::groups::{self, Delegate, REST_DISTANCE};
use protocol::id::Hash;
use protocol::learner::base_hash;
use protocol::log::Context;
use protocol::time::{Span, Time};
use protocol::trust::Identity;
use protocol::{Event, Input};
use rand_chacha::rand_core::Rng as _;

use super::super::network::Level;
use super::{HASHED_ALWAYS_MAX, Happening, Swarm, address, identity_seed};

/// Peers of a group that stand in the upper log: who speaks, and who will next.
const STANDING: usize = 2;
/// A delegate waits so long for the first other one.
const UPPER_GRACE: Span = Span::from_secs(2);
/// Sets of upper deltas whose base is remembered.
const UPPER_SETS_MAX: usize = 1 << 16;
/// Inputs of upper peers have this added to the peer's number in the trace.
const UPPER_MARK: u32 = 1 << 31;

impl Swarm<'_> {
    /// A new peer's group: looked for once, for it takes a hash a group.
    pub(super) fn assign_group(&mut self, number: u32) {
        let groups = self.config.gossip.groups;
        let group = if groups <= 1 { 0 } else { groups::group_of(self.plan.run, self.ids[number as usize], groups) };
        self.groups.push(group);
        *self.group_sizes.entry(group).or_insert(0) += 1;
    }

    pub(super) fn group(&self, number: u32) -> u32 {
        self.groups[number as usize]
    }

    /// How many of those that were ever there are in its group, itself among them.
    pub(super) fn group_size(&self, number: u32) -> usize {
        if self.config.gossip.groups <= 1 {
            return self.plan.scenario.peers as usize;
        }
        self.group_sizes.get(&self.group(number)).copied().unwrap_or(1)
    }

    /// What the deltas of a peer are signed for.
    pub(super) fn context_of(&self, number: u32) -> Context {
        if self.config.gossip.groups <= 1 {
            return self.context;
        }
        Context { run: groups::group_run(self.plan.run, self.group(number)), ..self.context }
    }

    pub(super) fn stands_in(&self, level: Level, number: u32) -> bool {
        self.bodies[number as usize].as_ref().is_some_and(|body| !body.stopped && body.stands_in(level))
    }

    pub(super) fn push_input(&mut self, level: Level, at: Time, to: u32, input: Input) {
        let Some(term) = self.bodies[to as usize].as_ref().map(|body| body.term) else { return };
        let happening = if level == Level::Upper { Happening::Upper(term, input) } else { Happening::Input(input) };
        self.push(at, to, happening);
    }

    pub(super) fn handle_upper(&mut self, to: u32, input: Input) {
        self.trace.input(self.now, to | UPPER_MARK, &input);
        let now = self.now;
        let Some(body) = self.bodies[to as usize].as_mut() else { return };
        let now = body.clock(now);
        let Some(delegate) = &mut body.delegate else { return };
        delegate.handle(now, input, &mut body.peer);
        if self.context.parameters <= HASHED_ALWAYS_MAX {
            let (heard, hash) = (delegate.heard(), base_hash(delegate.upper_base()));
            if self.upper_bases.len() >= UPPER_SETS_MAX {
                self.upper_bases.clear();
            }
            if *self.upper_bases.entry(heard).or_insert(hash) != hash {
                self.violate(to, "one set of upper deltas, two upper bases".into());
            }
        }
        self.carry_all_out(to);
    }

    /// What the peer wants, and what its upper peer wants.
    pub(super) fn carry_all_out(&mut self, number: u32) {
        let Some(body) = self.bodies[number as usize].as_mut() else { return };
        let upper = body.delegate.as_mut().map_or_else(Vec::new, |delegate| delegate.take_outputs());
        let outputs: Vec<_> = std::iter::from_fn(|| body.peer.next_output()).collect();
        for output in outputs {
            self.carry_out(Level::Group, number, output);
        }
        for output in upper {
            self.carry_out(Level::Upper, number, output);
        }
    }

    /// Once a heartbeat: a peer begins or ceases to speak for its group, or to stand by.
    pub(super) fn appoint(&mut self, number: u32) {
        let Some(body) = self.bodies[number as usize].as_ref() else { return };
        let rank = body.peer.rank().filter(|&rank| rank < STANDING && !body.stopped);
        match (rank.is_some(), body.delegate.is_some()) {
            (true, false) => self.begin_term(number),
            (false, true) => self.end_term(number),
            _ => {}
        }
        let speaks = rank == Some(0);
        if let Some(delegate) = self.bodies[number as usize].as_mut().and_then(|body| body.delegate.as_mut())
            && delegate.speaks() != speaks
        {
            delegate.speak(speaks);
            let what = if speaks { "speaks" } else { "no longer speaks" };
            self.measure.note(self.now, number, format!("{what} for group {}", self.group(number)));
        }
    }

    /// Whether it speaks for its group.
    pub(super) fn speaks(&self, number: u32) -> bool {
        let body = self.bodies[number as usize].as_ref();
        body.and_then(|body| body.delegate.as_ref()).is_some_and(|delegate| delegate.speaks())
    }

    fn begin_term(&mut self, number: u32) {
        self.lives += 1;
        let (incarnation, seed) = (self.lives, self.rng.next_u64());
        let others = self.living().filter(|&other| self.stands_in(Level::Upper, other)).count();
        let (plan, mut config, context) = (self.plan, self.config.clone(), self.context);
        config.gossip.company = usize::from(others > 0);
        config.gossip.join_grace = UPPER_GRACE;
        let Some(body) = self.bodies[number as usize].as_mut() else { return };
        let identity = Identity::from_seed(&identity_seed(number));
        let initial = body.mind.learner().initial_base();
        let delegate = Delegate::new(&config, context, plan.run, initial, (identity, incarnation, seed), &body.peer);
        body.delegate = Some(Box::new(delegate));
        body.term += 1;
        self.push_input(Level::Upper, self.now, number, Input::Start);
        self.push_input(Level::Upper, self.now, number, Input::Listening { addresses: address(number) });
        self.introduce(Level::Upper, number);
    }

    pub(super) fn end_term(&mut self, number: u32) {
        let Some(mut delegate) = self.bodies[number as usize].as_mut().and_then(|body| body.delegate.take()) else {
            return;
        };
        for output in delegate.leave() {
            self.carry_out(Level::Upper, number, output);
        }
        for other in self.network.links_of(Level::Upper, number) {
            self.unlink(Level::Upper, number, other);
        }
    }

    pub(super) fn upper_event(&mut self, number: u32, event: Event) {
        match event {
            event if Delegate::is_wrong(&event) => self.violate(number, format!("as a delegate: {event:?}")),
            Event::DeltaSaid { payload_bytes, .. } => self.measure.said(number, payload_bytes),
            _ => {}
        }
    }

    /// Whether all rest, every group has heard one set, every group with a living peer has a delegate, and these have one upper
    /// set and nothing to speak of to say.
    pub(super) fn groups_agree(&self) -> bool {
        let mut heard: BTreeMap<u32, Hash> = BTreeMap::new();
        let mut spoken_for = BTreeSet::new();
        let mut upper: BTreeSet<Hash> = BTreeSet::new();
        for (number, body) in self.honest() {
            let (view, group) = (body.peer.view(), self.group(number));
            if !view.resting || *heard.entry(group).or_insert(view.heard) != view.heard {
                return false;
            }
            if let Some(delegate) = body.delegate.as_ref().filter(|delegate| delegate.speaks()) {
                if !delegate.has_begun() || delegate.distance() > REST_DISTANCE {
                    return false;
                }
                spoken_for.insert(group);
                upper.insert(delegate.heard());
            }
        }
        !heard.is_empty() && upper.len() <= 1 && heard.keys().all(|group| spoken_for.contains(group))
    }
}
