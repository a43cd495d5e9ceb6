//! What a learner takes of a device, told before it is built.
//!
//! The same code that lays out a learner lays it out on a ledger (`engine::ledger`), so that the estimate cannot drift from the
//! truth; a test holds the two together. Uploads of deltas come later in a learner's life and are estimated from one chunk.

use protocol::codec::{Codec, Decoded, Packing};
use protocol::fixed::Weight;

use super::evaluation::{self, EvaluationPass};
use super::feed::{self, Room};
use super::gossip::{self, Gossip};
use super::machine::{DeviceState, record_step};
use super::{DeviceInfo, LearnerError, LearnerSpec};
use crate::engine::ledger::Ledger;
use crate::engine::products::{Choices, Shape};
use crate::engine::{BUFFER_WORDS_MAX, Executor as _, ExecutorError};
use crate::models::network::Network;

/// Length of the residual that is encoded to see what a delta takes: a chunk of the sparse codecs.
const PROBE: usize = 4096;
/// Vectors of parameters that outlive a device (`recovery.rs`): the base, and theta - b.
const KEPT_VECTORS: u64 = 2;
/// The same where a driver computes on the CPU: the base.
const SOFTWARE_KEPT_VECTORS: u64 = 1;
/// Vectors of parameters while a snapshot comes or goes.
const SNAPSHOT_VECTORS: u64 = 2;
/// As many more while a dense delta is said: its payload, what it decodes to (values, adds).
const DENSE_VECTORS: u64 = 3;
/// Vectors of parameters of an edge of the mode `pairwise`: what is known of both ends.
const EDGE_VECTORS: u64 = 2;
/// The process itself, its program included. measured: 19 MiB with a model of 9,000 parameters, of which 3 are the model's and its data's.
const PROCESS_BYTES: u64 = 16 << 20;
/// Its network. measured: 7 MiB more.
const NETWORK_BYTES: u64 = 7 << 20;
/// A driver that computes on the CPU, and its compiler. measured: lavapipe 22.3, 79 MiB more.
const SOFTWARE_DRIVER_BYTES: u64 = 79 << 20;
const WORD_BYTES: u64 = 4;
/// Largest buffer of any device, bytes.
const BUFFER_BYTES_MAX: u64 = WORD_BYTES * (BUFFER_WORDS_MAX as u64);

/// What a learner lives through, and so takes beside its device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// It says and hears deltas, serves and takes snapshots, and its process has a network.
    pub gossip: bool,
    /// It writes checkpoints.
    pub checkpoints: bool,
    /// Edges of the mode `pairwise`; 0 in the others.
    pub edges: usize,
    /// What it runs on.
    pub device: DeviceKind,
    /// Threads of the host that its kernels run on, where it is the CPU ([`DeviceInfo::threads`]).
    pub threads: usize,
    /// What that has room for.
    pub room: Room,
}

impl Life {
    /// On a device, alone.
    #[must_use]
    pub fn on(info: &DeviceInfo) -> Self {
        Self { device: DeviceKind::of(info), threads: info.threads, room: Room::of(info), ..Self::default() }
    }

    /// The device, as far as a layout looks at it.
    fn info(&self) -> DeviceInfo {
        let backend = if self.device == DeviceKind::Cpu { "cpu" } else { "planned" };
        DeviceInfo {
            backend: backend.into(),
            software: self.device == DeviceKind::Software,
            largest_buffer: self.room.largest_buffer,
            free_memory: self.room.free,
            ..DeviceInfo::default()
        }
    }
}

/// Kinds of devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKind {
    /// The CPU executor.
    #[default]
    Cpu,
    /// A driver that computes on the CPU, and may be lost all the same.
    Software,
    /// A GPU, that may be lost.
    Gpu,
}

impl DeviceKind {
    /// Of a device.
    #[must_use]
    pub fn of(info: &DeviceInfo) -> Self {
        match info.backend.as_str() {
            "cpu" => Self::Cpu,
            _ if info.software => Self::Software,
            _ => Self::Gpu,
        }
    }
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holds {
    /// A number for each parameter.
    #[default]
    Parameters,
    /// The training split.
    Data,
    /// Samples of a step, or what a layer makes of them.
    Step,
    /// The same of an evaluation.
    Evaluation,
    /// What is said or heard.
    Delta,
}

impl std::fmt::Display for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Parameters => "a vector of all parameters",
            Self::Data => "the training split",
            Self::Step => "a batch, or what a layer makes of it,",
            Self::Evaluation => "a sample that is evaluated, or what a layer makes of it,",
            Self::Delta => "a delta on its way to the device",
        })
    }
}

