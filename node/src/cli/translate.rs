//! From what the driver observes to what is told: the same events whether a launcher reads them as lines of JSON or a
//! person as a table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::event::Report;
use protocol::id::PeerId;
use protocol::{Event, View};
use sim::processes::ChildEvent;
use sim::processes::event::{EpochDone, Note, Ready, Restored, Status, finite};
use sim::report::{BannedPeer, Blocked, CURVE_POINTS_MAX, CurvePoint, PeerReport, Thinned};

use crate::driver::{Observation, Traffic};
use crate::store::checkpoint::News;
use crate::swarm::Way;

/// Collects what one peer has done.
#[derive(Debug)]
pub(super) struct Translator {
    ready: Ready,
    gossip: bool,
    /// How the neighbours are reached.
    ways: BTreeMap<PeerId, Way>,
    links: u32,
    links_relayed: u32,
    /// Whether neighbours that come and go are worth a note.
    talkative: bool,
    status: Status,
    epoch: Option<Report>,
    curve: Thinned<CurvePoint, CURVE_POINTS_MAX>,
    last: Option<Report>,
    started: Option<Instant>,
    trained_s: f64,
    trained_steps: u64,
    steps_before: u64,
    devices_lost: u32,
    /// When the process began, and how long after it the first step was taken.
    begun: Instant,
    first_step_s: Option<f64>,
    bans: u64,
    /// Who gets no link now, until when, and why.
    banned: BTreeMap<String, (Instant, String)>,
    blocked: Blocked,
    checkpoints: u64,
    checkpoints_failed: u64,
    /// Why the last one was not written, if it was not.
    checkpoint_failure: Option<String>,
    samples_dealt: Option<u64>,
}

impl Translator {
    /// `ready` lacks its addresses still; the process began at `begun`.
    pub(super) fn new(ready: Ready, gossip: bool, talkative: bool, begun: Instant) -> Self {
        Self {
            ready,
            gossip,
            ways: BTreeMap::new(),
            links: 0,
            links_relayed: 0,
            talkative,
            status: Status::default(),
            epoch: None,
            curve: Thinned::default(),
            last: None,
            started: None,
            trained_s: 0.0,
            trained_steps: 0,
            steps_before: 0,
            devices_lost: 0,
            begun,
            first_step_s: None,
            bans: 0,
            banned: BTreeMap::new(),
            blocked: Blocked::default(),
            checkpoints: 0,
            checkpoints_failed: 0,
            checkpoint_failure: None,
            samples_dealt: None,
        }
    }

    /// It has taken so many steps before this life.
    pub(super) fn goes_on_from(&mut self, steps: u64) {
        self.steps_before = steps;
    }

    /// The first event: at once without a network, else when it is known where the peer listens.
    pub(super) fn ready(&mut self, addresses: Vec<String>) -> ChildEvent {
        self.ready.addresses = addresses;
        ChildEvent::Ready(self.ready.clone())
    }

    /// Tells what is worth telling of an observation.
    pub(super) fn observe(&mut self, observation: Observation, tell: &mut dyn FnMut(ChildEvent)) {
        match observation {
            Observation::Listening(addresses) => {
                let first = self.ready.addresses.is_empty();
                let ready = self.ready(addresses);
                if first {
                    tell(ready);
                }
            }
            Observation::Blocked(blocked) => self.blocked = blocked,
            Observation::View(view, traffic) => {
                self.bans = traffic.bans;
                self.status = self.status_of(&view, traffic);
                tell(ChildEvent::Status(self.status.clone()));
            }
            Observation::LinkRefused { peer, reason } => {
                tell(note(format!("WARNING: link with {peer} refused: {reason}")))
            }
            Observation::Unreachable { address, why } => {
                // The peers of a launcher are named by it, and start when they start.
                if self.talkative {
                    tell(note(format!(
                        "WARNING: nobody answers at {address} ({why}); it is tried again. Does that peer run, and is the address right? \
                         `starling doctor --peer {address}` (with its --job) looks at the way there"
                    )));
                }
            }
            Observation::Hidden(why) => tell(note(format!("WARNING: {why}"))),
            Observation::Copied { peer, reason } => {
                tell(note(format!("WARNING: the key of {peer} was copied: {reason}")))
            }
            Observation::FirstSteps => self.first_step_s = Some(self.begun.elapsed().as_secs_f64()),
            Observation::Device(news) => {
                (self.ready.device, self.ready.backend) = (news.device, news.backend);
                self.devices_lost += 1;
                tell(note(news.text));
            }
            Observation::Checkpoint(news) => self.checkpoint(news, tell),
            Observation::NoDeviceToLose => tell(note("there is no device to lose: it trains on the CPU".into())),
            Observation::Banned { peer, reason, seconds } => {
                tell(note(format!("peer {peer} gets no link for {seconds} s: {reason}")));
                // As many as the network remembers: it tells of each that it lets go.
                self.banned.insert(peer, (Instant::now() + Duration::from_secs(seconds), reason));
            }
            Observation::Unbanned { peer } => drop(self.banned.remove(&peer)),
            Observation::Pardoned { peers } => {
                tell(note(format!("{peers} peers that had broken the rules may come back")));
            }
            Observation::Linked { peer, way } => {
                self.links += 1;
                self.links_relayed += u32::from(way == Way::Relayed);
                self.ways.insert(peer, way);
            }
            Observation::Building | Observation::Leaving | Observation::Company(_) => {}
            Observation::Shown(_) | Observation::Gradient(_) => {}
            Observation::Event(event) => self.event(event, tell),
        }
    }

