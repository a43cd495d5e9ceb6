//! Checking a log offline: every line, the chain, the files, and a head that was noted.
//!
//! After a line that is wrong the check goes on from what that line claims to be, so one alteration is one problem and the
//! second one is found, too.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::line::{Flaw, GENESIS, Kind, LINE_BYTES_MAX, Parsed, parse};
use super::{file_name, files};

/// Problems that are told one by one.
const PROBLEMS_MAX: usize = 20;

/// What a check has found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub sound: bool,
    /// Files of the log.
    pub files: usize,
    /// Whole lines.
    pub records: u64,
    /// Number of the first record that is there.
    pub first_seq: u64,
    /// When that was written.
    pub first_time: String,
    /// When the last one was.
    pub last_time: String,
    /// Hash of the last record: note it elsewhere, and `--head` shows whether the end was cut off since.
    pub head: String,
    /// Whose log it is.
    pub peer: String,
    /// Whether earlier files were removed because there were too many.
    pub pruned: bool,
    /// Starts of the peer.
    pub starts: u64,
    /// Times when records could not be written.
    pub gaps: u64,
    /// Records that are missing for that.
    pub lost: u64,
    /// Times when half a line of a killed peer was cut off.
    pub mended: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Further ones that are not told.
    pub more_problems: u64,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// In which file.
    pub file: String,
    /// In which line, from 1 on; 0: the file as a whole.
    pub line: u64,
    /// What.
    pub what: String,
    /// What that means.
    pub means: String,
}

/// Checks the log in `dir`. With a `head` that was noted earlier, also that the record with that hash is still there.
///
/// # Errors
/// The folder or a file in it cannot be read, or there is no log.
pub fn verify(dir: &Path, head: Option<&str>) -> io::Result<Report> {
    let found = files(dir)?;
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no audit-NNNNNN.jsonl in it"));
    }
    let mut check = Check { wanted: head.map(str::to_owned), ..Check::default() };
    check.report.files = found.len();
    let (first, last) = (found[0].0, found[found.len() - 1].0);
    for (number, path) in &found {
        check.file(*number, path, *number == last)?;
    }
    check.end(first, last, &found);
    check.report.sound = check.report.problems.is_empty();
    Ok(check.report)
}

