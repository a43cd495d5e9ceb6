//! Flags of `run` that concern what is kept of a run.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::driver::Every;
use crate::store::checkpoint::KEEP_MAX;

/// How often, where nothing is said.
pub const EVERY_DEFAULT: Every = Every::Time(Duration::from_secs(60));
/// Of the newest so many are kept, where nothing is said.
pub const KEEP_DEFAULT: u32 = 3;
/// Most often.
const TIME_MIN: Duration = Duration::from_millis(10);
/// Least often: a month.
const TIME_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

/// See the module.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What is kept")]
pub struct Keeping {
    /// Write checkpoints into this folder: DIR/step-N, to predict from, to export, and to --resume
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// How often: a time as 30s, 5m, 1h, or with the evaluation of every so many epochs as 10epochs [default: 1m]
    #[arg(long, value_name = "TIME|EPOCHS", value_parser = every)]
    pub checkpoint_every: Option<Every>,
    /// Keep the newest K of them, and the best [default: 3]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=i64::from(KEEP_MAX)))]
    pub keep: Option<u32>,
    /// Go on from the newest whole checkpoint in this folder, and write further ones there
    #[arg(long, value_name = "DIR", conflicts_with = "init")]
    pub resume: Option<PathBuf>,
    /// Begin at these weights in place of random ones; part of the run: all its peers must begin alike
    #[arg(long, value_name = "FILE.safetensors")]
    pub init: Option<PathBuf>,
    /// Add a row for every evaluation to this file
    #[arg(long, value_name = "FILE.jsonl|csv")]
    pub metrics: Option<PathBuf>,
    /// Write the same for TensorBoard into this folder
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
}

/// The same, checked and to be handed on.
pub(super) fn every_text(text: &str) -> Result<String, String> {
    every(text).map(|_| text.to_owned())
}

/// A time with its unit, or a number of epochs.
fn every(text: &str) -> Result<Every, String> {
    let wrong = || "a time from 10ms to 31 days as 500ms, 30s, 5m, 1h, or epochs as 10epochs".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match text[digits..].trim() {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" | "min" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "epoch" | "epochs" => {
            return u32::try_from(number).ok().filter(|epochs| *epochs > 0).map(Every::Epochs).ok_or_else(wrong);
        }
        _ => return Err(wrong()),
    };
    let number = u32::try_from(number).map_err(|_| wrong())?;
    let time = unit.checked_mul(number).filter(|time| (TIME_MIN..=TIME_MAX).contains(time));
    time.map(Every::Time).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_epochs_are_told_apart_and_bounded() {
        let good = [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2 h", 7_200_000)];
        for (text, millis) in good {
            assert_eq!(every(text), Ok(Every::Time(Duration::from_millis(millis))), "{text}");
        }
        assert_eq!(every("10epochs"), Ok(Every::Epochs(10)));
        for bad in [
            "",
            "5",
            "s",
            "0s",
            "9ms",
            "0epochs",
            "-1s",
            "1.5h",
            "5 days",
            "99999999999999999999s",
            "745h",
            "4294967296s",
        ] {
            assert!(every(bad).is_err(), "{bad}");
        }
    }
}
