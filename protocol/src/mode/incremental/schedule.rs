//! What the learner does next: a queue of commands that never runs dry while there are steps to take.
//!
//! Commands run in order (but for what is heard, which steps do not look at), so the version vector when a command is issued is that of the base it will see. `ready` deltas
//! (in the log, not yet given to the learner) are therefore flushed before any command that looks at the base.

use std::collections::VecDeque;
use std::sync::Arc;

use super::brake::Brake;
use super::checkpoint::{Asked, Standing};
use super::speed::Speed;
use super::when::Watch;
use crate::config::{Config, Training};
use crate::event::{Event, Output};
use crate::fixed::Weight;
use crate::id::{Hash, PeerId};
use crate::learner::{Command, Computed, Progress, Share, Trained};
use crate::log::{Delta, Exclusions, Head, VersionVector};
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::wire::Exchange;

/// Batches of heard deltas that are queued before more are gathered.
const APPLY_QUEUED_MAX: usize = 2;
/// Heard deltas gathered while the queue is busy; at this number they are queued all the same...
const READY_MAX: usize = 1024;
/// ...as long as no more batches than this stand in line: the learner's thread takes a bounded number of commands, whatever others say while it is
/// at a long step.
const APPLY_QUEUED_LIMIT: usize = 64;
/// A command in the learner's queue, and what its result is for.
#[derive(Debug)]
pub(crate) enum Pending {
    Train {
        steps: u32,
    },
    TakeDelta {
        seq: u64,
        heard: Hash,
        weight: Weight,
        round: u64,
    },
    /// Towards the base of other groups.
    Move {
        seq: u64,
        heard: Hash,
        weight: Weight,
    },
    Apply,
    Retract,
    /// For the trigger, asked so many steps after that delta of ours.
    Measure {
        since: u32,
        deltas: u64,
    },
    /// Of a snapshot for others: the set of deltas in the base, our own still unsigned ones among them.
    Snapshot {
        heard: VersionVector,
        heads: Vec<Head>,
        excluded: Exclusions,
    },
    /// For somebody who checks a snapshot.
    Witness(Box<super::witness::Question>),
    Hash(super::witness::Answer),
    Restore,
    /// For somebody who looks.
    Show(Box<super::show::Showing>),
    /// The same, after so many steps of that epoch and those before.
    Gradient {
        steps: u64,
        epoch: u32,
    },
    Save(Box<Asked>),
    /// Among so many.
    Deal {
        peers: usize,
    },
    Epoch {
        epoch: u32,
        steps: u64,
        heard: Hash,
    },
    /// Within an epoch.
    Look {
        steps: u64,
        heard: Hash,
    },
    Final {
        heard: Hash,
    },
    /// Of the mode `pairwise`.
    Fold,
    EdgeSay {
        edge: PeerId,
        name: (u64, u64, u64),
        seq: u64,
    },
    EdgeMeet {
        edge: PeerId,
        exchange: Exchange,
        payload_bytes: usize,
    },
    EdgeForget,
}

/// Progress of training, as issued and as done.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(super) training: Training,
    /// Whether steps may be issued.
    running: bool,
    stopping: bool,
    /// No steps are issued for now.
    pub(super) paused: bool,
    /// Somebody looks: the gradient of the next step is to be shown.
    pub(super) gradient_wanted: bool,
    gossip: bool,
    pub(super) pending: VecDeque<Pending>,
    ready: Vec<Delta>,
    /// Deltas that are out of the log and not yet out of the base.
    retracting: Vec<Delta>,
    pub(super) steps_issued: u64,
    pub(super) steps_done: u64,
    /// Steps that were issued when the model was last evaluated.
    pub(super) looked_at: u64,
    /// Steps issued since the last delta, and the number at which the trigger is asked about the next one.
    pub(super) since_delta: u32,
    pub(super) delta_due: u32,
    pub(super) watch: Watch,
    pub(super) brake: Brake,
    pub(super) epochs_issued: u32,
    pub(super) epochs_done: u32,
    pub(super) deltas_issued: u64,
    /// Samples and steps done since the last signed delta.
    pub(super) unsaid_samples: u64,
    pub(super) unsaid_steps: u32,
    /// Samples a step, lately.
    samples_per_step: u64,
    pub(super) epoch_loss: LossMean,
    pub(super) recent_loss: f32,
    speed: Speed,
    /// As the data were last dealt.
    dealt: Vec<Share>,
    /// Hash of the base at a set of deltas, the last that was computed.
    pub(super) known_base: Option<(Hash, Hash)>,
}

