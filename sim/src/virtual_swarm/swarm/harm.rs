//! Carrying out what goes wrong, and undoing it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use protocol::Input;
use protocol::id::Hash;
use protocol::learner::base_hash;
use protocol::log::{Delta, Head};
use protocol::time::{Span, Time};
use rand_chacha::rand_core::Rng as _;

use super::super::checks::Applied;
use super::super::faults::{Action, FaultSpec};
use super::super::network::{Level, chance, seconds, unit};
use super::{Happening, Swarm};

/// As mDNS does it on a LAN.
const REDISCOVER: Span = Span::from_secs(5);
/// How often a disk lies after a crash in a chaotic run.
const DISK_LIES: f64 = 0.2;

/// What is on a peer's disk.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) heads: Vec<Head>,
    pub(super) tail: Vec<Delta>,
    pub(super) base: Vec<i32>,
    pub(super) hash: Hash,
    pub(super) applied: Applied,
}

/// Something that happens to the swarm.
#[derive(Clone, Copy, Debug)]
pub(super) enum Harm {
    /// A peer of the first moment comes.
    Arrive(u32),
    /// A peer comes back; with its disk, if that is said.
    Back { number: u32, disk: bool },
    /// The one of the scenario's faults.
    Fault(usize),
    /// Who left in good order in that life is gone, and comes back after a while if that is said.
    Gone { number: u32, life: u64, for_s: Option<f64> },
    /// A cut is undone.
    Heal(u64),
    /// Discovery goes on: whoever has no neighbour hears of a few peers again.
    Rediscover,
    /// The next one that churn takes.
    Churn,
    /// The next random fault.
    Chaos,
}

