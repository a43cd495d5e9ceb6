//! What is written down while a run goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::log::SignedDelta;
use protocol::time::{Span, Time};
use protocol::{Event, View};

use protocol::id::PeerId;
use protocol::trust::audit::{Act, Record};

use super::super::faults::Action;
use super::super::scenario::Scenario;
use super::Swarm;
use crate::report::{Moment, Point, VirtualPeer, VirtualRun, dense_bytes, recovered_after_s};

/// Moments of the time line that are kept.
const MOMENTS_MAX: usize = 4000;

/// See the module.
#[derive(Debug)]
pub(super) struct Measure {
    evaluation: Span,
    target_loss: Option<f64>,
    buckets: BTreeMap<u64, Bucket>,
    facts: Vec<Facts>,
    moments: Vec<Moment>,
    moments_left_out: u64,
    first_lives: BTreeSet<u32>,
    overheard: Vec<Arc<SignedDelta>>,
    /// Who put whom on hold, and who excluded whom.
    held: BTreeSet<(u32, PeerId)>,
    excluded: BTreeSet<(u32, PeerId)>,
    /// Mode `pairwise`.
    exchanges: u64,
    clipped: u64,
}

/// Evaluations of one stretch of time.
#[derive(Debug, Default)]
struct Bucket {
    evaluations: u32,
    steps: u64,
    at: Time,
    train_loss: f64,
    loss: f64,
    loss_worst: f64,
    accuracy: f64,
    accuracy_worst: f64,
    disagreement: f64,
    deltas: u32,
    bytes_sent: u64,
}

/// Of one number, over all its lives.
#[derive(Debug, Default, Clone)]
struct Facts {
    lives: u32,
    bytes_sent: u64,
    bytes_received: u64,
    payload_bytes_said: u64,
    deltas_said: u64,
    refused: u64,
    restored: u32,
    final_loss: Option<f32>,
    final_accuracy: Option<f32>,
    base_hash: Option<String>,
    log_bytes_max: usize,
}

