//! `starling job init|check|show`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use protocol::config::Mode;
use protocol::trust::admission::SwarmKey;
use protocol::{partner, trigger};
use shaders::data::split::SplitRule;
use shaders::engine::products::Precision;
use shaders::optim::schedule::Curve;

use super::args::{JobCommand, JobFileArgs, JobInitArgs};
use super::{engine, say};
use crate::config::model;
use crate::config::raw::exposed_mode;
use crate::config::weights::ClassWeights;
use crate::config::{Data, Job, OptimizerKind, RawJob, template};
use crate::error::{Error, Kind};
use crate::platform;

/// In place of a path, which means nothing on another machine.
pub(super) const DATA_OF_YOUR_OWN: &str = "data-of-your-own";

pub(super) fn run(command: &JobCommand) -> Result<(), Error> {
    match command {
        JobCommand::Init(args) => init(args),
        JobCommand::Check(args) => check(args),
        JobCommand::Show(args) => show(args),
    }
}

/// A fresh random key.
pub(super) fn fresh_key() -> Result<SwarmKey, Error> {
    let mut key = SwarmKey::default();
    getrandom::fill(&mut key)
        .map_err(|error| Error::new(Kind::Internal, format!("the system gives no randomness: {error}")))?;
    Ok(key)
}

/// The file's layer, or an empty one over the embedded demo job.
pub(super) fn read(file: Option<&Path>) -> Result<RawJob, Error> {
    file.map_or_else(|| Ok(RawJob::default()), RawJob::read)
}

fn init(args: &JobInitArgs) -> Result<(), Error> {
    let key = if args.open { None } else { Some(fresh_key()?) };
    // The only part that a user chose, so whatever is wrong is wrong with the flag.
    let name = crate::config::checks::name(args.name.clone()).map_err(|error| Error { kind: Kind::Usage, ..error })?;
    let text = template(&name, key);
    // What is written must be readable.
    let job = Job::new(RawJob::parse(&text, "the new job")?)?;
    if args.stdout {
        return say::line(text.trim_end());
    }
    let shown = args.file.display();
    let mut file =
        platform::private(&mut OpenOptions::new()).write(true).create_new(true).open(&args.file).map_err(|error| {
            let message = Error::new(Kind::Input, format!("cannot write {shown}: {error}"));
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    message.hint("it is left as it is: name another file, or remove it first")
                }
                _ => message,
            }
        })?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a job is one without its key.
        let _ = std::fs::remove_file(&args.file);
        Error::new(Kind::Input, format!("cannot write {shown}: {error}")).hint("make room, or name a place with some")
    })?;
    say::line(&format!("wrote {shown}: swarm {:?}, run {}", job.name, job.run_id().0.short()))?;
    let open = if job.key.is_none() { " --open" } else { "" };
    say::line(&format!("next: copy it to every machine and run there  starling run --job {shown}{open}"))?;
    if job.key.is_some() {
        say::line("it holds the swarm key: who has the file may join")?;
    }
    Ok(())
}

fn check(args: &JobFileArgs) -> Result<(), Error> {
    let job = Job::new(read(args.file.as_deref())?)?;
    let shape = engine::shape(&job)?;
    if let Some(warning) = exposed(args.file.as_deref(), &job) {
        say::line(&warning)?;
    }
    say::line(&format!(
        "valid: swarm {:?}, run {}, {}, {} parameters, {} training and {} test samples, {} steps an epoch",
        job.name,
        job.run_id().0.short(),
        if job.key.is_some() { "private" } else { "open" },
        shape.parameters,
        shape.training_samples,
        shape.test_samples,
        job.steps_per_epoch(shape.training_samples),
    ))
}

fn show(args: &JobFileArgs) -> Result<(), Error> {
    let job = Job::new(read(args.file.as_deref())?)?;
    say::line(&format!("# run {}\n{}", job.run_id().0, to_toml(&job, None).trim_end()))
}

/// A warning when a job with a key can be read by others.
pub(super) fn exposed(file: Option<&Path>, job: &Job) -> Option<String> {
    job.key?;
    let file = file?;
    let mode = exposed_mode(file)?;
    let shown = file.display();
    Some(format!(
        "warning: {shown} holds the swarm key and others on this machine may read it (mode {mode:o}): chmod 600 {shown}"
    ))
}

/// The file of an open job as whoever asks for it gets it: what the run shares, and nothing of this machine.
pub(super) fn invitation(job: &Job) -> Option<String> {
    job.key.is_none().then(|| shared(job))
}

/// The same for a newcomer who has typed a code: with the key, if there is one.
pub(super) fn shared(job: &Job) -> String {
    let mut shared = Job {
        epochs: None,
        patience: None,
        evaluate_every: None,
        recompute: false,
        precision: Precision::default(),
        swarm_allow: None,
        link_bytes_per_second: None,
        ..job.clone()
    };
    shared.reading.label = None;
    if let Data::Folder(path) = &mut shared.data {
        *path = DATA_OF_YOUR_OWN.into();
    }
    if let SplitRule::Regions { path } = &mut shared.split
        && let Some(name) = path.file_name()
    {
        *path = name.into();
    }
    to_toml(&shared, job.key)
}

