//! `starling doctor`: prints what [`crate::doctor`] finds.

use protocol::trust::admission::Credentials;

use super::args::DoctorArgs;
use super::files::JsonTarget;
use super::{engine, id, job as job_command, peers, say};
use crate::config::{Job, RawJob};
use crate::doctor::{self, Finding, Level, Question};
use crate::error::Error;

/// Peers of a file that are tried: all at once, and in time.
const PEERS_MAX: usize = 32;

pub(super) fn run(args: &DoctorArgs) -> Result<(), Error> {
    let json = JsonTarget::new("--json", args.json.as_deref())?;
    // What is wrong with a file is one finding of several: the rest is looked at all the same.
    let mut wrong = Vec::new();
    let mut note = |check, error| wrong.push(Finding::error(check, error));
    let file = args.job.as_deref();
    let job = file.and_then(|file| RawJob::read(file).and_then(Job::new).map_err(|error| note("job", error)).ok());
    let warning = job.as_ref().and_then(|job| job_command::exposed(file, job));
    let listed = args.peers.as_deref().map(peers::read).transpose().map_err(|error| note("peers", error));
    let listed = listed.ok().flatten().unwrap_or_default();
    let question = Question {
        identity: id::path(args.identity.as_deref()).map_err(|error| note("identity", error)).ok(),
        job: job.and_then(|job| credentials(job).map_err(|error| note("job", error)).ok()),
        peers: args.peer.iter().chain(listed.iter().take(PEERS_MAX)).cloned().collect(),
        listen: args.listen.clone(),
    };
    let mut findings = wrong;
    if listed.len() > PEERS_MAX {
        let what = format!("{} addresses are in the file, the first {PEERS_MAX} are tried", listed.len());
        findings.push(Finding::hint("peers", what, "--peer ADDRESS names another one (repeatable)"));
    }
    findings.extend(doctor::examine(&question));
    findings.extend(warning.map(|warning| Finding::hint("job", warning, "whoever can read the file may join")));
    let print = if json.is_stdout() { say::aside } else { say::line };
    for finding in &findings {
        let mark = match finding.level {
            Level::Fine => "fine   ",
            Level::Hint => "hint   ",
            Level::Broken => "BROKEN ",
        };
        print(&format!("{mark} {:<10}  {}", finding.check, finding.what))?;
        if let Some(remedy) = &finding.remedy {
            print(&format!("{:20} -> {remedy}", ""))?;
        }
    }
    json.write(&findings)?;
    doctor::verdict(&findings)
}

/// Name of the job, and what its peers prove to each other.
fn credentials(job: Job) -> Result<(String, Credentials), Error> {
    let schema = engine::schema(&job)?;
    let credentials =
        Credentials { us: protocol::id::PeerId([0; 32]), run: job.run_id(), schema, swarm_key: job.swarm_key() };
    Ok((job.name, credentials))
}
