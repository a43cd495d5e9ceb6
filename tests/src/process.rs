//! What processes take, from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// What one process took at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Since the first look, seconds.
    pub at_s: f64,
    /// Resident memory, KiB.
    pub memory_kib: u64,
    /// Threads.
    pub threads: u64,
    /// Open files and sockets.
    pub descriptors: usize,
}

/// Looks every few seconds at those children of `launcher` whose command lines hold one of `names`.
#[must_use]
pub fn watch(launcher: u32, names: &[&str], length: Duration) -> BTreeMap<String, Vec<Sample>> {
    let begun = Instant::now();
    let mut seen: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    while begun.elapsed() < length {
        for (pid, line) in children(launcher) {
            if let Some(name) = names.iter().find(|name| line.contains(**name))
                && let Some(sample) = sample(pid, begun)
            {
                seen.entry((*name).to_owned()).or_default().push(sample);
            }
        }
        std::thread::sleep(LOOK);
    }
    seen
}

/// How fast memory grows, by least squares.
#[must_use]
pub fn slope_mib_an_hour(samples: &[Sample]) -> f64 {
    let n = samples.len() as f64;
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / n;
    let (at, memory) = (mean(|s| s.at_s), mean(|s| s.memory_kib as f64));
    let product: f64 = samples.iter().map(|s| (s.at_s - at) * (s.memory_kib as f64 - memory)).sum();
    let square: f64 = samples.iter().map(|s| (s.at_s - at).powi(2)).sum();
    product / square / 1024.0 * 3600.0
}

fn children(launcher: u32) -> Vec<(u32, String)> {
    let path = format!("/proc/{launcher}/task/{launcher}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    let line =
        |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).map(|line| String::from_utf8_lossy(&line).into_owned());
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter_map(|pid| Some((pid, line(pid).ok()?)))
        .collect()
}

fn sample(pid: u32, begun: Instant) -> Option<Sample> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some(Sample {
        at_s: begun.elapsed().as_secs_f64(),
        memory_kib: field("VmRSS:")?,
        threads: field("Threads:")?,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count(),
    })
}
