//! From flags and a scenario file to plans: the scenario is the simulator's, the job under it is a job file's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use protocol::Config;
use shaders::data::Dataset;
use shaders::models::ModelSpec;
use sim::report::{PeerReport, SimReport};
use sim::virtual_swarm::scenario::{Expect, LearnerKind, Scenario};
use sim::virtual_swarm::{Plan, ScenarioError, Task, validation, variants};

use super::super::args::{SIM_PEERS_DEFAULT, SimArgs};
use super::super::{engine, job as job_command};
use crate::config::raw::RawTraining;
use crate::config::{Data, Job, RawJob};
use crate::error::{Error, Kind};

/// Largest scenario file, bytes.
const SCENARIO_BYTES_MAX: u64 = 256 * 1024;
/// Evaluations of a run that is given in epochs.
const EVALUATIONS_MAX: u32 = 50;

/// All variants of a command, for any seed.
pub(super) struct Plans {
    name: String,
    about: String,
    seeds: u64,
    variants: Vec<Variant>,
    /// Data sets by source and whether for validation, loaded once.
    datasets: Mutex<BTreeMap<(String, bool), Arc<Dataset>>>,
}

struct Variant {
    name: String,
    scenario: Scenario,
    /// Flags over the variant's job.
    job: RawJob,
}

