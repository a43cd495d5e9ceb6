//! The loop: the next event goes to its peer, what the peer wants is carried out, and the account is checked.
//!
//! A run has three parts, as a real simulation has: everybody trains (and things go wrong), everybody rests until all agree,
//! everybody finishes.

mod account;
mod carry;
mod delegates;
mod harm;
mod lives;
mod measure;
mod spread;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use protocol::id::{Hash, PeerId};
use protocol::learner::{self, Command, Evaluation};
use protocol::log::Context;
use protocol::time::{Span, Time};
use protocol::wire::Message;
use protocol::{Config, Input, Timer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::Plan;
use super::attackers::Conspiracy;
use super::body::Body;
use super::checks::Account;
use super::network::{Level, Network, millis, seconds};
use super::trace::Trace;
use crate::report::VirtualRun;
use account::{Before, HASHED_ALWAYS_MAX, evaluate};
use harm::{Disk, Harm};
pub(super) use lives::identity_seed;
use lives::{CONTACTS, address};
use measure::Measure;

/// How often agreement is looked for.
const LOOK: Span = Span::from_millis(100);
/// Training may take so much longer than without faults before the run goes on to its end.
const PATIENCE: f64 = 2.0;
/// And so much longer in any case.
const PATIENCE_MIN: Span = Span::from_secs(30);
/// However little virtual time goes by, the run is watched after so many events, and while it begins after so many peers.
const WATCHED_EVERY: u64 = 64;

/// How far a run has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Inputs handled.
    pub event: u64,
    /// Virtual time, seconds.
    pub at_s: f64,
    /// Share of the training time that is over, 0 to 1.
    pub share: f64,
}

/// When to stop before the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Until {
    /// After so many events.
    pub event: Option<u64>,
}

enum Happening {
    Input(Input),
    /// The head of the learner's queue is done.
    LearnerDone,
    /// To the upper peer of a delegate in that term.
    Upper(u64, Input),
    Message {
        level: Level,
        from: u32,
        message: Message,
    },
    /// Not to a peer: something goes wrong, or is undone.
    Harm(Harm),
}

struct Swarm<'a> {
    plan: &'a Plan,
    seed: u64,
    config: Config,
    context: Context,
    now: Time,
    events: u64,
    bodies: Vec<Option<Body>>,
    /// Identity of every number; numbers are never reused.
    ids: Vec<PeerId>,
    numbers: BTreeMap<PeerId, u32>,
    disks: BTreeMap<u32, Disk>,
    /// The group of every number, and how many are in each.
    groups: Vec<u32>,
    group_sizes: BTreeMap<u32, usize>,
    /// Peers of the first moment that are still to come.
    to_arrive: u32,
    /// Faults of the scenario that have not happened.
    faults_to_come: BTreeSet<usize>,
    network: Network,
    silent_until: Time,
    /// When, in which order among equals, and where in `happenings`.
    queue: BinaryHeap<Reverse<(Time, u64, usize)>>,
    happenings: Vec<Option<(u32, u64, Happening)>>,
    /// Places in `happenings` that are free.
    vacant: Vec<usize>,
    order: u64,
    lives: u64,
    rng: ChaCha8Rng,
    conspiracy: Conspiracy,
    account: Account,
    /// Hash of u by the name of the set of upper deltas in it.
    upper_bases: BTreeMap<Hash, Hash>,
    measure: Measure,
    trace: Trace,
    evaluations: BTreeMap<Hash, Evaluation>,
    harming: bool,
    /// Mode `pairwise`: every peer has a model of its own.
    pairwise: bool,
    /// Of that mode: the worst distance when the last step was taken.
    spread_before: Option<f64>,
}

/// Runs a plan with a seed. `watch` is told how it goes and stops the run by returning false: the report is then that of a
/// run that was interrupted.
#[must_use]
pub fn run(plan: &Plan, seed: u64, until: Until, watch: &mut dyn FnMut(Progress) -> bool) -> VirtualRun {
    let mut swarm = Swarm::new(plan, seed);
    let span = swarm.training_span();
    let mut going = swarm.begin(watch);
    let limit = Time(0) + Span((span.as_secs_f64() * PATIENCE * 1e6) as u64) + PATIENCE_MIN;
    going = going && swarm.run_until(limit, until, watch, span, |swarm| swarm.trained(span));
    let trained_at = swarm.now;
    swarm.end_harm();
    swarm.note_spread();
    if going {
        swarm.tell_all(|| Input::Rest);
        let rest_until = swarm.now + seconds(plan.scenario.agree_s);
        going = swarm.run_until(rest_until, until, watch, span, Swarm::agreed);
    }
    let agreed = going && swarm.agreed();
    let agreed_after = swarm.now - trained_at;
    if going {
        swarm.tell_all(|| Input::Finish);
        let end = swarm.now + Span(2 * swarm.config.gossip.settle_max.0);
        going = swarm.run_until(end, until, watch, span, |swarm| swarm.stopped());
    }
    swarm.last_checks(going);
    swarm.report(agreed, agreed_after, !going)
}

