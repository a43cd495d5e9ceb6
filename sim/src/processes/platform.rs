//! What systems do differently with processes. Unix is what the tests run; for Windows the types are checked.

use std::fs::{Metadata, OpenOptions};
use std::process::{Child, Command, ExitStatus};

/// What is done to a process besides killing it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hold {
    /// SIGSTOP.
    Stop,
    /// SIGCONT.
    GoOn,
}

/// Why peers cannot be paused here, where they cannot.
pub(super) const CANNOT_PAUSE: Option<&str> =
    if cfg!(unix) { None } else { Some("this system has no signal that stops a process for a while") };

/// A group of its own: ctrl-c on the terminal reaches the launcher alone, which then ends the children in order.
pub(super) fn in_group_of_its_own(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    {
        /// `CREATE_NEW_PROCESS_GROUP`.
        const GROUP: u32 = 0x200;
        std::os::windows::process::CommandExt::creation_flags(command, GROUP);
    }
}

/// Stops a process or lets it go on.
pub(super) fn hold(process: &Child, hold: Hold) {
    #[cfg(unix)]
    {
        use nix::sys::signal::{Signal, kill};
        let signal = match hold {
            Hold::Stop => Signal::SIGSTOP,
            Hold::GoOn => Signal::SIGCONT,
        };
        if let Ok(pid) = i32::try_from(process.id()) {
            let _ = kill(nix::unistd::Pid::from_raw(pid), signal);
        }
    }
    #[cfg(not(unix))]
    let _ = (process, hold);
}

/// The signal that ended it.
pub(super) fn signal_of(status: ExitStatus) -> Option<i32> {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    return {
        let _ = status;
        None
    };
}

/// The file that is made belongs to its owner alone; elsewhere it has the rights of its folder.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Whether it is this user's. Elsewhere nobody knows.
pub(super) fn is_ours(found: &Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::uid(found) == nix::unistd::geteuid().as_raw();
    #[cfg(not(unix))]
    return {
        let _ = found;
        false
    };
}

/// Whether we may do anything.
pub(super) fn is_root() -> bool {
    #[cfg(unix)]
    return nix::unistd::geteuid().is_root();
    #[cfg(not(unix))]
    return false;
}
