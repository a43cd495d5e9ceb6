//! From a job to what computes it: data, model, device, learner.

mod schema;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use protocol::config::Mode;
use protocol::fixed::from_f32;
use protocol::id::{PeerId, SchemaHash};
use protocol::learner::{Learner, Progress, Saved};
use protocol::log::Context;
use shaders::data::split::SplitRule;
use shaders::data::{self, Dataset};
use shaders::engine::cpu::CpuExecutor;
use shaders::engine::products::{self, Choices, Precision};
use shaders::engine::tune::{Measured, Tuner, fitting, representatives};
use shaders::engine::{self, DeviceChoice, DeviceError, DeviceInfo, Executor, ExecutorError, Reference, Timed};
use shaders::models::network::Network;
use shaders::models::{ModelError, ModelSpec};
use shaders::{Again, Dealt, Footprint, Holds, LearnerSpec, Life, Misfit, Recovered, Recovery, Room, TrainingLearner};
use sim::virtual_swarm::Task;

use super::say;
use crate::api::Model;
use crate::config::{Data, Job};
use crate::driver::{DeviceNews, DeviceWatch, MakeLearner};
use crate::error::{Error, Kind};
use crate::store::checkpoint::{self, About};
use crate::store::tuned;

/// Sizes that follow from a job and its data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) parameters: usize,
    pub(super) training_samples: usize,
    pub(super) test_samples: usize,
}

/// What a peer computes with.
pub(super) struct Engine {
    pub(super) context: Context,
    /// What its checkpoints say of it.
    pub(super) about: About,
    pub(super) steps_per_epoch: u32,
    /// Name of the device.
    pub(super) device: String,
    pub(super) backend: String,
    /// Bytes of memory that it will take, of the device and the host together.
    pub(super) planned: u64,
    /// What the user should know of the device.
    pub(super) note: Option<String>,
    /// What its pictures are of.
    pub(super) shapes: Model,
    pub(super) learner: MakeLearner,
    /// What it is trained and tested on.
    pub(super) data: Arc<Dataset>,
    /// Of a device that can be lost.
    pub(super) watch: Option<DeviceWatch>,
}

/// As an executor names it.
const CPU_BACKEND: &str = "cpu";
/// News of a device that may wait for the driver: a device fails a few times at most.
const NEWS_MAX: usize = 16;

/// Loads the data of a job and says how large everything is.
pub(super) fn shape(job: &Job) -> Result<Shape, Error> {
    let dataset = load(job)?;
    split(job, &dataset)?;
    Ok(Shape {
        parameters: network(job, &dataset)?.parameters(),
        training_samples: dataset.train.len(),
        test_samples: dataset.test.len(),
    })
}

/// Hash of the shapes of a job's model, as peers compare it.
pub(super) fn schema(job: &Job) -> Result<SchemaHash, Error> {
    let dataset = load(job)?;
    Ok(schema::of(&network(job, &dataset)?, &dataset))
}

/// What of the data a peer trains on, and in which order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) shard: u32,
    pub(super) order_seed: u64,
    /// Whose it is.
    pub(super) us: PeerId,
    /// Of it one batch only.
    pub(super) one_batch: bool,
}

/// Steps of an epoch on one batch.
const ONE_BATCH_STEPS: u32 = 50;

