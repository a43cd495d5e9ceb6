//! From a job to what computes it: data, model, device, learner.

use std::sync::Arc;

use protocol::learner::Learner;
use protocol::log::Context;
use protocol::schema::Schema;
use shaders::data::{self, Dataset};
use shaders::engine::{self, DeviceChoice, DeviceError, DeviceInfo, Executor};
use shaders::models::ModelSpec;
use shaders::{Footprint, LearnerSpec, Misfit, TrainingLearner};
use sim::virtual_swarm::Task;

use crate::config::{Data, Job};
use crate::driver::MakeLearner;
use crate::error::{Error, Kind};

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
    pub(super) steps_per_epoch: u32,
    /// Name of the device.
    pub(super) device: String,
    pub(super) backend: String,
    /// What the user should know of the device.
    pub(super) note: Option<String>,
    pub(super) learner: MakeLearner,
}

/// Loads the data of a job and says how large everything is.
pub(super) fn shape(job: &Job) -> Result<Shape, Error> {
    let dataset = load(job)?;
    split(job, &dataset)?;
    Ok(Shape {
        parameters: schema(job, &dataset)?.parameters(),
        training_samples: dataset.train.len(),
        test_samples: dataset.test.len(),
    })
}

/// Loads the data, takes the shard, opens the device. The learner itself is built later, on the thread that will own it.
pub(super) fn build(job: &Job, device: &str, shard: u32, order_seed: u64) -> Result<Engine, Error> {
    let dataset = Arc::new(load(job)?);
    let shard = split(job, &dataset)?.into_iter().nth(shard as usize).unwrap_or_default();
    let schema = schema(job, &dataset)?;
    let executor = open(device)?;
    let info = executor.info().clone();
    let spec = spec(job, &dataset, shard, order_seed);
    fits(&footprint(&spec, job)?, &info)?;
    Ok(Engine {
        context: Context {
            run: job.run_id(),
            schema: schema.hash(),
            parameters: schema.parameters(),
            codec: job.codec,
            limits: job.limits(),
        },
        steps_per_epoch: job.steps_per_epoch(dataset.train.len()),
        device: info.name,
        backend: info.backend,
        note: info.note,
        learner: Box::new(move || Ok(Box::new(TrainingLearner::new(spec, executor)?) as Box<dyn Learner>)),
    })
}

/// What a peer of a job takes of a device, and the device.
pub(super) fn plan(job: &Job, device: &str) -> Result<(Footprint, DeviceInfo), Error> {
    let dataset = Arc::new(load(job)?);
    let info = open(device)?.info().clone();
    Ok((footprint(&spec(job, &dataset, Vec::new(), 0), job)?, info))
}

fn spec(job: &Job, dataset: &Arc<Dataset>, shard: Vec<u32>, order_seed: u64) -> LearnerSpec {
    LearnerSpec {
        model: job.model.clone(),
        loss: job.loss,
        optimizer: job.optimizer.spec(job.learning_rate),
        schedule: job.schedule,
        clip: job.clip,
        recompute: job.recompute,
        batch: job.batch as usize,
        init_seed: job.init_seed(),
        order_seed,
        shard,
        dataset: Arc::clone(dataset),
    }
}

fn footprint(spec: &LearnerSpec, job: &Job) -> Result<Footprint, Error> {
    Footprint::of(spec, job.codec).map_err(|error| Error::new(Kind::Input, error))
}

/// An error where a job does not fit a device.
pub(super) fn fits(footprint: &Footprint, info: &DeviceInfo) -> Result<(), Error> {
    footprint.check(info).map_err(|misfit| {
        let hint = match misfit {
            Misfit::Buffer { .. } => {
                "a smaller model or batch, or another --device; `starling device plan` shows what takes how much"
            }
            Misfit::Memory { .. } => {
                "a smaller model, batch or data set; `starling device plan` shows what takes how much"
            }
        };
        Error::new(Kind::Device, misfit).hint(hint)
    })
}

/// What the virtual peers of a job compute.
pub(super) fn task(job: &Job, dataset: Arc<Dataset>) -> Result<Task, Error> {
    Ok(Task::Train {
        model: job.model.clone(),
        schema: schema(job, &dataset)?,
        optimizer: job.optimizer.spec(job.learning_rate),
        schedule: job.schedule,
        clip: job.clip,
        loss: job.loss,
        batch: job.batch as usize,
        init_seed: job.init_seed(),
        shards: Arc::new(split(job, &dataset)?),
        order_seeds: Arc::new((0..job.shards).map(|shard| job.order_seed(shard, &[])).collect()),
        dataset,
    })
}

/// The data of a job. A file is a text, whose windows are as long as the model's context.
pub(super) fn load(job: &Job) -> Result<Dataset, Error> {
    let loaded = match (&job.data, &job.model) {
        (Data::Embedded(name), _) => data::embedded(name),
        (Data::Folder(path), ModelSpec::Lm(lm)) => data::text::open(path, lm.context as usize),
        (Data::Folder(path), _) if path.is_file() => {
            let message =
                format!("{} is a file, and a model of kind {:?} reads none", path.display(), job.model.kind());
            return Err(Error::new(Kind::Input, message).hint("a folder of idx files, or kind = \"lm\" for a text"));
        }
        (Data::Folder(path), _) => data::open_folder(path),
    };
    loaded.map_err(|error| Error::new(Kind::Input, error))
}

/// The training samples of every shard.
fn split(job: &Job, dataset: &Dataset) -> Result<Vec<Vec<u32>>, Error> {
    job.split
        .shards(&dataset.train.labels, job.shards as usize, job.seed)
        .map_err(|error| Error::new(Kind::Input, error).hint("fewer shards (--peers), or more data"))
}

fn open(device: &str) -> Result<Box<dyn Executor>, Error> {
    let choice: DeviceChoice = device.parse().unwrap_or_else(|never: std::convert::Infallible| match never {});
    engine::open(&choice).map_err(|error| {
        let hint = match error {
            DeviceError::NotFound { .. } => "--device takes auto, cpu, or a part of a name",
            DeviceError::Failed(_) => "--device cpu trains without it",
        };
        Error::new(Kind::Device, error).hint(hint)
    })
}

/// Names and shapes of the parameters of a job's model on these data.
fn schema(job: &Job, dataset: &Dataset) -> Result<Schema, Error> {
    job.model.schema(&dataset.shape, dataset.classes).map_err(|error| Error::new(Kind::Input, error))
}
