//! N real processes: [`spec`] says what to start, [`launcher`] starts and watches them, [`event`] is what they say.
//!
//! No orphan is left behind, whatever dies first. Every child reads its standard input: the line `rest` asks it to take no further step, `finish` to agree
//! with the others, evaluate and stop; the end of the stream means that the launcher is gone, and the child stops at once.
//! So even a launcher that was killed with SIGKILL takes its children with it.

mod child;
pub mod event;
mod home;
pub mod launcher;
pub mod netns;
mod pace;
pub mod plan;
mod platform;
mod slot;
pub mod spec;

pub use event::ChildEvent;
pub use launcher::{Outcome, Stop, Swarm, SwarmEvent};
pub use plan::Kills;
pub use slot::{Ending, PeerFacts};
pub use spec::{Action, Arrangement, Birth, Fault, SwarmSpec};

/// Why a swarm could not be run.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// A file or a process could not be made.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The first peer stopped before it was ready: its own message says why, and the others would say the same.
    #[error("peer {peer} stopped before it was ready")]
    NotReady {
        /// Which one.
        peer: u32,
        /// Its exit code, when it was not killed by a signal.
        code: Option<i32>,
        /// The last lines it wrote to standard error.
        stderr: String,
    },
    /// The first peer neither stopped nor became ready.
    #[error("peer {peer} was not ready after {} s", launcher::READY_MAX.as_secs())]
    Silent {
        /// Which one.
        peer: u32,
    },
    /// What only some systems can do to a process.
    #[error("--pause: {0}")]
    Pause(&'static str),
    /// Network namespaces need rights or tools that are not there.
    #[error("network namespaces: {0}")]
    Namespaces(String),
    /// It was asked to stop before it had begun.
    #[error("stopped before the swarm was up")]
    Stopped,
}

impl SwarmError {
    fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing: doing.into(), source }
    }
}
