//! `starling predict|generate|eval|export`: what is done with a model.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser as _};
use shaders::kernels::threads::THREADS_MAX;

use crate::inference::export::{self, Format};

/// Most bytes of a text that is asked for at once.
const TOKENS_MAX: u32 = 1_000_000;

/// Which model, and where it computes.
#[derive(Clone, Debug, Args)]
pub struct ModelAt {
    /// The folder of a run's checkpoints, of which the newest whole one is taken, or one step-N of it
    #[arg(long, value_name = "DIR")]
    pub checkpoint: PathBuf,
    /// Compute on this device: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name
    #[arg(long, value_name = "auto|cpu|NAME", default_value = "auto")]
    pub device: String,
    /// Threads that compute on the CPU [default: the cores of this machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=THREADS_MAX as i64))]
    pub threads: Option<u16>,
}

/// `starling predict`
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// What is to be classified: files, or - for rows of a table that come on standard input, each answered as it comes
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Which model.
    #[command(flatten)]
    pub model: ModelAt,
    /// Write classes, probabilities and logits as JSON; - is standard output (a line for each row that comes on standard input)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `starling generate`
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// The text that is continued
    #[arg(long, value_name = "TEXT", default_value = "\n")]
    pub prompt: String,
    /// Which model.
    #[command(flatten)]
    pub model: ModelAt,
    /// Bytes to write
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=i64::from(TOKENS_MAX)))]
    pub tokens: u32,
    /// Above 1 more daring, below 1 more careful, 0 always the likeliest
    #[arg(long, value_name = "T", default_value_t = 0.8, allow_negative_numbers = true, value_parser = temperature)]
    pub temperature: f32,
    /// Draw from the K likeliest bytes only; 0: from all
    #[arg(long, value_name = "K", default_value_t = 40, value_parser = clap::value_parser!(u32).range(0..=256))]
    pub top_k: u32,
    /// Seed of the draws: the same seed, the same text [default: another one each time]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
}

/// `starling eval`
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Which model.
    #[command(flatten)]
    pub model: ModelAt,
    /// Evaluate on the test part of these data [default: those of the run, where they are a set by name]
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]
    #[arg(long, value_name = "NAME|INDEX")]
    pub label: Option<String>,
    /// Write the figures as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw the confusion matrix with names and counts, as .svg or .png
    #[arg(long, value_name = "FILE.svg|png")]
    pub picture: Option<PathBuf>,
}

/// `starling export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file to write
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The folder of a run's checkpoints, of which the newest whole one is taken, or one step-N of it
    #[arg(long, value_name = "DIR")]
    pub checkpoint: PathBuf,
    /// In which form
    #[arg(long, value_name = "NAME", value_parser = format_parser(), help = format_help())]
    pub format: Format,
}

fn format_parser() -> impl clap::builder::TypedValueParser<Value = Format> {
    let named = |name: String| {
        export::ALL.iter().find(|(_, known, _)| *known == name).map_or(Format::Safetensors, |form| form.0)
    };
    PossibleValuesParser::new(export::ALL.iter().map(|(_, name, _)| *name)).map(named)
}

fn format_help() -> String {
    let forms: Vec<_> = export::ALL.iter().map(|(_, name, about)| format!("{name}: {about}")).collect();
    format!("In which form. {}", forms.join(". "))
}

fn temperature(text: &str) -> Result<f32, String> {
    let found = text.parse().ok().filter(|temperature| (0.0..=100.0).contains(temperature));
    found.ok_or_else(|| "a temperature from 0 to 100".to_owned())
}
