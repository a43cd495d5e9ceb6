//! A thread that writes what people and launchers read, behind a bounded queue.
//!
//! Whoever reads may stop reading for hours: a pager, a terminal under ctrl-s, a full pipe. Training must not wait for
//! it. So nobody but this thread ever writes: what is said goes into the queue, and what finds the queue full is dropped
//! and counted. Only the end of a run waits for its reader ([`Outlet::drain`]), until a signal ends that, too.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// See the module.
#[derive(Debug)]
pub(super) struct Outlet<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<Queue<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<T>,
    /// Whether the thread has an item in hand.
    writing: bool,
    /// No more will come.
    closed: bool,
    /// Items that found no room.
    dropped: u64,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue<T>>) -> MutexGuard<'q, Queue<T>> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Outlet<T> {
    /// Starts the thread; `write` may block as long as it likes.
    pub(super) fn start(mut write: impl FnMut(T) + Send + 'static) -> Self {
        let queue = Mutex::new(Queue { items: VecDeque::new(), writing: false, closed: false, dropped: 0 });
        let shared = Arc::new(Shared { queue, changed: Condvar::new() });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            while let Some(item) = next(&ours) {
                write(item);
            }
        });
        Self { shared }
    }

    /// Queues `item` if fewer than `items_max` wait; drops and counts it otherwise. Never blocks.
    pub(super) fn offer(&self, item: T, items_max: usize) {
        if !self.try_offer(item, items_max) {
            self.shared.lock().dropped += 1;
        }
    }

    /// The same for what need not be counted, since something newer will say it again.
    pub(super) fn try_offer(&self, item: T, items_max: usize) -> bool {
        let mut queue = self.shared.lock();
        let room = queue.items.len() < items_max;
        if room {
            queue.items.push_back(item);
            self.shared.changed.notify_all();
        }
        room
    }

    /// Queues what must not be lost: of such items there are few in the life of a process. Never blocks.
    pub(super) fn insist(&self, item: T) {
        self.shared.lock().items.push_back(item);
        self.shared.changed.notify_all();
    }

    /// Waits until everything is written.
    pub(super) fn drain(&self) {
        let mut queue = self.shared.lock();
        while queue.writing || !queue.items.is_empty() {
            queue = self.shared.wait(queue);
        }
    }

    /// How many items were dropped since this was asked last.
    pub(super) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.shared.lock().dropped)
    }
}

impl<T> Drop for Outlet<T> {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

/// The next item for the thread; `None` when no more will come.
fn next<T>(shared: &Shared<T>) -> Option<T> {
    let mut queue = shared.lock();
    queue.writing = false;
    shared.changed.notify_all();
    while queue.items.is_empty() && !queue.closed {
        queue = shared.wait(queue);
    }
    queue.writing = !queue.items.is_empty();
    queue.items.pop_front()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::{Duration, Instant};

    use super::*;

    /// An outlet whose reader takes a line only when it is asked to.
    fn stalled() -> (Outlet<u32>, Receiver<u32>) {
        let (sender, reader): (SyncSender<u32>, _) = sync_channel(0);
        (Outlet::start(move |item| sender.send(item).unwrap_or_default()), reader)
    }

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up() {
        let (outlet, reader) = stalled();
        let begun = Instant::now();
        (0..1000).for_each(|item| outlet.offer(item, 10));
        outlet.insist(7777);
        assert!(begun.elapsed() < Duration::from_secs(5));
        let dropped = outlet.take_dropped();
        assert!((989..=990).contains(&dropped), "10 wait, and perhaps one is in the thread's hand: {dropped}");
        assert_eq!(outlet.take_dropped(), 0, "counted once");
        // Now it reads: what was kept comes in order, and the last word is among it.
        let heard: Vec<u32> = (dropped..=1000).map(|_| reader.recv().unwrap()).collect();
        assert!(heard.is_sorted(), "{heard:?}");
        assert_eq!(heard.last(), Some(&7777));
        outlet.drain();
    }

    #[test]
    fn everything_is_written_when_it_is_drained() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let outlet = Outlet::start(move |item: u32| {
            thread::sleep(Duration::from_millis(1));
            sink.lock().unwrap().push(item);
        });
        (0..50).for_each(|item| outlet.offer(item, 100));
        outlet.drain();
        assert_eq!(*written.lock().unwrap(), (0..50).collect::<Vec<_>>());
        assert_eq!(outlet.take_dropped(), 0);
    }

    #[test]
    fn a_reader_that_is_gone_is_no_reason_to_wait() {
        let (outlet, reader) = stalled();
        outlet.insist(1);
        drop(reader);
        outlet.insist(2);
        outlet.drain();
    }
}
