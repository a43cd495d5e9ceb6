//! Choosing what to train on.

use std::str::FromStr;

use super::cpu::CpuExecutor;
use super::{Executor, ExecutorError};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The best GPU; without one a software Vulkan driver; without that the CPU executor.
    #[default]
    Auto,
    /// The CPU executor.
    Cpu,
    /// The first adapter whose name holds this, in any case.
    Named(String),
}

impl FromStr for DeviceChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            name => Self::Named(name.to_owned()),
        })
    }
}

/// What an executor runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceInfo {
    /// As the driver names it.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `cpu`.
    pub backend: String,
    /// Name and version of the driver, as it tells them.
    pub driver: String,
    /// A driver that plays a GPU on the host's processor: its memory is the host's, and workgroups that wait for each other are slow.
    pub software: bool,
    /// Whether its kernels may compute with f16.
    pub f16: bool,
    /// How often the loops of one invocation may go round, all together, where a driver ends them.
    pub loop_turns_max: Option<u64>,
    /// Threads of the host that its kernels run on; 0 where they run elsewhere.
    pub threads: usize,
    /// What the user should know: that there is no GPU back end, and how to get one.
    pub note: Option<String>,
    /// Most bytes of one buffer, where there is a limit.
    pub largest_buffer: Option<u64>,
    /// Bytes of memory that are free on the device, where that is known.
    pub free_memory: Option<u64>,
    /// Bytes that are free on the host, where that is known.
    pub free_host_memory: Option<u64>,
}

/// Why there is no executor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No adapter of that name.
    #[error("no device is named {name:?}; there is: {found}")]
    NotFound {
        /// As asked for.
        name: String,
        /// What there is.
        found: String,
    },
    /// The adapter gave no device.
    #[error(transparent)]
    Failed(#[from] ExecutorError),
}

/// How to get a GPU back end where there is none.
const NO_ADAPTER: &str = "training on the CPU: no Vulkan, Metal or DirectX 12 driver was found. For a GPU install its vendor's \
    driver; for software Vulkan on Debian or Ubuntu: apt-get install mesa-vulkan-drivers libvulkan1";

/// The adapters that there are, best first.
#[must_use]
pub fn adapters() -> Vec<DeviceInfo> {
    #[cfg(feature = "gpu")]
    return super::gpu::adapters();
    #[cfg(not(feature = "gpu"))]
    Vec::new()
}

/// Opens the device that was asked for; of the CPU so many threads.
///
/// # Errors
/// [`DeviceError::NotFound`] for a name that no adapter has. `Auto` falls back to the CPU and says so in
/// [`DeviceInfo::note`].
pub fn open(choice: &DeviceChoice, threads: usize) -> Result<Box<dyn Executor>, DeviceError> {
    match choice {
        DeviceChoice::Cpu => Ok(Box::new(CpuExecutor::measured(None, threads))),
        DeviceChoice::Auto => Ok(open_best(threads)),
        DeviceChoice::Named(name) => open_named(name),
    }
}

/// Opens a device that was lost again: the same adapter, or nothing.
///
/// # Errors
/// When it is not there, or gives no device.
pub fn reopen(lost: &DeviceInfo) -> Result<Box<dyn Executor>, ExecutorError> {
    #[cfg(feature = "gpu")]
    if let Some(executor) = super::gpu::GpuExecutor::again(lost)? {
        return Ok(Box::new(executor));
    }
    Err(ExecutorError(format!("{} ({}) is not there any more", lost.name, lost.backend)))
}

#[cfg(feature = "gpu")]
fn open_best(threads: usize) -> Box<dyn Executor> {
    match super::gpu::GpuExecutor::open(None) {
        Ok(Some(executor)) => Box::new(executor),
        Ok(None) => Box::new(CpuExecutor::measured(Some(NO_ADAPTER.into()), threads)),
        Err(error) => {
            let note = format!("training on the CPU: the GPU does not open ({error})");
            Box::new(CpuExecutor::measured(Some(note), threads))
        }
    }
}

#[cfg(not(feature = "gpu"))]
fn open_best(threads: usize) -> Box<dyn Executor> {
    Box::new(CpuExecutor::measured(Some(NO_ADAPTER.into()), threads))
}

fn open_named(name: &str) -> Result<Box<dyn Executor>, DeviceError> {
    // Every name holds an empty one, and nobody means the first device by it.
    #[cfg(feature = "gpu")]
    if !name.trim().is_empty()
        && let Some(executor) = super::gpu::GpuExecutor::open(Some(name))?
    {
        return Ok(Box::new(executor));
    }
    let mut found: Vec<String> =
        adapters().into_iter().map(|info| format!("{:?} ({})", info.name, info.backend)).collect();
    found.push("\"cpu\"".into());
    Err(DeviceError::NotFound { name: name.into(), found: found.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_has_is_an_error_that_lists_what_there_is() {
        let error = open(&DeviceChoice::Named("voodoo2".into()), 1).err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.contains("voodoo2") && text.contains("\"cpu\"")));
    }

    #[test]
    fn no_name_is_no_device() {
        for name in ["", "  "] {
            let error = open(&DeviceChoice::Named(name.into()), 1).err().map(|error| error.to_string());
            assert!(error.is_some_and(|text| text.contains("there is") && text.contains("\"cpu\"")), "{name:?}");
        }
    }

    #[test]
    fn auto_always_opens_something() {
        assert!(open(&DeviceChoice::Auto, 1).is_ok());
        assert_eq!(open(&DeviceChoice::Cpu, 2).map(|e| e.info().backend.clone()), Ok("cpu".into()));
    }
}
