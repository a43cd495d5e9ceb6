//! How good a device is to train on, in a few figures: copy, products, optimizer, the choice of a delta, steps of whole models, and
//! what gossip costs them.
//!
//! Each piece has a budget. Products are tried from the smallest on, and what would not be done in time at the rate of the one before
//! is left out and named; so are models, by the work of a step. What an older or smaller device leaves out a larger one does.

use std::sync::Arc;
use std::time::Duration;

use protocol::codec::{Codec as _, TopK2Bit};
use protocol::learner::{Learner as _, LearnerError, Progress};
use serde::Serialize;

use super::clock::{processor_seconds, seconds};
use super::gossip::{self, Gossip, QUICK_STRETCHES, STRETCHES};
use super::models::{self, Model};
use super::{clock, kernels};
use crate::engine::plan::Draft;
use crate::engine::{DeviceError, DeviceInfo, Executor, ExecutorError};
use crate::kernels::adam::Adam;
use crate::kernels::advance::{STATE_POWER_1, STATE_WORDS};
use crate::kernels::select_largest::SelectLargest;
use crate::kernels::{Activation, threads, word};
use crate::layers::linear::Linear;
use crate::layers::{Forward, Layer as _};
use crate::models::network::Network;
use crate::{DeviceKind, Footprint, LearnerSpec, Life, Recovery, TrainingLearner};

/// Time of each measurement.
pub const PIECE_BUDGET: Duration = Duration::from_secs(8);
/// The same for a quick look.
pub const QUICK_PIECE_BUDGET: Duration = Duration::from_millis(500);
/// Extents of the square products.
const EXTENTS: [usize; 5] = [256, 512, 1024, 2048, 4096];
/// Numbers of what is streamed on a GPU with room for it: 256 MiB a vector. What a copy touches is several times the caches of today's cards
/// (50 to 100 MiB).
const STREAMED: usize = 64 << 20;
/// The same elsewhere: 64 MiB a vector; a host with caches as large as two of them is flattered.
const LESS_STREAMED: usize = 16 << 20;
/// Vectors of what is streamed: of the copy, of Adam, of the choice of a delta.
const STREAMED_VECTORS: u64 = 2 + 4 + 2;
/// The same for a quick look.
const QUICK_STREAMED: usize = 1 << 20;
/// A step works at this share of the rate of the best product, until it is measured.
const STEP_SHARE: f64 = 0.5;
/// Calls that anything takes: one to warm up, one to count.
const CALLS: f64 = 2.0;
/// Times that a budget is measured for steps.
const STEP_ROUNDS: u32 = 5;
/// Most steps of a call.
const STEPS_MAX: u32 = 256;

/// See the module. The keys are an interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Name of the device.
    pub device: String,
    /// `vulkan`, `metal`, `dx12` or `cpu`.
    pub backend: String,
    /// Whether a driver plays a GPU on the host's processor.
    pub software: bool,
    /// What the user should know of the device, as that there is no GPU.
    pub note: Option<String>,
    /// Threads of the host: of the CPU executor, and of the reference products.
    pub threads: usize,
    /// Whether it was a quick look: smaller and rougher.
    pub quick: bool,
    /// Seconds that each measurement may take.
    pub budget_s: f64,
    /// Bytes of a copy on the device, read and written, 1e9 a second.
    pub copy_gbs: f64,
    /// Square products, as a layer does them.
    pub matmul: Vec<Product>,
    /// Adam over a flat vector; `None` where it was left out.
    pub adam: Option<Stream>,
    /// The choice of a delta; `None` where it was left out.
    pub top_k: Option<Choice>,
    /// Steps of training.
    pub steps: Vec<Steps>,
    /// What gossip costs them.
    pub gossip: Vec<Gossip>,
    /// What was not measured.
    pub left_out: Vec<LeftOut>,
}

/// A product of [m, k] and [k, n].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Product {
    /// Rows.
    pub m: usize,
    /// Columns.
    pub n: usize,
    /// Terms.
    pub k: usize,
    /// 1e9 operations a second.
    pub gflops: f64,
    /// What did the same beside it.
    pub reference: &'static str,
    /// 1e9 operations a second of that; `None` where it would take too long.
    pub reference_gflops: Option<f64>,
}

/// A kernel that reads and writes long vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stream {
    /// Length of the vectors.
    pub parameters: usize,
    /// Bytes read and written, 1e9 a second.
    pub gbs: f64,
    /// Beside the copy.
    pub of_copy: f64,
}

/// `top_k_2bit`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// d.
    pub parameters: usize,
    /// Bytes of theta and base that the kernel reads, 1e9 a second.
    pub gbs: f64,
    /// Beside the copy.
    pub of_copy: f64,
    /// Seconds until the payload is there: chosen, read back, packed by the host.
    pub encode_s: f64,
    /// As many bytes in that time, beside the copy.
    pub encode_of_copy: f64,
}

