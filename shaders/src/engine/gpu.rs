//! The GPU executor: WGSL through wgpu. Pipelines are compiled once a kernel, bind groups made once a recording; a replay
//! is one compute pass, and many steps share a submission.
//!
//! A device that works and one that hangs look alike until something is done. So work is submitted in pieces ([`paced`]) and waited for
//! piece by piece: each has its own limit, however much there is in all.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::products::Choices;
use super::{Buffer, DeviceInfo, Executor, ExecutorError, Prepared, Recording, Timed};
use crate::kernels::{Access, Cost, Kernel, WORDS};
use crate::wgsl;

/// Longest wait for one submission: beyond it, the device counts as lost.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The same where a driver computes on the CPU: it does not hang, but one step of a large model may take minutes.
const SOFTWARE_WAIT_MAX: Duration = Duration::from_secs(900);
/// What a submission of several replays should take at most: a display stays alive, and a wait sees that something is done.
const SUBMISSION_TARGET: Duration = Duration::from_millis(500);
/// Most replays in one submission: enough that submitting costs nothing.
const REPLAYS_A_SUBMISSION_MAX: u32 = 32;
/// Most submissions under way.
const SUBMISSIONS_MAX: usize = 8;
/// Words that are read or written at once: memory to read or write through is no larger, however large the model (16 MiB).
const PIECE_WORDS_MAX: usize = 4 << 20;

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
    /// When the last one before them was seen done.
    done: Instant,
    wait_max: Duration,
    /// Memory to read through; grows, and is used again.
    staging: Option<wgpu::Buffer>,
    /// Written since the last submission: until the next one is done, the driver holds a copy.
    unsent_words: usize,
    /// The first thing that went wrong outside a call.
    failure: Arc<Mutex<Option<String>>>,
    limits: wgpu::Limits,
}

/// A prepared recording.
#[derive(Debug)]
struct Replay {
    dispatches: Vec<Bound>,
    /// Replays in one submission, as found out so far.
    at_once: u32,
}

/// A submission under way.
#[derive(Debug)]
struct Sent {
    index: wgpu::SubmissionIndex,
    at: Instant,
    /// Of which recording, and how many of its replays; `None` for a copy.
    replays: Option<(usize, u32)>,
}

/// How many replays the next submission holds, after one of `replays` took that long.
fn paced(at_once: u32, replays: u32, took: Duration) -> u32 {
    if took > SUBMISSION_TARGET {
        (replays / 2).max(1).min(at_once)
    } else if replays == at_once && took < SUBMISSION_TARGET / 2 {
        (2 * at_once).min(REPLAYS_A_SUBMISSION_MAX)
    } else {
        at_once
    }
}

/// A dispatch with everything bound.
#[derive(Debug)]
struct Bound {
    kernel: &'static dyn Kernel,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    words: wgpu::Buffer,
    groups: [u32; 3],
    cost: Cost,
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    wgpu::Instance::new(descriptor)
}

/// Real GPUs before software, discrete before integrated.
fn rank(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

fn ranked() -> Vec<wgpu::Adapter> {
    let mut adapters = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all()));
    adapters.sort_by_key(|adapter| rank(&adapter.get_info()));
    adapters
}

fn describe(adapter: &wgpu::Adapter) -> DeviceInfo {
    let info = &adapter.get_info();
    let backend = match info.backend {
        wgpu::Backend::Vulkan => "vulkan",
        wgpu::Backend::Metal => "metal",
        wgpu::Backend::Dx12 => "dx12",
        _ => "other",
    };
    let driver = format!("{} {}", info.driver, info.driver_info).trim().to_owned();
    DeviceInfo {
        name: info.name.clone(),
        backend: backend.into(),
        driver,
        software: software(info),
        f16: adapter.features().contains(wgpu::Features::SHADER_F16),
        ..DeviceInfo::default()
    }
}

/// Whether a driver computes on the CPU.
fn software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

/// As [`describe`], with what the adapter grants. How much memory a real GPU has free, wgpu does not say; a software driver has
/// the host's.
fn measure(adapter: &wgpu::Adapter) -> DeviceInfo {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let largest = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let free_host_memory = super::device::free_memory();
    let free_memory = if software(&info) { free_host_memory } else { None };
    DeviceInfo { largest_buffer: Some(largest), free_memory, free_host_memory, ..describe(adapter) }
}

