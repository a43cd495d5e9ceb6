//! A network in memory: virtual time, one seed, messages that are delayed, lost, doubled and overtaken.

mod forger;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use protocol::event::Checkpoint;
use protocol::id::{Hash, Origin, PeerId, RunId};
use protocol::learner::{self, Command, Computed, Learner as _};
use protocol::log::{Context, Delta, SignedDelta};
use protocol::schema::{Schema, Tensor};
use protocol::time::{Span, Time};
use protocol::trust::audit::Record;
use protocol::trust::{Identity, Limits};
use protocol::wire::{self, Message};
use protocol::{Config, Event, Input, Output, Peer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

pub use forger::Forger;

use crate::learner::{Lie, Quadratic};

/// What the network does to messages.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub latency: Span,
    /// Added at random: messages overtake each other when it is longer than the time between them.
    pub jitter: Span,
    pub loss_percent: u64,
    pub duplicate_percent: u64,
}

impl Faults {
    pub const NONE: Self =
        Self { latency: Span::from_millis(1), jitter: Span(0), loss_percent: 0, duplicate_percent: 0 };
}

enum Happening {
    Input(Input),
    /// The head of the learner's queue is done.
    LearnerDone,
    Frame {
        from: PeerId,
        body: Vec<u8>,
    },
}

struct Node {
    peer: Peer,
    learner: Quadratic,
    commands: VecDeque<Command>,
    /// Time of one training step.
    step: Span,
    events: Vec<Event>,
    audit: Vec<Record>,
    /// It does not hear what the swarm decides about it.
    attacks: bool,
    stopped: bool,
    /// SIGSTOP: what happens waits.
    paused: Option<Vec<Happening>>,
    /// Which life this is; what was meant for an earlier one is not delivered.
    life: u64,
}

/// Who did it, and what it moved.
pub type Half = (PeerId, Vec<i32>);

/// See [`Network::fork`].
pub struct Fork {
    pub identity: Identity,
    pub victims: Vec<PeerId>,
    /// Its other chain, by number.
    pub chain: BTreeMap<u64, Delta>,
}

pub struct Network {
    pub now: Time,
    pub faults: Faults,
    /// Bytes a second of parts of snapshots that a link carries in each direction, one after the other; `None`: any number at once. All
    /// else passes between them, as on a real link.
    pub rate: Option<u64>,
    /// The same, of links from one peer to another that are slower.
    pub slow: BTreeMap<(PeerId, PeerId), u64>,
    /// A link in one direction is busy until then.
    busy: BTreeMap<(PeerId, PeerId), Time>,
    /// Who asked whom for a snapshot.
    pub asks: Vec<(PeerId, PeerId)>,
    /// Parts of snapshots that came to a peer, bytes.
    pub part_bytes: BTreeMap<PeerId, u64>,
    pub forger: Option<Forger>,
    /// The last one of each peer.
    pub checkpoints: BTreeMap<PeerId, Checkpoint>,
    pub config: Config,
    pub context: Context,
    /// How far the peers' targets are from each other; 0: all want the same.
    pub spread: f32,
    /// Of everything that happened: equal seeds give equal traces.
    pub trace: blake3::Hasher,
    pub messages: BTreeMap<&'static str, u64>,
    /// Every delta that was ever sent, each as often as it was.
    pub deltas: Vec<Arc<SignedDelta>>,
    /// Mode `pairwise`: of every exchange what its halves have moved, by whom.
    pub halves: BTreeMap<(PeerId, PeerId, [u64; 4]), Vec<Half>>,
    /// A peer that says one thing to some and another to the rest.
    pub fork: Option<Fork>,
    nodes: BTreeMap<PeerId, Node>,
    ids: Vec<PeerId>,
    links: BTreeSet<(PeerId, PeerId)>,
    cut: BTreeSet<(PeerId, PeerId)>,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    happenings: BTreeMap<u64, (PeerId, u64, Happening)>,
    order: u64,
    lives: u64,
    rng: ChaCha8Rng,
}

/// A context for `parameters` parameters.
pub fn context(parameters: usize, codec: &'static dyn protocol::codec::Codec) -> Context {
    let tensors = vec![Tensor { name: "w".into(), shape: vec![parameters as u32] }];
    Context { run: RunId(Hash([9; 32])), schema: Schema { tensors }.hash(), parameters, codec, limits: Limits::OFF }
}

