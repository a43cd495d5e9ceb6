//! The loop that makes a [`Peer`] live: everything that happens becomes an [`Input`], everything it wants is done.
//!
//! ```text
//! learner thread --Computed--+                     +--Compute--> learner thread
//! control --------Finish-----+--> Peer::handle ----+--Send, Dial, Disconnect--> network
//! timer queue ----Timer------+                     +--SetTimer--> timer queue
//! network --------the rest---+                     +--Event--> whoever watches
//! ```
//!
//! One task, no locks, no decisions. Results of the learner come first, so training never waits behind traffic; timers
//! that are due come before messages, so a flood of messages cannot stop the clock. The loop itself never waits for a
//! consumer: queues towards the network and the learner are bounded and refuse.

mod checkpoints;
mod copies;
mod observation;
mod records;
mod setup;
mod timers;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::exchange_bytes_max;
use protocol::learner::{Computed, LearnerError};
use protocol::time::Span;
use protocol::trust::Identity;
use protocol::trust::admission::Credentials;
use protocol::wire::{Message, frame_bytes_max};
use protocol::{Event, Input, Output, Peer, SaveAt};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, Interval, MissedTickBehavior, sleep_until, timeout};

pub use self::checkpoints::{Checkpoints, Every};
use self::copies::Copies;
pub use self::observation::{Control, Observation, Traffic};
use self::records::Records;
pub use self::setup::{DeviceNews, DeviceWatch, LanSetup, MakeLearner, NetworkSetup, PeerSetup};
use self::timers::{Clock, Timers};
use crate::error::{Error, Kind};
use crate::store::audit;
use crate::store::checkpoint::News;
use crate::swarm::{Admission, Happening, Network};
use crate::worker::Worker;

/// Time between two [`Observation::View`]s.
const VIEW_INTERVAL: Duration = Duration::from_millis(500);
/// What a finish may take beyond the agreement itself: the command in hand, and the last evaluation.
const FINISH_SLACK: Duration = Duration::from_secs(5);
/// How long the learner may take to be built: shaders are compiled and data is loaded.
const BUILD_MAX: Duration = Duration::from_secs(300);

/// Runs a peer until it has stopped. After [`Control::Finish`] that is [`Gossip::settle_max`] and a few seconds at
/// most, after [`Control::Abort`] two seconds.
///
/// [`Gossip::settle_max`]: protocol::config::Gossip::settle_max
///
/// # Errors
/// A port in use, a bad address, a device failure; [`Kind::Interrupted`] after [`Control::Abort`].
pub async fn run(
    setup: PeerSetup,
    observe: &mut (dyn FnMut(Observation) + Send),
    mut control: Receiver<Control>,
) -> Result<(), Error> {
    let log = setup.audit.clone();
    log.note(audit::Kind::Start, started(&setup));
    let result = live(setup, observe, &mut control).await;
    let why = result.as_ref().map_or_else(|error| error.message.clone(), |()| "done".to_owned());
    log.note(audit::Kind::Stop, json!({ "why": why }));
    result
}

