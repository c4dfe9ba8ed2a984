//! How callers reach an actor that may be restarted under them.
//!
//! A [`Slot`] holds the live `ActorRef`; the supervisor's start function fills it at every start.
//! A [`Handle`] adds what every caller needs: a bound on requests in flight, a deadline, one retry
//! when the actor died with the request, and [`AuthError::Unavailable`] for everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ractor::concurrency::oneshot;
use ractor::{ActorRef, ActorStatus, Message, RpcReplyPort};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::domain::error::AuthError;

/// Messages that an actor handles by panicking, so that fault tests can prove a restart harmless.
pub trait Crash {
    /// The message that makes the handler panic.
    fn crash() -> Self;
}

/// The place where the live incarnation of one actor is found.
pub struct Slot<M: Message> {
    live: ArcSwapOption<ActorRef<M>>,
    incarnation: watch::Sender<u64>,
}

impl<M: Message> Default for Slot<M> {
    fn default() -> Self {
        Self { live: ArcSwapOption::empty(), incarnation: watch::Sender::new(0) }
    }
}

impl<M: Message> Slot<M> {
    /// Publishes a new incarnation and wakes callers that wait for one.
    pub fn fill(&self, actor: ActorRef<M>) {
        self.live.store(Some(Arc::new(actor)));
        self.incarnation.send_modify(|n| *n += 1);
    }

    /// The live incarnation, if it takes messages.
    pub fn get(&self) -> Option<Arc<ActorRef<M>>> {
        self.live.load_full().filter(|actor| is_up(actor))
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
    in_flight: AtomicUsize,
    max_in_flight: usize,
    call_timeout: Duration,
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
        let in_flight = AtomicUsize::new(0);
        Self { shared: Arc::new(Shared { what, slot, in_flight, max_in_flight, call_timeout }) }
    }

    /// Requests that were sent and not answered yet.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// Sends a message without an answer; a hint that may be lost when the actor restarts.
    pub fn cast(&self, message: M) {
        if let Some(actor) = self.shared.slot.get() {
            // A dying actor is replaced and finds its work in Postgres.
            let _ = actor.send_message(message);
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// The request may reach two incarnations of the actor, so it must be safe to meet twice.
    pub async fn call<R: Send + 'static>(
        &self,
        request: impl Fn(RpcReplyPort<R>) -> M + Send,
    ) -> Result<R, AuthError> {
        let shared = &*self.shared;
        let _admitted = Admitted::take(&shared.in_flight, shared.max_in_flight)
            .ok_or(AuthError::unavailable(shared.what))?;
        let deadline = Instant::now() + shared.call_timeout;
        match timeout_at(deadline, Self::call_live(shared, request)).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
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
            if let Some(actor) = shared.slot.get() {
                let (reply, answer) = oneshot();
                let sent = actor.send_message(request(reply.into())).is_ok();
                drop(actor);
                if sent && let Ok(answer) = answer.await {
                    return Ok(answer);
                }
            }
            if attempt == 0 && incarnation.changed().await.is_err() {
                break;
            }
        }
        Err(AuthError::unavailable(shared.what))
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
            actor.kill();
        }
    }
}

/// One place among the requests in flight, given back on drop.
struct Admitted<'a>(&'a AtomicUsize);

impl<'a> Admitted<'a> {
    fn take(counter: &'a AtomicUsize, max: usize) -> Option<Self> {
        let before = counter.fetch_add(1, Ordering::Relaxed);
        let admitted = Self(counter);
        (before < max).then_some(admitted)
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
