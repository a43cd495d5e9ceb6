//! The GPU executor: WGSL through wgpu. Pipelines are compiled once a kernel, bind groups made once a recording; a replay
//! is one compute pass, and many steps share a submission.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Buffer, DeviceInfo, Executor, ExecutorError, Prepared, Recording};
use crate::kernels::{Access, Kernel, WORDS};
use crate::wgsl;

/// Longest wait for the device: beyond it, it counts as lost.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Replays in one submission: enough that submitting costs nothing, few enough that a display stays alive.
const REPLAYS_A_SUBMISSION: u32 = 32;

/// See the module.
#[derive(Debug)]
pub struct GpuExecutor {
    info: DeviceInfo,
    device: wgpu::Device,
    queue: wgpu::Queue,
    buffers: Vec<wgpu::Buffer>,
    pipelines: BTreeMap<&'static str, wgpu::ComputePipeline>,
    recordings: Vec<Vec<Bound>>,
    /// Memory to read through; grows, and is used again.
    staging: Option<wgpu::Buffer>,
    /// The first thing that went wrong outside a call.
    failure: Arc<Mutex<Option<String>>>,
    limits: wgpu::Limits,
}

/// A dispatch with everything bound.
#[derive(Debug)]
struct Bound {
    kernel: &'static dyn Kernel,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    words: wgpu::Buffer,
    groups: [u32; 3],
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

fn describe(info: &wgpu::AdapterInfo) -> DeviceInfo {
    let backend = match info.backend {
        wgpu::Backend::Vulkan => "vulkan",
        wgpu::Backend::Metal => "metal",
        wgpu::Backend::Dx12 => "dx12",
        _ => "other",
    };
    DeviceInfo { name: info.name.clone(), backend: backend.into(), ..DeviceInfo::default() }
}

/// As [`describe`], with what the adapter grants. How much memory a real GPU has free, wgpu does not say; a software driver has
/// the host's.
fn measure(adapter: &wgpu::Adapter) -> DeviceInfo {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let largest = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let software = info.device_type == wgpu::DeviceType::Cpu;
    let free_host_memory = super::device::free_memory();
    let free_memory = if software { free_host_memory } else { None };
    DeviceInfo { largest_buffer: Some(largest), free_memory, free_host_memory, ..describe(&info) }
}

/// The adapters that there are, best first.
#[must_use]
pub fn adapters() -> Vec<DeviceInfo> {
    ranked().iter().map(|adapter| describe(&adapter.get_info())).collect()
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

    fn on(adapter: &wgpu::Adapter) -> Result<Self, ExecutorError> {
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("starling"),
            required_features: wgpu::Features::empty(),
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
        Ok(Self {
            info: measure(adapter),
            device,
            queue,
            buffers: Vec::new(),
            pipelines: BTreeMap::new(),
            recordings: Vec::new(),
            staging: None,
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
        let source = wgpu::ShaderSource::Wgsl(wgsl::expand(kernel.wgsl()).into());
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

    fn bind(&mut self, dispatch: &super::Dispatch) -> Bound {
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
        let groups = dispatch.kernel.grid(&dispatch.words).groups();
        Bound { kernel: dispatch.kernel, pipeline, group, words, groups }
    }
}

impl Executor for GpuExecutor {
    fn info(&self) -> &DeviceInfo {
        &self.info
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
        self.queue.write_buffer(&self.buffers[buffer.0], 4 * offset as u64, bytemuck::cast_slice(words));
        self.check()
    }

    fn read(&mut self, buffer: Buffer, words: usize, out: &mut Vec<u32>) -> Result<(), ExecutorError> {
        let bytes = 4 * words as u64;
        let staging = match self.staging.take() {
            Some(staging) if staging.size() >= bytes => staging,
            _ => self.buffer(bytes.next_power_of_two(), wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        };
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") });
        encoder.copy_buffer_to_buffer(&self.buffers[buffer.0], 0, &staging, 0, bytes);
        let submission = self.queue.submit([encoder.finish()]);
        let (sender, receiver) = channel();
        staging.map_async(wgpu::MapMode::Read, 0..bytes, move |result| drop(sender.send(result)));
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(WAIT_MAX) };
        self.device.poll(wait).map_err(|error| ExecutorError(format!("the device does not answer: {error}")))?;
        self.check()?;
        match receiver.try_recv() {
            Ok(Ok(())) => {}
            _ => return Err(ExecutorError("the device gave nothing to read".into())),
        }
        out.clear();
        let view = staging.get_mapped_range(0..bytes).map_err(|error| ExecutorError(error.to_string()))?;
        out.extend_from_slice(bytemuck::cast_slice(&view));
        drop(view);
        staging.unmap();
        self.staging = Some(staging);
        Ok(())
    }

    fn prepare(&mut self, recording: Recording) -> Result<Prepared, ExecutorError> {
        let bound = recording.dispatches.iter().map(|dispatch| self.bind(dispatch)).collect();
        self.check()?;
        self.recordings.push(bound);
        Ok(Prepared(self.recordings.len() - 1))
    }

    fn set_words(&mut self, prepared: Prepared, index: usize, words: &[u32]) -> Result<(), ExecutorError> {
        let mut all = [0; WORDS];
        all[..words.len()].copy_from_slice(words);
        let bound = &mut self.recordings[prepared.0][index];
        bound.groups = bound.kernel.grid(&all).groups();
        self.queue.write_buffer(&bound.words, 0, bytemuck::cast_slice(&all));
        self.check()
    }

    fn run(&mut self, prepared: Prepared, times: u32) -> Result<(), ExecutorError> {
        let mut left = times;
        while left > 0 {
            let now = left.min(REPLAYS_A_SUBMISSION);
            left -= now;
            let mut encoder =
                self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("run") });
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for _ in 0..now {
                for bound in &self.recordings[prepared.0] {
                    pass.set_pipeline(&bound.pipeline);
                    pass.set_bind_group(0, &bound.group, &[]);
                    let [x, y, z] = bound.groups;
                    pass.dispatch_workgroups(x, y, z);
                }
            }
            drop(pass);
            self.queue.submit([encoder.finish()]);
        }
        self.check()
    }
}
