//! `starling swarm new|show|allow|deny`: who may take part in a job. (`pair` is in `pair.rs`.)
//!
//! The file is edited in place: comments and the order of its keys stay, and it is replaced at once or not at all.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use protocol::id::{Hash, PeerId};
use protocol::trust::admission::SwarmKey;
use serde::Deserialize;
use toml::Spanned;

use super::args::{SwarmAllow, SwarmCommand, SwarmDeny, SwarmFile};
use super::{job as job_command, say};
use crate::config::raw::JOB_BYTES_MAX;
use crate::config::{Job, RawJob};
use crate::error::{Error, Kind};
use crate::platform;
use crate::store::bounded::read_text;

/// What a key has in common with its fingerprint: nothing that helps to guess it.
const FINGERPRINT_CONTEXT: &str = "starling 1 swarm key fingerprint";
/// Digits of a fingerprint: enough to see that two files hold the same key.
const FINGERPRINT_DIGITS: usize = 16;

pub(super) fn run(command: &SwarmCommand) -> Result<(), Error> {
    match command {
        SwarmCommand::New(SwarmFile { job }) => new(job),
        SwarmCommand::Show(SwarmFile { job }) => show(job),
        SwarmCommand::Allow(args) => allow(args),
        SwarmCommand::Deny(args) => deny(args),
        SwarmCommand::Pair(args) => super::pair::run(args),
    }
}

fn new(path: &Path) -> Result<(), Error> {
    let before = read(path)?;
    let key = job_command::fresh_key()?;
    edit(path, "key", Some(&format!("\"{}\"", Hash(key))))?;
    let job = read(path)?;
    let what =
        if before.key.is_some() { "a new swarm: the old key is gone from this file" } else { "private from now on" };
    say::line(&format!("{}: {what}", path.display()))?;
    say::line(&format!("run   {} (was {})", job.run_id().0.short(), before.run_id().0.short()))?;
    say::line(&format!("key   {} (fingerprint)", fingerprint(&key)))?;
    say::line(
        "next: copy the file to every machine; a peer that holds the old one is refused, and who has the new one may join",
    )
}

fn show(path: &Path) -> Result<(), Error> {
    let job = read(path)?;
    say::line(&format!("swarm {:?}, run {}", job.name, job.run_id().0.short()))?;
    match &job.key {
        Some(key) => {
            say::line(&format!("key   {} (fingerprint): private, who holds the file may join", fingerprint(key)))?
        }
        None => say::line("key   none: open, everybody may join (`starling swarm new` makes it private)")?,
    }
    if let Some(warning) = job_command::exposed(Some(path), &job) {
        say::line(&warning)?;
    }
    list("links", job.swarm_allow.as_deref(), "everybody who may join", "this machine links with these peers only")?;
    let counted = (!job.trust_allow.is_empty()).then_some(&job.trust_allow[..]);
    list("count", counted, "everybody's deltas", "only these peers' deltas count, on every machine (trust.allow)")
}

fn list(name: &str, peers: Option<&[PeerId]>, everybody: &str, these: &str) -> Result<(), Error> {
    let Some(peers) = peers else { return say::line(&format!("{name} {everybody}")) };
    say::line(&format!("{name} {} peers: {these}", peers.len()))?;
    peers.iter().try_for_each(|peer| say::line(&format!("      {peer}")))
}

fn allow(args: &SwarmAllow) -> Result<(), Error> {
    if args.everybody {
        edit(&args.job, "allow", None)?;
        return show(&args.job);
    }
    let mut peers = read(&args.job)?.swarm_allow.unwrap_or_default();
    peers.extend(&args.peers);
    write_list(&args.job, peers)
}

fn deny(args: &SwarmDeny) -> Result<(), Error> {
    let Some(mut peers) = read(&args.job)?.swarm_allow else {
        let message =
            format!("{} has no list of peers: this machine links with everybody who may join", args.job.display());
        return Err(Error::new(Kind::Input, message).hint(
            "`starling swarm allow` begins one with the peers that may stay; `starling swarm new` changes the key",
        ));
    };
    if let Some(absent) = args.peers.iter().find(|peer| !peers.contains(peer)) {
        let message = format!("{absent} is not on the list of {}", args.job.display());
        return Err(Error::new(Kind::Input, message).hint("`starling swarm show` prints it; nothing was changed"));
    }
    peers.retain(|peer| !args.peers.contains(peer));
    write_list(&args.job, peers)
}

