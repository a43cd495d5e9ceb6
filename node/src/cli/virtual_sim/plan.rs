//! From flags and a scenario file to plans: the scenario is the simulator's, the job under it is a job file's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use protocol::Config;
use protocol::id::PeerId;
use shaders::data::Dataset;
use shaders::engine::DeviceInfo;
use shaders::models::ModelSpec;
use sim::report::{PeerReport, SimReport};
use sim::virtual_swarm::scenario::{Expect, LearnerKind, Scenario};
use sim::virtual_swarm::{Plan, ScenarioError, Task, peer_id, validation, variants};

use super::super::args::{SIM_PEERS_DEFAULT, SimArgs};
use super::super::{engine, job as job_command, say};
use crate::config::raw::RawTraining;
use crate::config::{Data, Job, RawJob};
use crate::error::{Error, Kind};
use crate::store::bounded;

/// Largest scenario file, bytes.
const SCENARIO_BYTES_MAX: u64 = 256 * 1024;
/// Seconds that the processes must train for their twins to be as fast: a speed is a mean over the last second.
const TWIN_SECONDS_MIN: f64 = 1.0;
/// Evaluations of a run that is given in epochs.
const EVALUATIONS_MAX: u32 = 50;

/// The chosen variants of a command, for any seed.
pub(super) struct Plans {
    name: String,
    about: String,
    seeds: u64,
    variants: Vec<Variant>,
    expectations: Expectations,
    /// Data sets by source and whether for validation, loaded once.
    datasets: Mutex<BTreeMap<(String, bool), Arc<Dataset>>>,
}

struct Variant {
    name: String,
    scenario: Scenario,
    /// Flags over the variant's job.
    job: RawJob,
}

/// What must come out.
#[derive(Clone, Default)]
pub(super) struct Expectations {
    /// Of the variants that are run, said once each.
    pub(super) judged: Vec<Expect>,
    /// How many are about, or compare with, a variant that is not run.
    pub(super) left_out: usize,
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
        for (name, table, job) in variants(&text).map_err(|error| fail(&error))? {
            let scenario = scenario(args, table, file.is_some(), &fail)?;
            let mut job = RawJob::parse(&job.to_string(), &format!("{shown}, [job]"))?;
            if let (Some(data), Some(folder)) = (&job.data.path, folder) {
                job.data.path = Some(folder.join(data));
            }
            let mut job = job.over(below.clone());
            job.swarm.key = None;
            // As many shards as peers, unless somebody says otherwise.
            job.data.shards = job.data.shards.or(Some(scenario.peers.min(crate::config::job::SHARDS_MAX)));
            let mut flags = args.job_layer();
            flags.data.shards = None;
            Job::layered(flags.clone(), job.clone())?;
            found.push(Variant { name, scenario, job: flags.over(job) });
        }
        let names: Vec<String> = found.iter().map(|variant| variant.name.clone()).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        for variant in &found {
            variant.scenario.check_expectations(&known).map_err(|error| fail(&error))?;
        }
        let all: Vec<Expect> = found.iter().flat_map(|variant| variant.scenario.expect.clone()).collect();
        if let Some(chosen) = &args.variant {
            found.retain(|variant| variant.name == *chosen);
        }
        let cpu = DeviceInfo { name: "the CPU".into(), ..DeviceInfo::default() };
        let mut asked = found.iter().filter_map(|variant| variant.job.training.precision);
        if let Some(note) = asked.find_map(|precision| engine::no_f16(precision, &cpu)) {
            say::aside(&format!("note: virtual peers: {note}"))?;
        }
        let Some(first) = found.first() else {
            let chosen = args.variant.as_deref().unwrap_or_default();
            return Err(Error::new(Kind::Usage, format!("--variant {chosen:?}: {shown} has no such variant")).hint(
                if names.iter().all(|name| name.is_empty()) {
                    "it has no variants: leave the flag out".to_owned()
                } else {
                    format!("there are: {}", names.join("; "))
                },
            ));
        };
        refuse_ignored(args, &found)?;
        let scenario = &first.scenario;
        let (name, about, seeds) = (scenario.name.clone(), scenario.about.clone(), scenario.seeds);
        let expectations = expectations(all, &found);
        let plans = Self { name, about, seeds, variants: found, expectations, datasets: Mutex::default() };
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

    /// See [`Expectations`].
    pub(super) fn expectations(&self) -> Expectations {
        self.expectations.clone()
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
        scenario.check().and_then(|()| scenario.check_arrivals()).map_err(|error| {
            let of = if name.is_empty() { String::new() } else { format!("variant {name:?}: ") };
            Error::new(Kind::Input, format!("{of}{error}")).hint("the keys are explained in docs/scenarios.md")
        })?;
        check_graph(&job, scenario.peers)?;
        Ok(assemble(name.clone(), scenario, &job, task))
    }

