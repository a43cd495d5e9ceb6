//! One OS thread that owns the learner.
//!
//! ```text
//! driver --(commands, bounded)--> line --> thread: run(command, learner) --(result, time taken; bounded)--> driver
//! ```
//!
//! A device lives on the thread that made it, and a training step may take a second: neither belongs on the async
//! executor. The thread waits in one place only, its own empty queue, so a step that waits for the network is
//! impossible by construction; the time spent there is counted ([`Worker::idle`]), because a learner that idles while
//! there are steps to take is a fault of scheduling. How long each step was kept waiting so is [`Worker::blocked`], less the time
//! in which the operating system ran neither the thread nor its driver ([`scheduled`]).

mod line;
mod scheduled;

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Commands, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::learner::{self, Command, Computed, Learner, LearnerError};
use protocol::time::Span;
use sim::report::Blocked;
use tokio::sync::mpsc::error::TrySendError as Unsent;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use self::line::{Empty, Line};
use self::scheduled::{Account, Accounts, Wait};
use crate::driver::MakeLearner;

/// Commands that may be under way at once. The peer bounds its own outstanding commands far below this; reaching it is
/// a fault of ours, not load.
pub const COMMANDS_MAX: usize = 256;
/// How long a stop waits for the command in hand; then the thread is left behind and ends with the process.
pub const STOP_MAX: Duration = Duration::from_millis(1500);

/// Handle of the thread.
#[derive(Debug)]
pub struct Worker {
    commands: SyncSender<Command>,
    results: Receiver<(Computed, Span)>,
    waits: Arc<Waits>,
    thread: JoinHandle<()>,
    /// Closed by the thread when it ends: nothing is ever sent.
    ended: oneshot::Receiver<Infallible>,
}

/// What the thread has waited for.
#[derive(Debug, Default)]
struct Waits {
    idle_micros: AtomicU64,
    blocked: Mutex<Blocked>,
    /// Somebody has asked for no steps for a while: the next one is no measure.
    excused: AtomicBool,
}

impl Waits {
    /// Steps are taken; the first of them had to wait so long, all of them nothing else.
    fn steps(&self, steps: u32, waited: Wait) {
        if self.excused.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.record(1, micros(waited.blocked));
        blocked.unscheduled_s += waited.unscheduled.as_secs_f64();
        blocked.record(u64::from(steps).saturating_sub(1), 0);
    }
}

/// The queue is full or the thread is gone: the caller broke the bound on outstanding commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the learner's queue takes no more than {COMMANDS_MAX} commands")]
pub struct QueueFull;

impl Worker {
    /// Starts the thread and builds the learner on it; returns its number of parameters. Called by the thread that will send the
    /// commands.
    ///
    /// # Errors
    /// What `make` says, or that the thread could not be started.
    pub async fn start(make: MakeLearner) -> Result<(Self, usize), LearnerError> {
        let (commands, queue) = sync_channel(COMMANDS_MAX);
        let (reports, results) = channel(COMMANDS_MAX);
        let (built, ready) = oneshot::channel();
        let (alive, ended) = oneshot::channel();
        let waits = Arc::new(Waits::default());
        let noted = Arc::clone(&waits);
        let driver = Account::of_this_thread();
        let life = move || {
            let _alive = alive;
            yield_to_the_network();
            match guard(make) {
                Ok(learner) => {
                    let parameters = learner.parameters();
                    if built.send(Ok(parameters)).is_ok() {
                        let accounts = Accounts { learner: Account::of_this_thread(), driver };
                        work(learner, &queue, &reports, &noted, &accounts);
                    }
                }
                Err(error) => drop(built.send(Err(error))),
            }
        };
        let thread = std::thread::Builder::new().name("learner".to_owned()).spawn(life);
        let thread = thread.map_err(|error| LearnerError::Device(format!("no thread for the learner: {error}")))?;
        let gone = || Err(LearnerError::Device("the learner's thread ended before it was ready".to_owned()));
        let parameters = ready.await.unwrap_or_else(|_| gone())?;
        Ok((Self { commands, results, waits, thread, ended }, parameters))
    }

