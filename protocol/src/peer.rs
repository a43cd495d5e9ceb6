//! [`Peer`]: the one call. Inputs are dispatched here; what is done about them stands in the rooms of [`crate::mode`].

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::clock::Clock;
use crate::codec::Decoded;
use crate::config::{Config, Mode};
use crate::event::{Event, Input, Output, Timer};
use crate::id::{Hash, Origin, PeerId};
use crate::learner::Moved;
use crate::log::{Context, Delta, Exclusions, Head, Log, VersionVector};
use crate::membership::news::{News, messages_for};
use crate::membership::{Membership, short_key};
use crate::mode::full_sync::Rounds;
use crate::mode::incremental::{
    Digest, Forks, Offers, Restraint, Saving, Schedule, Session, Snapshots, TakenBack, Witness,
};
use crate::mode::pairwise::Pairs;
use crate::time::{Span, Time};
use crate::trust::{Guard, Identity};
use crate::wire::{Message, PeerRecord, Range, STATUS_NEIGHBOURS_MAX, Status};

/// Facts of a peer at a moment, for status lines.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Who.
    pub peer: PeerId,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Epochs done.
    pub epoch: u32,
    /// Mean training loss of the last stretch of steps, nats a sample; NaN before the first.
    pub train_loss: f32,
    /// Steps a second lately.
    pub steps_per_second: f32,
    /// ||theta - b|| / ||b|| when the last delta was taken; in the mode `pairwise` that of the replicas at the last exchange.
    pub disagreement: f32,
    /// Deltas of our own; in the mode `pairwise` exchanges, here and in `deltas_heard`.
    pub deltas_said: u64,
    /// Deltas of others in our base, those of a snapshot among them.
    pub deltas_heard: u64,
    /// Deltas refused.
    pub deltas_refused: u64,
    /// Payload bytes of our own deltas, each counted once.
    pub payload_bytes_said: u64,
    /// Links that are up.
    pub neighbours: usize,
    /// Peers that count as living, we among them.
    pub live_peers: usize,
    /// Hash of the version vector.
    pub heard: Hash,
    /// Whether all neighbours announced the same version vector as ours; in the mode `pairwise`, whether our last exchanges
    /// found no distance to speak of.
    pub agreed: bool,
    /// Whether the epochs that were asked for are over.
    pub finished: bool,
    /// Whether no step is to come and every delta is said; in the mode `pairwise`, and we agree with our neighbours.
    pub resting: bool,
    /// Whether no step is taken until somebody resumes.
    pub paused: bool,
    /// Samples that the swarm has trained on, as far as this peer has heard.
    pub samples: u64,
    /// Deltas in the log, bytes.
    pub log_bytes: usize,
    /// Of the mode `full_sync`: the last round said.
    pub round: u64,
}

/// Counters for [`View`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) deltas_refused: u64,
    pub(crate) payload_bytes_said: u64,
    pub(crate) disagreement: f32,
    /// ||b|| when an exchange was last said.
    pub(crate) base_norm: f32,
    /// Anti-entropy exchanges begun: t of the partner rules.
    pub(crate) exchanges_begun: u64,
}

/// One peer of a swarm, without I/O.
#[derive(Debug)]
pub struct Peer {
    pub(crate) config: Config,
    pub(crate) context: Context,
    pub(crate) identity: Identity,
    pub(crate) origin: Origin,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) now: Time,
    clock: Clock,
    pub(crate) log: Log,
    pub(crate) members: Membership,
    pub(crate) schedule: Schedule,
    pub(crate) rounds: Rounds,
    pub(crate) pairs: Pairs,
    pub(crate) offers: Offers,
    pub(crate) forks: Forks,
    pub(crate) snapshots: Snapshots,
    pub(crate) witness: Witness,
    pub(crate) taken_back: TakenBack,
    news: News,
    pub(crate) session: Session,
    pub(crate) saving: Saving,
    pub(crate) restraint: Restraint,
    pub(crate) counters: Counters,
    pub(crate) guard: Guard,
    /// With groups: the last move of the base, until the delegate takes it.
    pub(crate) moved: Option<Moved>,
    /// Decoding space of the check of a delta, reused.
    pub(crate) scratch: Decoded,
    outputs: VecDeque<Output>,
}