/// Loads the data, takes the shard, opens the device (of the CPU so many threads). The learner itself is built later, on the thread that will
/// own it, and becomes the one that was saved, if one was.
pub(super) fn build(
    job: &Job,
    device: (&str, usize),
    part: Part,
    saved: Option<Saved>,
    (gossip, checkpoints): (bool, bool),
) -> Result<Engine, Error> {
    let mut dataset = Arc::new(load(job)?);
    let mut shard = split(job, &dataset)?.into_iter().nth(part.shard as usize).unwrap_or_default();
    if part.one_batch {
        shard.truncate(job.batch as usize);
        dataset = Arc::new(dataset.only(&shard));
        shard = (0..shard.len() as u32).collect();
    }
    let order_seed = part.order_seed;
    let mut spec = spec(job, &dataset, shard, order_seed)?;
    spec.dealt = deal_seed(job).filter(|_| !part.one_batch).map(|seed| Dealt { us: part.us, seed });
    let (executor, ignored) = open(job.precision, device.0, device.1)?;
    let info = executor.info().clone();
    let footprint = footprint(&spec, job, executor.choices(), life(job, (gossip, checkpoints), &info))?;
    fits(&footprint, &info)?;
    let planned =
        if info.free_memory.is_some() { footprint.resident() } else { footprint.device() + footprint.on_host() };
    let (recovery, watch) = if info.backend == CPU_BACKEND {
        (None, None) // Its memory is the host's own.
    } else {
        let (recovery, watch) = recovery(&info, executor.choices().clone(), footprint, device.1);
        (Some(recovery), Some(watch))
    };
    let context = Context {
        run: job.run_id(),
        schema: schema::of(&spec.model, &dataset),
        parameters: spec.model.parameters(),
        codec: job.codec,
        limits: job.limits(),
    };
    let shapes = Model { schema: spec.model.schema(), sample: dataset.shape.clone(), classes: dataset.classes };
    let about = about(job, &spec.model, &dataset);
    let data = Arc::clone(&dataset);
    let learner = move || {
        let built = match recovery {
            Some(recovery) => TrainingLearner::recovering(spec, executor, recovery),
            None => TrainingLearner::new(spec, executor),
        };
        let mut learner = built.map_err(|error| footprint.explain(error))?;
        if let Some(saved) = saved {
            learner.load(&saved)?;
        }
        Ok(Box::new(learner) as Box<dyn Learner>)
    };
    Ok(Engine {
        context,
        about,
        steps_per_epoch: if part.one_batch { ONE_BATCH_STEPS } else { job.steps_per_epoch(dataset.train.len()) },
        device: info.name,
        backend: info.backend,
        planned,
        note: both(info.note, ignored),
        shapes,
        learner: Box::new(learner),
        data,
        watch,
    })
}

/// What a checkpoint says of a job.
fn about(job: &Job, network: &Network, dataset: &Dataset) -> About {
    let lines = job.canonical().lines().map(str::to_owned).collect();
    let run = job.run_id().0.to_string();
    let mut about = About::new(run, lines, job.model.clone(), network, dataset.shape.clone(), dataset.name.clone());
    about.class_names.clone_from(&dataset.encoding.class_names);
    about.encoding.clone_from(&dataset.encoding);
    about
}

/// How a learner goes on when that device fails, and who hears of it.
fn recovery(lost: &DeviceInfo, choices: Choices, footprint: Footprint, threads: usize) -> (Recovery, DeviceWatch) {
    let (tell, news) = tokio::sync::mpsc::channel(NEWS_MAX);
    let lose = Arc::new(AtomicBool::new(false));
    let (again, name) = (lost.clone(), lost.name.clone());
    let reopen = move |which| {
        let executor: Box<dyn Executor> = match which {
            Again::Same => {
                let mut executor = engine::reopen(&again)?;
                executor.choose(choices.clone());
                executor
            }
            Again::Cpu => Box::new(CpuExecutor::measured(None, threads)),
        };
        footprint.check_again(executor.info()).map_err(|misfit| ExecutorError(misfit.to_string()))?;
        Ok(executor)
    };
    let tell = move |recovered: Recovered| {
        // A full queue is a device that fails faster than anybody reads: the first of it is told.
        let _ = tell.try_send(news_of(&name, recovered));
    };
    (Recovery { reopen: Arc::new(reopen), tell: Box::new(tell), lose: Arc::clone(&lose) }, DeviceWatch { news, lose })
}

fn news_of(lost: &str, recovered: Recovered) -> DeviceNews {
    let Recovered { why, device, same, steps, took } = recovered;
    let then = if same { "it was opened again" } else { "the CPU takes over" };
    let text = format!(
        "WARNING: {lost} failed ({why}); {then} after {:.1} s: the shared model is whole, the optimizer's moments and {steps} steps of \
         its own are lost",
        took.as_secs_f64()
    );
    DeviceNews { device: device.name, backend: device.backend, text }
}

/// What a peer of a job takes of a device, alone and with gossip, and the device.
pub(super) fn plan(job: &Job, device: &str) -> Result<([Footprint; 2], DeviceInfo), Error> {
    let dataset = Arc::new(load(job)?);
    let executor = open_aloud(job.precision, device, 1)?;
    let (spec, info) = (spec(job, &dataset, Vec::new(), 0)?, executor.info().clone());
    let of = |gossip| footprint(&spec, job, executor.choices(), life(job, (gossip, true), &info));
    Ok(([of(false)?, of(true)?], info))
}

/// What a step of a job takes.
pub(super) struct Profile {
    pub(super) device: String,
    pub(super) step: Vec<Timed>,
    pub(super) reference: Reference,
    /// Seconds of a step as it is taken in training.
    pub(super) unmeasured: f64,
}

