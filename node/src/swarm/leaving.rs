//! Connections that are being closed: bounded in time and number, so that whoever reads nothing holds nothing.
//!
//! To close a connection is to say what is left to be said, and libp2p waits for as long as that takes: Yamux flushes its last
//! frames, and towards somebody who has stopped reading that has no end. All the while the connection holds its descriptor and
//! counts against the limits, although nothing of ours knows it any more. So each has [`CLOSE_MAX`] for it, and where more than
//! [`LEAVING_MAX`] are at it the first of them yields at once. Then it is dropped, with what was not said.
//!
//! The system would keep that for minutes yet, megabytes of it, and ask again and again whether it is read now: a socket that is
//! given up is reset ([`Line`]). It holds for whatever closes a connection, libp2p's own limits and second thoughts included, and for
//! whatever carries it: a relayed one is a stream of another connection, one of QUIC has no socket of its own.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::oneshot;
use futures::{AsyncRead, AsyncWrite, FutureExt as _};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, StreamMuxerExt as _, SubstreamBox};
use libp2p::core::transport::{Boxed, Transport as _};
use libp2p::{PeerId, tcp};
use tokio::time::{Sleep, sleep};

/// How long the last words of a connection may take to be taken. Whoever reads takes them in a round trip.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// Connections whose last words are not taken yet: as many as there are links by default, which may all stall at once.
pub(super) const LEAVING_MAX: usize = 64;

thread_local! {
    /// Whether what is being dropped on this thread is given up.
    static GIVEN_UP: Cell<bool> = const { Cell::new(false) };
}

/// The same transport; its connections are closed in time.
pub(super) fn in_time(transport: Boxed<(PeerId, StreamMuxerBox)>) -> Boxed<(PeerId, StreamMuxerBox)> {
    let exit = Exit::default();
    transport.map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(Leaving::new(muxer, exit)))).boxed()
}

/// Those of one transport that are being closed, in order. Whose sender is dropped has to yield.
#[derive(Clone, Debug, Default)]
struct Exit(Arc<Mutex<VecDeque<oneshot::Sender<()>>>>);

impl Exit {
    /// One more. What it gets ends when it has to yield.
    fn enter(&self) -> oneshot::Receiver<()> {
        let (sender, yields) = oneshot::channel();
        // Plain data that no panic leaves half changed.
        let mut leaving = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|other| !other.is_canceled());
        leaving.push_back(sender);
        if leaving.len() > LEAVING_MAX {
            leaving.pop_front();
        }
        yields
    }
}

/// A connection that is closed in time.
struct Leaving {
    /// `None`: it is closed.
    muxer: Option<StreamMuxerBox>,
    exit: Exit,
    /// Since it is being closed: its deadline, and what ends when it has to yield.
    until: Option<(Pin<Box<Sleep>>, oneshot::Receiver<()>)>,
}

impl Leaving {
    fn new(muxer: StreamMuxerBox, exit: Exit) -> Self {
        Self { muxer: Some(muxer), exit, until: None }
    }

    fn open(self: Pin<&mut Self>) -> io::Result<Pin<&mut StreamMuxerBox>> {
        let muxer = self.get_mut().muxer.as_mut();
        muxer.map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl StreamMuxer for Leaving {
    type Substream = SubstreamBox;
    type Error = io::Error;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        self.open()?.poll_inbound(cx)
    }

    fn poll_outbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        self.open()?.poll_outbound(cx)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        self.open()?.poll(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { muxer, exit, until } = self.get_mut();
        let Some(open) = muxer else { return Poll::Ready(Ok(())) };
        if let Poll::Ready(closed) = open.poll_close_unpin(cx) {
            *muxer = None;
            *until = None;
            return Poll::Ready(closed);
        }
        let (late, yields) = until.get_or_insert_with(|| (Box::pin(sleep(CLOSE_MAX)), exit.enter()));
        if late.as_mut().poll(cx).is_pending() && yields.poll_unpin(cx).is_pending() {
            return Poll::Pending;
        }
        give_up(muxer.take());
        *until = None;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "its last words were not taken: it was dropped")))
    }
}

/// Drops `what`, and resets the [`Line`] in it. Nothing between a connection and its socket passes a word for that down, but they go
/// together.
fn give_up<T>(what: T) {
    GIVEN_UP.set(true);
    drop(what);
    GIVEN_UP.set(false);
}

