//! A scenario file: a swarm, a network, what goes wrong, and what must come out.
//!
//! ```toml
//! name = "partition"
//! about = "two halves with different classes, cut for a while"
//! peers = 8
//! learner = "train"            # the job's model on the CPU; or "quadratic"
//! steps = 2000                 # optimizer steps of every peer
//! [job.data]                   # a job file under [job]
//! split = "dirichlet:0.1"
//! [network]
//! latency_ms = 5
//! [[faults]]
//! at_s = 10
//! action = "cut"
//! peers = [0, 1, 2, 3]
//! for_s = 6
//! [[variants]]                 # each one laid over what stands above
//! name = "uncut"
//! faults = []
//! [[expect]]
//! metric = "accuracy_mean"
//! at_least = -0.01
//! relative_to = "uncut"
//! ```
//!
//! Times are seconds of virtual time; shares and chances are 0 to 1.

mod bounds;

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::attackers::AttackerSpec;
use super::faults::{Chaos, Churn, FaultSpec};
use super::network::NetworkSpec;

/// Most peers of a virtual swarm.
pub const PEERS_MAX: u32 = 100_000;
/// Most seeds of one command.
pub const SEEDS_MAX: u64 = 1_000_000;

/// What a scenario file says, one variant laid over it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// For people and reports.
    pub name: String,
    /// One sentence.
    pub about: String,
    /// How many there are from the beginning.
    pub peers: u32,
    /// Seeds that are run where the command names none: 1, 2, ...
    pub seeds: u64,
    /// Runs that go at the same time at most: a large swarm fills the memory. 0: one a core.
    pub runs_at_a_time: usize,
    /// What a peer computes.
    pub learner: LearnerKind,
    /// The quadratic learner's numbers.
    pub quadratic: QuadraticSpec,
    /// Optimizer steps of a peer of speed 1; a faster one takes more in the same time.
    pub steps: u64,
    /// Evaluations over the whole run.
    pub evaluations: u32,
    /// Virtual time of an optimizer step, milliseconds.
    pub step_ms: f64,
    /// The same for peers 0, 1, ... one by one, as measured elsewhere; whoever is not named takes `step_ms`.
    pub step_ms_each: Vec<f64>,
    /// Sigma of the log-normal distribution of speeds; 0: all are equally fast.
    pub speed_sigma: f64,
    /// Every peer's clock is off by up to this much, seconds.
    pub clock_skew_s: f64,
    /// Share of the peers that cannot be dialled, but dial (address translation).
    pub unreachable_share: f64,
    /// Neighbours a peer dials up to; 0: as the job has it.
    pub neighbours: usize,
    /// Peers that one peer remembers; 0: as the protocol has it.
    pub members: usize,
    /// Bytes of deltas that a peer retains; 0: as the protocol has it.
    pub log_bytes: usize,
    /// Evaluate on a tenth of the training data instead of the test split: for the choice of settings.
    pub validation: bool,
    /// Seconds that the last agreement may take.
    pub agree_s: f64,
    /// Peers of the first moment that come one after the other over so many seconds.
    pub arrive_over_s: f64,
    /// The network.
    pub network: NetworkSpec,
    /// What goes wrong, and when.
    pub faults: Vec<FaultSpec>,
    /// Peers that come and go.
    pub churn: Option<Churn>,
    /// Faults at random.
    pub chaos: Option<Chaos>,
    /// Peers that lie.
    pub attackers: Vec<AttackerSpec>,
    /// Whether honest peers suspect, vote and exclude.
    pub trust: bool,
    /// Test loss, nats a sample, at which steps are counted.
    pub target_loss: Option<f64>,
    /// What must come out.
    pub expect: Vec<Expect>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "default".into(),
            about: String::new(),
            peers: 8,
            seeds: 1,
            runs_at_a_time: 0,
            learner: LearnerKind::Train,
            quadratic: QuadraticSpec::default(),
            steps: 1000,
            evaluations: 20,
            step_ms: 10.0,
            step_ms_each: Vec::new(),
            speed_sigma: 0.0,
            clock_skew_s: 0.0,
            unreachable_share: 0.0,
            neighbours: 0,
            members: 0,
            log_bytes: 0,
            validation: false,
            agree_s: 60.0,
            arrive_over_s: 0.0,
            network: NetworkSpec::default(),
            faults: Vec::new(),
            churn: None,
            chaos: None,
            attackers: Vec::new(),
            trust: true,
            target_loss: None,
            expect: Vec::new(),
        }
    }
}

