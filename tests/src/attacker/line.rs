//! A TCP connection that is read as slowly as wished.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use libp2p::tcp::tokio::TcpStream;
use socket2::SockRef;
use tokio::net::TcpSocket;
use tokio::time::{Sleep, sleep};

/// What a narrow line has room for, and the most that the other side may send at once: what it cannot get rid of stays with it, and
/// fills its own buffer soon.
const NARROW_BYTES: usize = 4096;
const NARROW_SEGMENT_BYTES: u32 = 536;

/// Bytes a second; 0: as fast as they come.
#[derive(Clone, Debug, Default)]
pub struct Slowness(Arc<AtomicU32>);

impl Slowness {
    pub(super) fn set(&self, bytes_per_second: u32) {
        self.0.store(bytes_per_second, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    slowness: Slowness,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Line {
    pub(super) async fn open(address: SocketAddr, narrow: bool) -> io::Result<(Self, Slowness)> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if narrow {
            let socket = SockRef::from(&socket);
            socket.set_recv_buffer_size(NARROW_BYTES)?;
            socket.set_tcp_mss(NARROW_SEGMENT_BYTES)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let slowness = Slowness::default();
        Ok((Self { stream: TcpStream(stream), slowness: slowness.clone(), pause: None }, slowness))
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let rate = self.slowness.0.load(Ordering::Relaxed);
        if rate == 0 || buf.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(Duration::from_secs(1) / rate)));
        ready!(pause.as_mut().poll(cx));
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf[..1]));
        self.pause = None;
        Poll::Ready(read)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
