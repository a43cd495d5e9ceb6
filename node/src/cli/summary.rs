//! The end of a run in words.

use std::fmt::Write as _;

use sim::report::{PeerReport, SimReport, TwinReport, TwinSide, accuracy_mean};

use super::fault_words;
use super::format::{bytes, loss, percent, short};
use super::table::device;

/// The summary of a simulation, several lines.
pub(super) fn text(report: &SimReport, agreed: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "\nsummary (run {}, {} parameters)", short(Some(&report.run)), report.parameters);
    peers(&mut out, &report.peers);
    let _ =
        writeln!(out, "\naccuracy   {} on average of {}", percent(report.test_accuracy_mean), finished(&report.peers));
    if !report.no_gossip_peers.is_empty() {
        let worst = report.no_gossip_peers.iter().filter_map(|peer| peer.test_accuracy).map(f64::from).reduce(f64::min);
        let _ = writeln!(
            out,
            "           without gossip {} on average, {} at worst",
            percent(accuracy_mean(&report.no_gossip_peers)),
            percent(worst)
        );
    }
    let _ = writeln!(out, "bases      {}", bases(report, agreed));
    if report.gossip {
        let _ = writeln!(out, "traffic    {}", traffic(report));
    }
    if report.blocked.steps > 0 {
        let _ = writeln!(out, "blocked    {}", fault_words::blocked(&report.blocked));
    }
    if let Some(faults) = &report.faults {
        let _ = writeln!(out, "faults     {}", fault_words::faults(faults));
    }
    if let (Some(_), Some(seconds)) = (&report.faults, report.agreed_after_s) {
        let _ = writeln!(out, "agreed     {seconds:.2} s after the last step");
    }
    let _ = write!(
        out,
        "speed      {:.0} steps/s over all peers, {:.1} s wall time{}",
        report.steps_per_second,
        report.wall_s,
        if report.interrupted { ", stopped before the end" } else { "" }
    );
    out
}

/// Processes and their virtual twins, seed by seed.
pub(super) fn twins(report: &TwinReport) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "\n{:>6} {:<9} {:>9} {:>8} {:>8} {:>9} {:>14}",
        "seed", "peers", "accuracy", "steps", "said", "sent", "sent per said"
    );
    let mut side = |seed: &str, kind: &str, side: &TwinSide| {
        let _ = writeln!(
            out,
            "{seed:>6} {kind:<9} {:>9} {:>8.0} {:>8.0} {:>9} {:>14}",
            percent(Some(side.accuracy)),
            side.steps,
            side.deltas_said,
            bytes(side.bytes_sent),
            bytes(side.bytes_a_delta()),
        );
    };
    for run in &report.runs {
        side(&run.seed.to_string(), "processes", &run.processes);
        side("", "virtual", &run.virtual_peers);
    }
    side("mean", "processes", &report.processes);
    side("mean", "virtual", &report.virtual_peers);
    let _ = write!(
        out,
        "virtual less real: accuracy {:+.2} points, bytes sent {:+.1} %, bytes a delta {:+.1} %: {}",
        100.0 * report.accuracy_difference,
        100.0 * report.bytes_difference,
        100.0 * report.bytes_a_delta_difference,
        if report.holds { "they agree" } else { "THEY DO NOT AGREE" }
    );
    out
}

/// The end of one peer by itself, a line.
pub(super) fn peer(report: &PeerReport) -> String {
    format!(
        "{}: {} epochs, {} steps, test accuracy {}, test loss {}, said {} and heard {} deltas, sent {}, received {}, base {}",
        report.ending,
        report.epochs,
        report.steps,
        percent(report.test_accuracy.map(f64::from)),
        loss(report.test_loss),
        report.deltas_said,
        report.deltas_heard,
        bytes(report.bytes_sent as f64),
        bytes(report.bytes_received as f64),
        short(report.base_hash.as_deref()),
    ) + &began(report)
        + &blocked(report)
        + &lost(report)
        + &kept(report)
}

fn kept(report: &PeerReport) -> String {
    match (report.checkpoints, report.checkpoints_failed) {
        (0, 0) => String::new(),
        (written, 0) => format!(", checkpoints {written}"),
        (written, failed) => format!(", checkpoints {written}, {failed} could not be written"),
    }
}

/// How long it took to begin.
fn began(report: &PeerReport) -> String {
    report.first_step_s.map_or_else(String::new, |seconds| format!(", first step after {seconds:.2} s"))
}

/// How long its steps waited for the network.
fn blocked(report: &PeerReport) -> String {
    if report.blocked.steps == 0 {
        return String::new();
    }
    format!(", blocked on the network p99.9 {:.3} ms", report.blocked.p999_ms)
}

/// That a peer's device failed, where it did.
fn lost(report: &PeerReport) -> String {
    if report.devices_lost == 0 {
        return String::new();
    }
    format!(", device lost {}, now on {}", times(report.devices_lost), device(&report.device, &report.backend))
}