/// Mean over steps.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct LossMean {
    sum: f64,
    steps: u64,
}

impl LossMean {
    fn add(&mut self, trained: &Trained) {
        self.sum += f64::from(trained.mean_loss) * f64::from(trained.steps);
        self.steps += u64::from(trained.steps);
    }

    pub(super) fn take(&mut self) -> f32 {
        let mean = self.sum / self.steps as f64;
        *self = Self::default();
        mean as f32
    }
}

impl Schedule {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            training: Training { steps_per_epoch: config.training.steps_per_epoch.max(1), ..config.training },
            running: false,
            stopping: false,
            paused: false,
            gradient_wanted: false,
            gossip: config.gossip.enabled,
            pending: VecDeque::new(),
            ready: Vec::new(),
            retracting: Vec::new(),
            steps_issued: 0,
            steps_done: 0,
            looked_at: 0,
            since_delta: 0,
            delta_due: config.gossip.steps.max(1),
            watch: Watch::default(),
            brake: Brake::default(),
            epochs_issued: 0,
            epochs_done: 0,
            deltas_issued: 0,
            unsaid_samples: 0,
            unsaid_steps: 0,
            samples_per_step: 0,
            epoch_loss: LossMean::default(),
            recent_loss: f32::NAN,
            speed: Speed::default(),
            dealt: Vec::new(),
            known_base: None,
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    pub(crate) fn steps_done(&self) -> u64 {
        self.steps_done
    }

    pub(crate) fn epochs_done(&self) -> u32 {
        self.epochs_done
    }

    pub(crate) fn recent_loss(&self) -> f32 {
        self.recent_loss
    }

    pub(crate) fn steps_per_second(&self) -> f32 {
        self.speed.steps_per_second()
    }

    /// It goes on from there; of its own chain so many deltas are said.
    pub(super) fn resume(&mut self, standing: &Standing, said: u64) {
        (self.steps_issued, self.steps_done, self.looked_at) = (standing.steps, standing.steps, standing.steps);
        (self.epochs_issued, self.epochs_done) = (standing.epochs, standing.epochs);
        (self.since_delta, self.deltas_issued) = (standing.since_delta, said);
        (self.unsaid_steps, self.unsaid_samples) = (standing.unsaid_steps, standing.unsaid_samples);
        self.samples_per_step = standing.samples_per_step;
    }

    /// Steps and epochs issued, and steps since the last delta.
    pub(super) fn position(&self) -> (u64, u32, u32) {
        (self.steps_issued, self.epochs_issued, self.since_delta)
    }

    /// Steps and samples that are done and not said, and samples a step.
    pub(super) fn unsaid_since(&self) -> (u32, u64, u64) {
        (self.unsaid_steps, self.unsaid_samples, self.samples_per_step)
    }

    /// Whether as many epochs as were asked for are over.
    pub(crate) fn epochs_are_over(&self) -> bool {
        self.training.epochs.is_some_and(|epochs| self.epochs_done >= epochs)
    }

    /// Whether no step is to come and every delta is said.
    pub(crate) fn is_done(&self) -> bool {
        !self.more_steps() && self.pending.is_empty() && !self.has_ready() && !self.unsaid()
    }

    /// Whether the base is to change by what was heard.
    fn has_ready(&self) -> bool {
        !(self.ready.is_empty() && self.retracting.is_empty())
    }

    /// Whether what was heard goes to the learner now, or is gathered.
    fn takes_ready(&self) -> bool {
        let queued = self.queued(|pending| matches!(pending, Pending::Apply | Pending::Retract));
        let gathered = self.ready.len().max(self.retracting.len());
        queued < APPLY_QUEUED_MAX || (gathered >= READY_MAX && queued < APPLY_QUEUED_LIMIT)
    }

    /// Whether steps were taken that no delta holds yet, although none is to come.
    fn unsaid(&self) -> bool {
        self.stopping && self.gossip && self.since_delta > 0
    }