/// Steps of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Steps {
    /// As in `models`.
    pub model: String,
    /// d.
    pub parameters: usize,
    /// Samples a step.
    pub batch: usize,
    /// At its best.
    pub steps_per_s: f64,
    /// Steps a second of processor time on the host; `None` where the system does not say, or too few hundredths passed.
    pub steps_per_cpu_s: Option<f64>,
    /// Of the device.
    pub backend: String,
}

/// What was not measured, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// A size or a model.
    pub what: String,
    /// In words.
    pub why: String,
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Threads of the host.
    pub threads: usize,
    /// Smaller and rougher.
    pub quick: bool,
}

impl Effort {
    /// Of each measurement.
    #[must_use]
    pub fn budget(self) -> Duration {
        if self.quick { QUICK_PIECE_BUDGET } else { PIECE_BUDGET }
    }

    /// Numbers of what is streamed on such a device.
    fn streamed(self, info: &DeviceInfo) -> usize {
        let vector = 4 * STREAMED as u64;
        let has_room = info.largest_buffer.is_none_or(|most| most >= vector)
            && info.free_memory.is_none_or(|free| free / 2 >= STREAMED_VECTORS * vector);
        let beside_host = DeviceKind::of(info) == DeviceKind::Gpu;
        match self.quick {
            true => QUICK_STREAMED,
            false if beside_host && has_room => STREAMED,
            false => LESS_STREAMED,
        }
    }

    /// Why something that takes so many seconds a call is left out; `None` where it is done in time.
    fn too_long(self, seconds: f64, rate: f64) -> Option<String> {
        let (asked, budget) = (CALLS * seconds, self.budget().as_secs_f64());
        (asked > budget).then(|| {
            format!(
                "{CALLS} of it take about {asked:.1} s at the {:.1} Gflop/s seen so far, more than the {budget} s of a piece",
                rate / 1e9
            )
        })
    }
}

/// Opens the device that is measured, with the choices that it is used with. Each model has one of its own: what one takes is free for the next.
pub type Opener<'a> = dyn Fn() -> Result<Box<dyn Executor>, DeviceError> + 'a;

/// Measures all of it; `tell` is told of every figure when it is there.
///
/// # Errors
/// When there is no such device, or it fails at a copy or at the smallest product. What fails later is left out.
pub fn measure(open: &Opener<'_>, effort: Effort, tell: &mut dyn FnMut(&Figures)) -> Result<Figures, DeviceError> {
    let mut on = open()?;
    let info = on.info().clone();
    let streamed = effort.streamed(&info);
    let copy = kernels::device_copy(on.as_mut(), streamed, effort.budget())?;
    let mut figures = Figures {
        device: info.name.clone(),
        backend: info.backend.clone(),
        software: info.software,
        note: info.note.clone(),
        threads: effort.threads,
        quick: effort.quick,
        budget_s: effort.budget().as_secs_f64(),
        copy_gbs: 8.0 * streamed as f64 / copy / 1e9,
        matmul: Vec::new(),
        adam: None,
        top_k: None,
        steps: Vec::new(),
        gossip: Vec::new(),
        left_out: Vec::new(),
    };
    tell(&figures);
    figures.streams(on.as_mut(), effort, tell);
    figures.products(on.as_mut(), effort, tell)?;
    drop(on);
    for model in models::ALL {
        figures.model(model, open, effort);
        tell(&figures);
    }
    Ok(figures)
}

impl Figures {
    fn leave_out(&mut self, what: impl Into<String>, why: impl std::fmt::Display) {
        self.left_out.push(LeftOut { what: what.into(), why: why.to_string() });
    }

    /// The best rate of a product, operations a second.
    fn best_rate(&self) -> f64 {
        1e9 * self.matmul.iter().map(|product| product.gflops).fold(f64::NAN, f64::max)
    }

    fn streams(&mut self, on: &mut dyn Executor, effort: Effort, tell: &mut dyn FnMut(&Self)) {
        match adam(on, effort, self.copy_gbs) {
            Ok(adam) => self.adam = Some(adam),
            Err(error) => self.leave_out("adam", error),
        }
        tell(self);
        match top_k(on, effort, self.copy_gbs) {
            Ok(top_k) => self.top_k = Some(top_k),
            Err(error) => self.leave_out("top_k", error),
        }
        tell(self);
    }

