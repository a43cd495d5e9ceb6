//! One link: handshake, then messages both ways until something ends it.
//!
//! A link is a task of its own. It tells the driver's loop what happens through one bounded channel, in order:
//! [`LinkEvent::Up`] once, messages, [`LinkEvent::Down`] once; or [`LinkEvent::NotAdmitted`] and nothing else. When
//! that channel is full the reader waits, the window of [`super::frame`] runs dry, and the neighbour stops sending:
//! back-pressure reaches exactly the one who caused it. The writer never holds up the reader, nor the driver either of
//! them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::swarm::ConnectionId;
use protocol::id::PeerId;
use protocol::wire::{LENGTH_BYTES, Message, WireError, decode_body, encode_frame, frame_bytes};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout, timeout_at};

use super::allowances::{Allowances, Allowed};
use super::bucket::{Counts, Flood, Pace};
use super::budget::{Budget, Room};
use super::frame::{FrameError, Item, Meter, Metered, READ_KEEP_BYTES, consumed, put_credit, read_item, window_bytes};
use super::handshake::{Meeting, Verdict};
use super::offenders::STRIKES_MAX;
use super::queue::{CreditBroken, Queue, Receipt, Stage};

/// A write, or a wait for credit, that makes no progress for so long ends the link.
pub(super) const STALL_MAX: Duration = Duration::from_secs(10);
/// How long a link that has said everything waits until the other side has read it.
const LINGER_MAX: Duration = Duration::from_millis(300);
/// Small messages are gathered up to here: below 16 KiB a write costs a third more (measured, TCP+Noise+Yamux).
const WRITE_PIECE_BYTES: usize = 64 << 10;

/// What a link tells.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// Admitted.
    Up { peer: PeerId, connection: ConnectionId, queue: Arc<Queue> },
    /// A message; the receipt is dropped when it was consumed.
    Message { peer: PeerId, connection: ConnectionId, message: Message, receipt: Receipt },
    /// Over.
    Down { peer: PeerId, connection: ConnectionId, end: End },
    /// It came to no link.
    NotAdmitted { peer: PeerId, connection: ConnectionId, verdict: Verdict },
}

/// Why a link is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// We have said everything and closed it, or dropped it.
    #[error("closed by us")]
    Ours,
    /// The stream ended or broke.
    #[error("{0}")]
    Broken(io::Error),
    /// The other side breaks the format.
    #[error("malformed: {0}")]
    Malformed(WireError),
    /// The other side breaks the flow control.
    #[error(transparent)]
    Credit(#[from] CreditBroken),
    /// The other side says too much.
    #[error(transparent)]
    Flood(#[from] Flood),
    /// The other side takes nothing.
    #[error("it took nothing for {} s", STALL_MAX.as_secs())]
    Stalled,
}

impl End {
    /// Whether the neighbour broke a rule, rather than the network.
    pub(crate) fn is_fault(&self) -> bool {
        self.strikes() > 0
    }

    /// What that counts for.
    pub(crate) fn strikes(&self) -> u32 {
        match self {
            Self::Malformed(_) | Self::Credit(_) => 1,
            // Nobody floods by mistake.
            Self::Flood(_) => STRIKES_MAX,
            Self::Ours | Self::Broken(_) | Self::Stalled => 0,
        }
    }
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => Self::Broken(error),
            FrameError::Wire(error) => Self::Malformed(error),
        }
    }
}

/// What a link needs besides its stream.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) meeting: Meeting,
    pub(crate) meter: Arc<Meter>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) inbox_room: Arc<Room>,
    pub(crate) events: Sender<LinkEvent>,
    /// Largest frame body of this run.
    pub(crate) body_bytes_max: usize,
    /// What peers may say, each over all its links.
    pub(crate) allowances: Allowances,
}

