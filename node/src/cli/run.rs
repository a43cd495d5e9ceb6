//! `starling run`: one peer, for a person or (`--child`) for a launcher.

mod audience;
mod ending;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::registry::Registry;
use protocol::config::{Gossip, Training};
use protocol::learner::Weights;
use protocol::time::Span;
use protocol::trust::Identity;
use protocol::{Config, Event, Standing};
use sim::processes::ChildEvent;
use sim::processes::event::{EpochDone, Note, Ready, Status};
use sim::report::SimReport;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use self::audience::{Audience, Lines, People};
use self::ending::{watch_leash, watch_signals};
use super::args::RunArgs;
use super::engine::{self, Engine};
use super::files::JsonTarget;
use super::format::bytes;
use super::keeping::Earlier;
use super::manager::Manager;
use super::patience::Patience;
use super::translate::Translator;
use super::{dashboard, id, job as job_command, keeping, logging, manager, overfit, peers, signals};
use crate::api::{self, Access, Content, LogLevel, Own, Watcher};
use crate::config::{Init, Job};
use crate::driver::{self, Checkpoints, Control, LanSetup, NetworkSetup, Observation, PeerSetup};
use crate::error::{Error, Kind};
use crate::platform::Lock;
use crate::store::audit::Audit;
use crate::store::checkpoint::Trend;
use crate::store::checkpoint::chain::Chain;
use crate::store::identity;
use crate::store::metrics::{Metrics, Row, wall_time};
use crate::swarm::NetworkMetrics;

/// Wishes that may wait for the driver.
const CONTROL_QUEUE_MAX: usize = 8;

pub(super) fn run(args: &RunArgs) -> Result<(), Error> {
    let started = Instant::now();
    logging::init(&args.common)?;
    live(args, started)
}

/// [`run`], where logging was set up before.
pub(super) fn live(args: &RunArgs, started: Instant) -> Result<(), Error> {
    let json = JsonTarget::new("--json", args.common.json.as_deref())?;
    let mut job = job_of(args)?;
    if args.overfit_one_batch {
        job.epochs = Some(args.epochs.unwrap_or(overfit::EPOCHS_DEFAULT));
    }
    let (control, controls) = mpsc::channel(CONTROL_QUEUE_MAX);
    if args.child {
        // Before anything that takes time: the launcher may be gone while the device still compiles its kernels.
        watch_leash(control.clone());
    }
    let peer = Peer::prepare(args, job, started)?;
    let stopped = watch_signals(control.clone())?;
    let pardons = control.clone();
    signals::watch_user(move || {
        // Full of wishes: the next signal will do.
        let _ = pardons.try_send(Control::Pardon);
    })?;
    let mut audience: Box<dyn Audience + Send> = if args.child {
        Box::new(Lines::new())
    } else {
        Box::new(People::new(peer.job.epochs, json.is_stdout(), args.quiet))
    };
    let report = peer.live(&control, controls, audience.as_mut());
    // Before the last word, which waits for its reader: the file needs none.
    let written = report.as_ref().map_or(Ok(()), |report| json.write(report));
    let shown = audience.close(report.as_ref().ok().and_then(|report| report.peers.first()));
    let report = report?;
    written.and(shown)?;
    if stopped.load(Ordering::Relaxed) && report.interrupted {
        return Err(Error::new(Kind::Interrupted, "stopped before the last epoch"));
    }
    if args.overfit_one_batch {
        return overfit::verdict(&report);
    }
    Ok(())
}

/// Groups exist in the simulator only so far.
pub(super) fn refuse_groups(job: &Job) -> Result<(), Error> {
    if job.groups <= 1 {
        return Ok(());
    }
    let message =
        format!("gossip.groups = {}: a real peer cannot take part in groups yet, only a virtual one", job.groups);
    // No flag asks for groups: it is the file.
    Err(Error::new(Kind::Input, message)
        .hint("`starling sim --virtual` runs such a job; for real peers remove the key, or take mode = \"pairwise\""))
}

