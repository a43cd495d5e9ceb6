//! What goes wrong: at a given time, by churn, or by chance.

use serde::{Deserialize, Serialize};

/// Something that happens to some peers at some time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// When, seconds.
    pub at_s: f64,
    /// What.
    pub action: Action,
    /// To whom.
    #[serde(default)]
    pub peers: Vec<u32>,
    /// Undone after so many seconds (a cut heals, a paused or killed peer comes back); without it, never.
    #[serde(default)]
    pub for_s: Option<f64>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// No goodbye. Comes back, if at all, with nothing but its identity.
    Kill,
    /// As `kill`, to whoever are the delegates of their groups at that moment: as many as `peers` names, all when it names none.
    KillDelegates,
    /// No goodbye. Comes back with what was on its disk: base and chains of the last save.
    Crash,
    /// Leaves in good order, and comes back with nothing.
    Leave,
    /// Stands still (SIGSTOP); what arrives meanwhile waits.
    Pause,
    /// These peers are cut off from all others.
    Cut,
    /// So many new peers join (their number is that of `peers`).
    Join,
    /// Messages are lost at this moment and for `for_s` seconds: all of them.
    Silence,
}

impl Action {
    /// As a scenario names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillDelegates => "kill_delegates",
            Self::Crash => "crash",
            Self::Leave => "leave",
            Self::Pause => "pause",
            Self::Cut => "cut",
            Self::Join => "join",
            Self::Silence => "silence",
        }
    }
}

/// Peers that come and go all the time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// Share of the swarm that is killed in a minute.
    pub per_minute: f64,
    /// How long one is away, seconds, on average.
    pub away_s: f64,
    /// From when on, seconds.
    #[serde(default)]
    pub from_s: f64,
    /// Until when; without it, until the end.
    #[serde(default)]
    pub to_s: Option<f64>,
}

/// Random faults of every kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chaos {
    /// Mean time between two faults, seconds.
    pub every_s: f64,
    /// Until when, seconds; then everything heals.
    pub to_s: f64,
    /// Longest time a fault lasts, seconds.
    #[serde(default = "Chaos::lasts")]
    pub lasts_s: f64,
}

impl Chaos {
    fn lasts() -> f64 {
        3.0
    }
}
