//! One connection's socket with its time limits.
//!
//! hyper's own header timeout also ends connections that merely wait for their next request, after
//! the few seconds that a head may take. A proxy that keeps connections open would then now and
//! then send a request into a connection that is just being closed, and may not repeat a `POST`.
//! So the limits are kept here: short while a head arrives, long between requests, none while a
//! request is being handled (that has a limit of its own). One timer serves the whole connection
//! and is moved only when it matters, which is never on the hot path.
//!
//! The same place notices clients that hang up before they have a response, and ends connections of
//! a server that stops: a socket that waits for a request reports the end of the stream, but only
//! once there is nothing on it to read.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::drain::Phase;

/// How long a new connection may say nothing once the server stops.
const LAST_CHANCE: Duration = Duration::from_millis(200);

/// Requests of one connection, counted by its service and read by its socket.
#[derive(Debug, Default)]
pub struct Activity {
    begun: AtomicU64,
    in_flight: AtomicUsize,
    is_http2: Notify,
    phase: Phase,
}

impl Activity {
    /// Of a connection of a server in this phase.
    pub fn new(phase: Phase) -> Self {
        Self { phase, ..Self::default() }
    }

    /// A request's head has arrived; it is in flight until the value is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Returns, to one caller, when the first bytes were those of HTTP/2.
    pub async fn speaks_http2(&self) {
        self.is_http2.notified().await;
    }
}

/// A request that is being handled.
#[derive(Debug)]
pub struct InFlight(Arc<Activity>);

impl InFlight {
    /// Whether its response asks the client to end the connection.
    pub fn is_last(&self) -> bool {
        self.0.phase.is_draining()
    }
}

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
    /// A response may not be written to the socket yet.
    owes_response: bool,
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
        Self {
            stream,
            activity,
            patience,
            owes_response: false,
            wait: Wait::First,
            deadline,
            begun: 0,
            timer: Box::pin(sleep_until(deadline)),
            is_armed: false,
        }
    }

    /// Whether a request is in flight; notices requests that have come and gone since the last look.
    fn is_busy(&mut self) -> bool {
        if self.activity.in_flight.load(Ordering::Relaxed) > 0 {
            self.owes_response = true;
            return true;
        }
        let begun = self.activity.begun.load(Ordering::Relaxed);
        if begun != self.begun {
            self.begun = begun;
            self.owes_response = true;
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
                self.activity.is_http2.notify_one();
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

    /// Whether the server stops, and this connection waits for a request over HTTP/1.
    ///
    /// One that has just been accepted is given some time: its request is on the way.
    fn must_end(&mut self, is_busy: bool) -> bool {
        if is_busy || self.owes_response || !self.activity.phase.is_stopping() {
            return false;
        }
        match self.wait {
            Wait::Next => true,
            Wait::First => {
                self.deadline = self.deadline.min(Instant::now() + LAST_CHANCE);
                false
            }
            Wait::Head | Wait::NextOverH2 => false,
        }
    }

    /// Whether there is something to read of which the runtime has not heard yet.
    fn has_unread(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        SockRef::from(&self.stream).peek(&mut byte).is_ok_and(|read| read > 0)
    }

    /// Whether the client has gone while its request is handled (HTTP/1); if not, its going will
    /// wake the connection's task, unless it has sent another request already.
    fn has_hung_up(&self, cx: &mut Context<'_>) -> bool {
        if self.wait == Wait::NextOverH2 || self.activity.in_flight.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut byte = [MaybeUninit::uninit()];
        let peeked = self.stream.poll_peek(cx, &mut ReadBuf::uninit(&mut byte));
        matches!(peeked, Poll::Ready(Ok(0) | Err(_)))
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
        if poll.is_pending() && this.must_end(is_busy) {
            if this.has_unread() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // The end of the stream: what had arrived before has been read and handled.
            return Poll::Ready(Ok(()));
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
        if this.has_hung_up(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let poll = Pin::new(&mut this.stream).poll_flush(cx);
        if poll.is_ready() && this.activity.in_flight.load(Ordering::Relaxed) == 0 {
            this.owes_response = false;
            if this.must_end(false) {
                // hyper need not read again by itself.
                cx.waker().wake_by_ref();
            }
        }
        poll
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
