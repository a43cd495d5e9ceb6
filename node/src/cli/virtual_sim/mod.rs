//! `starling sim --virtual`: the same peers in virtual time, as many and as often as one likes; `starling sim compare`.

mod plan;
mod saturation;

pub(super) use plan::twin;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::time::{ClockId, clock_gettime};
use sim::report::{self, VariantSummary, VirtualReport, VirtualRun};
use sim::virtual_swarm::{self, Plan, Until};

use super::args::{CompareArgs, SeedRange, SimArgs};
use super::files::{JsonTarget, TextTarget};
use super::format::{bytes, escape};
use super::{logging, signals};
use crate::error::{Error, Kind};
use plan::Plans;
pub(super) use saturation::saturation;

/// Largest report that is read, bytes.
const REPORT_BYTES_MAX: u64 = 1 << 30;
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);
/// Ticks of the progress bar for one run.
const RUN_TICKS: f64 = 1000.0;

pub(super) fn run(args: &SimArgs) -> Result<(), Error> {
    logging::init(&args.common)?;
    let json = JsonTarget::new(args.common.json.as_deref())?;
    let html = args.html.as_deref().map(|path| TextTarget::new("--html", path)).transpose()?;
    let plans = Plans::new(args)?;
    let seeds = seeds(args, &plans)?;
    let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    signals::watch(move |count| {
        stop.store(true, Ordering::Relaxed);
        if count > 1 {
            std::process::exit(130);
        }
    })?;

    let begun = Instant::now();
    let until = Until { event: args.until };
    let mut runs = run_all(&plans, seeds, until, stop)?;
    runs.sort_by_key(|(order, _)| *order);
    let mut report = VirtualReport {
        scenario: plans.name().to_owned(),
        about: plans.about().to_owned(),
        wall_s: begun.elapsed().as_secs_f64(),
        runs: runs.into_iter().map(|(_, run)| run).collect(),
        interrupted: stop.load(Ordering::Relaxed),
        ..VirtualReport::default()
    };
    // A run that was stopped half-way says nothing about what must come out.
    let expectations = if args.until.is_some() || report.interrupted { Vec::new() } else { plans.expectations() };
    report.derive(&expectations);

    let text = describe(&report, args);
    if json.is_stdout() {
        eprint!("{text}")
    } else {
        print!("{text}")
    }
    json.write(&report)?;
    if let Some(html) = html {
        html.write(&report::html(&report))?;
    }
    verdict(&report)
}

fn seeds(args: &SimArgs, plans: &Plans) -> Result<SeedRange, Error> {
    let range = args.seeds.unwrap_or_else(|| {
        let first = args.seed.unwrap_or(1);
        let count = if args.seed.is_some() { 1 } else { plans.seeds() };
        SeedRange { first, end: first.saturating_add(count) }
    });
    if range.end - range.first > virtual_swarm::scenario::SEEDS_MAX {
        return Err(Error::new(Kind::Usage, format!("--seeds: at most {}", virtual_swarm::scenario::SEEDS_MAX)));
    }
    Ok(range)
}

/// Every variant with every seed, as many at a time as there are cores, or fewer where the scenario says so.
fn run_all(
    plans: &Plans,
    seeds: SeedRange,
    until: Until,
    stop: &AtomicBool,
) -> Result<Vec<(usize, VirtualRun)>, Error> {
    let jobs: Vec<(usize, u64)> =
        (0..plans.variants()).flat_map(|variant| (seeds.first..seeds.end).map(move |seed| (variant, seed))).collect();
    let bar = bar(jobs.len());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(plans.runs_at_a_time().unwrap_or(cores)).min(jobs.len()).max(1);
    let (next, done, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(None));
    let lock_failed = || Error::new(Kind::Internal, "a thread of the simulator died");
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let order = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&(variant, seed)) = jobs.get(order).filter(|_| !stop.load(Ordering::Relaxed)) else {
                        break;
                    };
                    match plans.plan(variant, seed) {
                        Ok(plan) => {
                            let run = run_one(&plan, seed, until, stop, &bar);
                            if let Ok(mut done) = done.lock() {
                                done.push((order, run));
                            }
                        }
                        Err(error) => {
                            stop.store(true, Ordering::Relaxed);
                            if let Ok(mut failed) = failed.lock() {
                                failed.get_or_insert(error);
                            }
                        }
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    if let Some(error) = failed.into_inner().map_err(|_| lock_failed())? {
        return Err(error);
    }
    done.into_inner().map_err(|_| lock_failed())
}

fn run_one(plan: &Plan, seed: u64, until: Until, stop: &AtomicBool, bar: &ProgressBar) -> VirtualRun {
    let mut shown = 0;
    let before = thread_cpu_s();
    let mut run = virtual_swarm::run(plan, seed, until, &mut |progress| {
        let ticks = (RUN_TICKS * progress.share) as u64;
        bar.inc(ticks.saturating_sub(shown));
        shown = shown.max(ticks);
        !stop.load(Ordering::Relaxed)
    });
    run.cpu_s = before.zip(thread_cpu_s()).map(|(before, after)| after - before);
    bar.inc(RUN_TICKS as u64 - shown.min(RUN_TICKS as u64));
    run
}