/// Bytes, and a few counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// d.
    pub parameters: usize,
    /// theta, base, and the gradient, which between steps is what is evaluated or said.
    pub weights: u64,
    /// Of the optimizer.
    pub moments: u64,
    /// The training split.
    pub data: u64,
    /// Batches, activations and their gradients, of training and of evaluation, as planned.
    pub activations: u64,
    /// What is measured and chosen of deltas, and their uploads.
    pub deltas: u64,
    /// The data set, and what outlives a lost device: on the host as long as the learner lives.
    pub host: u64,
    /// What both ends of every edge of the mode `pairwise` have said.
    pub replicas: u64,
    /// While a snapshot comes or goes, a dense delta is said, or a checkpoint is written: at most.
    pub passing: u64,
    /// The process itself, its network, a driver that computes on the CPU, memory to read and write a device through, and what kernels on the CPU
    /// work in.
    pub process: u64,
    /// The largest buffer.
    pub largest: u64,
    /// What that holds.
    pub largest_holds: Holds,
    /// Dispatches of a step.
    pub dispatches: usize,
    /// Turns of the loops of the kernel that goes round most, and its name.
    pub turns: (u64, &'static str),
}

/// Why a job does not fit a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// One buffer is too large.
    #[error("{device} binds at most {} MiB at once, and {holds} takes {} MiB in this job", limit >> 20, bytes >> 20)]
    Buffer {
        /// Name of the device.
        device: String,
        /// What is too large.
        holds: Holds,
        /// Of the buffer.
        bytes: u64,
        /// Of the device.
        limit: u64,
    },
    /// A driver would end a loop too early.
    #[error("{device} ends loops after {limit} turns, and {kernel} of this job goes round {turns} times")]
    Loops {
        /// Name of the device.
        device: String,
        /// Whose loops.
        kernel: &'static str,
        /// How often.
        turns: u64,
        /// Of the device.
        limit: u64,
    },
    /// All of it is too much.
    #[error("this job takes about {} MiB of memory, {device} has {} MiB free", bytes >> 20, limit >> 20)]
    Memory {
        /// Name of the device.
        device: String,
        /// Of the job.
        bytes: u64,
        /// Of the device.
        limit: u64,
    },
}

impl Footprint {
    /// What a learner of this kind takes, whose deltas `codec` says, on a device that multiplies so.
    ///
    /// # Errors
    /// Never on the ledger that it is counted on.
    pub fn of(spec: &LearnerSpec, codec: &dyn Codec, choices: &Choices, life: Life) -> Result<Self, LearnerError> {
        let (dataset, network) = (&spec.dataset, &spec.model);
        let d = network.parameters() as u64;
        let mut ledger = Ledger::of(life.info(), choices.clone());
        let Layout { moments, holds } = lay_out(spec, network, &mut ledger)?;
        let account = ledger.account();
        let train_words = feed::words(spec, life.room);
        let held = [&dataset.train, &dataset.validation, &dataset.test];
        let held = held.iter().map(|split| (split.features.resident_len() + split.labels.len()) as u64).sum::<u64>();
        let weights = 3 * d;
        let bytes = |words: u64| WORD_BYTES.saturating_mul(words);
        let measure = gossip::measure_words(network.parameters()) as u64;
        let of_delta = delta_words(network.parameters(), codec);
        let deltas = measure + of_delta.words;
        let kept = match life.device {
            DeviceKind::Cpu => 0,
            DeviceKind::Software => SOFTWARE_KEPT_VECTORS,
            DeviceKind::Gpu => KEPT_VECTORS,
        };
        let of_gossip = match (life.gossip, of_delta.dense) {
            (false, _) => 0,
            (true, false) => SNAPSHOT_VECTORS,
            (true, true) => SNAPSHOT_VECTORS + DENSE_VECTORS,
        };
        // Base, weights and moments lie on the host until they are written (`saved.rs`).
        let saved = if life.checkpoints { 2 * d + moments } else { 0 };
        // What the twins work in; a GPU has registers for it.
        let on_cpu = life.device == DeviceKind::Cpu;
        let scratch = if on_cpu { (account.scratch * life.threads.max(1)) as u64 } else { 0 };
        let of_network = if life.gossip { NETWORK_BYTES } else { 0 };
        let driver = if life.device == DeviceKind::Software { SOFTWARE_DRIVER_BYTES } else { 0 };
        Ok(Self {
            parameters: network.parameters(),
            weights: bytes(weights),
            moments: bytes(moments),
            data: bytes(train_words),
            activations: bytes(account.words - weights - moments - train_words - measure),
            deltas: bytes(deltas),
            host: bytes(held + kept * d),
            replicas: bytes(life.edges as u64 * EDGE_VECTORS * d),
            passing: bytes(saved.max(of_gossip * d)),
            process: PROCESS_BYTES + of_network + driver + through(life.device, of_delta.chosen) + bytes(scratch),
            largest: bytes(account.largest.max(of_delta.largest)),
            largest_holds: if of_delta.largest > account.largest { Holds::Delta } else { holds },
            dispatches: account.dispatches,
            turns: account.turns,
        })
    }