/// A TCP connection that is reset where it is given up, and else closed as any other.
#[derive(Debug)]
pub(super) struct Line(pub(super) tcp::tokio::TcpStream);

impl Drop for Line {
    fn drop(&mut self) {
        if GIVEN_UP.try_with(Cell::get).unwrap_or(false) {
            // What is closed already has nothing to be reset.
            let _ = self.0.0.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::future::poll_fn;
    use std::time::Instant;

    use futures::AsyncReadExt as _;
    use libp2p::core::upgrade::OutboundConnectionUpgrade as _;
    use libp2p::yamux;
    use tokio::time::timeout;

    use super::super::pipe::{Pipe, pipe};
    use super::*;

    /// A connection of Yamux with more to say than the other end takes, a stream of it, and the other end.
    async fn stuck() -> (StreamMuxerBox, SubstreamBox, Pipe) {
        let (ours, theirs) = pipe(4);
        let muxer = yamux::Config::default().upgrade_outbound(ours, "/yamux/1.0.0").await.unwrap();
        let mut muxer = StreamMuxerBox::new(muxer);
        let mut stream = poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await.unwrap();
        for _ in 0..64 {
            poll_fn(|cx| {
                let _ = Pin::new(&mut stream).poll_write(cx, &[7; 1024]);
                let _ = muxer.poll_unpin(cx);
                Poll::Ready(())
            })
            .await;
        }
        (muxer, stream, theirs)
    }

    #[tokio::test]
    async fn a_connection_whose_other_end_reads_nothing_is_closed_in_time() {
        let (bare, _stream, _theirs) = stuck().await;
        let bare = timeout(CLOSE_MAX + Duration::from_secs(1), bare.close());
        let bounded = async {
            let (muxer, stream, mut theirs) = stuck().await;
            let begun = Instant::now();
            let error = Leaving::new(muxer, Exit::default()).close().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() >= CLOSE_MAX, "it had its time: {:?}", begun.elapsed());
            // Our end is gone, whoever still holds a stream of it.
            let mut taken = Vec::new();
            theirs.read_to_end(&mut taken).await.unwrap();
            assert!(!taken.is_empty());
            drop(stream);
        };
        let (bare, ()) = futures::join!(bare, bounded);
        assert!(bare.is_err(), "Yamux closes in time by itself: all this is needed no more");
    }

    #[tokio::test]
    async fn a_connection_whose_other_end_reads_says_all() {
        let (muxer, _stream, mut theirs) = stuck().await;
        let mut taken = Vec::new();
        let closing = Leaving::new(muxer, Exit::default()).close();
        let (closed, read) = futures::join!(closing, theirs.read_to_end(&mut taken));
        closed.unwrap();
        read.unwrap();
        // Its last frame: it goes away (type 3), and nothing is wrong (0).
        assert_eq!(taken.last_chunk::<12>(), Some(&[0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    }

    #[tokio::test]
    async fn where_many_leave_at_once_the_first_yields() {
        let exit = Exit::default();
        let mut leaving = VecDeque::new();
        for _ in 0..=LEAVING_MAX {
            let (muxer, _, theirs) = stuck().await;
            let mut closing = Leaving::new(muxer, exit.clone()).close();
            assert!(futures::poll!(&mut closing).is_pending());
            leaving.push_back((closing, theirs));
        }
        let (first, _) = leaving.pop_front().unwrap();
        assert!(first.now_or_never().is_some_and(|closed| closed.is_err()), "it has yielded");
        assert!(futures::poll!(&mut leaving[0].0).is_pending(), "the next one has not");
        // Who is gone counts no more.
        drop(leaving.pop_back());
        let (muxer, _, _theirs) = stuck().await;
        assert!(futures::poll!(&mut Leaving::new(muxer, exit).close()).is_pending());
        assert!(futures::poll!(&mut leaving[0].0).is_pending());
    }

    #[tokio::test]
    async fn a_socket_that_is_given_up_is_reset_and_no_other_one_is() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut ends = Vec::new();
        for given_up in [true, false] {
            let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut theirs, _) = listener.accept().await.unwrap();
            let line = Line(tcp::tokio::TcpStream(stream));
            if given_up {
                give_up(Box::new(line));
            } else {
                drop(line);
            }
            let end = tokio::io::AsyncReadExt::read(&mut theirs, &mut [0]).await;
            ends.push(end.map_err(|error| error.kind()));
        }
        assert_eq!(ends, [Err(io::ErrorKind::ConnectionReset), Ok(0)]);
    }
}