fn finished(peers: &[PeerReport]) -> String {
    let finished = peers.iter().filter(|peer| peer.finished()).count();
    if peers.len() == 1 {
        return "1 peer".into();
    }
    if finished == peers.len() {
        format!("{finished} peers")
    } else if finished == 0 {
        format!("none of {}: no peer got to its end", peers.len())
    } else {
        format!("the {finished} of {} peers that finished", peers.len())
    }
}

fn bases(report: &SimReport, agreed: bool) -> String {
    if !report.gossip {
        return "one of its own on every peer: they did not gossip".into();
    }
    if !report.peers.iter().any(PeerReport::finished) {
        return "unknown: no peer got to its end".into();
    }
    let first = report.peers.iter().find(|peer| peer.finished()).and_then(|peer| peer.base_hash.as_deref());
    if is_pairwise(report) {
        return "one on every peer: in this mode they come close to each other and are never equal".into();
    }
    match (report.base_hashes_equal, agreed) {
        (true, _) => format!("equal on every peer that finished: {}", short(first)),
        (false, true) => {
            "NOT EQUAL although the same deltas were heard: this is a bug in starling, please report it".into()
        }
        (false, false) => "not equal: the peers had not heard the same deltas when they were stopped".into(),
    }
}

/// Whether the peers of that run hold models of their own.
pub(super) fn is_pairwise(report: &SimReport) -> bool {
    report.job.iter().any(|line| line == "gossip.mode=pairwise")
}

fn traffic(report: &SimReport) -> String {
    let sent = bytes(report.bytes_sent_mean());
    let dense = bytes(report.dense_bytes_per_peer as f64);
    let peers = report.peers.len();
    let ratio = report.bytes_ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.1}x"));
    format!(
        "{sent} sent a peer; averaging f32 gradients at every step would have sent {dense} (ring all-reduce, \
         2 * {}/{peers} * 4 bytes a parameter and step): ratio {ratio}",
        peers.saturating_sub(1)
    )
}

fn peers(out: &mut String, peers: &[PeerReport]) {
    let _ = writeln!(
        out,
        "{:>4} {:>7} {:>6} {:>8} {:>8} {:>9} {:>6} {:>6} {:>9} {:>9}  {:<8}  device",
        "peer", "steps", "epochs", "train", "test", "accuracy", "said", "heard", "sent", "received", "base"
    );
    for peer in peers {
        let _ = writeln!(out, "{}", row(peer));
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}

fn row(peer: &PeerReport) -> String {
    let mut row = format!(
        "{:>4} {:>7} {:>6} {:>8} {:>8} {:>9} {:>6} {:>6} {:>9} {:>9}  {:<8}  {}",
        peer.index,
        peer.steps,
        peer.epochs,
        loss(peer.train_loss),
        loss(peer.test_loss),
        percent(peer.test_accuracy.map(f64::from)),
        peer.deltas_said,
        peer.deltas_heard,
        bytes(peer.bytes_sent as f64),
        bytes(peer.bytes_received as f64),
        short(peer.base_hash.as_deref()),
        device(&peer.device, &peer.backend),
    );
    if !peer.finished() {
        let _ = write!(row, ", {}", peer.ending);
    }
    if peer.devices_lost > 0 {
        let _ = write!(row, ", device lost {}", times(peer.devices_lost));
    }
    if peer.lives > 1 {
        // Steps and bytes are what all of them have cost, epochs a place in the training.
        let _ = write!(row, ", {} lives (epochs: of the last, all else of all)", peer.lives);
    }
    if let Some(deltas) = peer.caught_up_deltas {
        let _ = write!(row, ", caught up {deltas} deltas by snapshot");
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_matters() {
        let peer = PeerReport {
            ending: "finished".into(),
            base_hash: Some("1a2b3c4d5e6f".into()),
            test_accuracy: Some(0.96),
            steps: 100,
            bytes_sent: 1000,
            ..PeerReport::default()
        };
        let killed = PeerReport { ending: "killed".into(), index: 2, ..peer.clone() };
        let report = SimReport {
            peers: vec![peer.clone(), PeerReport { index: 1, ..peer.clone() }, killed],
            no_gossip_peers: vec![PeerReport { test_accuracy: Some(0.5), ..peer }],
            parameters: 1000,
            gossip: true,
            ..SimReport::default()
        };
        let text = text(&report.derive(), true);
        for part in
            ["96.0 %", "without gossip 50.0 %", "equal on every peer", "1a2b3c4d", "ratio", "killed", "2 of 3 peers"]
        {
            assert!(text.contains(part), "{part:?} is missing in:{text}");
        }
    }

    #[test]
    fn nothing_is_claimed_of_bases_that_nobody_compared() {
        let peer = |ending: &str| PeerReport { ending: ending.into(), ..PeerReport::default() };
        let report = |ending, gossip| {
            SimReport { peers: vec![peer(ending), peer(ending)], gossip, ..SimReport::default() }.derive()
        };
        let alone = text(&report("finished", false), true);
        assert!(alone.contains("they did not gossip") && !alone.to_lowercase().contains("equal"), "{alone}");
        let dead = text(&report("killed", true), true);
        assert!(dead.contains("unknown: no peer got to its end") && !dead.contains("equal"), "{dead}");
    }
}
