//! Curves from the files that runs leave: reports as JSON, metrics as CSV or JSON lines.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use sim::report::plot::{self, Run, Sample};
use sim::report::{SimReport, VirtualReport};

use crate::error::{Error, Kind};
use crate::store::bounded::read_text;

/// Longest file that is read, bytes: a scenario of many seeds and peers is long.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Most rows of a file of metrics.
const ROWS_MAX: usize = 1_000_000;
const HINT: &str = "a report of `run --json FILE` or `sim --json FILE`, or a .csv or .jsonl file of `run --metrics`";

/// A row of metrics; what a file does not have is `None`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    wall_time: Option<f64>,
    step: Option<f64>,
    epoch: Option<f64>,
    train_loss: Option<f64>,
    test_loss: Option<f64>,
    test_accuracy: Option<f64>,
    bytes_sent: Option<f64>,
    bytes_received: Option<f64>,
}

/// The runs in a file, called `name`.
pub(super) fn runs(path: &Path, name: &str) -> Result<Vec<Run>, Error> {
    let wrong =
        |what: &dyn std::fmt::Display| Error::new(Kind::Input, format!("{}: {what}", path.display())).hint(HINT);
    let text = read_text(path, FILE_BYTES_MAX).map_err(|error| wrong(&error))?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    let runs = match extension {
        "csv" => vec![metrics(name, csv(&text).map_err(|error| wrong(&error))?)],
        "jsonl" => vec![metrics(name, lines(&text).map_err(|error| wrong(&error))?)],
        _ => report(name, &text).map_err(|error| wrong(&error))?,
    };
    if runs.iter().all(|run| run.members.iter().all(Vec::is_empty)) {
        return Err(wrong(&"there is no curve in it: no epoch came to its end, or an earlier version wrote it"));
    }
    Ok(runs)
}

fn report(name: &str, text: &str) -> Result<Vec<Run>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let has = |key: &str| value.get(key).is_some();
    if has("runs") && has("scenario") {
        let report =
            VirtualReport::deserialize(&value).map_err(|error| format!("no report of virtual peers: {error}"))?;
        return Ok(plot::of_virtual(name, &report));
    }
    if has("peers") && has("wall_s") {
        let report = SimReport::deserialize(&value).map_err(|error| format!("no report of a run: {error}"))?;
        return Ok(plot::of_processes(name, &report));
    }
    Err("JSON, and no report of a run".to_owned())
}

fn csv(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = text.lines();
    let names: Vec<&str> = rows.next().unwrap_or("").split(',').map(str::trim).collect();
    if !names.contains(&"step") {
        return Err("line 1 names no column `step`: no metrics of a run".to_owned());
    }
    let mut found = Vec::new();
    for (i, line) in rows.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        full(&found)?;
        let mut row = Row::default();
        for (name, cell) in names.iter().zip(line.split(',')) {
            let place = match *name {
                "wall_time" => &mut row.wall_time,
                "step" => &mut row.step,
                "epoch" => &mut row.epoch,
                "train_loss" => &mut row.train_loss,
                "test_loss" => &mut row.test_loss,
                "test_accuracy" => &mut row.test_accuracy,
                "bytes_sent" => &mut row.bytes_sent,
                "bytes_received" => &mut row.bytes_received,
                _ => continue,
            };
            let cell = cell.trim();
            if !cell.is_empty() {
                *place = Some(cell.parse().map_err(|_| format!("line {}, column {name}: no number", i + 2))?);
            }
        }
        found.push(row);
    }
    Ok(found)
}

fn lines(text: &str) -> Result<Vec<Row>, String> {
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        full(&found)?;
        found.push(serde_json::from_str(line).map_err(|error| format!("line {}: {error}", i + 1))?);
    }
    Ok(found)
}

fn full(rows: &[Row]) -> Result<(), String> {
    if rows.len() >= ROWS_MAX { Err(format!("more than {ROWS_MAX} rows, the most that are read")) } else { Ok(()) }
}

fn metrics(name: &str, rows: Vec<Row>) -> Run {
    let begun = rows.first().and_then(|row| row.wall_time);
    let of = |row: Row| Sample {
        steps: row.step,
        epochs: row.epoch,
        seconds: row.wall_time.zip(begun).map(|(now, begun)| now - begun),
        train_loss: row.train_loss,
        test_loss: row.test_loss,
        accuracy: row.test_accuracy,
        disagreement: None,
        bytes_sent: row.bytes_sent,
        bytes_received: row.bytes_received,
    };
    Run { name: name.to_owned(), members: vec![rows.into_iter().map(of).collect()] }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn metrics_are_the_same_in_both_forms() {
        let csv = "wall_time,step,epoch,train_loss,test_loss,test_accuracy,more\n1000.5,10,1,,0.5,0.75,x\n1001.5,20,2,0.25,0.4,0.8,\n";
        let lines = "{\"wall_time\":1000.5,\"step\":10,\"epoch\":1,\"train_loss\":null,\"test_loss\":0.5,\"test_accuracy\":0.75,\"more\":\"x\"}\n\
                     {\"wall_time\":1001.5,\"step\":20,\"epoch\":2,\"train_loss\":0.25,\"test_loss\":0.4,\"test_accuracy\":0.8}\n";
        let [a, b] = [super::csv(csv).unwrap(), super::lines(lines).unwrap()].map(|rows| metrics("m", rows));
        assert_eq!(a, b);
        assert_eq!(
            (a.members[0][1].seconds, a.members[0][1].steps, a.members[0][0].train_loss),
            (Some(1.0), Some(20.0), None)
        );
    }

    #[test]
    fn what_is_no_run_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text, said) in [
            ("a.json", "{", "no JSON"),
            ("a.json", "[1]", "no report of a run"),
            ("a.json", "{\"peers\":3,\"wall_s\":1}", "no report of a run: "),
            ("a.json", "{\"runs\":[],\"scenario\":\"x\"}", "no curve"),
            ("a.csv", "a,b\n1,2\n", "names no column `step`"),
            ("a.csv", "step,test_loss\n1,x\n", "line 2, column test_loss: no number"),
            ("a.csv", "", "names no column"),
            ("a.jsonl", "{\"step\":1}\nx\n", "line 2: "),
            ("a.jsonl", "\n", "no curve"),
        ] {
            let path = dir.path().join(file);
            std::fs::write(&path, text).unwrap();
            let error = runs(&path, "a").unwrap_err();
            assert!(error.kind == Kind::Input && error.to_string().contains(said), "{text:?}: {error}");
        }
        assert!(runs(&dir.path().join("none.json"), "a").is_err() && runs(Path::new("/dev/zero"), "a").is_err());
    }
}
