//! Connections that wait for their next request without buffers.
//!
//! hyper keeps two buffers of 8 KiB for a connection, and its state takes a few more. A connection over
//! HTTP/1 that has waited for a moment is told the end of its stream, so that hyper lets go of
//! everything; the socket itself stays, and is served anew when there is something to read. Between
//! two requests a connection has no state that would be lost.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::TimedStream;

/// Where a socket is found when whoever served it has ended.
#[derive(Clone, Default)]
pub struct Place(Arc<Mutex<Option<Box<TimedStream>>>>);

impl Place {
    /// The socket to be served, which is put here afterwards.
    pub fn lend(&self, socket: Box<TimedStream>) -> Lent {
        Lent { socket: Some(socket), place: self.clone() }
    }

    /// The socket, if it waits for its next request.
    pub fn take_parked(&self) -> Option<Box<TimedStream>> {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        socket.filter(|socket| socket.is_parked())
    }
}

/// A socket while it is served.
pub struct Lent {
    /// Until it is dropped.
    socket: Option<Box<TimedStream>>,
    place: Place,
}

impl Lent {
    fn socket(self: Pin<&mut Self>) -> Pin<&mut TimedStream> {
        let socket = self.get_mut().socket.as_mut();
        Pin::new(socket.expect("it is there until this is dropped"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.place.0.lock().unwrap_or_else(PoisonError::into_inner) = self.socket.take();
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.socket().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_shutdown(cx)
    }
}
