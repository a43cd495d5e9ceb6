//! How a learner goes on when its device fails: lost, out of memory, or silent.
//!
//! ```text
//! host      b, exact integers; theta - b as it was a while ago        what a device is built from
//! device    theta, b, moments                                         what may be gone at any moment
//! ```
//!
//! What changes `b` is decided on the host and written down there first, then told to the device. So a device that fails on the way is
//! built anew from what is written down, and the command *is done*: a delta is in the base once or, where it was refused, not at
//! all, and equal version vectors go on meaning equal bases. What only reads (an evaluation, the choice of what is said) and what
//! trains is done again.
//!
//! Lost are the moments of the optimizer (they begin at zero, as after a snapshot) and the peer's own steps since `theta - b` was last
//! copied: at most every ten seconds, and no more than a fiftieth of the time goes into it. What was said of a coordinate meanwhile is
//! taken off the copy ([`Kept::add`]).
//!
//! A driver that computes on the CPU has the host's own memory, and loses it when somebody asks for that or an allocation fails, and not by
//! itself: there `theta - b` is not copied, which would be a fifth of all that training takes, and what was not said is lost with the device.
//!
//! The same adapter is tried first, a few times; then the CPU takes over. It does so at once where a driver does not come back from being asked: that is
//! done in a thread of its own, which is left behind.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::time::{Duration, Instant};

use protocol::codec::Decoded;
use protocol::learner::LearnerError;

use super::{Begin, LearnerSpec, Machine, TrainingLearner};
use crate::engine::ledger::Ledger;
use crate::engine::{DeviceInfo, Executor, ExecutorError};

/// How often a device is opened again within [`TRIES_WINDOW`]; then the CPU takes over.
const TRIES_MAX: usize = 3;
/// See [`TRIES_MAX`]: an adapter that fails more often is no help.
const TRIES_WINDOW: Duration = Duration::from_secs(600);
/// Pause before a further try: a driver that was reset takes a moment to come back.
const TRY_PAUSE: Duration = Duration::from_millis(500);
/// Least time between two copies of `theta - b` that are made for this alone.
const KEEP_EVERY: Duration = Duration::from_secs(10);
/// Such a copy is made at most every so many times as long as it takes.
const KEEP_COST: u32 = 50;
/// How long a driver may take to open a device, compile, and answer, beside what is written to it; then it is left behind.
const REBUILD_MAX: Duration = Duration::from_secs(60);
/// Bytes of the parameters that are written in a microsecond at least.
const REBUILD_BYTES_A_MICROSECOND: u64 = 100;
/// The same where a driver computes on the CPU: it compiles and writes as fast as the host happens to be.
const SOFTWARE_REBUILD_MAX: Duration = Duration::from_secs(900);
/// How long the remains of a device may take to be cleared away: a driver that hangs is left behind.
const CLEAR_MAX: Duration = Duration::from_secs(5);

/// Which device to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The one that failed.
    Same,
    /// The CPU executor.
    Cpu,
}

/// Opens a device; in a thread of its own where it may never come back.
pub type Reopen = dyn Fn(Again) -> Result<Box<dyn Executor>, ExecutorError> + Send + Sync;

/// What a learner needs to go on elsewhere.
pub struct Recovery {
    /// See [`Reopen`].
    pub reopen: Arc<Reopen>,
    /// Told when it has gone on.
    pub tell: Box<dyn FnMut(Recovered) + Send>,
    /// Set from outside: loses the device in the middle of the next steps, once.
    pub lose: Arc<AtomicBool>,
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery").field("lose", &self.lose).finish_non_exhaustive()
    }
}

/// How it went on.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// What the device said.
    pub why: String,
    /// Where it goes on.
    pub device: DeviceInfo,
    /// Whether that is the same adapter.
    pub same: bool,
    /// Own steps that are lost.
    pub steps: u64,
    /// From the failure until it could go on.
    pub took: Duration,
}

/// What the host holds; see the module.
pub(super) struct Kept {
    recovery: Recovery,
    /// Shared with nobody but a driver that builds from it: then, and only then, it is copied before it changes.
    base: Arc<Vec<i32>>,
    /// theta - b, as it was `steps` steps ago; `None` where it is not copied. As the base, shared with nobody in normal life.
    residual: Option<Arc<Vec<f32>>>,
    steps: u64,
    copied: Instant,
    /// How long the last copy took.
    cost: Duration,
    every: Duration,
    /// How long the same device may take to be built again.
    patience: Duration,
    /// When devices were opened again, lately.
    tries: VecDeque<Instant>,
}