impl Plans {
    pub(super) fn new(args: &SimArgs) -> Result<Self, Error> {
        let file = args.scenario.as_ref().and_then(|path| path.as_deref());
        let (text, shown) = match file {
            Some(path) => (read(path)?, path.display().to_string()),
            None => (String::new(), "the flags".into()),
        };
        let fail = |error: &ScenarioError| {
            Error::new(Kind::Input, format!("{shown}: {error}"))
                .hint("sim/scenarios/ has examples; the keys are explained in docs/scenarios.md")
        };
        let folder = file.and_then(Path::parent);
        let below = job_command::read(args.job.as_deref())?;
        let mut found = Vec::new();
        for (name, mut table, job) in variants(&text).map_err(|error| fail(&error))? {
            if let Some(peers) = args.peers.or_else(|| file.is_none().then_some(SIM_PEERS_DEFAULT)) {
                table.insert("peers".into(), i64::from(peers).into());
            }
            let scenario = Scenario::from_table(table).map_err(|error| fail(&error))?;
            let mut job = RawJob::parse(&job.to_string(), &format!("{shown}, [job]"))?;
            if let (Some(data), Some(folder)) = (&job.data.path, folder) {
                job.data.path = Some(folder.join(data));
            }
            let mut flags = args.job_layer();
            // As many shards as peers, unless somebody says otherwise.
            flags.data.shards = None;
            let mut job = flags.over(job).over(below.clone());
            job.data.shards = job.data.shards.or(Some(scenario.peers.min(crate::config::job::SHARDS_MAX)));
            job.swarm.key = None;
            found.push(Variant { name, scenario, job });
        }
        let names: Vec<&str> = found.iter().map(|variant| variant.name.as_str()).collect();
        for variant in &found {
            variant.scenario.check_expectations(&names).map_err(|error| fail(&error))?;
        }
        let first = &found[0].scenario;
        let (name, about, seeds) = (first.name.clone(), first.about.clone(), first.seeds.max(1));
        let plans = Self { name, about, seeds, variants: found, datasets: Mutex::default() };
        // Whatever is wrong with a variant is said before the first one runs.
        for variant in 0..plans.variants.len() {
            plans.plan(variant, 1)?;
        }
        Ok(plans)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn about(&self) -> &str {
        &self.about
    }

    pub(super) fn seeds(&self) -> u64 {
        self.seeds
    }

    /// Runs that may go at the same time, as the most modest variant has it; `None`: as many as there are cores.
    pub(super) fn runs_at_a_time(&self) -> Option<usize> {
        self.variants.iter().map(|variant| variant.scenario.runs_at_a_time).filter(|&runs| runs > 0).min()
    }

    pub(super) fn variants(&self) -> usize {
        self.variants.len()
    }

    /// What must come out, of all variants; said once each.
    pub(super) fn expectations(&self) -> Vec<Expect> {
        let mut all: Vec<Expect> = Vec::new();
        for expect in self.variants.iter().flat_map(|variant| &variant.scenario.expect) {
            if !all.contains(expect) {
                all.push(expect.clone());
            }
        }
        all
    }

    /// One variant with one seed.
    pub(super) fn plan(&self, variant: usize, seed: u64) -> Result<Plan, Error> {
        let Variant { name, scenario, job } = &self.variants[variant];
        let training = RawTraining { seed: Some(seed), ..job.training.clone() };
        let job = Job::new(RawJob { training, ..job.clone() })?;
        let mut scenario = scenario.clone();
        let task = match scenario.learner {
            LearnerKind::Quadratic => Task::Quadratic(scenario.quadratic),
            LearnerKind::Train => {
                let dataset = self.dataset(&job, scenario.validation)?;
                if let Some(epochs) = job.epochs {
                    scenario.steps = u64::from(epochs) * u64::from(job.steps_per_epoch(dataset.train.len()));
                    scenario.evaluations = epochs.min(EVALUATIONS_MAX);
                }
                engine::task(&job, &dataset, scenario.peers)?
            }
        };
        Ok(assemble(name.clone(), scenario, &job, task))
    }

    fn dataset(&self, job: &Job, for_validation: bool) -> Result<Arc<Dataset>, Error> {
        let source = match &job.data {
            Data::Embedded(name) => name.clone(),
            // Windows of a text are as long as the model reads.
            Data::Folder(path) => match &job.model {
                ModelSpec::Lm(lm) => format!("{} in windows of {}", path.display(), lm.context),
                _ => path.display().to_string(),
            },
        };
        let poisoned = || Error::new(Kind::Internal, "a thread of the simulator died");
        let mut datasets = self.datasets.lock().map_err(|_| poisoned())?;
        let key = (source, for_validation);
        if let Some(known) = datasets.get(&key) {
            return Ok(Arc::clone(known));
        }
        let whole = engine::load(job)?;
        let loaded = Arc::new(if for_validation { validation(&whole) } else { whole });
        datasets.insert(key, Arc::clone(&loaded));
        Ok(loaded)
    }
}

fn assemble(variant: String, scenario: Scenario, job: &Job, task: Task) -> Plan {
    Plan {
        variant,
        scenario,
        config: Config { gossip: job.gossip(), trust: job.trust(), ..Config::default() },
        codec: job.codec,
        limits: job.limits(),
        run: job.run_id(),
        task,
        job: job.canonical().lines().map(str::to_owned).collect(),
    }
}

/// The virtual twin of processes that ran this job: a peer for each, as fast as it was, for as many epochs.
pub(crate) fn twin(job: &Job, epochs: u32, processes: &SimReport) -> Result<Plan, Error> {
    let dataset = Arc::new(engine::load(job)?);
    let steps = u64::from(epochs) * u64::from(job.steps_per_epoch(dataset.train.len()));
    // All train until the slowest is through: its time is everybody's.
    let slowest = processes.peers.iter().filter(|peer| peer.steps_per_second > 0.0).min_by_key(|peer| peer.steps);
    let seconds = slowest.map_or(0.0, |peer| peer.steps as f64 / f64::from(peer.steps_per_second));
    let step_ms = |peer: &PeerReport| 1e3 * seconds / peer.steps.max(1) as f64;
    let step_ms_each: Vec<f64> = processes.peers.iter().map(step_ms).collect();
    let scenario = Scenario {
        name: "twin".into(),
        peers: u32::try_from(processes.peers.len()).unwrap_or(u32::MAX),
        steps,
        evaluations: epochs.clamp(1, EVALUATIONS_MAX),
        step_ms: step_ms_each.iter().copied().fold(0.0, f64::max),
        step_ms_each,
        ..Scenario::default()
    };
    scenario.check().map_err(|error| {
        Error::new(Kind::Internal, format!("the speeds of the processes make no virtual run: {error}"))
    })?;
    let task = engine::task(job, &dataset, scenario.peers)?;
    Ok(assemble(String::new(), scenario, job, task))
}

fn read(path: &Path) -> Result<String, Error> {
    let fail = |why: &dyn std::fmt::Display| {
        Error::new(Kind::Input, format!("cannot read the scenario {}: {why}", path.display()))
            .hint("sim/scenarios/ has examples")
    };
    let size = fs::metadata(path).map_err(|error| fail(&error))?.len();
    if size > SCENARIO_BYTES_MAX {
        return Err(fail(&format!("{size} bytes, a scenario has at most {SCENARIO_BYTES_MAX}")));
    }
    fs::read_to_string(path).map_err(|error| fail(&error))
}