    /// On the device.
    #[must_use]
    pub fn device(&self) -> u64 {
        [self.weights, self.moments, self.data, self.activations, self.deltas]
            .iter()
            .fold(0, |sum, &bytes| sum.saturating_add(bytes))
    }

    /// The error of a learner that was not built, with what it would take where there was no room: a real GPU does not say beforehand what it
    /// has free.
    #[must_use]
    pub fn explain(&self, error: LearnerError) -> LearnerError {
        match error {
            LearnerError::Device(text) if ExecutorError::tells_of_memory(&text) => LearnerError::Device(format!(
                "{text}; this job takes about {} MiB on it: a smaller model or batch, or another --device (`starling device plan` \
                 shows what takes how much)",
                self.device() >> 20
            )),
            other => other,
        }
    }

    /// On the host, beside the device, all along.
    #[must_use]
    pub fn on_host(&self) -> u64 {
        self.host.saturating_add(self.replicas).saturating_add(self.process)
    }

    /// Resident memory of a process whose device has the host's memory, but for what passes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.device().saturating_add(self.on_host())
    }

    /// Whether it fits.
    ///
    /// # Errors
    /// [`Misfit`] with the first limit that it breaks.
    pub fn check(&self, info: &DeviceInfo) -> Result<(), Misfit> {
        self.check_beside(self.on_host(), info)
    }

    /// Whether it fits a device that is opened while the learner lives: what it has on the host is no longer free, and asked for by nobody.
    ///
    /// # Errors
    /// As [`Footprint::check`].
    pub fn check_again(&self, info: &DeviceInfo) -> Result<(), Misfit> {
        self.check_beside(0, info)
    }

    /// Whether it fits with so many bytes on the host.
    fn check_beside(&self, on_host: u64, info: &DeviceInfo) -> Result<(), Misfit> {
        let device = info.name.clone();
        let limit = info.largest_buffer.unwrap_or(BUFFER_BYTES_MAX).min(BUFFER_BYTES_MAX);
        if self.largest > limit {
            return Err(Misfit::Buffer { device, holds: self.largest_holds, bytes: self.largest, limit });
        }
        let (turns, kernel) = self.turns;
        if let Some(limit) = info.loop_turns_max.filter(|limit| turns > *limit) {
            return Err(Misfit::Loops { device, kernel, turns, limit });
        }
        let beside = on_host.saturating_add(self.passing);
        // Only a device that shares the host's memory says how much of it is free.
        let bytes = self.device().saturating_add(beside);
        if let Some(limit) = info.free_memory.filter(|limit| bytes > *limit) {
            return Err(Misfit::Memory { device, bytes, limit });
        }
        match info.free_host_memory {
            Some(limit) if beside > limit => {
                Err(Misfit::Memory { device: "this machine".into(), bytes: beside, limit })
            }
            _ => Ok(()),
        }
    }
}

impl Footprint {
    /// Whether so many learners fit one device side by side, that share the data set on the host.
    ///
    /// # Errors
    /// As [`Footprint::check`].
    pub fn check_many(&self, learners: u32, info: &DeviceInfo) -> Result<(), Misfit> {
        self.check(info)?;
        let bytes = self.device().saturating_mul(u64::from(learners)).saturating_add(self.on_host());
        match info.free_memory {
            Some(limit) if bytes > limit => Err(Misfit::Memory { device: info.name.clone(), bytes, limit }),
            _ => Ok(()),
        }
    }
}

