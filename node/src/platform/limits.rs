//! What the system allows, and what it has counted.

/// Files that may be open at once: now, and at most.
#[cfg(unix)]
pub(crate) fn open_files() -> Option<(u64, u64)> {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).ok()
}

/// Files that may be open at once: there is no such limit.
#[cfg(not(unix))]
pub(crate) fn open_files() -> Option<(u64, u64)> {
    None
}

/// What this thread has computed so far, seconds.
#[cfg(unix)]
pub(crate) fn thread_cpu_s() -> Option<f64> {
    use nix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    Some(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

/// What this thread has computed so far: not known.
#[cfg(not(unix))]
pub(crate) fn thread_cpu_s() -> Option<f64> {
    None
}