    fn products(
        &mut self,
        on: &mut dyn Executor,
        effort: Effort,
        tell: &mut dyn FnMut(&Self),
    ) -> Result<(), ExecutorError> {
        let mut reference_rate = f64::NAN;
        for extent in EXTENTS {
            let flops = 2.0 * (extent as f64).powi(3);
            let what = format!("matmul {extent}");
            if let Some(why) = effort.too_long(flops / self.best_rate(), self.best_rate()) {
                self.leave_out(what, why);
                continue;
            }
            let seconds = match product(on, extent, effort.budget()) {
                Ok(seconds) => seconds,
                Err(error) if self.matmul.is_empty() => return Err(error),
                Err(error) => {
                    self.leave_out(what, error);
                    continue;
                }
            };
            let in_time = effort.too_long(flops / reference_rate, reference_rate).is_none();
            let reference = in_time
                .then(|| flops / threads::with(effort.threads, || kernels::product([extent; 3], effort.budget() / 4)));
            reference_rate = reference.unwrap_or(reference_rate);
            self.matmul.push(Product {
                m: extent,
                n: extent,
                k: extent,
                gflops: flops / seconds / 1e9,
                reference: "gemm on the CPU",
                reference_gflops: reference.map(|rate| rate / 1e9),
            });
            tell(self);
        }
        Ok(())
    }

    /// Steps of a model at the first batch that is done in time, and what gossip costs them.
    fn model(&mut self, model: &Model, open: &Opener<'_>, effort: Effort) {
        let network = match model.build() {
            Ok(network) => Arc::new(network),
            Err(error) => return self.leave_out(model.name, error),
        };
        let rate = STEP_SHARE * self.best_rate();
        for &batch in model.batches {
            let what = format!("{}, batch {batch}", model.name);
            if let Some(why) = effort.too_long(model.flops(network.parameters(), batch) / rate, rate) {
                self.leave_out(what, why);
                continue;
            }
            match train(model, &network, batch, open, effort) {
                Ok((steps, gossip)) => {
                    self.steps.push(steps);
                    match gossip {
                        Ok(gossip) => self.gossip.push(gossip),
                        Err(why) if model.is_lm() => self.leave_out(format!("gossip of {what}"), why),
                        Err(_) => {}
                    }
                    return;
                }
                Err(why) => self.leave_out(what, why),
            }
        }
    }
}

/// A learner as `run` builds it: one of a device that may be lost keeps on the host what outlives it.
fn learner(spec: LearnerSpec, on: Box<dyn Executor>) -> Result<TrainingLearner, LearnerError> {
    if DeviceKind::of(on.info()) == DeviceKind::Cpu {
        return TrainingLearner::new(spec, on);
    }
    let reopen = Arc::new(|_| Err(ExecutorError("no device is opened again while one is measured".into())));
    let recovery = Recovery { reopen, tell: Box::new(|_| ()), lose: Arc::default() };
    TrainingLearner::recovering(spec, on, recovery)
}

/// Seconds of a square product, by the kernel that a layer of that size chooses.
fn product(on: &mut dyn Executor, extent: usize, budget: Duration) -> Result<f64, ExecutorError> {
    let square = extent * extent;
    let [x, theta, y] = [on.allocate(square)?, on.allocate(square)?, on.allocate(square)?];
    let numbers: Vec<u32> = (0..square).map(|i| word((i % 251) as f32 / 251.0 - 0.5)).collect();
    on.write(x, 0, &numbers)?;
    on.write(theta, 0, &numbers)?;
    let layer =
        Linear { inputs: extent, outputs: extent, activation: Activation::None, bias: false, offset: 0, rows: 1 };
    let mut draft = Draft::new(on.choices());
    layer.forward(&mut draft, &Forward { samples: extent, theta, state: None, x: &[x], y, saved: None, tables: &[] });
    let recording = draft.place(on)?;
    let prepared = on.prepare(recording)?;
    let mut out = Vec::new();
    clock::best(budget, |times| {
        on.run(prepared, times)?;
        on.read(y, 1, &mut out)
    })
}

fn adam(on: &mut dyn Executor, effort: Effort, copy_gbs: f64) -> Result<Stream, ExecutorError> {
    let d = effort.streamed(on.info());
    let mut buffers = Vec::new();
    for _ in 0..4 {
        buffers.push(on.allocate(d)?);
    }
    let numbers = |scale: f32| -> Vec<u32> { (0..d).map(|i| word(scale * (1 + i % 251) as f32)).collect() };
    on.write(buffers[0], 0, &numbers(1e-2))?;
    on.write(buffers[1], 0, &numbers(1e-4))?;
    buffers.push(on.allocate(STATE_WORDS)?);
    on.write(buffers[4], STATE_POWER_1, &[word(0.9), word(0.999)])?;
    let words = [d as u32, word(1e-4), word(0.9), word(0.999), word(1e-8), 0];
    let seconds = kernels::dispatched(on, &Adam, &buffers, &words, effort.budget())?;
    // Four vectors are read and three written.
    let gbs = 4.0 * 7.0 * d as f64 / seconds / 1e9;
    Ok(Stream { parameters: d, gbs, of_copy: gbs / copy_gbs })
}

