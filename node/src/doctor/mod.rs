//! `starling doctor`: why two machines do not meet, in one command and within five seconds.
//!
//! Each check is a function that returns what it found: the thing, and for what is wrong the remedy. The checks know no
//! more than a peer does, and use the same code: the LAN is heard by [`lan`](crate::swarm::lan), an address is tried with
//! the handshake that a link begins with.
//!
//! ```text
//! own        identity key, clock, open files, devices      this machine
//! interfaces network cards, cable
//! echo       multicast there and back
//! peers      who is heard, who can be reached, who would admit us
//! ```

mod echo;
mod interfaces;
mod own;
mod peers;
mod reach;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use protocol::trust::admission::Credentials;
use serde::Serialize;

use crate::error::{Error, Kind};

/// Everything is tried at once, and given up after so long: the system takes 3.1 s to find that no machine has an address.
const EXAMINE_MAX: Duration = Duration::from_millis(4400);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// As it should be.
    Fine,
    /// It works, and could be better.
    Hint,
    /// Something will not work.
    Broken,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) level: Level,
    pub(crate) what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
    /// Decides the exit code of what is broken.
    #[serde(skip)]
    pub(crate) kind: Kind,
}

impl Finding {
    fn fine(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, level: Level::Fine, what: what.into(), remedy: None, kind: Kind::Network }
    }

    pub(crate) fn hint(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Hint, remedy: Some(remedy.into()), ..Self::fine(check, what) }
    }

    fn broken(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Broken, ..Self::hint(check, what, remedy) }
    }

    /// An error of ours as a finding.
    pub(crate) fn error(check: &'static str, error: Error) -> Self {
        let remedy = error.hint.unwrap_or_else(|| "see the message".into());
        Self { kind: error.kind, ..Self::broken(check, error.message, remedy) }
    }
}

/// What to look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    /// File of the identity key; `None` where there is no place for one.
    pub(crate) identity: Option<PathBuf>,
    /// Of the job: what its peers say of themselves, and its name. `us` is filled in by the checks.
    pub(crate) job: Option<(String, Credentials)>,
    /// Addresses to try.
    pub(crate) peers: Vec<String>,
    /// Addresses to listen on.
    pub(crate) listen: Vec<String>,
}

/// Everything that was found, check by check.
pub(crate) fn examine(question: &Question) -> Vec<Finding> {
    let own = own::identity(question.identity.as_deref());
    let us = own.as_ref().ok().copied().flatten();
    let by = Instant::now() + EXAMINE_MAX;
    // Hearing takes its time: meanwhile the others run.
    thread::scope(|scope| {
        let heard = scope.spawn(move || peers::heard(question, us, by));
        let tried = scope.spawn(move || peers::tried(question, us, by));
        let firewalls = scope.spawn(own::firewalls);
        let mut findings = Vec::new();
        if let Some(path) = &question.identity {
            findings.push(own::identity_finding(path, own));
        }
        findings.extend([own::clock(question.identity.as_deref()), own::open_files()]);
        findings.extend(own::devices());
        findings.extend(interfaces::all());
        findings.extend(own::ports(&question.listen));
        for thread in [heard, tried] {
            findings.extend(thread.join().unwrap_or_default());
        }
        let is_alone = |finding: &Finding| finding.check == peers::HEARD && finding.level != Level::Fine;
        let is_broken = |finding: &Finding| finding.level == Level::Broken && finding.kind == Kind::Network;
        if findings.iter().any(|finding| is_alone(finding) || is_broken(finding)) {
            findings.extend(firewalls.join().unwrap_or_default());
        }
        findings
    })
}

/// The worst of what is broken, as an error that ends the program.
pub(crate) fn verdict(findings: &[Finding]) -> Result<(), Error> {
    let broken: Vec<_> = findings.iter().filter(|finding| finding.level == Level::Broken).collect();
    // What is nearest is mended first: a file before the network.
    let kind = [Kind::Input, Kind::Usage, Kind::Network, Kind::Device, Kind::Internal]
        .into_iter()
        .find(|kind| broken.iter().any(|finding| finding.kind == *kind));
    let Some(kind) = kind else { return Ok(()) };
    let message = format!("{} of {} checks found something broken", broken.len(), findings.len());
    Err(Error::new(kind, message).hint("the remedies stand above"))
}
