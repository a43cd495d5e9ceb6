//! The CPU executor: runs the twins, one after the other, in the calling thread or shared out to a pool of threads.

use std::time::Instant;

use rayon::ThreadPool;

use super::{Buffer, DeviceInfo, Dispatch, Executor, ExecutorError, Prepared, Recording, Timed};
use crate::kernels::{ARGUMENTS_MAX, Access, Argument, WORDS, threads};

/// See the module.
#[derive(Debug)]
pub struct CpuExecutor {
    info: DeviceInfo,
    buffers: Vec<Vec<u32>>,
    /// Each with whether its work is worth sharing out.
    recordings: Vec<(Recording, bool)>,
    /// `None`: the calling thread alone.
    pool: Option<ThreadPool>,
}

impl CpuExecutor {
    /// An executor without buffers. `note` says why it was chosen, where the user did not ask for it.
    #[must_use]
    pub fn new(note: Option<String>) -> Self {
        let info = DeviceInfo { name: "CPU".into(), backend: "cpu".into(), threads: 1, note, ..DeviceInfo::default() };
        Self { info, buffers: Vec::new(), recordings: Vec::new(), pool: None }
    }

    /// The same on that many threads, that knows how much memory is free: worth a look where one is opened, not a thousand.
    #[must_use]
    pub fn measured(note: Option<String>, threads: usize) -> Self {
        let mut executor = Self { pool: threads::pool(threads), ..Self::new(note) };
        executor.info.threads = executor.pool.as_ref().map_or(1, ThreadPool::current_num_threads);
        executor.info.free_memory = super::memory::free();
        executor.info.free_host_memory = executor.info.free_memory;
        executor
    }

    /// Takes it for a device that binds no more than so many bytes at once.
    #[cfg(test)]
    pub(crate) fn limit_buffers(&mut self, bytes: u64) {
        self.info.largest_buffer = Some(bytes);
    }

    fn dispatch(buffers: &mut [Vec<u32>], dispatch: &Dispatch) {
        // The arguments are taken out of the table for the time of the call: no buffer is there twice.
        let mut taken: [Vec<u32>; ARGUMENTS_MAX] = Default::default();
        for (place, buffer) in taken.iter_mut().zip(&dispatch.arguments) {
            *place = std::mem::take(&mut buffers[buffer.0]);
        }
        let access = dispatch.kernel.access();
        // In an array: a step allocates nothing.
        let mut arguments: [Argument<'_>; ARGUMENTS_MAX] = std::array::from_fn(|_| Argument::Read(&[]));
        for ((argument, words), access) in arguments.iter_mut().zip(&mut taken).zip(access) {
            *argument = match access {
                Access::Read => Argument::Read(words),
                Access::Write => Argument::Write(words),
            };
        }
        dispatch.kernel.twin(&mut arguments[..access.len()], &dispatch.words);
        for (place, buffer) in taken.iter_mut().zip(&dispatch.arguments) {
            buffers[buffer.0] = std::mem::take(place);
        }
    }
}

/// Does the work on that pool, or here.
fn on(pool: Option<&ThreadPool>, work: &mut (dyn FnMut() + Send)) {
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

impl Executor for CpuExecutor {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&mut self, words: usize) -> Result<Buffer, ExecutorError> {
        super::countable(words)?;
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(words).map_err(|_| ExecutorError::no_memory(words, ""))?;
        buffer.resize(words, 0);
        self.buffers.push(buffer);
        Ok(Buffer(self.buffers.len() - 1))
    }

    fn write(&mut self, buffer: Buffer, offset: usize, words: &[u32]) -> Result<(), ExecutorError> {
        self.buffers[buffer.0][offset..offset + words.len()].copy_from_slice(words);
        Ok(())
    }

    fn read_at(&mut self, buffer: Buffer, offset: usize, out: &mut [u32]) -> Result<(), ExecutorError> {
        out.copy_from_slice(&self.buffers[buffer.0][offset..offset + out.len()]);
        Ok(())
    }

    fn prepare(&mut self, recording: Recording) -> Result<Prepared, ExecutorError> {
        let large = |buffer: &Buffer| self.buffers[buffer.0].len() >= threads::WORTH_SHARING;
        let written = |dispatch: &Dispatch| {
            let mut arguments = dispatch.arguments.iter().zip(dispatch.kernel.access());
            arguments.any(|(buffer, access)| *access == Access::Write && large(buffer))
        };
        let shared = recording.dispatches.iter().any(written);
        self.recordings.push((recording, shared));
        Ok(Prepared(self.recordings.len() - 1))
    }

    fn set_words(&mut self, prepared: Prepared, index: usize, words: &[u32]) -> Result<(), ExecutorError> {
        let mut all = [0; WORDS];
        all[..words.len()].copy_from_slice(words);
        self.recordings[prepared.0].0.dispatches[index].words = all;
        Ok(())
    }

    fn run(&mut self, prepared: Prepared, times: u32) -> Result<(), ExecutorError> {
        let ((recording, shared), buffers) = (&self.recordings[prepared.0], &mut self.buffers);
        let mut all = || {
            for _ in 0..times {
                recording.dispatches.iter().for_each(|dispatch| Self::dispatch(buffers, dispatch));
            }
        };
        on(self.pool.as_ref().filter(|_| *shared), &mut all);
        Ok(())
    }

    fn profile(&mut self, prepared: Prepared, times: u32) -> Result<Vec<Timed>, ExecutorError> {
        let ((recording, shared), buffers) = (&self.recordings[prepared.0], &mut self.buffers);
        let timed = |dispatch: &Dispatch| {
            let (kernel, cost) = (dispatch.kernel.name(), dispatch.kernel.cost(&dispatch.words));
            Timed { kernel, seconds: 0.0, cost }
        };
        let mut all: Vec<_> = recording.dispatches.iter().map(timed).collect();
        let mut measure = || {
            for _ in 0..times {
                for (dispatch, timed) in recording.dispatches.iter().zip(&mut all) {
                    let start = Instant::now();
                    Self::dispatch(buffers, dispatch);
                    timed.seconds += start.elapsed().as_secs_f64() / f64::from(times);
                }
            }
        };
        on(self.pool.as_ref().filter(|_| *shared), &mut measure);
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::BUFFER_WORDS_MAX;

    #[test]
    fn a_buffer_that_no_kernel_can_count_is_refused_before_it_is_made() {
        let error = CpuExecutor::new(None).allocate(BUFFER_WORDS_MAX + 1).err().map(|error| error.0);
        assert!(error.is_some_and(|text| text.contains("at most 16383 MiB")));
    }
}
