//! Hashes and verifies passwords without letting them take the whole machine.
//!
//! - Owns: how many hashes run at once, how many may wait, and whose turn it is: client networks
//!   share the places (`fair_queue.rs`), so that nobody's burst keeps others from signing in.
//! - Caches: nothing.
//! - Writes through: nothing; the flows store what it returns.
//! - On restart: waiting jobs fail at once and are sent again by their handle; running ones still
//!   reply.
//! - Throttles: while threads that serve wait for a core, it pauses between hashes
//!   (`hash_throttle.rs`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use secrecy::SecretString;
use tokio_util::task::TaskTracker;

use super::HASH_THREADS;
use super::fair_queue::FairQueue;
use super::hash_throttle::{HashThrottle, Load};
use super::run_queue::RunQueue;
use crate::actors::parts::Parts;
use crate::actors::runtime::handle::{CallBound, Crash, Handle, MessageOrigin, Slot};
use crate::actors::runtime::supervisor::ChildSpec;
use crate::actors::sessions::session_shard;
use crate::config::Config;
use crate::domain::client_network::ClientNetwork;
use crate::domain::error::AuthError;
use crate::metrics::ActorStats;
use crate::passwords::{PasswordSettings, VerifyOutcome};
use crate::threads::Threads;

/// Messages of the password hasher.
pub enum PasswordHasherMsg {
    /// Hash a new password, for a client of this network.
    Hash {
        client: ClientNetwork,
        password: SecretString,
        reply: RpcReplyPort<Result<String, AuthError>>,
    },
    /// Compare a password with a stored hash, or with nothing at the same cost.
    Verify {
        client: ClientNetwork,
        password: SecretString,
        stored: Option<SecretString>,
        reply: RpcReplyPort<Result<VerifyOutcome, AuthError>>,
    },
    /// A job has ended.
    Finished,
    /// Jobs may begin again.
    PauseOver,
    /// Panic.
    Crash,
}

impl MessageOrigin for PasswordHasherMsg {
    fn is_from_caller(&self) -> bool {
        !matches!(self, Self::Finished | Self::PauseOver)
    }
}

impl Crash for PasswordHasherMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

impl CallBound for PasswordHasherMsg {
    fn max_in_flight(config: &Config) -> usize {
        config.passwords.max_in_flight()
    }
}

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Handle<PasswordHasherMsg>, ChildSpec) {
    let slot: Arc<Slot<PasswordHasherMsg>> = Arc::default();
    let config = Arc::clone(&parts.config);
    let limits = Arc::new(move || {
        let config = config.load();
        let passwords = &config.passwords;
        HashLimits {
            threads: passwords.threads,
            queue: passwords.queue,
            least_share: passwords.least_share,
        }
    });
    let (shards, run_queue) = (Arc::clone(&parts.shards), Mutex::<RunQueue>::default());
    let args = PasswordHasherArgs {
        settings: parts.passwords.clone(),
        limits,
        load: Arc::new(move || Load {
            rotated: session_shard::rotated(&shards),
            threads: run_queue.lock().unwrap_or_else(PoisonError::into_inner).times(Instant::now()),
        }),
        stats: Arc::clone(slot.stats()),
    };
    let child = ChildSpec::actor("password_hasher", &slot, || PasswordHasher, move || args.clone());
    (Handle::configured("password hasher", slot, &parts.config.load()), child)
}

/// The actor.
pub struct PasswordHasher;

/// What waits for a place.
enum Job {
    Hash(SecretString, RpcReplyPort<Result<String, AuthError>>),
    Verify(SecretString, Option<SecretString>, RpcReplyPort<Result<VerifyOutcome, AuthError>>),
}

impl Job {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Hash(_, reply) => reply.is_closed(),
            Self::Verify(_, _, reply) => reply.is_closed(),
        }
    }

    /// Blocks for the time of a hash. The caller may have given up.
    fn run(self, settings: &PasswordSettings) {
        match self {
            Self::Hash(password, reply) => {
                let _ = reply.send(survive(|| settings.hash(&password)));
            }
            Self::Verify(password, stored, reply) => {
                let _ = reply.send(survive(|| Ok(settings.verify(&password, stored.as_ref()))));
            }
        }
    }

    fn refuse(self) {
        let overloaded = AuthError::unavailable("password hasher");
        match self {
            Self::Hash(_, reply) => {
                let _ = reply.send(Err(overloaded));
            }
            Self::Verify(_, _, reply) => {
                let _ = reply.send(Err(overloaded));
            }
        }
    }
}

