//! `GET /v1/events`: server-sent events. `status` is the snapshot, twice a second; `event` one entry of the list, whose number is in the
//! event's id: a browser that comes back says the last one it has seen and gets what came after. Numbers begin anew in each life of a peer, so the
//! id names the life, too: who has seen event 40 of an earlier one gets all of this one.
//!
//! Nothing queues for a slow reader: it is sent the state as it is when it reads again, and of the list what is still there.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use futures::Stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::board::Board;
use super::snapshot::{Phase, Snapshot};

/// Streams at a time.
pub(super) const STREAMS_MAX: usize = 64;
/// A stream ends after so long and the browser opens another one: readers that are gone without a word do not add up.
const STREAM_MAX: Duration = Duration::from_secs(10 * 60);
/// How long a browser waits before it comes back, milliseconds.
const RETRY: Duration = Duration::from_millis(1000);

struct Reader {
    board: Arc<Board>,
    statuses: watch::Receiver<Arc<Snapshot>>,
    news: watch::Receiver<u64>,
    life: u64,
    /// Number of the last event that was sent.
    seen: u64,
    queue: VecDeque<Event>,
    until: Instant,
    over: bool,
    _place: OwnedSemaphorePermit,
}

/// The last event that a reader has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Of which life; nothing is said: of this one.
    life: Option<u64>,
    seq: u64,
}

impl Seen {
    /// `LIFE-NUMBER`, as the id of an event, or `NUMBER`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (life, seq) = match text.split_once('-') {
            Some((life, seq)) => (Some(life.parse().ok()?), seq),
            None => (None, text),
        };
        Some(Self { life, seq: seq.parse().ok()? })
    }

    /// The number to go on from.
    fn in_life(self, life: u64) -> u64 {
        if self.life.is_none_or(|of| of == life) { self.seq } else { 0 }
    }
}

/// Events from now on, and those of the list after the one that was `seen`.
pub(super) fn events(
    board: Arc<Board>,
    seen: Seen,
    place: OwnedSemaphorePermit,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (mut statuses, mut news) = (board.statuses(), board.news());
    // What is there already is news, too.
    statuses.mark_changed();
    news.mark_changed();
    let queue = VecDeque::from([Event::default().retry(RETRY)]);
    let until = Instant::now() + STREAM_MAX;
    let life = board.status().life;
    let seen = seen.in_life(life);
    let reader = Reader { board, statuses, news, life, seen, queue, until, over: false, _place: place };
    let stream = futures::stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    // States come twice a second: a connection that is gone is noticed without further signs of life.
    Sse::new(stream)
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            tokio::select! {
                biased;
                changed = self.news.changed() => {
                    changed.ok()?;
                    self.news.borrow_and_update();
                    for entry in self.board.events_after(self.seen) {
                        self.seen = entry.seq;
                        let id = format!("{}-{}", self.life, entry.seq);
                        self.queue.extend(event("event", &*entry).map(|event| event.id(id)));
                    }
                }
                changed = self.statuses.changed() => {
                    changed.ok()?;
                    let status = Arc::clone(&self.statuses.borrow_and_update());
                    self.over = status.phase == Phase::Stopped;
                    self.queue.extend(event("status", &*status));
                }
                () = tokio::time::sleep_until(self.until) => return None,
            }
        }
    }
}

fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    // Plain structs with string keys: serialization cannot fail.
    Event::default().event(name).json_data(data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_an_earlier_life_is_no_event_of_this_one() {
        let seen = |text| Seen::parse(text).map(|seen| seen.in_life(1_700_000_000_000));
        assert_eq!((seen("7"), seen("1700000000000-7"), seen("1600000000000-7")), (Some(7), Some(7), Some(0)));
        for text in ["", "-", "7-", "-7", "a-7", "7-a", "1-2-3", "99999999999999999999"] {
            assert_eq!(seen(text), None, "{text}");
        }
    }
}
