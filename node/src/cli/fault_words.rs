//! What people read of the faults of a simulation.

use sim::processes::{Action, Fault, SwarmEvent};
use sim::report::{Blocked, FaultReport};

/// Whom a fault concerns, and what it was; `None` when the event is no fault.
pub(super) fn told(event: &SwarmEvent<'_>) -> Option<(Option<u32>, String)> {
    let (peer, text) = match event {
        SwarmEvent::Killed { peer } => (Some(*peer), "killed, as asked".to_owned()),
        SwarmEvent::DeviceLost { peer } => (Some(*peer), "its device is taken away, as asked".into()),
        SwarmEvent::Paused { peer } => (Some(*peer), "stopped, as asked".into()),
        SwarmEvent::Resumed { peer } => (Some(*peer), "goes on".into()),
        SwarmEvent::Restarted { peer, epochs } => {
            (Some(*peer), format!("started again with nothing, {epochs} epochs to go"))
        }
        SwarmEvent::Cut { first } => (None, format!("the network is cut: peers from {first} on are by themselves")),
        SwarmEvent::Healed => (None, "the network is one again".into()),
        SwarmEvent::TooLate { fault } => return Some(too_late(fault)),
        _ => return None,
    };
    Some((peer, text))
}

fn too_late(fault: &Fault) -> (Option<u32>, String) {
    let what = match fault.action {
        Action::Kill => "not killed",
        Action::Restart => "not started again",
        Action::LoseDevice => "its device is not taken away",
        Action::Pause => "not stopped",
        Action::Resume => "nothing to go on with",
        Action::Cut => "the network is not cut",
        Action::Heal => "the network is not mended",
    };
    let peer = (!matches!(fault.action, Action::Cut | Action::Heal)).then_some(fault.peer);
    let at = fault.at.as_secs_f64();
    (peer, format!("{what}: everyone was through before {at} s; --epochs or --duration trains longer"))
}

/// A line about what was done to the peers.
pub(super) fn faults(report: &FaultReport) -> String {
    let counted = [
        (report.kills, "killed"),
        (report.restarts, "started again"),
        (report.pauses, "stopped for a while"),
        (report.cuts, "times cut in two"),
    ];
    let mut words: Vec<String> =
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if let (Some(before), Some(during), Some(kept)) =
        (report.steps_per_second_before, report.steps_per_second_during, report.step_rate_kept)
    {
        words.push(format!(
            "those left in peace took {during:.0} steps/s each, {before:.0} before ({:.0} %)",
            100.0 * kept
        ));
    }
    if report.kills > 0 && report.step_rate_kept.is_none() {
        words.push("nobody was left in peace for long enough to say what pace the others kept".into());
    }
    words.join(", ")
}

/// A line about how long steps waited for the network.
pub(super) fn blocked(blocked: &Blocked) -> String {
    format!(
        "p50 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, at most {:.1} ms; {} of {} steps for 1 ms and more; {:.1} s in all for a core",
        blocked.p50_ms,
        blocked.p99_ms,
        blocked.p999_ms,
        blocked.max_ms,
        blocked.over_1ms,
        blocked.steps,
        blocked.unscheduled_s
    )
}