fn top_k(on: &mut dyn Executor, effort: Effort, copy_gbs: f64) -> Result<Choice, ExecutorError> {
    let d = effort.streamed(on.info());
    let density = TopK2Bit.density().ok_or_else(|| ExecutorError("top_k_2bit chooses nothing".into()))?;
    let count = 2 * density.kept_of(d);
    let buffers = [on.allocate(d)?, on.allocate(d)?, on.allocate(count)?];
    let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5;
    let theta: Vec<u32> = (0..d).map(|i| word(number(i).powi(3))).collect();
    on.write(buffers[0], 0, &theta)?;
    let words = [d as u32, density.kept as u32, word(1.0)];
    let budget = effort.budget() / 2;
    let chosen = kernels::dispatched(on, &SelectLargest, &buffers, &words, budget)?;
    let mut recording = crate::engine::Recording::default();
    recording.push(&SelectLargest, &buffers, &words);
    let prepared = on.prepare(recording)?;
    let (mut out, mut payload) = (Vec::new(), Vec::new());
    let encoded = clock::best(budget, |times| {
        for _ in 0..times {
            on.run(prepared, 1)?;
            on.read(buffers[2], count, &mut out)?;
            let kept: Vec<_> = out.as_chunks::<2>().0.iter().map(|&[i, bits]| (i, f32::from_bits(bits))).collect();
            payload.clear();
            density.encode_kept(d, &kept, &mut payload);
        }
        Ok::<(), ExecutorError>(())
    })?;
    let gbs = 8.0 * d as f64 / 1e9;
    Ok(Choice {
        parameters: d,
        gbs: gbs / chosen,
        of_copy: gbs / chosen / copy_gbs,
        encode_s: encoded,
        encode_of_copy: gbs / encoded / copy_gbs,
    })
}

/// Steps, and what gossip costs them or why nobody knows; or why there are no steps.
fn train(
    model: &Model,
    network: &Arc<Network>,
    batch: usize,
    open: &Opener<'_>,
    effort: Effort,
) -> Result<(Steps, Result<Gossip, String>), String> {
    let spec = model.learner(Arc::clone(network), batch);
    let on = open().map_err(|error| error.to_string())?;
    let life = Life { gossip: true, ..Life::on(on.info()) };
    let footprint = Footprint::of(&spec, &TopK2Bit, on.choices(), life).map_err(|error| error.to_string())?;
    footprint.check(on.info()).map_err(|misfit| misfit.to_string())?;
    let mut learner = learner(spec, on).map_err(|error| footprint.explain(error).to_string())?;
    let (steps, step_s) = steps(&mut learner, model, batch, effort).map_err(|error| error.to_string())?;
    if !model.is_lm() {
        return Ok((steps, Err("no language model".into())));
    }
    let stretches = if effort.quick { QUICK_STRETCHES } else { STRETCHES };
    if 4.0 * step_s > stretches.seconds {
        let why = format!("a step takes {step_s:.2} s, more than a quarter of a stretch of {} s", stretches.seconds);
        return Ok((steps, Err(why)));
    }
    let gossip = gossip::measure(&mut learner, (model.name, batch), step_s, stretches);
    Ok((steps, gossip.map_err(|error| error.to_string())))
}

/// And seconds of one.
fn steps(
    learner: &mut TrainingLearner,
    model: &Model,
    batch: usize,
    effort: Effort,
) -> Result<(Steps, f64), LearnerError> {
    let mut train = |n: u32| {
        // A device goes on beside the host: a call that came back says nothing of the time that its steps take.
        let (done, took) = seconds(|| learner.train(n, Progress::START).and_then(|_| learner.finish()));
        done.map(|()| took)
    };
    train(1)?;
    let once = train(1)?;
    let budget = effort.budget().as_secs_f64();
    let n = (budget / f64::from(STEP_ROUNDS) / once.max(1e-9)).clamp(1.0, f64::from(STEPS_MAX)) as u32;
    let (from, mut taken, mut spent, mut best) = (processor_seconds(), 0u32, 0.0, f64::INFINITY);
    while taken == 0 || spent + f64::from(n) * best <= budget {
        let took = train(n)?;
        (taken, spent) = (taken + n, spent + took);
        best = best.min(took / f64::from(n));
    }
    let processor = from.zip(processor_seconds()).map(|(from, to)| to - from).filter(|took| *took > 0.0);
    let DeviceInfo { backend, .. } = learner.info().clone();
    let steps = Steps {
        model: model.name.into(),
        parameters: learner.parameters(),
        batch,
        steps_per_s: 1.0 / best.max(1e-9),
        steps_per_cpu_s: processor.map(|took| f64::from(taken) / took),
        backend,
    };
    Ok((steps, best))
}

#[cfg(test)]
mod tests;