    /// The first one is told of, and what goes wrong, once.
    fn checkpoint(&mut self, news: News, tell: &mut dyn FnMut(ChildEvent)) {
        match news {
            News::Written { path, bytes, took, .. } => {
                self.checkpoints += 1;
                let again = self.checkpoint_failure.take().is_some();
                if self.checkpoints == 1 || again {
                    let (kib, ms) = (bytes.div_ceil(1024), took.as_millis());
                    tell(note(format!("checkpoint {} ({kib} KiB, {ms} ms)", path.display())));
                }
            }
            News::Failed { steps, why } => {
                self.checkpoints_failed += 1;
                if self.checkpoint_failure.as_ref() != Some(&why) {
                    tell(note(format!(
                        "WARNING: the checkpoint at step {steps} cannot be written: {why}. Those before it are intact, training goes on"
                    )));
                    self.checkpoint_failure = Some(why);
                }
            }
        }
    }

    fn event(&mut self, event: Event, tell: &mut dyn FnMut(ChildEvent)) {
        match event {
            Event::TrainingStarted { .. } => self.started = Some(Instant::now()),
            Event::TrainingDone { steps } => self.training_over(steps),
            Event::DeltaSaid { seq, disagreement, .. } => {
                self.status.deltas_said = seq;
                self.status.disagreement = finite(disagreement);
            }
            Event::DeltaHeard { .. } => self.status.deltas_heard += 1,
            Event::Exchanged { disagreement, .. } => {
                self.status.deltas_said += 1;
                self.status.deltas_heard += 1;
                self.status.disagreement = finite(disagreement);
            }
            Event::Epoch(report) | Event::Evaluated(report) => self.epoch_over(report, tell),
            Event::Final(report) => {
                self.note_point(&report);
                self.last = Some(report);
            }
            Event::NeighbourUp { peer } if self.talkative => {
                let way = self.ways.get(&peer).map_or("", |way| way.name());
                tell(note(format!("neighbour {} is there ({way})", peer.short())));
            }
            Event::NeighbourDown { peer, reason } => {
                self.ways.remove(&peer);
                if self.talkative {
                    tell(note(format!("neighbour {} is gone: {reason}", peer.short())));
                }
            }
            Event::SnapshotRestored { bytes, deltas, .. } => tell(ChildEvent::Restored(Restored { bytes, deltas })),
            Event::SnapshotFailed { from, reason } => {
                tell(note(format!("WARNING: snapshot from {} given up: {reason}", from.short())))
            }
            Event::Unconfirmed { from, failures } => tell(note(format!(
                "WARNING: cannot catch up: {failures} times nobody could confirm what {} has, or too few. If most peers were resumed from old \
                 checkpoints, start some of them, and this one, without --resume",
                from.short()
            ))),
            Event::BaseMismatch { peer, .. } => tell(note(format!(
                "BASE MISMATCH with {}: the same deltas, another model. One of the two computes wrongly",
                peer.short()
            ))),
            Event::HeadMismatch { peer, origin, seq } => tell(note(format!(
                "WARNING: {} has another delta {seq} of {} than we, and ours is no longer in the log: the models differ under one name. Either {} said \
                 two things under one number, or {} makes it up",
                peer.short(),
                origin.peer.short(),
                origin.peer.short(),
                peer.short()
            ))),
            Event::RoundEvicted { peer, round } => {
                tell(note(format!("round {round} goes on without {}: its delta is overdue", peer.short())))
            }
            Event::Held { origin, reason, .. } if self.talkative => {
                tell(note(format!("deltas of {} wait: it is suspected ({reason:?})", origin.peer.short())));
            }
            Event::Excluded { origin, why, retracted, .. } => tell(note(format!(
                "WARNING: the swarm has excluded {} ({why}); {retracted} of its deltas were taken back",
                origin.peer.short()
            ))),
            Event::Dealt { peers, samples } => {
                self.samples_dealt = Some(samples);
                if self.talkative {
                    tell(note(format!("trains on {samples} samples, its share among {peers} peers")));
                }
            }
            // A failure of the learner is the driver's error, and the rest is for logs.
            _ => {}
        }
    }

