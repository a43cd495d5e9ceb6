//! Carrying out what goes wrong, and undoing it.

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
#[derive(Clone, Debug)]
pub(super) enum Harm {
    /// A peer of the first moment comes.
    Start(u32),
    /// A peer comes back; with its disk, if that is said.
    Back { number: u32, disk: bool },
    /// As the scenario says.
    Fault(FaultSpec),
    /// Cuts are undone.
    Heal,
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
        for fault in self.plan.scenario.faults.clone() {
            self.push_harm(Time(0) + seconds(fault.at_s), Harm::Fault(fault));
        }
        if let Some(churn) = self.plan.scenario.churn {
            self.push_harm(Time(0) + seconds(churn.from_s), Harm::Churn);
        }
        if let Some(chaos) = self.plan.scenario.chaos {
            self.push_harm(Time(0) + seconds(chaos.every_s), Harm::Chaos);
        }
    }

    /// Whether faults that were asked for are still ahead.
    pub(super) fn harm_to_come(&self) -> bool {
        let last = |fault: &FaultSpec| fault.at_s + fault.for_s.unwrap_or(0.0);
        let faults = self.plan.scenario.faults.iter().map(last);
        let chaos = self.plan.scenario.chaos.iter().map(|chaos| chaos.to_s + chaos.lasts_s);
        faults.chain(chaos).any(|at| Time(0) + seconds(at) > self.now)
    }

    /// From here on nothing goes wrong any more, and what is broken is mended.
    pub(super) fn end_harm(&mut self) {
        self.harming = false;
        self.network.heal();
        self.silent_until = self.now;
        for body in self.bodies.iter_mut().flatten() {
            body.paused_until = body.paused_until.min(self.now);
        }
    }

    pub(super) fn harm(&mut self, harm: Harm) {
        match harm {
            Harm::Start(number) => self.start(number, None),
            // Whoever is away when the run ends stays away: it was not there for the end either.
            Harm::Back { number, disk } if self.harming => {
                if self.bodies[number as usize].is_none() {
                    let disk = if disk { self.disks.get(&number).cloned() } else { None };
                    self.start(number, disk);
                }
            }
            Harm::Heal => self.network.heal(),
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
            Harm::Fault(fault) if self.harming => self.fault(&fault),
            Harm::Churn if self.harming => self.churn(),
            Harm::Chaos if self.harming => self.chaos(),
            Harm::Back { .. } | Harm::Fault(_) | Harm::Churn | Harm::Chaos => {}
        }
    }

    fn fault(&mut self, fault: &FaultSpec) {
        let until = fault.for_s.map(|span| self.now + seconds(span));
        match fault.action {
            Action::Cut => {
                let broken = self.network.cut(fault.peers.iter().copied().collect());
                broken.into_iter().for_each(|(level, a, b)| self.unlink(level, a, b));
                if let Some(until) = until {
                    self.push_harm(until, Harm::Heal);
                }
            }
            Action::Silence => self.silent_until = until.unwrap_or(Time(u64::MAX)),
            Action::Join => {
                for _ in 0..fault.peers.len().max(1) {
                    let number = self.new_peer();
                    self.start(number, None);
                }
            }
            Action::Pause => {
                for &number in &fault.peers {
                    if let Some(body) = self.bodies[number as usize].as_mut() {
                        body.paused_until = until.unwrap_or(Time(u64::MAX));
                    }
                }
            }
            Action::Leave => {
                for &number in &fault.peers {
                    self.push(self.now, number, Happening::Input(Input::Finish));
                    // It is gone once it has said goodbye.
                    let gone = FaultSpec { at_s: 0.0, action: Action::Kill, peers: vec![number], for_s: fault.for_s };
                    self.push_harm(self.now + self.config.gossip.settle_max + Span::from_secs(1), Harm::Fault(gone));
                }
            }
            Action::Kill | Action::Crash | Action::KillDelegates => {
                let count = if fault.peers.is_empty() { usize::MAX } else { fault.peers.len() };
                let delegates = self.living().filter(|&number| self.speaks(number)).take(count).collect();
                let peers = if fault.action == Action::KillDelegates { delegates } else { fault.peers.clone() };
                for number in peers {
                    self.kill(number, fault.action == Action::Crash);
                    if let Some(until) = until {
                        self.push_harm(until, Harm::Back { number, disk: fault.action == Action::Crash });
                    }
                }
            }
        }
    }

    /// No goodbye. Its disk keeps what was saved a moment ago, where it has one.
    fn kill(&mut self, number: u32, disk: bool) {
        let Some(mut body) = self.bodies[number as usize].take() else { return };
        if disk
            && let Some(heads) = body.peer.heads_at(&body.applied.heard)
            && let Ok(base) = body.mind.learner().base()
        {
            let hash = base_hash(&base);
            let tail = body.peer.tail_at(&body.applied.heard);
            self.disks.insert(number, Disk { heads, tail, base, hash, applied: body.applied.clone() });
        }
        self.measure.killed(number, &body.peer.view());
        for level in Level::ALL {
            for other in self.network.links_of(level, number) {
                self.unlink(level, number, other);
            }
        }
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
