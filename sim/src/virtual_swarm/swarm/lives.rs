//! A peer comes to life: its identity, its learner, its speed, and whom it is told of.

use std::collections::BTreeSet;

use protocol::learner::base_hash;
use protocol::time::{Span, Time};
use protocol::trust::Identity;
use protocol::{Input, Peer};
use rand_chacha::rand_core::Rng as _;

use super::super::attackers::Attacker;
use super::super::body::Body;
use super::super::checks::Applied;
use super::super::network::{Level, millis, normal, seconds, unit};
use super::super::peer_id;
use super::harm::Disk;
use super::{Happening, Swarm};

/// Peers that a newcomer is told of.
pub(super) const CONTACTS: usize = 3;
/// Neighbours that a peer of a swarm that starts together waits for, at most.
const COMPANY_MAX: usize = 8;
/// How long it waits for them.
const COMPANY_GRACE: Span = Span::from_secs(10);

impl Swarm<'_> {
    /// A new identity.
    pub(super) fn new_peer(&mut self) -> u32 {
        let number = self.ids.len() as u32;
        let id = peer_id(number);
        self.ids.push(id);
        self.numbers.insert(id, number);
        self.bodies.push(None);
        self.assign_group(number);
        let unreachable = number > 0 && unit(&mut self.rng) < self.plan.scenario.unreachable_share;
        self.network.add_peer(unreachable);
        number
    }

    /// A peer of the first moment comes.
    pub(super) fn arrive(&mut self, number: u32) {
        self.to_arrive -= 1;
        self.start(number, None, true);
    }

    /// A life of a peer begins, with what is on its disk if anything; the first of one that was meant to be there from the start.
    pub(super) fn start(&mut self, number: u32, disk: Option<Disk>, first: bool) {
        self.lives += 1;
        let life = self.lives;
        let scenario = &self.plan.scenario;
        let mut config = self.config.clone();
        config.gossip.company = if first && scenario.arrive_over_s == 0.0 {
            (self.group_size(number) - 1).min(COMPANY_MAX).min(config.gossip.neighbours_target)
        } else {
            usize::from(self.group_size(number) > 1)
        };
        config.gossip.join_grace = COMPANY_GRACE;
        let ours = self.ids[number as usize];
        let edges = self.plan.graph.iter();
        config.gossip.partner_graph =
            edges.filter_map(|&(a, b)| if a == ours { Some(b) } else { (b == ours).then_some(a) }).collect();
        let seed = self.rng.next_u64();
        let identity = Identity::from_seed(&identity_seed(number));
        let mut peer = Peer::new(config, self.context_of(number), identity, life, seed);
        let learner_seed = if first { 0 } else { life };
        let mut mind = match self.plan.task.learner(ours, number, scenario.peers, learner_seed) {
            Ok(mind) => mind,
            Err(error) => {
                self.violate(number, format!("no learner: {error}"));
                return;
            }
        };
        let mut applied = Applied::default();
        // A disk that lies is found out by its hash, and not used.
        if let Some(disk) = disk.filter(|disk| base_hash(&disk.base) == disk.hash)
            && mind.learner().restore(&disk.base, 0.0).is_ok()
        {
            peer.resume(&disk.heads, disk.tail);
            applied = disk.applied;
        }
        let attacker = self.attacker(number);
        let speed = if scenario.speed_sigma > 0.0 { (scenario.speed_sigma * normal(&mut self.rng)).exp() } else { 1.0 };
        let step_ms = scenario.step_ms_each.get(number as usize).copied().unwrap_or(scenario.step_ms);
        let skew = seconds(scenario.clock_skew_s * unit(&mut self.rng));
        let body = Body {
            peer,
            mind,
            delegate: None,
            term: 0,
            commands: Default::default(),
            step: millis(step_ms / speed).max(Span(1)),
            skew,
            life,
            paused_until: Time(0),
            put_off_to: BTreeSet::new(),
            applied,
            attacker,
            trained: false,
            leaving: false,
            stopped: false,
        };
        self.bodies[number as usize] = Some(body);
        self.measure.life(number, first);
        self.push(self.now, number, Happening::Input(Input::Start));
        self.push(self.now, number, Happening::Input(Input::Listening { addresses: address(number) }));
        self.introduce(Level::Group, number);
    }

    /// Whether it lies, alive or not.
    pub(super) fn is_honest(&self, number: u32) -> bool {
        self.attacker(number).is_none()
    }

    fn attacker(&self, number: u32) -> Option<Attacker> {
        let mut from = self.plan.scenario.peers;
        for spec in &self.plan.scenario.attackers {
            let first = from - spec.count;
            if (first..from).contains(&number) {
                return Some(Attacker::new(spec));
            }
            from = first;
        }
        None
    }

    /// The newcomer and a few that are there hear of each other, as by mDNS.
    pub(super) fn introduce(&mut self, level: Level, number: u32) {
        let (group, upper) = (self.group(number), level == Level::Upper);
        let near = |other: u32| self.stands_in(level, other) && (upper || self.group(other) == group);
        let there: Vec<u32> = self.living().filter(|&other| other != number && near(other)).collect();
        let mut chosen = BTreeSet::new();
        while chosen.len() < CONTACTS.min(there.len()) {
            chosen.insert(there[(self.rng.next_u64() % there.len() as u64) as usize]);
        }
        for other in chosen {
            for (hears, of) in [(number, other), (other, number)] {
                let found = Input::Discovered { peer: self.ids[of as usize], addresses: address(of) };
                self.push_input(level, self.now, hears, found);
            }
        }
    }
}

pub(super) fn address(number: u32) -> Vec<String> {
    vec![format!("/virtual/{number}")]
}

/// Secret of a virtual identity: public, as everything here.
pub(in super::super) fn identity_seed(number: u32) -> [u8; 32] {
    let mut seed = *b"starling virtual peer           ";
    seed[28..].copy_from_slice(&number.to_le_bytes());
    seed
}
