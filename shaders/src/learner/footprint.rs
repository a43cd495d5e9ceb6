//! What a learner takes of a device, told before it is built.
//!
//! The same code that lays out a learner lays it out on a ledger (`engine::ledger`), so that the estimate cannot drift from the
//! truth; a test holds the two together. Uploads of deltas come later in a learner's life and are estimated from one chunk.

use protocol::codec::{Codec, Decoded, Packing};
use protocol::fixed::Weight;

use super::feed;
use super::gossip::{self, Gossip};
use super::machine::{DeviceState, EvaluationPass, record_step};
use super::{DeviceInfo, LearnerError, LearnerSpec, evaluation_samples};
use crate::engine::ledger::Ledger;
use crate::engine::products::{Choices, Shape};
use crate::engine::{BUFFER_WORDS_MAX, ExecutorError};
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
    /// Dispatches of a step.
    pub dispatches: usize,
    /// Turns of the loops of the kernel that goes round most, and its name.
    pub turns: (u64, &'static str),
}

/// Why a job does not fit a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// One buffer is too large.
    #[error("{device} binds at most {} MiB at once, and this job has a buffer of {} MiB", limit >> 20, bytes >> 20)]
    Buffer {
        /// Name of the device.
        device: String,
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
        let mut ledger = Ledger::new(choices.clone());
        let moments = lay_out(spec, network, &mut ledger)?;
        let account = ledger.account();
        let train_words = feed::words(spec);
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
            return Err(Misfit::Buffer { device, bytes: self.largest, limit });
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

/// The products of the linear layers of a learner of this kind, in training and in evaluation, each once.
///
/// # Errors
/// Never on the ledger that they are read from.
pub fn products(spec: &LearnerSpec) -> Result<Vec<Shape>, LearnerError> {
    let mut ledger = Ledger::default();
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

/// Everything that `TrainingLearner::new` allocates; the words of the moments.
fn lay_out(spec: &LearnerSpec, network: &Network, ledger: &mut Ledger) -> Result<u64, LearnerError> {
    let d = network.parameters();
    let buffers = DeviceState::new(ledger, d, spec.batch, |_, _, _| Ok(()))?;
    let before = ledger.account().words;
    let optimizer = spec.optimizer.build(ledger, d)?;
    let moments = ledger.account().words - before;
    let inputs = network.inputs(ledger, spec.batch)?;
    record_step(ledger, spec, &optimizer, &buffers, &inputs)?;
    EvaluationPass::new(ledger, network, buffers.scratch, evaluation_samples(network, &spec.dataset))?;
    Gossip::new(ledger, buffers, d)?;
    Ok(moments)
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
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use protocol::codec::{DenseF32, TopK2Bit};
    use protocol::learner::Learner as _;

    use super::super::TrainingLearner;
    use super::super::tests::{cnn, lm, spec};
    use super::*;
    use crate::engine::products::Preset;
    use crate::models::ModelSpec;
    use crate::optim::OptimizerSpec;

    const GOSSIP: Life = Life { gossip: true, checkpoints: false, edges: 0, device: DeviceKind::Cpu, threads: 1 };

    #[test]
    fn the_estimate_is_what_a_learner_takes() {
        let sgd = OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: false };
        let long = LearnerSpec { batch: 320, ..lm(0.1) };
        let split = Choices::always(Preset::Split32);
        let dispatches = |choices| Footprint::of(&long, &TopK2Bit, choices, GOSSIP).unwrap().dispatches;
        assert!(dispatches(&split) > dispatches(&Choices::PLAIN), "long sums come in parts");
        let plain = [spec(sgd), cnn(0), cnn(1), lm(0.1)].map(|spec| (spec, Choices::PLAIN));
        for (spec, choices) in plain.into_iter().chain([(long, split)]) {
            let footprint = Footprint::of(&spec, &TopK2Bit, &choices, GOSSIP).unwrap();
            let dense = Footprint::of(&spec, &DenseF32, &choices, GOSSIP).unwrap();
            let ledger = Ledger::new(choices);
            let moments = if spec.optimizer == sgd { 1 } else { 2 };
            let mut learner = TrainingLearner::new(spec, Box::new(ledger.clone())).unwrap();
            let taken = ledger.account();
            let of_deltas = delta_words(learner.parameters(), &TopK2Bit).words;
            assert_eq!(footprint.device() - 4 * of_deltas, 4 * taken.words);
            assert_eq!(footprint.largest, 4 * taken.largest);
            assert!(of_deltas > delta_words(learner.parameters(), &TopK2Bit).largest, "several buffers");
            assert_eq!(footprint.dispatches, taken.dispatches);
            assert_eq!(footprint.moments, 4 * moments * learner.parameters() as u64);
            learner.take_delta(&DenseF32, Weight::HALF, f32::INFINITY).unwrap();
            assert_eq!(ledger.account().words - taken.words, delta_words(learner.parameters(), &DenseF32).words);
            assert_eq!(dense.largest, 4 * ledger.account().largest);
        }
    }

    /// More parameters than samples: what a dense delta goes up through is the largest of all, and what is measured lies beside it.
    #[test]
    fn the_largest_buffer_is_one_and_no_sum() {
        let mut wide = spec(OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false });
        let model =
            ModelSpec::Mlp { hidden: vec![1500, 1500] }.build(&wide.dataset.shape, wide.dataset.classes).unwrap();
        wide.model = std::sync::Arc::new(model);
        let footprint = Footprint::of(&wide, &DenseF32, &Choices::PLAIN, GOSSIP).unwrap();
        assert_eq!(footprint.largest, 4 * 2 * footprint.parameters as u64);
        assert!(footprint.deltas > footprint.largest);
    }

    #[test]
    fn activations_grow_with_the_batch_and_are_less_when_they_are_computed_again() {
        let small = Footprint::of(&lm(0.1), &TopK2Bit, &Choices::PLAIN, GOSSIP).unwrap();
        let large = Footprint::of(&LearnerSpec { batch: 320, ..lm(0.1) }, &TopK2Bit, &Choices::PLAIN, GOSSIP).unwrap();
        assert_eq!(small.weights, large.weights);
        assert!(large.activations > 5 * small.activations, "{small:?} {large:?}");
        let mut again = LearnerSpec { batch: 320, ..lm(0.1) };
        std::sync::Arc::get_mut(&mut again.model).unwrap().recompute = true;
        let again = Footprint::of(&again, &TopK2Bit, &Choices::PLAIN, GOSSIP).unwrap();
        assert!(again.activations < large.activations * 3 / 4, "{} of {}", again.activations, large.activations);
        assert!(again.dispatches > large.dispatches);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_limit() {
        let footprint = Footprint::of(&cnn(1), &TopK2Bit, &Choices::PLAIN, GOSSIP).unwrap();
        let device = DeviceInfo { name: "toy".into(), ..DeviceInfo::default() };
        assert_eq!(footprint.check(&device), Ok(()));
        let narrow = DeviceInfo { largest_buffer: Some(footprint.largest - 1), ..device.clone() };
        assert!(matches!(footprint.check(&narrow), Err(Misfit::Buffer { .. })));
        let total = footprint.resident() + footprint.passing;
        assert_eq!(footprint.check(&DeviceInfo { free_memory: Some(total), ..device.clone() }), Ok(()));
        let error = footprint.check(&DeviceInfo { free_memory: Some(total - 1), ..device.clone() }).unwrap_err();
        assert!(error.to_string().contains("toy has"), "{error}");
        // Of a GPU nobody knows what is free; the host is asked all the same.
        let on_host = footprint.on_host() + footprint.passing;
        let host = DeviceInfo { free_host_memory: Some(on_host), ..device.clone() };
        assert_eq!(footprint.check(&host), Ok(()));
        let host = DeviceInfo { free_host_memory: Some(on_host - 1), ..device.clone() };
        assert!(footprint.check(&host).unwrap_err().to_string().contains("this machine has"));
        // What is opened again finds taken what the learner holds.
        let again = footprint.device() + footprint.passing;
        let beside = |free| DeviceInfo { free_memory: Some(free), ..device.clone() };
        assert!(footprint.check(&beside(again)).is_err());
        assert_eq!(footprint.check_again(&beside(again)), Ok(()));
        assert!(matches!(footprint.check_again(&beside(again - 1)), Err(Misfit::Memory { .. })));
        let host = |free| DeviceInfo { free_host_memory: Some(free), ..device.clone() };
        assert_eq!(footprint.check_again(&host(footprint.passing)), Ok(()));
        assert!(matches!(footprint.check_again(&host(footprint.passing - 1)), Err(Misfit::Memory { .. })));
        assert!(matches!(footprint.check_again(&narrow), Err(Misfit::Buffer { .. })));
        let shared = DeviceInfo { free_memory: Some(total + 2 * footprint.device()), ..device.clone() };
        assert_eq!(footprint.check_many(3, &shared), Ok(()));
        let five = DeviceInfo { free_memory: Some(total + 3 * footprint.device()), ..device.clone() };
        assert!(matches!(footprint.check_many(5, &five), Err(Misfit::Memory { .. })));
        // A driver that would end a loop too early.
        let short = DeviceInfo { loop_turns_max: Some(footprint.turns.0 - 1), ..device };
        let error = footprint.check(&short).unwrap_err().to_string();
        assert!(error.contains(footprint.turns.1) && error.contains("toy ends loops"), "{error}");
    }

    #[test]
    fn where_there_is_no_room_the_error_says_what_the_job_takes() {
        let footprint = Footprint { weights: 700 << 20, moments: 300 << 20, ..Footprint::default() };
        let full = ExecutorError::no_memory(5 << 18, " on the device: Out of Memory");
        let text = footprint.explain(full.clone().into()).to_string();
        assert!(text.starts_with(&LearnerError::from(full).to_string()), "{text}");
        let parts = ["5 MiB", "about 1000 MiB on it", "a smaller model or batch", "starling device plan"];
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        let lost = LearnerError::Device("the device was lost: memory".into());
        assert_eq!(footprint.explain(lost.clone()), lost);
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn a_large_delta_comes_through_as_much_memory_as_it_takes() {
        let of = |parameters| delta_words(parameters, &TopK2Bit).chosen;
        let pieces = |device, chosen| {
            let piece = 4 * crate::engine::gpu::piece_words(device == DeviceKind::Software) as u64;
            through(device, chosen) / piece
        };
        let (large, huge, vast) = (of(134_000_000), of(300_000_000), of(1_100_000_000));
        assert_eq!(of(4096), 2 * 64);
        assert_eq!([0, of(9000), large, huge, vast].map(|chosen| pieces(DeviceKind::Gpu, chosen)), [2, 2, 2, 4, 2]);
        assert_eq!([0, large, huge, vast].map(|chosen| pieces(DeviceKind::Software, chosen)), [2; 4]);
        assert_eq!(through(DeviceKind::Cpu, huge), 0);
    }

    #[test]
    fn what_a_life_takes_is_told_apart() {
        let of = |life| Footprint::of(&cnn(1), &TopK2Bit, &Choices::PLAIN, life).unwrap();
        let (alone, gossip) = (of(Life::default()), of(GOSSIP));
        let vector = 4 * alone.parameters as u64;
        assert_eq!((alone.device(), alone.host, alone.passing), (gossip.device(), gossip.host, 0));
        assert_eq!(gossip.passing, 2 * vector);
        assert!(gossip.process > alone.process);
        let lost = of(Life { device: DeviceKind::Gpu, ..GOSSIP });
        assert_eq!(lost.host - gossip.host, 2 * vector, "what outlives a device");
        let software = of(Life { device: DeviceKind::Software, ..GOSSIP });
        assert_eq!(software.host - gossip.host, vector, "its memory is the host's own: the base alone");
        let attentive = |life| Footprint::of(&lm(0.1), &TopK2Bit, &Choices::PLAIN, life).unwrap().process;
        let [one, three] = [1, 3].map(|threads| attentive(Life { threads, ..GOSSIP }));
        let scratch = one - gossip.process;
        assert!(scratch > 0 && three - one == 2 * scratch, "what attention works in, on each thread");
        let edges = of(Life { edges: 3, ..GOSSIP });
        assert_eq!((edges.replicas, edges.resident() - gossip.resident()), (6 * vector, 6 * vector));
        let dense = Footprint::of(&cnn(1), &DenseF32, &Choices::PLAIN, GOSSIP).unwrap();
        assert_eq!(dense.passing, 5 * vector);
        // Base, weights, two moments.
        assert_eq!(of(Life { checkpoints: true, ..GOSSIP }).passing, 4 * vector);
    }
}
