//! Bytes of an admitted link: data frames and credit, on one stream, in both directions.
//!
//! ```text
//! stream = greeting* item*                  greeting: a frame of protocol::wire, see super::handshake
//! item   = word: u32 LE, then
//!          word <  2^31   data: a body of `word` bytes; together exactly a frame of protocol::wire
//!          word >= 2^31   credit: the low 31 bits are bytes of data items that the sender of this word has consumed
//! ```
//!
//! A peer may have [`window_bytes`] of data items (words included) on the way that the other side has not yet consumed;
//! then it waits for credit. So a receiver that is slow costs its neighbours a bounded queue each and nobody else
//! anything, and the memory that a neighbour can fill here is known before it is admitted. Credit words are free: they
//! must pass when everything else waits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use protocol::wire::{LENGTH_BYTES, WireError, body_length};

/// Least window: data on the way to one neighbour that it has not consumed.
pub(crate) const LINK_CREDIT_BYTES: usize = 4 << 20;
/// A buffer grows by so much at a time, and only as bytes arrive: a length is a claim, not a fact.
const READ_PIECE_BYTES: usize = 64 << 10;
/// What of a buffer is kept between two frames. Nearly all are smaller, and what the largest one took would stay as long as the link: lists of lives
/// grow with each restart of a peer.
const KEEP_BYTES: usize = 8 << 10;
/// What of a read buffer is kept at most.
pub(crate) const READ_KEEP_BYTES: usize = 1 << 20;
/// A buffer that holds a frame of at least this part of it is kept: parts of snapshots come one after the other.
const KEEP_PART: usize = 4;
/// Marks a credit word.
const CREDIT_BIT: u32 = 1 << 31;

/// What a word announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A body of so many bytes follows.
    Data(usize),
    /// So many bytes were consumed.
    Credit(u32),
}

/// Why the bytes of a link make no sense, or came to their end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The stream ended or broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// A word or body that breaks the format.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Window of a run whose frame bodies hold at most `body_bytes_max`: two of the largest frames, so that one can travel
/// while the credit of the other is on its way back.
pub(crate) fn window_bytes(body_bytes_max: usize) -> usize {
    (2 * (body_bytes_max + LENGTH_BYTES)).max(LINK_CREDIT_BYTES)
}

/// Reads a word.
///
/// # Errors
/// [`WireError::Empty`] and [`WireError::TooLong`].
pub(crate) fn parse_word(word: [u8; LENGTH_BYTES], body_bytes_max: usize) -> Result<Item, WireError> {
    let value = u32::from_le_bytes(word);
    if value & CREDIT_BIT == 0 {
        return body_length(word, body_bytes_max).map(Item::Data);
    }
    match value & !CREDIT_BIT {
        0 => Err(WireError::Empty),
        bytes => Ok(Item::Credit(bytes)),
    }
}

/// Appends a credit word.
pub(crate) fn put_credit(bytes: u32, out: &mut Vec<u8>) {
    debug_assert!(bytes > 0 && bytes < CREDIT_BIT, "a window is below 2^31 bytes");
    out.extend_from_slice(&(bytes | CREDIT_BIT).to_le_bytes());
}

/// Reads the next item; the body of a data item is in `body` then.
///
/// # Errors
/// [`FrameError`]; `body` never grows beyond what has arrived, rounded up to [`READ_PIECE_BYTES`] or doubled.
pub(crate) async fn read_item<R>(reader: &mut R, body_bytes_max: usize, body: &mut Vec<u8>) -> Result<Item, FrameError>
where
    R: AsyncRead + Unpin,
{
    let mut word = [0; LENGTH_BYTES];
    reader.read_exact(&mut word).await?;
    let item = parse_word(word, body_bytes_max)?;
    if let Item::Data(length) = item {
        read_body(reader, length, body).await?;
    }
    Ok(item)
}

/// Reads `length` bytes into `body`, whose former content goes.
pub(crate) async fn read_body<R>(reader: &mut R, length: usize, body: &mut Vec<u8>) -> io::Result<()>
where
    R: AsyncRead + Unpin,
{
    body.clear();
    while body.len() < length {
        let start = body.len();
        body.resize(length.min(start + READ_PIECE_BYTES), 0);
        reader.read_exact(&mut body[start..]).await?;
    }
    Ok(())
}

/// Empties a buffer, and gives back its memory unless what it held was a large part of that. What one large frame took is given back with the
/// next small one, and all but `most` at once: the next one may never come.
pub(crate) fn consumed(buffer: &mut Vec<u8>, most: usize) {
    let kept = if buffer.len() < buffer.capacity() / KEEP_PART { KEEP_BYTES } else { most };
    buffer.clear();
    buffer.shrink_to(kept);
}