/// What this thread has computed so far, seconds.
fn thread_cpu_s() -> Option<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    Some(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
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

/// What a person reads in the end.
fn describe(report: &VirtualReport, args: &SimArgs) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    let seeds = report.runs.len() / report.summary.len().max(1);
    line(format!("{}: {} variants, {seeds} seeds, {:.1} s", report.scenario, report.summary.len(), report.wall_s));
    let width = report.summary.iter().map(|summary| summary.variant.len()).max().unwrap_or(0).max(8);
    line(format!(
        "{:<width$}  accuracy (least)  worst peer   loss     said a peer   sent a peer  x less  agreed after",
        "variant"
    ));
    for summary in &report.summary {
        line(row(summary, width));
    }
    for verdict in &report.verdicts {
        let expect = &verdict.expect;
        let reference = expect.against();
        let bound = [(">=", expect.at_least), ("<=", expect.at_most)]
            .iter()
            .filter_map(|(sign, bound)| bound.map(|bound| format!("{sign} {bound}")))
            .collect::<Vec<_>>()
            .join(" and ");
        let found = verdict.found.map_or_else(
            || "no seed has it".into(),
            |spread| format!("{:.4} ({:.4} to {:.4})", spread.mean, spread.min, spread.max),
        );
        let holds = if verdict.holds { "holds" } else { "DOES NOT HOLD" };
        let every = if expect.every_seed { " for every seed" } else { "" };
        line(format!("{holds}: {} {}{reference} {bound}{every}: {found}", verdict.variant, expect.metric));
    }
    for run in report.runs.iter().filter(|run| run.violation_count > 0) {
        let first = &run.violations[0];
        line(format!(
            "VIOLATED {} times: {} seed {} event {} at {:.3} s, peer {}: {}",
            run.violation_count,
            run.variant,
            run.seed,
            first.event,
            first.at_us as f64 / 1e6,
            first.peer,
            escape(&first.what, usize::MAX)
        ));
        line(format!("  replay: {} --seed {} --until {}", replay(args), run.seed, first.event));
    }
    if let (Some(event), Some(run)) = (args.until, report.runs.first()) {
        line(format!("stopped after event {event} at {:.6} s, trace {}", run.virtual_s, run.trace_hash));
    }
    out
}

fn row(summary: &VariantSummary, width: usize) -> String {
    let spread = |name: &str| summary.metrics.get(name);
    let number = |name: &str, digits: usize| {
        spread(name).map_or_else(|| "-".into(), |spread| format!("{:.*}", digits, spread.mean))
    };
    let least = spread("accuracy_mean").map_or_else(|| "-".into(), |spread| format!("{:.4}", spread.min));
    let size = |name: &str| spread(name).map_or_else(|| "-".into(), |spread| bytes(spread.mean));
    format!(
        "{:<width$}  {:>7} ({least:>6})  {:>9}  {:>7}  {:>11}  {:>11}  {:>6}  {:>8} s",
        if summary.variant.is_empty() { "-" } else { &summary.variant },
        number("accuracy_mean", 4),
        number("accuracy_worst", 4),
        number("loss_mean", 4),
        size("bytes_said_mean"),
        size("bytes_sent_mean"),
        number("bytes_ratio", 0),
        number("agreed_after_s", 2),
    )
}

/// The command that runs this again, up to the seed.
fn replay(args: &SimArgs) -> String {
    let scenario = args.scenario.as_ref().and_then(|path| path.as_ref());
    let file = scenario.map_or_else(String::new, |path| format!(" {}", path.display()));
    let peers = args.peers.map_or_else(String::new, |peers| format!(" --peers {peers}"));
    format!("starling sim --virtual{file}{peers}")
}

fn verdict(report: &VirtualReport) -> Result<(), Error> {
    if report.interrupted {
        return Err(Error::new(Kind::Interrupted, "stopped before the end; the report is that of what was done"));
    }
    if report.holds {
        return Ok(());
    }
    let violated = report.runs.iter().filter(|run| run.violation_count > 0).count();
    let missed = report.verdicts.iter().filter(|verdict| !verdict.holds).count();
    Err(Error::new(
        Kind::Internal,
        format!(
            "{missed} of {} expectations do not hold, {violated} runs violated an invariant",
            report.verdicts.len()
        ),
    ))
}

/// `starling sim compare A B`
pub(super) fn compare(args: &CompareArgs) -> Result<(), Error> {
    let (a, b) = (read(&args.before)?, read(&args.after)?);
    print!("{}", report::compare(&a, &b));
    Ok(())
}

fn read(path: &Path) -> Result<VirtualReport, Error> {
    let fail = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Input, format!("{}: {error}", path.display()))
            .hint("a report is what `starling sim --virtual ... --json FILE` writes")
    };
    let size = fs::metadata(path).map_err(|error| fail(&error))?.len();
    if size > REPORT_BYTES_MAX {
        return Err(fail(&format!("{size} bytes, a report has at most {REPORT_BYTES_MAX}")));
    }
    let text = fs::read_to_string(path).map_err(|error| fail(&error))?;
    let report: VirtualReport = serde_json::from_str(&text).map_err(|error| fail(&error))?;
    if report.runs.is_empty() {
        return Err(fail(&"it holds no run of a virtual swarm"));
    }
    Ok(report)
}
