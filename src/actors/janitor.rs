//! Removes what nobody can use any more.
//!
//! - Owns: the rhythm; the work is one statement that several nodes may run at once.
//! - Caches: nothing.
//! - Writes through: deletes expired rows of `auth.keywright_tickets`.
//! - On restart: starts its rhythm anew.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use sqlx::PgPool;

use super::runtime::handle::{Crash, MessageOrigin};
use crate::domain::clock::Clock;
use crate::persistence::tickets;

/// Expired tickets are refused anyway; this only keeps the table small.
const INTERVAL: Duration = Duration::from_mins(10);

/// Messages of the janitor.
pub enum JanitorMsg {
    /// Time to sweep.
    Sweep,
    /// Panic.
    Crash,
}

impl MessageOrigin for JanitorMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::Crash)
    }
}

impl Crash for JanitorMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

/// The actor.
pub struct Janitor;

/// What the janitor works with, and all of its state.
#[derive(Clone)]
pub struct JanitorArgs {
    pub pool: PgPool,
    pub clock: Clock,
}

impl Actor for Janitor {
    type Msg = JanitorMsg;
    type State = JanitorArgs;
    type Arguments = JanitorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<JanitorMsg>,
        args: JanitorArgs,
    ) -> Result<JanitorArgs, ActorProcessingErr> {
        myself.send_interval(INTERVAL, || JanitorMsg::Sweep);
        Ok(args)
    }

    async fn handle(
        &self,
        _myself: ActorRef<JanitorMsg>,
        message: JanitorMsg,
        state: &mut JanitorArgs,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            JanitorMsg::Sweep => state.sweep().await,
            JanitorMsg::Crash => panic!("the janitor was told to crash"),
        }
        Ok(())
    }
}

impl JanitorArgs {
    async fn sweep(&self) {
        match tickets::delete_expired(&self.pool, self.clock.now()).await {
            Ok(0) => {}
            Ok(tickets) => tracing::debug!(tickets, "expired tickets removed"),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "expired tickets not removed, will be tried again"
                );
            }
        }
    }
}
