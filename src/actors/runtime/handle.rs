//! How callers reach an actor that may be restarted under them.
//!
//! A [`Slot`] holds the live `ActorRef`; the supervisor's start function fills it at every start.
//! A [`Handle`] adds what every caller needs: a bound on requests in flight, a deadline, one retry
//! when the actor died with the request, and [`AuthError::Unavailable`] for everything else.
//!
//! Both keep the metrics of the actor ([`ActorStats`]), which outlive its incarnations.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ractor::concurrency::oneshot;
use ractor::{ActorRef, ActorStatus, Message, RpcReplyPort};
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout, timeout_at};
use tracing::Instrument as _;

use crate::config::Config;
use crate::domain::error::AuthError;
use crate::metrics::{ActorStats, Queue};

/// Messages that an actor handles by panicking, so that fault tests can prove a restart harmless.
pub trait Crash {
    /// The message that makes the handler panic.
    fn crash() -> Self;
}

/// What the view of the tree needs to know of messages.
pub trait MessageOrigin {
    /// Whether a caller sent it through a handle, and not the actor (or a task of its) to itself.
    fn is_from_caller(&self) -> bool;
}

/// How many calls of an actor may be in flight before its callers are refused, and how long one takes.
pub trait CallBound {
    /// By default `AUTH_ACTOR_MAX_IN_FLIGHT`.
    fn max_in_flight(config: &Config) -> usize {
        config.actors.max_in_flight
    }

    /// By default `AUTH_ACTOR_CALL_TIMEOUT`.
    fn call_timeout(config: &Config) -> Duration {
        config.actors.call_timeout
    }
}

/// The place where the live incarnation of one actor is found.
pub struct Slot<M: Message> {
    live: ArcSwapOption<Incarnation<M>>,
    incarnation: watch::Sender<u64>,
    stats: Arc<ActorStats>,
}

/// An actor from its start to its end, and what waits for it.
pub struct Incarnation<M: Message> {
    actor: ActorRef<M>,
    queue: Arc<Queue>,
}

impl<M: Message> Incarnation<M> {
    /// The actor itself.
    pub fn actor(&self) -> &ActorRef<M> {
        &self.actor
    }

    /// Sends, unless the actor has ended.
    fn send(&self, message: M) -> bool {
        self.queue.put();
        let sent = self.actor.send_message(message).is_ok();
        if !sent {
            self.queue.take();
        }
        sent
    }
}

impl<M: Message> Default for Slot<M> {
    fn default() -> Self {
        Self {
            live: ArcSwapOption::empty(),
            incarnation: watch::Sender::new(0),
            stats: Arc::default(),
        }
    }
}

impl<M: Message> Slot<M> {
    /// Publishes a new incarnation and wakes callers that wait for one.
    pub fn fill(&self, actor: ActorRef<M>, queue: Arc<Queue>) {
        self.stats.use_queue(Arc::clone(&queue));
        self.live.store(Some(Arc::new(Incarnation { actor, queue })));
        self.incarnation.send_modify(|n| *n += 1);
    }

    /// The metrics of the actor.
    pub fn stats(&self) -> &Arc<ActorStats> {
        &self.stats
    }

    /// The live incarnation, if it takes messages.
    pub fn get(&self) -> Option<Arc<Incarnation<M>>> {
        self.live.load_full().filter(|live| is_up(&live.actor))
    }
}

fn is_up<M: Message>(actor: &ActorRef<M>) -> bool {
    matches!(
        actor.get_status(),
        ActorStatus::Starting | ActorStatus::Running | ActorStatus::Upgrading
    )
}

/// A typed, cloneable way to call one actor.
pub struct Handle<M: Message> {
    shared: Arc<Shared<M>>,
}

struct Shared<M: Message> {
    what: &'static str,
    slot: Arc<Slot<M>>,
    call_timeout_ns: AtomicU64,
}

impl<M: Message> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M: Message> Handle<M> {
    /// A handle to whatever fills `slot`; `what` names the actor in errors and logs.
    pub fn new(
        what: &'static str,
        slot: Arc<Slot<M>>,
        max_in_flight: usize,
        call_timeout: Duration,
    ) -> Self {
        let call_timeout_ns = AtomicU64::new(0);
        let handle = Self { shared: Arc::new(Shared { what, slot, call_timeout_ns }) };
        handle.set_bounds(max_in_flight, call_timeout);
        handle
    }

    /// Changes bound and deadline for calls from now on.
    fn set_bounds(&self, max_in_flight: usize, call_timeout: Duration) {
        let nanos = u64::try_from(call_timeout.as_nanos()).unwrap_or(u64::MAX);
        self.shared.call_timeout_ns.store(nanos, Ordering::Relaxed);
        self.stats().set_limit(max_in_flight);
    }

    /// The metrics of the actor.
    pub fn stats(&self) -> &Arc<ActorStats> {
        self.shared.slot.stats()
    }

    /// Requests that were sent and have no reply yet.
    pub fn in_flight(&self) -> usize {
        self.stats().in_flight.load(Ordering::Relaxed)
    }

