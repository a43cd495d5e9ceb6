//! What changed between two reports of virtual swarms.

use std::fmt::Write as _;

use super::VirtualReport;

/// Relative difference below which a number counts as unchanged.
const SAME: f64 = 1e-9;

/// One line a number that differs, variant by variant; a line that says so when nothing does.
#[must_use]
pub fn compare(a: &VirtualReport, b: &VirtualReport) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    if a.scenario != b.scenario {
        line(format!("scenario: {} -> {}", a.scenario, b.scenario));
    }
    let (job_a, job_b) = (job(a), job(b));
    for setting in job_a.iter().filter(|setting| !job_b.contains(setting)) {
        line(format!("job: - {setting}"));
    }
    for setting in job_b.iter().filter(|setting| !job_a.contains(setting)) {
        line(format!("job: + {setting}"));
    }
    for summary in &a.summary {
        let Some(other) = b.summary.iter().find(|other| other.variant == summary.variant) else {
            line(format!("{}: only in the first", shown(&summary.variant)));
            continue;
        };
        for (name, before) in &summary.metrics {
            let Some(after) = other.metrics.get(name) else {
                line(format!("{} {name}: {} -> none", shown(&summary.variant), number(before.mean)));
                continue;
            };
            if (before.mean - after.mean).abs() <= SAME * before.mean.abs().max(after.mean.abs()) {
                continue;
            }
            let spread = format!(
                "seeds {}..{} -> {}..{}",
                number(before.min),
                number(before.max),
                number(after.min),
                number(after.max)
            );
            let change = after.mean - before.mean;
            line(format!(
                "{} {name}: {} -> {} ({}{}; {spread})",
                shown(&summary.variant),
                number(before.mean),
                number(after.mean),
                if change > 0.0 { "+" } else { "" },
                number(change)
            ));
        }
    }
    for summary in b.summary.iter().filter(|s| a.summary.iter().all(|other| other.variant != s.variant)) {
        line(format!("{}: only in the second", shown(&summary.variant)));
    }
    let same_traces = a.runs.len() == b.runs.len()
        && a.runs.iter().zip(&b.runs).all(|(a, b)| a.seed == b.seed && a.trace_hash == b.trace_hash);
    line(format!("traces: {}", if same_traces { "equal" } else { "different" }));
    out
}

fn job(report: &VirtualReport) -> Vec<String> {
    let mut settings: Vec<String> = Vec::new();
    for setting in report.runs.iter().flat_map(|run| &run.job).filter(|line| !line.starts_with("training.seed")) {
        if !settings.contains(setting) {
            settings.push(setting.clone());
        }
    }
    settings
}

fn shown(variant: &str) -> &str {
    if variant.is_empty() { "run" } else { variant }
}

/// Few digits for people.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::VirtualRun;

    fn report(accuracy: f64) -> VirtualReport {
        let run =
            VirtualRun { accuracy_mean: Some(accuracy), trace_hash: accuracy.to_string(), ..VirtualRun::default() };
        let mut report = VirtualReport { runs: vec![run], ..VirtualReport::default() };
        report.derive(&[]);
        report
    }

    #[test]
    fn it_says_what_changed_and_nothing_else() {
        let text = compare(&report(0.9), &report(0.95));
        assert!(text.contains("run accuracy_mean: 0.9000 -> 0.9500 (+0.0500"), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(compare(&report(0.9), &report(0.9)), "traces: equal\n");
    }
}
