//! Every variant with every seed, on threads of their own, until all are done or somebody has asked to stop.
//!
//! A run looks for the wish to stop between two events. One event may take minutes (a large model's steps), so after a signal
//! nobody waits for ever: what has ended by then is the report, and the threads end with the process.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sim::report::VirtualRun;
use sim::virtual_swarm::{self, Plan, Until};

use super::super::signals;
use super::plan::Plans;
use crate::config::checks::SEED_MAX;
use crate::error::{Error, Kind};
use crate::platform::thread_cpu_s;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);
/// How often it is looked whether somebody wants to stop.
const LOOK: Duration = Duration::from_millis(50);
/// Ticks of the progress bar for one run.
const RUN_TICKS: f64 = 1000.0;
/// After a signal the runs may take so long to come to their report; after a second one nobody waits for them.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Exit code after a third signal.
const EXIT_INTERRUPTED: i32 = 130;

/// So many signals have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicU32>);

impl Stop {
    /// From now on ctrl-c is a wish: the first asks the runs to end, the second waits for none of them, the third ends the process.
    pub(super) fn on_signals() -> Result<Self, Error> {
        let stop = Self::default();
        let signalled = stop.clone();
        signals::watch(move |count| {
            signalled.0.store(count, Ordering::Relaxed);
            if count > 2 {
                std::process::exit(EXIT_INTERRUPTED);
            }
        })?;
        Ok(stop)
    }

    pub(super) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    fn urgent(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

/// So many seeds, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seeds {
    pub(super) first: u64,
    pub(super) count: u64,
}

impl Seeds {
    /// # Errors
    /// Seeds that no job file can name.
    pub(super) fn new(first: u64, count: u64) -> Result<Self, Error> {
        match first.checked_add(count.saturating_sub(1)) {
            Some(last) if last <= SEED_MAX => Ok(Self { first, count }),
            _ => Err(Error::new(
                Kind::Usage,
                format!("--seeds: {count} from {first} on, and the last seed there is, is {SEED_MAX}"),
            )
            .hint("begin with a smaller one")),
        }
    }
}

/// What all threads share.
struct Work {
    plans: Plans,
    /// Variant and seed.
    jobs: Vec<(usize, u64)>,
    next: AtomicUsize,
    until: Until,
    stop: Stop,
    /// One has failed: the others need not go on.
    failed: AtomicBool,
    bar: ProgressBar,
}

enum News {
    Run(usize, Box<VirtualRun>),
    Failed(Error),
}

/// The runs that came to an end, in order, and how many did not; at most `threads` at a time.
pub(super) fn run_all(
    plans: Plans,
    seeds: Seeds,
    until: Until,
    stop: &Stop,
    threads: usize,
) -> Result<(Vec<VirtualRun>, usize), Error> {
    let most = threads.min(plans.runs_at_a_time().unwrap_or(threads));
    let each = |variant| (0..seeds.count).map(move |i| (variant, seeds.first + i));
    let jobs: Vec<(usize, u64)> = (0..plans.variants()).flat_map(each).collect();
    let (all, bar) = (jobs.len(), bar(jobs.len()));
    let next = AtomicUsize::new(0);
    let work = Arc::new(Work { plans, jobs, next, until, stop: stop.clone(), failed: AtomicBool::new(false), bar });
    let (sender, news) = channel();
    for _ in 0..most.min(all).max(1) {
        let (work, sender) = (Arc::clone(&work), sender.clone());
        thread::spawn(move || work.take_turns(&sender));
    }
    drop(sender);

    let (mut done, mut failure, mut asked) = (Vec::new(), None, None);
    loop {
        match news.recv_timeout(LOOK) {
            Ok(News::Run(order, run)) => done.push((order, *run)),
            Ok(News::Failed(error)) => drop(failure.get_or_insert(error)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let waited = stop.requested().then(|| asked.get_or_insert_with(Instant::now).elapsed());
        if stop.urgent() || waited.is_some_and(|waited| waited > STOP_MAX) {
            break;
        }
    }
    work.bar.finish_and_clear();
    if let Some(error) = failure {
        return Err(error);
    }
    let missing = all - done.len();
    if missing > 0 && !stop.requested() {
        return Err(Error::new(Kind::Internal, "a thread of the simulator died"));
    }
    done.sort_by_key(|(order, _)| *order);
    Ok((done.into_iter().map(|(_, run)| run).collect(), missing))
}

impl Work {
    fn take_turns(&self, news: &Sender<News>) {
        while !self.over() {
            let order = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&(variant, seed)) = self.jobs.get(order) else { return };
            let found = match self.plans.plan(variant, seed) {
                Ok(plan) => News::Run(order, Box::new(self.run_one(&plan, seed))),
                Err(error) => {
                    self.failed.store(true, Ordering::Relaxed);
                    News::Failed(error)
                }
            };
            if news.send(found).is_err() {
                return;
            }
        }
    }

    fn over(&self) -> bool {
        self.stop.requested() || self.failed.load(Ordering::Relaxed)
    }

    fn run_one(&self, plan: &Plan, seed: u64) -> VirtualRun {
        let mut shown = 0;
        let before = thread_cpu_s();
        let mut run = virtual_swarm::run(plan, seed, self.until, &mut |progress| {
            let ticks = (RUN_TICKS * progress.share) as u64;
            if ticks > shown {
                self.bar.inc(ticks - shown);
                shown = ticks;
            }
            !self.over()
        });
        run.cpu_s = before.zip(thread_cpu_s()).map(|(before, after)| after - before);
        self.bar.inc(RUN_TICKS as u64 - shown.min(RUN_TICKS as u64));
        run
    }
}

/// On a terminal a bar with the time left; elsewhere nothing.
fn bar(runs: usize) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(runs as u64 * RUN_TICKS as u64), target);
    let template = format!("{runs} runs {{bar:40}} {{percent}} %  {{elapsed}}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_end_where_a_job_file_ends() {
        assert!(Seeds::new(SEED_MAX, 1).is_ok());
        assert!(Seeds::new(SEED_MAX, 2).is_err());
        assert!(Seeds::new(u64::MAX, 1).is_err());
        assert!(Seeds::new(u64::MAX, u64::MAX).is_err());
    }
}