impl<'a> Swarm<'a> {
    fn new(plan: &'a Plan, seed: u64) -> Self {
        let scenario = &plan.scenario;
        let schema = plan.task.schema();
        let context = Context {
            run: plan.run,
            schema: schema.hash(),
            parameters: schema.parameters(),
            codec: plan.codec,
            limits: plan.limits,
        };
        let mut config = plan.config.clone();
        config.training.steps_per_epoch = scenario.steps_per_evaluation();
        config.training.epochs = Some(scenario.evaluations);
        config.training.overtime = true;
        if scenario.neighbours > 0 {
            config.gossip.neighbours_target = scenario.neighbours;
            config.gossip.neighbours_max = 2 * scenario.neighbours + CONTACTS;
        }
        // With groups nobody is suspected: see protocol::groups.
        config.trust.enabled &= scenario.trust && config.gossip.groups <= 1;
        if scenario.members > 0 {
            config.gossip.members_max = scenario.members;
        }
        if scenario.log_bytes > 0 {
            config.gossip.log_bytes_max = scenario.log_bytes;
        }
        Self {
            plan,
            seed,
            config,
            context,
            now: Time(0),
            events: 0,
            bodies: Vec::new(),
            ids: Vec::new(),
            numbers: BTreeMap::new(),
            disks: BTreeMap::new(),
            groups: Vec::new(),
            group_sizes: BTreeMap::new(),
            to_arrive: scenario.peers,
            faults_to_come: BTreeSet::new(),
            network: Network::default(),
            silent_until: Time(0),
            queue: BinaryHeap::new(),
            happenings: Vec::new(),
            vacant: Vec::new(),
            order: 0,
            lives: 0,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x5741_524d),
            conspiracy: Conspiracy::default(),
            account: Account::default(),
            upper_bases: BTreeMap::new(),
            measure: Measure::new(scenario),
            trace: Trace::new(),
            evaluations: BTreeMap::new(),
            harming: true,
            pairwise: plan.config.gossip.mode == protocol::config::Mode::Pairwise,
            spread_before: None,
        }
    }

    /// How long a peer of speed 1 trains.
    fn training_span(&self) -> Span {
        millis(self.plan.scenario.step_ms * self.plan.scenario.steps as f64)
    }

    /// Everybody of the first moment starts, and what will go wrong is noted; false when it is told to stop meanwhile.
    fn begin(&mut self, watch: &mut dyn FnMut(Progress) -> bool) -> bool {
        let peers = self.plan.scenario.peers;
        let mut go_on = |number: u32| {
            !u64::from(number).is_multiple_of(WATCHED_EVERY) || watch(Progress { event: 0, at_s: 0.0, share: 0.0 })
        };
        for number in 0..peers {
            self.new_peer();
            if !go_on(number) {
                return false;
            }
        }
        for number in 0..peers {
            let late = self.plan.scenario.arrive_over_s * f64::from(number) / f64::from(peers.max(1));
            if late > 0.0 {
                self.push_harm(Time(0) + seconds(late), Harm::Arrive(number));
            } else {
                self.arrive(number);
            }
            if !go_on(number) {
                return false;
            }
        }
        self.plan_harm();
        true
    }

    fn living(&self) -> impl Iterator<Item = u32> + '_ {
        self.bodies.iter().enumerate().filter(|(_, body)| body.is_some()).map(|(i, _)| i as u32)
    }

    /// The honest that stay.
    fn honest(&self) -> impl Iterator<Item = (u32, &Body)> + '_ {
        let bodies = self.bodies.iter().enumerate().filter_map(|(i, body)| Some((i as u32, body.as_ref()?)));
        bodies.filter(|(_, body)| body.is_honest() && !body.leaving)
    }

    fn tell_all(&mut self, input: impl Fn() -> Input) {
        for number in self.living().collect::<Vec<_>>() {
            self.push(self.now, number, Happening::Input(input()));
        }
    }

    fn push(&mut self, at: Time, to: u32, happening: Happening) {
        let Some(life) = self.bodies[to as usize].as_ref().map(|body| body.life) else { return };
        self.enqueue(at, to, life, happening);
    }

    fn push_harm(&mut self, at: Time, harm: Harm) {
        self.enqueue(at, 0, 0, Happening::Harm(harm));
    }

    fn enqueue(&mut self, at: Time, to: u32, life: u64, happening: Happening) {
        self.order += 1;
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.happenings.push(None);
            self.happenings.len() - 1
        });
        self.happenings[place] = Some((to, life, happening));
        self.queue.push(Reverse((at, self.order, place)));
    }

    /// Runs until a time, until `done` (looked at now and then), or until it is told to stop; false in the last case.
    fn run_until(
        &mut self,
        limit: Time,
        until: Until,
        watch: &mut dyn FnMut(Progress) -> bool,
        span: Span,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let mut look_at = self.now + LOOK;
        let mut handled = 0u64;
        while let Some(&Reverse((at, _, place))) = self.queue.peek() {
            if at > limit {
                break;
            }
            let look = at >= look_at;
            if look {
                look_at = at + LOOK;
                if done(self) {
                    return true;
                }
            }
            handled += 1;
            if look || handled.is_multiple_of(WATCHED_EVERY) {
                let share = (self.now.0 as f64 / span.0.max(1) as f64).min(1.0);
                if !watch(Progress { event: self.events, at_s: (self.now - Time(0)).as_secs_f64(), share }) {
                    return false;
                }
            }
            self.queue.pop();
            self.now = at;
            self.vacant.push(place);
            if let Some((to, life, happening)) = self.happenings[place].take() {
                self.happen(to, life, happening);
            }
            if until.event.is_some_and(|event| self.events >= event) {
                return false;
            }
        }
        true
    }

    fn happen(&mut self, to: u32, life: u64, happening: Happening) {
        if let Happening::Harm(harm) = happening {
            self.harm(harm);
            return;
        }
        let Some(body) = self.bodies[to as usize].as_mut().filter(|body| body.life == life && !body.stopped) else {
            return;
        };
        if body.paused_until > self.now {
            let at = body.paused_until;
            body.put_off_to.insert(at);
            self.enqueue(at, to, life, happening);
            return;
        }
        // What the learner has done is checked as a part of the event that tells its peer: up to there a replay goes.
        self.events += 1;
        let input = match happening {
            Happening::Input(input) => input,
            Happening::LearnerDone => match self.learner_done(to) {
                Some(input) => input,
                None => return self.no_event(),
            },
            Happening::Upper(term, input) => {
                if body.term == term {
                    self.handle_upper(to, input);
                } else {
                    self.no_event();
                }
                return;
            }
            Happening::Message { level, from, message } => {
                if !self.network.linked(level, from, to) {
                    return self.no_event();
                }
                let input = Input::Message { from: self.ids[from as usize], message };
                if level == Level::Upper {
                    self.handle_upper(to, input);
                    return;
                }
                input
            }
            Happening::Harm(_) => return self.no_event(),
        };
        self.trace.input(self.now, to, &input);
        self.handle(to, input);
    }

    /// What was to happen came too late to be an event.
    fn no_event(&mut self) {
        self.events -= 1;
    }

    fn handle(&mut self, to: u32, input: Input) {
        let now = self.now;
        let Some(body) = self.bodies[to as usize].as_mut() else { return };
        let look = matches!(input, Input::Timer(Timer::Heartbeat));
        body.peer.handle(body.clock(now), input);
        if let Some(delegate) = &mut body.delegate {
            delegate.follow(now + body.skew, &mut body.peer);
        }
        self.carry_all_out(to);
        if look && self.config.gossip.groups > 1 {
            self.appoint(to);
        }
    }

    /// Runs the command at the head of the queue, checks what it did, and gives its result.
    fn learner_done(&mut self, to: u32) -> Option<Input> {
        let body = self.bodies[to as usize].as_mut()?;
        let command = body.commands.pop_front()?;
        let took = body.cost(&command);
        let honest = body.is_honest();
        let before = Before::of(&command);
        let mut result = match &command {
            Command::Evaluate { weights } => evaluate(&mut self.evaluations, &mut body.mind, *weights),
            _ => None,
        };
        let result = result.take().unwrap_or_else(|| learner::run(command, body.mind.learner()));
        if let Some(next) = body.commands.front() {
            let at = self.now + body.cost(next);
            self.push(at, to, Happening::LearnerDone);
        }
        if honest {
            self.check(to, &before, &result);
        }
        let result = self.lie(to, result);
        Some(Input::Computed { result, took })
    }

    /// Whether everybody who was there from the start has taken its steps.
    fn trained(&self, span: Span) -> bool {
        let over = self.now >= Time(0) + span;
        // What is due later prolongs nothing.
        over && self.to_arrive == 0
            && self.honest().all(|(number, body)| body.trained || !self.measure.is_first_life(number))
    }

    /// Whether somebody is there, all rest, and have heard the same.
    fn agreed(&mut self) -> bool {
        if self.pairwise {
            return self.close();
        }
        if self.config.gossip.groups > 1 {
            return self.groups_agree();
        }
        let mut heard = None;
        let same = self.honest().all(|(_, body)| {
            let view = body.peer.view();
            view.resting && *heard.get_or_insert(view.heard) == view.heard
        });
        // Nobody agrees with nobody.
        same && heard.is_some()
    }

    fn stopped(&self) -> bool {
        self.honest().all(|(_, body)| body.stopped)
    }
}