/// How much is hashed.
#[derive(Clone, Copy, Debug)]
pub struct HashLimits {
    /// Hashes at once.
    pub threads: usize,
    /// Hashes that may wait.
    pub queue: usize,
    /// The part of the time for which hashes may run in any case.
    pub least_share: f64,
}

/// What the hasher works with.
#[derive(Clone)]
pub struct PasswordHasherArgs {
    pub settings: PasswordSettings,
    /// Asked again for every job.
    pub limits: Arc<dyn Fn() -> HashLimits + Send + Sync>,
    /// What hashes are to leave alone.
    pub load: Arc<dyn Fn() -> Load + Send + Sync>,
    pub stats: Arc<ActorStats>,
}

/// What the throttle allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing runs, and anything may begin.
    Idle,
    /// Hashes run.
    Busy,
    /// Nothing runs, and nothing may begin.
    Paused,
}

/// Jobs that run and jobs that wait.
pub struct PasswordHasherState {
    args: PasswordHasherArgs,
    running: usize,
    waiting: FairQueue<Job>,
    throttle: HashThrottle,
    phase: Phase,
    threads: Threads,
    /// One for each job under way.
    tasks: TaskTracker,
}

impl Actor for PasswordHasher {
    type Msg = PasswordHasherMsg;
    type State = PasswordHasherState;
    type Arguments = PasswordHasherArgs;

    async fn pre_start(
        &self,
        _myself: ActorRef<PasswordHasherMsg>,
        args: PasswordHasherArgs,
    ) -> Result<PasswordHasherState, ActorProcessingErr> {
        let (waiting, tasks) = (FairQueue::default(), TaskTracker::new());
        let throttle = HashThrottle::new(Instant::now(), (args.load)());
        // A sign-in burst must not slow down those who have a session.
        // How many there may be is decided for each job, since it can change.
        let threads = Threads::giving_way(HASH_THREADS, usize::MAX);
        let (running, phase) = (0, Phase::Idle);
        Ok(PasswordHasherState { args, running, waiting, throttle, phase, threads, tasks })
    }

    async fn handle(
        &self,
        myself: ActorRef<PasswordHasherMsg>,
        message: PasswordHasherMsg,
        state: &mut PasswordHasherState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PasswordHasherMsg::Hash { client, password, reply } => {
                state.accept(&myself, client, Job::Hash(password, reply));
            }
            PasswordHasherMsg::Verify { client, password, stored, reply } => {
                state.accept(&myself, client, Job::Verify(password, stored, reply));
            }
            PasswordHasherMsg::Finished => state.finished(&myself),
            PasswordHasherMsg::PauseOver => state.resume(&myself),
            PasswordHasherMsg::Crash => panic!("the password hasher was told to crash"),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<PasswordHasherMsg>,
        state: &mut PasswordHasherState,
    ) -> Result<(), ActorProcessingErr> {
        state.tasks.close();
        state.tasks.wait().await;
        Ok(())
    }
}

impl PasswordHasherState {
    fn accept(&mut self, myself: &ActorRef<PasswordHasherMsg>, client: ClientNetwork, job: Job) {
        let limits = (self.args.limits)();
        if self.waiting.len() >= limits.queue {
            self.waiting.retain(|job| !job.is_abandoned());
        }
        // Those that wait were first, if there are more threads now than there were.
        self.start_waiting(myself, limits);
        if self.has_place(limits) {
            self.start(myself, job);
        } else if let Some(refused) = self.waiting.push(client, job, limits.queue) {
            self.args.stats.refused.increment();
            refused.refuse();
        }
    }

    fn finished(&mut self, myself: &ActorRef<PasswordHasherMsg>) {
        let limits = (self.args.limits)();
        self.running = self.running.saturating_sub(1);
        self.start_waiting(myself, limits);
        if self.running == 0 && self.phase == Phase::Busy {
            let load = (self.args.load)();
            let pause = self.throttle.ended(Instant::now(), load, limits.least_share);
            self.phase = Phase::Paused;
            if pause.is_zero() {
                self.resume(myself);
            } else {
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                self.args.stats.paused_ms.add(pause_ms);
                // Ends by itself, whether the actor is still there or not.
                drop(myself.send_after(pause, || PasswordHasherMsg::PauseOver));
            }
        }
    }

