//! Thousands of virtual peers in one thread: a discrete-event simulator over the very [`protocol::Peer`] that a node runs.
//!
//! Time is a number, the network is a queue, and everything random comes from one seed: a seed is a run, to the bit, and
//! whatever goes wrong in it goes wrong again. [`run`] takes a [`Plan`] (scenario and job, checked) and a seed, and gives a
//! [`VirtualRun`](crate::report::VirtualRun); nothing here reads a clock or a file.
//!
//! - [`scenario`]: what a scenario file says, and its variants.
//! - [`swarm`]: the loop: takes the next event, hands it to a peer, carries out what the peer wants.
//! - [`network`]: latency, jitter, bandwidth, loss, duplication, partitions, one-way reachability.
//! - [`body`]: a peer with its learner, its speed and its disk.
//! - [`faults`]: crash, restart, pause, cut, churn; [`attackers`]: peers that lie.
//! - [`checks`]: what must hold after every command that a learner has run, whatever happens.
//! - [`saturation`]: at how many peers a link is full.
//! - [`quadratic`]: a learner with a known optimum, for everything that is not about accuracy.

pub mod attackers;
mod body;
pub mod checks;
pub mod faults;
pub mod network;
mod quadratic;
pub mod saturation;
pub mod scenario;
mod swarm;
mod task;
mod trace;

pub use scenario::{Scenario, ScenarioError, variants};
use swarm::identity_seed;
pub use swarm::{Progress, Until, run};
pub use task::{Task, validation};

use protocol::Config;
use protocol::codec::Codec;
use protocol::id::{PeerId, RunId};
use protocol::trust::{Identity, Limits};

/// A scenario and a job, checked against each other: everything of a run but its seed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the variant; empty where the scenario has none.
    pub variant: String,
    /// Who, where, and what happens to them.
    pub scenario: Scenario,
    /// How they gossip. `training` is filled in from the scenario.
    pub config: Config,
    /// Edges between peers, of the partner rule `fixed`; see [`peer_id`].
    pub graph: Vec<(PeerId, PeerId)>,
    /// How deltas are said.
    pub codec: &'static dyn Codec,
    /// What no delta of the run may exceed.
    pub limits: Limits,
    /// Name of the run: signed into every delta.
    pub run: RunId,
    /// What they learn.
    pub task: Task,
    /// The job in its canonical form, for the report.
    pub job: Vec<String>,
}

/// Identity of the virtual peer of that number, the same in every run: what a graph of partners names it by.
#[must_use]
pub fn peer_id(number: u32) -> PeerId {
    Identity::from_seed(&identity_seed(number)).peer_id()
}