impl Measure {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let micros = scenario.step_ms * 1e3 * f64::from(scenario.steps_per_evaluation());
        Self {
            evaluation: Span((micros as u64).max(1)),
            target_loss: scenario.target_loss,
            buckets: BTreeMap::new(),
            facts: Vec::new(),
            moments: Vec::new(),
            moments_left_out: 0,
            first_lives: BTreeSet::new(),
            overheard: Vec::new(),
            held: BTreeSet::new(),
            excluded: BTreeSet::new(),
            exchanges: 0,
            clipped: 0,
        }
    }

    fn facts(&mut self, number: u32) -> &mut Facts {
        let index = number as usize;
        if self.facts.len() <= index {
            self.facts.resize(index + 1, Facts::default());
        }
        &mut self.facts[index]
    }

    pub(super) fn life(&mut self, number: u32, first: bool) {
        let facts = self.facts(number);
        facts.lives += 1;
        (facts.final_loss, facts.final_accuracy, facts.base_hash) = (None, None, None);
        if first {
            self.first_lives.insert(number);
        } else {
            self.first_lives.remove(&number);
        }
    }

    /// Whether it has lived since the beginning.
    pub(super) fn is_first_life(&self, number: u32) -> bool {
        self.first_lives.contains(&number)
    }

    pub(super) fn killed(&mut self, number: u32, now: Time, view: &View) {
        self.facts(number).log_bytes_max = self.facts(number).log_bytes_max.max(view.log_bytes);
        self.moment(now, number, "gone".into());
    }

    pub(super) fn sent(&mut self, number: u32, bytes: usize) {
        self.facts(number).bytes_sent += bytes as u64;
    }

    pub(super) fn received(&mut self, number: u32, bytes: usize) {
        self.facts(number).bytes_received += bytes as u64;
    }

    /// A delegate said a delta in the upper log.
    pub(super) fn said(&mut self, number: u32, payload_bytes: usize) {
        let facts = self.facts(number);
        facts.deltas_said += 1;
        facts.payload_bytes_said += payload_bytes as u64;
    }

    pub(super) fn note(&mut self, now: Time, number: u32, what: String) {
        self.moment(now, number, what);
    }

    /// What a peer decided about another.
    pub(super) fn audit(&mut self, number: u32, now: Time, record: &Record) {
        match record.what {
            Act::Hold => self.held.insert((number, record.who.peer)),
            Act::Exclude => self.excluded.insert((number, record.who.peer)),
            _ => false,
        };
        if !matches!(record.what, Act::Accept | Act::Reject) {
            let what = format!("{:?} {:?} from {}: {}", record.what, record.who, record.seq, record.reason);
            self.moment(now, number, what.to_lowercase());
        }
    }

    /// Deltas that replaying attackers have kept.
    pub(super) fn overheard(&mut self) -> &mut Vec<Arc<SignedDelta>> {
        &mut self.overheard
    }

    fn bucket(&mut self, now: Time) -> &mut Bucket {
        let fresh = || Bucket { accuracy_worst: f64::INFINITY, ..Bucket::default() };
        self.buckets.entry(now.0 / self.evaluation.0).or_insert_with(fresh)
    }

    fn moment(&mut self, now: Time, number: u32, what: String) {
        if self.moments.len() < MOMENTS_MAX {
            self.moments.push(Moment { at_s: now.0 as f64 / 1e6, peer: number, what });
        } else {
            self.moments_left_out += 1;
        }
    }

    pub(super) fn event(&mut self, number: u32, honest: bool, now: Time, event: Event) {
        match event {
            Event::Epoch(report) if honest => {
                let bytes = self.facts(number).bytes_sent;
                let bucket = self.bucket(now);
                bucket.evaluations += 1;
                bucket.steps += report.steps;
                bucket.at = now;
                bucket.train_loss += f64::from(report.train_loss);
                bucket.loss += f64::from(report.evaluation.loss);
                bucket.loss_worst = bucket.loss_worst.max(f64::from(report.evaluation.loss));
                bucket.accuracy += f64::from(report.evaluation.accuracy);
                bucket.accuracy_worst = bucket.accuracy_worst.min(f64::from(report.evaluation.accuracy));
                bucket.bytes_sent += bytes;
            }
            Event::DeltaSaid { payload_bytes, disagreement, .. } => {
                let facts = self.facts(number);
                facts.deltas_said += 1;
                facts.payload_bytes_said += payload_bytes as u64;
                if honest {
                    let bucket = self.bucket(now);
                    bucket.deltas += 1;
                    bucket.disagreement += f64::from(disagreement);
                }
            }
            Event::Exchanged { payload_bytes, disagreement, clipped, .. } => {
                let facts = self.facts(number);
                facts.deltas_said += 1;
                facts.payload_bytes_said += payload_bytes as u64;
                if honest {
                    self.exchanges += 1;
                    self.clipped += u64::from(clipped);
                    let bucket = self.bucket(now);
                    bucket.deltas += 1;
                    bucket.disagreement += f64::from(disagreement);
                }
            }
            Event::ExchangeRefused { reason, .. } => {
                self.facts(number).refused += 1;
                self.moment(now, number, format!("refused an exchange: {reason}"));
            }
            Event::Final(report) => {
                let facts = self.facts(number);
                facts.final_loss = Some(report.evaluation.loss);
                facts.final_accuracy = Some(report.evaluation.accuracy);
                facts.base_hash = Some(report.base_hash.to_string());
            }
            Event::DeltaRefused { origin, seq, reason, .. } => {
                self.facts(number).refused += 1;
                self.moment(now, number, format!("refused delta {seq} of {origin:?}: {reason}"));
            }
            Event::SnapshotRestored { deltas, .. } => {
                self.facts(number).restored += 1;
                self.moment(now, number, format!("took a snapshot of {deltas} deltas"));
            }
            Event::SnapshotFailed { reason, .. } => self.moment(now, number, format!("snapshot failed: {reason}")),
            Event::Unconfirmed { failures, .. } => {
                self.moment(now, number, format!("cannot catch up: {failures} snapshots that nobody confirms"));
            }
            Event::TrainingStarted { .. } => self.moment(now, number, "begins to train".into()),
            Event::LearnerFailed(error) => self.moment(now, number, format!("learner failed: {error}")),
            _ => {}
        }
    }

    fn curve(&self) -> Vec<Point> {
        let evaluated = self.buckets.values().filter(|bucket| bucket.evaluations > 0);
        evaluated
            .map(|bucket| {
                let n = f64::from(bucket.evaluations);
                Point {
                    at_s: bucket.at.0 as f64 / 1e6,
                    steps: bucket.steps / u64::from(bucket.evaluations),
                    train_loss: bucket.train_loss / n,
                    loss_mean: bucket.loss / n,
                    loss_worst: bucket.loss_worst,
                    accuracy_mean: bucket.accuracy / n,
                    accuracy_worst: bucket.accuracy_worst,
                    disagreement: bucket.disagreement / f64::from(bucket.deltas.max(1)),
                    bytes_sent_mean: bucket.bytes_sent as f64 / n,
                }
            })
            .collect()
    }
}