/// Trains the first shard of a job for a few steps, and says what each kernel takes.
pub(super) fn profile(job: &Job, (device, threads): (&str, usize), steps: u32) -> Result<Profile, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(Kind::Device, error);
    let dataset = Arc::new(load(job)?);
    let shard = split(job, &dataset)?.into_iter().next().unwrap_or_default();
    let spec = spec(job, &dataset, shard, 0)?;
    let executor = open_aloud(job.precision, device, threads)?;
    let alone = life(job, (false, false), executor.info());
    fits(&footprint(&spec, job, executor.choices(), alone)?, executor.info())?;
    // On a device of its own, that is let go: what it takes is free for the learner.
    let (mut apart, _) = open(job.precision, device, threads)?;
    let reference = Reference::measure(apart.as_mut()).map_err(|error| failed(&error))?;
    drop(apart);
    let mut learner = TrainingLearner::new(spec, executor).map_err(|error| failed(&error))?;
    // The first steps compile, and fill caches. A device goes on beside the host: what it was asked for is waited for.
    let mut train = |steps| {
        let done = learner.train(steps, Progress::START).and_then(|_| learner.finish());
        done.map_err(|error| failed(&error))
    };
    train(2)?;
    let begun = Instant::now();
    train(steps)?;
    let unmeasured = begun.elapsed().as_secs_f64() / f64::from(steps);
    let step = learner.profile(steps).map_err(|error| failed(&error))?;
    Ok(Profile { device: learner.info().name.clone(), step, reference, unmeasured })
}

/// Hears of a product and its presets.
type Tell<'a> = &'a mut dyn FnMut(&DeviceInfo, &products::Shape, &[Measured]) -> Result<(), Error>;

/// Measures the presets of all products of a job; `tell` hears of each as it is known, and the caller of the device and of those that
/// it has no room for, with their bytes.
pub(super) fn tune(
    job: &Job,
    device: &str,
    tell: Tell<'_>,
) -> Result<(DeviceInfo, Vec<(products::Shape, u64)>), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(Kind::Device, error);
    let dataset = Arc::new(load(job)?);
    let spec = spec(job, &dataset, Vec::new(), 0)?;
    let mut executor = open_untuned(device, 1)?;
    if executor.info().backend == "cpu" {
        return Err(Error::new(Kind::Device, "the CPU executor has one way to multiply, and nothing to tune")
            .hint("--device NAME, see `starling device ls`"));
    }
    let products = shaders::learner::products(&spec, executor.info()).map_err(|error| failed(&error))?;
    let shapes = representatives(&products);
    let info = executor.info().clone();
    let (shapes, outside) = fitting(&shapes, &info);
    let mut tuner = Tuner::new(executor.as_mut(), &shapes).map_err(|error| failed(&error))?;
    for shape in &shapes {
        let measured = tuner.measure(executor.as_mut(), shape).map_err(|error| failed(&error))?;
        tell(&info, shape, &measured)?;
    }
    Ok((info, outside))
}

/// What a peer trains, on a shard in an order of its own.
fn spec(job: &Job, dataset: &Arc<Dataset>, shard: Vec<u32>, order_seed: u64) -> Result<LearnerSpec, Error> {
    Ok(LearnerSpec {
        model: Arc::new(network(job, dataset)?),
        optimizer: job.optimizer.spec(job.learning_rate),
        schedule: job.schedule,
        clip: job.clip,
        batch: job.batch as usize,
        init_seed: job.init_seed(),
        order_seed,
        shard,
        dealt: None,
        dataset: Arc::clone(dataset),
    })
}

/// Seed of a split that is dealt anew as peers come and go.
fn deal_seed(job: &Job) -> Option<u64> {
    (job.split == SplitRule::Rendezvous).then_some(job.seed)
}

/// What a peer of a job lives through on a device.
fn life(job: &Job, (gossip, checkpoints): (bool, bool), info: &DeviceInfo) -> Life {
    // As many edges as it looks for; what others ask for beyond, it may refuse.
    let edges = if gossip && job.mode == Mode::Pairwise { job.gossip().neighbours_target } else { 0 };
    Life { gossip, checkpoints, edges, ..Life::on(info) }
}

fn footprint(spec: &LearnerSpec, job: &Job, choices: &Choices, life: Life) -> Result<Footprint, Error> {
    Footprint::of(spec, job.codec, choices, life).map_err(|error| Error::new(Kind::Input, error))
}

/// What helps where such a buffer is too large.
fn smaller(holds: Holds) -> &'static str {
    match holds {
        Holds::Parameters => "a smaller model, or another --device",
        Holds::Data => "fewer samples, or another --device",
        Holds::Step => "a smaller batch or model, or another --device",
        Holds::Evaluation => "smaller samples or layers, or another --device",
        Holds::Delta => "a sparse gossip.codec such as top_k_2bit, a smaller model, or another --device",
    }
}

