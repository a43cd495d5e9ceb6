//! `starling sim --virtual`: the same peers in virtual time, as many and as often as one likes; `starling sim compare`.

mod plan;
mod runs;
mod saturation;
mod words;

pub(super) use plan::twin;

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use sim::report::{self, VirtualReport};
use sim::virtual_swarm::Until;
use sim::virtual_swarm::scenario::SEEDS_MAX;

use super::args::{CompareArgs, SimArgs};
use super::files::{JsonTarget, TextTarget};
use super::{logging, say};
use crate::error::{Error, Kind};
use crate::store::bounded;
use plan::Plans;
use runs::{Seeds, Stop};
pub(super) use saturation::saturation;
use words::Asked;

/// Largest report that is read, bytes.
const REPORT_BYTES_MAX: u64 = 1 << 30;

pub(super) fn run(args: &SimArgs) -> Result<(), Error> {
    logging::init(&args.common)?;
    let json = JsonTarget::new("--json", args.common.json.as_deref())?;
    let html = args.html.as_deref().map(|path| TextTarget::new("--html", path)).transpose()?;
    if args.html.is_some() && args.html == args.common.json {
        return Err(Error::new(Kind::Usage, "--html and --json name one file").hint("one for each"));
    }
    let stop = Stop::on_signals()?;
    let plans = Plans::new(args)?;
    let seeds = seeds(args, &plans)?;
    let (scenario, about) = (plans.name().to_owned(), plans.about().to_owned());
    let expectations = plans.expectations();

    let begun = Instant::now();
    let (runs, missing) = runs::run_all(plans, seeds, Until { event: args.until }, &stop, args.common.threads(1))?;
    let wall_s = begun.elapsed().as_secs_f64();
    let mut report =
        VirtualReport { scenario, about, wall_s, runs, interrupted: stop.requested(), ..VirtualReport::default() };
    // A run that was stopped half-way says nothing about what must come out.
    let whole = args.until.is_none() && !report.interrupted;
    if whole {
        report.derive(&expectations.judged)
    } else {
        report.derive_unjudged()
    }
    let unjudged = expectations.left_out + if whole { 0 } else { expectations.judged.len() };
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let text = words::describe(&report, &Asked { arguments: &arguments, until: args.until, missing, unjudged });
    let said = if json.is_stdout() { say::written(io::stderr().write_all(text.as_bytes())) } else { say::whole(&text) };
    // The report is worth more than the words about it.
    json.write(&report)?;
    if let Some(html) = html {
        html.write(&report::html(&report))?;
    }
    said?;
    verdict(&report)
}

fn seeds(args: &SimArgs, plans: &Plans) -> Result<Seeds, Error> {
    let (first, count) = match (args.seeds, args.seed) {
        (Some(range), _) => (range.first, range.end - range.first),
        (None, Some(seed)) => (seed, 1),
        (None, None) => (1, plans.seeds()),
    };
    if count > SEEDS_MAX {
        return Err(Error::new(Kind::Usage, format!("--seeds: {count} seeds, at most {SEEDS_MAX}")));
    }
    Seeds::new(first, count)
}

fn verdict(report: &VirtualReport) -> Result<(), Error> {
    if report.interrupted {
        return Err(Error::new(Kind::Interrupted, "stopped before the end; the report is that of what was done"));
    }
    let of_runs = |what: fn(&report::VirtualRun) -> bool| report.runs.iter().filter(|run| what(run)).count();
    let (violated, disagreed) = (of_runs(|run| run.violation_count > 0), of_runs(|run| run.disagreed));
    let missed = report.verdicts.iter().filter(|verdict| !verdict.holds).count();
    let counted = [
        (missed, format!("{missed} of {} expectations do not hold", report.verdicts.len())),
        (violated, format!("{violated} runs violated an invariant")),
        (disagreed, format!("{disagreed} runs did not come to agreement")),
    ];
    let found: Vec<String> = counted.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    if found.is_empty() {
        return Ok(());
    }
    let error = Error::new(Kind::Internal, found.join(", "));
    Err(if disagreed > 0 { error.hint("agree_s = 0 in the scenario asks for no agreement") } else { error })
}

/// `starling sim compare A B`
pub(super) fn compare(args: &CompareArgs) -> Result<(), Error> {
    let (a, b) = (read(&args.before)?, read(&args.after)?);
    say::whole(&report::compare(&a, &b))
}

fn read(path: &Path) -> Result<VirtualReport, Error> {
    let fail = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Input, format!("{}: {error}", path.display()))
            .hint("a report is what `starling sim --virtual ... --json FILE` writes")
    };
    let text = bounded::read_text(path, REPORT_BYTES_MAX).map_err(|error| fail(&error))?;
    let report: VirtualReport = serde_json::from_str(&text).map_err(|error| fail(&error))?;
    if report.runs.is_empty() {
        return Err(fail(&"it holds no run of a virtual swarm"));
    }
    Ok(report)
}
