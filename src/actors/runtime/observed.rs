//! Counts and times what an actor handles, whatever actor it is.

use std::sync::Arc;
use std::time::Instant;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::handle::MessageOrigin;
use crate::metrics::{ActorStats, Queue};

/// An actor under observation: itself in every respect.
pub struct Observed<A> {
    actor: A,
    stats: Arc<ActorStats>,
    queue: Arc<Queue>,
}

impl<A> Observed<A> {
    /// Keeps the metrics of `actor` in `stats` and those of this incarnation's mailbox in `queue`.
    pub fn new(actor: A, stats: Arc<ActorStats>, queue: Arc<Queue>) -> Self {
        Self { actor, stats, queue }
    }
}

impl<A: Actor> Actor for Observed<A>
where
    A::Msg: MessageOrigin,
{
    type Msg = A::Msg;
    type State = A::State;
    type Arguments = A::Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<A::Msg>,
        args: A::Arguments,
    ) -> Result<A::State, ActorProcessingErr> {
        self.actor.pre_start(myself, args).await
    }

    async fn post_start(
        &self,
        myself: ActorRef<A::Msg>,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        self.actor.post_start(myself, state).await
    }

    async fn post_stop(
        &self,
        myself: ActorRef<A::Msg>,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        self.actor.post_stop(myself, state).await
    }

    async fn handle(
        &self,
        myself: ActorRef<A::Msg>,
        message: A::Msg,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        if message.is_from_caller() {
            self.queue.take();
        }
        let started = Instant::now();
        let handled = self.actor.handle(myself, message, state).await;
        self.stats.handler.record_time(started.elapsed());
        handled
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<A::Msg>,
        event: SupervisionEvent,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        self.actor.handle_supervisor_evt(myself, event, state).await
    }
}
