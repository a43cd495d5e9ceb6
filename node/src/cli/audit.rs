//! `starling audit verify|show`.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::args::{AuditCommand, AuditShowArgs, AuditVerifyArgs};
use super::files::JsonTarget;
use super::say;
use crate::error::{Error, Kind};
use crate::store::audit::{self, LINE_BYTES_MAX, Parsed, Report};
use crate::text::escape;

pub(super) fn run(command: &AuditCommand) -> Result<(), Error> {
    match command {
        AuditCommand::Verify(args) => verify(args),
        AuditCommand::Show(args) => show(args),
    }
}

fn verify(args: &AuditVerifyArgs) -> Result<(), Error> {
    let json = JsonTarget::new("--json", args.json.as_deref())?;
    let report = audit::verify(&args.dir, args.head.as_deref()).map_err(|error| unreadable(&args.dir, &error))?;
    if !json.is_stdout() {
        say::line(&words(&report, args.head.is_some()))?;
    }
    json.write(&report)?;
    if report.sound {
        return Ok(());
    }
    let count = report.problems.len() as u64 + report.more_problems;
    let what = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
    Err(Error::new(Kind::Input, format_args!("the audit log in {} is not sound: {what}", args.dir.display()))
        .hint("what stands before the first problem is as it was written; keep the folder as it is, as evidence"))
}

/// What was found, for a person.
fn words(report: &Report, head_was_noted: bool) -> String {
    let mut out = String::new();
    let peer = if report.peer.is_empty() { "-" } else { &report.peer };
    let _ = writeln!(out, "peer       {}", escape(peer, 64));
    let _ = writeln!(
        out,
        "records    {} in {} files, from record {} ({}) to {}",
        report.records,
        report.files,
        report.first_seq,
        escape(&report.first_time, 32),
        escape(&report.last_time, 32)
    );
    if report.pruned {
        let _ = writeln!(out, "beginning  pruned: older files were removed for their number");
    }
    let _ = writeln!(out, "starts     {}, cut off while it wrote {} times", report.starts, report.mended);
    if report.gaps > 0 {
        let _ = writeln!(out, "gaps       {}: {} records could not be written", report.gaps, report.lost);
    }
    for problem in &report.problems {
        let (file, line) = (&problem.file, problem.line);
        let place = if line > 0 { format!("{file}, line {line}") } else { file.clone() };
        let _ = writeln!(out, "PROBLEM    {place}: {}\n           {}", escape(&problem.what, 400), problem.means);
    }
    if report.more_problems > 0 {
        let _ = writeln!(out, "           and {} more", report.more_problems);
    }
    let _ = write!(out, "head       {}", escape(&report.head, 64));
    if report.sound && head_was_noted {
        let _ = write!(out, "\nsound      nothing was altered, removed, doubled or moved, and the noted head is there");
    } else if report.sound {
        let _ = write!(
            out,
            "\nsound      nothing was altered, removed, doubled or moved; whether the end was cut off shows only against a head \
             that was noted (--head)"
        );
    }
    out
}

fn show(args: &AuditShowArgs) -> Result<(), Error> {
    let failed = |error: &io::Error| unreadable(&args.dir, error);
    let files = audit::files(&args.dir).map_err(|error| failed(&error))?;
    if files.is_empty() {
        return Err(failed(&io::Error::new(io::ErrorKind::NotFound, "there is no audit-NNNNNN.jsonl in it")));
    }
    let mut said = Ok(());
    for (_, path) in files {
        audit::each_line(&path, |_, line, whole| {
            let text = match audit::parse(line) {
                Ok(record) if is_wanted(&record, args) => describe(&record),
                Ok(_) => return true,
                Err(flaw) if whole => format!("(a line {flaw}: `starling audit verify` says more)"),
                Err(_) => return true,
            };
            said = std::mem::replace(&mut said, Ok(())).and_then(|()| say::line(&text));
            said.is_ok()
        })
        .map_err(|error| failed(&error))?;
    }
    said
}

fn is_wanted(record: &Parsed, args: &AuditShowArgs) -> bool {
    let late = args.since.as_ref().is_none_or(|since| record.time.as_str() >= since.as_str());
    late && (args.kind.is_empty() || args.kind.contains(&record.kind))
}

/// `2026-11-24T16:44:18.123Z  12  admit  address=/ip4/... peer=...`; what was altered is marked.
fn describe(record: &Parsed) -> String {
    let mut line = format!("{}  {:>6}  {:<12}", record.time, record.seq, record.kind);
    for (key, value) in &record.fields {
        match value {
            Value::Null => {}
            Value::String(text) => drop(write!(line, " {key}={text}")),
            other => drop(write!(line, " {key}={other}")),
        }
    }
    if !record.sound {
        line.push_str("  (ALTERED)");
    }
    escape(&line, LINE_BYTES_MAX)
}

fn unreadable(dir: &Path, error: &io::Error) -> Error {
    let message = Error::new(Kind::Input, format_args!("cannot read an audit log in {}: {error}", dir.display()));
    // The default log is in a folder of its run.
    let below = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let logs: Vec<_> = below.filter(|path| audit::files(path).is_ok_and(|files| !files.is_empty())).collect();
    match logs.first() {
        Some(log) => message.hint(format_args!("there are {} below it, as {}", logs.len(), log.display())),
        None => message.hint("`starling run` says where its log is: \"audit log in DIR\""),
    }
}
