//! `starling device profile`: where the time of a training step goes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use shaders::engine::{Reference, Timed};

use super::args::DeviceProfileArgs;
use super::files::JsonTarget;
use super::{device, engine, say};
use crate::error::Error;

/// All dispatches of one kernel in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Row {
    dispatches: usize,
    seconds: f64,
    flops: u64,
    bytes: u64,
}

/// What Chrome's and Perfetto's trace viewers read: the object form of the Trace Event Format.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    trace_events: Vec<TraceEvent>,
    display_time_unit: &'static str,
}

/// An event of it: microseconds.
#[derive(Debug, Serialize)]
struct TraceEvent {
    name: &'static str,
    cat: &'static str,
    /// `X`: from here for so long; `M`: a name of a process or thread.
    ph: &'static str,
    ts: f64,
    dur: f64,
    pid: u32,
    tid: u32,
    args: serde_json::Value,
}

pub(super) fn run(args: &DeviceProfileArgs) -> Result<(), Error> {
    let job = device::read(&args.job)?;
    let trace_file = JsonTarget::new("--trace", args.trace.as_deref())?;
    let profile = engine::profile(&job, (&args.job.device, usize::from(args.threads)), args.steps)?;
    // With the trace on standard output, people read standard error.
    let tell = |line: &str| if trace_file.is_stdout() { say::aside(line) } else { say::line(line) };
    for line in lines(&profile.step, profile.reference) {
        tell(&line)?;
    }
    tell(&format!(
        "on {}; a step of {} samples takes {:.3} ms by its dispatches, {:.3} ms when nobody measures",
        profile.device,
        job.batch,
        1e3 * profile.step.iter().map(|timed| timed.seconds).sum::<f64>(),
        1e3 * profile.unmeasured,
    ))?;
    trace_file.write(&trace(&profile.device, &profile.step))
}

/// The kernels of a step, the longest first.
fn rows(step: &[Timed]) -> Vec<(&'static str, Row)> {
    let mut rows: BTreeMap<&'static str, Row> = BTreeMap::new();
    for timed in step {
        let row = rows.entry(timed.kernel).or_default();
        row.dispatches += 1;
        row.seconds += timed.seconds;
        row.flops += timed.cost.flops;
        row.bytes += timed.cost.bytes;
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
    rows
}

fn lines(step: &[Timed], reference: Reference) -> Vec<String> {
    let all: f64 = step.iter().map(|timed| timed.seconds).sum();
    let mut lines = vec![format!(
        "{:<30} {:>5} {:>10} {:>6} {:>9} {:>8} {:>9} {:>8}",
        "kernel", "calls", "ms a step", "share", "Gflop/s", "of best", "GB/s", "of copy"
    )];
    for (kernel, row) in rows(step) {
        let rate = |work: u64, best: f64| match work {
            0 => ("-".into(), "-".into()),
            _ => {
                let rate = work as f64 / row.seconds.max(1e-12);
                // Faster than from memory: from a cache.
                let mark = if rate > best { "*" } else { "" };
                (format!("{:.1}", rate / 1e9), format!("{:.0} %{mark}", 100.0 * rate / best))
            }
        };
        let (flops, of_best): (String, String) = rate(row.flops, reference.product);
        let (bytes, of_copy): (String, String) = rate(row.bytes, reference.copy);
        lines.push(format!(
            "{kernel:<30} {:>5} {:>10.4} {:>4.1} % {flops:>9} {of_best:>8} {bytes:>9} {of_copy:>8}",
            row.dispatches,
            1e3 * row.seconds,
            100.0 * row.seconds / all.max(1e-12),
        ));
    }
    lines.push(format!(
        "best product (of squares up to 4,096, f32) {:.1} Gflop/s; copy (64 MiB to 64 MiB) {:.1} GB/s",
        reference.product / 1e9,
        reference.copy / 1e9
    ));
    if lines.iter().any(|line| line.contains("%*")) {
        lines.push("* faster than that: what it reads and writes is small and stays in the device's cache".into());
    }
    lines
}

/// One step, its dispatches one after the other.
fn trace(device: &str, step: &[Timed]) -> Trace {
    let named = |name, value: &str| TraceEvent {
        name,
        cat: "__metadata",
        ph: "M",
        ts: 0.0,
        dur: 0.0,
        pid: 1,
        tid: 1,
        args: json!({ "name": value }),
    };
    let mut ts = 0.0;
    let event = |timed: &Timed| {
        let dur = 1e6 * timed.seconds;
        let args = json!({ "flops": timed.cost.flops, "bytes": timed.cost.bytes });
        let event = TraceEvent { name: timed.kernel, cat: "kernel", ph: "X", ts, dur, pid: 1, tid: 1, args };
        ts += dur;
        event
    };
    let names = [named("process_name", "starling device profile"), named("thread_name", device)];
    Trace { trace_events: names.into_iter().chain(step.iter().map(event)).collect(), display_time_unit: "ms" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use shaders::kernels::Cost;

    use super::*;

    fn step() -> Vec<Timed> {
        let timed = |kernel, seconds, flops, bytes| Timed { kernel, seconds, cost: Cost { flops, bytes } };
        vec![timed("b", 0.001, 2_000_000, 1000), timed("a", 0.004, 0, 4_000_000), timed("b", 0.001, 2_000_000, 1000)]
    }

    #[test]
    fn kernels_are_summed_up_and_held_against_the_best() {
        let found = lines(&step(), Reference { copy: 4e9, product: 4e9 });
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&found[1]), ["a", "1", "4.0000", "66.7", "%", "-", "-", "1.0", "25", "%"]);
        assert_eq!(words(&found[2])[..7], ["b", "2", "2.0000", "33.3", "%", "2.0", "50"]);
    }

    #[test]
    fn what_is_faster_than_memory_is_marked() {
        let found = lines(&step(), Reference { copy: 0.5e9, product: 4e9 });
        assert!(found[1].ends_with("200 %*") && found.last().is_some_and(|line| line.contains("cache")), "{found:?}");
        let found = lines(&step(), Reference { copy: 4e9, product: 4e9 });
        assert!(!found.join("\n").contains('*'), "{found:?}");
    }

    #[test]
    fn a_trace_has_each_dispatch_behind_the_one_before() {
        let found = serde_json::to_value(trace("a device", &step())).unwrap();
        let events = found["traceEvents"].as_array().unwrap();
        let of = |kind: &str| events.iter().filter(|event| event["ph"] == kind).collect::<Vec<_>>();
        let kernels: Vec<_> = of("X").iter().map(|event| (event["name"].clone(), event["ts"].as_f64())).collect();
        let expected = [("b", 0.0), ("a", 1000.0), ("b", 5000.0)];
        assert_eq!(kernels, expected.map(|(name, ts)| (name.into(), Some(ts))));
        assert!(of("X").iter().all(|event| event["dur"].is_f64() && event["args"]["bytes"].is_u64()));
        assert_eq!(of("M").iter().map(|event| event["args"]["name"].clone()).collect::<Vec<_>>()[1], "a device");
    }
}
