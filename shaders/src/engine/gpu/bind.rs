//! A dispatch with everything bound: its kernel compiled once a device, and refused where the device could not compute it.

use super::GpuExecutor;
use super::pace::FLOPS_A_BYTE;
use crate::engine::{Dispatch, ExecutorError};
use crate::kernels::{Access, Cost, Kernel, WORDS};
use crate::wgsl;

/// A dispatch with everything bound.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) kernel: &'static dyn Kernel,
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) group: wgpu::BindGroup,
    pub(super) words: wgpu::Buffer,
    pub(super) groups: [u32; 3],
    pub(super) cost: Cost,
}

impl Bound {
    /// What it takes, as operations on floats in the same time.
    pub(super) fn estimate(&self) -> u64 {
        self.cost.flops.max(self.cost.bytes.saturating_mul(FLOPS_A_BYTE))
    }
}

impl GpuExecutor {
    /// The kernel compiled. A driver may refuse one and compute the others: what it refuses is an error of this kernel alone, is not kept, and
    /// leaves the device as it was.
    fn pipeline(&mut self, kernel: &'static dyn Kernel) -> Result<wgpu::ComputePipeline, ExecutorError> {
        if let Some(pipeline) = self.pipelines.get(kernel.name()) {
            return Ok(pipeline.clone());
        }
        let [memory, internal, validation] =
            [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation]
                .map(|filter| self.device.push_error_scope(filter));
        let pipeline = self.compile(kernel);
        // The last one pushed goes first.
        let refused = [validation, internal, memory].map(|scope| pollster::block_on(scope.pop()));
        if let Some(why) = refused.into_iter().flatten().next() {
            return Err(ExecutorError(format!(
                "{} does not compile {}: {why}; another driver, or --device cpu",
                self.info.name,
                kernel.name()
            )));
        }
        self.pipelines.insert(kernel.name(), pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, kernel: &'static dyn Kernel) -> wgpu::ComputePipeline {
        let text =
            if self.words_in_storage() { wgsl::source_with_words_in_storage(kernel) } else { wgsl::source(kernel) };
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let label = Some(kernel.name());
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label, source });
        let layout = self.layout(kernel);
        let layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        })
    }

    /// Whether the words of a dispatch are no uniform. Mesa's llvmpipe writes the numbers that it finds in a uniform into a kernel where a
    /// loop over them then disappears, and compiles that at every dispatch: 4 ms with its cache on disk, hundreds without (measured with
    /// 22.3, a perceptron with batches of 2 to 9). What lies in storage it does not look at.
    fn words_in_storage(&self) -> bool {
        self.info.software
    }

    /// The arguments as storage buffers, then the words as a uniform, or in storage, too.
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
        let words = if self.words_in_storage() {
            wgpu::BufferBindingType::Storage { read_only: true }
        } else {
            wgpu::BufferBindingType::Uniform
        };
        let entries: Vec<_> = storage.chain([entry(access.len(), words)]).collect();
        self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
    }

    /// An error where this device would not compute what the kernel says.
    pub(super) fn admit(&self, kernel: &dyn Kernel, words: &[u32; WORDS]) -> Result<(), ExecutorError> {
        let (name, device) = (kernel.name(), &self.info.name);
        let groups = kernel.grid(words).groups();
        let (most, asked) = (self.limits.max_compute_workgroups_per_dimension, groups[0].max(groups[1]));
        if asked > most {
            return Err(ExecutorError(format!(
                "{name} of {asked} workgroups along an axis, this device dispatches at most {most}: a smaller layer or batch"
            )));
        }
        if kernel.needs_f16() && !self.info.f16 {
            return Err(ExecutorError(format!(
                "{name} computes with f16, which {device} does not have: a preset of f32"
            )));
        }
        let turns = kernel.turns(words);
        match self.info.loop_turns_max {
            Some(most) if turns > most => Err(ExecutorError(format!(
                "{name} goes round its loops {turns} times, {device} ends them after {most}: a smaller batch, context or layer, or \
                 --device cpu"
            ))),
            _ => Ok(()),
        }
    }

    pub(super) fn bind(&mut self, dispatch: &Dispatch) -> Result<Bound, ExecutorError> {
        self.admit(dispatch.kernel, &dispatch.words)?;
        let groups = dispatch.kernel.grid(&dispatch.words).groups();
        let pipeline = self.pipeline(dispatch.kernel)?;
        let usage = if self.words_in_storage() { wgpu::BufferUsages::STORAGE } else { wgpu::BufferUsages::UNIFORM };
        let words = self.buffer(4 * WORDS as u64, usage | wgpu::BufferUsages::COPY_DST);
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