    pub(super) fn run(&mut self) {
        self.running = true;
    }

    /// Whether steps are taken, or will be.
    pub(crate) fn is_running(&self) -> bool {
        self.running && self.more_steps()
    }

    fn more_steps(&self) -> bool {
        let open = self.training.overtime || self.training.epochs.is_none_or(|epochs| self.epochs_issued < epochs);
        open && !self.stopping
    }

    /// Whether a delta of ours is in the making: the learner has it, or will, and the log has it not.
    pub(crate) fn delta_pending(&self) -> bool {
        self.pending.iter().any(|pending| matches!(pending, Pending::TakeDelta { .. } | Pending::Move { .. }))
    }

    pub(super) fn final_pending(&self) -> bool {
        self.pending.iter().any(|pending| matches!(pending, Pending::Final { .. }))
    }

    pub(crate) fn queued(&self, kind: impl Fn(&Pending) -> bool) -> usize {
        self.pending.iter().filter(|pending| kind(pending)).count()
    }

    fn trained(&mut self, trained: &Trained, now: Time) {
        self.steps_done += u64::from(trained.steps);
        self.unsaid_steps = self.unsaid_steps.saturating_add(trained.steps);
        self.unsaid_samples += trained.samples;
        self.samples_per_step = trained.samples / u64::from(trained.steps.max(1));
        self.epoch_loss.add(trained);
        self.recent_loss = trained.mean_loss;
        self.speed.note(trained.steps, now);
    }
}

impl Peer {
    /// Fills the learner's queue.
    pub(crate) fn pump(&mut self) {
        self.move_rounds();
        if self.schedule.takes_ready() {
            self.flush_ready();
        }
        self.restore_when_possible();
        while self.schedule.running
            && !self.schedule.paused
            && !self.rounds.is_open()
            && !self.snapshots.is_restoring()
            && self.schedule.more_steps()
            && self.schedule.runs_dry()
        {
            self.issue_stretch();
        }
        if self.schedule.unsaid() && !self.snapshots.is_restoring() {
            self.issue_take_delta();
        }
    }

    pub(crate) fn issue(&mut self, command: Command, pending: Pending) {
        self.schedule.pending.push_back(pending);
        self.output(Output::Compute(command));
    }

    fn issue_stretch(&mut self) {
        let gossip = self.config.gossip.enabled;
        let steps = self.schedule.stretch(gossip);
        let progress = self.progress();
        self.schedule.steps_issued += u64::from(steps);
        self.schedule.since_delta += steps;
        self.issue(Command::Train { steps, progress }, Pending::Train { steps });
        self.show_gradient();
        if gossip && self.schedule.since_delta >= self.schedule.delta_due {
            self.consider();
        }
        let epoch_end = u64::from(self.schedule.training.steps_per_epoch) * u64::from(self.schedule.epochs_issued + 1);
        if self.schedule.steps_issued >= epoch_end {
            self.schedule.epochs_issued += 1;
            let last = !self.schedule.more_steps();
            if last && gossip && self.schedule.since_delta > 0 {
                self.issue_take_delta();
            }
            if self.rounds.is_open() {
                self.rounds.evaluate_at_close();
            } else {
                self.issue_evaluation();
            }
            self.deal();
        } else if self.schedule.look_is_due() && !self.rounds.is_open() {
            self.issue_look();
        }
    }

    /// Takes our share of the data, where they are dealt anew and something has changed since they were.
    pub(super) fn deal(&mut self) {
        let dealt = self.config.gossip.deal && self.config.gossip.enabled;
        if !(dealt && self.schedule.more_steps()) {
            return;
        }
        let shares = self.members.shares(self.now);
        if shares != self.schedule.dealt {
            self.schedule.dealt.clone_from(&shares);
            let peers = shares.len();
            self.issue(Command::Deal { shares }, Pending::Deal { peers });
        }
    }

    /// The samples are those that the log holds, and our own that it does not hold yet, queued steps among them.
    fn progress(&self) -> Progress {
        let queued = self.schedule.steps_issued - self.schedule.steps_done;
        let own = self.schedule.unsaid_samples.saturating_add(queued.saturating_mul(self.schedule.samples_per_step));
        Progress { samples: self.log.samples().saturating_add(own), live_peers: self.members.live_peers(self.now) }
    }