/// What the first record of a life says.
fn started(setup: &PeerSetup) -> Value {
    json!({
        "peer": Identity::from_seed(&setup.identity_seed).peer_id(),
        "run": setup.context.run.0.to_string(),
        "incarnation": setup.incarnation,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

async fn live(
    setup: PeerSetup,
    observe: &mut (dyn FnMut(Observation) + Send),
    control: &mut Receiver<Control>,
) -> Result<(), Error> {
    let identity = Identity::from_seed(&setup.identity_seed);
    // The network first: a port in use is known at once, a learner takes its time.
    let network = setup.network.as_ref().map(|network| open(&setup, network, &identity)).transpose()?;
    let (early, worker) = build(setup.learner, setup.context.parameters, observe, control).await?;
    let settle_max = Duration::from_micros(setup.config.gossip.settle_max.0);
    let mut peer = Peer::new(setup.config, setup.context, identity, setup.incarnation, setup.seed);
    if let Some(standing) = &setup.resume {
        let hint = "leave out --resume: the model comes from the neighbours";
        peer.resume_at(standing).map_err(|error| Error::new(Kind::Input, error).hint(hint))?;
    }
    let mut driver = Driver {
        clock: Clock(Instant::now()),
        copies: Copies::new(peer.origin()),
        peer,
        network,
        worker,
        device: setup.device,
        trained: false,
        timers: Timers::default(),
        records: Records::new(setup.audit),
        checkpoints: setup.checkpoints,
        observe,
        finish_max: settle_max + FINISH_SLACK,
        finish_by: None,
        end: None,
    };
    let said = driver.peer.view().deltas_said;
    driver.begin_checkpoints(setup.incarnation, said)?;
    driver.handle(Input::Start);
    for asked in early {
        driver.on_control(asked);
    }
    let result = driver.live(control).await;
    driver.close(result.is_ok()).await;
    result
}

fn open(setup: &PeerSetup, network: &NetworkSetup, identity: &Identity) -> Result<Network, Error> {
    let context = &setup.context;
    let credentials =
        Credentials { us: identity.peer_id(), run: context.run, schema: context.schema, swarm_key: setup.swarm_key };
    let admission = Admission {
        credentials,
        guests: setup.guests.clone(),
        neighbours_max: setup.config.gossip.neighbours_max,
        neighbours_target: setup.config.gossip.neighbours_target,
        body_bytes_max: frame_bytes_max(exchange_bytes_max(context.parameters, context.codec)),
        audit: setup.audit.clone(),
    };
    Network::open(network, &setup.identity_seed, admission)
}

/// Builds the learner on its thread; a finish, a pause and the loss of the device that are asked for meanwhile are kept.
async fn build(
    learner: MakeLearner,
    parameters: usize,
    observe: &mut (dyn FnMut(Observation) + Send),
    control: &mut Receiver<Control>,
) -> Result<(Vec<Control>, Worker), Error> {
    let (mut early, mut signs) = (Vec::new(), view_interval());
    let mut start = std::pin::pin!(timeout(BUILD_MAX, Worker::start(learner)));
    let started = loop {
        tokio::select! {
            started = &mut start => break started,
            _ = signs.tick() => observe(Observation::Building),
            Some(asked) = control.recv() => match asked {
                // Nobody is banned yet.
                Control::Rest | Control::Show | Control::Checkpoint | Control::Pardon => {}
                Control::Resume => early.retain(|asked| *asked != Control::Pause),
                Control::Finish | Control::LoseDevice | Control::Pause if early.contains(&asked) => {}
                Control::Finish | Control::LoseDevice | Control::Pause => early.push(asked),
                Control::Abort => return Err(interrupted()),
            },
        }
    };
    let late = || Error::new(Kind::Device, format_args!("the learner was not ready within {} s", BUILD_MAX.as_secs()));
    let (worker, found) = started.map_err(|_| late())?.map_err(|error| learner_failed(&error))?;
    if found != parameters {
        let message = format!("the learner has {found} parameters, the run's model has {parameters}");
        return Err(Error::new(Kind::Internal, message));
    }
    Ok((early, worker))
}

/// A peer with everything it needs to live.
struct Driver<'a> {
    clock: Clock,
    peer: Peer,
    network: Option<Network>,
    worker: Worker,
    device: Option<DeviceWatch>,
    /// Whether a step was taken.
    trained: bool,
    timers: Timers,
    copies: Copies,
    /// What of all this goes into the audit log.
    records: Records,
    checkpoints: Option<Checkpoints>,
    observe: &'a mut (dyn FnMut(Observation) + Send),
    /// How long a finish may take.
    finish_max: Duration,
    /// When a finish that was asked for is over.
    finish_by: Option<Instant>,
    /// Why the loop is to end.
    end: Option<Result<(), Error>>,
}

impl Driver<'_> {
    /// The loop.
    async fn live(&mut self, control: &mut Receiver<Control>) -> Result<(), Error> {
        let mut views = view_interval();
        loop {
            self.fire_due_timers();
            if let Some(end) = self.end.take() {
                return end;
            }
            let checkpoint = self.checkpoints.as_ref().and_then(Checkpoints::next);
            let due = self.timers.next_due().map(|time| self.clock.instant(time));
            tokio::select! {
                biased;
                computed = self.worker.next() => self.on_computed(computed),
                Some(asked) = control.recv() => self.on_control(asked),
                Some(news) = next_of_device(self.device.as_mut()) => (self.observe)(Observation::Device(news)),
                () = sleep_to(self.finish_by) => self.end = Some(Err(self.never_settled())),
                () = sleep_to(due) => {} // handled above
                () = sleep_to(checkpoint) => self.checkpoint_due(),
                Some(news) = next_of_checkpoints(self.checkpoints.as_mut()) => self.kept(news),
                _ = views.tick() => self.view(),
                happening = next_of(self.network.as_mut()) => self.on_network(happening),
            }
        }
    }

    fn on_computed(&mut self, computed: Option<(Computed, Span)>) {
        match computed {
            Some((result, took)) => {
                if !self.trained && matches!(result, Computed::Trained(_)) {
                    self.trained = true;
                    (self.observe)(Observation::FirstSteps);
                }
                self.handle(Input::Computed { result, took });
            }
            None => self.fail(Error::new(Kind::Internal, "the learner's thread is gone")),
        }
    }

    fn on_control(&mut self, asked: Control) {
        match asked {
            Control::Show => self.handle(Input::Show),
            Control::Pause => self.pause(Input::Pause),
            Control::Resume => {
                self.worker.excuse_wait();
                self.pause(Input::Resume);
            }
            Control::Checkpoint if self.checkpoints.is_some() => self.handle(Input::Save(SaveAt::Now)),
            Control::Checkpoint => {}
            Control::Rest => self.handle(Input::Rest),
            Control::Finish => self.finish(),
            Control::Abort => self.fail(interrupted()),
            Control::LoseDevice => match &self.device {
                Some(device) => device.lose.store(true, Ordering::Relaxed),
                None => (self.observe)(Observation::NoDeviceToLose),
            },
            Control::Pardon => {
                if let Some(network) = &mut self.network {
                    network.pardon();
                }
            }
        }
    }

    fn on_network(&mut self, happening: Happening) {
        match happening {
            // The receipt lives until the input was handled: only then does the sender get its credit back.
            Happening::Input(input, _receipt) => {
                self.look_for_copies(&input);
                self.handle(input);
            }
            Happening::Observe(observation) => (self.observe)(observation),
        }
    }

    /// A neighbour of which two lives speak in turns has a key file that runs twice.
    fn look_for_copies(&mut self, input: &Input) {
        let reason = "two processes use its identity and take each other's links away; remove the file for one of the two, whose next run makes a new one";
        match input {
            Input::Message { from, message: Message::Status(status) } => {
                if self.copies.spoke(*from, status.incarnation)
                    && let Some(network) = &mut self.network
                {
                    network.copied(&from.to_string(), reason);
                }
            }
            Input::Message { from, message: Message::Digest { heard, .. } } => self.copies.has(*from, heard),
            Input::Connected { peer } => self.copies.linked(*peer, Instant::now().into_std()),
            Input::Disconnected { peer } => self.copies.unlinked(*peer, Instant::now().into_std()),
            _ => {}
        }
    }

    /// What somebody wanted is to be seen at once.
    fn pause(&mut self, input: Input) {
        self.handle(input);
        self.view();
    }

    fn finish(&mut self) {
        if self.finish_by.is_none() {
            self.finish_by = Some(Instant::now() + self.finish_max);
            (self.observe)(Observation::Leaving);
            self.checkpoint_the_end();
            self.handle(Input::Finish);
        }
    }

    fn fire_due_timers(&mut self) {
        // Asked once: a timer that sets itself again for now must not keep the loop here.
        let now = self.clock.now();
        while let Some(timer) = self.timers.pop_due(now) {
            self.handle(Input::Timer(timer));
        }
    }

    /// Gives one input to the peer and does all that it wants.
    fn handle(&mut self, input: Input) {
        self.peer.handle(self.clock.now(), input);
        while let Some(output) = self.peer.next_output() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        if matches!(output, Output::Send { .. })
            && let Err(error) = self.about_to_speak()
        {
            return self.fail(error);
        }
        match (output, self.network.as_mut()) {
            (Output::Saved(checkpoint), _) => self.saved(checkpoint),
            (Output::Compute(command), _) => {
                if let Err(full) = self.worker.send(command) {
                    self.fail(Error::new(Kind::Internal, full));
                }
            }
            (Output::SetTimer { at, timer }, _) => self.timers.set(at, timer),
            (Output::Event(event), _) => self.event(event),
            (Output::Audit(record), _) => self.records.decided(&record),
            (Output::Shown(shown), _) => (self.observe)(Observation::Shown(Arc::from(shown))),
            (Output::Gradient(gradient), _) => (self.observe)(Observation::Gradient(Arc::from(gradient))),
            (Output::Stopped, _) => drop(self.end.get_or_insert(Ok(()))),
            (Output::Send { to, message }, Some(network)) => network.send(to, message),
            (Output::Dial { peer, addresses }, Some(network)) => network.dial(peer, &addresses),
            (Output::Disconnect { peer }, Some(network)) => network.disconnect(peer),
            (Output::Send { .. } | Output::Dial { .. } | Output::Disconnect { .. }, None) => {}
        }
    }

    fn event(&mut self, event: Event) {
        if let Event::Epoch(report) | Event::Final(report) = &event {
            self.reported(report, matches!(event, Event::Epoch(_)));
        }
        self.records.event(&event);
        if let (Event::Offence { peer, what }, Some(network)) = (&event, self.network.as_mut()) {
            network.offended(*peer, what);
        }
        // Before it trains, it catches up: with deltas of its own earlier lives as well.
        if let (Event::DeltaHeard { origin, seq }, Some(network)) = (&event, self.network.as_mut())
            && self.trained
            && let Some(why) = self.copies.heard(*origin, *seq, Instant::now().into_std())
        {
            network.copied(&origin.peer.to_string(), why);
        }
        if let Event::LearnerFailed(error) = &event {
            self.fail(learner_failed(error));
        }
        if let Event::Excluded { origin, why, .. } = &event
            && *origin == self.peer.origin()
        {
            let message = format!("the swarm has excluded this peer ({why})");
            let hint = if *why == "equivocation" {
                "it has said two deltas under one number: its key file runs twice, or came back from a copy with older checkpoints; make a new one for this peer (`starling id new --force`)"
            } else {
                "its deltas looked like a lie to more than half of the others: check its data, its clock and its device"
            };
            self.fail(Error::new(Kind::Network, message).hint(hint));
        }
        if matches!(event, Event::Epoch(_) | Event::Evaluated(_)) {
            // So that what is printed of the epoch has the bytes of its own time.
            self.view();
        }
        (self.observe)(Observation::Event(event));
    }

    /// A checkpoint is written, or is not.
    fn kept(&mut self, news: News) {
        self.records.checkpoint(&news);
        (self.observe)(Observation::Checkpoint(news));
    }

    fn view(&mut self) {
        self.records.settle(false);
        let traffic = self.network.as_ref().map(Network::traffic).unwrap_or_default();
        tracing::debug!(idle_s = self.worker.idle().as_secs_f64(), ?traffic, "the learner has waited for work");
        (self.observe)(Observation::Blocked(self.worker.blocked()));
        (self.observe)(Observation::Company(self.peer.company()));
        (self.observe)(Observation::View(Box::new(self.peer.view()), traffic));
    }

    /// Ends the loop with an error; the first one counts, and it counts more than a regular end.
    fn fail(&mut self, error: Error) {
        if !matches!(self.end, Some(Err(_))) {
            self.end = Some(Err(error));
        }
    }

    fn never_settled(&self) -> Error {
        let message = format!("the peer did not come to its end within {} s", self.finish_max.as_secs());
        Error::new(Kind::Device, message).hint("the device may hang in its last command; the model was not evaluated")
    }

    /// Last words and the learner's end, at once; then the last view: what was sent in the end is counted.
    async fn close(mut self, ended: bool) {
        // Now, and what the end itself brings after it: it may take its time, and be cut short.
        self.records.settle(true);
        let Self { peer, mut network, worker, mut device, checkpoints, mut records, observe, .. } = self;
        let closed = async {
            if let Some(network) = &mut network {
                network.close().await;
            }
        };
        observe(Observation::Blocked(worker.blocked()));
        let ((), stopped) = tokio::join!(closed, worker.stop());
        if !stopped {
            tracing::warn!("the learner is still busy and is left behind");
        }
        while let Some(news) = device.as_mut().and_then(|device| device.news.try_recv().ok()) {
            observe(Observation::Device(news));
        }
        if let Some(checkpoints) = checkpoints {
            let mut keep = |news: News| {
                records.checkpoint(&news);
                observe(Observation::Checkpoint(news));
            };
            checkpoints.close(ended, peer.view().deltas_said, &mut keep).await;
        }
        records.settle(true);
        let traffic = network.as_ref().map(Network::traffic).unwrap_or_default();
        observe(Observation::View(Box::new(peer.view()), traffic));
    }
}

fn view_interval() -> Interval {
    let mut interval = tokio::time::interval(VIEW_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Until `deadline`; for ever without one.
async fn sleep_to(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What is heard of the device next; `None` when nothing more can be.
async fn next_of_device(device: Option<&mut DeviceWatch>) -> Option<DeviceNews> {
    device?.news.recv().await
}

/// What becomes of checkpoints next; `None` when nothing more can.
async fn next_of_checkpoints(checkpoints: Option<&mut Checkpoints>) -> Option<News> {
    checkpoints?.news().await
}

/// What happens next in the network; never, without one.
async fn next_of(network: Option<&mut Network>) -> Happening {
    match network {
        Some(network) => network.next().await,
        None => std::future::pending().await,
    }
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "stopped before the peer was done")
}

fn learner_failed(error: &LearnerError) -> Error {
    match error {
        LearnerError::Device(_) => Error::new(Kind::Device, error).hint(
            "a smaller model or batch where memory is short, or another --device: `--device cpu` trains without a GPU",
        ),
        LearnerError::NonFinite { .. } | LearnerError::Diverged | LearnerError::Loss { .. } => {
            Error::new(Kind::Input, error)
                .hint("in the job, a lower optimizer.learning_rate, or optimizer.clip = 1.0 for the gradient's length")
        }
        LearnerError::Data(_) => Error::new(Kind::Input, error)
            .hint("rows stay in their file while it is trained on: leave it there as it is"),
        LearnerError::Checkpoint(_) => Error::new(Kind::Input, error)
            .hint("a checkpoint is resumed with the job, the data, the identity or --shard, that it was written with"),
        LearnerError::Codec(_) | LearnerError::Shape { .. } => Error::new(Kind::Internal, error),
    }
}

#[cfg(test)]
pub(crate) mod tests;