/// What a peer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearnerKind {
    /// The job's model, on the CPU executor.
    Train,
    /// A quadratic with a known optimum.
    Quadratic,
}

/// Numbers of the quadratic learner; see [`super::quadratic`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuadraticSpec {
    /// d.
    pub parameters: usize,
    /// How far the peers' own optima lie apart.
    pub spread: f32,
    /// Standard deviation of the gradient's noise.
    pub noise: f32,
    /// Learning rate.
    pub learning_rate: f32,
}

impl Default for QuadraticSpec {
    fn default() -> Self {
        Self { parameters: 512, spread: 0.3, noise: 0.1, learning_rate: 0.02 }
    }
}

/// A bound on a number of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Which number; see [`crate::report::VirtualRun::metric`].
    pub metric: String,
    /// Of which variant; every one when left out.
    #[serde(default)]
    pub variant: Option<String>,
    /// Subtract that of this variant first, seed by seed.
    #[serde(default)]
    pub relative_to: Option<String>,
    /// Divide by that of this variant first, seed by seed.
    #[serde(default)]
    pub ratio_to: Option<String>,
    /// How much of the way from the first of these variants to the second it goes, seed by seed: 0 is the first, 1 the second.
    #[serde(default)]
    pub gap: Option<[String; 2]>,
    /// Lower bound.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// Upper bound.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// Whether every seed must hold it, and not only the mean over the seeds.
    #[serde(default)]
    pub every_seed: bool,
}

impl Expect {
    /// The variants that it compares with.
    pub fn references(&self) -> impl Iterator<Item = &String> {
        self.relative_to.iter().chain(&self.ratio_to).chain(self.gap.iter().flatten())
    }

    /// The same in words, behind the name of the metric; nothing where it compares with nothing.
    #[must_use]
    pub fn against(&self) -> String {
        match (&self.relative_to, &self.ratio_to, &self.gap) {
            (Some(other), ..) => format!(" less that of {other}"),
            (_, Some(other), _) => format!(" over that of {other}"),
            (.., Some([from, to])) => format!(", share of the gap from {from} to {to}"),
            _ => String::new(),
        }
    }
}

/// Why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    /// No TOML, an unknown key, a value of another type.
    #[error("{0}")]
    Toml(String),
    /// A value out of range.
    #[error("{key} = {value}: {why}")]
    Value {
        /// Which.
        key: String,
        /// As given.
        value: String,
        /// Limit and remedy.
        why: String,
    },
}

fn wrong(key: &str, value: &dyn Display, why: impl Into<String>) -> ScenarioError {
    ScenarioError::Value { key: key.into(), value: value.to_string(), why: why.into() }
}

/// The variants of a scenario file: for each its name, the scenario's table without `job`, and the job's table.
///
/// # Errors
/// What is no TOML, or has variants without a name.
pub fn variants(text: &str) -> Result<Vec<(String, toml::Table, toml::Table)>, ScenarioError> {
    let mut base: toml::Table = toml::from_str(text).map_err(|error| ScenarioError::Toml(error.to_string()))?;
    let listed = match base.remove("variants") {
        None => Vec::new(),
        Some(toml::Value::Array(list)) => list,
        Some(_) => return Err(wrong("variants", &"a value", "must be [[variants]] tables")),
    };
    if listed.is_empty() {
        let job = take_job(&mut base)?;
        return Ok(vec![(String::new(), base, job)]);
    }
    let mut found: Vec<(String, toml::Table, toml::Table)> = Vec::new();
    for variant in listed {
        let toml::Value::Table(mut over) = variant else {
            return Err(wrong("variants", &"a value", "must be [[variants]] tables"));
        };
        let Some(toml::Value::String(name)) = over.remove("name") else {
            return Err(wrong("variants.name", &"(missing)", "every variant needs one"));
        };
        if found.iter().any(|(other, ..)| *other == name) {
            return Err(wrong("variants.name", &name, "is there twice"));
        }
        let mut table = base.clone();
        lay_over(&mut table, over);
        let job = take_job(&mut table)?;
        found.push((name, table, job));
    }
    Ok(found)
}