impl Swarm<'_> {
    pub(super) fn report(&mut self, agreed: bool, agreed_after: Span, interrupted: bool) -> VirtualRun {
        let complete = !interrupted;
        let curve = self.measure.curve();
        let steps_to_target = self
            .measure
            .target_loss
            .and_then(|target| curve.iter().find(|point| point.loss_mean <= target).map(|point| point.steps));
        let mut peers = Vec::new();
        for (index, facts) in self.measure.facts.iter().enumerate() {
            let body = self.bodies[index].as_ref();
            let view = body.map(|body| body.peer.view());
            peers.push(VirtualPeer {
                index: index as u32,
                id: self.ids[index].to_string(),
                honest: self.is_honest(index as u32),
                alive: body.is_some_and(|body| !body.leaving),
                lives: facts.lives,
                steps: view.as_ref().map_or(0, |view| view.steps),
                test_loss: facts.final_loss,
                test_accuracy: facts.final_accuracy,
                base_hash: facts.base_hash.clone(),
                bytes_sent: facts.bytes_sent,
                bytes_received: facts.bytes_received,
                payload_bytes_said: facts.payload_bytes_said,
                deltas_said: facts.deltas_said,
                deltas_heard: view.as_ref().map_or(0, |view| view.deltas_heard),
                deltas_refused: facts.refused,
                snapshots_taken: facts.restored,
                neighbours: view.as_ref().map_or(0, |view| view.neighbours as u32),
                log_bytes: view.as_ref().map_or(facts.log_bytes_max, |view| view.log_bytes) as u64,
            });
        }
        let steps = peers.iter().filter(|peer| peer.alive).map(|peer| peer.steps).max().unwrap_or(0);
        let count = peers.iter().filter(|peer| peer.alive).count();
        let steps_mean = peers.iter().map(|peer| peer.steps as f64).sum::<f64>() / peers.len().max(1) as f64;
        let honest = |number: u32| self.is_honest(number);
        let about = |pairs: &BTreeSet<(u32, PeerId)>, of_honest: bool| {
            let by_honest = pairs.iter().filter(|(by, _)| honest(*by));
            let numbers: BTreeSet<u32> = by_honest.filter_map(|(_, who)| self.numbers.get(who).copied()).collect();
            numbers.into_iter().filter(|&number| honest(number) == of_honest).count() as u32
        };
        let (honest_held, honest_excluded) = (about(&self.measure.held, true), about(&self.measure.excluded, true));
        let liars_excluded = about(&self.measure.excluded, false);
        let spread = self.spread();
        let round_s = f64::from(self.config.gossip.steps.max(1)) * self.plan.scenario.step_ms / 1e3;
        let mut cuts = self.plan.scenario.faults.iter().filter(|fault| fault.action == Action::Cut);
        let cut = cuts.find_map(|fault| Some((fault.at_s, fault.at_s + fault.for_s?)));
        let recovered_after_rounds =
            cut.and_then(|(cut_s, heal_s)| Some(recovered_after_s(&curve, cut_s, heal_s)? / round_s));
        let mut run = VirtualRun {
            recovered_after_rounds,
            rounds: steps_mean / f64::from(self.config.gossip.steps.max(1)),
            spread_before: self.spread_before,
            spread_mean: spread.map(|spread| spread.mean),
            spread_worst: spread.map(|spread| spread.worst),
            clipped_share: (self.measure.exchanges > 0)
                .then(|| self.measure.clipped as f64 / self.measure.exchanges as f64),
            honest_held,
            honest_excluded,
            liars_excluded,
            scenario: self.plan.scenario.name.clone(),
            variant: self.plan.variant.clone(),
            seed: self.seed,
            trace_hash: self.trace.finish().to_string(),
            events: self.events,
            virtual_s: self.now.0 as f64 / 1e6,
            parameters: self.context.parameters,
            agreed,
            agree_s: self.plan.scenario.agree_s,
            disagreed: complete && !agreed && self.plan.scenario.agree_s > 0.0,
            faults_left_out: if complete { self.faults_left_out() } else { Vec::new() },
            agreed_after_s: agreed.then_some(agreed_after.as_secs_f64()),
            agreed_after_rounds: agreed
                .then(|| agreed_after.as_secs_f64() / self.config.gossip.anti_entropy.as_secs_f64()),
            dense_bytes_per_peer: dense_bytes(count, steps, self.context.parameters),
            steps_to_target,
            curve,
            moments: std::mem::take(&mut self.measure.moments),
            moments_left_out: self.measure.moments_left_out,
            violations: self.account.violations.clone(),
            violation_count: self.account.count,
            interrupted,
            job: self.plan.job.clone(),
            peers,
            ..VirtualRun::default()
        };
        run.derive();
        run
    }
}