impl Peer {
    /// A peer that has done nothing yet. `incarnation`: see [`Origin`]. `seed` feeds its random choices.
    #[must_use]
    pub fn new(config: Config, context: Context, identity: Identity, incarnation: u64, seed: u64) -> Self {
        let peer = identity.peer_id();
        let origin = Origin { peer, incarnation };
        // A stream of its own, so that what is drawn for partners does not hang on it.
        let mut secret = ChaCha8Rng::seed_from_u64(seed);
        secret.set_stream(1);
        Self {
            guard: Guard::new(&config.trust, &context, origin, secret.next_u64()),
            log: Log::new(config.gossip.log_bytes_max),
            members: Membership::new(peer, config.gossip.members_max, secret.next_u64()),
            schedule: Schedule::new(&config),
            rounds: Rounds::default(),
            pairs: Pairs::default(),
            offers: Offers::default(),
            forks: Forks::default(),
            snapshots: Snapshots::default(),
            witness: Witness::default(),
            taken_back: TakenBack::default(),
            news: News::default(),
            session: Session::default(),
            saving: Saving::default(),
            restraint: Restraint::default(),
            counters: Counters::default(),
            moved: None,
            scratch: Decoded::default(),
            outputs: VecDeque::new(),
            origin,
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: Time(0),
            clock: Clock::default(),
            config,
            context,
            identity,
        }
    }

    /// Which chain of deltas is its own.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Before the first input: it holds these deltas already, from the disk of an earlier life. The learner must hold the
    /// base that belongs to them. `tail` are the last deltas of that set, checked, each chain in order: what nobody else has
    /// heard yet can be passed on only by whoever still has the delta itself.
    pub fn resume(&mut self, heads: &[Head], tail: Vec<Delta>) {
        self.log.adopt(heads, &Exclusions::default());
        self.pairs.keep_model();
        for delta in tail.into_iter().rev() {
            self.log.backfill(delta);
        }
    }

    /// What the log retains of that set, for [`Peer::resume`]: each chain in order.
    #[must_use]
    pub fn tail_at(&self, heard: &VersionVector) -> Vec<Delta> {
        let chain = |(origin, last)| self.log.range(Range { origin, first: 1, last });
        heard.iter().flat_map(chain).cloned().collect()
    }

    /// The head of every chain of that set of deltas, for [`Peer::resume`]; `None` when the log no longer reaches back.
    #[must_use]
    pub fn heads_at(&self, heard: &VersionVector) -> Option<Vec<Head>> {
        heard.iter().map(|(origin, seq)| self.log.head_at(origin, seq)).collect()
    }

    /// Takes one input at time `now`; afterwards drain [`Peer::next_output`]. Time does not go backwards: an earlier
    /// `now` counts as the latest one.
    pub fn handle(&mut self, now: Time, input: Input) {
        // Without gossip nobody beats.
        let gap_max = if self.config.gossip.enabled { self.config.gossip.gap_max() } else { Span(u64::MAX) };
        let stood_still = self.clock.advance(now, gap_max);
        self.now = self.clock.now();
        if self.session.is_stopped() {
            return;
        }
        if stood_still {
            self.awake();
        }
        match input {
            Input::Start => self.start(),
            Input::Listening { addresses } => {
                self.members.set_addresses(addresses);
                let records = self.members.records();
                self.say_to_all(None, &Message::Peers(records));
            }
            Input::Discovered { peer, addresses } => {
                self.members.found(peer, self.now);
                self.learn_peers(None, vec![PeerRecord { peer, addresses }]);
                self.dial_missing();
            }
            Input::Connected { peer } => self.connected(peer),
            Input::Disconnected { peer } => self.disconnected(peer, "the link closed"),
            Input::DialFailed { peer, refused } => self.members.dial_failed(peer, refused, self.now),
            Input::Message { from, message } => self.hear(from, message),
            Input::Timer(timer) => self.due(timer),
            Input::Computed { result, took } => self.computed(result, took),
            Input::Show => self.show(),
            Input::Pause => self.pause(true),
            Input::Resume => self.pause(false),
            Input::Save(at) => self.save(at),
            Input::Rest => self.rest(),
            Input::Finish => self.finish(),
        }
        self.pump();
    }