    fn resume(&mut self, myself: &ActorRef<PasswordHasherMsg>) {
        self.phase = Phase::Idle;
        self.start_waiting(myself, (self.args.limits)());
    }

    /// Whether a hash may begin now.
    fn has_place(&self, limits: HashLimits) -> bool {
        match self.phase {
            Phase::Idle => true,
            Phase::Busy => {
                let is_time = || self.throttle.is_time(Instant::now(), limits.least_share);
                self.running < limits.threads && !is_time()
            }
            Phase::Paused => false,
        }
    }

    fn start_waiting(&mut self, myself: &ActorRef<PasswordHasherMsg>, limits: HashLimits) {
        while self.has_place(limits)
            && let Some(job) = self.waiting.pop()
        {
            if !job.is_abandoned() {
                self.start(myself, job);
            }
        }
    }

    fn start(&mut self, myself: &ActorRef<PasswordHasherMsg>, job: Job) {
        if self.phase == Phase::Idle {
            self.throttle.began(Instant::now(), (self.args.load)());
            self.phase = Phase::Busy;
        }
        self.running += 1;
        let settings = self.args.settings.clone();
        let finished = Finished(myself.clone());
        let under_way = self.tasks.token();
        self.threads.run(move || {
            let _under_way = under_way;
            let _finished = finished;
            job.run(&settings);
        });
    }
}

/// Turns a panic into a reply: without one the caller would wait for its deadline.
fn survive<T>(work: impl FnOnce() -> Result<T, AuthError>) -> Result<T, AuthError> {
    // The settings are only read, so a panic leaves nothing half done.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_panic| {
        Err(AuthError::Internal { context: "password hasher panicked", source: None })
    })
}

/// Gives the place back, also when the job panics.
struct Finished(ActorRef<PasswordHasherMsg>);

impl Drop for Finished {
    fn drop(&mut self) {
        // A restarted hasher counts its own jobs.
        let _ = self.0.send_message(PasswordHasherMsg::Finished);
    }
}

#[cfg(test)]
mod tests {
    use ractor::concurrency::{OneshotReceiver, oneshot};

    use crate::actors::passwords::password_hasher::*;
    use crate::config::PasswordsConfig;
    use crate::passwords::{PasswordForm, PasswordForms};

    /// Slow enough that nothing ends while a test fills the queue.
    const SLOW: u32 = 12;
    const FAST: u32 = 4;

    async fn start(threads: usize, queue: usize, bcrypt_cost: u32) -> ActorRef<PasswordHasherMsg> {
        start_beside(Arc::new(Load::default), Arc::default(), threads, queue, bcrypt_cost).await
    }

    async fn start_beside(
        load: Arc<dyn Fn() -> Load + Send + Sync>,
        stats: Arc<ActorStats>,
        threads: usize,
        queue: usize,
        bcrypt_cost: u32,
    ) -> ActorRef<PasswordHasherMsg> {
        let config = PasswordsConfig {
            change_ends: crate::config::ChangeEnds::Sessions,
            min_length: 3,
            argon2_memory_kib: 64,
            argon2_iterations: 1,
            argon2_parallelism: 1,
            bcrypt_cost,
            threads,
            queue,
            least_share: 0.1,
        };
        let present = PasswordForms { bcrypt: true, argon2id: false };
        let settings = PasswordSettings::new(&config, PasswordForm::Bcrypt, present).unwrap();
        let limits = HashLimits { threads, queue, least_share: 0.1 };
        let limits = Arc::new(move || limits);
        let args = PasswordHasherArgs { settings, limits, load, stats };
        Actor::spawn(None, PasswordHasher, args).await.unwrap().0
    }

    fn network(number: u8) -> ClientNetwork {
        std::net::IpAddr::from([192, 0, 2, number]).into()
    }

    fn hash(
        actor: &ActorRef<PasswordHasherMsg>,
        password: &str,
    ) -> OneshotReceiver<Result<String, AuthError>> {
        hash_from(actor, network(1), password)
    }