/// A job with every value spelled out. The key is written only when it is given.
pub(super) fn to_toml(job: &Job, key: Option<SwarmKey>) -> String {
    let key = match (key, job.key) {
        (Some(key), _) => format!("key = \"{}\"\n", protocol::id::Hash(key)),
        (None, Some(_)) => "# key: set, not shown\n".into(),
        (None, None) => "# no key: open\n".into(),
    };
    let source = match &job.data {
        Data::Embedded(set) => format!("set = {}", quoted(set)),
        Data::Folder(path) => format!("path = {}", quoted(&path.to_string_lossy())),
    };
    let momentum = match job.optimizer {
        OptimizerKind::Adam | OptimizerKind::AdamCommon => String::new(),
        OptimizerKind::AdamW { weight_decay } => format!("weight_decay = {weight_decay:?}\n"),
        OptimizerKind::Sgd { momentum, nesterov } => format!("momentum = {momentum:?}\nnesterov = {nesterov}\n"),
    };
    let clip = job.clip.map_or_else(String::new, |limit| format!("clip = {limit:?}\n"));
    let length = match job.schedule.curve {
        Curve::Constant => String::new(),
        Curve::Cosine { total_samples, floor } => format!("total_samples = {total_samples}\nfloor = {floor:?}\n"),
    };
    let link = job.link_bytes_per_second.map_or_else(String::new, |rate| format!("link_bytes_per_second = {rate:?}\n"));
    let edges: Vec<_> = job.partner_graph.iter().map(|(a, b)| format!("[\"{a}\", \"{b}\"]")).collect();
    let graph = if edges.is_empty() { String::new() } else { format!("partner_graph = [{}]\n", edges.join(", ")) };
    let of_mode = match job.mode {
        Mode::FullSync => format!("round_deadline_s = {:?}\n", job.round_deadline.as_secs_f64()),
        Mode::Pairwise => format!("merge = \"{}\"\n", protocol::merge::of(job.merge).name()),
        Mode::Incremental if job.groups > 1 => format!("groups = {}\n", job.groups),
        Mode::Incremental => String::new(),
    };
    let allow: Vec<_> = job.trust_allow.iter().map(|peer| format!("\"{peer}\"")).collect();
    let allow = if allow.is_empty() { String::new() } else { format!("allow = [{}]\n", allow.join(", ")) };
    let guests = job.swarm_allow.as_ref().map_or_else(String::new, |peers| {
        let peers: Vec<_> = peers.iter().map(|peer| format!("\"{peer}\"")).collect();
        format!("allow = [{}]\n", peers.join(", "))
    });
    let epochs = job.epochs.map_or_else(|| "# epochs: until stopped\n".into(), |epochs| format!("epochs = {epochs}\n"));
    let patience = job.patience.map_or_else(String::new, |epochs| format!("patience = {epochs}\n"));
    let every = job.evaluate_every.map_or_else(String::new, |steps| format!("evaluate_every = {steps}\n"));
    let precision = match job.precision {
        Precision::F32 => String::new(),
        other => format!("precision = \"{}\"\n", other.name()),
    };
    let recompute = if job.recompute { "recompute = true\n" } else { "" };
    format!(
        "[swarm]\nname = {name}\n{key}{guests}\n{model}loss = \"{loss}\"\n\n\
         [data]\n{source}\n{reading}split = \"{split}\"\nshards = {shards}\nbatch = {batch}\n\n\
         [optimizer]\nkind = \"{optimizer}\"\nlearning_rate = {rate:?}\n{momentum}{clip}\
         schedule = \"{schedule}\"\nwarm_up_samples = {warm_up}\nrate_by_peers = \"{by_peers}\"\n{length}\n\
         [gossip]\nmode = \"{mode}\"\n{of_mode}codec = \"{codec}\"\ngain = {gain:?}\nsteps = {steps}\n\
         trigger = \"{trigger}\"\ntrigger_drift = {drift:?}\ntrigger_plateau = {plateau:?}\n{link}\
         partner = \"{partner}\"\npartner_alpha = {alpha:?}\npartner_distance = \"{distance}\"\n{graph}\n\
         [trust]\nenabled = {trust}\nprobation = {probation}\n{allow}\n\
         [training]\n{epochs}{patience}{every}{recompute}{precision}{weights}seed = {seed}\n",
        name = quoted(&job.name),
        loss = job.loss.name(),
        model = model::to_toml(&job.model),
        reading = job.reading.to_toml(),
        split = job.split,
        shards = job.shards,
        batch = job.batch,
        optimizer = job.optimizer.name(),
        rate = job.learning_rate,
        schedule = job.schedule.curve.name(),
        warm_up = job.schedule.warm_up_samples,
        by_peers = job.schedule.by_peers.name(),
        mode = job.mode.name(),
        trust = job.trust_enabled,
        probation = job.trust_probation,
        codec = job.codec.name(),
        gain = job.gain,
        steps = job.gossip_steps,
        trigger = trigger::of(job.trigger).name(),
        drift = job.trigger_drift,
        plateau = job.trigger_plateau,
        partner = partner::of(job.partner).name(),
        alpha = job.partner_alpha,
        distance = job.partner_distance.name(),
        weights = job.class_weights.as_ref().map_or_else(String::new, ClassWeights::to_toml),
        seed = job.seed,
    )
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_job_spelled_out_is_the_same_job() {
        for text in [
            "",
            "[gossip]\ngroups = 8",
            "[optimizer]\nkind = \"sgd\"\nlearning_rate = 1e-9",
            "[model]\nkind = \"cnn\"",
            "[model]\nkind = \"cnn\"\nchannels = [4, 8]\nresidual_blocks = 1\nhidden = [9]",
            "[optimizer]\nkind = \"sgd\"\nnesterov = true\nclip = 0.5",
            "[optimizer]\nkind = \"adamw\"\nweight_decay = 0.3",
            "[training]\nclass_weights = \"balanced\"",
            "[training]\nclass_weights = [1.0, 0.25]",
            "[data]\nsplit = \"rendezvous\"",
            "[model]\nkind = \"lm\"\n[data]\npath = \"x.txt\"",
            "[model]\nkind = \"lm\"\ncontext = 9\nwidth = 8\nlayers = 1\nheads = 2\nnorm = \"layer\"\nactivation = \"silu\"\ndropout = 0.1",
            "[model]\nloss = \"mean_squared_error\"",
            "[optimizer]\nwarm_up_samples = 500",
            "[optimizer]\nrate_by_peers = \"sqrt\"",
            "[optimizer]\nschedule = \"cosine\"\ntotal_samples = 9000\nwarm_up_samples = 500\nfloor = 0.3",
            "[data]\nsplit = \"dirichlet:0.1\"\n[training]\nepochs = 3\npatience = 2\nevaluate_every = 70\nseed = 9\nrecompute = true\nprecision = \"f16\"",
            "[gossip]\npartner = \"exponential\"\npartner_alpha = 0.3\npartner_distance = \"round_trip\"",
            "[gossip]\ntrigger = \"adaptive\"\ntrigger_drift = 0.2\ntrigger_plateau = 1e-9\nlink_bytes_per_second = 1e7",
            "[gossip]\nmode = \"full_sync\"\nround_deadline_s = 2.5",
            "[data]\nset = \"fashion-mnist\"\nvalidation = 0.1\nshift = 2\nflip = true",
            "[data]\npath = \"x.csv\"\nlabel = \"kind\"\nclasses = [\"a b\", \"c\\\"\"]\ntest = 0.25\nnormalize = \"none\"\nsize = [8, 9]",
            "[data]\nclasses = 7",
            "[trust]\nenabled = false\nprobation = 3",
            &format!("[swarm]\nallow = [\"{}\"]", "0d".repeat(32)),
            "[swarm]\nallow = []",
            &format!("[trust]\nallow = [\"{}\"]", "0c".repeat(32)),
            &format!(
                "[gossip]\npartner = \"fixed\"\npartner_graph = [[\"{}\", \"{}\"]]",
                "0a".repeat(32),
                "0b".repeat(32)
            ),
        ] {
            let key = Some([9; 32]);
            let mut job = Job::new(RawJob::parse(text, "a").unwrap()).unwrap();
            job.key = key;
            let again = Job::new(RawJob::parse(&to_toml(&job, key), "b").unwrap()).unwrap();
            assert_eq!(
                (
                    again.run_id(),
                    again.epochs,
                    (again.patience, again.evaluate_every),
                    again.recompute,
                    again.precision,
                    again.swarm_allow
                ),
                (
                    job.run_id(),
                    job.epochs,
                    (job.patience, job.evaluate_every),
                    job.recompute,
                    job.precision,
                    job.swarm_allow.clone()
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        let mut job = Job::new(RawJob::default()).unwrap();
        job.key = Some([0xab; 32]);
        assert!(!to_toml(&job, None).contains("abab"));
    }

    #[test]
    fn init_writes_a_private_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let args =
            JobInitArgs { file: folder.path().join("job.toml"), name: "flock".into(), open: false, stdout: false };
        init(&args).unwrap();
        let mode = std::fs::metadata(&args.file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(Job::new(RawJob::read(&args.file).unwrap()).unwrap().key.is_some());
        assert_eq!(init(&args).unwrap_err().kind, Kind::Input, "never overwrites");
    }
}
