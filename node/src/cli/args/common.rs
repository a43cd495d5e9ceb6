//! What every command understands.

use std::path::PathBuf;
use std::thread;

use clap::{Args, ValueEnum};
use shaders::kernels::threads::THREADS_MAX;

/// Flags that mean the same everywhere.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Train on this device: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name
    #[arg(long, value_name = "auto|cpu|NAME", default_value = "auto")]
    pub device: String,
    /// Threads that compute on the CPU: of a peer, or of `sim` of every process, or of `sim --virtual` seeds at a time
    /// [default: the cores of this machine, shared out to its processes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=THREADS_MAX as i64))]
    pub threads: Option<u16>,
    /// Data of your own instead of the job's set: a file or folder (`starling data ls` lists the formats)
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]
    #[arg(long, value_name = "NAME|INDEX")]
    pub label: Option<String>,
    /// Write the summary as JSON at the end; - is standard output, and people then read standard error
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// What to log on standard error: error, warn, info, debug, trace, or a filter as node=debug,libp2p=info
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    pub log: String,
    /// How to log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

impl Common {
    /// Of each of so many processes, or in all.
    #[must_use]
    pub fn threads(&self, processes: u32) -> usize {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let share = || (cores / processes.max(1) as usize).clamp(1, THREADS_MAX);
        self.threads.map_or_else(share, usize::from)
    }
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}