fn write_list(path: &Path, mut peers: Vec<PeerId>) -> Result<(), Error> {
    peers.sort_unstable();
    peers.dedup();
    let ids: Vec<_> = peers.iter().map(|peer| format!("\"{peer}\"")).collect();
    edit(path, "allow", Some(&format!("[{}]", ids.join(", "))))?;
    show(path)?;
    say::line("a peer that runs reads the list at its next start; other machines have their own")
}

fn read(path: &Path) -> Result<Job, Error> {
    Job::new(RawJob::read(path)?)
}

fn fingerprint(key: &SwarmKey) -> String {
    let digest = Hash(blake3::derive_key(FINGERPRINT_CONTEXT, key)).to_string();
    digest[..FINGERPRINT_DIGITS].to_owned()
}

/// Where the values of `[swarm]` stand in the text of a job.
#[derive(Deserialize)]
struct Places {
    swarm: Option<Section>,
}

#[derive(Deserialize)]
struct Section {
    key: Option<Spanned<String>>,
    allow: Option<Spanned<Vec<String>>>,
}

/// Gives a key of `[swarm]` in the job file at `path` another value, or takes the key out. All else stays as it is.
fn edit(path: &Path, key: &str, value: Option<&str>) -> Result<(), Error> {
    let shown = path.display();
    // It was read before: what is wrong with it has been said.
    let text = read_text(path, JOB_BYTES_MAX)
        .map_err(|error| Error::new(Kind::Input, format!("cannot read the job file {shown}: {error}")))?;
    let edited = with_value(&text, key, value).ok_or_else(|| {
        Error::new(Kind::Input, format!("{shown}: there is no line [swarm] under which {key} could stand"))
            .hint("write the section as [swarm], on a line of its own")
    })?;
    // What is written must be readable, and mean what was asked for.
    let found: toml::Table = edited.parse().map_err(|error| Error::new(Kind::Internal, format!("{shown}: {error}")))?;
    let found = found.get("swarm").and_then(|swarm| swarm.get(key)).map(ToString::to_string);
    let wanted =
        value.map(|value| value.parse::<toml::Value>().map_or_else(|_| String::new(), |value| value.to_string()));
    if found != wanted {
        let message = format!("{shown}: {key} of [swarm] could not be changed");
        return Err(Error::new(Kind::Internal, message).hint("change it by hand"));
    }
    Job::new(RawJob::parse(&edited, &shown.to_string())?)?;
    replace(path, &edited).map_err(|error| Error::new(Kind::Input, format!("cannot write {shown}: {error}")))
}

/// The text with another value; `None` when it has no place.
fn with_value(text: &str, key: &str, value: Option<&str>) -> Option<String> {
    let places: Places = toml::from_str(text).ok()?;
    let old = places.swarm.as_ref().and_then(|swarm| match key {
        "key" => swarm.key.as_ref().map(Spanned::span),
        _ => swarm.allow.as_ref().map(Spanned::span),
    });
    Some(match (old, value) {
        (Some(old), Some(value)) => format!("{}{value}{}", &text[..old.start], &text[old.end..]),
        (Some(old), None) => {
            let start = text[..old.start].rfind('\n').map_or(0, |end| end + 1);
            let end = text[old.end..].find('\n').map_or(text.len(), |end| old.end + end + 1);
            format!("{}{}", &text[..start], &text[end..])
        }
        (None, None) => text.to_owned(),
        (None, Some(value)) if places.swarm.is_none() => format!("[swarm]\n{key} = {value}\n\n{text}"),
        (None, Some(value)) => {
            let lines = text.split_inclusive('\n');
            let is_header = |line: &str| line.split('#').next().is_some_and(|line| line.trim() == "[swarm]");
            let before: usize = lines.clone().take_while(|line| !is_header(line)).map(str::len).sum();
            let header = lines.into_iter().find(|line| is_header(line))?;
            let (above, below) = text.split_at(before + header.len());
            let end = if above.ends_with('\n') { "" } else { "\n" };
            format!("{above}{end}{key} = {value}\n{below}")
        }
    })
}