    fn epoch_over(&mut self, report: Report, tell: &mut dyn FnMut(ChildEvent)) {
        // Views come twice a second, epochs may be faster: what is counted here is newer.
        self.status.steps = report.steps;
        self.status.epoch = report.epoch;
        tell(ChildEvent::Status(self.status.clone()));
        tell(ChildEvent::Epoch(EpochDone {
            epoch: report.epoch,
            steps: report.steps,
            train_loss: finite(report.train_loss),
            test_loss: finite(report.evaluation.loss),
            test_accuracy: finite(report.evaluation.accuracy),
            base_hash: report.base_hash.to_string(),
        }));
        self.note_point(&report);
        self.epoch = Some(report);
    }

    fn note_point(&mut self, report: &Report) {
        self.curve.push(CurvePoint {
            time_s: self.begun.elapsed().as_secs_f64(),
            steps: report.steps,
            epoch: report.epoch,
            train_loss: finite(report.train_loss),
            test_loss: finite(report.evaluation.loss),
            test_accuracy: finite(report.evaluation.accuracy),
            disagreement: self.status.disagreement,
            bytes_sent: self.status.bytes_sent,
            bytes_received: self.status.bytes_received,
        });
    }

    fn training_over(&mut self, steps: u64) {
        if let Some(started) = self.started.take() {
            self.trained_s = started.elapsed().as_secs_f64();
            self.trained_steps = steps.saturating_sub(self.steps_before);
        }
    }

    fn status_of(&self, view: &View, traffic: Traffic) -> Status {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Status {
            steps: view.steps,
            epoch: view.epoch,
            train_loss: finite(view.train_loss),
            disagreement: finite(view.disagreement),
            deltas_said: view.deltas_said,
            deltas_heard: view.deltas_heard,
            deltas_refused: view.deltas_refused,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            neighbours: count(view.neighbours),
            live_peers: count(view.live_peers),
            heard: view.heard.to_string(),
            agreed: view.agreed,
            finished: view.finished,
            resting: view.resting,
            steps_per_second: finite(view.steps_per_second).unwrap_or(0.0),
            payload_bytes_said: view.payload_bytes_said,
            banned: count(self.banned.len()),
            blocked: self.blocked.clone(),
        }
    }

    /// Whether the last evaluation came.
    pub(super) fn has_last_word(&self) -> bool {
        self.last.is_some()
    }

    /// The numbers of this peer, after the driver has stopped.
    pub(super) fn report(&mut self) -> PeerReport {
        self.training_over(self.status.steps);
        let last = self.last.as_ref().or(self.epoch.as_ref());
        let loss_of = |report: Option<&Report>| report.and_then(|report| finite(report.train_loss));
        PeerReport {
            id: self.ready.peer.clone(),
            device: self.ready.device.clone(),
            backend: self.ready.backend.clone(),
            steps: last.map_or(0, |report| report.steps).max(self.status.steps),
            epochs: last.map_or(0, |report| report.epoch).max(self.status.epoch),
            train_loss: loss_of(self.epoch.as_ref()).or_else(|| loss_of(self.last.as_ref())),
            test_loss: last.and_then(|report| finite(report.evaluation.loss)),
            test_accuracy: last.and_then(|report| finite(report.evaluation.accuracy)),
            // A peer that never spoke still has the base that all began with: equal, and worth nothing.
            base_hash: self.last.as_ref().filter(|_| self.gossip).map(|report| report.base_hash.to_string()),
            bytes_sent: self.status.bytes_sent,
            bytes_received: self.status.bytes_received,
            deltas_said: self.status.deltas_said,
            deltas_heard: self.status.deltas_heard,
            live_peers: self.status.live_peers,
            deltas_refused: self.status.deltas_refused,
            bans: self.bans,
            banned: self.banned_now(),
            checkpoints: self.checkpoints,
            checkpoints_failed: self.checkpoints_failed,
            payload_bytes_said: self.status.payload_bytes_said,
            steps_per_second: if self.trained_s > 0.0 {
                (self.trained_steps as f64 / self.trained_s) as f32
            } else {
                0.0
            },
            ending: if self.last.is_some() { "finished".into() } else { "stopped".into() },
            lives: 1,
            devices_lost: self.devices_lost,
            first_step_s: self.first_step_s,
            links: self.links,
            links_relayed: self.links_relayed,
            samples_dealt: self.samples_dealt,
            blocked: self.blocked.clone().derive(),
            curve: self.curve.all(),
            ..PeerReport::default()
        }
    }
}

impl Translator {
    fn banned_now(&self) -> Vec<BannedPeer> {
        let left = |until: &Instant| until.saturating_duration_since(Instant::now()).as_secs();
        let banned = self.banned.iter();
        banned
            .map(|(id, (until, reason))| BannedPeer {
                id: id.clone(),
                seconds_left: left(until),
                reason: reason.clone(),
            })
            .collect()
    }
}

fn note(text: String) -> ChildEvent {
    ChildEvent::Note(Note { text })
}
