//! Figures of a run in files that other tools read: a row for every evaluation, as JSON lines, CSV, or TensorBoard's events.
//!
//! A thread of its own writes them behind a bounded queue; a disk that is full or slow costs rows, which are counted, and never a step.

mod tensorboard;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use self::tensorboard::Events;
use crate::error::{Error, Kind};

/// Rows that may wait for the disk.
const QUEUE_ROWS: usize = 1024;

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Seconds since 1970.
    pub wall_time: f64,
    /// Optimizer steps of this peer.
    pub step: u64,
    /// Its epochs.
    pub epoch: u32,
    /// Nats a sample.
    pub train_loss: Option<f32>,
    /// Nats a sample.
    pub test_loss: Option<f32>,
    /// 0 to 1.
    pub test_accuracy: Option<f32>,
    /// Steps a second lately.
    pub steps_per_second: f32,
    /// Peers that count as living.
    pub live_peers: u32,
    /// Deltas of its own.
    pub deltas_said: u64,
    /// Deltas of others.
    pub deltas_heard: u64,
    /// Over its links, out.
    pub bytes_sent: u64,
    /// Over its links, in.
    pub bytes_received: u64,
}

/// Name and value of every figure; `None` where there is none.
type Figures = [(&'static str, Option<f64>); 11];

impl Row {
    fn figures(&self) -> Figures {
        [
            ("step", Some(self.step as f64)),
            ("epoch", Some(f64::from(self.epoch))),
            ("train_loss", self.train_loss.map(f64::from)),
            ("test_loss", self.test_loss.map(f64::from)),
            ("test_accuracy", self.test_accuracy.map(f64::from)),
            ("steps_per_second", Some(f64::from(self.steps_per_second))),
            ("live_peers", Some(f64::from(self.live_peers))),
            ("deltas_said", Some(self.deltas_said as f64)),
            ("deltas_heard", Some(self.deltas_heard as f64)),
            ("bytes_sent", Some(self.bytes_sent as f64)),
            ("bytes_received", Some(self.bytes_received as f64)),
        ]
    }

    fn csv(&self) -> String {
        let cell = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let cells = self.figures().map(|(_, value)| cell(value));
        format!("{:.3},{}\n", self.wall_time, cells.join(","))
    }

    fn csv_header(&self) -> String {
        format!("wall_time,{}\n", self.figures().map(|(name, _)| name).join(","))
    }
}

/// Now, as rows have it.
#[must_use]
pub fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// One file.
enum Sink {
    Lines(File),
    Csv(File),
    Events(Events),
}

impl Sink {
    fn write(&mut self, row: &Row) -> io::Result<()> {
        match self {
            Self::Lines(file) => append(file, (serde_json::to_string(row)? + "\n").as_bytes()),
            Self::Csv(file) => {
                let header = if file.metadata()?.len() == 0 { row.csv_header() } else { String::new() };
                append(file, (header + &row.csv()).as_bytes())
            }
            Self::Events(events) => events.write(row.wall_time, row.step, &row.figures()),
        }
    }
}

/// Appends in one piece: all of it is there or, on a full disk too, nothing of it. What comes later does not stand behind a half.
fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(bytes).inspect_err(|_| drop(file.set_len(before)))
}

/// The handle of the thread.
#[derive(Debug, Default)]
pub struct Metrics(Option<(SyncSender<Row>, JoinHandle<()>)>);

impl Metrics {
    /// Opens what is asked for; rows are added behind those that a file has.
    ///
    /// # Errors
    /// A name of another kind, or what cannot be written.
    pub fn open(file: Option<&Path>, events: Option<&Path>) -> Result<Self, Error> {
        let mut sinks = Vec::new();
        if let Some(path) = file {
            let kind: fn(File) -> Sink = match path.extension().and_then(|extension| extension.to_str()) {
                Some("jsonl") => Sink::Lines,
                Some("csv") => Sink::Csv,
                _ => {
                    return Err(Error::new(Kind::Usage, format!("--metrics {}: no such form", path.display()))
                        .hint("a name that ends in .jsonl or .csv"));
                }
            };
            let file = OpenOptions::new().append(true).create(true).open(path);
            sinks.push(kind(file.map_err(|error| unwritable("--metrics", path, &error))?));
        }
        if let Some(dir) = events {
            let events = Events::create(dir, wall_time()).map_err(|error| unwritable("--tensorboard", dir, &error))?;
            sinks.push(Sink::Events(events));
        }
        if sinks.is_empty() {
            return Ok(Self::default());
        }
        let (queue, rows) = sync_channel(QUEUE_ROWS);
        Ok(Self(Some((queue, thread::spawn(move || write_all(sinks, &rows))))))
    }

    /// Adds a row; never waits.
    pub fn note(&self, row: Row) {
        if let Some((queue, _)) = &self.0
            && let Err(TrySendError::Full(row)) = queue.try_send(row)
        {
            tracing::warn!(step = row.step, "a row of the metrics is left out: the disk is too slow");
        }
    }

    /// Whether anybody reads.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Waits until everything is written, but not for longer than `patience`.
    pub fn close(self, patience: Duration) {
        let Some((queue, thread)) = self.0 else { return };
        drop(queue);
        let until = Instant::now() + patience;
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn write_all(mut sinks: Vec<Sink>, rows: &Receiver<Row>) {
    let mut lost = 0u64;
    for row in rows {
        for sink in &mut sinks {
            if let Err(error) = sink.write(&row) {
                lost += 1;
                if lost == 1 {
                    tracing::error!(%error, step = row.step, "the metrics cannot be written; training goes on");
                }
            }
        }
    }
    if lost > 0 {
        tracing::error!(lost, "rows of the metrics are missing");
    }
}

fn unwritable(flag: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::Input, format!("{flag} {}: cannot be written: {error}", path.display()))
        .hint("name a place that you may write to")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn row(step: u64, loss: Option<f32>) -> Row {
        Row {
            wall_time: 1_700_000_000.25,
            step,
            epoch: 1,
            train_loss: loss,
            test_loss: Some(0.5),
            test_accuracy: Some(0.75),
            steps_per_second: 10.0,
            live_peers: 2,
            deltas_said: 3,
            deltas_heard: 4,
            bytes_sent: 5,
            bytes_received: 1 << 40,
        }
    }

    #[test]
    fn rows_are_added_and_a_header_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let [csv, lines] = ["a.csv", "a.jsonl"].map(|name| dir.path().join(name));
        for life in 0..2 {
            for path in [&csv, &lines] {
                let metrics = Metrics::open(Some(path), None).unwrap();
                metrics.note(row(10 * life, None));
                metrics.note(row(10 * life + 1, Some(0.25)));
                metrics.close(Duration::from_secs(10));
            }
        }
        let text = std::fs::read_to_string(&csv).unwrap();
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 5, "{text}");
        assert_eq!(rows[0].split(',').count(), 12);
        assert_eq!(rows[1], "1700000000.250,0,1,,0.5,0.75,10,2,3,4,5,1099511627776");
        let text = std::fs::read_to_string(&lines).unwrap();
        let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            (rows.len(), &rows[0]["train_loss"], &rows[3]["train_loss"]),
            (4, &serde_json::Value::Null, &0.25.into())
        );
        let error = Metrics::open(Some(&dir.path().join("a.xml")), None).unwrap_err();
        assert!(error.to_string().contains(".jsonl or .csv"), "{error}");
        assert!(Metrics::open(Some(&dir.path().join("no/a.csv")), None).is_err());
        assert!(!Metrics::open(None, None).unwrap().is_on());
    }
}