    /// Sends a message that has no reply; a hint that may be lost when the actor restarts.
    pub fn cast(&self, message: M) {
        if let Some(actor) = self.shared.slot.get() {
            // A dying actor is replaced and finds its work in Postgres.
            actor.send(message);
        }
    }

    /// Sends a request and waits for its reply. A reply port that the actor drops without a word is
    /// an error at once.
    ///
    /// The request may reach two incarnations of the actor, so it must be safe to meet twice.
    pub async fn call<R: Send + 'static>(
        &self,
        request: impl Fn(RpcReplyPort<R>) -> M + Send,
    ) -> Result<R, AuthError> {
        let stats = self.stats();
        let admitted = Admitted::take(stats).ok_or_else(|| {
            stats.refused.increment();
            AuthError::unavailable(self.shared.what)
        })?;
        self.call_admitted(admitted, request).await
    }

    /// The same for an actor that keeps to its bound itself, because it looks at whose a request is:
    /// refused here, those of one client would keep all others out.
    pub async fn call_beyond_bound<R: Send + 'static>(
        &self,
        request: impl Fn(RpcReplyPort<R>) -> M + Send,
    ) -> Result<R, AuthError> {
        self.call_admitted(Admitted::count(self.stats()), request).await
    }

    async fn call_admitted<R: Send + 'static>(
        &self,
        _admitted: Admitted<'_>,
        request: impl Fn(RpcReplyPort<R>) -> M + Send,
    ) -> Result<R, AuthError> {
        let (shared, stats) = (&*self.shared, self.stats());
        let timeout = Duration::from_nanos(shared.call_timeout_ns.load(Ordering::Relaxed));
        let deadline = Instant::now() + timeout;
        let span = tracing::info_span!("actor call", otel.name = shared.what);
        let reply = pin!(Self::call_live(shared, request).instrument(span));
        match timeout_at(deadline, reply).await {
            Ok(response) => response,
            Err(_elapsed) => {
                stats.timed_out.increment();
                tracing::warn!(actor = shared.what, "actor missed its deadline");
                Err(AuthError::unavailable(shared.what))
            }
        }
    }

    /// One attempt, and a second one if the actor died with the first.
    async fn call_live<R: Send + 'static>(
        shared: &Shared<M>,
        request: impl Fn(RpcReplyPort<R>) -> M + Send,
    ) -> Result<R, AuthError> {
        let mut incarnation = shared.slot.incarnation.subscribe();
        for attempt in 0..2 {
            let live = shared.slot.get();
            if let Some(actor) = &live {
                let (reply, response) = oneshot();
                let sent = actor.send(request(reply.into()));
                if sent && let Ok(response) = response.await {
                    return Ok(response);
                }
            }
            if attempt == 0 {
                if let Some(live) = live
                    && outlives_its_reply(&live.actor).await
                {
                    tracing::warn!(actor = shared.what, "an actor dropped a request");
                    break;
                }
                if incarnation.changed().await.is_err() {
                    break;
                }
            }
        }
        Err(AuthError::unavailable(shared.what))
    }
}

/// Whether an actor that dropped a request lives on: the request met something that will not do
/// better a second time. An actor that panics drops it a moment before it is seen to have ended.
async fn outlives_its_reply<M: Message>(actor: &ActorRef<M>) -> bool {
    const DYING: Duration = Duration::from_millis(100);
    let gone = async {
        let mut looks = interval(Duration::from_millis(2));
        while is_up(actor) {
            looks.tick().await;
        }
    };
    timeout(DYING, gone).await.is_err()
}

impl<M: Message + CallBound> Handle<M> {
    /// A handle with bound and deadline of the configuration.
    pub fn configured(what: &'static str, slot: Arc<Slot<M>>, config: &Config) -> Self {
        Self::new(what, slot, M::max_in_flight(config), M::call_timeout(config))
    }

    /// Takes over what the configuration says now.
    pub fn tune(&self, config: &Config) {
        self.set_bounds(M::max_in_flight(config), M::call_timeout(config));
    }
}

impl<M: Message + Crash> Handle<M> {
    /// Makes the actor panic (fault tests).
    pub fn crash(&self) {
        self.cast(M::crash());
    }
}

impl<M: Message> Handle<M> {
    /// Kills the actor without letting it clean up (fault tests).
    pub fn kill(&self) {
        if let Some(actor) = self.shared.slot.get() {
            actor.actor.kill();
        }
    }
}

/// One place among the requests in flight, given back on drop.
struct Admitted<'a>(&'a AtomicUsize);

impl<'a> Admitted<'a> {
    /// One more, however many there are.
    fn count(stats: &'a ActorStats) -> Self {
        stats.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(&stats.in_flight)
    }

    fn take(stats: &'a ActorStats) -> Option<Self> {
        let before = stats.in_flight.fetch_add(1, Ordering::Relaxed);
        let admitted = Self(&stats.in_flight);
        stats.limit().is_none_or(|limit| before < limit).then_some(admitted)
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
