//! `starling join`: a job by its name, its run id or the address of a peer; its file is fetched, shown, kept, and run. That of a private
//! job comes from a member who shows a code.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use protocol::id::RunId;
use shaders::data::split::SplitRule;
use zeroize::Zeroizing;

use super::args::JoinArgs;
use super::{job as job_command, logging, ls, run, say};
use crate::config::{Data, Job, RawJob};
use crate::error::{Error, Kind};
use crate::platform;
use crate::swarm::invitation::{self, Answer};
use crate::swarm::lan::Listing;
use crate::swarm::pairing::{self, Code};
use crate::swarm::{Target, target};
use crate::text::escape;

/// Bytes of a typed line that are looked at.
const CODE_BYTES_MAX: u64 = 64;
/// Shortest beginning of a run id that names it.
const RUN_DIGITS_MIN: usize = 4;

pub(super) fn run(mut args: JoinArgs) -> Result<(), Error> {
    logging::init(&args.run.common)?;
    if args.run.job.is_some() {
        return Err(Error::new(Kind::Usage, "join gets the job file from the swarm, --job names another one")
            .hint("`starling run --job FILE` takes part in the job of a file"));
    }
    let code = args.code.as_deref().map(Code::parse).transpose().map_err(bad_code)?;
    // Before a code is spent.
    if !args.yes && !args.fetch_only {
        somebody_is_there()?;
    }
    let (text, job, announced) = find(&args, code)?;
    let file = args.save.clone().unwrap_or_else(|| PathBuf::from(format!("{}.toml", job.name)));
    // Never more than what was asked for may be agreed to: the question comes before anything is kept.
    if !args.yes && !args.fetch_only {
        agree(&job)?;
    }
    keep(&file, &text)?;
    say::line(&format!("kept {}: swarm {:?}, run {}", file.display(), job.name, job.run_id().0.short()))?;
    if args.fetch_only {
        return Ok(());
    }
    if let Data::Folder(_) = job.data
        && args.run.common.data.is_none()
    {
        let message = format!("the peers of {:?} train on data of their own: --data PATH names yours", job.name);
        return Err(Error::new(Kind::Usage, message));
    }
    if let SplitRule::Regions { path } = &job.split {
        same_regions(path, &file, announced)?;
    }
    // It is shown, named by its run id, and agreed to.
    args.run.open = true;
    args.run.job = Some(file);
    run::live(&args.run, Instant::now())
}

/// Whether the file of regions that a job names is here, and the one that was announced.
fn same_regions(path: &Path, file: &Path, announced: Option<RunId>) -> Result<(), Error> {
    let remedy = format!("put the file that all peers share there, then `starling run --job {}`", file.display());
    let job = Job::new(RawJob::read(file)?)?;
    if job.regions.is_none() {
        let message = format!("the job names a file of regions, {}, which cannot be read here", path.display());
        return Err(Error::new(Kind::Input, message).hint(remedy));
    }
    if announced.is_some_and(|run| run != job.run_id()) {
        let message =
            format!("{} is not the file of regions of the others: with it the run is another one", path.display());
        return Err(Error::new(Kind::Input, message).hint(remedy));
    }
    Ok(())
}

/// The job file, from a peer, the job that it describes, and the run that was announced.
fn find(args: &JoinArgs, code: Option<Code>) -> Result<(Zeroizing<String>, Job, Option<RunId>), Error> {
    let (target, run, open) = if args.what.starts_with('/') {
        (target(&args.what)?, None, code.is_none())
    } else {
        let listing = choose(&args.what, args.wait)?;
        (Target::of(&listing), Some(listing.run), listing.open)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, format!("cannot start the runtime: {error}")))?;
    let there = target.clone();
    if open && let Answer::Open(text) = runtime.block_on(invitation::fetch(there.peer, there.addresses))? {
        let job = read(&text, run, false)?;
        return Ok((text.into(), job, run));
    }
    let code = code.map_or_else(|| ask_for_code(&args.what), Ok)?;
    let text = runtime.block_on(pairing::fetch(target, &code))?;
    let job = read(&text, run, true)?;
    Ok((text, job, run))
}