impl Kept {
    /// Of a learner that begins at that base; `copies` says whether theta - b is copied.
    pub(super) fn new(base: Vec<i32>, copies: bool, recovery: Recovery) -> Self {
        let written = Duration::from_micros(4 * base.len() as u64 / REBUILD_BYTES_A_MICROSECOND);
        Self {
            // Only what computes on the CPU is not copied.
            patience: if copies { REBUILD_MAX + written } else { SOFTWARE_REBUILD_MAX },
            residual: copies.then(|| Arc::new(vec![0.0; base.len()])),
            base: Arc::new(base),
            recovery,
            steps: 0,
            copied: Instant::now(),
            cost: Duration::ZERO,
            every: KEEP_EVERY,
            tries: VecDeque::new(),
        }
    }

    /// The copy of theta - b, where there is one.
    pub(super) fn residual(&self) -> Option<&[f32]> {
        self.residual.as_deref().map(Vec::as_slice)
    }

    pub(super) fn take_wish_to_lose(&self) -> bool {
        self.recovery.lose.swap(false, Ordering::Relaxed)
    }

    /// A device whose base is another one than it was told computes wrongly, and counts as failed.
    pub(super) fn check(&self, first: usize, piece: &[i32]) -> Result<(), LearnerError> {
        if self.base[first..first + piece.len()] == *piece {
            return Ok(());
        }
        Err(LearnerError::Device("the device holds another base than it was told: it computes wrongly".into()))
    }

    /// Writes down what a delta adds. Of a copy that is some steps old, what is said is taken as far as there is something to take:
    /// the steps since then are in what was said, and may not be unsaid by what is left.
    pub(super) fn add(&mut self, decoded: &Decoded, own: bool) {
        let base = Arc::make_mut(&mut self.base);
        let mut residual = if own { self.residual.as_mut().map(Arc::make_mut) } else { None };
        for (i, value, add) in decoded.iter() {
            base[i] = base[i].wrapping_add(add);
            if let Some(residual) = &mut residual {
                let unsaid = &mut residual[i];
                let left = *unsaid - value;
                let shrinks = left.abs() <= unsaid.abs() && (left < 0.0) == (*unsaid < 0.0);
                *unsaid = if self.steps == 0 || shrinks { left } else { 0.0 };
            }
        }
    }

    /// The device that failed is not tried again in this window.
    fn give_up(&mut self, now: Instant) {
        self.tries.clear();
        self.tries.resize(TRIES_MAX, now);
    }

    /// Which device is to be opened next; `None` when there is no further one.
    fn next_try(&mut self, now: Instant, cpu_failed: bool) -> Option<Again> {
        while self.tries.front().is_some_and(|&tried| now - tried > TRIES_WINDOW) {
            self.tries.pop_front();
        }
        if self.tries.len() < TRIES_MAX {
            self.tries.push_back(now);
            return Some(Again::Same);
        }
        (!cpu_failed).then_some(Again::Cpu)
    }
}