    fn hash_from(
        actor: &ActorRef<PasswordHasherMsg>,
        client: ClientNetwork,
        password: &str,
    ) -> OneshotReceiver<Result<String, AuthError>> {
        let (reply, response) = oneshot();
        let (password, reply) = (password.into(), reply.into());
        actor.send_message(PasswordHasherMsg::Hash { client, password, reply }).unwrap();
        response
    }

    async fn verify(
        actor: &ActorRef<PasswordHasherMsg>,
        password: &str,
        stored: Option<&str>,
    ) -> VerifyOutcome {
        let (reply, response) = oneshot();
        let (password, stored) = (password.into(), stored.map(SecretString::from));
        let (client, reply) = (network(1), reply.into());
        actor.send_message(PasswordHasherMsg::Verify { client, password, stored, reply }).unwrap();
        response.await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_hashed_password_is_recognised() {
        let actor = start(2, 8, FAST).await;
        let stored = hash(&actor, "secret").await.unwrap().unwrap();
        assert!(verify(&actor, "secret", Some(&stored)).await.matches);
        assert!(!verify(&actor, "Secret", Some(&stored)).await.matches);
        assert!(!verify(&actor, "secret", None).await.matches);
    }

    #[tokio::test]
    async fn what_finds_no_place_is_refused_at_once() {
        let actor = start(1, 1, SLOW).await;
        let (running, waiting, refused) =
            (hash(&actor, "one"), hash(&actor, "two"), hash(&actor, "three"));
        let error = refused.await.unwrap().unwrap_err();
        assert!(matches!(error, AuthError::Unavailable { .. }), "{error:?}");
        assert!(running.await.unwrap().is_ok());
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn callers_that_gave_up_free_their_place_in_the_queue() {
        let actor = start(1, 1, SLOW).await;
        let running = hash(&actor, "one");
        drop(hash(&actor, "two"));
        let waiting = hash(&actor, "three");
        assert!(running.await.unwrap().is_ok());
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn many_at_once_all_get_a_reply() {
        let actor = start(2, 64, FAST).await;
        let responses: Vec<_> = (0..40).map(|_| hash(&actor, "secret")).collect();
        for response in responses {
            assert!(response.await.unwrap().is_ok());
        }
    }

    #[tokio::test]
    async fn one_client_that_fills_the_queue_does_not_keep_another_out() {
        let actor = start(1, 4, SLOW).await;
        let mut greedy: Vec<_> = (0..20).map(|_| hash(&actor, "secret")).collect();
        let other = hash_from(&actor, network(2), "secret");
        assert!(other.await.unwrap().is_ok());
        // One ran, and after it the other's: three more waited, and gave one place to the other.
        let mut done = 0;
        for response in greedy.drain(..) {
            done += usize::from(response.await.unwrap().is_ok());
        }
        assert_eq!(done, 4, "one that ran and three that waited");
    }

    #[tokio::test]
    async fn hashes_pause_while_threads_wait_for_a_core_and_all_get_a_reply() {
        let seen = Mutex::new(Load::default());
        let load = Arc::new(move || {
            let load = &mut *seen.lock().unwrap();
            load.rotated += 10_000.0;
            load.threads.ran += 1.0;
            load.threads.waited += 1.0;
            *load
        });
        let stats = Arc::<ActorStats>::default();
        let actor = start_beside(load, Arc::clone(&stats), 2, 64, FAST + 4).await;
        let mut rounds = 0;
        while stats.paused_ms.get() < 50 {
            let responses: Vec<_> = (0..3).map(|_| hash(&actor, "secret")).collect();
            for response in responses {
                assert!(response.await.unwrap().is_ok());
            }
            rounds += 1;
            assert!(rounds < 1_000, "they do not pause");
        }
    }

    #[tokio::test]
    async fn a_stopping_hasher_finishes_what_it_has_begun() {
        let actor = start(1, 1, FAST).await;
        let running = hash(&actor, "one");
        actor.drain().unwrap();
        assert!(running.await.unwrap().is_ok());
    }

    #[test]
    fn a_panic_in_a_job_becomes_a_reply() {
        let response: Result<(), _> = survive(|| panic!("a job fails"));
        assert!(matches!(response, Err(AuthError::Internal { .. })));
    }
}