/// An error where a job does not fit a device.
pub(super) fn fits(footprint: &Footprint, info: &DeviceInfo) -> Result<(), Error> {
    footprint.check(info).map_err(|misfit| {
        let hint = match misfit {
            Misfit::Buffer { holds, .. } => smaller(holds),
            Misfit::Loops { .. } => "a smaller batch, context or layer, or --device cpu",
            Misfit::Memory { .. } => "a smaller model, batch or data set",
        };
        Error::new(Kind::Device, misfit).hint(format!("{hint}; `starling device plan` shows what takes how much"))
    })
}

/// What the virtual peers of a job compute; an error where so many of them do not fit this machine.
pub(super) fn task(job: &Job, dataset: &Arc<Dataset>, peers: u32) -> Result<Task, Error> {
    let spec = spec(job, dataset, Vec::new(), 0)?;
    let info = CpuExecutor::measured(None, 1).info().clone();
    // A virtual peer asks nobody what is free, and has all of its samples beside it.
    let alone = Life { room: Room::default(), ..life(job, (false, false), &info) };
    footprint(&spec, job, &Choices::PLAIN, alone)?.check_many(peers, &info).map_err(|misfit| {
        Error::new(Kind::Device, format!("{peers} virtual peers: {misfit}"))
            .hint("fewer peers (--peers), or a smaller model, batch or data set")
    })?;
    Ok(Task::Train {
        spec,
        shards: Arc::new(split(job, dataset)?),
        order_seeds: Arc::new((0..job.shards).map(|shard| job.order_seed(shard, &[])).collect()),
        deal: deal_seed(job),
    })
}

/// The data of a job. For a language model they are windows as long as its context.
pub(super) fn load(job: &Job) -> Result<Dataset, Error> {
    let context = match &job.model {
        ModelSpec::Lm(lm) => Some(lm.context as usize),
        _ => None,
    };
    let options = job.reading.options(job.seed, context);
    let loaded = match &job.data {
        Data::Embedded(name) => data::named(name, &options),
        Data::Folder(path) => data::open(path, &options),
    };
    let mut dataset = loaded.map_err(|error| Error::new(Kind::Input, error))?;
    dataset.augment = job.reading.augment;
    if !dataset.augment.is_none() && !matches!(dataset.shape[..], [_, _] | [_, _, _]) {
        let message = format!("data.shift and data.flip change pictures, and the samples are {:?}", dataset.shape);
        return Err(Error::new(Kind::Input, message).hint("remove them, or take a set of pictures"));
    }
    Ok(dataset)
}

/// The training samples of every shard.
fn split(job: &Job, dataset: &Dataset) -> Result<Vec<Vec<u32>>, Error> {
    dataset
        .shards(&job.split, job.shards as usize, job.seed)
        .map_err(|error| Error::new(Kind::Input, error).hint("fewer shards (--peers), or more data"))
}

/// Opens a device, and hands it what was tuned for it, or the preset of a precision; why that is ignored, where it is.
fn open(precision: Precision, device: &str, threads: usize) -> Result<(Box<dyn Executor>, Option<String>), Error> {
    let (mut executor, ignored) = open_tuned(device, threads).map_err(not_opened)?;
    let without = no_f16(precision, executor.info());
    if precision == Precision::F16 && without.is_none() && executor.info().backend != CPU_BACKEND {
        executor.choose(Choices::half(executor.info()));
        return Ok((executor, None));
    }
    Ok((executor, both(ignored, without)))
}

/// A device with what was tuned for it, and why that is ignored where it is.
pub(super) fn open_tuned(device: &str, threads: usize) -> Result<(Box<dyn Executor>, Option<String>), DeviceError> {
    let mut executor = engine::open(&choice(device), threads)?;
    if executor.info().backend == CPU_BACKEND {
        return Ok((executor, None));
    }
    let (tuned, ignored) = tuned::load(executor.info());
    executor.choose(Choices::untuned(executor.info()).with(tuned));
    Ok((executor, ignored))
}

/// What the user should know who asked for a precision that a device does not have.
pub(super) fn no_f16(precision: Precision, info: &DeviceInfo) -> Option<String> {
    let why = format!("training.precision = {:?}: {} has no f16, products are in f32", precision.name(), info.name);
    (!precision.fits(info)).then_some(why)
}

