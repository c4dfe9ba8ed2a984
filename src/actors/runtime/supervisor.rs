//! Restarts actors that fail, and gives up when they fail too often.
//!
//! - Owns: one level of the tree, one for one; a child may itself be a supervisor.
//! - A child that ends for whatever reason is started again after a back-off that doubles with each
//!   failure and is forgotten once the child has lived for a whole window.
//! - More than `max_restarts` in `window` (over all vital children of this supervisor): "escalation". The
//!   supervisor fails, which its own supervisor sees. The root says so and stops restarting, while
//!   the children that still run finish what the process has in flight.
//! - On stop: children finish their mailboxes and clean up before this actor is gone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handle::{MessageOrigin, Slot};
use super::observed::Observed;
use crate::config::ActorsConfig;
use crate::metrics::{ActorStats, Queue};

/// How long a stopping supervisor waits for its children.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// When to restart and when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Restarts allowed in `window`; one more escalates.
    pub max_restarts: u32,
    pub window: Duration,
    /// Delay of the first restart, doubled at each further failure.
    pub backoff_min: Duration,
    pub backoff_max: Duration,
}

impl ActorsConfig {
    /// The policy that the settings ask for.
    pub fn restart_policy(&self) -> RestartPolicy {
        RestartPolicy {
            max_restarts: self.max_restarts,
            window: self.restart_window,
            backoff_min: self.backoff_min,
            backoff_max: self.backoff_max,
        }
    }
}

/// The policy in force, which may be changed while the tree runs; cheap to clone.
#[derive(Clone, Debug)]
pub struct LivePolicy(Arc<ArcSwap<RestartPolicy>>);

impl From<RestartPolicy> for LivePolicy {
    fn from(policy: RestartPolicy) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(policy)))
    }
}

impl LivePolicy {
    /// As of now.
    pub fn get(&self) -> RestartPolicy {
        **self.0.load()
    }

    /// Counts from the next failure on.
    pub fn set(&self, policy: RestartPolicy) {
        self.0.store(Arc::new(policy));
    }
}

/// Starts one incarnation of a child, linked to the given supervisor.
pub type StartChild =
    Box<dyn Fn(ActorCell) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync>;

/// What the node is without a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criticality {
    /// Not ready; a child that fails too often takes its supervisor with it, and at the root the process.
    Vital,
    /// Ready and degraded: the child is started again and again, and those who watch are told.
    Degrading,
}

/// A child of a supervisor.
pub struct ChildSpec {
    pub name: String,
    pub start: StartChild,
    pub criticality: Criticality,
    /// The metrics that the child keeps about itself.
    pub stats: Option<Arc<ActorStats>>,
    /// The policy that the child has for its own children, if it is a supervisor.
    pub policy: Option<LivePolicy>,
}

impl ChildSpec {
    /// A child that is started by `start`.
    pub fn new<F, Fut>(name: impl Into<String>, start: F) -> Self
    where
        F: Fn(ActorCell) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ActorCell, SpawnErr>> + Send + 'static,
    {
        Self {
            name: name.into(),
            start: Box::new(move |supervisor| Box::pin(start(supervisor))),
            criticality: Criticality::Vital,
            stats: None,
            policy: None,
        }
    }

    /// The same child, of this criticality; without it a child is vital.
    #[must_use]
    pub fn with(self, criticality: Criticality) -> Self {
        Self { criticality, ..self }
    }

    /// An actor that fills `slot` with each of its incarnations.
    pub fn actor<A: Actor>(
        name: impl Into<String>,
        slot: &Arc<Slot<A::Msg>>,
        actor: fn() -> A,
        args: impl Fn() -> A::Arguments + Send + Sync + 'static,
    ) -> Self
    where
        A::Msg: MessageOrigin,
    {
        let slot = Arc::clone(slot);
        let stats = Arc::clone(slot.stats());
        let spec = Self::new(name, move |supervisor| {
            let (slot, args) = (Arc::clone(&slot), args());
            async move {
                let queue: Arc<Queue> = Arc::default();
                let actor = Observed::new(actor(), Arc::clone(slot.stats()), Arc::clone(&queue));
                let (child, _join) = Actor::spawn_linked(None, actor, args, supervisor).await?;
                slot.fill(child.clone(), queue);
                Ok(child.get_cell())
            }
        });
        Self { stats: Some(stats), ..spec }
    }

