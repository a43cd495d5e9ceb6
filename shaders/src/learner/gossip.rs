//! What a learner's device does for the swarm: it measures, chooses what is said, and adds what is heard.
//!
//! ```text
//! measure    theta, b -> sums of squares, and whether all are numbers         some kB come back, whatever d
//! choose     theta, b -> the largest of every chunk                           K / 2048 of d floats come back
//! residual   theta, b -> theta - b                                            all of it: for codecs that read all of it, and in pieces
//!                                                                             where the host chooses the largest
//! decode     a sparse delta, compressed -> b, theta                           its bits go up, and two integers a chunk
//! add        what a dense delta adds -> b, theta                              its numbers go up
//! ```

use protocol::codec::{CHUNK, Decoded, Density, Packing};
use protocol::fixed::Weight;
use protocol::learner::LearnerError;

use super::PIECE_WORDS;
use super::machine::DeviceState;
use crate::engine::{Buffer, Executor, ExecutorError, Prepared, Reading, Recording};
use crate::kernels::base_weights::BaseWeights;
use crate::kernels::decode_top_k_2bit::DecodeTopK2Bit;
use crate::kernels::residual::Residual;
use crate::kernels::residual_measure::ResidualMeasure;
use crate::kernels::scatter_add::ScatterAdd;
use crate::kernels::select_largest::SelectLargest;
use crate::kernels::{Kernel, word};

/// Numbers that one invocation measures at least.
const MEASURE_EACH: usize = 64;
/// Most parts of a measurement: enough invocations for a large GPU.
const MEASURE_PARTS_MAX: usize = 1 << 16;
/// What the host chooses from are whole chunks.
const _: () = assert!(PIECE_WORDS.is_multiple_of(CHUNK));

/// See the module.
#[derive(Debug)]
pub(super) struct Gossip {
    parameters: usize,
    state: DeviceState,
    residual: Prepared,
    base_weights: Prepared,
    measure: Measure,
    choice: Option<Choice>,
    scatter: Option<Upload>,
    decode: Option<Upload>,
}

/// Sums of squares in parts.
#[derive(Debug)]
struct Measure {
    parts: Buffer,
    broken: Buffer,
    count: usize,
    pass: Prepared,
}

/// What a sparse codec keeps.
#[derive(Debug)]
struct Choice {
    density: Density,
    kept: Buffer,
    pass: Prepared,
}

/// The upload of a delta, and what adds it.
#[derive(Debug)]
struct Upload {
    entries: Buffer,
    capacity: usize,
    pass: Prepared,
}

/// Lengths of what a peer has not said and of what all share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    pub(super) residual: f32,
    pub(super) base: f32,
    /// Weights that are no numbers; then the lengths say nothing.
    pub(super) broken: usize,
}

/// A measurement under way.
#[derive(Debug)]
pub(super) struct Measuring {
    parts: Reading,
    broken: Reading,
}

/// Words of a measurement of that many parameters.
pub(super) fn measure_words(parameters: usize) -> usize {
    3 * measure_parts(parameters)
}

/// Into how many parts a measurement of that many parameters is split.
pub(crate) fn measure_parts(parameters: usize) -> usize {
    (parameters / MEASURE_EACH).clamp(1, MEASURE_PARTS_MAX)
}

impl Gossip {
    /// All that every run needs; what a codec needs comes with its first delta.
    pub(super) fn new(on: &mut dyn Executor, state: DeviceState, parameters: usize) -> Result<Self, ExecutorError> {
        let DeviceState { theta, base, scratch, .. } = state;
        let d = parameters as u32;
        let mut one = |kernel, arguments: &[Buffer], words: &[u32]| {
            let mut recording = Recording::default();
            recording.push(kernel, arguments, words);
            on.prepare(recording)
        };
        let residual = one(&Residual, &[theta, base, scratch], &[d])?;
        let base_weights = one(&BaseWeights, &[base, scratch], &[d])?;
        let count = measure_parts(parameters);
        let (parts, broken) = (on.allocate(2 * count)?, on.allocate(count)?);
        let mut recording = Recording::default();
        recording.push(&ResidualMeasure, &[theta, base, parts, broken], &[d, count as u32]);
        let measure = Measure { parts, broken, count, pass: on.prepare(recording)? };
        Ok(Self { parameters, state, residual, base_weights, measure, choice: None, scatter: None, decode: None })
    }