/// The adapters that there are, best first.
#[must_use]
pub fn adapters() -> Vec<DeviceInfo> {
    ranked().iter().map(describe).collect()
}

impl GpuExecutor {
    /// The best adapter, or the best of those whose name holds `name`; `None` when there is none.
    ///
    /// # Errors
    /// When the adapter gives no device.
    pub fn open(name: Option<&str>) -> Result<Option<Self>, ExecutorError> {
        let wanted = name.map(str::to_lowercase);
        let fits = |adapter: &wgpu::Adapter| {
            wanted.as_ref().is_none_or(|name| adapter.get_info().name.to_lowercase().contains(name))
        };
        ranked().into_iter().find(fits).map(|adapter| Self::on(&adapter)).transpose()
    }

    /// That adapter again, by its whole name and its back end; `None` when it is not there (any more, or yet).
    ///
    /// # Errors
    /// When it gives no device.
    pub fn again(lost: &DeviceInfo) -> Result<Option<Self>, ExecutorError> {
        let same = |adapter: &wgpu::Adapter| {
            let info = describe(adapter);
            (info.name == lost.name) && (info.backend == lost.backend)
        };
        ranked().into_iter().find(same).map(|adapter| Self::on(&adapter)).transpose()
    }

    fn on(adapter: &wgpu::Adapter) -> Result<Self, ExecutorError> {
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("starling"),
            // To say what each kernel takes, and to multiply in f16, where that can be done.
            required_features: adapter.features() & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F16),
            required_limits: limits.clone(),
            ..Default::default()
        };
        let request = adapter.request_device(&descriptor);
        let (device, queue) = pollster::block_on(request).map_err(|error| ExecutorError(error.to_string()))?;
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
        let info = measure(adapter);
        Ok(Self {
            choices: Choices::untuned(&info),
            info,
            device,
            queue,
            buffers: Vec::new(),
            pipelines: BTreeMap::new(),
            recordings: Vec::new(),
            sent: VecDeque::new(),
            done: Instant::now(),
            wait_max: if software(&adapter.get_info()) { SOFTWARE_WAIT_MAX } else { WAIT_MAX },
            staging: None,
            unsent_words: 0,
            failure,
            limits,
        })
    }

    /// What went wrong since the last look.
    fn check(&self) -> Result<(), ExecutorError> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Some(text) => Err(ExecutorError(text)),
            None => Ok(()),
        }
    }

    /// Submits; notes it among what is under way.
    fn submit(&mut self, encoder: wgpu::CommandEncoder, replays: Option<(usize, u32)>) {
        let index = self.queue.submit([encoder.finish()]);
        self.unsent_words = 0;
        self.sent.push_back(Sent { index, at: Instant::now(), replays });
    }

    /// Notes what is done, and waits until no more than so many submissions are under way, for each as long as one may take.
    fn settle(&mut self, left: usize) -> Result<(), ExecutorError> {
        while let Some(oldest) = self.sent.front() {
            let must = self.sent.len() > left;
            let timeout = Some(if must { self.wait_max } else { Duration::ZERO });
            let wait = wgpu::PollType::Wait { submission_index: Some(oldest.index.clone()), timeout };
            // A device that was lost makes wgpu panic here, and is no bug of ours.
            let polled = catch_unwind(AssertUnwindSafe(|| self.device.poll(wait)));
            match polled {
                Ok(Ok(_)) => {}
                Ok(Err(wgpu::PollError::Timeout)) if !must => break,
                Ok(Err(wgpu::PollError::Timeout)) => {
                    self.check()?;
                    let limit = self.wait_max.as_secs();
                    return Err(ExecutorError(format!(
                        "the device has not finished a piece of work in {limit} s: a smaller batch, or another device"
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
            if let Some((recording, replays)) = oldest.replays {
                let recording = &mut self.recordings[recording];
                recording.at_once = paced(recording.at_once, replays, now - oldest.at.max(self.done));
            }
            self.done = now;
            self.sent.pop_front();
        }
        Ok(())
    }

    /// Copies into memory that the host can map, waits, and copies out of it.
    fn read_piece(&mut self, buffer: Buffer, offset: usize, out: &mut [u32]) -> Result<(), ExecutorError> {
        let bytes = 4 * out.len() as u64;
        let staging = match self.staging.take() {
            Some(staging) if staging.size() >= bytes => staging,
            _ => self.buffer(bytes.next_power_of_two(), wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        };
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") });
        encoder.copy_buffer_to_buffer(&self.buffers[buffer.0], 4 * offset as u64, &staging, 0, bytes);
        self.submit(encoder, None);
        let (sender, receiver) = channel();
        staging.map_async(wgpu::MapMode::Read, 0..bytes, move |result| drop(sender.send(result)));
        self.settle(0)?;
        self.check()?;
        match receiver.try_recv() {
            Ok(Ok(())) => {}
            _ => return Err(ExecutorError("the device gave nothing to read".into())),
        }
        let view = staging.get_mapped_range(0..bytes).map_err(|error| ExecutorError(error.to_string()))?;
        out.copy_from_slice(bytemuck::cast_slice(&view));
        drop(view);
        staging.unmap();
        self.staging = Some(staging);
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

    fn pipeline(&mut self, kernel: &'static dyn Kernel) -> wgpu::ComputePipeline {
        if let Some(pipeline) = self.pipelines.get(kernel.name()) {
            return pipeline.clone();
        }
        let source = wgpu::ShaderSource::Wgsl(wgsl::source(kernel).into());
        let label = Some(kernel.name());
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label, source });
        let layout = self.layout(kernel);
        let layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        self.pipelines.insert(kernel.name(), pipeline.clone());
        pipeline
    }

    /// The arguments as storage buffers, then the words as a uniform.
    fn layout(&self, kernel: &dyn Kernel) -> wgpu::BindGroupLayout {
        let entry = |binding: usize, ty: wgpu::BufferBindingType| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let access = kernel.access();
        let storage = access
            .iter()
            .enumerate()
            .map(|(i, access)| entry(i, wgpu::BufferBindingType::Storage { read_only: *access == Access::Read }));
        let entries: Vec<_> = storage.chain([entry(access.len(), wgpu::BufferBindingType::Uniform)]).collect();
        self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
    }

    fn bind(&mut self, dispatch: &super::Dispatch) -> Result<Bound, ExecutorError> {
        let groups = dispatch.kernel.grid(&dispatch.words).groups();
        let (most, asked) = (self.limits.max_compute_workgroups_per_dimension, groups[0].max(groups[1]));
        if asked > most {
            let kernel = dispatch.kernel.name();
            return Err(ExecutorError(format!(
                "{kernel} of {asked} workgroups along an axis, this device dispatches at most {most}: a smaller layer or batch"
            )));
        }
        if dispatch.kernel.needs_f16() && !self.info.f16 {
            let (kernel, device) = (dispatch.kernel.name(), &self.info.name);
            return Err(ExecutorError(format!(
                "{kernel} computes with f16, which {device} does not have: a preset of f32"
            )));
        }
        let pipeline = self.pipeline(dispatch.kernel);
        let words = self.buffer(4 * WORDS as u64, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST);
        self.queue.write_buffer(&words, 0, bytemuck::cast_slice(&dispatch.words));
        let buffers = dispatch.arguments.iter().map(|buffer| &self.buffers[buffer.0]).chain([&words]);
        let entries: Vec<_> = buffers
            .enumerate()
            .map(|(i, buffer)| wgpu::BindGroupEntry { binding: i as u32, resource: buffer.as_entire_binding() })
            .collect();
        let layout = self.layout(dispatch.kernel);
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(dispatch.kernel.name()),
            layout: &layout,
            entries: &entries,
        });
        let cost = dispatch.kernel.cost(&dispatch.words);
        Ok(Bound { kernel: dispatch.kernel, pipeline, group, words, groups, cost })
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
            return Err(ExecutorError(format!("no memory for {} MiB on the device: {error}", bytes >> 20)));
        }
        self.buffers.push(buffer);
        Ok(Buffer(self.buffers.len() - 1))
    }

    fn write(&mut self, buffer: Buffer, offset: usize, words: &[u32]) -> Result<(), ExecutorError> {
        for (i, piece) in words.chunks(PIECE_WORDS_MAX).enumerate() {
            if self.unsent_words + piece.len() > PIECE_WORDS_MAX {
                let label = Some("write");
                let encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
                self.submit(encoder, None);
                self.settle(0)?;
            }
            let offset = 4 * (offset + i * PIECE_WORDS_MAX) as u64;
            self.queue.write_buffer(&self.buffers[buffer.0], offset, bytemuck::cast_slice(piece));
            self.unsent_words += piece.len();
        }
        self.check()
    }

    fn read_at(&mut self, buffer: Buffer, offset: usize, out: &mut [u32]) -> Result<(), ExecutorError> {
        for (i, piece) in out.chunks_mut(PIECE_WORDS_MAX).enumerate() {
            self.read_piece(buffer, offset + i * PIECE_WORDS_MAX, piece)?;
        }
        Ok(())
    }

    fn prepare(&mut self, recording: Recording) -> Result<Prepared, ExecutorError> {
        let dispatches = recording.dispatches.iter().map(|dispatch| self.bind(dispatch)).collect::<Result<_, _>>()?;
        self.check()?;
        self.recordings.push(Replay { dispatches, at_once: 1 });
        Ok(Prepared(self.recordings.len() - 1))
    }

    fn set_words(&mut self, prepared: Prepared, index: usize, words: &[u32]) -> Result<(), ExecutorError> {
        let mut all = [0; WORDS];
        all[..words.len()].copy_from_slice(words);
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
            let now = left.min(self.recordings[prepared.0].at_once);
            left -= now;
            let mut encoder =
                self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("run") });
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for _ in 0..now {
                for bound in &self.recordings[prepared.0].dispatches {
                    pass.set_pipeline(&bound.pipeline);
                    pass.set_bind_group(0, &bound.group, &[]);
                    let [x, y, z] = bound.groups;
                    pass.dispatch_workgroups(x, y, z);
                }
            }
            drop(pass);
            self.submit(encoder, Some((prepared.0, now)));
        }
        self.check()
    }

    fn profile(&mut self, prepared: Prepared, times: u32) -> Result<Vec<Timed>, ExecutorError> {
        if !self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(ExecutorError("this device has no clock for its work (timestamp queries)".into()));
        }
        let timed = |bound: &Bound| Timed { kernel: bound.kernel.name(), seconds: 0.0, cost: bound.cost };
        let mut all: Vec<_> = self.recordings[prepared.0].dispatches.iter().map(timed).collect();
        let stretch = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
        let bytes = 8 * 2 * all.len().min(stretch) as u64;
        let queries = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("profile"),
            ty: wgpu::QueryType::Timestamp,
            count: 2 * all.len().min(stretch) as u32,
        });
        let resolved = self.buffer(bytes, wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        self.buffers.push(resolved);
        let resolved = Buffer(self.buffers.len() - 1);
        let tick = f64::from(self.queue.get_timestamp_period()) * 1e-9 / f64::from(times);
        let mut words = Vec::new();
        for _ in 0..times {
            for first in (0..all.len()).step_by(stretch) {
                let bound = &self.recordings[prepared.0].dispatches[first..all.len().min(first + stretch)];
                let count = 2 * bound.len() as u32;
                let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                // A pass of its own for each: only passes are timed everywhere.
                for (i, bound) in (0..).zip(bound) {
                    let writes = wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(2 * i),
                        end_of_pass_write_index: Some(2 * i + 1),
                    };
                    let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(writes) };
                    let mut pass = encoder.begin_compute_pass(&descriptor);
                    pass.set_pipeline(&bound.pipeline);
                    pass.set_bind_group(0, &bound.group, &[]);
                    let [x, y, z] = bound.groups;
                    pass.dispatch_workgroups(x, y, z);
                }
                encoder.resolve_query_set(&queries, 0..count, &self.buffers[resolved.0], 0);
                self.submit(encoder, None);
                self.read(resolved, 2 * count as usize, &mut words)?;
                let ticks = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
                for (timed, &[a, b, c, d]) in all[first..].iter_mut().zip(words.as_chunks::<4>().0) {
                    timed.seconds += ticks(c, d).saturating_sub(ticks(a, b)) as f64 * tick;
                }
            }
        }
        Ok(all)
    }

    fn lose(&mut self) {
        self.device.destroy();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::kernels::accumulate::Accumulate;
    use crate::kernels::linear_forward::LinearForward;

    #[test]
    fn submissions_grow_while_they_are_short_and_shrink_when_they_are_long() {
        let short = |at_once| paced(at_once, at_once, SUBMISSION_TARGET / 4);
        assert_eq!([1, 16, 32].map(short), [2, 32, 32]);
        assert_eq!(paced(8, 3, SUBMISSION_TARGET / 4), 8, "a part of one says nothing");
        assert_eq!(paced(8, 8, 3 * SUBMISSION_TARGET / 4), 8);
        assert_eq!([1, 2, 32].map(|at_once| paced(at_once, at_once, 2 * SUBMISSION_TARGET)), [1, 1, 16]);
    }

    #[test]
    fn many_replays_are_all_done_once_however_they_are_cut() {
        let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
        let (words, replays) = (5, 300);
        let [x, y] = [(); 2].map(|()| gpu.allocate(words).unwrap());
        let numbers: Vec<u32> = (0..words).map(|i| (i as f32).to_bits()).collect();
        gpu.write(x, 0, &numbers).unwrap();
        let mut recording = Recording::default();
        recording.push(&Accumulate, &[x, y], &[words as u32, 1]);
        let prepared = gpu.prepare(recording).unwrap();
        let mut found = Vec::new();
        for round in 1..4u32 {
            gpu.run(prepared, replays).unwrap();
            assert!(gpu.sent.len() <= SUBMISSIONS_MAX);
            gpu.read(y, words, &mut found).unwrap();
            assert!(gpu.sent.is_empty());
            let expected: Vec<u32> = (0..words).map(|i| ((round * replays) as f32 * i as f32).to_bits()).collect();
            assert_eq!(found, expected, "round {round}");
        }
        assert!(gpu.recordings[prepared.0].at_once > 1, "submissions stay short");
    }

    #[test]
    fn what_no_dispatch_can_hold_is_refused_before_it_runs() {
        let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
        let buffers = [(); 3].map(|()| gpu.allocate(1).unwrap());
        let mut recording = Recording::default();
        // 32 columns a workgroup.
        recording.push(&LinearForward, &buffers, &[1, 32 * gpu.limits.max_compute_workgroups_per_dimension + 1, 1]);
        let error = gpu.prepare(recording).unwrap_err().to_string();
        assert!(error.contains("linear_forward") && error.contains("a smaller layer"), "{error}");
    }

    #[test]
    fn a_kernel_of_f16_is_refused_where_there_is_none() {
        let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
        gpu.info.f16 = false;
        let buffers = [(); 3].map(|()| gpu.allocate(1).unwrap());
        let mut recording = Recording::default();
        recording.push(&crate::kernels::linear_forward_tiled::HALF_64, &buffers, &[1, 1, 1, 0, 0, 1]);
        let error = gpu.prepare(recording).unwrap_err().to_string();
        assert!(error.contains("linear_forward_half_64") && error.contains(&gpu.info.name), "{error}");
    }

    #[test]
    fn a_device_that_does_not_answer_in_time_is_an_error_that_names_the_limit() {
        let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
        // Far more than is done in no time at all.
        let words = 1 << 22;
        let [x, y] = [(); 2].map(|()| gpu.allocate(words).unwrap());
        let mut recording = Recording::default();
        recording.push(&Accumulate, &[x, y], &[words as u32, 1]);
        let prepared = gpu.prepare(recording).unwrap();
        gpu.recordings[prepared.0].at_once = REPLAYS_A_SUBMISSION_MAX;
        gpu.wait_max = Duration::ZERO;
        gpu.run(prepared, REPLAYS_A_SUBMISSION_MAX).unwrap();
        let error = gpu.settle(0).unwrap_err().to_string();
        assert!(error.contains("in 0 s") && error.contains("smaller batch"), "{error}");
        gpu.wait_max = SOFTWARE_WAIT_MAX;
        gpu.settle(0).unwrap();
    }
}