fn take_job(table: &mut toml::Table) -> Result<toml::Table, ScenarioError> {
    match table.remove("job") {
        None => Ok(toml::Table::new()),
        Some(toml::Value::Table(job)) => Ok(job),
        Some(_) => Err(wrong("job", &"a value", "must be a table: [job.data], [job.gossip] ...")),
    }
}

/// Tables are merged, everything else is replaced.
fn lay_over(below: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(over)) => lay_over(below, over),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

impl Scenario {
    /// Reads and checks one variant.
    ///
    /// # Errors
    /// The first key that is unknown or out of range.
    pub fn from_table(table: toml::Table) -> Result<Self, ScenarioError> {
        let scenario: Self = table.try_into().map_err(|e: toml::de::Error| ScenarioError::Toml(e.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Checks that its expectations speak of variants that there are.
    ///
    /// # Errors
    /// The first one that does not, or that compares in two ways.
    pub fn check_expectations(&self, variants: &[&str]) -> Result<(), ScenarioError> {
        self.expect.iter().try_for_each(|expect| expect.check(variants))
    }

    /// Optimizer steps between two evaluations.
    #[must_use]
    pub fn steps_per_evaluation(&self) -> u32 {
        u32::try_from(self.steps / u64::from(self.evaluations)).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_variant_is_laid_over_the_rest() {
        let text = "peers = 4\n[job.gossip]\ngain = 2.0\nsteps = 5\n[network]\nlatency_ms = 5\n\
                    [[variants]]\nname = \"a\"\n[[variants]]\nname = \"b\"\npeers = 9\njob.gossip.gain = 3.0\n";
        let found = variants(text).unwrap();
        assert_eq!(found.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let scenario = |i: usize| Scenario::from_table(found[i].1.clone()).unwrap();
        assert_eq!((scenario(0).peers, scenario(1).peers), (4, 9));
        assert_eq!(found[1].2["gossip"]["gain"].as_float(), Some(3.0));
        assert_eq!(found[1].2["gossip"]["steps"].as_integer(), Some(5), "what it does not say stays");
    }

    #[test]
    fn what_is_out_of_place_is_named() {
        let error = |text: &str| {
            variants(text).and_then(|mut found| Scenario::from_table(found.remove(0).1)).unwrap_err().to_string()
        };
        assert!(error("pears = 3").contains("pears"), "{}", error("pears = 3"));
        assert!(error("peers = 0").contains("from 1 to"));
        assert!(error("step_ms_each = [1.0, 0.0]").contains("step_ms_each = 0"));
        assert!(
            error("peers = 2\n[[faults]]\nat_s = 1\naction = \"kill\"\npeers = [2]").contains("numbered from 0 to 1")
        );
        assert!(error("[[variants]]\npeers = 3").contains("needs one"));
        assert!(error("peers = 2\n[[attackers]]\nkind = \"nan\"\ncount = 2").contains("honest"));
        assert!(error("[network]\nloss = 2.0").contains("network.loss"));
    }

    #[test]
    fn an_expectation_names_variants_that_there_are_and_compares_in_one_way() {
        let said = |text: &str| {
            let found = variants(&format!("[[expect]]\n{text}")).unwrap();
            Scenario::from_table(found[0].1.clone()).unwrap().check_expectations(&["a", "b"]).map_err(|e| e.to_string())
        };
        let check = |text: &str| said(&format!("metric = \"loss_mean\"\nat_least = 1\n{text}"));
        assert_eq!(check("variant = \"a\"\nrelative_to = \"b\""), Ok(()));
        assert_eq!(check("variant = \"b\"\ngap = [\"a\", \"b\"]"), Ok(()));
        assert!(check("gap = [\"a\", \"b\"]").unwrap_err().contains("name one by variant"));
        assert!(said("metric = \"loss_mean\"").unwrap_err().contains("add at_least or at_most"));
        assert!(said("metric = \"los_mean\"\nat_least = 1").unwrap_err().contains("loss_mean"), "they are listed");
        assert!(check("variant = \"c\"").unwrap_err().contains("there are: a; b"));
        assert!(check("gap = [\"a\", \"c\"]").unwrap_err().contains("no such variant"));
        assert!(check("relative_to = \"a\"\nratio_to = \"b\"").unwrap_err().contains("keep one"));
    }
}
