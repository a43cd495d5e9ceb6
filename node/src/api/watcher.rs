//! From what the driver observes to what the dashboard shows. Called in the driver's loop, so nothing here waits, and what is kept is
//! bounded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::company::{Fellow, Linked};
use protocol::event::Report;
use protocol::id::PeerId;
use protocol::{Event, View};
use sim::processes::event::finite;
use sim::report::dense_bytes;

use super::board::Board;
use super::events::{Entry, Kind, Level};
use super::history::{Evaluated, Point};
use super::lives::Said;
use super::sentences::sentence;
use super::snapshot::{Other, Own, Phase, Run, Snapshot};
use crate::driver::{Observation, Traffic};
use crate::store::checkpoint::News;
use crate::swarm::Way;
use crate::text::{TEXT_CHARS_MAX, escape};

/// Peers that are gone and still shown.
const GONE_MAX: usize = 32;
/// A peer whose link is lost and that nobody passes a delta of for so long is gone; what was under way may still arrive before.
const GONE_AFTER: Duration = Duration::from_secs(2);
/// Evaluations that are told of as events: a small model has hundreds of epochs a second, and the list is short.
const EVALUATIONS_SAID_EVERY: Duration = Duration::from_secs(5);
/// Weight of the newest second in a rate.
const RATE_SMOOTHING: f64 = 0.3;

/// See the module.
#[derive(Debug)]
pub struct Watcher {
    board: Arc<Board>,
    began: Instant,
    now: Snapshot,
    ways: BTreeMap<PeerId, Way>,
    company: Vec<Fellow>,
    lost: BTreeMap<PeerId, Lost>,
    traffic: Option<(Instant, Traffic)>,
    /// When an evaluation was last told of.
    evaluation_said: Option<Instant>,
    started: bool,
    leaving: bool,
}

/// A neighbour that was.
#[derive(Debug)]
struct Lost {
    at: Instant,
    why: String,
    /// Deltas of it that we held when we last looked, and when that grew.
    deltas: u64,
    grew: Instant,
}

impl Watcher {
    pub(super) fn new(board: Arc<Board>, now: Snapshot, began: Instant) -> Self {
        Self {
            board,
            began,
            now,
            ways: BTreeMap::new(),
            company: Vec::new(),
            lost: BTreeMap::new(),
            traffic: None,
            evaluation_said: None,
            started: false,
            leaving: false,
        }
    }

