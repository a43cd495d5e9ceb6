//! `starling device`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use shaders::kernels::threads::THREADS_MAX;

/// `starling device`
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// List the devices, best first, and what multiplies on each
    Ls,
    /// Parameters and memory of a job, before anything is trained; exit code 5 when it does not fit
    Plan(DeviceJob),
    /// Where the time of a training step goes, kernel by kernel
    Profile(DeviceProfileArgs),
    /// Measure every way to multiply of a job's layers, and keep the fastest for this device and for products of this size
    Tune(DeviceJob),
    /// How good a device is to train on: copy, products, optimizer, the choice of a delta, steps of four models, what gossip costs.
    /// Minutes; what a device cannot do in time is left out and named
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(DeviceBenchArgs),
}

const BENCH_EXAMPLES: &str = "\
Examples:
  python3 shaders/benches/rivals/pytorch.py --cuda --json rival.json     what PyTorch does on this machine
  starling device bench --json here.json --against rival.json            the same by starling, and the ratios";

/// `starling device bench`
#[derive(Debug, Args)]
pub struct DeviceBenchArgs {
    /// As in `run`: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name
    #[arg(long, value_name = "auto|cpu|NAME", default_value = "auto")]
    pub device: String,
    /// Threads that compute on the CPU, the reference products too [default: the cores of this machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=THREADS_MAX as i64))]
    pub threads: Option<u16>,
    /// Smaller and rougher: under half a minute
    #[arg(long)]
    pub quick: bool,
    /// Write the figures as JSON; - is standard output, and people then read standard error
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Hold them against what a rival's benchmark wrote on this machine (shaders/benches/rivals/pytorch.py --json FILE)
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
}

impl DeviceBenchArgs {
    /// Threads of the host.
    #[must_use]
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        self.threads.map_or_else(cores, usize::from)
    }
}

/// `starling device profile`
#[derive(Debug, Args)]
pub struct DeviceProfileArgs {
    /// What, and on what.
    #[command(flatten)]
    pub job: DeviceJob,
    /// Threads that compute on the CPU
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=THREADS_MAX as i64))]
    pub threads: u16,
    /// Steps to average over
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub steps: u32,
    /// Write a step for Chrome's or Perfetto's trace viewer; - is standard output
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

/// A job on a device.
#[derive(Debug, Args)]
pub struct DeviceJob {
    /// The job file; without it the embedded demo job
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,
    /// As in `run`: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name
    #[arg(long, value_name = "auto|cpu|NAME", default_value = "auto")]
    pub device: String,
    /// As in `run`: data of your own
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]
    #[arg(long, value_name = "NAME|INDEX")]
    pub label: Option<String>,
}
