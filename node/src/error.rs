//! What a user reads when something goes wrong, and the exit code that scripts see.

use std::fmt;
use std::process::ExitCode;

/// Whose turn it is to act; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// starling itself failed: exit code 1.
    Internal,
    /// A flag or its value: exit code 2 (as clap's own errors).
    Usage,
    /// A file or its content: job, data set, identity key, a report that cannot be written. Exit code 3.
    Input,
    /// The network: a port in use, an address that cannot be bound, a swarm that has excluded this peer. Exit code 4.
    Network,
    /// The device: none of that name, lost, out of memory. Exit code 5.
    Device,
    /// Stopped by ctrl-c or SIGTERM before it was done: exit code 130.
    Interrupted,
}

/// An error for a person: what is wrong, and what to do.
#[derive(Debug)]
pub struct Error {
    /// Whose turn it is.
    pub kind: Kind,
    /// What is wrong, naming the thing and the limit.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Error {
    /// An error without a hint.
    pub fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::Internal => 1,
            Kind::Usage => 2,
            Kind::Input => 3,
            Kind::Network => 4,
            Kind::Device => 5,
            Kind::Interrupted => 130,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
