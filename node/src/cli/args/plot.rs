//! `starling plot`

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser as _};
use sim::report::plot::Across;

/// `starling plot`
#[derive(Debug, Args)]
pub struct PlotArgs {
    /// What `run --json`, `sim --json` or `run --metrics` has written, or a folder of checkpoints, whose weights are drawn
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Where to draw it, .svg or .png
    #[arg(long, value_name = "FILE.svg|png")]
    pub out: PathBuf,
    /// What the curves go over
    #[arg(long, value_name = "NAME", default_value = "steps", value_parser = across_parser())]
    pub x: Across,
    /// Pixels of a PNG for one of the drawing
    #[arg(long, value_name = "FACTOR", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub scale: u8,
}

fn across_parser() -> impl clap::builder::TypedValueParser<Value = Across> {
    let named =
        |name: String| Across::ALL.iter().find(|(known, _)| *known == name).map_or(Across::Steps, |found| found.1);
    PossibleValuesParser::new(Across::ALL.iter().map(|(name, _)| *name)).map(named)
}