    /// A child that is itself a supervisor, with children that `children` describes anew at each start.
    pub fn supervisor(
        name: impl Into<String>,
        policy: LivePolicy,
        tree: TreeView,
        children: impl Fn() -> Vec<Self> + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        let path = name.clone();
        let own = policy.clone();
        let spec = Self::new(name, move |supervisor| {
            let args = SupervisorArgs {
                path: path.clone(),
                policy: policy.clone(),
                tree: tree.clone(),
                children: children(),
                gave_up: None,
            };
            async move {
                let (actor, _join) =
                    Actor::spawn_linked(None, Supervisor, args, supervisor).await?;
                Ok(actor.get_cell())
            }
        });
        Self { policy: Some(own), ..spec }
    }
}

/// What a child is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    Running,
    BackingOff,
}

/// One line of the supervision view.
#[derive(Clone, Debug)]
pub struct ChildStatus {
    pub state: ChildState,
    pub criticality: Criticality,
    /// When its present incarnation started.
    pub started_at: Instant,
    /// Restarts since the process started.
    pub restarts: u64,
    /// When it failed lately, oldest first; no further back than the window at its last failure.
    pub recent: VecDeque<Instant>,
    pub last_failure: Option<Failure>,
    /// The metrics that it keeps about itself; a supervisor keeps none.
    pub stats: Option<Arc<ActorStats>>,
    /// The policy that it has for its own children, if it is a supervisor.
    pub policy: Option<LivePolicy>,
    /// Its place in the order of first starts, which is that of the tree.
    position: usize,
}

impl ChildStatus {
    /// Failures in the last `window`.
    pub fn failures_in(&self, window: Duration) -> usize {
        let now = Instant::now();
        self.recent.iter().filter(|at| now - **at <= window).count()
    }
}

/// Why a child ended, and when.
#[derive(Clone, Debug)]
pub struct Failure {
    pub reason: String,
    pub at: Instant,
}

/// The state of every actor, readable without asking an actor.
#[derive(Clone, Debug, Default)]
pub struct TreeView {
    children: Arc<Mutex<HashMap<String, ChildStatus>>>,
}

impl TreeView {
    /// Name and status of every child, sorted by name.
    pub fn list(&self) -> Vec<(String, ChildStatus)> {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> =
            children.iter().map(|(name, status)| (name.clone(), status.clone())).collect();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    }

    /// Whether every vital actor is running.
    pub fn is_standing(&self) -> bool {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = |child: &ChildStatus| {
            child.state == ChildState::Running || child.criticality == Criticality::Degrading
        };
        !children.is_empty() && children.values().all(stands)
    }

    /// The actors without which the node goes on, and which do not run or fail more often than
    /// `policy` allows.
    pub fn degraded(&self, policy: RestartPolicy) -> Vec<String> {
        let is_degraded = |child: &ChildStatus| {
            child.criticality == Criticality::Degrading
                && (child.state != ChildState::Running
                    || child.failures_in(policy.window) > policy.max_restarts as usize)
        };
        let list = self.list().into_iter();
        list.filter(|(_, child)| is_degraded(child)).map(|(name, _)| name).collect()
    }

    /// Name and status of every child, in the order in which the tree was started.
    pub fn in_order(&self) -> Vec<(String, ChildStatus)> {
        let mut list = self.list();
        list.sort_by_key(|(_, child)| child.position);
        list
    }

    fn running(&self, name: String, spec: &ChildSpec) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let position = children.len();
        let child = children.entry(name).or_insert_with(|| ChildStatus {
            state: ChildState::Running,
            criticality: spec.criticality,
            started_at: Instant::now(),
            restarts: 0,
            recent: VecDeque::new(),
            last_failure: None,
            stats: spec.stats.clone(),
            policy: spec.policy.clone(),
            position,
        });
        child.state = ChildState::Running;
        child.started_at = Instant::now();
    }

    fn failed(&self, name: &str, reason: &str, window: Duration) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = children.get_mut(name) {
            let at = Instant::now();
            child.state = ChildState::BackingOff;
            child.restarts += 1;
            child.recent.push_back(at);
            while child.recent.front().is_some_and(|first| at - *first > window) {
                child.recent.pop_front();
            }
            child.last_failure = Some(Failure { reason: reason.to_owned(), at });
        }
    }
}

/// A supervisor's messages; only it sends them to itself.
pub enum SupervisorMsg {
    /// The back-off of this child is over.
    Start(usize),
}