impl Link {
    /// Lives until the link is over. Errors in telling mean that nobody listens any more, and end it as well.
    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let (peer, connection) = (self.meeting.them, self.meeting.connection);
        let mut stream = Metered::new(stream, Arc::clone(&self.meter));
        let verdict = self.meeting.hold(&mut stream).await;
        if verdict != Verdict::Admitted {
            let _ = self.events.send(LinkEvent::NotAdmitted { peer, connection, verdict }).await;
            return;
        }
        let window = window_bytes(self.body_bytes_max);
        let allowed = self.allowances.of(peer, window, Instant::now().into_std());
        let queue = Queue::new(window, &self.budget);
        let up = LinkEvent::Up { peer, connection, queue: Arc::clone(&queue) };
        if self.events.send(up).await.is_ok() {
            let end = self.carry(stream, &queue, &allowed).await;
            self.meeting.places.release(peer, connection);
            let _ = self.events.send(LinkEvent::Down { peer, connection, end }).await;
        }
        self.meeting.places.release(peer, connection);
    }

    async fn carry<S>(&self, stream: S, queue: &Arc<Queue>, allowed: &Allowed) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut reader, writer) = stream.split();
        let end = tokio::select! {
            end = self.read(&mut reader, queue, allowed) => return end,
            end = write(writer, queue) => end,
            () = queue.aborted.notified() => return End::Ours,
        };
        if matches!(end, End::Ours) {
            // Closing over unread bytes could overtake our last words.
            let _ = timeout(LINGER_MAX, drain(&mut reader)).await;
        }
        end
    }

    async fn read<R: AsyncRead + Unpin>(&self, reader: &mut R, queue: &Arc<Queue>, allowed: &Allowed) -> End {
        let mut body = Vec::new();
        loop {
            let message = match self.read_one(reader, queue, allowed, &mut body).await {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(end) => return end,
            };
            if self.events.send(message).await.is_err() {
                return End::Ours;
            }
        }
    }

    /// The next item: a message to tell, or credit that was taken in.
    async fn read_one<R>(
        &self,
        reader: &mut R,
        queue: &Arc<Queue>,
        allowed: &Allowed,
        body: &mut Vec<u8>,
    ) -> Result<Option<LinkEvent>, End>
    where
        R: AsyncRead + Unpin,
    {
        let item = read_item(reader, self.body_bytes_max, body).await?;
        let now = Instant::now().into_std();
        let item_bytes = if let Item::Data(bytes) = item { bytes } else { 0 };
        allowed.lock().frame(LENGTH_BYTES + item_bytes, now)?;
        match item {
            Item::Credit(bytes) => queue.granted(bytes).map(|()| None).map_err(End::Credit),
            Item::Data(bytes) => {
                let mut receipt = queue.received(bytes)?;
                let message = decode_body(body).map_err(End::Malformed)?;
                consumed(body, READ_KEEP_BYTES);
                allowed.lock().message(&message, now)?;
                let (peer, connection) = (self.meeting.them, self.meeting.connection);
                receipt.keep(self.inbox_room.enter(receipt.bytes()).await);
                Ok(Some(LinkEvent::Message { peer, connection, message, receipt }))
            }
        }
    }
}