    /// Puts a command in line; never waits.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn send(&self, command: Command) -> Result<(), QueueFull> {
        match self.commands.try_send(command) {
            // A thread that is gone has closed its results: the driver learns of it there.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(_)) => Err(QueueFull),
        }
    }

    /// The next result, in the order of the commands, but that [`Computed::Applied`] may come before steps; `None` when the thread has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<(Computed, Span)> {
        self.results.recv().await
    }

    /// How long the thread has waited for work so far.
    #[must_use]
    pub fn idle(&self) -> Span {
        Span(self.waits.idle_micros.load(Ordering::Relaxed))
    }

    /// How long steps had to wait because there was no command, or nobody took the results. The first command to train is
    /// not counted: before it there is nothing to wait for. What was missing was no core: see [`scheduled`].
    #[must_use]
    pub fn blocked(&self) -> Blocked {
        self.waits.blocked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Steps were paused on request: what the next ones waited for is nobody's fault.
    pub fn excuse_wait(&self) {
        self.waits.excused.store(true, Ordering::Relaxed);
    }

    /// Ends the thread after the command in hand, and waits for it at most [`STOP_MAX`]. Returns whether it has ended.
    pub async fn stop(self) -> bool {
        let Self { commands, results, thread, ended, .. } = self;
        // The thread sees either when it looks for work or reports some.
        drop(commands);
        drop(results);
        let ended = tokio::time::timeout(STOP_MAX, ended).await.is_ok();
        if ended && thread.join().is_err() {
            tracing::error!("the learner's thread panicked while it ended");
        }
        ended
    }
}

/// Nice value of the learner's thread: it takes every cycle that nobody else wants, and a delta that arrives is read at
/// once. On a machine with more peers than cores deltas otherwise wait for whole time slices of training, which makes them
/// stale: measured with 8 peers on 2 cores, see docs/performance.md.
#[cfg(target_os = "linux")]
const LEARNER_NICE: i32 = 10;

/// Lowers the priority of the calling thread below that of the network's.
#[cfg(target_os = "linux")]
fn yield_to_the_network() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), LEARNER_NICE) {
        tracing::debug!(%error, "the learner keeps the priority of the process");
    }
}

/// Elsewhere the scheduler decides.
#[cfg(not(target_os = "linux"))]
fn yield_to_the_network() {}

/// The thread's loop: ends when either channel is closed, or after a panic.
fn work(
    mut learner: Box<dyn Learner>,
    queue: &Commands<Command>,
    reports: &Sender<(Computed, Span)>,
    waits: &Waits,
    accounts: &Accounts,
) {
    // Since the last step; nothing before the first.
    let mut waited: Option<Wait> = None;
    let mut line = Line::default();
    loop {
        let Some((command, idle)) = next_command(&mut line, queue, accounts) else { return };
        waits.idle_micros.fetch_add(micros(idle.blocked + idle.unscheduled), Ordering::Relaxed);
        waited = waited.map(|waited| waited + idle);
        // A command that was queued behind a stop is not begun.
        if reports.is_closed() {
            return;
        }
        // Steps may go off while a delta comes: they are begun together.
        let mut next = match &command {
            Command::TakeDelta { .. } => line.steps(queue),
            _ => None,
        };
        for steps in [Some(&command), next.as_ref()].into_iter().flatten().filter_map(steps_of) {
            if let Some(waited) = waited {
                waits.steps(steps, waited);
            }
            waited = Some(Wait::default());
        }
        let mut begun = Instant::now();
        let (mut held_up, mut ends) = (Wait::default(), false);
        let mut tell = |computed: Computed| {
            // After a failure the learner may be in pieces: nothing more is asked of it.
            ends |= matches!(computed, Computed::Failed(_));
            let took = Span(micros(begun.elapsed()));
            match report(reports, (computed, took), accounts) {
                Some(wait) => held_up = held_up + wait,
                None => ends = true,
            }
            begun = Instant::now();
        };
        let ran = guard(|| {
            learner::run_in_turn(command, &mut next, &mut *learner, &mut tell);
            Ok(())
        });
        if let Err(error) = ran {
            tell(Computed::Failed(error));
        }
        waited = waited.map(|waited| waited + held_up);
        if ends {
            return;
        }
    }
}