fn pair(a: PeerId, b: PeerId) -> (PeerId, PeerId) {
    (a.min(b), a.max(b))
}

impl Network {
    pub fn new(config: Config, context: Context, faults: Faults, seed: u64) -> Self {
        Self {
            now: Time(0),
            faults,
            rate: None,
            slow: BTreeMap::new(),
            asks: Vec::new(),
            busy: BTreeMap::new(),
            part_bytes: BTreeMap::new(),
            forger: None,
            checkpoints: BTreeMap::new(),
            config,
            context,
            spread: 1.0,
            trace: blake3::Hasher::new(),
            messages: BTreeMap::new(),
            deltas: Vec::new(),
            halves: BTreeMap::new(),
            fork: None,
            nodes: BTreeMap::new(),
            ids: Vec::new(),
            links: BTreeSet::new(),
            cut: BTreeSet::new(),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            order: 0,
            lives: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// A network of `peers`, all of them started.
    pub fn of(peers: usize, config: Config, context: Context, faults: Faults, seed: u64) -> (Self, Vec<PeerId>) {
        let mut network = Self::new(config, context, faults, seed);
        let ids = (0..peers).map(|index| network.start(index, peers, crate::STEP)).collect();
        (network, ids)
    }

    /// Starts peer `index` of `peers` with nothing but its identity, and introduces it to the first peer.
    pub fn start(&mut self, index: usize, peers: usize, step: Span) -> PeerId {
        self.start_from(index, peers, step, None)
    }

    /// The same, as a new life of its identity that goes on from there.
    pub fn start_from(&mut self, index: usize, peers: usize, step: Span, checkpoint: Option<&Checkpoint>) -> PeerId {
        let seed = [index as u8 + 1; 32];
        let identity = Identity::from_seed(&seed);
        let id = identity.peer_id();
        self.lives += 1;
        let life = self.lives;
        let mut peer = Peer::new(self.config.clone(), self.context, identity, life, self.rng.next_u64());
        let mut learner = Quadratic::new(self.context.parameters, index, peers, self.spread);
        if let Some(checkpoint) = checkpoint {
            learner.load(&checkpoint.learner).expect("it is of this model");
            peer.resume_at(&checkpoint.standing).expect("there is a place");
        }
        let node = Node {
            peer,
            learner,
            commands: VecDeque::new(),
            step,
            events: Vec::new(),
            audit: Vec::new(),
            attacks: false,
            stopped: false,
            paused: None,
            life,
        };
        self.nodes.insert(id, node);
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
        self.push(self.now, id, Happening::Input(Input::Start));
        // Every life listens somewhere else, as a port that the system chooses.
        let address = |life: u64| vec![format!("/memory/{life}")];
        self.push(self.now, id, Happening::Input(Input::Listening { addresses: address(life) }));
        let others: Vec<_> =
            self.ids.iter().copied().filter(|other| *other != id && self.nodes.contains_key(other)).collect();
        // As mDNS does it: both hear of each other.
        if let Some(&first) = others.first() {
            self.push(
                self.now,
                id,
                Happening::Input(Input::Discovered { peer: first, addresses: address(self.nodes[&first].life) }),
            );
            self.push(self.now, first, Happening::Input(Input::Discovered { peer: id, addresses: address(life) }));
        }
        id
    }

    /// Starts a peer that lies and obeys nobody.
    pub fn start_attacker(&mut self, index: usize, lie: Lie, step: Span) -> PeerId {
        let honest = self.config.clone();
        self.config.trust.enabled = false;
        // Its own target is that of the middle of the swarm.
        let id = self.start(index, 2 * index + 1, step);
        self.config = honest;
        let node = self.nodes.get_mut(&id).expect("it was started");
        (node.attacks, node.learner.lie) = (true, lie);
        id
    }

    /// Says something in the name of `from`, over its link.
    pub fn inject(&mut self, from: PeerId, to: PeerId, message: &Message) {
        self.send(from, to, message);
    }

    pub fn origin(&self, id: PeerId) -> Origin {
        Origin { peer: id, incarnation: self.nodes[&id].life }
    }

    /// SIGKILL: no goodbye, and nothing of it is left.
    pub fn kill(&mut self, id: PeerId) {
        self.nodes.remove(&id);
        for other in self.ids.clone() {
            self.disconnect(id, other);
        }
    }

    /// SIGSTOP: it stands still, and what is meant for it waits.
    pub fn pause(&mut self, id: PeerId) {
        self.nodes.get_mut(&id).expect("it lives").paused = Some(Vec::new());
    }

    /// SIGCONT: everything at once.
    pub fn resume(&mut self, id: PeerId) {
        let waiting = self.nodes.get_mut(&id).and_then(|node| node.paused.take());
        waiting.into_iter().flatten().for_each(|happening| self.push(self.now, id, happening));
    }

    /// Cuts every link between the two groups, and keeps it cut.
    pub fn cut(&mut self, left: &[PeerId], right: &[PeerId]) {
        for &a in left {
            for &b in right {
                self.cut.insert(pair(a, b));
                self.disconnect(a, b);
            }
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    pub fn disconnect(&mut self, a: PeerId, b: PeerId) {
        self.busy.remove(&(a, b));
        self.busy.remove(&(b, a));
        if self.links.remove(&pair(a, b)) {
            for (id, peer) in [(a, b), (b, a)] {
                self.push(self.now, id, Happening::Input(Input::Disconnected { peer }));
            }
        }
    }

    pub fn input(&mut self, id: PeerId, input: Input) {
        self.push(self.now, id, Happening::Input(input));
    }

    pub fn finish_all(&mut self) {
        for id in self.living() {
            self.input(id, Input::Finish);
        }
    }

    pub fn living(&self) -> Vec<PeerId> {
        self.nodes.keys().copied().collect()
    }

    pub fn peer(&self, id: PeerId) -> &Peer {
        &self.nodes[&id].peer
    }

    pub fn learner(&self, id: PeerId) -> &Quadratic {
        &self.nodes[&id].learner
    }

    pub fn learner_mut(&mut self, id: PeerId) -> &mut Quadratic {
        &mut self.nodes.get_mut(&id).expect("it was started").learner
    }

    pub fn events(&self, id: PeerId) -> &[Event] {
        &self.nodes[&id].events
    }

    pub fn audit(&self, id: PeerId) -> &[Record] {
        &self.nodes[&id].audit
    }

    pub fn all_stopped(&self) -> bool {
        self.nodes.values().all(|node| node.stopped)
    }

    pub fn all_done(&self) -> bool {
        self.nodes.values().all(|node| node.peer.view().finished)
    }

    fn push(&mut self, at: Time, to: PeerId, happening: Happening) {
        let Some(life) = self.nodes.get(&to).map(|node| node.life) else {
            return;
        };
        self.order += 1;
        self.queue.push(Reverse((at, self.order)));
        self.happenings.insert(self.order, (to, life, happening));
    }

    /// Runs until `until` or until `done`; returns whether `done`.
    pub fn run(&mut self, until: Time, mut done: impl FnMut(&Self) -> bool) -> bool {
        let mut looked = self.now;
        while let Some(&Reverse((at, order))) = self.queue.peek() {
            if at > until {
                break;
            }
            self.queue.pop();
            self.now = at;
            if let Some((to, life, happening)) = self.happenings.remove(&order) {
                self.happen(to, life, happening);
            }
            if self.now - looked >= Span::from_millis(10) {
                looked = self.now;
                if done(self) {
                    return true;
                }
            }
        }
        self.now = self.now.max(until);
        done(self)
    }

    fn happen(&mut self, to: PeerId, life: u64, happening: Happening) {
        let Some(node) = self.nodes.get_mut(&to).filter(|node| node.life == life) else {
            return;
        };
        if let Some(waiting) = &mut node.paused {
            waiting.push(happening);
            return;
        }
        let mut moved = None;
        let input = match happening {
            Happening::Input(input) => input,
            Happening::LearnerDone => {
                let Some(command) = node.commands.pop_front() else {
                    return;
                };
                let took = cost(&command, node.step);
                let before = matches!(command, Command::EdgeMeet(_)).then(|| node.learner.base.clone());
                let mut result = learner::run(command, &mut node.learner);
                moved = before.map(|before| {
                    node.learner.base.iter().zip(before).map(|(&after, before)| after.wrapping_sub(before)).collect()
                });
                if let Computed::EdgeSaid(said) = &mut result {
                    said.payload = node.learner.told_payload(self.context.codec, &said.payload);
                    if node.learner.lie != Lie::None {
                        said.learnt = u64::MAX;
                    }
                }
                // Some learners put what is heard before steps, as the node's does, and some do not.
                if to.0[0].is_multiple_of(2) {
                    heard_first(&mut node.commands);
                }
                if let Some(next) = node.commands.front() {
                    let at = self.now + cost(next, node.step);
                    self.push(at, to, Happening::LearnerDone);
                }
                Input::Computed { result, took }
            }
            Happening::Frame { from, body } => {
                if !self.links.contains(&pair(from, to)) {
                    return;
                }
                let message = wire::decode_body(&body).expect("peers speak the wire format");
                if let Message::SnapshotPart { bytes, .. } = &message {
                    *self.part_bytes.entry(to).or_default() += bytes.len() as u64;
                }
                Input::Message { from, message }
            }
        };
        self.trace.update(&self.now.0.to_le_bytes());
        self.trace.update(&to.0);
        self.trace.update(format!("{input:?}").as_bytes());
        let node = self.nodes.get_mut(&to).expect("it lives, see above");
        node.peer.handle(self.now, input);
        let mut outputs = Vec::new();
        while let Some(output) = node.peer.next_output() {
            outputs.push(output);
        }
        for output in outputs {
            if let Output::Event(Event::Exchanged { peer, exchange, .. }) = &output
                && let Some(moved) = moved.take()
            {
                let name = [exchange.leader, exchange.follower, exchange.epoch, exchange.seq];
                let (leader, follower) = pair(to, *peer);
                self.halves.entry((leader, follower, name)).or_default().push((to, moved));
            }
            self.carry_out(to, output);
        }
    }

    fn carry_out(&mut self, id: PeerId, output: Output) {
        match output {
            Output::Send { to, message } => self.send(id, to, &message),
            Output::Dial { peer, .. } => {
                if !self.nodes.contains_key(&peer) || self.cut.contains(&pair(id, peer)) {
                    self.push(
                        self.now + self.faults.latency,
                        id,
                        Happening::Input(Input::DialFailed { peer, refused: false }),
                    );
                } else if self.links.insert(pair(id, peer)) {
                    for (at, other) in [(id, peer), (peer, id)] {
                        self.push(
                            self.now + self.faults.latency,
                            at,
                            Happening::Input(Input::Connected { peer: other }),
                        );
                    }
                }
            }
            Output::Disconnect { peer } => self.disconnect(id, peer),
            Output::Compute(command) => {
                let node = self.nodes.get_mut(&id).expect("it lives");
                let idle = node.commands.is_empty();
                let took = cost(&command, node.step);
                node.commands.push_back(command);
                if idle {
                    self.push(self.now + took, id, Happening::LearnerDone);
                }
            }
            Output::SetTimer { at, timer } => self.push(at, id, Happening::Input(Input::Timer(timer))),
            Output::Shown(_) | Output::Gradient(_) => {}
            Output::Audit(record) => self.nodes.get_mut(&id).expect("it lives").audit.push(record),
            Output::Event(event) => self.nodes.get_mut(&id).expect("it lives").events.push(event),
            Output::Saved(checkpoint) => drop(self.checkpoints.insert(id, *checkpoint)),
            Output::Stopped => self.nodes.get_mut(&id).expect("it lives").stopped = true,
        }
    }

    fn send(&mut self, from: PeerId, to: PeerId, message: &Message) {
        if matches!(message, Message::SnapshotAsk) {
            self.asks.push((from, to));
        }
        match self.forge(from, to, message) {
            Some(forged) => {
                let id = self.forger.as_ref().expect("it forged").id;
                forged.iter().for_each(|(to, message)| self.transmit(id, *to, message));
            }
            None => self.transmit(from, to, message),
        }
    }

    fn transmit(&mut self, from: PeerId, to: PeerId, message: &Message) {
        if !self.links.contains(&pair(from, to)) {
            return;
        }
        *self.messages.entry(kind(message)).or_default() += 1;
        let message = &self.forked(to, message);
        match message {
            Message::Delta(signed) => self.deltas.push(Arc::clone(signed)),
            Message::Deltas(chain) => self.deltas.extend(chain.iter().cloned()),
            _ => {}
        }
        if self.nodes.get(&to).is_some_and(|node| node.attacks) && is_verdict(message) {
            return;
        }
        let mut frame = Vec::new();
        wire::encode_frame(message, &mut frame).expect("a message fits a frame");
        let body = frame.split_off(wire::LENGTH_BYTES);
        let copies = if self.chance(self.faults.loss_percent) {
            0
        } else if self.chance(self.faults.duplicate_percent) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let jitter = self.faults.jitter.0.checked_add(1).map_or(0, |n| self.rng.next_u64() % n);
            let mut gone = self.now;
            let rate = self.slow.get(&(from, to)).copied().or(self.rate);
            if let (Some(rate), Message::SnapshotPart { .. }) = (rate, message) {
                let busy = self.busy.entry((from, to)).or_default();
                *busy = (*busy).max(self.now) + Span(body.len() as u64 * 1_000_000 / rate);
                gone = *busy;
            }
            let at = gone + self.faults.latency + Span(jitter);
            self.push(at, to, Happening::Frame { from, body: body.clone() });
        }
    }

    /// The other version of a delta, for those who are to hear that one.
    fn forked(&mut self, to: PeerId, message: &Message) -> Message {
        match message {
            Message::Delta(signed) => Message::Delta(self.fork_of(to, signed)),
            Message::Deltas(chain) => Message::Deltas(chain.iter().map(|signed| self.fork_of(to, signed)).collect()),
            other => other.clone(),
        }
    }

    fn fork_of(&mut self, to: PeerId, signed: &Arc<SignedDelta>) -> Arc<SignedDelta> {
        let Some(fork) = &mut self.fork else { return signed.clone() };
        let mut header = signed.header.clone();
        if header.origin.peer != fork.identity.peer_id() || !fork.victims.contains(&to) {
            return signed.clone();
        }
        if let Some(before) = fork.chain.get(&(header.seq - 1)) {
            header.previous = before.hash();
        }
        header.samples += 1;
        let payload = signed.payload.clone();
        let (context, identity) = (self.context, &fork.identity);
        let other = fork.chain.entry(header.seq).or_insert_with(|| Delta::sign(&context, header, payload, identity));
        other.signed().clone()
    }

    fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.rng.next_u64() % 100 < percent
    }
}

/// Moves what is heard before steps, if only steps stand before it.
fn heard_first(commands: &mut VecDeque<Command>) {
    let behind_steps = commands.iter().position(|command| !matches!(command, Command::Train { .. }));
    if let Some(at) = behind_steps.filter(|at| matches!(commands[*at], Command::Apply { .. }))
        && let Some(heard) = commands.remove(at)
    {
        commands.push_front(heard);
    }
}

fn cost(command: &Command, step: Span) -> Span {
    match command {
        Command::Train { steps, .. } => Span(step.0 * u64::from(*steps)),
        _ => Span(50),
    }
}

fn is_verdict(message: &Message) -> bool {
    matches!(message, Message::Vote(_) | Message::Exclusion(_))
}

fn kind(message: &Message) -> &'static str {
    match message {
        Message::Status(_) => "status",
        Message::Digest { .. } => "digest",
        Message::Delta(_) => "delta",
        Message::Deltas(_) => "deltas",
        Message::Offer(_) => "offer",
        Message::Want(_) => "want",
        Message::Peers(_) => "peers",
        Message::SnapshotOffer { .. } => "snapshot offer",
        Message::SnapshotAsk => "snapshot ask",
        Message::SnapshotHead(_) => "snapshot head",
        Message::SnapshotWant { .. } => "snapshot want",
        Message::SnapshotPart { .. } => "snapshot part",
        Message::Bye => "bye",
        Message::Vote(_) => "vote",
        Message::Exclusion(_) => "exclusion",
        Message::SnapshotCheck { .. } => "snapshot check",
        Message::SnapshotChecked { .. } => "snapshot checked",
        Message::ExchangeAsk => "exchange ask",
        Message::ExchangeSay { .. } => "exchange say",
        Message::ExchangeAnswer { .. } => "exchange answer",
        Message::ExchangeDone { .. } => "exchange done",
        Message::ExchangeLost { .. } => "exchange lost",
    }
}