impl Swarm<'_> {
    /// Notes what will go wrong.
    pub(super) fn plan_harm(&mut self) {
        self.push_harm(Time(0) + REDISCOVER, Harm::Rediscover);
        for (i, fault) in self.plan.scenario.faults.iter().enumerate() {
            self.faults_to_come.insert(i);
            self.push_harm(Time(0) + seconds(fault.at_s), Harm::Fault(i));
        }
        if let Some(churn) = self.plan.scenario.churn.filter(|churn| churn.per_minute > 0.0) {
            self.push_harm(Time(0) + seconds(churn.from_s), Harm::Churn);
        }
        if let Some(chaos) = self.plan.scenario.chaos {
            self.push_harm(Time(0) + seconds(chaos.every_s), Harm::Chaos);
        }
    }

    /// From here on nothing goes wrong any more, and what is broken is mended. What was due later has not happened.
    pub(super) fn end_harm(&mut self) {
        self.harming = false;
        self.network.heal_all();
        self.silent_until = self.now;
        self.wake_all();
    }

    /// Whoever stood still goes on, with what has waited for it.
    fn wake_all(&mut self) {
        let mut waiting = BTreeSet::new();
        for (number, body) in self.bodies.iter_mut().enumerate() {
            if let Some(body) = body.as_mut().filter(|body| body.paused_until > self.now) {
                waiting.extend(std::mem::take(&mut body.put_off_to).into_iter().map(|at| (number as u32, at)));
                body.paused_until = self.now;
            }
        }
        if waiting.is_empty() {
            return;
        }
        let now = self.now;
        let woken = |&Reverse((at, order, place)): &Reverse<(Time, u64, usize)>| {
            let waits = self.happenings[place].as_ref().is_some_and(|(to, ..)| waiting.contains(&(*to, at)));
            Reverse((if waits { now } else { at }, order, place))
        };
        self.queue = self.queue.iter().map(woken).collect();
    }

    /// The scenario's faults that did not happen, in words.
    pub(super) fn faults_left_out(&self) -> Vec<String> {
        let faults = self.faults_to_come.iter().map(|&i| &self.plan.scenario.faults[i]);
        faults.map(|fault| format!("{} at {} s", fault.action.name(), fault.at_s)).collect()
    }

    pub(super) fn harm(&mut self, harm: Harm) {
        match harm {
            Harm::Arrive(number) => self.arrive(number),
            // Whoever is away when the run ends stays away: it was not there for the end either.
            Harm::Back { number, disk } if self.harming => {
                if self.bodies[number as usize].is_none() {
                    let disk = if disk { self.disks.get(&number).cloned() } else { None };
                    self.start(number, disk, false);
                }
            }
            Harm::Heal(cut) => self.network.heal(cut),
            Harm::Rediscover => {
                for number in self.living().collect::<Vec<_>>() {
                    for level in Level::ALL {
                        if self.stands_in(level, number) && self.network.links_of(level, number).is_empty() {
                            self.introduce(level, number);
                        }
                    }
                }
                self.push_harm(self.now + REDISCOVER, Harm::Rediscover);
            }
            Harm::Gone { number, life, for_s } => {
                if self.bodies[number as usize].as_ref().is_some_and(|body| body.life == life) {
                    self.kill(number, false);
                    if let Some(span) = for_s {
                        self.push_harm(self.now + seconds(span), Harm::Back { number, disk: false });
                    }
                }
            }
            Harm::Fault(i) if self.harming => {
                self.faults_to_come.remove(&i);
                let plan = self.plan;
                self.fault(&plan.scenario.faults[i]);
            }
            Harm::Churn if self.harming => self.churn(),
            Harm::Chaos if self.harming => self.chaos(),
            Harm::Back { .. } | Harm::Fault(_) | Harm::Churn | Harm::Chaos => {}
        }
    }

    fn fault(&mut self, fault: &FaultSpec) {
        let until = fault.for_s.map(|span| self.now + seconds(span));
        match fault.action {
            Action::Cut => {
                let (cut, broken) = self.network.cut(fault.peers.iter().copied().collect());
                broken.into_iter().for_each(|(level, a, b)| self.unlink(level, a, b));
                if let Some(until) = until {
                    self.push_harm(until, Harm::Heal(cut));
                }
            }
            // A shorter one does not end a longer one.
            Action::Silence => self.silent_until = self.silent_until.max(until.unwrap_or(Time(u64::MAX))),
            Action::Join => {
                for _ in 0..fault.peers.len().max(1) {
                    let number = self.new_peer();
                    self.start(number, None, false);
                }
            }
            Action::Pause => {
                for &number in &fault.peers {
                    if let Some(body) = self.bodies[number as usize].as_mut() {
                        let before = body.paused_until;
                        body.paused_until = before.max(until.unwrap_or(Time(u64::MAX)));
                    }
                }
            }
            Action::Leave => {
                for &number in &fault.peers {
                    let Some(body) = self.bodies[number as usize].as_mut() else { continue };
                    body.leaving = true;
                    let life = body.life;
                    self.push(self.now, number, Happening::Input(Input::Finish));
                    // It is gone once it has said goodbye.
                    let gone = Harm::Gone { number, life, for_s: fault.for_s };
                    self.push_harm(self.now + self.config.gossip.settle_max + Span::from_secs(1), gone);
                }
            }
            Action::Kill | Action::Crash | Action::KillDelegates => {
                let count = if fault.peers.is_empty() { usize::MAX } else { fault.peers.len() };
                let delegates = self.living().filter(|&number| self.speaks(number)).take(count).collect();
                let peers = if fault.action == Action::KillDelegates { delegates } else { fault.peers.clone() };
                for number in peers {
                    // Who is away already comes back when that was to be.
                    if self.kill(number, fault.action == Action::Crash)
                        && let Some(until) = until
                    {
                        self.push_harm(until, Harm::Back { number, disk: fault.action == Action::Crash });
                    }
                }
            }
        }
    }

    /// No goodbye. Its disk keeps what was saved a moment ago, where it has one. Whether it was there.
    fn kill(&mut self, number: u32, disk: bool) -> bool {
        let Some(mut body) = self.bodies[number as usize].take() else { return false };
        if disk
            && let Some(heads) = body.peer.heads_at(&body.applied.heard)
            && let Ok(base) = body.mind.learner().base()
        {
            let hash = base_hash(&base);
            let tail = body.peer.tail_at(&body.applied.heard);
            self.disks.insert(number, Disk { heads, tail, base, hash, applied: body.applied.clone() });
        }
        self.measure.killed(number, self.now, &body.peer.view());
        for level in Level::ALL {
            for other in self.network.links_of(level, number) {
                self.unlink(level, number, other);
            }
        }
        true
    }

    fn churn(&mut self) {
        let Some(churn) = self.plan.scenario.churn else { return };
        if churn.to_s.is_some_and(|to| self.now >= Time(0) + seconds(to)) {
            return;
        }
        let living: Vec<u32> = self.honest().map(|(number, _)| number).collect();
        if living.len() > 1 {
            let number = living[(self.rng.next_u64() % living.len() as u64) as usize];
            self.kill(number, false);
            let away = self.exponential(churn.away_s);
            self.push_harm(self.now + away, Harm::Back { number, disk: false });
        }
        let rate = churn.per_minute * f64::from(self.plan.scenario.peers) / 60.0;
        if rate > 0.0 {
            let next = self.exponential(1.0 / rate);
            self.push_harm(self.now + next.max(Span(1)), Harm::Churn);
        }
    }

    fn chaos(&mut self) {
        let Some(chaos) = self.plan.scenario.chaos else { return };
        if self.now >= Time(0) + seconds(chaos.to_s) {
            return;
        }
        let peers = self.plan.scenario.peers;
        let some = |swarm: &mut Self, most: u32| -> Vec<u32> {
            let count = 1 + swarm.rng.next_u64() as u32 % most.max(1);
            let mut chosen = BTreeSet::new();
            (0..count).for_each(|_| {
                chosen.insert(swarm.rng.next_u64() as u32 % peers);
            });
            chosen.into_iter().collect()
        };
        let action = match self.rng.next_u64() % 6 {
            0 => Action::Kill,
            1 => Action::Crash,
            2 => Action::Pause,
            3 => Action::Silence,
            _ => Action::Cut,
        };
        let most = if action == Action::Cut { peers / 2 } else { peers / 8 };
        let peers = some(self, most);
        let for_s = Some(chaos.lasts_s * unit(&mut self.rng));
        self.fault(&FaultSpec { at_s: 0.0, action, peers: peers.clone(), for_s });
        if action == Action::Crash && chance(&mut self.rng, DISK_LIES) {
            for number in peers {
                if let Some(disk) = self.disks.get_mut(&number) {
                    disk.base[0] ^= 1;
                }
            }
        }
        let next = self.exponential(chaos.every_s);
        self.push_harm(self.now + next.max(Span(1)), Harm::Chaos);
    }

    /// An exponentially distributed time with that mean, seconds.
    fn exponential(&mut self, mean: f64) -> Span {
        seconds(-mean * (1.0 - unit(&mut self.rng)).ln())
    }
}
