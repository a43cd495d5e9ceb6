//! Processes against virtual peers of the same job, seed and speeds: whether the simulation is of the real thing.
//!
//! How fast a process trains is up to the machine, and a fast one trains on until the slowest is through. So the virtual
//! peers take the steps a second that their twins were measured at; what is compared is what follows from it.

use serde::{Deserialize, Serialize};

use super::{SimReport, VirtualRun, mean};

/// The mean accuracies may differ by so much.
pub const TWIN_ACCURACY_MAX: f64 = 0.01;
/// The mean bytes that a peer sends may differ by this share of the real ones.
pub const TWIN_BYTES_MAX: f64 = 0.1;

/// What is compared, mean over the peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TwinSide {
    /// 0 to 1.
    pub accuracy: f64,
    /// Optimizer steps.
    pub steps: f64,
    /// Own deltas.
    pub deltas_said: f64,
    /// Over its links, frames of every kind.
    pub bytes_sent: f64,
}

impl TwinSide {
    /// Of a run of processes; `None` when no peer got to its end.
    #[must_use]
    pub fn of_processes(report: &SimReport) -> Option<Self> {
        let of = |count: fn(&super::PeerReport) -> u64| mean(report.peers.iter().map(|peer| count(peer) as f64));
        Some(Self {
            accuracy: report.test_accuracy_mean?,
            steps: of(|peer| peer.steps)?,
            deltas_said: of(|peer| peer.deltas_said)?,
            bytes_sent: report.bytes_sent_mean(),
        })
    }

    /// Of a run of virtual peers.
    #[must_use]
    pub fn of_virtual(run: &VirtualRun) -> Option<Self> {
        let of = |count: fn(&super::VirtualPeer) -> u64| mean(run.peers.iter().map(|peer| count(peer) as f64));
        Some(Self {
            accuracy: run.accuracy_mean?,
            steps: of(|peer| peer.steps)?,
            deltas_said: of(|peer| peer.deltas_said)?,
            bytes_sent: run.bytes_sent_mean,
        })
    }

    /// What it sends for each delta that it says: to every neighbour, with everything else that links carry.
    #[must_use]
    pub fn bytes_a_delta(&self) -> f64 {
        self.bytes_sent / self.deltas_said.max(1.0)
    }

    fn mean(sides: &[Self]) -> Self {
        let of = |number: fn(&Self) -> f64| mean(sides.iter().map(number)).unwrap_or(0.0);
        Self {
            accuracy: of(|side| side.accuracy),
            steps: of(|side| side.steps),
            deltas_said: of(|side| side.deltas_said),
            bytes_sent: of(|side| side.bytes_sent),
        }
    }
}

/// One seed, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TwinRun {
    /// Seed of the job.
    pub seed: u64,
    /// The processes.
    pub processes: TwinSide,
    /// The virtual peers.
    pub virtual_peers: TwinSide,
}

/// All seeds. The keys are an interface: they are added to, never renamed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TwinReport {
    /// Seed by seed.
    pub runs: Vec<TwinRun>,
    /// Mean over the seeds.
    pub processes: TwinSide,
    /// Mean over the seeds.
    pub virtual_peers: TwinSide,
    /// Accuracy of the virtual peers less that of the processes.
    pub accuracy_difference: f64,
    /// Bytes that a virtual peer sends over those of a process, less 1.
    pub bytes_difference: f64,
    /// The same for a delta said.
    pub bytes_a_delta_difference: f64,
    /// Whether both are within [`TWIN_ACCURACY_MAX`] and [`TWIN_BYTES_MAX`].
    pub holds: bool,
}

impl TwinReport {
    /// Compares.
    #[must_use]
    pub fn of(runs: Vec<TwinRun>) -> Self {
        let mean_of = |side: fn(&TwinRun) -> TwinSide| TwinSide::mean(&runs.iter().map(side).collect::<Vec<_>>());
        let (processes, virtual_peers) = (mean_of(|run| run.processes), mean_of(|run| run.virtual_peers));
        let share = |found: f64, of: f64| if of > 0.0 { found / of - 1.0 } else { f64::INFINITY };
        let accuracy_difference = virtual_peers.accuracy - processes.accuracy;
        let bytes_difference = share(virtual_peers.bytes_sent, processes.bytes_sent);
        Self {
            accuracy_difference,
            bytes_difference,
            bytes_a_delta_difference: share(virtual_peers.bytes_a_delta(), processes.bytes_a_delta()),
            holds: !runs.is_empty()
                && accuracy_difference.abs() <= TWIN_ACCURACY_MAX
                && bytes_difference.abs() <= TWIN_BYTES_MAX,
            runs,
            processes,
            virtual_peers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(accuracy: f64, bytes_sent: f64) -> TwinSide {
        TwinSide { accuracy, steps: 1000.0, deltas_said: 200.0, bytes_sent }
    }

    fn report(processes: TwinSide, virtual_peers: TwinSide) -> TwinReport {
        TwinReport::of(vec![TwinRun { seed: 1, processes, virtual_peers }])
    }

    #[test]
    fn both_bounds_count_in_both_directions() {
        assert!(report(side(0.97, 1e6), side(0.975, 1.05e6)).holds);
        assert!(!report(side(0.97, 1e6), side(0.985, 1e6)).holds, "better is no agreement either");
        assert!(!report(side(0.97, 1e6), side(0.955, 1e6)).holds);
        assert!(!report(side(0.97, 1e6), side(0.97, 0.85e6)).holds);
        assert!(!report(side(0.97, 1e6), side(0.97, 1.15e6)).holds);
    }

    #[test]
    fn means_are_compared_and_nothing_agrees_with_nothing() {
        let pair = |seed, accuracy| TwinRun { seed, processes: side(0.97, 1e6), virtual_peers: side(accuracy, 1e6) };
        assert!(TwinReport::of(vec![pair(1, 0.955), pair(2, 0.985)]).holds);
        assert!(!TwinReport::of(Vec::new()).holds);
        assert!(!report(side(0.97, 0.0), side(0.97, 1e6)).holds);
    }
}
