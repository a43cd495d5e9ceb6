//! `starling audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::store::audit::Kind;

/// `starling audit`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that nothing was altered, removed, doubled or moved; exit code 3 and the line when something was
    Verify(AuditVerifyArgs),
    /// Print the records, one a line
    Show(AuditShowArgs),
}

/// `starling audit verify`
#[derive(Debug, Args)]
pub struct AuditVerifyArgs {
    /// Folder of the log
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// A head that was noted earlier: is that record still there? Without it nobody can tell whether the end was cut off
    #[arg(long, value_name = "HASH", value_parser = head)]
    pub head: Option<String>,
    /// Write what was found as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `starling audit show`
#[derive(Debug, Args)]
pub struct AuditShowArgs {
    /// Folder of the log
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Only from this time on, UTC: 2026-11-24, or 2026-11-24T16:44
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<String>,
    /// Only records of this kind (repeatable)
    #[arg(long, value_name = "KIND", value_parser = kind, help = kinds_help())]
    pub kind: Vec<String>,
}

fn head(text: &str) -> Result<String, String> {
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| text.to_ascii_lowercase()).ok_or_else(|| "a head is 64 hex digits".into())
}

/// Times sort as text, so a part of one is a time, too.
fn since(text: &str) -> Result<String, String> {
    const FORM: &str = "dddd-dd-ddTdd:dd:dd.dddZ";
    let fits = |(c, form): (char, char)| if form == 'd' { c.is_ascii_digit() } else { c == form };
    // Month, day, hour, minute, second: where they stand, and between what they are.
    const PARTS: [(usize, &str, &str); 5] =
        [(5, "01", "12"), (8, "01", "31"), (11, "00", "23"), (14, "00", "59"), (17, "00", "60")];
    let is_time = (4..=FORM.len()).contains(&text.len())
        && text.chars().zip(FORM.chars()).all(fits)
        && PARTS
            .iter()
            .all(|&(at, first, last)| text.get(at..at + 2).is_none_or(|part| (first..=last).contains(&part)));
    is_time.then(|| text.to_owned()).ok_or_else(|| "UTC, as 2026-11-24 or 2026-11-24T16:44".into())
}

fn kind(text: &str) -> Result<String, String> {
    let names: Vec<_> = Kind::ALL.iter().map(|(_, name, _)| *name).collect();
    names.contains(&text).then(|| text.to_owned()).ok_or_else(|| format!("no such kind; one of {}", names.join(", ")))
}

fn kinds_help() -> String {
    let names: Vec<_> = Kind::ALL.iter().map(|(_, name, _)| *name).collect();
    format!("Only records of this kind (repeatable): {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_that_a_calendar_has() {
        for time in ["2026", "2026-1", "2026-11-24", "2026-12-31T23:59:59.999Z", "2026-11-24T1"] {
            assert_eq!(since(time).as_deref(), Ok(time));
        }
        for none in ["202", "2026-13", "2026-00-01", "2026-99-99", "2026-11-32", "2026-11-24T24", "2026-11-24T16:60"] {
            assert!(since(none).is_err(), "{none}");
        }
    }
}
