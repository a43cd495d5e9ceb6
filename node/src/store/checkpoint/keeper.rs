//! The thread that writes checkpoints, and the handle of whoever has some to write. Nobody waits for a disk.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use protocol::Checkpoint;
use protocol::id::Hash;
use tokio::sync::mpsc::{Receiver as NewsReceiver, Sender, channel};
use tokio::sync::oneshot;

use super::{Course, Folder, Worth};

/// Checkpoints that wait for the disk: each is a few vectors of parameters.
const QUEUE_MAX: usize = 1;
/// What was written and nobody has heard of.
const NEWS_MAX: usize = 64;

/// What became of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// It is on the disk.
    Written {
        /// Where.
        path: PathBuf,
        /// Of all its files.
        bytes: u64,
        /// From the first byte to the rename.
        took: Duration,
        /// Steps taken until then.
        steps: u64,
        /// Epochs ended until then.
        epochs: u32,
        /// Hash of the shared model in it.
        base: Hash,
    },
    /// It is not; those before it are what they were.
    Failed {
        /// Of how many steps it was.
        steps: u64,
        /// What the system said.
        why: String,
    },
}

/// A checkpoint that is to be written.
#[derive(Debug)]
pub struct Item {
    /// It.
    pub checkpoint: Box<Checkpoint>,
    /// What it is worth, where that is known.
    pub worth: Option<Worth>,
    /// Until then.
    pub course: Course,
}

/// How often the end looks whether there is room for the last one.
const ROOM_LOOK: Duration = Duration::from_millis(5);

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    queue: SyncSender<Item>,
    news: NewsReceiver<News>,
    ended: oneshot::Receiver<()>,
}

impl Keeper {
    /// Starts the thread.
    #[must_use]
    pub fn start(folder: Folder) -> Self {
        let (queue, items) = sync_channel(QUEUE_MAX);
        let (tell, news) = channel(NEWS_MAX);
        let (end, ended) = oneshot::channel();
        thread::spawn(move || {
            write_all(folder, &items, &tell);
            let _ = end.send(());
        });
        Self { queue, news, ended }
    }

    /// Hands a checkpoint over; never waits.
    ///
    /// # Errors
    /// The disk is still busy with those before it: here it is again.
    pub fn write(&self, item: Item) -> Result<(), Item> {
        match self.queue.try_send(item) {
            // A thread that is gone has closed the news.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(item)) => Err(item),
        }
    }

    /// What was written or not; `None` when the thread is gone. Cancel safe.
    pub async fn news(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// Waits until everything is written, and `last` after it, but not for longer than `patience`. What was not told of yet.
    pub async fn close(self, mut last: Option<Item>, patience: Duration) -> Vec<News> {
        let until = tokio::time::Instant::now() + patience;
        while let Some(item) = last.take() {
            last = self.write(item).err();
            if last.is_some() {
                if tokio::time::Instant::now() >= until {
                    break;
                }
                tokio::time::sleep(ROOM_LOOK).await;
            }
        }
        let Self { queue, mut news, ended } = self;
        drop(queue);
        if tokio::time::timeout_at(until, ended).await.is_err() {
            tracing::warn!("the last checkpoint is not on the disk yet");
        }
        std::iter::from_fn(|| news.try_recv().ok()).collect()
    }
}

fn write_all(mut folder: Folder, items: &Receiver<Item>, tell: &Sender<News>) {
    while let Ok(Item { checkpoint, worth, course }) = items.recv() {
        let begun = Instant::now();
        let (steps, epochs, base) = (checkpoint.standing.steps, checkpoint.standing.epochs, checkpoint.base_hash);
        let news = match folder.write(&checkpoint, worth, course) {
            Ok((path, bytes)) => News::Written { path, bytes, took: begun.elapsed(), steps, epochs, base },
            Err(why) => News::Failed { steps, why },
        };
        // Nobody listens any more, or does not keep up with the disk: the files speak for themselves.
        let _ = tell.try_send(news);
    }
}
