//! One connection's socket with its time limits.
//!
//! hyper's own header timeout also ends connections that merely wait for their next request, after
//! the few seconds that a head may take. A proxy that keeps connections open would then now and
//! then send a request into a connection that is just being closed, and may not repeat a `POST`.
//! So the limits are kept here: short while a head arrives, long between requests, none while a
//! request is being handled (that has a limit of its own). One timer serves the whole connection
//! and is moved only when it matters, which is never on the hot path.
//!
//! Nor may a client leave responses unread: neither the socket, which then takes no more, nor a
//! single response of many over HTTP/2, whose clients say how much of each they will take.
//!
//! The same place notices clients that hang up before they have a response, and ends connections of
//! a server that stops: a socket that waits for a request reports the end of the stream, but only
//! once there is nothing on it to read.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::drain::{Drain, Phase};

/// How long a new connection may say nothing once the server stops.
const LAST_CHANCE: Duration = Duration::from_millis(200);

/// Requests of one connection, counted by its service and read by its socket.
#[derive(Debug, Default)]
pub struct Activity {
    begun: AtomicU64,
    in_flight: AtomicUsize,
    is_http2: Notify,
    phase: Phase,
    /// Requests of which the socket has noticed that they have ended.
    ended: AtomicU64,
    /// Microseconds from `started` to when it began to wait for a request.
    idle_since: AtomicU64,
    /// It has to make room for another one.
    must_close: AtomicBool,
    closing: Notify,
    /// Responses that are not sent, by the period in which they were made, modulo three.
    unsent: [AtomicUsize; 3],
    /// The present period.
    period: AtomicUsize,
}

/// What moments of all connections are compared by.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Activity {
    /// Of a connection of a server in this phase.
    pub fn new(phase: Phase) -> Self {
        let activity = Self { phase, ..Self::default() };
        activity.waits_from(Instant::now());
        activity
    }

    /// A request's head has arrived; it is in flight until the value is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// When it began to wait for a request, or for its client to read; `None` while it handles one.
    pub fn idle_since(&self) -> Option<u64> {
        let begun = self.begun.load(Ordering::Relaxed);
        let is_idle = self.in_flight.load(Ordering::Relaxed) == 0
            && self.ended.load(Ordering::Relaxed) == begun;
        is_idle.then(|| self.idle_since.load(Ordering::Relaxed))
    }

    fn waits_from(&self, now: Instant) {
        let since = now.saturating_duration_since(*STARTED).as_micros();
        self.idle_since.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Has it end as soon as it handles no request.
    pub fn close(&self) {
        self.must_close.store(true, Ordering::Relaxed);
        self.closing.notify_one();
    }

    /// Whether it has to end.
    pub fn must_close(&self) -> bool {
        self.must_close.load(Ordering::Relaxed)
    }

    /// Returns, to one caller, when it has to end.
    pub async fn closing(&self) {
        self.closing.notified().await;
    }

    /// A response has been made; it is sent when the value is dropped.
    pub fn unsent(self: &Arc<Self>) -> Unsent {
        let period = self.period.load(Ordering::Relaxed) % 3;
        self.unsent[period].fetch_add(1, Ordering::Relaxed);
        Unsent { activity: Arc::clone(self), period }
    }

    fn has_unsent(&self) -> bool {
        self.unsent.iter().any(|count| count.load(Ordering::Relaxed) > 0)
    }

    /// Begins another period; whether there are responses from before the last one.
    fn turn_period(&self) -> bool {
        let next = self.period.load(Ordering::Relaxed).wrapping_add(1) % 3;
        if self.unsent[next].load(Ordering::Relaxed) > 0 {
            return true;
        }
        self.period.store(next, Ordering::Relaxed);
        false
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
        self.0.phase.is_draining() || self.0.must_close()
    }
}

/// A response that its client has not taken yet.
#[derive(Debug)]
pub struct Unsent {
    activity: Arc<Activity>,
    period: usize,
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.activity.unsent[self.period].fetch_sub(1, Ordering::Relaxed);
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
    /// For the next request with everything that is needed to serve one.
    pub ready: Duration,
    /// For the client to take what is written; each response as a whole may take twice that.
    pub write: Duration,
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
    /// When the socket stopped taking what is written.
    full_since: Option<Instant>,
    /// When the next period of unsent responses begins.
    next_period: Option<Instant>,
    /// Requests seen at the last look.
    begun: u64,
    timer: Pin<Box<Sleep>>,
    /// The timer runs and will wake this connection's task.
    is_armed: bool,
    parking: Parking,
}

