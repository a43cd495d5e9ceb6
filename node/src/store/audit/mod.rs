//! The audit log: what this peer let in, took, refused and threw out, in a folder that nobody can alter unnoticed.
//!
//! ```text
//! DIR/audit-000001.jsonl     {"seq":0,"time":"2026-11-24T16:44:18.123Z","kind":"file","previous":"0000...","number":1,...,"hash":"9f3c..."}
//!                            {"seq":1,...,"kind":"start","previous":"9f3c...","peer":"...","run":"...",...,"hash":"51ab..."}
//! DIR/audit-000002.jsonl     goes on: the chain does not end with a file
//! ```
//!
//! `hash` is blake3 of the line up to it, and `previous` that of the line before: whoever alters, moves, doubles or removes a
//! line breaks the chain there ([`verify`] says where, and what that means). What a chain alone cannot show is that its end was
//! cut off, or that all of it was written anew: for that, note the head (the hash of the last record) somewhere else, and ask
//! `starling audit verify DIR --head HASH`.
//!
//! - A line is written by a thread of its own behind a bounded queue ([`Audit`]): training and the network never wait for the
//!   disk. What finds the queue full or the disk full is counted, and a record `gap` says how much is missing as soon as
//!   something can be written again.
//! - A peer that is killed leaves half a line at most. The next start cuts it off and says so in a record `mended`.
//! - A file is begun anew at [`FILE_BYTES_MAX`], and the oldest goes when there are more than [`FILES_MAX`]. Every file says in
//!   its first record which one was the oldest then, so a beginning that was pruned is told from one that was removed.
//!
//! - What others can cause as often as they like is told of in full at first, and then counted ([`Gathered`]): nobody turns the log over.
//!
//! Hash chains of log lines: Schneier and Kelsey, Secure Audit Logs to Support Computer Forensics (1999).

mod chain;
mod gathered;
mod keeper;
mod line;
mod verify;

pub use chain::{FILE_BYTES_MAX, FILES_MAX, Head};
#[cfg(test)]
pub(crate) use gathered::tests::tally;
pub(crate) use gathered::{Gathered, What};
pub use keeper::Audit;
pub use line::{Flaw, Kind, LINE_BYTES_MAX, Parsed, ParsedFields, clock, parse};
pub use verify::{Problem, Report, each_line, verify};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files of a log in `dir`, by number. Whatever else lies there is left alone.
///
/// # Errors
/// The folder cannot be read.
pub fn files(dir: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| number_of(name.to_str()?));
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    Ok(found)
}

/// Name of the file with that number.
fn file_name(number: u32) -> String {
    format!("audit-{number:06}.jsonl")
}

fn number_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.parse().ok()?;
    // One name for one number.
    (file_name(number) == name).then_some(number)
}
