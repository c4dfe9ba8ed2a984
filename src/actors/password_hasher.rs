//! Hashes and verifies passwords without letting them take the whole machine.
//!
//! - Owns: how many hashes run at once, and how many may wait.
//! - Caches: nothing.
//! - Writes through: nothing; the flows store what it returns.
//! - On restart: waiting jobs fail at once and are sent again by their handle; running ones answer.

use std::collections::VecDeque;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use secrecy::SecretString;
use tokio_util::task::TaskTracker;

use super::handle::Crash;
use crate::domain::error::AuthError;
use crate::passwords::{PasswordSettings, VerifyOutcome};

/// Messages of the password hasher.
pub enum PasswordHasherMsg {
    /// Hash a new password.
    Hash(SecretString, RpcReplyPort<Result<String, AuthError>>),
    /// Compare a password with a stored hash, or with nothing at the same cost.
    Verify {
        password: SecretString,
        stored: Option<SecretString>,
        reply: RpcReplyPort<Result<VerifyOutcome, AuthError>>,
    },
    /// A job has ended.
    Finished,
    /// Panic.
    Crash,
}

impl Crash for PasswordHasherMsg {
    fn crash() -> Self {
        Self::Crash
    }
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

    /// Blocks for the time of a hash.
    fn run(self, settings: &PasswordSettings) {
        match self {
            // The caller may have given up.
            Self::Hash(password, reply) => {
                let _ = reply.send(settings.hash(&password));
            }
            Self::Verify(password, stored, reply) => {
                let _ = reply.send(Ok(settings.verify(&password, stored.as_ref())));
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

/// Jobs that run and jobs that wait.
pub struct PasswordHasherState {
    settings: PasswordSettings,
    running: usize,
    waiting: VecDeque<Job>,
    tasks: TaskTracker,
}

impl Actor for PasswordHasher {
    type Msg = PasswordHasherMsg;
    type State = PasswordHasherState;
    type Arguments = PasswordSettings;

    async fn pre_start(
        &self,
        _myself: ActorRef<PasswordHasherMsg>,
        settings: PasswordSettings,
    ) -> Result<PasswordHasherState, ActorProcessingErr> {
        let (waiting, tasks) = (VecDeque::new(), TaskTracker::new());
        Ok(PasswordHasherState { settings, running: 0, waiting, tasks })
    }

    async fn handle(
        &self,
        myself: ActorRef<PasswordHasherMsg>,
        message: PasswordHasherMsg,
        state: &mut PasswordHasherState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PasswordHasherMsg::Hash(password, reply) => {
                state.accept(&myself, Job::Hash(password, reply));
            }
            PasswordHasherMsg::Verify { password, stored, reply } => {
                state.accept(&myself, Job::Verify(password, stored, reply));
            }
            PasswordHasherMsg::Finished => state.finished(&myself),
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
    fn accept(&mut self, myself: &ActorRef<PasswordHasherMsg>, job: Job) {
        let (threads, queue) = self.settings.limits();
        if self.running < threads {
            self.start(myself, job);
        } else if self.waiting.len() < queue {
            self.waiting.push_back(job);
        } else {
            job.refuse();
        }
    }

    fn finished(&mut self, myself: &ActorRef<PasswordHasherMsg>) {
        self.running = self.running.saturating_sub(1);
        while let Some(job) = self.waiting.pop_front() {
            if !job.is_abandoned() {
                self.start(myself, job);
                return;
            }
        }
    }

    fn start(&mut self, myself: &ActorRef<PasswordHasherMsg>, job: Job) {
        self.running += 1;
        let settings = self.settings.clone();
        let finished = Finished(myself.clone());
        self.tasks.spawn_blocking(move || {
            let _finished = finished;
            job.run(&settings);
        });
    }
}

/// Gives the place back, also when the job panics.
struct Finished(ActorRef<PasswordHasherMsg>);

impl Drop for Finished {
    fn drop(&mut self) {
        // A restarted hasher counts its own jobs.
        let _ = self.0.send_message(PasswordHasherMsg::Finished);
    }
}