/// Beside the file and renamed over it, open to its owner alone: it may hold a key now.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // The file that a link names, not the link.
    let path = fs::canonicalize(path)?;
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let mut file = platform::private(&mut OpenOptions::new()).write(true).create_new(true).open(&draft)?;
    let placed =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, &path));
    placed.inspect_err(|_| drop(fs::remove_file(&draft)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_job_is_edited_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        fs::write(&path, "# mine\n[swarm]\nname = \"a\" # its name\n\n[gossip]\nsteps = 7\n").unwrap();
        let open = read(&path).unwrap();
        new(&path).unwrap();
        let first = read(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\n[swarm]\nkey = \""), "{text}");
        assert!(text.ends_with("\"\nname = \"a\" # its name\n\n[gossip]\nsteps = 7\n"), "{text}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        new(&path).unwrap();
        let second = read(&path).unwrap();
        assert!(open.key.is_none() && first.key.is_some() && first.key != second.key);
        assert_ne!(first.run_id(), second.run_id());
        assert_ne!(fingerprint(&first.key.unwrap()), fingerprint(&second.key.unwrap()));
        assert!(!text.contains(&fingerprint(&first.key.unwrap())), "a fingerprint is no part of the key");

        let peer = |i: u8| PeerId([i; 32]);
        let listed = || read(&path).unwrap().swarm_allow;
        allow(&SwarmAllow { job: path.clone(), peers: vec![peer(2), peer(1)], everybody: false }).unwrap();
        allow(&SwarmAllow { job: path.clone(), peers: vec![peer(3), peer(1)], everybody: false }).unwrap();
        assert_eq!(listed(), Some(vec![peer(1), peer(2), peer(3)]));
        assert_eq!(read(&path).unwrap().run_id(), second.run_id(), "a list is this machine's own");
        assert!(deny(&SwarmDeny { job: path.clone(), peers: vec![peer(1), peer(9)] }).is_err());
        assert_eq!(listed().map(|peers| peers.len()), Some(3), "nothing was changed");
        deny(&SwarmDeny { job: path.clone(), peers: vec![peer(1), peer(2), peer(3)] }).unwrap();
        assert_eq!(listed(), Some(Vec::new()), "nobody is not everybody");
        allow(&SwarmAllow { job: path.clone(), peers: Vec::new(), everybody: true }).unwrap();
        assert_eq!(listed(), None);
        assert!(deny(&SwarmDeny { job: path.clone(), peers: vec![peer(1)] }).unwrap_err().message.contains("no list"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn a_job_without_a_section_gets_one_and_a_broken_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        fs::write(&path, "[gossip]\nsteps = 7\n").unwrap();
        new(&path).unwrap();
        assert!(read(&path).unwrap().key.is_some());
        fs::write(&path, "[gossip]\nsteps = -7\n").unwrap();
        assert!(new(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "[gossip]\nsteps = -7\n");
        for text in ["swarm = { name = \"a\" }\n", "swarm.name = \"a\"\n"] {
            fs::write(&path, text).unwrap();
            assert!(new(&path).unwrap_err().hint.unwrap().contains("[swarm]"));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn values_change_wherever_they_stand() {
        let change = |text: &str, value| with_value(text, "allow", value).unwrap();
        let long = "[swarm] # here\nallow = [\n  \"a\",\n  \"b\",\n] # these\nname = \"x\"\n";
        assert_eq!(change(long, Some("[]")), "[swarm] # here\nallow = [] # these\nname = \"x\"\n");
        assert_eq!(change("[swarm] # here", Some("[]")), "[swarm] # here\nallow = []\n");
        assert_eq!(change("[data]\n", Some("[]")), "[swarm]\nallow = []\n\n[data]\n");
        assert_eq!(change("[swarm]\nallow = [\"a\"]\nname = \"x\"\n", None), "[swarm]\nname = \"x\"\n");
        assert_eq!(change("[swarm]\nname = \"x\"\n", None), "[swarm]\nname = \"x\"\n");
    }
}
