//! `starling device ls|plan`; `profile`, `tune` and `bench` have files of their own.

use super::args::{DeviceCommand, DeviceJob};
use super::{bench, engine, job as job_command, profile, say, tune};
use crate::config::Job;
use crate::error::Error;
use shaders::Footprint;
use shaders::engine::adapters;

pub(super) fn run(command: &DeviceCommand) -> Result<(), Error> {
    match command {
        DeviceCommand::Ls => list(),
        DeviceCommand::Plan(args) => plan(args),
        DeviceCommand::Profile(args) => profile::run(args),
        DeviceCommand::Tune(args) => tune::run(args),
        DeviceCommand::Bench(args) => bench::run(args),
    }
}

fn list() -> Result<(), Error> {
    for (i, info) in adapters().iter().enumerate() {
        let best = if i == 0 { "  (auto)" } else { "" };
        say::line(&format!("{} ({}){best}\n    {}", info.label(), info.backend, tune::described(info)))?;
    }
    say::line(&format!("cpu{}", if adapters().is_empty() { "  (auto)" } else { "" }))
}

/// The job that is named, on the data that are.
pub(super) fn read(args: &DeviceJob) -> Result<Job, Error> {
    let mut raw = job_command::read(args.job.as_deref())?;
    if let Some(path) = &args.data {
        (raw.data.path, raw.data.set) = (Some(path.clone()), None);
    }
    raw.data.label = args.label.clone().or(raw.data.label);
    Job::new(raw)
}

/// What a job takes of a device, line by line; an error when it does not fit.
fn plan(args: &DeviceJob) -> Result<(), Error> {
    let job = read(args)?;
    let ([alone, footprint], info) = engine::plan(&job, &args.device)?;
    say::line(&format!("job        {:?}: {}, {} parameters", job.name, job.model.kind(), footprint.parameters))?;
    say::line(&format!("device     {} ({})", info.name, info.backend))?;
    say::line(&format!("a step     {} samples, {} dispatches", job.batch, footprint.dispatches))?;
    for (name, bytes, what) in [
        ("weights", footprint.weights, "theta, base, and the gradient or what is evaluated or said"),
        ("moments", footprint.moments, "of the optimizer"),
        (
            "data",
            footprint.data,
            "the training split; where it is too large for the device, the rows of the next steps",
        ),
        ("activation", footprint.activations, "batches, activations and their gradients, placed by their lifetimes"),
        ("deltas", footprint.deltas, "what is measured and chosen of a delta, and its upload"),
        ("all", footprint.device(), "on the device"),
        ("host", footprint.host, "the data set, and what outlives a device that can be lost"),
        ("replicas", footprint.replicas, "of the edges of the mode pairwise"),
        (
            "process",
            footprint.process,
            "the program, its network, a software driver, what kernels on the CPU work in, memory to read and write through",
        ),
        (
            "passing",
            footprint.passing,
            "at most, while a snapshot comes or goes, a dense delta is said or a checkpoint is written",
        ),
    ] {
        say::line(&format!("{name:<10} {:>12}   {what}", mebibytes(bytes)))?;
    }
    let limit = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), mebibytes);
    say::line(&format!(
        "largest    {:>12}   of one buffer ({}); the device binds {}",
        mebibytes(footprint.largest),
        footprint.largest_holds.to_string().trim_end_matches(','),
        limit(info.largest_buffer)
    ))?;
    say::line(&format!("free       {:>12}   of memory", limit(info.free_memory)))?;
    let shared = info.free_memory.is_some();
    let resident = |of: &Footprint| mebibytes(if shared { of.resident() } else { of.on_host() });
    let what = if shared { "of memory in all" } else { "of the host's memory" };
    say::line(&format!("alone      {:>12}   {what}, without gossip", resident(&alone)))?;
    say::line(&format!("gossip     {:>12}   {what}, with gossip", resident(&footprint)))?;
    engine::fits(&footprint, &info)?;
    say::line(if info.free_memory.is_some() {
        "it fits"
    } else {
        "it fits as far as the device tells: how much of its memory is free it does not say"
    })
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