/// How many steps a command takes; `None` for others.
fn steps_of(command: &Command) -> Option<u32> {
    if let Command::Train { steps, .. } = command { Some(*steps) } else { None }
}

/// The next command and how long it was waited for; zero when it was there.
fn next_command(line: &mut Line, queue: &Commands<Command>, accounts: &Accounts) -> Option<(Command, Wait)> {
    match line.next(queue) {
        Ok(command) => Some((command, Wait::default())),
        Err(Empty::Closed) => None,
        Err(Empty::Open) => {
            let (command, wait) = accounts.during(|| queue.recv());
            line.came(command.ok()?);
            Some((line.next(queue).ok()?, wait))
        }
    }
}

/// Reports a result. Returns how long nobody took it; `None` when nobody ever will.
fn report(reports: &Sender<(Computed, Span)>, result: (Computed, Span), accounts: &Accounts) -> Option<Wait> {
    match reports.try_send(result) {
        Ok(()) => Some(Wait::default()),
        Err(Unsent::Closed(_)) => None,
        Err(Unsent::Full(result)) => {
            let (sent, wait) = accounts.during(|| reports.blocking_send(result));
            sent.ok().map(|()| wait)
        }
    }
}

/// A panic (a driver that aborts, a bug) becomes an error that people can read, not a peer that hangs.
fn guard<T>(run: impl FnOnce() -> Result<T, LearnerError>) -> Result<T, LearnerError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(LearnerError::Device(panic_text(panic.as_ref()))))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the learner panicked: {}", text.unwrap_or("without a message"))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod fake;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use protocol::learner::Progress;

    use super::*;
    use crate::worker::fake::Fake;
    use protocol::learner::Weights;

    async fn start(fake: Fake) -> Worker {
        Worker::start(Box::new(move || Ok(Box::new(fake)))).await.unwrap().0
    }

    #[tokio::test]
    async fn results_come_in_the_order_of_the_commands() {
        let mut worker = start(Fake::new(8, 0)).await;
        for steps in 1..=5 {
            worker.send(Command::Train { steps, progress: Progress::START }).unwrap();
            worker.send(Command::Evaluate { weights: Weights::Base }).unwrap();
        }
        for expected in 1..=5 {
            let Some((Computed::Trained(trained), _)) = worker.next().await else { panic!("training comes first") };
            assert_eq!(trained.steps, expected);
            assert!(matches!(worker.next().await, Some((Computed::Evaluated { .. }, _))));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        worker.send(Command::Train { steps: 1, progress: Progress::START }).unwrap();
        worker.next().await.unwrap();
        assert!(worker.idle() >= Span::from_millis(150), "waiting for work is counted: {:?}", worker.idle());
        let blocked = worker.blocked();
        // 1 + 2 + 3 + 4 + 5 steps and another one, less the first stretch.
        assert_eq!(blocked.steps, 15, "{blocked:?}");
        // What the machine does with itself meanwhile may count as one or two more.
        assert!((1..=3).contains(&blocked.over_1ms) && blocked.max_ms >= 100.0, "{blocked:?}");
        assert!(worker.stop().await);
    }

    #[tokio::test]
    async fn a_delta_and_the_steps_behind_it_are_reported_apart() {
        // Far longer than a delta takes, on a busy machine too.
        const STEP: Duration = Duration::from_millis(800);
        let mut worker = start(Fake { step: STEP, ..Fake::new(8, 0) }).await;
        let train = |steps| Command::Train { steps, progress: Progress::START };
        let take = || Command::TakeDelta {
            codec: &protocol::codec::TopK2Bit,
            weight: protocol::fixed::Weight::HALF,
            norm_max: f32::INFINITY,
        };
        // All are in line before the first is done.
        let commands = [train(1), take(), train(2), take(), take(), Command::Measure, take(), train(3), take()];
        for command in commands {
            worker.send(command).unwrap();
        }
        let mut seen = Vec::new();
        for _ in 0..9 {
            seen.push(match worker.next().await.unwrap() {
                (Computed::Trained(trained), took) => {
                    assert!(took >= Span(micros(STEP * trained.steps)), "its own time");
                    trained.steps.to_string()
                }
                (Computed::DeltaTaken(_), took) => {
                    assert!(took < Span(micros(STEP)), "and not that of the steps: {took:?}");
                    "delta".into()
                }
                (Computed::Measured(_), _) => "measured".into(),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(seen, ["1", "delta", "2", "delta", "delta", "measured", "delta", "3", "delta"]);
        assert_eq!(worker.blocked().steps, 5, "all but the first stretch are counted once");
        assert!(worker.stop().await);
    }

    #[tokio::test]
    async fn what_is_heard_waits_for_no_steps_that_have_not_begun() {
        const STEP: Duration = Duration::from_millis(800);
        let mut worker = start(Fake { step: STEP, ..Fake::new(8, 0) }).await;
        for steps in 1..=3 {
            worker.send(Command::Train { steps, progress: Progress::START }).unwrap();
        }
        worker.send(Command::Apply { deltas: Vec::new() }).unwrap();
        worker.send(Command::Evaluate { weights: Weights::Base }).unwrap();
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push(match worker.next().await.unwrap().0 {
                Computed::Trained(trained) => trained.steps.to_string(),
                Computed::Applied => "heard".into(),
                Computed::Evaluated { .. } => "looked".into(),
                other => panic!("{other:?}"),
            });
        }
        let place = seen.iter().position(|what| what == "heard");
        // The first steps may have begun, on a busy machine all but the last.
        assert!(place <= Some(2), "{seen:?}");
        seen.retain(|what| what != "heard");
        assert_eq!(seen, ["1", "2", "3", "looked"]);
        assert!(worker.stop().await);
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_command_and_the_end_of_the_thread() {
        let mut worker = start(Fake { panics: true, ..Fake::new(8, 0) }).await;
        worker.send(Command::Train { steps: 1, progress: Progress::START }).unwrap();
        let Some((Computed::Failed(LearnerError::Device(text)), _)) = worker.next().await else { panic!("it fails") };
        assert!(text.contains("panicked") && text.contains("on purpose"), "{text}");
        assert_eq!(worker.next().await, None);
        assert_eq!(
            worker.send(Command::Train { steps: 1, progress: Progress::START }),
            Ok(()),
            "nobody is there, and nobody hangs"
        );
        assert!(worker.stop().await);
    }

    #[tokio::test]
    async fn a_learner_that_cannot_be_built_says_why() {
        let failing = Worker::start(Box::new(|| Err(LearnerError::Device("no such device".to_owned())))).await;
        assert_eq!(failing.unwrap_err(), LearnerError::Device("no such device".to_owned()));
        let panicking = Worker::start(Box::new(|| panic!("driver lost"))).await;
        assert!(panicking.unwrap_err().to_string().contains("driver lost"));
    }

    #[tokio::test]
    async fn a_long_command_does_not_hold_up_the_exit() {
        let worker = start(Fake { step: Duration::from_secs(60), ..Fake::new(8, 0) }).await;
        worker.send(Command::Train { steps: 1, progress: Progress::START }).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let begun = Instant::now();
        assert!(!worker.stop().await, "it is left behind");
        assert!(begun.elapsed() < STOP_MAX + Duration::from_secs(10), "far below the step, on a busy machine too");
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let worker = start(Fake { step: Duration::from_secs(20), ..Fake::new(8, 0) }).await;
        let overflow = (0..COMMANDS_MAX + line::LINE_MAX + 2)
            .find_map(|_| worker.send(Command::Train { steps: 1, progress: Progress::START }).err());
        assert_eq!(overflow, Some(QueueFull));
    }
}