    /// What a fresh peer says of itself.
    pub(super) fn first(peer: Own, run: Run, began: Instant) -> Snapshot {
        let (time_ms, uptime) = (unix_ms(), began.elapsed());
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            // No two lives of a peer begin at one moment.
            life: time_ms.saturating_sub(uptime.as_millis() as u64),
            time_ms,
            uptime_s: uptime.as_secs_f64(),
            peer,
            run,
            ..Snapshot::default()
        }
    }

    /// Takes one observation.
    pub fn observe(&mut self, observation: &Observation) {
        match observation {
            Observation::Listening(addresses) => self.now.peer.addresses.clone_from(addresses),
            Observation::Linked { peer, way } => drop(self.ways.insert(*peer, *way)),
            Observation::LinkRefused { peer, reason } => {
                self.say(Kind::Trust, Level::Warning, None, &format!("link with {peer} refused: {reason}"));
            }
            Observation::Unreachable { address, why } => {
                let text = format!("nobody answers at {address} ({why}); it is tried again");
                self.say(Kind::Peers, Level::Warning, None, &text);
            }
            Observation::Hidden(why) => self.say(Kind::Peers, Level::Warning, None, why),
            Observation::Copied { peer, reason } => {
                self.say(Kind::Trust, Level::Warning, None, &format!("the key of {peer} was copied: {reason}"));
            }
            // Who looks sees that somebody is there.
            Observation::Building => self.publish(),
            Observation::Leaving => self.leave(),
            Observation::FirstSteps => self.say(Kind::Training, Level::Info, None, "the first steps are taken"),
            Observation::Device(news) => {
                (self.now.peer.device, self.now.peer.backend) = (news.device.clone(), news.backend.clone());
                self.now.peer.devices_lost += 1;
                self.say(Kind::Device, Level::Warning, None, &news.text);
            }
            Observation::NoDeviceToLose | Observation::Blocked(_) => {}
            Observation::Banned { peer, reason, seconds } => {
                let text = format!("peer {peer} gets no link for {seconds} s: {reason}");
                self.say(Kind::Trust, Level::Warning, None, &text);
            }
            Observation::Unbanned { peer } => {
                self.say(Kind::Trust, Level::Info, None, &format!("the ban of peer {peer} is over"));
            }
            Observation::Pardoned { peers } => {
                let text = format!("{peers} peers that had broken the rules may come back");
                self.say(Kind::Trust, Level::Info, None, &text);
            }
            Observation::Company(company) => {
                self.company.clone_from(company);
                self.board.note_lives(|lives| lives.company(company, unix_ms()));
            }
            Observation::View(view, traffic) => self.view(view, *traffic),
            Observation::Checkpoint(News::Written { path, bytes, .. }) => {
                let text = format!("checkpoint {} is written, {bytes} bytes", path.display());
                self.say(Kind::Checkpoint, Level::Info, None, &text);
            }
            Observation::Checkpoint(News::Failed { steps, why }) => {
                self.now.peer.checkpoint_failures += 1;
                let text = format!("the checkpoint of step {steps} could not be written: {why}");
                self.say(Kind::Checkpoint, Level::Warning, None, &text);
            }
            Observation::Shown(shown) => self.board.note_base(Arc::clone(shown)),
            Observation::Gradient(gradient) => self.board.note_gradient(Arc::clone(gradient)),
            Observation::Event(event) => self.event(event),
        }
    }

    /// At once, and not with the next view: whoever asks `/readyz` sends others elsewhere.
    fn leave(&mut self) {
        self.leaving = true;
        self.now.phase = Phase::Leaving;
        self.now.training.seconds_left = None;
        self.publish();
    }

    /// It is over.
    pub fn close(&mut self) {
        self.now.phase = Phase::Stopped;
        self.publish();
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::TrainingStarted { deltas } => {
                self.started = true;
                let text = format!("training begins, {deltas} deltas are in the base");
                self.say(Kind::Training, Level::Info, None, &text);
            }
            Event::TrainingDone { steps } => {
                self.say(Kind::Training, Level::Info, None, &format!("training is over after {steps} steps"));
            }
            Event::Epoch(report) => self.evaluated(report, "epoch", false),
            Event::Evaluated(report) => self.evaluated(report, "within an epoch, after epoch", false),
            Event::Final(report) => self.evaluated(report, "the last evaluation, after epoch", true),
            Event::DeltaSaid { seq, steps, weight, payload_bytes, disagreement } => {
                let said = Said::new(*seq, unix_ms(), *steps, *weight, *payload_bytes, *disagreement);
                self.board.note_lives(|lives| lives.said(said));
            }
            Event::DeltaHeard { origin, seq } => {
                self.board.note_lives(|lives| lives.applied(origin.peer, *seq, unix_ms()));
            }
            Event::NeighbourUp { peer } => self.up(*peer),
            Event::NeighbourDown { peer, reason } => self.down(*peer, reason),
            other => {
                if let Some((kind, level, peer, text)) = sentence(other) {
                    self.say(kind, level, peer, &text);
                }
            }
        }
    }

    fn up(&mut self, peer: PeerId) {
        self.lost.remove(&peer);
        let way = self.ways.get(&peer).map_or("", |way| way.name());
        self.say(Kind::Peers, Level::Info, Some(peer), &format!("{} is there ({way})", peer.short()));
    }

    fn down(&mut self, peer: PeerId, reason: &str) {
        self.ways.remove(&peer);
        let now = Instant::now();
        let deltas = self.company.iter().find(|fellow| fellow.peer == peer).map_or(0, |fellow| fellow.deltas);
        self.lost.insert(peer, Lost { at: now, why: reason.to_owned(), deltas, grew: now });
        if self.lost.len() > GONE_MAX
            && let Some(oldest) = self.lost.iter().min_by_key(|(_, lost)| lost.at).map(|(&peer, _)| peer)
        {
            self.lost.remove(&oldest);
        }
        self.say(Kind::Peers, Level::Warning, Some(peer), &format!("{} is gone: {reason}", peer.short()));
    }

    fn evaluated(&mut self, report: &Report, what: &str, last: bool) {
        let evaluation = &report.evaluation;
        let training = &mut self.now.training;
        (training.steps, training.epoch) = (report.steps, report.epoch);
        (training.test_loss, training.test_accuracy) = (finite(evaluation.loss), finite(evaluation.accuracy));
        training.base_hash = Some(report.base_hash.to_string());
        self.board.note_evaluation(Evaluated {
            time_s: self.began.elapsed().as_secs_f64(),
            epoch: report.epoch,
            train_loss: finite(report.train_loss),
            test_loss: finite(evaluation.loss),
            test_accuracy: finite(evaluation.accuracy),
        });
        if !last && self.evaluation_said.is_some_and(|said| said.elapsed() < EVALUATIONS_SAID_EVERY) {
            return;
        }
        self.evaluation_said = Some(Instant::now());
        let text = format!(
            "{what} {}: test loss {:.4}, accuracy {:.1} %, base {}",
            report.epoch,
            evaluation.loss,
            100.0 * evaluation.accuracy,
            report.base_hash.short()
        );
        self.say(Kind::Training, Level::Info, None, &text);
    }

    fn view(&mut self, view: &View, traffic: Traffic) {
        self.now.phase = if self.leaving {
            Phase::Leaving
        } else if view.finished {
            Phase::Done
        } else if !self.started {
            Phase::Joining
        } else if view.paused {
            Phase::Paused
        } else {
            Phase::Training
        };
        let run = &self.now.run;
        let to_go = run.epochs.map(|epochs| u64::from(epochs) * u64::from(run.steps_per_epoch));
        let pace = f64::from(view.steps_per_second);
        let training = &mut self.now.training;
        (training.steps, training.epoch) = (view.steps, view.epoch);
        training.steps_per_second = finite(view.steps_per_second).unwrap_or(0.0);
        training.train_loss = finite(view.train_loss);
        training.samples = view.samples;
        training.seconds_left = to_go
            .filter(|_| pace > 0.0 && self.now.phase == Phase::Training)
            .map(|steps| steps.saturating_sub(view.steps) as f64 / pace);
        self.gossip(view, traffic);
        self.now.peers = self.others();
        let gossip = &self.now.gossip;
        self.board.note_point(Point {
            time_s: self.began.elapsed().as_secs_f64(),
            steps: view.steps,
            train_loss: finite(view.train_loss),
            loss_min: gossip.train_loss_min,
            loss_max: gossip.train_loss_max,
            steps_per_second: finite(view.steps_per_second).unwrap_or(0.0),
            disagreement: finite(view.disagreement),
            sent_per_second: gossip.bytes_sent_per_second,
            received_per_second: gossip.bytes_received_per_second,
            live_peers: 1 + self.now.peers.iter().filter(|other| other.gone_s.is_none()).count(),
        });
        self.publish();
    }

    fn gossip(&mut self, view: &View, traffic: Traffic) {
        let now = Instant::now();
        let gossip = &mut self.now.gossip;
        if let Some((then, before)) = self.traffic
            && let Some(seconds) = Some((now - then).as_secs_f64()).filter(|seconds| *seconds > 0.01)
        {
            let share = 1.0 - (1.0 - RATE_SMOOTHING).powf(seconds);
            let follow = |rate: &mut f64, grown: u64| *rate += share * (grown as f64 / seconds - *rate);
            follow(&mut gossip.bytes_sent_per_second, traffic.bytes_sent.saturating_sub(before.bytes_sent));
            let received = traffic.bytes_received.saturating_sub(before.bytes_received);
            follow(&mut gossip.bytes_received_per_second, received);
        }
        self.traffic = Some((now, traffic));
        let losses = self.company.iter().filter_map(|fellow| finite(fellow.link.as_ref()?.train_loss));
        let losses: Vec<f32> = losses.chain(finite(view.train_loss)).collect();
        let dense = dense_bytes(view.live_peers, view.steps, self.now.run.parameters);
        *gossip = super::snapshot::Gossip {
            neighbours: view.neighbours,
            live_peers: view.live_peers,
            deltas_said: view.deltas_said,
            deltas_heard: view.deltas_heard,
            deltas_refused: view.deltas_refused,
            payload_bytes_said: view.payload_bytes_said,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            messages_dropped: traffic.messages_dropped,
            bans: traffic.bans,
            dense_bytes: dense,
            bytes_ratio: (traffic.bytes_sent > 0 && dense > 0).then(|| dense as f64 / traffic.bytes_sent as f64),
            disagreement: finite(view.disagreement),
            agreed: view.agreed,
            heard: view.heard.to_string(),
            log_bytes: view.log_bytes,
            train_loss_min: losses.iter().copied().reduce(f32::min),
            train_loss_max: losses.iter().copied().reduce(f32::max),
            ..gossip.clone()
        };
    }

    fn others(&mut self) -> Vec<Other> {
        let now = Instant::now();
        let known: BTreeMap<u64, PeerId> = self.company.iter().map(|fellow| (fellow.key, fellow.peer)).collect();
        let mut others = Vec::with_capacity(self.company.len());
        let mut gone = Vec::new();
        for fellow in &self.company {
            let mut other = other(fellow, &known, self.ways.get(&fellow.peer).copied());
            if fellow.link.is_none()
                && let Some(lost) = self.lost.get_mut(&fellow.peer)
            {
                if fellow.deltas > lost.deltas {
                    (lost.deltas, lost.grew) = (fellow.deltas, now);
                }
                if now - lost.grew >= GONE_AFTER {
                    continue;
                }
            }
            other.silent_s = other.silent_s.map(|silent| (silent * 100.0).round() / 100.0);
            others.push(other);
        }
        for (peer, lost) in &self.lost {
            let id = peer.to_string();
            if !others.iter().any(|other: &Other| other.id == id) {
                let (gone_s, why) = (Some((now - lost.at).as_secs_f64()), Some(lost.why.clone()));
                gone.push(Other { id, deltas: lost.deltas, gone_s, gone_why: why, ..Other::default() });
            }
        }
        gone.sort_by(|a, b| a.gone_s.unwrap_or(0.0).total_cmp(&b.gone_s.unwrap_or(0.0)));
        others.extend(gone);
        others
    }

    fn publish(&mut self) {
        self.now.time_ms = unix_ms();
        self.now.uptime_s = self.began.elapsed().as_secs_f64();
        self.board.publish(self.now.clone());
    }

    fn say(&self, kind: Kind, level: Level, peer: Option<PeerId>, text: &str) {
        say(&self.board, kind, level, peer, text);
    }
}

