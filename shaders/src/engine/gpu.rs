//! The GPU executor: WGSL through wgpu. Pipelines are compiled once a kernel, bind groups made once a recording; a replay
//! is one compute pass, and many steps share a submission.
//!
//! A device that works and one that hangs look alike until something is done. So work is submitted in pieces ([`pace`]) and waited for
//! piece by piece: each has its own limit, however much there is in all. Where one replay alone takes long, it is cut between its dispatches
//! ([`Replay::shares`]): drivers end a submission that keeps a display waiting for some seconds, and the device is lost.

mod adapters;
mod bind;
mod pace;
mod profile;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use adapters::adapters;
use adapters::{measure, ranked, software};
use pace::{FIRST_CUT, Part, Replay, Took};

use super::products::Choices;
use super::{Buffer, DeviceInfo, Executor, ExecutorError, Prepared, Read, Reading, Recording, Timed};
use crate::kernels::WORDS;

/// Longest wait for one submission: beyond it, the device counts as lost.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The same where a driver computes on the CPU: it does not hang, but one step of a large model may take minutes.
const SOFTWARE_WAIT_MAX: Duration = Duration::from_secs(900);
/// Most submissions under way.
const SUBMISSIONS_MAX: usize = 8;
/// Words that are read or written at once: memory to read or write through is no larger, however large the model (16 MiB).
const PIECE_WORDS_MAX: usize = 4 << 20;
/// The same where a driver computes on the CPU: no bus is crossed, and a copy of 2 MiB takes far longer than asking for it.
const SOFTWARE_PIECE_WORDS_MAX: usize = 1 << 19;

/// Most pieces that come at once of what was begun to be read: what is larger is read piece by piece, and waited for.
pub(crate) const COMING_PIECES_MAX: usize = 8;
/// Pieces of memory to read through that are kept for the next time.
const STAGING_KEPT: usize = COMING_PIECES_MAX;

/// See the module.
#[derive(Debug)]
pub struct GpuExecutor {
    info: DeviceInfo,
    choices: Choices,
    device: wgpu::Device,
    queue: wgpu::Queue,
    buffers: Vec<wgpu::Buffer>,
    pipelines: BTreeMap<&'static str, wgpu::ComputePipeline>,
    recordings: Vec<Replay>,
    /// Submissions under way, oldest first.
    sent: VecDeque<Sent>,
    /// Submissions so far.
    submissions: u64,
    /// When the last one before them was seen done.
    done: Instant,
    /// Whether it was done about then: it was waited for.
    done_was_seen: bool,
    wait_max: Duration,
    /// See [`FIRST_CUT`]; no limit where a driver computes on the CPU, and nobody ends what takes long.
    first_cut: u64,
    /// Words that are read or written at once.
    piece: usize,
    /// Memory to read through that nothing is read through now: a new one each time takes four times as long.
    staging: Vec<wgpu::Buffer>,
    /// What the device's clock said, while dispatches are timed.
    ticks: Option<Buffer>,
    /// Written since the last submission: until the next one is done, the driver holds a copy.
    unsent_words: usize,
    /// The first thing that went wrong outside a call.
    failure: Arc<Mutex<Option<String>>>,
    limits: wgpu::Limits,
}

/// A submission under way.
#[derive(Debug)]
struct Sent {
    /// How many were submitted up to it.
    number: u64,
    index: wgpu::SubmissionIndex,
    at: Instant,
    /// `None` for a copy.
    part: Option<Part>,
}

/// Words on their way to the host.
#[derive(Debug)]
pub(super) struct Coming {
    /// In order.
    pieces: Vec<Piece>,
    words: usize,
    /// The submission that copies them.
    number: u64,
}

