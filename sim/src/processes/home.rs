//! The directory of a simulation: its job file and identities. Removed on drop; what a killed launcher could not remove,
//! the next one does.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::platform::is_ours;

const PREFIX: &str = "starling-sim-";

/// A new directory, open to its owner alone, with the launcher's process id in its name.
pub(super) fn create() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir()
}

/// Removes the directories of launchers that are no more.
pub(super) fn remove_stale() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(owner) else { continue };
        // The metadata of the entry itself: a link is left alone, and so is what belongs to somebody else.
        let ours = entry.metadata().is_ok_and(|found| found.is_dir() && is_ours(&found));
        if ours && !Path::new("/proc/self").exists() {
            return; // no /proc: nobody knows who is alive
        }
        if ours && !Path::new(&format!("/proc/{pid}")).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Process id in the name of a directory of ours.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_the_dead_are_cleaned_up_after() {
        // Larger than any process id of Linux.
        let dead = tempfile::Builder::new().prefix(&format!("{PREFIX}4194305-")).tempdir().unwrap();
        let alive = create().unwrap();
        remove_stale();
        assert!(!dead.path().exists());
        assert!(alive.path().exists());
        assert_eq!(owner("starling-sim-12-abc"), Some(12));
        assert_eq!(owner("starling-simulation"), None);
    }
}
