//! `docs/reference/`: made from the code, and compared with it by tests. `STARLING_BLESS=1 cargo nextest run -p node reference`
//! writes the files anew after a change.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod job;

use std::fs;
use std::path::PathBuf;

/// What stands on top of each.
const MADE: &str = "<!-- Made from the code: STARLING_BLESS=1 cargo nextest run -p node reference -->\n<!-- Do not edit by hand. -->\n";

/// Compares a file of the reference with what the code says, or writes it when asked to.
pub(crate) fn check(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    let made = format!("{MADE}\n{}\n", text.trim_end());
    if std::env::var_os("STARLING_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(made.lines()).find(|(found, made)| found != made);
    assert!(
        found == made,
        "docs/reference/{name} is not what the code says, first at {differs:?}.\n\
         Write it anew:  STARLING_BLESS=1 cargo nextest run -p node reference"
    );
}

/// One line of text.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line of a table.
pub(crate) fn row(cells: &[&str]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| line(cell).replace('|', "\\|")).collect();
    format!("| {} |", cells.join(" | "))
}
