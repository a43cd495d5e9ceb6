//! What a process takes, as Linux tells it.

use std::fs;
use std::path::PathBuf;

use nix::unistd::Pid;

/// Connections of that local port that no process has any more, while the system keeps what was still to be said over them.
///
/// # Panics
/// When the system does not tell.
#[must_use]
pub fn orphans(port: u16) -> usize {
    /// Closed on this side, and not acknowledged.
    const FIN_WAIT1: &str = "04";
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let local = format!(":{port:04X}");
    let is_one = |line: &&str| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next().is_some_and(|address| address.ends_with(&local)) && columns.nth(1) == Some(FIN_WAIT1)
    };
    table.lines().filter(is_one).count()
}

/// One process.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub Pid);

impl Process {
    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    /// Resident memory, MiB.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn memory_mib(self) -> f64 {
        self.field_mib("VmRSS:")
    }

    /// The most that it was since the start or [`Self::forget_peak`], MiB.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn peak_mib(self) -> f64 {
        self.field_mib("VmHWM:")
    }

    /// Measures the peak anew from here on; returns what it takes now, MiB.
    ///
    /// # Panics
    /// When it is gone or another user's.
    pub fn forget_peak(self) -> f64 {
        fs::write(self.file("clear_refs"), "5").expect("it is ours");
        self.memory_mib()
    }

    fn field_mib(self, name: &str) -> f64 {
        let status = fs::read_to_string(self.file("status")).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it has memory");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib / 1024.0
    }

    /// Open descriptors.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn descriptors(self) -> usize {
        fs::read_dir(self.file("fd")).expect("it lives").count()
    }
}