/// Says what the queue holds, as far as credit goes, and returns credit.
async fn write<W: AsyncWrite + Unpin>(mut writer: W, queue: &Queue) -> End {
    let mut outgoing = Outgoing::default();
    let mut pace = Pace::new(queue.window(), Instant::now().into_std());
    let mut stalled_at = None;
    loop {
        // Asked before the queue is emptied: what was put in before the end is said before the end.
        let stage = queue.stage();
        let wait = outgoing.gather(queue, &mut pace);
        if !outgoing.ready.is_empty() {
            if let Err(end) = write_all(&mut writer, &outgoing.ready).await {
                return end;
            }
            outgoing.written();
            stalled_at = None;
            continue;
        }
        if let Some(wait) = wait {
            if outgoing.next.is_empty() {
                // Votes wait, and whatever else comes does not wait with them.
                let _ = timeout(wait, queue.changed.notified()).await;
            } else {
                tokio::time::sleep(wait).await;
            }
            continue;
        }
        // Nothing that may be said: everything was, or the credit is used up.
        let waits = !outgoing.next.is_empty();
        if stage != Stage::Open && !waits {
            return timeout(STALL_MAX, writer.close()).await.map_or(End::Stalled, |_| End::Ours);
        }
        stalled_at = waits.then(|| stalled_at.unwrap_or_else(|| Instant::now() + STALL_MAX));
        match stalled_at {
            None => queue.changed.notified().await,
            Some(deadline) if timeout_at(deadline, queue.changed.notified()).await.is_err() => return End::Stalled,
            Some(_) => {}
        }
    }
}

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Paid for with credit: to be written.
    ready: Vec<u8>,
    /// The next data item, when it waits for credit or its turn.
    next: Vec<u8>,
    /// What it counts for.
    counts: Counts,
    /// Whether its turn has come.
    paced: bool,
}

impl Outgoing {
    /// Moves as much from the queue to `ready` as credit, pace and [`WRITE_PIECE_BYTES`] allow. How long the pace holds up the
    /// next frame, if it does.
    pub(super) fn gather(&mut self, queue: &Queue, pace: &mut Pace) -> Option<Duration> {
        if let Some(bytes) = queue.take_owed() {
            put_credit(bytes, &mut self.ready);
        }
        while self.ready.len() < WRITE_PIECE_BYTES {
            if self.next.is_empty() {
                let spare = pace.has_room_to_spare(Instant::now().into_std());
                let Some(message) = queue.pop(spare.is_ok()) else {
                    return spare.err().filter(|_| queue.has_words());
                };
                self.counts = Counts::of(&message);
                // A buffer that doubles as it grows would be twice as large as what a slow reader makes us keep.
                self.next.reserve_exact(frame_bytes(&message));
                if let Err(error) = encode_frame(&message, &mut self.next) {
                    tracing::error!(%error, "a message of ours does not fit a frame and is not sent");
                    continue;
                }
            }
            if !self.paced {
                if let Err(wait) = pace.take(self.next.len(), self.counts, Instant::now().into_std()) {
                    return Some(wait);
                }
                self.paced = true;
            }
            if !queue.spend(self.next.len()) {
                return None;
            }
            self.paced = false;
            if self.ready.is_empty() {
                std::mem::swap(&mut self.ready, &mut self.next);
            } else {
                self.ready.append(&mut self.next);
            }
        }
        None
    }

    /// Gives the memory of a large frame back.
    pub(super) fn written(&mut self) {
        consumed(&mut self.ready, 2 * WRITE_PIECE_BYTES);
        if self.next.is_empty() {
            consumed(&mut self.next, 2 * WRITE_PIECE_BYTES);
        }
    }
}

/// Writes all, as long as some of it is taken every [`STALL_MAX`].
async fn write_all<W: AsyncWrite + Unpin>(writer: &mut W, mut bytes: &[u8]) -> Result<(), End> {
    while !bytes.is_empty() {
        let piece = &bytes[..bytes.len().min(WRITE_PIECE_BYTES)];
        match timeout(STALL_MAX, writer.write(piece)).await {
            Err(_) => return Err(End::Stalled),
            Ok(Ok(0)) => return Err(End::Broken(io::ErrorKind::WriteZero.into())),
            Ok(Ok(written)) => bytes = &bytes[written..],
            Ok(Err(error)) => return Err(End::Broken(error)),
        }
    }
    match timeout(STALL_MAX, writer.flush()).await {
        Err(_) => Err(End::Stalled),
        Ok(flushed) => flushed.map_err(End::Broken),
    }
}

/// Reads to the end and throws away.
async fn drain<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<()> {
    let mut scratch = [0; 4096];
    while reader.read(&mut scratch).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests;
