//! The thread that writes the log, and the handle through which everybody else speaks to it without waiting.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::chain::{Bounds, Chain, Head};
use super::line::Kind;
use crate::error::Error;

/// Records that wait for the disk, a few MiB.
const QUEUE_RECORDS: usize = 8192;
/// How often what was written is brought to the disk itself: so much is lost when the power fails, and nothing when the
/// process is killed.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// The log as everybody sees it. The default one writes nothing.
#[derive(Clone, Debug, Default)]
pub struct Audit(Option<Handle>);

#[derive(Clone, Debug)]
struct Handle {
    /// Its thread ends when nobody holds this any more and everything is written.
    queue: SyncSender<Item>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Records that found the queue full.
    lost: AtomicU64,
    head: Mutex<Head>,
}

enum Item {
    Record(SystemTime, Kind, Value),
    /// Everything before this is written when the answer comes.
    Flush(SyncSender<()>),
}

impl Audit {
    /// Opens the log of `peer` in `dir` and starts its thread.
    ///
    /// # Errors
    /// A folder that cannot be written, is in use, or holds what is not this peer's log or is damaged.
    pub fn open(dir: &Path, peer: &str) -> Result<Self, Error> {
        Ok(Self::start(Chain::open(dir, peer, Bounds::default())?, QUEUE_RECORDS))
    }

    fn start(chain: Chain, queue_records: usize) -> Self {
        let (queue, items) = sync_channel(queue_records);
        let shared = Arc::new(Shared { lost: AtomicU64::new(0), head: Mutex::new(chain.head()) });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            let mut writer = Writer { chain, missing: 0, why: String::new() };
            while let Some(item) = next(&items, &writer) {
                writer.take(item, &theirs);
            }
            writer.chain.sync();
        });
        Self(Some(Handle { queue, shared }))
    }

    /// Adds a record; `fields` is an object. Never waits: what finds the queue full is counted, and the log will say so.
    pub fn note(&self, kind: Kind, fields: Value) {
        let Some(Handle { queue, shared }) = &self.0 else { return };
        if let Err(TrySendError::Full(_)) = queue.try_send(Item::Record(SystemTime::now(), kind, fields)) {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything is on the disk, but not for longer than `patience`. Where the chain ends then; nothing when
    /// there is no log.
    #[must_use]
    pub fn flush(&self, patience: Duration) -> Option<Head> {
        let Handle { queue, shared } = self.0.as_ref()?;
        let (done, told) = sync_channel(1);
        // A queue that is full stays so while the disk hangs: asked again for as long as patience lasts.
        let deadline = std::time::Instant::now() + patience;
        let mut wish = Item::Flush(done);
        while let Err(TrySendError::Full(again)) = queue.try_send(wish) {
            wish = again;
            if std::time::Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let rest = deadline.saturating_duration_since(std::time::Instant::now());
        told.recv_timeout(rest).ok()?;
        Some(shared.head.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The next item. While there is none, what was written is brought to the disk.
fn next(items: &Receiver<Item>, writer: &Writer) -> Option<Item> {
    loop {
        match items.recv_timeout(SYNC_EVERY) {
            Ok(item) => return Some(item),
            Err(RecvTimeoutError::Timeout) => writer.chain.sync(),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// The thread's own.
struct Writer {
    chain: Chain,
    /// Records that were not written and are not told of yet.
    missing: u64,
    /// Why the last of them was not.
    why: String,
}

impl Writer {
    fn take(&mut self, item: Item, shared: &Shared) {
        let lost = shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.missing += lost;
            "the disk was too slow".clone_into(&mut self.why);
        }
        let told = self.tell_missing();
        match item {
            Item::Record(at, kind, fields) => {
                // In its place or not at all: behind a gap that could not be told of nothing is written.
                let written = told.and_then(|()| self.chain.append(at, kind, &fields));
                if let Err(error) = written {
                    self.missing += 1;
                    self.why = error.to_string();
                    if self.missing == 1 {
                        tracing::warn!(%error, "the audit log cannot be written; what is missing will be counted");
                    }
                }
                *shared.head.lock().unwrap_or_else(PoisonError::into_inner) = self.chain.head();
            }
            Item::Flush(done) => {
                *shared.head.lock().unwrap_or_else(PoisonError::into_inner) = self.chain.head();
                self.chain.sync();
                let _ = done.try_send(());
            }
        }
    }

    fn tell_missing(&mut self) -> std::io::Result<()> {
        if self.missing > 0 {
            let fields = json!({ "lost": self.missing, "why": self.why });
            self.chain.append(SystemTime::now(), Kind::Gap, &fields)?;
            self.missing = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Instant;

    use super::super::verify::verify;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn records_are_on_the_disk_after_a_flush_and_the_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut heads = Vec::new();
        for life in 0..2 {
            // The thread of the life before lets go of the folder when it has seen that nobody is left.
            let opened = Instant::now();
            let audit = loop {
                match Audit::open(folder.path(), "aa") {
                    Ok(audit) => break audit,
                    Err(error) => assert!(opened.elapsed() < PATIENCE, "{error}"),
                }
            };
            (0..100).for_each(|i| audit.clone().note(Kind::Admit, json!({ "peer": i, "life": life })));
            heads.push(audit.flush(PATIENCE).unwrap());
        }
        let report = verify(folder.path(), Some(&heads[0].hash)).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        assert_eq!((report.records, report.head), (201, heads[1].hash.clone()));
        assert_eq!(heads[1].seq, 201);
    }

    #[test]
    fn a_full_disk_and_a_full_queue_are_counted_and_hold_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let chain = Chain::open(folder.path(), "aa", Bounds::default()).unwrap();
        let full = Arc::clone(&chain.disk_is_full);
        let audit = Audit::start(chain, 10);
        full.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        (0..1000).for_each(|i| audit.note(Kind::Reject, json!({ "peer": i })));
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody waits");
        let _ = audit.flush(PATIENCE);
        assert_eq!(verify(folder.path(), None).unwrap().records, 1, "nothing but the file's own");
        full.store(false, Ordering::SeqCst);
        audit.note(Kind::Stop, json!({ "why": "test" }));
        audit.flush(PATIENCE).unwrap();
        let report = verify(folder.path(), None).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        assert_eq!((report.records, report.gaps, report.lost), (3, 1, 1000));
    }

    #[test]
    fn without_a_folder_nothing_is_written() {
        let audit = Audit::default();
        audit.note(Kind::Stop, json!({}));
        assert_eq!(audit.flush(PATIENCE), None);
    }
}
