//! Keeps trying to tell Hasura, while the server serves.
//!
//! Hasura may wait for this very server, for its public keys, before it starts itself.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{MetadataReport, Retry, apply_metadata, pause};
use crate::config::LiveConfig;
use crate::domain::error::chain;
use crate::metrics::Counter;

/// The pause after the first failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How far this node has come with Hasura's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// No Hasura is configured, or it was not tried yet.
    #[default]
    Nothing,
    /// The last attempt failed, and why.
    Failing(String),
    /// Hasura has it.
    Applied,
}

/// What operators see of it.
#[derive(Debug, Default)]
pub struct MetadataState {
    progress: Mutex<Progress>,
    /// Attempts that failed.
    pub failures: Counter,
}

impl MetadataState {
    /// As of now.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

/// Returns when Hasura has the metadata, or if none is configured. Each attempt is made with the
/// settings in force, so that a reload can correct them.
pub async fn keep_applying(config: LiveConfig, state: &MetadataState) {
    let mut wait = FIRST_PAUSE;
    loop {
        let hasura = config.load().hasura.clone();
        match apply_metadata(&hasura, Retry::NONE).await {
            Ok(report) => {
                state.set(report.map_or(Progress::Nothing, |_| Progress::Applied));
                if let Some(MetadataReport { tables, relationships }) = report {
                    tracing::info!(tables, relationships, "Hasura has the metadata");
                }
                return;
            }
            Err(error) => {
                let cause = chain(&error);
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                state.failures.increment();
                tracing::warn!(
                    cause,
                    wait_ms,
                    "Hasura does not have the metadata yet: serving without, trying again"
                );
                state.set(Progress::Failing(cause));
            }
        }
        pause(wait).await;
        wait = (wait * 2).min(LONGEST_PAUSE);
    }
}
