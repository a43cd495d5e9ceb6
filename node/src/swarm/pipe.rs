//! A stream in memory for tests: bounded, so that back-pressure is real.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::channel::mpsc::{Receiver, Sender, channel};
use futures::stream::IntoAsyncRead;
use futures::{AsyncRead, AsyncWrite, TryStreamExt as _};

type Chunk = io::Result<Vec<u8>>;

/// One end.
pub(crate) struct Pipe {
    incoming: IntoAsyncRead<Receiver<Chunk>>,
    outgoing: Sender<Chunk>,
}

/// Two ends; each direction holds about `chunks` writes of at most 64 KiB.
pub(crate) fn pipe(chunks: usize) -> (Pipe, Pipe) {
    let (left, from_left) = channel(chunks);
    let (right, from_right) = channel(chunks);
    let end = |outgoing, incoming: Receiver<Chunk>| Pipe { incoming: incoming.into_async_read(), outgoing };
    (end(left, from_right), end(right, from_left))
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.incoming).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let broken = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        std::task::ready!(self.outgoing.poll_ready(cx)).map_err(broken)?;
        let chunk = buf[..buf.len().min(64 << 10)].to_vec();
        let bytes = chunk.len();
        self.outgoing.start_send(Ok(chunk)).map_err(broken)?;
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.close_channel();
        Poll::Ready(Ok(()))
    }
}