/// The job that the flags and the file describe, if this peer may take part in it.
fn job_of(args: &RunArgs) -> Result<Job, Error> {
    let mut job = Job::layered(args.job_layer(), job_command::read(args.job.as_deref())?)?;
    job.init = args.keeping.init.as_deref().map(Init::of).transpose()?;
    refuse_groups(&job)?;
    if job.key.is_none() && !args.open && !args.no_gossip && !args.overfit_one_batch && !args.child {
        let what =
            if args.job.is_some() { "this job has no key" } else { "without --job, a peer takes the public demo job" };
        return Err(Error::new(
            Kind::Usage,
            format!("{what}: everyone on this network could take part in the training"),
        )
        .hint("`starling job init` writes a job of your own; --open says that this is meant"));
    }
    if let Some(of) = args.shard.and_then(|shard| shard.of)
        && of != job.shards
    {
        return Err(Error::new(Kind::Usage, format!("--shard names {of} shards, the job has {}", job.shards)));
    }
    if let Some(shard) = args.shard
        && shard.index >= job.shards
    {
        let last = job.shards - 1;
        return Err(Error::new(Kind::Usage, format!("--shard {}: the last shard of this job is {last}", shard.index)));
    }
    Ok(job)
}

/// Everything that is known before a peer lives.
struct Peer {
    job: Job,
    engine: Engine,
    identity_seed: Zeroizing<[u8; 32]>,
    network: Option<NetworkSetup>,
    ready: Ready,
    audit: Audit,
    notes: Vec<String>,
    access: Option<Access>,
    /// What `--log` says.
    log: String,
    /// Which life of it this is.
    incarnation: u64,
    resume: Option<Standing>,
    trend: Trend,
    checkpoints: Option<Checkpoints>,
    metrics: Metrics,
    child: bool,
    company: Option<u16>,
    started: Instant,
    /// Nobody else takes part in this run with this identity.
    claim: Option<Lock>,
}