/// The actor.
pub struct Supervisor;

/// What a supervisor looks after.
pub struct SupervisorArgs {
    /// Its name in the view, put before its children's names; empty at the root.
    pub path: String,
    pub policy: LivePolicy,
    pub tree: TreeView,
    pub children: Vec<ChildSpec>,
    /// At the root: cancelled at escalation, for whoever ends the process then.
    pub gave_up: Option<CancellationToken>,
}

/// Which children live, and how often they failed.
pub struct SupervisorState {
    args: SupervisorArgs,
    live: HashMap<ActorId, usize>,
    started_at: Vec<Instant>,
    failures: Vec<u32>,
    restarts: VecDeque<Instant>,
}

impl Actor for Supervisor {
    type Msg = SupervisorMsg;
    type State = SupervisorState;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMsg>,
        args: SupervisorArgs,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let count = args.children.len();
        let mut state = SupervisorState {
            args,
            live: HashMap::with_capacity(count),
            started_at: vec![Instant::now(); count],
            failures: vec![0; count],
            restarts: VecDeque::new(),
        };
        for index in 0..count {
            state.start(&myself, index).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        message: SupervisorMsg,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let SupervisorMsg::Start(index) = message;
        if let Err(error) = state.start(&myself, index).await {
            state.on_failure(&myself, index, &error.to_string())?;
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let (child, reason) = match event {
            SupervisionEvent::ActorFailed(child, error) => (child, error.to_string()),
            SupervisionEvent::ActorTerminated(child, _, reason) => {
                (child, reason.unwrap_or_else(|| "it stopped".to_owned()))
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {
                return Ok(());
            }
        };
        // A child that failed in `pre_start` was never in the map: `start` has reported it.
        match state.live.remove(&child.get_id()) {
            Some(index) => state.on_failure(&myself, index, &reason),
            None => Ok(()),
        }
    }

    async fn post_stop(
        &self,
        myself: ActorRef<SupervisorMsg>,
        _state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        myself.drain_children_and_wait(Some(DRAIN_TIMEOUT)).await;
        Ok(())
    }
}

impl SupervisorState {
    async fn start(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        index: usize,
    ) -> Result<(), SpawnErr> {
        let child = (self.args.children[index].start)(myself.get_cell()).await?;
        self.live.insert(child.get_id(), index);
        self.started_at[index] = Instant::now();
        self.args.tree.running(self.child_path(index), &self.args.children[index]);
        Ok(())
    }

    /// Schedules the restart, or fails this supervisor.
    fn on_failure(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        index: usize,
        reason: &str,
    ) -> Result<(), ActorProcessingErr> {
        let policy = self.args.policy.get();
        let now = Instant::now();
        let path = self.child_path(index);
        self.args.tree.failed(&path, reason, policy.window);
        if self.args.gave_up.as_ref().is_some_and(CancellationToken::is_cancelled) {
            return Ok(());
        }

        if self.args.children[index].criticality == Criticality::Vital {
            self.restarts.push_back(now);
        }
        while self.restarts.front().is_some_and(|at| now - *at > policy.window) {
            self.restarts.pop_front();
        }
        if self.restarts.len() > policy.max_restarts as usize {
            tracing::error!(
                actor = path,
                reason,
                max_restarts = policy.max_restarts,
                window_s = policy.window.as_secs(),
                "actor failed too often, giving up"
            );
            if let Some(gave_up) = &self.args.gave_up {
                gave_up.cancel();
                return Ok(());
            }
            return Err(format!("{path} failed too often: {reason}").into());
        }

        if now - self.started_at[index] > policy.window {
            self.failures[index] = 0;
        }
        let delay = backoff(policy, self.failures[index]);
        self.failures[index] = self.failures[index].saturating_add(1);
        tracing::error!(
            actor = path,
            reason,
            restart_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            "actor ended, restarting it"
        );
        myself.send_after(delay, move || SupervisorMsg::Start(index));
        Ok(())
    }

    fn child_path(&self, index: usize) -> String {
        let name = &self.args.children[index].name;
        if self.args.path.is_empty() { name.clone() } else { format!("{}/{name}", self.args.path) }
    }
}

/// `backoff_min` doubled `failures` times, at most `backoff_max`.
fn backoff(policy: RestartPolicy, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    policy.backoff_min.saturating_mul(factor).min(policy.backoff_max)
}

#[cfg(test)]
mod tests;
