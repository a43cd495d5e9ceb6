//! Running kernels: a step is a [`Recording`], plain data, that an [`Executor`] prepares once and replays.
//!
//! [`cpu::CpuExecutor`] runs the twins, [`gpu::GpuExecutor`] (feature `gpu`) the WGSL. Both own their buffers, vectors of
//! 32-bit words, and hand out numbers for them. Writes, runs and reads happen in the order they are asked for.

pub mod cpu;
mod device;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod ledger;
mod memory;
pub mod plan;
pub mod products;
mod reference;
pub mod tune;

pub use device::{DeviceChoice, DeviceError, DeviceInfo, adapters, open, reopen};
pub use reference::Reference;

use crate::kernels::{Cost, Kernel, WORDS};
use products::Choices;

/// Most words of a buffer: kernels count them in u32.
pub const BUFFER_WORDS_MAX: usize = u32::MAX as usize;

/// Number of a buffer of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Buffer(pub(crate) usize);

/// Number of a prepared recording of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared(pub(crate) usize);

/// One kernel over some buffers.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// What to run.
    pub kernel: &'static dyn Kernel,
    /// Its arguments, in order; no buffer twice.
    pub arguments: Vec<Buffer>,
    /// Its words.
    pub words: [u32; WORDS],
}

impl Dispatch {
    /// A dispatch; missing words are 0.
    ///
    /// # Panics
    /// When the arguments are not as many as the kernel takes, or one of them appears twice: a bug of the caller.
    #[must_use]
    pub fn new(kernel: &'static dyn Kernel, arguments: &[Buffer], words: &[u32]) -> Self {
        assert_eq!(arguments.len(), kernel.access().len(), "arguments of {}", kernel.name());
        let twice = (1..arguments.len()).any(|i| arguments[..i].contains(&arguments[i]));
        assert!(!twice, "{} takes a buffer once", kernel.name());
        let mut all = [0; WORDS];
        all[..words.len()].copy_from_slice(words);
        Self { kernel, arguments: arguments.to_vec(), words: all }
    }
}

/// Kernels in order: what comes later sees what came before.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// In order.
    pub dispatches: Vec<Dispatch>,
}

impl Recording {
    /// Appends a dispatch; see [`Dispatch::new`].
    pub fn push(&mut self, kernel: &'static dyn Kernel, arguments: &[Buffer], words: &[u32]) {
        self.dispatches.push(Dispatch::new(kernel, arguments, words));
    }
}

/// What an executor was asked to read, see [`Executor::begin_read`]. Whoever needs it no more drops it.
#[derive(Debug)]
pub struct Reading(Read);

#[derive(Debug)]
enum Read {
    /// It is here: whoever computes on the host has nothing to wait for.
    Here(Vec<u32>),
    /// A device will put it where the host can look.
    #[cfg(feature = "gpu")]
    Coming(gpu::Coming),
}

/// A dispatch and the time it took.
#[derive(Clone, Copy, Debug)]
pub struct Timed {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Seconds.
    pub seconds: f64,
    /// What it did at least.
    pub cost: Cost,
}

/// The device failed: lost, out of memory, or it refused the work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExecutorError(pub String);

/// How an error begins where there was no room.
const NO_MEMORY: &str = "no memory for";

impl ExecutorError {
    /// That there is no room for so many words, and what the device says of it.
    pub(crate) fn no_memory(words: usize, said: &str) -> Self {
        Self(format!("{NO_MEMORY} {} MiB{said}", words >> 18))
    }

    /// Whether such an error says that there was no room.
    pub(crate) fn tells_of_memory(text: &str) -> bool {
        text.starts_with(NO_MEMORY)
    }
}

/// An error where no kernel could count the words of a buffer.
fn countable(words: usize) -> Result<(), ExecutorError> {
    if words <= BUFFER_WORDS_MAX {
        return Ok(());
    }
    let [asked, most] = [words, BUFFER_WORDS_MAX].map(|words| words >> 18);
    Err(ExecutorError(format!("a buffer of {asked} MiB, kernels count at most {most} MiB: a smaller model or batch")))
}