    fn dataset(&self, job: &Job, for_validation: bool) -> Result<Arc<Dataset>, Error> {
        let source = match &job.data {
            Data::Embedded(name) if job.model.kind() != "lm" => name.clone(),
            Data::Embedded(name) => format!("{name} for {:?}", job.model),
            // Windows of a text are as long as the model reads.
            Data::Folder(path) => match &job.model {
                ModelSpec::Lm(lm) => format!("{} in windows of {}", path.display(), lm.context),
                _ => path.display().to_string(),
            },
        };
        let poisoned = || Error::new(Kind::Internal, "a thread of the simulator died");
        let mut datasets = self.datasets.lock().map_err(|_| poisoned())?;
        // How it is read, and which part is held out.
        let source = format!("{source}, {:?}, {}", job.reading, job.seed);
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

/// The scenario with `--peers` laid over it. What is wrong only with that is the flag's fault.
fn scenario(
    args: &SimArgs,
    table: toml::Table,
    from_file: bool,
    fail: &impl Fn(&ScenarioError) -> Error,
) -> Result<Scenario, Error> {
    let mut over = table.clone();
    match args.peers.or_else(|| (!from_file).then_some(SIM_PEERS_DEFAULT)) {
        Some(peers) => drop(over.insert("peers".into(), i64::from(peers).into())),
        None => return Scenario::from_table(table).map_err(|error| fail(&error)),
    }
    Scenario::from_table(table).map_err(|error| fail(&error))?;
    Scenario::from_table(over).map_err(|error| {
        let peers = args.peers.unwrap_or(SIM_PEERS_DEFAULT);
        Error::new(Kind::Usage, format!("with --peers {peers}: {error}"))
            .hint("leave --peers out, or change the scenario")
    })
}

/// The expectations that can be judged among these variants.
fn expectations(all: Vec<Expect>, variants: &[Variant]) -> Expectations {
    let there = |name: &String| variants.iter().any(|variant| variant.name == *name);
    let mut found = Expectations::default();
    let mut known: Vec<Expect> = Vec::new();
    for expect in all {
        if known.contains(&expect) {
            continue;
        }
        known.push(expect.clone());
        let others = variants.iter().any(|variant| expect.references().all(|name| *name != variant.name));
        let about = expect.variant.as_ref().map_or(others, there);
        if about && expect.references().all(there) { found.judged.push(expect) } else { found.left_out += 1 }
    }
    found
}

/// Flags that would change nothing are no flags of this command.
fn refuse_ignored(args: &SimArgs, variants: &[Variant]) -> Result<(), Error> {
    let device = args.common.device.as_str();
    if !["auto", "cpu"].contains(&device) {
        let message = format!("--device {device}: virtual peers train on the CPU, whatever there is");
        return Err(Error::new(Kind::Usage, message).hint("leave it out, or simulate processes: without --virtual"));
    }
    if variants.iter().any(|variant| variant.scenario.learner == LearnerKind::Train) {
        return Ok(());
    }
    let given = [
        ("--epochs", args.epochs.is_some()),
        ("--model", args.model.is_some()),
        ("--lr", args.lr.is_some()),
        ("--batch", args.batch.is_some()),
        ("--optimizer", args.optimizer.is_some()),
        ("--split", args.split.is_some()),
        ("--data", args.common.data.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) => {
            Err(Error::new(Kind::Usage, format!("{flag}: the peers of this scenario learn a quadratic, and have none"))
                .hint(
                    "the scenario says `learner = \"quadratic\"`: its numbers are steps, evaluations and [quadratic]",
                ))
        }
        None => Ok(()),
    }
}

/// The rule `fixed` wants a graph of peers that there are.
fn check_graph(job: &Job, peers: u32) -> Result<(), Error> {
    if job.partner_graph.is_empty() {
        return Ok(());
    }
    let there: BTreeSet<PeerId> = (0..peers).map(peer_id).collect();
    let ends = job.partner_graph.iter().flat_map(|&(a, b)| [a, b]);
    match ends.into_iter().find(|id| !there.contains(id)) {
        Some(id) => Err(Error::new(
            Kind::Input,
            format!("gossip.partner_graph: {id} is none of the {peers} virtual peers"),
        )
        .hint(
            "their ids are the same in every run: `--json` of a run with another partner rule has them as peers[].id",
        )),
        None => Ok(()),
    }
}

fn assemble(variant: String, scenario: Scenario, job: &Job, task: Task) -> Plan {
    Plan {
        variant,
        scenario,
        config: Config { gossip: job.gossip(), trust: job.trust(), ..Config::default() },
        graph: job.partner_graph.clone(),
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
    if seconds < TWIN_SECONDS_MIN {
        let message = format!(
            "the processes trained for {seconds:.2} s: too short to say how fast they are, at least {TWIN_SECONDS_MIN} s are needed"
        );
        return Err(Error::new(Kind::Usage, message).hint(format!("--epochs trains longer, this was {epochs}")));
    }
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
    bounded::read_text(path, SCENARIO_BYTES_MAX).map_err(|error| {
        Error::new(Kind::Input, format!("cannot read the scenario {}: {error}", path.display()))
            .hint("sim/scenarios/ has examples")
    })
}