    /// Begins to measure `theta - b` and `b`.
    pub(super) fn begin_lengths(&self, on: &mut dyn Executor) -> Result<Measuring, ExecutorError> {
        let Measure { parts, broken, count, pass } = self.measure;
        on.run(pass, 1)?;
        Ok(Measuring { parts: on.begin_read(parts, 0, 2 * count)?, broken: on.begin_read(broken, 0, count)? })
    }

    /// The lengths that were begun to be measured.
    pub(super) fn finish_lengths(
        on: &mut dyn Executor,
        measuring: Measuring,
        words: &mut Vec<u32>,
    ) -> Result<Lengths, ExecutorError> {
        on.finish_read(measuring.parts, words)?;
        let length =
            |parts: &[u32]| parts.iter().map(|bits| f64::from(f32::from_bits(*bits))).sum::<f64>().sqrt() as f32;
        let (of_residual, of_base) = words.split_at(words.len() / 2);
        let (residual, base) = (length(of_residual), length(of_base));
        on.finish_read(measuring.broken, words)?;
        Ok(Lengths { residual, base, broken: words.iter().map(|count| *count as usize).sum() })
    }

    /// Lengths of `theta - b` and of `b`.
    pub(super) fn lengths(&self, on: &mut dyn Executor, words: &mut Vec<u32>) -> Result<Lengths, ExecutorError> {
        let measuring = self.begin_lengths(on)?;
        Self::finish_lengths(on, measuring, words)
    }

    /// `theta - b`, into the scratch buffer and from there.
    pub(super) fn residual(&self, on: &mut dyn Executor, out: &mut [f32]) -> Result<(), ExecutorError> {
        on.run(self.residual, 1)?;
        on.read_at(self.state.scratch, 0, bytemuck::cast_slice_mut(out))
    }

    /// The base as floats, in the scratch buffer.
    pub(super) fn base_to_scratch(&self, on: &mut dyn Executor) -> Result<(), ExecutorError> {
        on.run(self.base_weights, 1)
    }

    /// Begins to choose what is kept of `factor (theta - b)`.
    pub(super) fn begin_choice(
        &mut self,
        on: &mut dyn Executor,
        density: Density,
        factor: f32,
    ) -> Result<Reading, ExecutorError> {
        let count = density.kept_of(self.parameters);
        let choice = match self.choice.take().filter(|choice| choice.density == density) {
            Some(choice) => choice,
            None => {
                let kept = on.allocate(2 * count)?;
                let mut recording = Recording::default();
                recording.push(&SelectLargest, &[self.state.theta, self.state.base, kept], &[]);
                Choice { density, kept, pass: on.prepare(recording)? }
            }
        };
        let Choice { kept, pass, .. } = *self.choice.insert(choice);
        on.set_words(pass, 0, &[self.parameters as u32, density.kept as u32, word(factor)])?;
        on.run(pass, 1)?;
        on.begin_read(kept, 0, 2 * count)
    }

    /// Places and values of what was begun to be chosen.
    pub(super) fn finish_choice(
        on: &mut dyn Executor,
        choice: Reading,
        words: &mut Vec<u32>,
    ) -> Result<Vec<(u32, f32)>, ExecutorError> {
        on.finish_read(choice, words)?;
        Ok(words.as_chunks::<2>().0.iter().map(|&[place, bits]| (place, f32::from_bits(bits))).collect())
    }

