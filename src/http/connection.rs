//! One connection's socket with its time limits.
//!
//! hyper's own header timeout also ends connections that merely wait for their next request, after
//! the few seconds that a head may take. A proxy that keeps connections open would then now and
//! then send a request into a connection that is just being closed, and may not repeat a `POST`.
//! So the limits are kept here: short while a head arrives, long between requests, none while a
//! request is being answered (that has a limit of its own). One timer serves the whole connection
//! and is moved only when it matters, which is never on the hot path.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Requests of one connection, counted by its service and read by its socket.
#[derive(Debug, Default)]
pub struct Activity {
    begun: AtomicU64,
    in_flight: AtomicUsize,
}

impl Activity {
    /// A request's head has arrived; it is in flight until the value is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a connection may wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a complete head, from its first byte (of a new connection: from its start).
    pub header: Duration,
    /// For the next request.
    pub idle: Duration,
}

/// A socket that reports a timeout when its client takes too long.
pub struct TimedStream {
    stream: TcpStream,
    activity: Arc<Activity>,
    patience: Patience,
    /// What the connection waits for while nothing is in flight.
    wait: Wait,
    deadline: Instant,
    /// Requests seen at the last look.
    begun: u64,
    timer: Pin<Box<Sleep>>,
    /// The timer runs and will wake this connection's task.
    is_armed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Nothing has been read yet.
    First,
    /// The rest of a head (HTTP/1).
    Head,
    /// The next request.
    Next,
    /// The next request, over HTTP/2: frames that are not requests do not start a head.
    NextOverH2,
}

impl TimedStream {
    /// Starts waiting for the first request.
    pub fn new(stream: TcpStream, activity: Arc<Activity>, patience: Patience) -> Self {
        let deadline = Instant::now() + patience.header;
        let timer = Box::pin(sleep_until(deadline));
        let wait = Wait::First;
        Self { stream, activity, patience, wait, deadline, begun: 0, timer, is_armed: false }
    }

    /// Whether a request is in flight; notices requests that have come and gone since the last look.
    fn is_busy(&mut self) -> bool {
        if self.activity.in_flight.load(Ordering::Relaxed) > 0 {
            return true;
        }
        let begun = self.activity.begun.load(Ordering::Relaxed);
        if begun != self.begun {
            self.begun = begun;
            if self.wait != Wait::NextOverH2 {
                self.wait = Wait::Next;
            }
            self.deadline = Instant::now() + self.patience.idle;
        }
        false
    }

    fn has_read(&mut self, bytes: &[u8]) {
        match self.wait {
            Wait::First if bytes.starts_with(b"PRI ") => {
                self.wait = Wait::NextOverH2;
                self.deadline = Instant::now() + self.patience.idle;
            }
            Wait::First => self.wait = Wait::Head,
            Wait::Next => {
                self.wait = Wait::Head;
                self.deadline = Instant::now() + self.patience.header;
            }
            Wait::Head | Wait::NextOverH2 => {}
        }
    }

    /// Whether the client has taken too long; if not, the connection's task will be woken when it
    /// is time to ask again.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let is_busy = self.is_busy();
        if !is_busy && self.timer.deadline() > self.deadline {
            self.timer.as_mut().reset(self.deadline);
            self.is_armed = false;
        }
        // Only this connection's task polls the timer, so a timer that runs knows whom to wake.
        if self.is_armed && !self.timer.is_elapsed() {
            return false;
        }
        self.is_armed = true;
        while self.timer.as_mut().poll(cx).is_ready() {
            let next = if is_busy { Instant::now() + self.patience.header } else { self.deadline };
            if !is_busy && self.timer.deadline() >= next {
                return true;
            }
            self.timer.as_mut().reset(next);
        }
        false
    }

    /// Turns waiting for the client into an error when it has lasted too long.
    fn or_late<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_pending() && self.is_late(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        poll
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let is_busy = this.is_busy();
        let poll = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let read = &buffer.filled()[before..];
        if !is_busy && !read.is_empty() {
            this.has_read(read);
        }
        this.or_late(cx, poll)
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.or_late(cx, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.or_late(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes after each response but need not read again, and the time for the next
        // request starts here.
        let this = self.get_mut();
        if this.is_late(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
