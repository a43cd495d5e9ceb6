//! Being asked to stop, and to forgive.

use std::io;

/// Ctrl-c, SIGTERM and SIGHUP. Made inside a runtime.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Stops {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stops {
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hang_up: signal(SignalKind::hangup())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// Ctrl-c, ctrl-break, a closed window and a system that shuts down. Made inside a runtime.
#[cfg(windows)]
#[derive(Debug)]
pub(crate) struct Stops {
    interrupt: tokio::signal::windows::CtrlC,
    interrupt_group: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
    shut_down: tokio::signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl Stops {
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
        Ok(Self {
            interrupt: ctrl_c()?,
            interrupt_group: ctrl_break()?,
            close: ctrl_close()?,
            shut_down: ctrl_shutdown()?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.interrupt_group.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shut_down.recv() => {}
        }
    }
}

/// SIGUSR1; elsewhere nothing ever comes. Made inside a runtime.
#[derive(Debug)]
pub(crate) struct Wishes {
    #[cfg(unix)]
    user: tokio::signal::unix::Signal,
}

impl Wishes {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            user: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1())?,
        })
    }

    /// False when none will come.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> bool {
        self.user.recv().await.is_some()
    }

    /// False when none will come.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> bool {
        false
    }
}