impl Peer {
    fn prepare(args: &RunArgs, job: Job, started: Instant) -> Result<Self, Error> {
        let identity_path = id::path(args.identity.as_deref())?;
        if args.identity.is_none() {
            id::make_folder(&identity_path)?;
        }
        let identity_seed = identity::load_or_create(&identity_path)?;
        let id = Identity::from_seed(&identity_seed).peer_id();
        dashboard::refuse_unused(&args.dashboard)?;
        // Before what takes time: a port in use is known at once.
        let (access, shown_at) = dashboard::open(&args.dashboard, &identity_path, !args.child)?.unzip();
        let (shard, salt): (u32, &[u8]) = match args.shard {
            Some(shard) => (shard.index, &[]),
            None => (drawn_shard(&id.0, job.shards), &id.0),
        };
        let run = job.run_id().0.to_string();
        // Nothing is folded into a base then.
        let alone = args.no_gossip || args.overfit_one_batch;
        let claim = if alone { None } else { identity::claim(&identity_path, &run)? };
        let mut earlier = keeping::earlier(&args.keeping, &run, &job.canonical())?;
        let device = (args.common.device.as_str(), args.common.threads(1));
        let state = earlier.as_mut().map(|earlier| std::mem::take(&mut earlier.learner));
        let kept = args.keeping.checkpoint.is_some() || args.keeping.resume.is_some();
        let order_seed = job.order_seed(shard, salt);
        let part = engine::Part { shard, order_seed, us: id, one_batch: args.overfit_one_batch };
        let engine = engine::build(&job, device, part, state, (!args.no_gossip, kept))?;
        keeping::refuse_other_data(earlier.as_ref(), &engine.about)?;
        if !alone {
            keeping::refuse_own_weights(earlier.as_ref())?;
        }
        let mut notes: Vec<String> = engine.note.iter().cloned().collect();
        notes.extend(shown_at.into_iter().flatten());
        notes.extend(earlier.iter().flat_map(|earlier| earlier.notes.iter().cloned()));
        let chain = Chain::new(&identity_path, &run);
        let resume = earlier.as_ref().map(|Earlier { standing, .. }| standing.clone());
        let incarnation = keeping::incarnation(now_ms(), id, earlier.as_ref(), &chain);
        let trend = earlier.as_ref().map_or(Trend::default(), |earlier| earlier.course.trend);
        let about = engine.about.clone().of_weights(if alone { Weights::Local } else { Weights::Base });
        let checkpoints = keeping::checkpoints(&args.keeping, earlier.as_ref(), about, chain, now_ns(), !alone)?;
        let audit_dir = audit_dir(args, &identity_path, &job);
        let audit = match &audit_dir {
            Some(dir) => Audit::open(dir, &id.to_string())?,
            None => Audit::default(),
        };
        let (kind, parameters) = (job.model.kind(), engine.context.parameters);
        // A launcher says it once for all of its peers.
        let (memory, each) = (bytes(engine.planned as f64), if args.child { " a peer" } else { "" });
        notes.push(format!("{kind} of {parameters} parameters, about {memory} of memory{each}"));
        if !args.child {
            notes.extend(audit_dir.map(|dir| format!("audit log in {}", dir.display())));
            notes.extend(job_command::exposed(args.job.as_deref(), &job));
            let how = if args.shard.is_some() { "" } else { ", drawn from the identity (--shard I chooses)" };
            notes.push(format!("swarm {:?}, run {}", job.name, job.run_id().0.short()));
            notes.push(format!("training on shard {shard} of {}{how}", job.shards));
        }
        let from_file = args.peers.as_deref().map(peers::read).transpose()?.unwrap_or_default();
        let network = (!alone).then(|| NetworkSetup {
            listen: args.listen.clone(),
            peers: args.peer.iter().cloned().chain(from_file).collect(),
            lan: (!args.no_mdns).then(|| LanSetup { job: job.name.clone() }),
            invitation: job_command::invitation(&job),
            // The peers of a launcher are on one machine, or one bridge.
            relay: !args.no_relay && !args.child,
            upnp: !args.no_upnp && !args.child,
            metrics: None,
        });
        let ready = Ready {
            peer: id.to_string(),
            addresses: Vec::new(),
            device: engine.device.clone(),
            backend: engine.backend.clone(),
            parameters: engine.context.parameters,
            steps_per_epoch: engine.steps_per_epoch,
        };
        Ok(Self {
            job,
            engine,
            identity_seed,
            network,
            ready,
            audit,
            notes,
            access,
            log: args.common.log.clone(),
            incarnation,
            resume,
            trend,
            checkpoints,
            metrics: Metrics::open(args.keeping.metrics.as_deref(), args.keeping.tensorboard.as_deref())?,
            child: args.child,
            company: args.company,
            started,
            claim,
        })
    }

