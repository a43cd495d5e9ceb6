//! Bytes in memory for all links together.
//!
//! Each link has bounds of its own ([`super::queue`], [`super::frame`]); with sixty-four neighbours that do not read, or all talk at once,
//! those add up. What is said is mostly shared with the delta log or the base that is served, and costs nothing a second time; the rest is
//! copies ([`Budget`]). What is heard is in memory until the driver has taken it ([`Room`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Copies that wait in the queues of all links; beyond it a link gets only what [`Share`] leaves it.
pub(crate) const COPIES_BYTES_MAX: usize = 8 << 20;
/// Copies that wait in the queue of one link.
pub(crate) const LINK_COPIES_BYTES_MAX: usize = (1 << 20) + (1 << 14);
/// The same of a link that is being read, while the others hold [`COPIES_BYTES_MAX`].
const LINK_COPIES_BYTES_SCARCE: usize = (512 << 10) + (1 << 14);
/// Bytes of messages of all links that wait for the driver.
const INBOX_BYTES_MAX: usize = 32 << 20;
/// Bytes are counted in pieces of this size.
const PIECE_BYTES: usize = 1 << 10;

/// Copies in all queues.
#[derive(Debug, Default)]
pub(crate) struct Budget(AtomicUsize);

/// What a link has of it.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Budget>,
    bytes: usize,
}

impl Share {
    pub(crate) fn new(of: Arc<Budget>) -> Self {
        Self { of, bytes: 0 }
    }

    /// Takes `bytes` for one more copy, if there is so much for a link that is being read (`moves`) or not. When it has none a
    /// link gets one, of whatever size.
    pub(crate) fn take(&mut self, bytes: usize, moves: bool) -> bool {
        let all = self.of.0.load(Ordering::Relaxed).saturating_add(bytes);
        let limit = match (all > COPIES_BYTES_MAX, moves) {
            (false, _) => LINK_COPIES_BYTES_MAX,
            (true, true) => LINK_COPIES_BYTES_SCARCE,
            (true, false) => 0,
        };
        if self.bytes > 0 && self.bytes + bytes > limit {
            return false;
        }
        self.bytes += bytes;
        self.of.0.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    /// The copy is on its way.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.of.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

/// Room for what waits for the driver. Whoever finds none waits, in turn.
#[derive(Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(INBOX_BYTES_MAX / PIECE_BYTES)))
    }
}

impl Room {
    /// Waits for room for a message; one that is larger than all of it gets all of it. `None` never comes while a network lives.
    pub(crate) async fn enter(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let pieces = bytes.div_ceil(PIECE_BYTES).min(INBOX_BYTES_MAX / PIECE_BYTES);
        Arc::clone(&self.0).acquire_many_owned(u32::try_from(pieces).unwrap_or(u32::MAX)).await.ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use futures::FutureExt as _;

    const PART: usize = 256 << 10;

    #[test]
    fn those_who_do_not_read_leave_room_for_those_who_do() {
        let budget = Arc::new(Budget::default());
        let mut slow: Vec<_> = (0..64).map(|_| Share::new(Arc::clone(&budget))).collect();
        for share in &mut slow {
            while share.take(PART, false) {}
        }
        let held = budget.0.load(Ordering::Relaxed);
        assert!(held <= COPIES_BYTES_MAX + 64 * PART, "{held}");
        assert!(slow.iter().all(|share| share.bytes <= LINK_COPIES_BYTES_MAX && share.bytes >= PART));
        let mut honest = Share::new(Arc::clone(&budget));
        assert!(honest.take(PART, true) && honest.take(PART, true) && !honest.take(PART, true));
        drop(slow);
        assert!(honest.take(PART, true), "four again");
        honest.give_back(usize::MAX);
        drop(honest);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_waits_for_the_driver_has_room_in_turn() {
        let room = Room::default();
        let large = room.enter(usize::MAX).await.unwrap();
        let mut next = Box::pin(room.enter(1));
        assert!((&mut next).now_or_never().is_none(), "no room");
        drop(large);
        assert!(next.await.is_some());
        drop(room.enter(INBOX_BYTES_MAX).await.unwrap());
    }
}