/// A part of them.
#[derive(Debug)]
struct Piece {
    staging: wgpu::Buffer,
    bytes: u64,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

/// The first that opens, with the errors of those before it; `None` of none, and the errors of all where none does.
fn first_that_opens<T>(
    all: impl Iterator<Item = impl FnOnce() -> Result<T, ExecutorError>>,
) -> Result<Option<(T, Vec<String>)>, ExecutorError> {
    let mut refused = Vec::new();
    for open in all {
        match open() {
            Ok(opened) => return Ok(Some((opened, refused))),
            Err(ExecutorError(why)) => refused.push(why),
        }
    }
    if refused.is_empty() { Ok(None) } else { Err(ExecutorError(refused.join("; "))) }
}

/// What the user should know where a device was opened after others had refused.
fn instead_of(refused: &[String], name: &str) -> Option<String> {
    let what = if refused.len() == 1 { "a better device does" } else { "better devices do" };
    (!refused.is_empty()).then(|| format!("{what} not open ({}); training on {name}", refused.join("; ")))
}

/// Words that are read or written at once, and at most lie in memory to read through and to write through.
pub(crate) fn piece_words(software: bool) -> usize {
    if software { SOFTWARE_PIECE_WORDS_MAX } else { PIECE_WORDS_MAX }
}

impl GpuExecutor {
    /// The best adapter that gives a device, or the best of those that are called so ([`DeviceInfo::is_called`]); `None` when there is none.
    /// Its note says which better ones do not open.
    ///
    /// # Errors
    /// When no such adapter gives a device: what each says.
    pub fn open(name: Option<&str>) -> Result<Option<Self>, ExecutorError> {
        let fits = |(_, info): &(wgpu::Adapter, DeviceInfo)| name.is_none_or(|name| info.is_called(name));
        let found = ranked().into_iter().filter(fits);
        let opened = first_that_opens(found.map(|(adapter, info)| move || Self::on(&adapter, &info)))?;
        Ok(opened.map(|(mut executor, refused)| {
            executor.info.note = instead_of(&refused, &executor.info.name);
            executor
        }))
    }

    /// That adapter again ([`DeviceInfo::is`]); `None` when it is not there (any more, or yet).
    ///
    /// # Errors
    /// When it gives no device.
    pub fn again(lost: &DeviceInfo) -> Result<Option<Self>, ExecutorError> {
        let same = |(_, info): &(wgpu::Adapter, DeviceInfo)| info.is(lost);
        ranked().into_iter().find(same).map(|(adapter, info)| Self::on(&adapter, &info)).transpose()
    }

