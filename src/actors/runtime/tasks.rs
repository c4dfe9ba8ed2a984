//! Tasks of an actor: what takes long is not done in its handler, and however it ends the actor is
//! told, so that no flag of its state stays set.

use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorRef, Message};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::metrics::ActorStats;

/// The tasks of one incarnation of an actor.
pub struct Tasks<M: Message> {
    actor: ActorRef<M>,
    stats: Arc<ActorStats>,
    tracker: TaskTracker,
}

impl<M: Message> Tasks<M> {
    /// None yet.
    pub fn of(actor: &ActorRef<M>, stats: &Arc<ActorStats>) -> Self {
        let (actor, stats) = (actor.clone(), Arc::clone(stats));
        Self { actor, stats, tracker: TaskTracker::new() }
    }

    /// Does `work` beside the actor, which gets the message that `ended` makes of its result; of
    /// `None` if it panicked or was dropped.
    ///
    /// Reply ports that the work owns are dropped with it, which tells their callers.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        ended: impl FnOnce(Option<T>) -> M + Send + 'static,
    ) {
        let report = Report {
            actor: self.actor.clone(),
            stats: Arc::clone(&self.stats),
            ended: Some(ended),
            result: None,
        };
        self.tracker.spawn(async move {
            // The whole of it is the task's, so that it is dropped with the task.
            let mut report = report;
            assert!(!report.stats.takes_task_fault(), "a task was told to crash");
            report.result = Some(work.await);
        });
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Waits until all have ended, but not longer than this; tells whether they have.
    pub async fn end_within(&self, limit: Duration) -> bool {
        self.tracker.close();
        timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

/// Tells the actor when it is dropped.
struct Report<M: Message, T, F: FnOnce(Option<T>) -> M> {
    actor: ActorRef<M>,
    stats: Arc<ActorStats>,
    ended: Option<F>,
    result: Option<T>,
}

impl<M: Message, T, F: FnOnce(Option<T>) -> M> Drop for Report<M, T, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stats.task_panics.increment();
        }
        if let Some(ended) = self.ended.take() {
            // An actor that was restarted has tasks of its own.
            let _ = self.actor.send_message(ended(self.result.take()));
        }
    }
}