/// Bytes over links, both ways, all links together.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

/// A stream whose bytes are counted, greetings and words included.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.meter.received.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.meter.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;
    use protocol::wire::{Message, decode_body, encode_frame};

    const LIMIT: usize = 1 << 20;

    #[test]
    fn data_and_credit_come_back_as_they_went() {
        let mut bytes = Vec::new();
        put_credit(77, &mut bytes);
        encode_frame(&Message::Bye, &mut bytes).unwrap();
        encode_frame(&Message::SnapshotOffer { bytes: 5 }, &mut bytes).unwrap();
        put_credit(CREDIT_BIT - 1, &mut bytes);

        let (mut reader, mut body) = (Cursor::new(bytes), Vec::new());
        let mut next = |body: &mut Vec<u8>| block_on(read_item(&mut reader, LIMIT, body));
        assert_eq!(next(&mut body).unwrap(), Item::Credit(77));
        assert!(matches!(next(&mut body).unwrap(), Item::Data(_)));
        assert_eq!(decode_body::<Message>(&body).unwrap(), Message::Bye);
        assert!(matches!(next(&mut body).unwrap(), Item::Data(_)));
        assert_eq!(decode_body::<Message>(&body).unwrap(), Message::SnapshotOffer { bytes: 5 });
        assert_eq!(next(&mut body).unwrap(), Item::Credit(CREDIT_BIT - 1));
        assert!(matches!(next(&mut body), Err(FrameError::Io(_))), "the end");
    }

    #[test]
    fn empty_oversized_and_truncated_items_are_refused() {
        let read = |bytes: Vec<u8>, body: &mut Vec<u8>| block_on(read_item(&mut Cursor::new(bytes), LIMIT, body));
        let mut body = Vec::new();
        let refused = |word: u32| parse_word(word.to_le_bytes(), LIMIT).unwrap_err();
        assert_eq!(refused(0), WireError::Empty);
        assert_eq!(refused(CREDIT_BIT), WireError::Empty);
        assert_eq!(refused(LIMIT as u32 + 1), WireError::TooLong { found: LIMIT + 1, limit: LIMIT });
        assert!(matches!(read(vec![1, 0], &mut body), Err(FrameError::Io(_))));

        // A megabyte is claimed and three bytes come: three bytes are what it costs.
        let mut bytes = (LIMIT as u32).to_le_bytes().to_vec();
        bytes.extend([1, 2, 3]);
        assert!(matches!(read(bytes, &mut body), Err(FrameError::Io(_))));
        assert!(body.capacity() <= READ_PIECE_BYTES, "{} bytes for a claim", body.capacity());
    }

    #[test]
    fn ten_thousand_random_streams_are_read_in_bounds() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut body = Vec::new();
        for _ in 0..10_000 {
            let mut bytes: Vec<u8> = (0..random() % 200).map(|_| random() as u8).collect();
            // Half of them begin with a length that fits, so that bodies are read and decoded too.
            if random() % 2 == 0 && bytes.len() > LENGTH_BYTES {
                let length = (bytes.len() - LENGTH_BYTES) as u32;
                bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
                bytes[LENGTH_BYTES] = protocol::wire::VERSION;
            }
            let mut reader = Cursor::new(bytes);
            while let Ok(item) = block_on(read_item(&mut reader, LIMIT, &mut body)) {
                if matches!(item, Item::Data(_)) {
                    let _ = decode_body::<Message>(&body);
                }
            }
            assert!(body.capacity() <= READ_PIECE_BYTES);
        }
    }

    #[test]
    fn the_window_holds_two_of_the_largest_frames() {
        assert_eq!(window_bytes(100), LINK_CREDIT_BYTES);
        let largest = protocol::wire::FRAME_BYTES_MAX;
        assert!(window_bytes(largest) >= 2 * largest);
        assert!(window_bytes(largest) < CREDIT_BIT as usize);
    }

    #[test]
    fn what_a_large_frame_took_is_given_back_with_the_next_small_one() {
        let mut buffer = vec![0; 256 << 10];
        consumed(&mut buffer, READ_KEEP_BYTES);
        assert!(buffer.is_empty() && buffer.capacity() >= 256 << 10, "parts of snapshots come one after the other");
        buffer.extend([0; 300]);
        consumed(&mut buffer, READ_KEEP_BYTES);
        assert!(buffer.capacity() <= KEEP_BYTES, "{}", buffer.capacity());
        buffer.resize(2 << 20, 0);
        consumed(&mut buffer, READ_KEEP_BYTES);
        assert!(buffer.capacity() <= READ_KEEP_BYTES, "{}", buffer.capacity());
    }
}