    pub(super) fn issue_take_delta(&mut self) {
        if self.in_pairs() {
            self.issue_exchange();
            return;
        }
        self.flush_ready();
        self.schedule.deltas_issued += 1;
        let seq = self.schedule.deltas_issued;
        let heard = self.log.set_hash();
        let wanted = if self.in_rounds() {
            Weight::for_swarm(self.config.gossip.gain, 1 + self.round_members().len())
        } else {
            let gain = self.schedule.brake.gain_of_next_delta(self.config.gossip.gain);
            Weight::for_swarm(gain, self.members.live_peers(self.now))
        };
        let weight = self.context.limits.weight(seq, wanted);
        let round = self.open_round();
        let norm_max = self.norm_max(weight, self.schedule.since_delta);
        let pending = Pending::TakeDelta { seq, heard, weight, round };
        self.issue(Command::TakeDelta { codec: self.context.codec, weight, norm_max }, pending);
        self.schedule.since_delta = 0;
        self.schedule.watch.delta_issued();
        self.schedule.delta_due = self.first_due();
    }

    /// Of the mode `pairwise`: it is time for an exchange. At the end what no exchange took along is folded in.
    fn issue_exchange(&mut self) {
        self.schedule.since_delta = 0;
        self.schedule.watch.delta_issued();
        self.schedule.delta_due = self.first_due();
        if self.schedule.stopping {
            self.issue(Command::Fold, Pending::Fold);
        } else {
            self.exchange();
        }
    }

    /// What is shown is the base: in the mode `pairwise` it lags behind between two exchanges.
    pub(super) fn fold_to_show(&mut self) {
        if self.in_pairs() {
            self.issue(Command::Fold, Pending::Fold);
        }
    }

    /// No further steps: what is queued runs out, and what was not said yet is said (by the pump, once no snapshot is
    /// about to replace the base), as far as one delta may say it: what is beyond its bound (`restraint.rs`) stays unsaid.
    pub(super) fn stop_training(&mut self) {
        self.schedule.stopping = true;
    }

    pub(super) fn issue_snapshot(&mut self) {
        self.flush_ready();
        let excluded = self.log.excluded().clone();
        let pending = Pending::Snapshot { heard: self.heard_when_issued(), heads: self.log.heads(), excluded };
        self.issue(Command::Snapshot, pending);
    }

    pub(super) fn issue_witness(&mut self, question: super::witness::Question) {
        self.flush_ready();
        self.issue(Command::Base, Pending::Witness(Box::new(question)));
    }

    pub(super) fn issue_restore(&mut self, base: Vec<i32>, replay: Vec<Delta>, carry: f32) {
        self.flush_ready();
        self.issue(Command::Restore { base, replay: shared(replay), carry }, Pending::Restore);
    }

    /// Deltas that went out of the log and are to be taken back.
    pub(super) fn retract(&mut self, deltas: Vec<Delta>) {
        self.schedule.retracting.extend(deltas);
    }

    /// Name of [`Self::heard_when_issued`] under what is left out.
    pub(super) fn set_when_issued(&self) -> Hash {
        self.log.excluded().set_hash(&self.heard_when_issued())
    }

    /// The set of deltas in the base that a command issued now will see: the log, and our own deltas that the learner has
    /// yet to take.
    pub(super) fn heard_when_issued(&self) -> VersionVector {
        let mut heard = self.log.heard().clone();
        heard.raise(self.origin, self.schedule.deltas_issued);
        heard
    }

    /// Our own chain is renounced: what we say from now on is said by a new one.
    pub(super) fn begin_new_chain(&mut self) {
        self.origin.incarnation += 1;
        self.schedule.deltas_issued = 0;
    }

    /// Deltas that went into the log and are to be applied.
    pub(super) fn apply(&mut self, deltas: Vec<Delta>) {
        self.schedule.ready.extend(deltas);
    }

