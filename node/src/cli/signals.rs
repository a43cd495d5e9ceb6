//! Ctrl-c, SIGTERM, SIGHUP and SIGUSR1, turned into calls.

use std::thread;
use std::time::Duration;

use crate::error::{Error, Kind};
use crate::platform::{Stops, Wishes};

/// Once asked, the process is gone after this long, whatever hangs: a device call or a full pipe cannot hold it.
pub(super) const STOP_MAX: Duration = Duration::from_millis(1900);
/// The same for what a simulation still has to say when its processes are gone: a pipe that nobody reads is given up.
pub(super) const READ_MAX: Duration = Duration::from_secs(1);
/// Exit code of a process that had to be cut off.
const EXIT_INTERRUPTED: i32 = 130;

/// Calls `act` with 1 at the first signal, 2 at the second, and so on, on a thread of its own.
pub(super) fn watch(mut act: impl FnMut(u32) + Send + 'static) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::new(Kind::Internal, format!("cannot listen for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let mut stops = {
        let _inside = runtime.enter();
        Stops::new().map_err(failed)?
    };
    thread::spawn(move || {
        runtime.block_on(async move {
            for count in 1.. {
                stops.next().await;
                act(count);
            }
        });
    });
    Ok(())
}

/// Calls `act` at each SIGUSR1, on a thread of its own.
pub(super) fn watch_user(mut act: impl FnMut() + Send + 'static) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::new(Kind::Internal, format!("cannot listen for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let mut wishes = {
        let _inside = runtime.enter();
        Wishes::new().map_err(failed)?
    };
    thread::spawn(move || {
        runtime.block_on(async move {
            while wishes.next().await {
                act();
            }
        });
    });
    Ok(())
}

/// Ends the process after `patience` if it has not ended by itself.
pub(super) fn exit_after(patience: Duration) {
    thread::spawn(move || {
        thread::sleep(patience);
        std::process::exit(EXIT_INTERRUPTED);
    });
}