    fn on(adapter: &wgpu::Adapter, described: &DeviceInfo) -> Result<Self, ExecutorError> {
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("starling"),
            // To say what each kernel takes, and to multiply in f16, where that can be done.
            required_features: adapter.features() & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F16),
            required_limits: limits.clone(),
            ..Default::default()
        };
        let request = adapter.request_device(&descriptor);
        let refused = |error| ExecutorError(format!("{} gives no device: {error}", adapter.get_info().name));
        let (device, queue) = pollster::block_on(request).map_err(refused)?;
        let failure = Arc::new(Mutex::new(None));
        let note = |failure: &Arc<Mutex<Option<String>>>| {
            let failure = Arc::clone(failure);
            move |text: String| {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
            }
        };
        let noted = note(&failure);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| noted(error.to_string())));
        let noted = note(&failure);
        device.set_device_lost_callback(move |reason, text| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                noted(format!("the device was lost: {text}"));
            }
        });
        let info = measure(adapter, described);
        Ok(Self {
            choices: Choices::untuned(&info),
            info,
            device,
            queue,
            buffers: Vec::new(),
            pipelines: BTreeMap::new(),
            recordings: Vec::new(),
            sent: VecDeque::new(),
            submissions: 0,
            done: Instant::now(),
            done_was_seen: true,
            piece: piece_words(software(&adapter.get_info())),
            wait_max: if software(&adapter.get_info()) { SOFTWARE_WAIT_MAX } else { WAIT_MAX },
            first_cut: if software(&adapter.get_info()) { u64::MAX } else { FIRST_CUT },
            staging: Vec::new(),
            ticks: None,
            unsent_words: 0,
            failure,
            limits,
        })
    }

    /// Takes it for a driver that ends loops after so many turns.
    #[cfg(test)]
    pub(crate) fn limit_turns(&mut self, most: u64) {
        self.info.loop_turns_max = Some(most);
    }

    /// Has first submissions hold no more than that.
    #[cfg(test)]
    pub(crate) fn cut_first(&mut self, flops: u64) {
        self.first_cut = flops;
    }

    /// Takes it for one beside the host's own cores, whatever it is: from now on kernels are compiled as a GPU gets them. For tests.
    #[doc(hidden)]
    pub fn count_as_hardware(&mut self) {
        self.info.software = false;
    }

    /// To be told when what was submitted is done.
    #[cfg(test)]
    pub(crate) fn queue(&self) -> wgpu::Queue {
        self.queue.clone()
    }

    /// What went wrong since the last look.
    fn check(&self) -> Result<(), ExecutorError> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Some(text) => Err(ExecutorError(text)),
            None => Ok(()),
        }
    }

    /// Submits; notes it among what is under way.
    fn submit(&mut self, encoder: wgpu::CommandEncoder, part: Option<Part>) {
        let index = self.queue.submit([encoder.finish()]);
        self.unsent_words = 0;
        self.submissions += 1;
        self.sent.push_back(Sent { number: self.submissions, index, at: Instant::now(), part });
    }

    /// Submits that.
    fn send(&mut self, part: Part) {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("run") });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for _ in 0..part.replays {
            for bound in &self.recordings[part.recording].dispatches[part.dispatches.clone()] {
                pass.set_pipeline(&bound.pipeline);
                pass.set_bind_group(0, &bound.group, &[]);
                let [x, y, z] = bound.groups;
                pass.dispatch_workgroups(x, y, z);
            }
        }
        drop(pass);
        self.submit(encoder, Some(part));
    }

    /// Notes what is done, and waits until no more than so many submissions are under way, for each as long as one may take.
    fn settle(&mut self, left: usize) -> Result<(), ExecutorError> {
        while let Some(oldest) = self.sent.front() {
            let must = self.sent.len() > left;
            let timeout = Some(if must { self.wait_max } else { Duration::ZERO });
            let begun = Instant::now();
            let wait = wgpu::PollType::Wait { submission_index: Some(oldest.index.clone()), timeout };
            // A device that was lost makes wgpu panic here, and is no bug of ours.
            let polled = catch_unwind(AssertUnwindSafe(|| self.device.poll(wait)));
            match polled {
                Ok(Ok(_)) => {}
                Ok(Err(wgpu::PollError::Timeout)) if !must => break,
                Ok(Err(wgpu::PollError::Timeout)) => {
                    self.check()?;
                    let limit = self.wait_max.as_secs();
                    // One dispatch cannot be cut.
                    let one = oldest.part.as_ref().filter(|part| part.dispatches.len() == 1);
                    let kernel = one.map(|part| &self.recordings[part.recording].dispatches[part.dispatches.start]);
                    let what = kernel.map_or("a piece of work", |bound| bound.kernel.name());
                    return Err(ExecutorError(format!(
                        "the device has not finished {what} in {limit} s: a smaller batch, or another device"
                    )));
                }
                Ok(Err(error)) => {
                    self.check()?;
                    return Err(ExecutorError(format!("the device does not answer: {error}")));
                }
                Err(_) => {
                    self.check()?;
                    return Err(ExecutorError("the device was lost while it was waited for".into()));
                }
            }
            let now = Instant::now();
            let time = now - oldest.at.max(self.done);
            let seen = now - begun >= time / 2;
            if let Some(part) = &oldest.part {
                let took = Took { time, no_less: seen, no_more: self.done_was_seen || oldest.at >= self.done };
                self.recordings[part.recording].note(part, took);
            }
            (self.done, self.done_was_seen) = (now, seen);
            self.sent.pop_front();
        }
        Ok(())
    }

    /// Memory that the host can map, kept or new.
    fn staging(&mut self, bytes: u64) -> wgpu::Buffer {
        match self.staging.iter().position(|staging| staging.size() >= bytes) {
            Some(place) => self.staging.remove(place),
            None => self.buffer(bytes.next_power_of_two(), wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        }
    }

    /// Has words copied into memory that the host can map: all in one submission, however many pieces they are.
    fn fetch(&mut self, buffer: Buffer, offset: usize, words: usize) -> Result<Coming, ExecutorError> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") });
        let mut stagings = Vec::with_capacity(words.div_ceil(self.piece));
        for first in (0..words).step_by(self.piece) {
            let bytes = 4 * (words - first).min(self.piece) as u64;
            let staging = self.staging(bytes);
            encoder.copy_buffer_to_buffer(&self.buffers[buffer.0], 4 * (offset + first) as u64, &staging, 0, bytes);
            stagings.push((staging, bytes));
        }
        self.submit(encoder, None);
        let mapping = |(staging, bytes): (wgpu::Buffer, u64)| {
            let (sender, mapped) = channel();
            staging.map_async(wgpu::MapMode::Read, 0..bytes, move |result| drop(sender.send(result)));
            Piece { staging, bytes, mapped }
        };
        let pieces = stagings.into_iter().map(mapping).collect();
        self.check()?;
        Ok(Coming { pieces, words, number: self.submissions })
    }

    /// Waits until they are there, and for nothing that was submitted later.
    fn fetched(&mut self, coming: Coming, mut out: &mut [u32]) -> Result<(), ExecutorError> {
        let Coming { pieces, number, .. } = coming;
        self.settle(self.sent.iter().filter(|sent| sent.number > number).count())?;
        self.check()?;
        for Piece { staging, bytes, mapped } in pieces {
            match mapped.try_recv() {
                Ok(Ok(())) => {}
                _ => return Err(ExecutorError("the device gave nothing to read".into())),
            }
            let view = staging.get_mapped_range(0..bytes).map_err(|error| ExecutorError(error.to_string()))?;
            let (here, rest) = std::mem::take(&mut out).split_at_mut(bytes as usize / 4);
            here.copy_from_slice(bytemuck::cast_slice(&view));
            out = rest;
            drop(view);
            staging.unmap();
            // Smallest first: what is asked for finds the least that it fits in.
            let place = self.staging.partition_point(|other| other.size() <= staging.size());
            self.staging.insert(place, staging);
            if self.staging.len() > STAGING_KEPT {
                self.staging.remove(0);
            }
        }
        Ok(())
    }

    fn buffer(&self, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    }
}