/// Calls `each` for every line of the log, whole or not, with its number in its file. It returns whether to go on.
///
/// # Errors
/// A file cannot be read.
pub fn each_line(path: &Path, mut each: impl FnMut(u64, &[u8], bool) -> bool) -> io::Result<()> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    for number in 1.. {
        line.clear();
        // A line without an end is read in pieces, each of which is no record.
        if reader.by_ref().take(LINE_BYTES_MAX as u64 + 2).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let whole = line.pop_if(|&mut byte| byte == b'\n').is_some();
        if !each(number, &line, whole) {
            break;
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Check {
    report: Report,
    /// What the next record must be: its number, and the hash before it.
    expected: Option<(u64, String)>,
    /// The largest of what the files say about the oldest file there is.
    oldest: u64,
    /// The head that is looked for.
    wanted: Option<String>,
}

impl Check {
    fn file(&mut self, number: u32, path: &Path, is_last: bool) -> io::Result<()> {
        let name = file_name(number);
        let mut lines = 0;
        each_line(path, |line, bytes, whole| {
            lines = line;
            if whole {
                self.line((&name, line), bytes, number);
            } else if is_last {
                self.problem((&name, line), "is not whole", "the peer was killed while it wrote (its next start mends that), or writes right now, or the end was cut off");
            } else {
                self.problem(
                    (&name, line),
                    "is not whole",
                    "the end of this file was cut off, or its last bytes were altered",
                );
            }
            true
        })?;
        // Every file begins with a record of itself.
        if lines == 0 {
            let means = if is_last {
                "its records were removed, or the peer was killed just when it began this file (its next start mends that)"
            } else {
                "its records were removed"
            };
            self.problem((&name, 0), "is empty", means);
        }
        Ok(())
    }

    fn line(&mut self, at: (&str, u64), bytes: &[u8], number: u32) {
        self.report.records += 1;
        let record = match parse(bytes) {
            Ok(record) => record,
            Err(flaw) => {
                let means = match flaw {
                    Flaw::Form => "it was altered, or does not belong here",
                    Flaw::TooLong => "it was altered: line ends are missing, or it was not written by starling",
                };
                self.problem(at, &flaw.to_string(), means);
                // Whatever it was, it took one number, and nobody knows its hash.
                self.expected = self.expected.take().map(|(seq, _)| (seq + 1, String::new()));
                return;
            }
        };
        if !record.sound {
            self.problem(at, "does not match its hash", "it was altered after it was written");
        }
        self.place(at, &record, number);
        if at.1 == 1 {
            self.header(at, &record, number);
        }
        if self.report.last_time.is_empty() {
            self.report.first_seq = record.seq;
            self.report.first_time.clone_from(&record.time);
        }
        self.count(&record);
        if self.wanted.as_ref() == Some(&record.hash) && record.sound {
            self.wanted = None;
        }
        self.report.last_time = record.time;
        self.report.head.clone_from(&record.hash);
        self.expected = Some((record.seq.saturating_add(1), record.hash));
    }

    /// Whether the record stands where it belongs.
    fn place(&mut self, at: (&str, u64), record: &Parsed, number: u32) {
        let Some((seq, previous)) = &self.expected else {
            // The first there is. What came before may have been pruned; that is looked at in the end.
            if number == 1 && (record.seq != 0 || record.previous != GENESIS) {
                let what = format!("is record {}, and the first file begins with record 0", record.seq);
                self.problem(at, &what, "the beginning was removed");
            }
            return;
        };
        if record.seq != *seq {
            let what = format!("is record {}, and record {seq} belongs here", record.seq);
            let means = if record.seq > *seq {
                "records were removed before it, or lines were moved"
            } else {
                "a line was doubled or moved"
            };
            self.problem(at, &what, means);
        } else if record.previous != *previous && !previous.is_empty() {
            self.problem(
                at,
                "is not chained to the record before it",
                "one of the two was replaced by another, well-made record",
            );
        }
    }

    fn header(&mut self, at: (&str, u64), record: &Parsed, number: u32) {
        let fields = &record.fields;
        let of = |key| fields.get(key).and_then(Value::as_u64).unwrap_or(0);
        let peer = fields.get("peer").and_then(Value::as_str).unwrap_or_default();
        if record.kind != Kind::File.name() || of("number") != u64::from(number) {
            self.problem(at, "does not begin this file", "a file was renamed, or its beginning was removed");
            return;
        }
        self.oldest = self.oldest.max(of("oldest"));
        if self.report.peer.is_empty() {
            peer.clone_into(&mut self.report.peer);
        } else if self.report.peer != peer {
            let what = format!("is of peer {peer}, and the log is of {}", self.report.peer);
            self.problem(at, &what, "files of two logs lie in one folder");
        }
    }

    fn count(&mut self, record: &Parsed) {
        let is = |kind: Kind| record.kind == kind.name();
        self.report.starts += u64::from(is(Kind::Start));
        self.report.mended += u64::from(is(Kind::Mended));
        if is(Kind::Gap) {
            self.report.gaps += 1;
            self.report.lost += record.fields.get("lost").and_then(Value::as_u64).unwrap_or(0);
        }
    }

    fn end(&mut self, first: u32, last: u32, found: &[(u32, PathBuf)]) {
        let missing = (first..last).find(|number| found.binary_search_by_key(number, |(number, _)| *number).is_err());
        if let Some(missing) = missing {
            self.problem((&file_name(missing), 0), "is missing", "the file was removed");
        }
        self.report.pruned = first > 1;
        if u64::from(first) > self.oldest.max(1) {
            let what = format!("is the first file, and file {} was kept", self.oldest.max(1));
            self.problem((&file_name(first), 0), &what, "files before it were removed, and not for their number");
        }
        if let Some(wanted) = self.wanted.take() {
            let what = format!("has no record with the hash {wanted}");
            let means = if self.report.pruned {
                "the end was cut off since that head was noted, or the log was written anew, or the head is older than what is kept"
            } else {
                "the end was cut off since that head was noted, or the log was written anew"
            };
            self.problem((&file_name(last), 0), &what, means);
        }
    }

    fn problem(&mut self, (file, line): (&str, u64), what: &str, means: &str) {
        if self.report.problems.len() >= PROBLEMS_MAX {
            self.report.more_problems += 1;
            return;
        }
        let (file, what, means) = (file.to_owned(), what.to_owned(), means.to_owned());
        self.report.problems.push(Problem { file, line, what, means });
    }
}

#[cfg(test)]
mod tests;
