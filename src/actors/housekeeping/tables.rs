//! Every table that fills, and how what is over is found in it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use time::OffsetDateTime;

use super::pace;
use super::walk::Walk;
use super::{HousekeepingArgs, TICK};
use crate::persistence::expired_sessions::{self, Kept};
use crate::persistence::{
    challenges, counters, idle_users, outbox, recipients, tickets, used_challenges,
};

/// Rows that one statement removes at most, so that none holds many locks or takes long.
pub(super) const BATCH: i64 = 1_000;

/// How long personal access tokens are kept after they expired. There are few, and who looks why a
/// yearly job fails wants to see the token that has expired.
const PERSONAL_ACCESS_TOKENS_KEPT: time::Duration = time::Duration::days(90);

/// A table that fills.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) sweep: Sweep,
}

/// How rows that are over are found.
pub(super) enum Sweep {
    /// By an index.
    Batches(Batches),
    /// By looking at every row.
    Walk(Walk),
}

/// Batches of a table with an index on when its rows expire.
pub(super) struct Batches {
    pub(super) every: Duration,
    /// Removes at most [`BATCH`] rows; returns how many there were.
    pub(super) remove:
        for<'a> fn(&'a HousekeepingArgs, OffsetDateTime) -> BoxFuture<'a, sqlx::Result<u64>>,
}

/// Every table that is swept; the order is that of the metrics.
pub(super) static TABLES: [Table; 8] = [
    Table {
        name: "keywright_tickets",
        sweep: Sweep::Batches(Batches {
            every: Duration::from_mins(10),
            remove: |with, now| Box::pin(tickets::delete_expired(&with.pool, now, BATCH)),
        }),
    },
    Table {
        name: "keywright_challenges",
        sweep: Sweep::Batches(Batches {
            every: TICK,
            remove: |with, now| Box::pin(challenges::delete_expired(&with.pool, now, BATCH)),
        }),
    },
    Table {
        name: "keywright_used_challenges",
        sweep: Sweep::Batches(Batches {
            every: Duration::from_mins(1),
            remove: |with, now| Box::pin(used_challenges::delete_expired(&with.pool, now, BATCH)),
        }),
    },
    Table {
        name: "keywright_outbox",
        sweep: Sweep::Batches(Batches {
            every: Duration::from_mins(1),
            remove: |with, now| Box::pin(sweep_outbox(with, now)),
        }),
    },
    Table {
        name: "keywright_recipients",
        sweep: Sweep::Batches(Batches {
            every: Duration::from_mins(10),
            remove: |with, _| {
                let advanced = with.clock.advanced();
                Box::pin(recipients::delete_expired(&with.pool, advanced, BATCH))
            },
        }),
    },
    Table {
        name: "keywright_counters",
        sweep: Sweep::Batches(Batches {
            every: Duration::from_mins(1),
            remove: |with, _| {
                let advanced = with.clock.advanced();
                Box::pin(counters::delete_expired(&with.pool, advanced, BATCH))
            },
        }),
    },
    // Sessions and personal access tokens. An index on when they expire would change with each
    // refresh.
    Table {
        name: "refresh_tokens",
        sweep: Sweep::Walk(Walk {
            table: "auth.refresh_tokens",
            least: 400,
            longest_rest: pace::SHORT,
            is_wanted: |_| true,
            find: |with, span, _| {
                let kept = kept(with);
                Box::pin(async move { expired_sessions::find(&with.pool, span, kept).await })
            },
            sieve: None,
            remove: |with, rows, _| {
                let kept = kept(with);
                Box::pin(async move { expired_sessions::delete(&with.pool, rows, kept).await })
            },
        }),
    },
    // Anonymous users, if the operator wants that.
    Table {
        name: "users",
        sweep: Sweep::Walk(Walk {
            table: "auth.users",
            least: 1,
            longest_rest: pace::LONG,
            is_wanted: |config| config.housekeeping.anonymous_users_kept.is_some(),
            find: |with, span, now| {
                Box::pin(async move {
                    let Some(since) = idle_since(with, now) else { return Ok(Vec::new()) };
                    idle_users::find(&with.pool, span, since).await
                })
            },
            sieve: Some(|with, users| Box::pin(idle_users::without_tokens(&with.pool, users))),
            remove: |with, users, now| {
                Box::pin(async move {
                    let Some(since) = idle_since(with, now) else { return Ok(0) };
                    idle_users::delete(&with.pool, users, since).await
                })
            },
        }),
    },
];

fn kept(with: &HousekeepingArgs) -> Kept {
    let sessions = with.config.load().housekeeping.sessions_kept;
    Kept {
        sessions: time::Duration::try_from(sessions).unwrap_or(time::Duration::MAX),
        personal_access_tokens: PERSONAL_ACCESS_TOKENS_KEPT,
        advanced: with.clock.advanced(),
    }
}

/// Anonymous users who came last before that may go.
fn idle_since(with: &HousekeepingArgs, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let kept = with.config.load().housekeeping.anonymous_users_kept?;
    now.checked_sub(time::Duration::try_from(kept).ok()?)
}

/// Mail whose ticket has expired is told of, since somebody waited for it.
async fn sweep_outbox(with: &HousekeepingArgs, now: OffsetDateTime) -> sqlx::Result<u64> {
    let removed = outbox::expire(&with.pool, now, BATCH).await?;
    for expired in &removed {
        with.mail_stats.expired.increment();
        tracing::warn!(
            message.id = %expired.id,
            template = expired.template,
            attempts = expired.attempts,
            last_error = expired.last_error,
            "mail expired undelivered"
        );
    }
    Ok(removed.len() as u64)
}