impl Executor for GpuExecutor {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn choices(&self) -> &Choices {
        &self.choices
    }

    fn choose(&mut self, choices: Choices) {
        self.choices = choices;
    }

    fn allocate(&mut self, words: usize) -> Result<Buffer, ExecutorError> {
        super::countable(words)?;
        // Whole groups of four: some kernels read a buffer so, and a rest behind the last group would not be there for them.
        let bytes = 4 * words.max(1).next_multiple_of(4) as u64;
        let largest = self.limits.max_storage_buffer_binding_size.min(self.limits.max_buffer_size);
        if bytes > largest {
            let (asked, most) = (bytes >> 20, largest >> 20);
            return Err(ExecutorError(format!(
                "a buffer of {asked} MiB, this device binds at most {most} MiB at once"
            )));
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.buffer(bytes, usage);
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(ExecutorError::no_memory(words, &format!(" on the device: {error}")));
        }
        self.buffers.push(buffer);
        Ok(Buffer(self.buffers.len() - 1))
    }

    fn write(&mut self, buffer: Buffer, offset: usize, words: &[u32]) -> Result<(), ExecutorError> {
        let most = self.piece;
        for (i, piece) in words.chunks(most).enumerate() {
            if self.unsent_words + piece.len() > most {
                let label = Some("write");
                let encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
                self.submit(encoder, None);
                self.settle(0)?;
            }
            let offset = 4 * (offset + i * most) as u64;
            self.queue.write_buffer(&self.buffers[buffer.0], offset, bytemuck::cast_slice(piece));
            self.unsent_words += piece.len();
        }
        self.check()
    }

