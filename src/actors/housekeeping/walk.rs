//! A walk through a table in which no index leads to what is over.
//!
//! Pages are looked at a few at a time, and what is found goes in batches. A row that Postgres does
//! not let go (a foreign key of an application, a trigger, a lock) stays, and no other with it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::error::DatabaseError;
use time::OffsetDateTime;

use super::HousekeepingArgs;
use super::pace::Size;
use super::turn::Sweeper;
use crate::actors::runtime::isolate::is_of_a_row;
use crate::config::Config;
use crate::persistence::refresh_tokens::is_held_up;
use crate::persistence::table_walk::{self, Extent, Found, Place, Span};

/// Rows that are found at once at most.
const FOUND: usize = 1_000;

type Rows<'a> = BoxFuture<'a, sqlx::Result<Vec<Found>>>;

/// How a table is walked through.
pub(super) struct Walk {
    /// With the schema.
    pub(super) table: &'static str,
    /// Rows that are removed at once at least, and how long a batch is rested after at most.
    pub(super) least: u32,
    pub(super) longest_rest: Duration,
    /// Whether the operator wants rows of it removed.
    pub(super) is_wanted: fn(&Config) -> bool,
    /// Rows that may be over.
    pub(super) find: for<'a> fn(&'a HousekeepingArgs, Span, OffsetDateTime) -> Rows<'a>,
    /// Those of [`FOUND`] rows that are over, where that is dear to find out.
    pub(super) sieve: Option<for<'a> fn(&'a HousekeepingArgs, Vec<Found>) -> Rows<'a>>,
    /// Removes those that are still over and that nobody holds; returns how many.
    pub(super) remove: for<'a> fn(
        &'a HousekeepingArgs,
        &'a [Found],
        OffsetDateTime,
    ) -> BoxFuture<'a, sqlx::Result<u64>>,
}

/// A walk under way.
pub(super) struct Trip<'a> {
    sweeper: &'a Sweeper<'a>,
    walk: &'static Walk,
    now: OffsetDateTime,
    /// What lies before it has been looked at.
    pub(super) at: Place,
    extent: Extent,
    /// Found, and not sieved yet.
    found: Vec<Found>,
    /// To be removed, the next ones last.
    over: Vec<Found>,
    pages: Size,
    rows: Size,
    pub(super) removed: u64,
    /// Rows that Postgres did not let go, and why the first of them.
    pub(super) refused: u64,
    pub(super) first_refusal: Option<sqlx::Error>,
}

impl<'a> Trip<'a> {
    /// Begins at this place.
    pub(super) fn new(
        sweeper: &'a Sweeper<'a>,
        walk: &'static Walk,
        at: Place,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            sweeper,
            walk,
            now,
            at,
            extent: Extent { pages: 0, has_ranges: true },
            found: Vec::new(),
            over: Vec::new(),
            pages: Size::new(16, 512),
            rows: Size::new(walk.least, 1_000),
            removed: 0,
            refused: 0,
            first_refusal: None,
        }
    }

    /// Goes to the end of the table, as it is now; `false` if it was stopped before.
    pub(super) async fn go(&mut self) -> sqlx::Result<bool> {
        let with = self.sweeper.with;
        let measure = table_walk::extent(&with.pool, self.walk.table);
        let Some(measured) = self.sweeper.batch(measure).await else { return Ok(false) };
        self.extent = measured.result?;
        loop {
            let is_through = self.at.page >= self.extent.pages;
            let goes_on = if !self.over.is_empty() {
                self.remove().await?
            } else if self.found.len() >= self.worth_sieving()
                || is_through && !self.found.is_empty()
            {
                self.sieve().await?
            } else if is_through {
                return Ok(true);
            } else {
                self.look().await?
            };
            if !goes_on {
                return Ok(false);
            }
            self.sweeper.stats.walks(self.at.page, self.extent.pages);
        }
    }

    const fn worth_sieving(&self) -> usize {
        if self.walk.sieve.is_some() { FOUND } else { 1 }
    }

    /// Looks at the next pages.
    async fn look(&mut self) -> sqlx::Result<bool> {
        let pages = if self.extent.has_ranges { self.pages.now } else { u32::MAX };
        let end = self.at.page.saturating_add(pages).min(self.extent.pages);
        let limit = FOUND - self.found.len().min(FOUND - 1);
        let span = Span {
            after: self.at,
            before: Place::page(end),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
        };
        let looking = (self.walk.find)(self.sweeper.with, span, self.now);
        let Some(done) = self.sweeper.batch(looking).await else { return Ok(false) };
        match done.result {
            Ok(mut rows) => {
                self.pages.adapt(done.took);
                let last = rows.last().map(|row| row.place);
                let is_full = rows.len() >= limit;
                self.at = last.filter(|_| is_full).unwrap_or(Place::page(end));
                self.found.append(&mut rows);
            }
            Err(error) if takes_too_long(&error) && self.pages.now > 1 => {
                self.pages.below(self.pages.now);
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Finds out what of the rows that were found is over.
    async fn sieve(&mut self) -> sqlx::Result<bool> {
        let found = std::mem::take(&mut self.found);
        self.over = match self.walk.sieve {
            None => found,
            Some(sieve) => {
                let sieving = sieve(self.sweeper.with, found);
                let Some(done) = self.sweeper.batch(sieving).await else { return Ok(false) };
                done.result?
            }
        };
        self.over.reverse();
        Ok(true)
    }

    /// Removes the next rows.
    async fn remove(&mut self) -> sqlx::Result<bool> {
        let size = usize::try_from(self.rows.now).unwrap_or(usize::MAX);
        let batch = self.over.split_off(self.over.len().saturating_sub(size));
        let removing = (self.walk.remove)(self.sweeper.with, &batch, self.now);
        let Some(done) = self.sweeper.batch(removing).await else { return Ok(false) };
        match done.result {
            Ok(rows) => {
                self.rows.adapt(done.took);
                self.removed += rows;
                self.sweeper.stats.removed.add(rows);
            }
            Err(error) if !may_be_of_a_row(&error) => return Err(error),
            Err(error) if batch.len() == 1 => {
                self.refused += 1;
                self.sweeper.stats.refused.increment();
                self.first_refusal.get_or_insert(error);
            }
            // Until the bad ones are alone.
            Err(_) => {
                self.rows.below(u32::try_from(batch.len()).unwrap_or(1));
                self.over.extend(batch);
            }
        }
        Ok(true)
    }
}

/// Whether another row might fare better.
fn may_be_of_a_row(error: &sqlx::Error) -> bool {
    is_of_a_row(error) || is_held_up(error) || takes_too_long(error)
}

/// Postgres ended the statement because of its time (57014).
fn takes_too_long(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "57014")
}