/// Two notes in one line.
fn both(first: Option<String>, second: Option<String>) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) => Some(format!("{first}; {second}")),
        (first, second) => first.or(second),
    }
}

/// For a model that is asked and not trained.
pub(super) fn open_for_answers(device: &str, threads: usize) -> Result<Box<dyn Executor>, Error> {
    open_aloud(Precision::F32, device, threads)
}

/// The same for a command that prints.
fn open_aloud(precision: Precision, device: &str, threads: usize) -> Result<Box<dyn Executor>, Error> {
    let (executor, ignored) = open(precision, device, threads)?;
    ignored.map_or(Ok(()), |why| say::aside(&format!("warning: {why}")))?;
    Ok(executor)
}

/// What `--device` says.
pub(super) fn choice(device: &str) -> DeviceChoice {
    device.parse().unwrap_or_else(|never: std::convert::Infallible| match never {})
}

fn open_untuned(device: &str, threads: usize) -> Result<Box<dyn Executor>, Error> {
    engine::open(&choice(device), threads).map_err(not_opened)
}

fn not_opened(error: DeviceError) -> Error {
    let hint = match error {
        DeviceError::NotFound { .. } => {
            "--device takes auto, cpu, or a part of a name (NAME#2: the second of that name)"
        }
        DeviceError::Failed(_) => "--device cpu trains without it",
    };
    Error::new(Kind::Device, error).hint(hint)
}

/// A job's model on these data.
fn network(job: &Job, dataset: &Dataset) -> Result<Network, Error> {
    let mut network = job.model.build(&dataset.shape, dataset.classes).map_err(|error| {
        let hint = match error {
            ModelError::Shape { .. } => "other data (data.set, data.path), or another model.kind",
            ModelError::TooLarge { .. } => "fewer or narrower layers, see [model] of the job",
            ModelError::Heads { .. } => "another model.width or model.heads",
        };
        Error::new(Kind::Input, error).hint(hint)
    })?;
    (network.loss, network.recompute) = (job.loss, job.recompute);
    if let Some(weights) = &job.class_weights {
        network.weigh_classes(&weights.of(&dataset.train.labels, dataset.classes)?);
    }
    if let Some(init) = &job.init {
        let about = about(job, &network, dataset);
        let (weights, hash) = checkpoint::weights_of(&init.path, &about, &network)?;
        if hash != init.hash.0 {
            return Err(Error::new(Kind::Input, format!("--init {}: it has changed just now", init.path.display())));
        }
        network.start = Some(weights.into_iter().map(from_f32).collect());
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_device_without_f16_computes_in_f32_and_says_so() {
        let (executor, note) = open(Precision::F16, "cpu", 1).unwrap();
        assert_eq!(executor.choices(), &Choices::PLAIN);
        let note = note.unwrap();
        assert!(note.contains("training.precision = \"f16\"") && note.contains("CPU"), "{note}");
        assert_eq!(open(Precision::F32, "cpu", 1).unwrap().1, None);
        assert_eq!(both(Some("a".into()), Some("b".into())).as_deref(), Some("a; b"));
        assert_eq!(
            [both(None, Some("b".into())), both(Some("a".into()), None)],
            ["b", "a"].map(|one| Some(one.into()))
        );
    }

    #[test]
    fn a_device_is_opened_again_beside_what_its_peer_holds() {
        let reopened = |footprint| {
            let (recovery, _) = recovery(&DeviceInfo::default(), Choices::PLAIN, footprint, 1);
            (recovery.reopen)(Again::Cpu).map(|executor| executor.info().free_memory)
        };
        // More than any machine has: on the host already, or asked for anew.
        let much = 1 << 60;
        let Ok(free) = reopened(Footprint { host: much, ..Footprint::default() }) else {
            panic!("what the peer holds is refused");
        };
        if free.is_none() {
            eprintln!("SKIPPED: how much memory is free is not known here");
            return;
        }
        let refused = reopened(Footprint { weights: much, ..Footprint::default() }).unwrap_err().to_string();
        assert!(refused.contains("of memory"), "{refused}");
    }

    #[test]
    fn a_device_with_f16_multiplies_in_it_where_that_is_asked_for() {
        if !engine::adapters().first().is_some_and(|info| info.f16) {
            eprintln!("SKIPPED: no adapter has f16");
            return;
        }
        let (executor, note) = open(Precision::F16, "auto", 1).unwrap();
        assert_eq!((executor.choices(), note), (&Choices::half(executor.info()), None));
        let (executor, _) = open(Precision::F32, "auto", 1).unwrap();
        assert_ne!(executor.choices(), &Choices::half(executor.info()));
    }
}