    /// The next thing the driver is to do, in order.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How it stands.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            peer: self.origin.peer,
            steps: self.schedule.steps_done(),
            epoch: self.schedule.epochs_done(),
            train_loss: self.schedule.recent_loss(),
            steps_per_second: self.schedule.steps_per_second(),
            disagreement: self.counters.disagreement,
            deltas_said: self.log.heard().get(&self.origin) + self.pairs.exchanges(),
            deltas_heard: self.log.deltas() - self.log.heard().get(&self.origin) + self.pairs.exchanges(),
            deltas_refused: self.counters.deltas_refused,
            payload_bytes_said: self.counters.payload_bytes_said,
            neighbours: self.members.neighbour_count(),
            live_peers: self.members.live_peers(self.now),
            heard: self.log.set_hash(),
            agreed: self.agreed(),
            finished: self.is_finished(),
            resting: self.is_done() && (!self.in_pairs() || self.agreed()),
            paused: self.schedule.is_paused(),
            samples: self.log.samples(),
            log_bytes: self.log.bytes(),
            round: self.rounds.said(),
        }
    }

    fn start(&mut self) {
        if !self.config.gossip.enabled {
            self.begin_training();
            return;
        }
        if !self.log.heard().is_empty() {
            self.came_back();
        }
        self.set_timer(self.now + self.config.gossip.join_grace, Timer::JoinGrace);
        self.set_timer(self.now + self.config.gossip.heartbeat, Timer::Heartbeat);
        self.set_timer(self.now + self.config.gossip.anti_entropy, Timer::AntiEntropy);
        self.begin_joining();
    }

    fn due(&mut self, timer: Timer) {
        match timer {
            Timer::JoinGrace => self.try_begin(),
            Timer::Heartbeat => self.heartbeat(),
            Timer::AntiEntropy => self.anti_entropy(),
            Timer::Offers => self.send_offers(),
            Timer::Snapshot => self.snapshot_due(),
            Timer::Settle => self.settle(true),
            Timer::Round => self.round_overdue(),
            Timer::News => {
                self.news.timer_came();
                self.tell_news();
            }
            Timer::Groups => {} // The delegate's.
        }
    }

    /// Once a second: say how we are, let go of who is silent, dial who is missing.
    fn heartbeat(&mut self) {
        self.set_timer(self.now + self.config.gossip.heartbeat, Timer::Heartbeat);
        self.announce();
        self.judge();
        for peer in self.members.silent(self.now, self.config.gossip.silence_max) {
            self.outputs.push_back(Output::Disconnect { peer });
            self.disconnected(peer, "silent for too long");
        }
        self.let_go_of_surplus();
        self.refresh_neighbours();
        self.dial_missing();
        self.try_begin();
        self.settle(false);
    }

    /// One neighbour a heartbeat, at random among those that will not miss us.
    fn let_go_of_surplus(&mut self) {
        let surplus = self.members.surplus(self.config.gossip.neighbours_target);
        // The bias of the remainder is below 2^-58 for 64 neighbours.
        if let Some(&peer) = surplus.get((self.rng.next_u64() % surplus.len().max(1) as u64) as usize) {
            self.outputs.push_back(Output::Disconnect { peer });
            self.disconnected(peer, "we have more neighbours than we need");
        }
    }

    /// One neighbour a minute for another, so that nobody surrounds us: see [`crate::membership::Refresh`].
    fn refresh_neighbours(&mut self) {
        if self.config.gossip.mode != Mode::Incremental || self.is_done() {
            return;
        }
        let Some(refresh) = self.members.refresh(self.now, self.config.gossip.neighbours_target) else { return };
        if let Some(peer) = refresh.leave {
            self.output(Output::Disconnect { peer });
            self.disconnected(peer, "its place goes to another");
        }
        let PeerRecord { peer, addresses } = refresh.dial;
        self.output(Output::Dial { peer, addresses });
    }

    /// Whether no step is to come and every delta is said.
    pub(crate) fn is_done(&self) -> bool {
        self.schedule.is_done() && !self.rounds.evaluation_due()
    }

    /// Whether the epochs that were asked for are over.
    pub(crate) fn is_finished(&self) -> bool {
        self.schedule.epochs_are_over() || self.is_done()
    }

    /// Tells every neighbour how we are.
    pub(crate) fn announce(&mut self) {
        let status = self.status();
        self.say_to_all(None, &Message::Status(status));
    }

    pub(crate) fn dial_missing(&mut self) {
        for PeerRecord { peer, addresses } in self.members.to_dial(self.now, self.config.gossip.neighbours_target) {
            self.outputs.push_back(Output::Dial { peer, addresses });
        }
    }

    fn status(&self) -> Status {
        let neighbours = self.members.neighbours().map(|(peer, _)| short_key(peer));
        Status {
            incarnation: self.origin.incarnation,
            steps: self.schedule.steps_done(),
            steps_per_second: self.schedule.steps_per_second(),
            train_loss: self.schedule.recent_loss(),
            heard: self.log.set_hash(),
            neighbours: neighbours.take(STATUS_NEIGHBOURS_MAX).collect(),
            finished: self.is_done(),
            round: self.rounds.said(),
        }
    }

    fn connected(&mut self, peer: PeerId) {
        if peer == self.origin.peer {
            return;
        }
        if self.members.is_banned(peer) {
            // It may not know why.
            let record = self.guard.record_about(peer).or_else(|| self.guard.pending.get(&peer));
            if let Some(record) = record.cloned() {
                self.send(peer, Message::Exclusion(record));
            }
            self.output(Output::Disconnect { peer });
            return;
        }
        if self.members.connected(peer, self.now) {
            self.event(Event::NeighbourUp { peer });
        }
        if self.in_pairs() {
            let status = self.status();
            self.send(peer, Message::Status(status));
        } else {
            // All are told at once whom they need not tell any more what it says itself.
            self.announce();
        }
        self.send(peer, Message::Peers(self.members.records()));
        self.send_digest(peer, true);
    }

    pub(crate) fn disconnected(&mut self, peer: PeerId, reason: &'static str) {
        if self.members.disconnected(peer, self.now) {
            self.event(Event::NeighbourDown { peer, reason });
            self.snapshot_source_lost(peer);
            self.rounds.gone(peer);
            self.try_begin();
            self.settle(false);
        }
    }

    /// Takes a message of an admitted neighbour. Whoever has no link is not listened to.
    fn hear(&mut self, from: PeerId, message: Message) {
        let (now, pairs) = (self.now, self.in_pairs());
        let Some(neighbour) = self.members.neighbour_mut(from) else {
            return;
        };
        neighbour.last_heard = now;
        if let Some(reason) = message.out_of_bounds() {
            self.event(Event::Offence { peer: from, what: reason });
            self.output(Output::Disconnect { peer: from });
            self.disconnected(from, reason);
            return;
        }
        if if pairs { message.is_of_the_log() } else { message.is_of_pairs() } {
            return; // A peer of this run says no such thing.
        }
        match message {
            Message::Status(status) => {
                neighbour.status = Some(status);
                self.try_begin();
                self.settle(false);
            }
            Message::Digest { .. } if !neighbour.may_say_what_it_has(now) => {}
            Message::Digest { heard, excluded, salt, marks, base_hash, answer } => {
                let excluded = excluded.into_iter().collect();
                self.hear_digest(from, Digest { heard, excluded, salt, marks, base_hash }, answer);
            }
            Message::Delta(signed) => self.hear_delta(from, signed),
            Message::Deltas(chain) => self.hear_deltas(from, chain),
            Message::Offer(ranges) => self.hear_offer(from, &ranges),
            Message::Want(ranges) => self.hear_want(from, &ranges),
            Message::Peers(records) => self.learn_peers(Some(from), records),
            Message::SnapshotOffer { bytes } => self.hear_snapshot_offer(from, bytes),
            Message::SnapshotAsk => self.hear_snapshot_ask(from),
            Message::SnapshotHead(head) => self.hear_snapshot_head(from, head),
            Message::SnapshotWant { base_hash, offset } => self.hear_snapshot_want(from, base_hash, offset),
            Message::SnapshotPart { base_hash, offset, bytes } => {
                self.hear_snapshot_part(from, base_hash, offset, &bytes);
            }
            Message::SnapshotCheck { base_hash, heads, excluded } => {
                self.hear_snapshot_check(from, base_hash, &heads, &excluded.into_iter().collect());
            }
            Message::SnapshotChecked { base_hash, same } => self.hear_snapshot_checked(from, base_hash, same),
            Message::Vote(vote) => self.hear_vote(from, vote),
            Message::Exclusion(record) => self.hear_exclusion(from, record),
            Message::Bye => {
                self.members.left(from);
                self.disconnected(from, "it said goodbye");
            }
            Message::ExchangeAsk => self.hear_exchange_ask(from),
            Message::ExchangeSay { exchange, part } => self.hear_exchange_say(from, exchange, &part),
            Message::ExchangeAnswer { exchange, part } => self.hear_exchange_answer(from, exchange, part),
            Message::ExchangeDone { exchange } => self.hear_exchange_done(from, &exchange),
            Message::ExchangeLost { exchange } => self.hear_exchange_lost(from, &exchange),
        }
    }

    /// Peer exchange: remembers what is new, passes it on, and dials.
    fn learn_peers(&mut self, from: Option<PeerId>, records: Vec<PeerRecord>) {
        let news = self.members.learn(from, records, self.now);
        if !news.is_empty() {
            // What a look round the network finds is passed on when it speaks for itself.
            if from.is_some() {
                self.news.gather(from, news);
                self.tell_news();
            }
            self.dial_missing();
        }
    }

    /// Passes on what is known of where peers are, as soon as it may be said.
    fn tell_news(&mut self) {
        let news = self.news.take(self.now);
        for to in self.members.neighbour_ids() {
            for records in messages_for(to, &news) {
                self.send(to, Message::Peers(records));
            }
        }
        if let Some(at) = self.news.waits_until(self.now) {
            self.set_timer(at, Timer::News);
        }
    }

    pub(crate) fn send(&mut self, to: PeerId, message: Message) {
        self.outputs.push_back(Output::Send { to, message });
    }

    pub(crate) fn say_to_all(&mut self, except: Option<PeerId>, message: &Message) {
        for to in self.members.neighbour_ids() {
            if Some(to) != except {
                self.send(to, message.clone());
            }
        }
    }

    pub(crate) fn set_timer(&mut self, at: Time, timer: Timer) {
        self.outputs.push_back(Output::SetTimer { at: self.clock.for_driver(at), timer });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}
