//! What was done to a swarm of processes on purpose, and what it cost those who were left in peace.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Processes killed with SIGKILL.
    pub kills: u32,
    /// Processes started again.
    pub restarts: u32,
    /// Processes stopped with SIGSTOP.
    pub pauses: u32,
    /// Times the network was cut in two.
    pub cuts: u32,
    /// Steps a second of a peer that trains, before the first fault; null when nothing was seen of it.
    pub steps_per_second_before: Option<f64>,
    /// The same from the first fault to the last, over whoever was not killed, started or stopped just then.
    pub steps_per_second_during: Option<f64>,
    /// The second over the first.
    pub step_rate_kept: Option<f64>,
}

impl FaultReport {
    /// Whether anything was done.
    #[must_use]
    pub fn any(&self) -> bool {
        self.kills + self.restarts + self.pauses + self.cuts > 0
    }
}