    fn read_at(&mut self, buffer: Buffer, offset: usize, out: &mut [u32]) -> Result<(), ExecutorError> {
        let most = self.piece;
        for (i, piece) in out.chunks_mut(most).enumerate() {
            let coming = self.fetch(buffer, offset + i * most, piece.len())?;
            self.fetched(coming, piece)?;
        }
        Ok(())
    }

    fn runs_ahead(&self) -> bool {
        true
    }

    fn begin_read(&mut self, buffer: Buffer, offset: usize, words: usize) -> Result<Reading, ExecutorError> {
        if words.div_ceil(self.piece) > COMING_PIECES_MAX {
            let mut here = vec![0; words];
            self.read_at(buffer, offset, &mut here)?;
            return Ok(Reading(Read::Here(here)));
        }
        Ok(Reading(Read::Coming(self.fetch(buffer, offset, words)?)))
    }

    fn finish_read(&mut self, reading: Reading, out: &mut Vec<u32>) -> Result<(), ExecutorError> {
        match reading.0 {
            Read::Here(here) => *out = here,
            Read::Coming(coming) => {
                out.resize(coming.words, 0);
                self.fetched(coming, out)?;
            }
        }
        Ok(())
    }

    fn prepare(&mut self, recording: Recording) -> Result<Prepared, ExecutorError> {
        let dispatches = recording.dispatches.iter().map(|dispatch| self.bind(dispatch)).collect::<Result<_, _>>()?;
        self.check()?;
        self.recordings.push(Replay::new(dispatches, self.first_cut));
        Ok(Prepared(self.recordings.len() - 1))
    }

    fn set_words(&mut self, prepared: Prepared, index: usize, words: &[u32]) -> Result<(), ExecutorError> {
        let mut all = [0; WORDS];
        all[..words.len()].copy_from_slice(words);
        let kernel = self.recordings[prepared.0].dispatches[index].kernel;
        self.admit(kernel, &all)?;
        let bound = &mut self.recordings[prepared.0].dispatches[index];
        bound.groups = bound.kernel.grid(&all).groups();
        bound.cost = bound.kernel.cost(&all);
        self.queue.write_buffer(&bound.words, 0, bytemuck::cast_slice(&all));
        self.check()
    }

    fn run(&mut self, prepared: Prepared, times: u32) -> Result<(), ExecutorError> {
        let mut left = times;
        while left > 0 {
            self.settle(SUBMISSIONS_MAX - 1)?;
            let Replay { dispatches, at_once, cuts, .. } = &self.recordings[prepared.0];
            let (cuts, at_once, all) = (*cuts, left.min(*at_once), 0..dispatches.len());
            if cuts == 1 {
                left -= at_once;
                self.send(Part { recording: prepared.0, dispatches: all, replays: at_once, cuts });
                continue;
            }
            left -= 1;
            for dispatches in self.recordings[prepared.0].shares() {
                self.settle(SUBMISSIONS_MAX - 1)?;
                self.send(Part { recording: prepared.0, dispatches, replays: 1, cuts });
            }
        }
        self.check()
    }

    fn profile(&mut self, prepared: Prepared, times: u32) -> Result<Vec<Timed>, ExecutorError> {
        self.time(prepared, times)
    }

    fn lose(&mut self) {
        self.device.destroy();
    }
}

#[cfg(test)]
mod tests;