/// How far a connection is that waits for its next request ([`parking`](super::parking)).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parking {
    /// It can be served at once.
    Ready,
    /// The timer has said that it is time to park.
    Due,
    /// It has been told the end of its stream.
    Parked,
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
            full_since: None,
            next_period: None,
            begun: 0,
            timer: Box::pin(sleep_until(deadline)),
            is_armed: false,
            parking: Parking::Ready,
        }
    }

    /// Whether it waits for its next request, and nobody serves it.
    pub fn is_parked(&self) -> bool {
        self.parking == Parking::Parked
    }

    /// Waits until a parked connection has something to read; `false` if it has to end before.
    pub async fn resumes(&mut self, drain: &Drain) -> bool {
        self.parking = Parking::Ready;
        self.is_armed = false;
        tokio::select! {
            biased;
            readable = self.stream.readable() => readable.is_ok(),
            () = drain.stopping() => self.has_unread(),
            () = self.activity.closing() => false,
            () = sleep_until(self.deadline) => false,
        }
    }

    /// When it is parked if nothing comes, unless it is time already.
    fn parks_at(&self, is_busy: bool) -> Option<Instant> {
        let waits = self.parking == Parking::Ready
            && self.wait == Wait::Next
            && !is_busy
            && !self.owes_response;
        waits.then(|| self.deadline - self.patience.idle + self.patience.ready)
    }

    /// Whether it has waited long enough, if the timer has said so and no request came since.
    fn may_park(&mut self, is_busy: bool) -> bool {
        if self.parking != Parking::Due {
            return false;
        }
        self.parking = Parking::Ready;
        self.parks_at(is_busy).is_some_and(|time| time <= Instant::now())
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
            let now = Instant::now();
            self.activity.waits_from(now);
            self.activity.ended.store(begun, Ordering::Relaxed);
            self.deadline = now + self.patience.idle;
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
        let limit = self.limit(is_busy).into_iter().chain(self.parks_at(is_busy)).min();
        if let Some(limit) = limit.filter(|limit| self.timer.deadline() > *limit) {
            self.timer.as_mut().reset(limit);
            self.is_armed = false;
        }
        // Only this connection's task polls the timer, so a timer that runs knows whom to wake.
        if self.is_armed && !self.timer.is_elapsed() {
            return false;
        }
        self.is_armed = true;
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if self.next_period.is_some_and(|next| next <= now) {
                self.next_period = None;
                if self.activity.turn_period() {
                    return true;
                }
            }
            let mut next = match self.limit(is_busy) {
                Some(limit) if limit <= now => return true,
                Some(limit) => limit,
                None => now + self.patience.header,
            };
            match self.parks_at(is_busy) {
                Some(time) if time <= now => {
                    // The socket is asked again at once.
                    self.parking = Parking::Due;
                    cx.waker().wake_by_ref();
                }
                Some(time) => next = next.min(time),
                None => {}
            }
            self.timer.as_mut().reset(next);
        }
        false
    }

    /// When to look again at the latest, and to give the client up unless only a period ends.
    fn limit(&mut self, is_busy: bool) -> Option<Instant> {
        let mut limit = (!is_busy).then_some(self.deadline);
        let mut also = |other: Instant| limit = Some(limit.map_or(other, |limit| limit.min(other)));
        if let Some(since) = self.full_since {
            also(since + self.patience.write);
        }
        if self.next_period.is_some() || self.activity.has_unsent() {
            let period = self.patience.write;
            also(*self.next_period.get_or_insert_with(|| Instant::now() + period));
        }
        limit
    }

    /// Turns waiting for room in the socket into an error when it has lasted too long.
    fn or_full<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_pending() {
            self.full_since.get_or_insert_with(Instant::now);
            if self.activity.must_close() && !self.is_busy() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        self.or_late(cx, poll)
    }

    /// Whether the server stops, and this connection waits for a request over HTTP/1.
    ///
    /// One that has just been accepted is given some time: its request is on the way.
    fn must_end(&mut self, is_busy: bool) -> bool {
        if is_busy {
            return false;
        }
        if self.activity.must_close() {
            return true;
        }
        if self.owes_response || !self.activity.phase.is_stopping() {
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
        if this.is_parked() {
            return Poll::Ready(Ok(()));
        }
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
        if poll.is_pending() && this.may_park(is_busy) {
            this.parking = Parking::Parked;
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
        this.or_full(cx, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.or_full(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes after each response but need not read again, and the time for the next
        // request starts here.
        let this = self.get_mut();
        // Whoever flushes has written all of it.
        this.full_since = None;
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
            } else if this.parks_at(false).is_some_and(|time| time < this.timer.deadline()) {
                // Sets the timer; it cannot be late now.
                let _ = this.is_late(cx);
            }
        }
        poll
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_parked() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
