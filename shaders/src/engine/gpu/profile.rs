//! What each dispatch takes, by the device's own clock.

use std::ops::Range;

use super::GpuExecutor;
use super::bind::Bound;
use crate::engine::{Buffer, Executor as _, ExecutorError, Prepared, Timed};

impl GpuExecutor {
    /// Room for so many bytes of ticks: one buffer for all calls, which grows.
    fn ticks(&mut self, bytes: u64) -> Buffer {
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        match self.ticks {
            Some(ticks) if self.buffers[ticks.0].size() >= bytes => ticks,
            Some(ticks) => {
                self.buffers[ticks.0] = self.buffer(bytes, usage);
                ticks
            }
            None => {
                self.buffers.push(self.buffer(bytes, usage));
                *self.ticks.insert(Buffer(self.buffers.len() - 1))
            }
        }
    }

    pub(super) fn time(&mut self, prepared: Prepared, times: u32) -> Result<Vec<Timed>, ExecutorError> {
        if !self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(ExecutorError("this device has no clock for its work (timestamp queries)".into()));
        }
        let timed = |bound: &Bound| Timed { kernel: bound.kernel.name(), seconds: 0.0, cost: bound.cost };
        let mut all: Vec<_> = self.recordings[prepared.0].dispatches.iter().map(timed).collect();
        let stretch = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
        // Submissions as short as in training.
        let shares = self.recordings[prepared.0].shares();
        let parts = |share: &Range<usize>| {
            let end = share.end;
            share.clone().step_by(stretch).map(move |first| first..end.min(first + stretch))
        };
        let parts: Vec<_> = shares.iter().flat_map(parts).collect();
        let bytes = 8 * 2 * all.len().min(stretch) as u64;
        let queries = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("profile"),
            ty: wgpu::QueryType::Timestamp,
            count: 2 * all.len().min(stretch) as u32,
        });
        let resolved = self.ticks(bytes);
        let tick = f64::from(self.queue.get_timestamp_period()) * 1e-9 / f64::from(times);
        let mut words = Vec::new();
        for _ in 0..times {
            for part in &parts {
                let bound = &self.recordings[prepared.0].dispatches[part.clone()];
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
                for (timed, &[a, b, c, d]) in all[part.clone()].iter_mut().zip(words.as_chunks::<4>().0) {
                    timed.seconds += ticks(c, d).saturating_sub(ticks(a, b)) as f64 * tick;
                }
            }
        }
        Ok(all)
    }
}