/// The products of the linear layers of a learner of this kind on such a device, in training and in evaluation, each once.
///
/// # Errors
/// Never on the ledger that they are read from.
pub fn products(spec: &LearnerSpec, info: &DeviceInfo) -> Result<Vec<Shape>, LearnerError> {
    let mut ledger = Ledger::of(info.clone(), Choices::PLAIN);
    lay_out(spec, &spec.model, &mut ledger)?;
    Ok(ledger.products())
}

/// Bytes to read and to write a device through. On hardware what is chosen of a delta, so many words, comes beside the steps, and all of it at
/// once if it is not too much.
fn through(device: DeviceKind, chosen: usize) -> u64 {
    #[cfg(feature = "gpu")]
    if device != DeviceKind::Cpu {
        use crate::engine::gpu::{COMING_PIECES_MAX, piece_words};
        let software = device == DeviceKind::Software;
        let coming = chosen.div_ceil(piece_words(software));
        let read = if software || coming > COMING_PIECES_MAX { 1 } else { coming.max(1) };
        return (read + 1) as u64 * WORD_BYTES * piece_words(software) as u64;
    }
    let _ = (device, chosen);
    0
}

/// What is known of a layout beside its account.
struct Layout {
    /// Words of the moments.
    moments: u64,
    /// What the largest buffer holds.
    holds: Holds,
}

/// Everything that `TrainingLearner::new` allocates.
fn lay_out(spec: &LearnerSpec, network: &Network, ledger: &mut Ledger) -> Result<Layout, LearnerError> {
    let d = network.parameters();
    let buffers = DeviceState::new(ledger, d, spec.batch, |_, _, _| Ok(()))?;
    let before = ledger.account().words;
    let optimizer = spec.optimizer.build(ledger, d)?;
    let moments = ledger.account().words - before;
    let inputs = network.inputs(ledger, spec.batch)?;
    record_step(ledger, spec, &optimizer, &buffers, &inputs)?;
    let of_step = ledger.account().largest;
    let samples = evaluation::samples(DeviceKind::of(ledger.info()), network, &spec.dataset);
    EvaluationPass::new(ledger, network, buffers.scratch, samples)?;
    let of_evaluation = ledger.account().largest;
    Gossip::new(ledger, buffers, d)?;
    let all_rows = feed::window(spec, Room::of(ledger.info())).is_none();
    let holds = match ledger.account().largest {
        largest if largest == d as u64 => Holds::Parameters,
        largest if all_rows && largest == spec.dataset.train.features.resident_len() as u64 => Holds::Data,
        largest if largest == of_step => Holds::Step,
        largest if largest == of_evaluation => Holds::Evaluation,
        _ => Holds::Delta,
    };
    Ok(Layout { moments, holds })
}

/// What is chosen of a delta, and its uploads.
#[derive(Clone, Copy, Debug)]
struct OfDelta {
    /// Words of all its buffers.
    words: u64,
    /// Of the largest one.
    largest: u64,
    /// Of what is chosen on the device, where a codec keeps the largest.
    chosen: usize,
    /// Whether it says all numbers.
    dense: bool,
}

impl OfDelta {
    fn new<const N: usize>(buffers: [usize; N], dense: bool) -> Self {
        let buffers = buffers.map(|words| words as u64);
        Self { words: buffers.iter().sum(), largest: buffers.into_iter().max().unwrap_or(0), chosen: 0, dense }
    }
}

/// See [`OfDelta`].
fn delta_words(parameters: usize, codec: &dyn Codec) -> OfDelta {
    let probe: Vec<f32> = (0..PROBE).map(|i| (i as f32 + 1.0) / PROBE as f32).collect();
    let (mut payload, mut decoded) = (Vec::new(), Decoded::default());
    codec.encode(&probe, &mut payload);
    if codec.decode(&payload, PROBE, Weight::HALF, &mut decoded).is_err() || decoded.is_dense() {
        return OfDelta::new([2 * parameters], true);
    }
    match codec.density() {
        // What is chosen, and the places for heard and own ones.
        Some(density) => {
            let [heard, own] = [Packing::Heard, Packing::Own].map(|packing| density.packed_words(parameters, packing));
            let chosen = 2 * density.kept_of(parameters);
            OfDelta { chosen, ..OfDelta::new([chosen, heard, own], false) }
        }
        None => OfDelta::new([3 * decoded.values.len() * parameters.div_ceil(PROBE)], false),
    }
}

#[cfg(test)]
mod tests;
