//! The thread that writes checkpoints, and the handle of whoever has some to write. Nobody waits for a disk.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use protocol::Checkpoint;
use tokio::sync::mpsc::{Receiver as NewsReceiver, Sender, channel};
use tokio::sync::oneshot;

use super::{Folder, Worth};

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
    },
    /// It is not; those before it are what they were.
    Failed {
        /// Of how many steps it was.
        steps: u64,
        /// What the system said.
        why: String,
    },
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It will be written.
    Yes,
    /// The disk is still busy with those before it.
    Busy,
}

type Item = (Box<Checkpoint>, Option<Worth>);

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
    pub fn write(&self, checkpoint: Box<Checkpoint>, worth: Option<Worth>) -> Taken {
        match self.queue.try_send((checkpoint, worth)) {
            // A thread that is gone has closed the news.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Taken::Yes,
            Err(TrySendError::Full(_)) => Taken::Busy,
        }
    }

    /// What was written or not; `None` when the thread is gone. Cancel safe.
    pub async fn news(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// Waits until everything is written, but not for longer than `patience`. What was not told of yet.
    pub async fn close(self, patience: Duration) -> Vec<News> {
        let Self { queue, mut news, ended } = self;
        drop(queue);
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!("the last checkpoint is not on the disk yet");
        }
        std::iter::from_fn(|| news.try_recv().ok()).collect()
    }
}

fn write_all(mut folder: Folder, items: &Receiver<Item>, tell: &Sender<News>) {
    while let Ok((checkpoint, worth)) = items.recv() {
        let begun = Instant::now();
        let news = match folder.write(&checkpoint, worth) {
            Ok((path, bytes)) => News::Written { path, bytes, took: begun.elapsed() },
            Err(why) => News::Failed { steps: checkpoint.standing.steps, why },
        };
        // Nobody listens any more, or does not keep up with the disk: the files speak for themselves.
        let _ = tell.try_send(news);
    }
}