impl TrainingLearner {
    /// Does what may be done twice; again, when the device fails and there is another one.
    pub(super) fn retried<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, LearnerError>,
    ) -> Result<T, LearnerError> {
        loop {
            match work(self) {
                Err(LearnerError::Device(why)) => self.recover(why)?,
                done => return done,
            }
        }
    }

    /// After a change that the host has written down before: a device that failed on it is built from what it was to become.
    pub(super) fn settle(&mut self, changed: Result<(), LearnerError>) -> Result<(), LearnerError> {
        match changed {
            Err(LearnerError::Device(why)) => self.recover(why),
            other => other,
        }
    }

    pub(super) fn note_steps(&mut self, steps: usize) {
        self.steps += steps as u64;
        if let Some(kept) = &mut self.kept {
            kept.steps += steps as u64;
        }
    }

    /// Writes down a base and what was not said of it.
    pub(super) fn keep(&mut self, base: &[i32], residual: &[f32]) {
        if let Some(kept) = &mut self.kept {
            Arc::make_mut(&mut kept.base).copy_from_slice(base);
            if let Some(copy) = &mut kept.residual {
                Arc::make_mut(copy).copy_from_slice(residual);
                kept.steps = 0;
            }
        }
    }

    /// Copies theta - b.
    pub(super) fn keep_residual(&mut self) -> Result<(), LearnerError> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        let Some(residual) = &mut kept.residual else { return Ok(()) };
        let begun = Instant::now();
        self.gradient_lies = false;
        // Where it fails half-way each number is still a residual of its place, if not of one moment.
        self.machine.residual(Arc::make_mut(residual).as_mut_slice())?;
        (kept.steps, kept.copied, kept.cost) = (0, Instant::now(), begun.elapsed());
        Ok(())
    }

    /// Copies theta - b once more, and then no longer because it is time: a copy that falls into one of several stretches that are held against
    /// each other would decide between them.
    pub(crate) fn keep_no_longer(&mut self) -> Result<(), LearnerError> {
        self.retried(Self::keep_residual)?;
        if let Some(kept) = &mut self.kept {
            kept.every = Duration::MAX;
        }
        Ok(())
    }

    /// The same when it is time.
    pub(super) fn keep_in_time(&mut self) -> Result<(), LearnerError> {
        let due =
            |kept: &Kept| kept.residual.is_some() && kept.copied.elapsed() >= kept.every.max(KEEP_COST * kept.cost);
        if self.kept.as_ref().is_some_and(due) { self.retried(Self::keep_residual) } else { Ok(()) }
    }

    /// Goes on on another device, or on the same one opened again.
    fn recover(&mut self, why: String) -> Result<(), LearnerError> {
        let Some(kept) = &mut self.kept else { return Err(LearnerError::Device(why)) };
        let begun = Instant::now();
        // Its memory is to be free before the next one takes some. Meanwhile somebody stands in who only keeps account.
        clear(std::mem::replace(&mut self.machine.executor, Box::new(Ledger::default())));
        let mut last = why.clone();
        let mut cpu_failed = false;
        let mut first = true;
        while let Some(again) = kept.next_try(Instant::now(), cpu_failed) {
            if !std::mem::take(&mut first) && again == Again::Same {
                std::thread::sleep(TRY_PAUSE);
            }
            cpu_failed |= again == Again::Cpu;
            match rebuild(&self.spec, kept, again, self.steps) {
                Ok(machine) => {
                    self.machine = machine;
                    self.ahead.forget();
                    (self.share, self.gradient_lies) = (1.0, false);
                    let steps = std::mem::take(&mut kept.steps);
                    let (device, same) = (self.machine.executor.info().clone(), again == Again::Same);
                    let why = if same || last == why { why } else { format!("{why}; {last}") };
                    (kept.recovery.tell)(Recovered { why, device, same, steps, took: begun.elapsed() });
                    if !same {
                        // The host's own memory is not lost before the host is.
                        self.kept = None;
                    }
                    return Ok(());
                }
                Err(LearnerError::Device(said)) => last = said,
                Err(error) => last = error.to_string(),
            }
        }
        Err(LearnerError::Device(format!("{why}; and no device could take over: {last}")))
    }
}

/// A machine in the state that the host holds, on a device that was seen to answer. For the device that failed is waited with patience, and
/// it is given up when it does not come back.
fn rebuild(spec: &LearnerSpec, kept: &mut Kept, again: Again, steps: u64) -> Result<Machine, LearnerError> {
    // What a device that fails gave last may be nonsense.
    if let Some(residual) = &mut kept.residual
        && residual.iter().any(|unsaid| !unsaid.is_finite())
    {
        let residual = Arc::make_mut(residual).iter_mut();
        residual.filter(|unsaid| !unsaid.is_finite()).for_each(|unsaid| *unsaid = 0.0);
    }
    let (spec, reopen) = (spec.clone(), Arc::clone(&kept.recovery.reopen));
    let (base, residual) = (Arc::clone(&kept.base), kept.residual.clone());
    let build = move || {
        let built = catch_unwind(AssertUnwindSafe(|| {
            let executor = reopen(again)?;
            let unsaid = residual.as_deref().map(Vec::as_slice);
            let mut machine = Machine::new(&spec, executor, Begin::From(&base, unsaid, steps))?;
            machine.executor.read_at(machine.buffers.state, 0, &mut [0])?;
            Ok(machine)
        }));
        built.unwrap_or_else(|_| Err(LearnerError::Device("the driver panicked".into())))
    };
    match again {
        Again::Cpu => build(),
        Again::Same => patiently(build, kept.patience).unwrap_or_else(|why| {
            kept.give_up(Instant::now());
            Err(LearnerError::Device(why))
        }),
    }
}

/// What a thread of its own makes in that time. What comes too late is dropped there.
fn patiently<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static, patience: Duration) -> Result<T, String> {
    // Without room: what nobody waits for any more stays with who made it.
    let (done, made) = sync_channel(0);
    let making = move || {
        let _ = catch_unwind(AssertUnwindSafe(move || drop(done.send(make()))));
    };
    let spawned = std::thread::Builder::new().name("reopen".into()).spawn(making);
    spawned.map_err(|error| format!("no thread to open it in: {error}"))?;
    made.recv_timeout(patience).map_err(|_| format!("the driver did not come back in {} s", patience.as_secs()))
}

/// Lets go of what is left of a device. A driver may panic then, or never come back.
fn clear(executor: Box<dyn Executor>) {
    let (done, cleared) = channel();
    let clearing = move || {
        let _ = catch_unwind(AssertUnwindSafe(move || drop(executor)));
        let _ = done.send(());
    };
    if std::thread::Builder::new().name("remains".into()).spawn(clearing).is_ok() {
        let _ = cleared.recv_timeout(CLEAR_MAX);
    }
}

#[cfg(test)]
mod tests;