    /// Places and values of what is kept of `factor (theta - b)`.
    pub(super) fn choose(
        &mut self,
        on: &mut dyn Executor,
        density: Density,
        factor: f32,
        words: &mut Vec<u32>,
    ) -> Result<Vec<(u32, f32)>, ExecutorError> {
        let choice = self.begin_choice(on, density, factor)?;
        Self::finish_choice(on, choice, words)
    }

    /// The same, chosen by the host as it reads piece by piece.
    pub(super) fn choose_here(
        &self,
        on: &mut dyn Executor,
        density: Density,
        factor: f32,
        words: &mut Vec<u32>,
    ) -> Result<Vec<(u32, f32)>, ExecutorError> {
        on.run(self.residual, 1)?;
        let (mut kept, mut order) = (Vec::with_capacity(density.kept_of(self.parameters)), Vec::new());
        for first in (0..self.parameters).step_by(PIECE_WORDS) {
            words.resize((self.parameters - first).min(PIECE_WORDS), 0);
            on.read_at(self.state.scratch, first, words)?;
            let piece: &mut [f32] = bytemuck::cast_slice_mut(words);
            piece.iter_mut().for_each(|unsaid| *unsaid *= factor);
            for (i, chunk) in piece.chunks(CHUNK).enumerate() {
                density.largest(chunk, &mut order);
                let start = (first + i * CHUNK) as u32;
                kept.extend(order.iter().map(|&place| (start + place, chunk[place as usize])));
            }
        }
        Ok(kept)
    }

    /// Adds what is in `decoded` to the base; `theta` follows, less v when the delta is our own.
    pub(super) fn add(
        &mut self,
        on: &mut dyn Executor,
        decoded: &Decoded,
        own: bool,
        words: &mut Vec<u32>,
    ) -> Result<(), LearnerError> {
        let dense = decoded.is_dense();
        words.clear();
        for (i, value, add) in decoded.iter() {
            if !dense {
                words.push(i as u32);
            }
            words.extend([add as u32, if own { word(value) } else { 0 }]);
        }
        if words.is_empty() {
            return Ok(());
        }
        let count = decoded.values.len() as u32;
        self.upload(on, false, words, &[count, u32::from(dense)])?;
        Ok(())
    }

    /// Adds a payload of a sparse codec, that was decoded on the host before; as it is packed.
    pub(super) fn decode(
        &mut self,
        on: &mut dyn Executor,
        density: Density,
        (weight, payload): (Weight, &[u8]),
        packing: Packing,
        words: &mut Vec<u32>,
    ) -> Result<(), LearnerError> {
        density.pack(payload, self.parameters, weight, packing, words)?;
        let extents = [self.parameters, density.kept, packing.table_words()].map(|extent| extent as u32);
        self.upload(on, true, words, &extents)?;
        Ok(())
    }

    /// Writes what is to be added and adds it.
    fn upload(
        &mut self,
        on: &mut dyn Executor,
        packed: bool,
        entries: &[u32],
        words: &[u32],
    ) -> Result<(), ExecutorError> {
        let place = if packed { &mut self.decode } else { &mut self.scatter };
        // All deltas of a run are of one size, an own one larger by a word a chunk: places are made once or twice.
        let upload = match place.take().filter(|upload| upload.capacity >= entries.len()) {
            Some(upload) => upload,
            None => {
                let buffer = on.allocate(entries.len())?;
                let DeviceState { base, theta, .. } = self.state;
                let mut recording = Recording::default();
                let kernel: &'static dyn Kernel = if packed { &DecodeTopK2Bit } else { &ScatterAdd };
                recording.push(kernel, &[base, theta, buffer], words);
                Upload { entries: buffer, capacity: entries.len(), pass: on.prepare(recording)? }
            }
        };
        let Upload { entries: buffer, pass, .. } = *place.insert(upload);
        on.write(buffer, 0, entries)?;
        on.set_words(pass, 0, words)?;
        on.run(pass, 1)
    }
}