/// See the module.
pub trait Executor: Send {
    /// What it runs on.
    fn info(&self) -> &DeviceInfo;

    /// Which kernels multiply on it.
    fn choices(&self) -> &Choices {
        const { &Choices::PLAIN }
    }

    /// Changes that, for what is recorded from now on; the CPU has one way only.
    fn choose(&mut self, _choices: Choices) {}

    /// A new buffer of that many words, all zero.
    ///
    /// # Errors
    /// When the device has no room for it, no binding is that large, or it has more than [`BUFFER_WORDS_MAX`] words.
    fn allocate(&mut self, words: usize) -> Result<Buffer, ExecutorError>;

    /// Overwrites the buffer from `offset` words on.
    ///
    /// # Errors
    /// When the device fails.
    fn write(&mut self, buffer: Buffer, offset: usize, words: &[u32]) -> Result<(), ExecutorError>;

    /// Reads from word `offset` of the buffer on, as many as `out` holds, after everything asked for before.
    ///
    /// # Errors
    /// When the device fails or does not answer in time.
    fn read_at(&mut self, buffer: Buffer, offset: usize, out: &mut [u32]) -> Result<(), ExecutorError>;

    /// Reads the first `words` words of the buffer into `out` (overwritten).
    ///
    /// # Errors
    /// As [`Executor::read_at`].
    fn read(&mut self, buffer: Buffer, words: usize, out: &mut Vec<u32>) -> Result<(), ExecutorError> {
        out.resize(words, 0);
        self.read_at(buffer, 0, out)
    }

    /// Whether what is asked for is done beside the host, and a call comes back before.
    fn runs_ahead(&self) -> bool {
        false
    }

    /// Begins to read so many words from word `offset` of the buffer on, as they are after everything asked for before; what is asked for
    /// after it need not wait for the host to look at them. [`Executor::finish_read`] has them.
    ///
    /// # Errors
    /// As [`Executor::read_at`].
    fn begin_read(&mut self, buffer: Buffer, offset: usize, words: usize) -> Result<Reading, ExecutorError> {
        let mut here = vec![0; words];
        self.read_at(buffer, offset, &mut here)?;
        Ok(Reading(Read::Here(here)))
    }

    /// What was begun to be read, into `out` (overwritten); waits for what was asked for before it, and for nothing that was asked for since.
    ///
    /// # Errors
    /// As [`Executor::read_at`].
    fn finish_read(&mut self, reading: Reading, out: &mut Vec<u32>) -> Result<(), ExecutorError> {
        match reading.0 {
            Read::Here(here) => *out = here,
            #[cfg(feature = "gpu")]
            Read::Coming(_) => return Err(ExecutorError("what is read comes of a device that is gone".into())),
        }
        Ok(())
    }

    /// Compiles and binds a recording.
    ///
    /// # Errors
    /// When the device refuses a kernel.
    fn prepare(&mut self, recording: Recording) -> Result<Prepared, ExecutorError>;

    /// Replaces the words of dispatch `index` of a prepared recording, for later runs.
    ///
    /// # Errors
    /// When the device fails.
    fn set_words(&mut self, prepared: Prepared, index: usize, words: &[u32]) -> Result<(), ExecutorError>;

    /// Runs a prepared recording `times` times.
    ///
    /// # Errors
    /// When the device fails.
    fn run(&mut self, prepared: Prepared, times: u32) -> Result<(), ExecutorError>;

    /// Runs a prepared recording `times` times, dispatch by dispatch, and says what each took on average, in their order.
    ///
    /// # Errors
    /// When the device fails, or has no clock that its work could be timed by.
    fn profile(&mut self, prepared: Prepared, times: u32) -> Result<Vec<Timed>, ExecutorError>;

    /// Loses the device on purpose, for simulations and tests: what is asked for from now on fails. Nothing where there is no device to
    /// lose.
    fn lose(&mut self) {}
}