fn bad_code(why: String) -> Error {
    Error::new(Kind::Usage, why)
}

/// Of whoever sits at the terminal.
fn ask_for_code(what: &str) -> Result<Code, Error> {
    if !io::stdin().is_terminal() {
        return Err(private(what));
    }
    print!("{} is private. Pairing code, as `starling swarm pair` shows it to a member: ", escape(what, 80));
    say::written(io::stdout().flush())?;
    let mut typed = Zeroizing::new(String::new());
    let _ = io::stdin().lock().take(CODE_BYTES_MAX).read_line(&mut typed);
    Code::parse(typed.trim()).map_err(bad_code)
}

fn private(what: &str) -> Error {
    Error::new(Kind::Input, format!("the job of {what} is private: its file holds the key of the swarm"))
        .hint("a member who runs `starling swarm pair JOB` gets a code: --code CODE; or ask for the file, then `starling run --job FILE`")
}

/// The one peer of the one job that is meant.
fn choose(what: &str, wait: f32) -> Result<Listing, Error> {
    let heard = ls::look(wait)?;
    let is_run = |listing: &Listing| {
        what.len() >= RUN_DIGITS_MIN && listing.run.0.to_string().starts_with(&what.to_ascii_lowercase())
    };
    let mut meant: Vec<Listing> = heard.into_iter().filter(|listing| listing.job == what || is_run(listing)).collect();
    meant.sort_by_key(|listing| (listing.addresses.is_empty(), listing.run, listing.peer));
    let Some(first) = meant.first().cloned() else {
        return Err(Error::new(Kind::Network, format!("no job {:?} is heard on this network", escape(what, 80)))
            .hint("`starling ls` lists what is; --wait SECONDS listens for longer"));
    };
    if meant.iter().any(|listing| listing.run != first.run) {
        let mut runs: Vec<String> = meant.iter().map(|listing| listing.run.0.short()).collect();
        runs.dedup();
        return Err(Error::new(Kind::Usage, format!("several jobs are called {what:?}: runs {}", runs.join(", ")))
            .hint("name one by its run id"));
    }
    if first.open {
        return Ok(first);
    }
    // A private job's file comes from a member who waits for it.
    let waits = |listing: &Listing| listing.pairs && !listing.addresses.is_empty();
    meant.into_iter().find(waits).ok_or_else(|| private(what))
}

/// The job of a file from a stranger. `run` is what was announced: nothing else will do.
fn read(text: &str, run: Option<RunId>, paired: bool) -> Result<Job, Error> {
    let bad = |why: &dyn std::fmt::Display| {
        Error::new(Kind::Network, format!("the peer's job file is not used: {why}"))
            .hint("another peer may have a good one; a newer or older starling may be running there")
    };
    let job =
        RawJob::parse(text, "the peer's job file").and_then(Job::of_a_stranger).map_err(|error| bad(&error.message))?;
    if !paired && job.key.is_some() {
        return Err(bad(&"it holds a key, which nobody gives away"));
    }
    if paired && job.key.is_none() {
        return Err(bad(&"it holds no key"));
    }
    // A file of regions is of the run, too, and does not come with the job.
    let known = !matches!(job.split, SplitRule::Regions { .. });
    if known && run.is_some_and(|run| run != job.run_id()) {
        return Err(bad(&format_args!("it describes run {}, another one was announced", job.run_id().0.short())));
    }
    Ok(job)
}

fn somebody_is_there() -> Result<(), Error> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, "nobody is there to agree to this job").hint("--yes agrees beforehand"))
}