    /// Puts in line what was heard and what was excluded. Adds are exact, so what is in both leaves no trace.
    pub(crate) fn flush_ready(&mut self) {
        if !self.schedule.ready.is_empty() {
            let deltas = shared(std::mem::take(&mut self.schedule.ready));
            self.issue(Command::Apply { deltas }, Pending::Apply);
        }
        if !self.schedule.retracting.is_empty() {
            let deltas = shared(std::mem::take(&mut self.schedule.retracting));
            self.issue(Command::Retract { deltas }, Pending::Retract);
        }
    }

    /// Takes the result of the command at the head of the queue, or of the first deltas in it: they may go before steps.
    pub(crate) fn computed(&mut self, result: Computed, _took: Span) {
        let heard = matches!(result, Computed::Applied);
        let place = self.schedule.pending.iter().position(|pending| !heard || matches!(pending, Pending::Apply));
        let Some(pending) = place.and_then(|place| self.schedule.pending.remove(place)) else {
            return;
        };
        match (pending, result) {
            (_, Computed::Failed(error)) => self.learner_failed(error),
            (Pending::Train { .. }, Computed::Trained(trained)) => {
                self.schedule.trained(&trained, self.now);
                self.schedule.brake.trained(trained.mean_loss, trained.steps, self.config.gossip.steps);
                self.watch_loss(&trained);
            }
            (Pending::TakeDelta { seq, heard, weight, round }, Computed::DeltaTaken(taken)) => {
                self.say_delta(seq, heard, weight, round, taken);
            }
            (Pending::Measure { since, deltas }, Computed::Measured(measured)) => {
                self.measured(since, deltas, measured)
            }
            (Pending::Move { seq, heard, weight }, Computed::Moved(moved)) => self.moved(seq, heard, weight, moved),
            (Pending::Fold, Computed::Folded) | (Pending::EdgeForget, Computed::EdgeForgotten) => {}
            (Pending::EdgeSay { edge, name, seq }, Computed::EdgeSaid(said)) => self.edge_said(edge, name, seq, &said),
            (Pending::EdgeMeet { edge, exchange, payload_bytes }, Computed::EdgeMet(met)) => {
                self.edge_met(edge, exchange, payload_bytes, &met);
            }
            (Pending::Deal { peers }, Computed::Dealt { samples }) => {
                samples.into_iter().for_each(|samples| self.event(Event::Dealt { peers, samples }));
            }
            (Pending::Apply, Computed::Applied) | (Pending::Retract, Computed::Retracted) => {}
            (Pending::Snapshot { heard, heads, excluded }, Computed::Snapshot { base, base_hash }) => {
                self.serve_snapshot(&heard, heads, &excluded, base, base_hash);
            }
            (Pending::Witness(question), Computed::Base(base)) => self.witness(*question, base),
            (Pending::Hash(answer), Computed::Hashed { base, base_hash }) => self.bear_witness(answer, base, base_hash),
            (Pending::Restore, Computed::Restored) => self.restored(),
            (Pending::Gradient { steps, epoch }, Computed::Gradient(values)) => {
                self.gradient_shown(steps, epoch, values)
            }
            (Pending::Show(showing), Computed::Base(base)) => self.shown(&showing, base),
            (Pending::Show(showing), Computed::Saved { learner, .. }) => self.shown_alone(&showing, &learner),
            (Pending::Save(asked), Computed::Saved { learner, base_hash }) => self.saved(*asked, *learner, base_hash),
            (Pending::Epoch { epoch, steps, heard }, Computed::Evaluated { evaluation, base_hash }) => {
                self.epoch_over(epoch, steps, heard, evaluation, base_hash);
            }
            (Pending::Look { steps, heard }, Computed::Evaluated { evaluation, base_hash }) => {
                self.looked(steps, heard, evaluation, base_hash);
            }
            (Pending::Final { heard }, Computed::Evaluated { evaluation, base_hash }) => {
                let report =
                    self.report(self.schedule.epochs_done, self.schedule.steps_done, heard, evaluation, base_hash);
                self.session_over(report);
            }
            (pending, result) => {
                // Results come in the order of commands, what is heard apart; anything else is a bug of the driver.
                debug_assert!(false, "{pending:?} was answered by {result:?}");
            }
        }
        self.note_training_done();
        self.settle(false);
    }
}

fn shared(deltas: Vec<Delta>) -> Vec<Arc<Delta>> {
    deltas.into_iter().map(Arc::new).collect()
}
