//! How much memory a process may still take: what the machine has available, and what its cgroups allow, whichever is less.
//!
//! A container or a service is killed at the limit of its cgroup, however much the machine has. Linux only; elsewhere nobody knows.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest path of cgroups that is walked up.
const DEPTH_MAX: usize = 64;

/// Bytes, without swapping; `None` where the system does not say.
pub(super) fn free() -> Option<u64> {
    let available = available(&fs::read_to_string("/proc/meminfo").ok()?);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    available.into_iter().chain(allowed(Path::new("/sys/fs/cgroup"), &groups)).min()
}

/// What Linux says is available without swapping.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// What the tightest of the cgroups leaves that this process is in, by the lines of `/proc/self/cgroup`: version 2 has one tree, version 1 one
/// for memory. Inside a container the path may be of the machine outside: the root of the tree is looked at in any case.
fn allowed(root: &Path, groups: &str) -> Option<u64> {
    let mut rooms = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if controllers.is_empty() {
            let files = ["memory.max", "memory.current", "inactive_file "];
            rooms.extend(upwards(root, path).filter_map(|group| room(&group, files)));
        } else if controllers.split(',').any(|name| name == "memory") {
            let files = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "];
            rooms.extend(upwards(&root.join("memory"), path).filter_map(|group| room(&group, files)));
        }
    }
    rooms.into_iter().min()
}

/// The folders from a path in a tree up to its root.
fn upwards(root: &Path, path: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let (root, path) = (root.to_owned(), PathBuf::from(path.trim_start_matches('/')));
    let all: Vec<PathBuf> = path.ancestors().take(DEPTH_MAX).map(|part| root.join(part)).collect();
    all.into_iter().chain([root])
}

/// Limit less what is taken, but for files that the system would give up first.
fn room(group: &Path, [limit, taken, inactive]: [&str; 3]) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    // "max" is no number, and no limit.
    let (limit, taken) = (number(limit)?, number(taken)?);
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cached = statistics.lines().find_map(|line| line.strip_prefix(inactive)?.trim().parse::<u64>().ok());
    Some(limit.saturating_sub(taken.saturating_sub(cached.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
    }

    #[test]
    fn the_tightest_group_counts_in_both_versions() {
        let root = std::env::temp_dir().join(format!("starling-cgroups-{}", std::process::id()));
        let outer =
            [("memory.max", "1000\n"), ("memory.current", "300\n"), ("memory.stat", "anon 1\ninactive_file 50\n")];
        write(&root.join("a"), &outer);
        write(&root.join("a/b"), &[("memory.max", "max\n"), ("memory.current", "300\n")]);
        assert_eq!(allowed(&root, "0::/a/b\n"), Some(750), "the inner one has no limit of its own");
        write(&root.join("a/b"), &[("memory.max", "400\n")]);
        assert_eq!(allowed(&root, "0::/a/b\n"), Some(100));
        // Taken is more than the limit: nothing is left, and nothing wraps.
        write(&root.join("a/b"), &[("memory.max", "200\n")]);
        assert_eq!(allowed(&root, "0::/a/b\n"), Some(0));
        let first = [("memory.limit_in_bytes", "900\n"), ("memory.usage_in_bytes", "100\n")];
        write(&root.join("memory/c"), &first);
        assert_eq!(allowed(&root, "5:cpu:/\n4:memory,hugetlb:/c\n"), Some(800));
        // A path of the machine outside: what is mounted here is the group.
        write(&root, &outer);
        assert_eq!(allowed(&root, "0::/elsewhere\n"), Some(750));
        assert_eq!(allowed(&root.join("nothing"), "0::/a\nnonsense\n"), None);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_the_machine_has_is_read() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
        #[cfg(target_os = "linux")]
        assert!(free().is_some_and(|bytes| bytes > 0));
    }
}