/// Adds an event to the list.
pub(super) fn say(board: &Board, kind: Kind, level: Level, peer: Option<PeerId>, text: &str) {
    let (time_ms, peer, text) = (unix_ms(), peer.map(|peer| peer.to_string()), escape(text, TEXT_CHARS_MAX));
    board.note(|seq| Entry { seq, time_ms, kind, level, peer, text });
}

pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn other(fellow: &Fellow, known: &BTreeMap<u64, PeerId>, way: Option<Way>) -> Other {
    let base = Other { id: fellow.peer.to_string(), deltas: fellow.deltas, ..Other::default() };
    let Some(link) = &fellow.link else { return base };
    let Linked {
        age,
        silence,
        round_trip,
        behind,
        agrees,
        holds: _,
        steps,
        steps_per_second,
        train_loss,
        finished,
        neighbours,
    } = link;
    Other {
        linked: true,
        way: way.map(|way| way.name().to_owned()),
        linked_s: Some(age.as_secs_f64()),
        silent_s: Some(silence.as_secs_f64()),
        round_trip_s: finite(*round_trip),
        behind: *behind,
        agrees: *agrees,
        steps: Some(*steps),
        steps_per_second: finite(*steps_per_second),
        train_loss: finite(*train_loss),
        finished: *finished,
        neighbours: neighbours.iter().filter_map(|key| known.get(key)).map(PeerId::to_string).collect(),
        ..base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher() -> (Watcher, Arc<Board>) {
        let began = Instant::now();
        let now = Watcher::first(Own::default(), Run { parameters: 10, gossip: true, ..Run::default() }, began);
        let board = Arc::new(Board::new(now.clone()));
        (Watcher::new(Arc::clone(&board), now, began), board)
    }

    fn fellow(deltas: u64) -> Fellow {
        Fellow { peer: PeerId([7; 32]), key: 7, deltas, link: None }
    }

    #[test]
    fn a_lost_peer_is_gone_unless_others_still_pass_on_what_it_says() {
        let (mut watcher, board) = watcher();
        let peer = PeerId([7; 32]);
        watcher.observe(&Observation::Event(Event::NeighbourUp { peer }));
        watcher.observe(&Observation::Event(Event::NeighbourDown { peer, reason: "the link closed" }));
        watcher.company = vec![fellow(3)];
        assert_eq!(watcher.others()[0].gone_s, None, "a moment ago: it may be heard by way of others");
        let Some(lost) = watcher.lost.get_mut(&peer) else { panic!("it is known that it was lost") };
        lost.grew = Instant::now().checked_sub(GONE_AFTER).unwrap_or_else(Instant::now);
        let gone = watcher.others();
        assert!(gone[0].gone_s.is_some() && gone[0].gone_why.as_deref() == Some("the link closed"), "{gone:?}");
        watcher.company = vec![fellow(4)];
        assert_eq!(watcher.others()[0].gone_s, None, "it says something");
        let texts: Vec<String> = board.events_after(0).iter().map(|entry| entry.text.clone()).collect();
        assert_eq!(texts, ["07070707 is there ()", "07070707 is gone: the link closed"]);
    }

    #[test]
    fn a_peer_that_is_built_gives_signs_of_life_and_one_that_leaves_says_so_at_once() {
        let (mut watcher, board) = watcher();
        let first = board.status();
        assert!(first.time_ms > 0 && first.life > 0 && first.life <= first.time_ms, "{first:?}");
        std::thread::sleep(Duration::from_millis(20));
        watcher.observe(&Observation::Building);
        let then = board.status();
        assert!(then.time_ms > first.time_ms && then.uptime_s > first.uptime_s, "{then:?}");
        assert_eq!((then.phase, then.life), (Phase::Starting, first.life));
        watcher.observe(&Observation::Leaving);
        assert_eq!(board.status().phase, Phase::Leaving, "without a view");
    }

    #[test]
    fn hundreds_of_epochs_a_second_do_not_fill_the_list() {
        let (mut watcher, board) = watcher();
        let evaluation = protocol::learner::Evaluation { loss: 0.5, accuracy: 0.9, samples: 10 };
        let hash = protocol::id::Hash::ZERO;
        let report = Report { epoch: 1, steps: 1, train_loss: 0.5, evaluation, base_hash: hash, heard: hash };
        for epoch in 0..300 {
            watcher.observe(&Observation::Event(Event::Epoch(Report { epoch, ..report.clone() })));
        }
        watcher.observe(&Observation::Event(Event::Final(report)));
        let said: Vec<String> = board.events_after(0).iter().map(|entry| entry.text.clone()).collect();
        assert!(said.len() < 20 && said.last().is_some_and(|text| text.starts_with("the last evaluation")), "{said:?}");
    }

    #[test]
    fn what_a_stranger_words_cannot_steer_a_page() {
        let (mut watcher, board) = watcher();
        let reason = format!("\u{1b}[2J\u{202e}{}", "x".repeat(10_000));
        watcher.observe(&Observation::LinkRefused { peer: "p".into(), reason });
        let text = &board.events_after(0)[0].text;
        assert!(text.chars().count() < 1000 && text.chars().all(|c| !c.is_control()), "{text}");
    }
}
