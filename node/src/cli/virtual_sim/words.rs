//! What a person reads of virtual runs in the end, and the command that replays one.

use std::fmt::Write as _;

use sim::report::{VariantSummary, VirtualReport, VirtualRun};

use super::super::format::bytes;
use crate::text::escape;

/// Flags of a command that its replay does not repeat, with their values: they say which runs there are and where the output goes.
const NOT_REPEATED: &[&str] =
    &["--seed", "--seeds", "--until", "--variant", "--json", "--html", "--log", "--log-format"];

/// What `describe` needs to know of the command.
pub(super) struct Asked<'a> {
    /// The command line, without the program.
    pub(super) arguments: &'a [String],
    /// `--until`
    pub(super) until: Option<u64>,
    /// Runs that did not come to an end.
    pub(super) missing: usize,
    /// Expectations that nobody has judged.
    pub(super) unjudged: usize,
}

/// The summary.
pub(super) fn describe(report: &VirtualReport, asked: &Asked<'_>) -> String {
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
    report.summary.iter().for_each(|summary| line(row(summary, width)));
    verdicts(report, &mut line);
    if asked.unjudged > 0 {
        line(format!("not judged: {} expectations, of what was not run, or not to its end", asked.unjudged));
    }
    late_faults(report, &mut line);
    for run in report.runs.iter().filter(|run| run.disagreed) {
        let there = run.peers.iter().filter(|peer| peer.honest && peer.alive).count();
        let what = if there == 0 { "nobody lives".to_owned() } else { format!("{there} peers do not agree") };
        line(format!("{}: {what} {} s after the last step", named(run, "DISAGREEMENT"), run.agree_s));
        line(format!("  replay: {}", replay(asked.arguments, run, None)));
    }
    for run in report.runs.iter().filter(|run| run.violation_count > 0) {
        violated(run, asked, &mut line);
    }
    if let Some(event) = asked.until {
        for run in &report.runs {
            let at = if run.events >= event { "stopped" } else { "had ended before," };
            line(format!(
                "{} {at} after event {} at {:.6} s, trace {}",
                named(run, "run"),
                run.events,
                run.virtual_s,
                run.trace_hash
            ));
        }
    }
    if asked.missing > 0 {
        line(format!("{} of {} runs did not end and are left out", asked.missing, asked.missing + report.runs.len()));
    }
    out
}

fn named(run: &VirtualRun, what: &str) -> String {
    let variant = if run.variant.is_empty() { String::new() } else { format!(" {}", run.variant) };
    format!("{what}:{variant} seed {}", run.seed)
}

fn verdicts(report: &VirtualReport, line: &mut impl FnMut(String)) {
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
}

/// Once a variant: they are the same for every seed, but for one that trains longer.
fn late_faults(report: &VirtualReport, line: &mut impl FnMut(String)) {
    for summary in &report.summary {
        let late = report.runs.iter().filter(|run| run.variant == summary.variant && !run.faults_left_out.is_empty());
        if let Some(run) = late.max_by_key(|run| run.faults_left_out.len()) {
            let faults = run.faults_left_out.join(", ");
            line(format!(
                "{}: {faults} did not happen: everyone was through before; more steps train longer",
                named(run, "too late")
            ));
        }
    }
}

fn violated(run: &VirtualRun, asked: &Asked<'_>, line: &mut impl FnMut(String)) {
    let Some(first) = run.violations.first() else { return };
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
    // What is found when all is over is found by a whole run only.
    let until = (first.event < run.events || asked.until.is_some()).then_some(first.event);
    line(format!("  replay: {}", replay(asked.arguments, run, until)));
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

/// The command again, for one variant and one seed, up to an event where one is given.
fn replay(arguments: &[String], run: &VirtualRun, until: Option<u64>) -> String {
    let mut words = vec!["starling".to_owned()];
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let flag = argument.split_once('=').map_or(argument.as_str(), |(flag, _)| flag);
        if !NOT_REPEATED.contains(&flag) {
            words.push(quoted(argument));
        } else if flag == argument {
            rest.next();
        }
    }
    if !run.variant.is_empty() {
        words.extend(["--variant".into(), quoted(&run.variant)]);
    }
    words.extend(["--seed".into(), run.seed.to_string()]);
    words.extend(until.into_iter().flat_map(|event| ["--until".into(), event.to_string()]));
    words.join(" ")
}

/// As a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_repeats_what_makes_the_run_and_nothing_else() {
        let arguments = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let run = VirtualRun { variant: "it's cut".into(), seed: 7, ..VirtualRun::default() };
        let line =
            "sim --virtual a.toml --gain 2 --seeds 0..9 --json=x --peers 16 --html y --mode pairwise --job j.toml";
        assert_eq!(
            replay(&arguments(line), &run, Some(12)),
            r"starling sim --virtual a.toml --gain 2 --peers 16 --mode pairwise --job j.toml --variant 'it'\''s cut' --seed 7 --until 12"
        );
        let run = VirtualRun { seed: 3, ..VirtualRun::default() };
        let again = replay(&arguments("sim --seed 9 --virtual --until 5 --variant x"), &run, None);
        assert_eq!(again, "starling sim --virtual --seed 3");
    }

    #[test]
    fn disagreement_and_late_faults_are_said() {
        let run = VirtualRun {
            seed: 4,
            disagreed: true,
            agree_s: 5.0,
            faults_left_out: vec!["kill at 90 s".into()],
            ..VirtualRun::default()
        };
        let mut report = VirtualReport { runs: vec![run], ..VirtualReport::default() };
        report.derive(&[]);
        let asked = Asked { arguments: &["sim".into(), "--virtual".into()], until: None, missing: 2, unjudged: 1 };
        let text = describe(&report, &asked);
        for part in [
            "DISAGREEMENT: seed 4: nobody lives 5 s",
            "kill at 90 s did not happen",
            "2 of 3 runs",
            "not judged: 1",
            "--virtual --seed 4",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
