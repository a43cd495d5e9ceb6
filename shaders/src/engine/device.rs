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
    /// The first adapter whose name holds this, in any case; with `#2` at its end the second of those that have one name and back end.
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
    /// Which of the adapters of this name and back end it is, from 1; 0 for what is no adapter.
    pub number: usize,
    /// Where it is plugged in, as the driver tells it; empty where it does not.
    pub slot: String,
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
    /// What the user should know: that there is no GPU back end, and how to get one, or that a better device does not open.
    pub note: Option<String>,
    /// Most bytes of one buffer, where there is a limit.
    pub largest_buffer: Option<u64>,
    /// Bytes of memory that are free on the device, where that is known.
    pub free_memory: Option<u64>,
    /// Bytes that are free on the host, where that is known.
    pub free_host_memory: Option<u64>,
}

impl DeviceInfo {
    /// Its name, as `--device` takes it: with its number where it is not the first of that name.
    #[must_use]
    pub fn label(&self) -> String {
        if self.number > 1 { format!("{}#{}", self.name, self.number) } else { self.name.clone() }
    }

    /// Whether that is what was asked for: a part of its name in any case, and `#` with its number.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "nothing else has a name"))]
    pub(super) fn is_called(&self, wanted: &str) -> bool {
        let holds = |part: &str| self.name.to_lowercase().contains(&part.to_lowercase());
        let numbered = wanted.rsplit_once('#').and_then(|(part, number)| Some((part, number.parse::<usize>().ok()?)));
        // A name may have a `#` of its own.
        holds(wanted) || numbered.is_some_and(|(part, number)| number == self.number && holds(part))
    }

    /// Whether that is the same adapter: by where it is plugged in, since numbers move up when one of several is gone.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "nothing else is opened again"))]
    pub(super) fn is(&self, other: &Self) -> bool {
        let kind = |info: &Self| (info.name.clone(), info.backend.clone());
        let told = !self.slot.is_empty() && !other.slot.is_empty();
        kind(self) == kind(other) && if told { self.slot == other.slot } else { self.number == other.number }
    }
}

/// Gives adapters of one name and back end their numbers, in their order.
#[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "there are none"))]
pub(super) fn number(all: &mut [DeviceInfo]) {
    for i in 0..all.len() {
        let same = |other: &&DeviceInfo| (&other.name, &other.backend) == (&all[i].name, &all[i].backend);
        all[i].number = 1 + all[..i].iter().filter(same).count();
    }
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
/// [`DeviceError::NotFound`] for a name that no adapter has. `Auto` falls back to the next adapter, and to the CPU, and says so in
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
        adapters().into_iter().map(|info| format!("{:?} ({})", info.label(), info.backend)).collect();
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
    fn equal_adapters_are_told_apart_by_their_numbers_and_slots() {
        let info = |name: &str, backend: &str, slot: &str| DeviceInfo {
            name: name.into(),
            backend: backend.into(),
            slot: slot.into(),
            ..DeviceInfo::default()
        };
        let mut all = [
            info("NVIDIA H200", "vulkan", "0000:01:00.0"),
            info("llvmpipe", "vulkan", ""),
            info("NVIDIA H200", "dx12", ""),
            info("NVIDIA H200", "vulkan", "0000:02:00.0"),
        ];
        number(&mut all);
        assert_eq!(all.each_ref().map(|info| info.number), [1, 1, 1, 2]);
        assert_eq!(all.each_ref().map(DeviceInfo::label)[2..], ["NVIDIA H200", "NVIDIA H200#2"]);
        let first = |wanted: &str| all.iter().position(|info| info.is_called(wanted));
        let wanted =
            ["h200", "h200#1", "h200#2", "NVIDIA H200#2", "pipe#1", "#2", "h200#3", "h200#0", "h200#", "pipe#2"];
        let found = [Some(0), Some(0), Some(3), Some(3), Some(1), Some(3), None, None, None, None];
        assert_eq!(wanted.map(first), found);
        assert!(info("odd #7", "vulkan", "").is_called("odd #7"), "a name that looks like a number");
        // The first is gone: the second has its number now, and is another one all the same.
        let mut left = [all[3].clone()];
        number(&mut left);
        assert!(left[0].number == 1 && !left[0].is(&all[0]) && left[0].is(&all[3]));
        let [one, two] = [1, 2].map(|number| DeviceInfo { number, slot: String::new(), ..all[0].clone() });
        assert!(
            one.is(&one) && !one.is(&two) && !one.is(&all[2]),
            "without slots by numbers, and never across back ends"
        );
    }

    #[test]
    fn auto_always_opens_something() {
        assert!(open(&DeviceChoice::Auto, 1).is_ok());
        assert_eq!(open(&DeviceChoice::Cpu, 2).map(|e| e.info().backend.clone()), Ok("cpu".into()));
    }
}