    /// Runs the peer to its end.
    fn live(
        mut self,
        control: &mpsc::Sender<Control>,
        controls: mpsc::Receiver<Control>,
        audience: &mut (dyn Audience + Send),
    ) -> Result<SimReport, Error> {
        let gossip = self.network.is_some();
        let parameters = self.engine.context.parameters;
        let (job, child, started) = (self.job.clone(), self.child, self.started);
        let audit = self.audit.clone();
        let mut show = self.show(control)?;
        let metrics = std::mem::take(&mut self.metrics);
        let mut status = Status::default();
        let mut manager = Manager::of_environment();
        let mut translator = Translator::new(self.ready.clone(), gossip, !child, started);
        translator.goes_on_from(self.resume.as_ref().map_or(0, |standing| standing.steps));
        for text in &self.notes {
            audience.tell(ChildEvent::Note(Note { text: text.clone() }));
        }
        if !gossip {
            let ready = translator.ready(Vec::new());
            audience.tell(ready);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .enable_all()
            .build()
            .map_err(|error| Error::new(Kind::Internal, format!("cannot start the runtime: {error}")))?;
        let (mut patience, mut stopped_early) = (Patience::new(job.patience, self.trend), false);
        let mut observe = |observation: Observation| {
            if let Observation::Event(Event::Epoch(report)) = &observation
                && patience.is_over(report.evaluation.loss)
            {
                stopped_early = true;
                // The others of a launcher go on until they have had enough, too.
                let _ = control.try_send(if child { Control::Rest } else { Control::Finish });
                audience.tell(ChildEvent::Note(Note { text: patience.described() }));
            }
            if let Some((watcher, _)) = &mut show {
                watcher.observe(&observation);
            }
            // By itself a peer stops when its epochs are over; a swarm of a launcher stops together.
            if !child && matches!(observation, Observation::Event(Event::TrainingDone { .. })) {
                let _ = control.try_send(Control::Finish);
            }
            translator.observe(observation, &mut |event| {
                match &event {
                    ChildEvent::Status(now) => {
                        status.clone_from(now);
                        manager.runs(|| manager::standing(now));
                    }
                    ChildEvent::Epoch(done) if metrics.is_on() => metrics.note(row(&status, done)),
                    _ => {}
                }
                audience.tell(event);
            });
        };
        // Held to the end of this life: another process would take its links away, and be taken for it.
        let claim = self.claim.take();
        let result = runtime.block_on(driver::run(self.into_setup(), &mut observe, controls));
        drop(claim);
        manager.stopping();
        runtime.shutdown_background();
        if let Some((watcher, _)) = &mut show {
            watcher.close();
        }
        metrics.close(METRICS_CLOSE_MAX);
        if let Some(head) = audit.flush(AUDIT_FLUSH_MAX) {
            let text = format!(
                "audit log: {} records, head {} (noted elsewhere, it shows whether the end was cut off)",
                head.seq, head.hash
            );
            if !child {
                audience.tell(ChildEvent::Note(Note { text }));
            }
        }
        // A person who stops a peer still wants to know how far it came.
        result.or_else(|error| if error.kind == Kind::Interrupted && !child { Ok(()) } else { Err(error) })?;
        let report = translator.report();
        if translator.has_last_word() {
            audience.tell(ChildEvent::Final(Box::new(report.clone())));
        }
        let reached = stopped_early || job.epochs.is_none_or(|epochs| report.epochs >= epochs);
        Ok(SimReport {
            wall_s: started.elapsed().as_secs_f64(),
            peers: vec![report],
            parameters,
            gossip,
            seed: job.seed,
            run: job.run_id().0.to_string(),
            job: job.canonical().lines().map(str::to_owned).collect(),
            interrupted: !reached,
            ..SimReport::default()
        }
        .derive())
    }

    /// Starts the dashboard, where there is to be one.
    fn show(&mut self, control: &mpsc::Sender<Control>) -> Result<Option<(Watcher, api::Server)>, Error> {
        let Some(access) = self.access.take() else { return Ok(None) };
        let (ready, job) = (&self.ready, &self.job);
        let peer = Own {
            id: ready.peer.clone(),
            addresses: Vec::new(),
            device: ready.device.clone(),
            backend: ready.backend.clone(),
            devices_lost: 0,
            checkpoint_failures: 0,
        };
        let run = dashboard::run_of(job, ready, self.network.is_some(), self.checkpoints.is_some());
        let mut registry = Registry::default();
        if let Some(network) = &mut self.network {
            network.metrics = Some(NetworkMetrics::new(&mut registry));
        }
        let content = Content {
            peer,
            run,
            model: self.engine.shapes.clone(),
            began: self.started,
            audit: self.audit.clone(),
            registry,
            answers: dashboard::answers(self.engine.about.clone()),
            data: Some(Arc::clone(&self.engine.data)),
            log: Some(LogLevel::new(self.log.clone(), Box::new(logging::set_level))),
        };
        api::start(access, content, control.clone()).map(Some)
    }

    fn into_setup(self) -> PeerSetup {
        let job = &self.job;
        let mut gossip = Gossip { enabled: self.network.is_some(), ..job.gossip() };
        if let Some(company) = self.company {
            (gossip.company, gossip.join_grace) = (usize::from(company), COMPANY_GRACE);
        }
        let training = Training {
            steps_per_epoch: self.engine.steps_per_epoch,
            epochs: job.epochs,
            // The launcher says when the others are done, too.
            overtime: self.child && self.network.is_some(),
            evaluate_every: job.evaluate_every,
        };
        gossip.partner_graph = job.partners_of(Identity::from_seed(&self.identity_seed).peer_id());
        gossip.link_bytes_per_second = job.link_bytes_per_second;
        let config = Config { gossip, training, trust: job.trust() };
        let incarnation = self.incarnation;
        // Nobody is to foresee what a peer draws, and when it began everybody can guess: so its secret is part of it.
        let salt = Zeroizing::new([&self.identity_seed[..], &now_ms().to_le_bytes()[..]].concat());
        PeerSetup {
            config,
            context: self.engine.context,
            seed: job.order_seed(u32::MAX, &salt),
            incarnation,
            swarm_key: job.swarm_key(),
            guests: job.guests(),
            identity_seed: self.identity_seed,
            network: self.network,
            learner: self.engine.learner,
            device: self.engine.watch,
            audit: self.audit,
            resume: self.resume,
            checkpoints: self.checkpoints,
        }
    }
}

/// What the metrics say of an epoch.
fn row(status: &Status, done: &EpochDone) -> Row {
    Row {
        wall_time: wall_time(),
        step: done.steps,
        epoch: done.epoch,
        train_loss: done.train_loss,
        test_loss: done.test_loss,
        test_accuracy: done.test_accuracy,
        steps_per_second: status.steps_per_second,
        live_peers: status.live_peers,
        deltas_said: status.deltas_said,
        deltas_heard: status.deltas_heard,
        bytes_sent: status.bytes_sent,
        bytes_received: status.bytes_received,
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Nanoseconds since 1970: no two processes of an identity begin at once.
fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Where the audit log is kept, if one is.
fn audit_dir(args: &RunArgs, identity: &Path, job: &Job) -> Option<PathBuf> {
    match &args.audit {
        Some(none) if none == Path::new("none") => None,
        Some(dir) => Some(dir.clone()),
        // The folder of a simulation is gone after it.
        None if args.child => None,
        // A run each: one identity may take part in two jobs at a time.
        None => Some(identity.with_extension("audit").join(&job.run_id().0.to_string()[..16])),
    }
}

/// How long a peer that was told how many neighbours to expect waits for them: processes on a busy machine start slowly.
const COMPANY_GRACE: Span = Span::from_secs(10);
/// How long the end of a peer waits for its metrics to be written.
const METRICS_CLOSE_MAX: Duration = Duration::from_secs(1);
/// How long the end of a peer waits for its audit log to be on the disk.
const AUDIT_FLUSH_MAX: Duration = Duration::from_millis(300);
/// Threads of the runtime: it moves messages; training has a thread of its own.
const RUNTIME_THREADS: usize = 1;

/// A shard that depends on the identity alone: the same after every start, and spread evenly over the peers.
fn drawn_shard(id: &[u8; 32], shards: u32) -> u32 {
    let digest = blake3::derive_key("starling 1 shard", id);
    let draw = digest[..4].iter().fold(0u32, |draw, &byte| draw << 8 | u32::from(byte));
    draw % shards.max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn drawn_shards_are_stable_and_within_the_job() {
        for byte in 0..=255 {
            let shard = drawn_shard(&[byte; 32], 7);
            assert!(shard < 7);
            assert_eq!(shard, drawn_shard(&[byte; 32], 7));
        }
    }
}