/// Shows the file, and asks.
fn agree(job: &Job) -> Result<(), Error> {
    // Spelled out as it was understood, and without its key.
    for line in job_command::to_toml(job, None).lines() {
        say::line(&escape(line, 400))?;
    }
    somebody_is_there()?;
    let whom = if job.key.is_some() { "the members of this swarm" } else { "everyone on this network who does" };
    print!("train this with {whom} ({:?}, run {})? [y/N] ", job.name, job.run_id().0.short());
    say::written(io::stdout().flush())?;
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Error::new(Kind::Interrupted, "not joined")) }
}

/// Writes the file, unless it is there already and says the same.
fn keep(file: &Path, text: &str) -> Result<(), Error> {
    let shown = file.display();
    let mut open = match platform::private(&mut OpenOptions::new()).write(true).create_new(true).open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let same = fs::metadata(file).is_ok_and(|facts| facts.len() == text.len() as u64)
                && fs::read_to_string(file).is_ok_and(|found| found == text);
            let other = || {
                Error::new(Kind::Input, format!("{shown} is there already, and says something else"))
                    .hint("--save FILE names another place")
            };
            return if same { Ok(()) } else { Err(other()) };
        }
        Err(error) => {
            return Err(Error::new(Kind::Input, format!("cannot write {shown}: {error}"))
                .hint("--save FILE names another place"));
        }
    };
    open.write_all(text.as_bytes()).map_err(|error| Error::new(Kind::Input, format!("cannot write {shown}: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_invitation_is_the_same_run_and_says_nothing_of_this_machine() {
        let text = "[data]\npath = \"/home/somebody/secret\"\n[training]\nepochs = 3\nrecompute = true\nprecision = \"f16\"\n\
                    [gossip]\nlink_bytes_per_second = 1e6";
        let job = Job::new(RawJob::parse(text, "a").unwrap()).unwrap();
        let shared = job_command::invitation(&job).unwrap();
        assert!(!shared.contains("secret") && !shared.contains("1000000"), "{shared}");
        let again = read(&shared, Some(job.run_id()), false).unwrap();
        assert_eq!((again.epochs, again.recompute, again.precision.name()), (None, false, "f32"));
        let other = Job::new(RawJob::parse("[training]\nseed = 77", "b").unwrap()).unwrap();
        assert!(read(&shared, Some(other.run_id()), false).unwrap_err().message.contains("another one was announced"));
    }

    #[test]
    fn no_file_is_read_for_a_job_that_nobody_has_agreed_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regions.txt");
        fs::write(&path, "north\nsouth\n").unwrap();
        let job =
            Job::new(RawJob::parse(&format!("[data]\nsplit = \"regions:{}\"", path.display()), "a").unwrap()).unwrap();
        let shared = job_command::invitation(&job).unwrap();
        assert!(shared.contains("\"regions:regions.txt\""), "where it lies is this machine's: {shared}");
        let there = shared.replace("regions:regions.txt", &format!("regions:{}", path.display()));
        assert_eq!(read(&there, Some(job.run_id()), false).unwrap().regions, None);
        // Once agreed to, it has to be the one of the others.
        let file = folder.path().join("job.toml");
        fs::write(&file, &there).unwrap();
        assert!(same_regions(&path, &file, Some(job.run_id())).is_ok());
        fs::write(&path, "south\nnorth\n").unwrap();
        assert!(same_regions(&path, &file, Some(job.run_id())).unwrap_err().message.contains("of the others"));
        fs::remove_file(&path).unwrap();
        assert!(same_regions(&path, &file, None).unwrap_err().message.contains("cannot be read here"));
    }

    #[test]
    fn a_private_job_is_no_invitation() {
        let mut job = Job::new(RawJob::default()).unwrap();
        job.key = Some([9; 32]);
        assert_eq!(job_command::invitation(&job), None);
        let stolen = job_command::to_toml(&job, job.key);
        assert!(read(&stolen, None, false).unwrap_err().message.contains("key"));
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        keep(&file, "x").unwrap();
        keep(&file, "x").unwrap();
        assert!(keep(&file, "y").unwrap_err().message.contains("something else"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    }
}
