//! `starling data ...`

use std::path::PathBuf;

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  starling data show digits                        an embedded set
  starling data show fashion-mnist --png all.png   a few pictures of each class
  starling data show table.csv --label kind        a table; its label is the column \"kind\"
  starling data show play.txt                      a text, as a language model reads it
  starling data show photos/ --json -              a folder of pictures for each class, as data";

/// See [`super::Command`].
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Samples, shapes, classes and their balance, and a few samples
    #[command(after_help = EXAMPLES)]
    Show(DataShowArgs),
    /// The sets that have a name, and the formats that are read
    Ls,
}

/// See [`DataCommand`].
#[derive(Debug, Args)]
pub struct DataShowArgs {
    /// A file or folder, or the name of a set
    #[arg(value_name = "PATH|NAME")]
    pub what: PathBuf,
    /// The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]
    #[arg(long, value_name = "NAME|INDEX")]
    pub label: Option<String>,
    /// As text for a language model, in windows of so many tokens [default for .txt, .bin, .u16 and .tokens: 64]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub context: Option<u32>,
    /// Height and width that pictures are brought to, as 32x32
    #[arg(long, value_name = "HxW", value_parser = size)]
    pub size: Option<[u32; 2]>,
    /// Write it as JSON; - is standard output, and people then read nothing
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a few pictures of each class as one PNG
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
}

fn size(text: &str) -> Result<[u32; 2], String> {
    let most = crate::config::data::SIDE_MAX;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=most).contains(side));
    let sides = text.split_once('x').and_then(|(height, width)| Some([side(height)?, side(width)?]));
    sides.ok_or_else(|| format!("HEIGHTxWIDTH, each from 1 to {most}"))
}
