//! A population written straight into the database, as the servers store it, and taken out again.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use uuid::Uuid;

use crate::progress::Progress;

/// Users of one statement while they are made.
const CHUNK: i64 = 10_000;
/// Users of one statement while they are removed; each reads the whole table of sessions, as no
/// index leads from a user to them.
const REMOVED_AT_ONCE: i64 = 200_000;

/// The rows of one population: ids and addresses are made of its name and a number, so nothing has
/// to be remembered to find them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    name: Uuid,
    users: i64,
}

/// Makes a population in a database, and removes it.
#[derive(Debug)]
pub struct Seeder {
    db: PgConnection,
    note: fn(&str),
}

impl Seeder {
    /// Connects; rows are written without triggers and foreign keys if the role may do that.
    ///
    /// What is written agrees with itself, and a notification for each of millions of rows would
    /// only hold up the nodes that listen.
    pub async fn open(options: &PgConnectOptions, note: fn(&str)) -> anyhow::Result<Self> {
        let mut db = options.connect().await.context("--database-url")?;
        // Superusers may, others go the long way.
        let _ = sqlx::raw_sql("set session_replication_role = replica").execute(&mut db).await;
        Ok(Self { db, note })
    }

    /// Adds users with one session each and returns the sessions' tokens; on failure and when
    /// stopped, nothing is left behind.
    ///
    /// The users are verified, with the roles `user` and `me`, and have no password.
    pub async fn seed(
        &mut self,
        users: usize,
        stop: &AtomicBool,
        progress: &Progress,
    ) -> anyhow::Result<(Seed, Vec<Uuid>)> {
        let seed = Seed { name: Uuid::new_v4(), users: i64::try_from(users)? };
        match self.write(seed, stop, progress).await {
            Ok(tokens) => Ok((seed, tokens)),
            Err(error) => {
                if let Err(also) = self.remove(seed).await {
                    (self.note)(&format!("{also:#}"));
                }
                Err(error)
            }
        }
    }

    async fn write(
        &mut self,
        seed: Seed,
        stop: &AtomicBool,
        progress: &Progress,
    ) -> anyhow::Result<Vec<Uuid>> {
        let mut tokens = Vec::with_capacity(usize::try_from(seed.users)?);
        for first in (0..seed.users).step_by(CHUNK.unsigned_abs().try_into()?) {
            ensure!(!stop.load(Ordering::Relaxed), "interrupted before anything was measured");
            let count = CHUNK.min(seed.users - first);
            let chunk: Vec<Uuid> = (0..count).map(|_| Uuid::new_v4()).collect();
            self.write_chunk(seed.name, first, &chunk).await.context("cannot seed sessions")?;
            tokens.extend(chunk);
            progress.add(count.unsigned_abs());
        }
        self.tidy_up().await?;
        Ok(tokens)
    }

    async fn write_chunk(&mut self, name: Uuid, first: i64, tokens: &[Uuid]) -> sqlx::Result<()> {
        let last = first + i64::try_from(tokens.len()).unwrap_or(i64::MAX) - 1;
        let mut transaction = self.db.begin().await?;
        sqlx::query!(
            r#"
            insert into auth.users (id, locale, default_role, display_name, email, email_verified)
            select md5($1::uuid::text || n)::uuid, 'en', 'user', 'keywright bench ' || n,
                   'keywright-bench-' || md5($1::uuid::text || n) || '@example.com', true
              from generate_series($2::bigint, $3::bigint) as n
            "#,
            name,
            first,
            last
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            r#"
            insert into auth.user_roles (user_id, role)
            select md5($1::uuid::text || n)::uuid, role
              from generate_series($2::bigint, $3::bigint) as n, auth.roles
             where role in ('user', 'me')
            "#,
            name,
            first,
            last
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            r#"
            insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at, type)
            select md5($1::uuid::text || ($2::bigint + n - 1))::uuid,
                   '\x' || encode(sha256(convert_to(token::text, 'UTF8')), 'hex'),
                   now() + interval '30 days', 'regular'
              from unnest($3::uuid[]) with ordinality as t(token, n)
            "#,
            name,
            first,
            tokens
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// What a database has done that has been in use for a while: rows are visible to all, and
    /// statistics are those of a large table.
    async fn tidy_up(&mut self) -> anyhow::Result<()> {
        (self.note)("vacuum, analyze and checkpoint after seeding");
        sqlx::raw_sql("vacuum (analyze) auth.users, auth.user_roles, auth.refresh_tokens")
            .execute(&mut self.db)
            .await
            .context("cannot vacuum")?;
        if sqlx::raw_sql("checkpoint").execute(&mut self.db).await.is_err() {
            (self.note)("no checkpoint: this role may not make one; the first minutes write more");
        }
        Ok(())
    }

    /// Removes a population and disconnects.
    pub async fn close(mut self, seed: Seed) -> anyhow::Result<()> {
        self.remove(seed).await?;
        self.db.close().await.context("cannot disconnect")
    }

    async fn remove(&mut self, seed: Seed) -> anyhow::Result<()> {
        (self.note)("removing the seeded sessions and users");
        let removed = async {
            for (first, last) in chunks(seed.users) {
                self.remove_sessions(seed.name, first, last).await?;
            }
            // Each user that is removed may have the table of sessions read once more.
            sqlx::raw_sql("vacuum auth.refresh_tokens").execute(&mut self.db).await?;
            for (first, last) in chunks(seed.users) {
                self.remove_users(seed.name, first, last).await?;
            }
            Ok::<_, sqlx::Error>(())
        };
        removed.await.context("cannot remove the seeded rows (keywright-bench-…@example.com)")
    }

    async fn remove_sessions(&mut self, name: Uuid, first: i64, last: i64) -> sqlx::Result<()> {
        sqlx::query!(
            r#"
            delete from auth.refresh_tokens
             where user_id in (select md5($1::uuid::text || n)::uuid
                                 from generate_series($2::bigint, $3::bigint) as n)
            "#,
            name,
            first,
            last
        )
        .execute(&mut self.db)
        .await?;
        Ok(())
    }

    async fn remove_users(&mut self, name: Uuid, first: i64, last: i64) -> sqlx::Result<()> {
        sqlx::query!(
            r#"
            delete from auth.user_roles
             where user_id in (select md5($1::uuid::text || n)::uuid
                                 from generate_series($2::bigint, $3::bigint) as n)
            "#,
            name,
            first,
            last
        )
        .execute(&mut self.db)
        .await?;
        sqlx::query!(
            r#"
            delete from auth.users
             where id in (select md5($1::uuid::text || n)::uuid
                            from generate_series($2::bigint, $3::bigint) as n)
            "#,
            name,
            first,
            last
        )
        .execute(&mut self.db)
        .await?;
        Ok(())
    }
}

fn chunks(users: i64) -> impl Iterator<Item = (i64, i64)> {
    let starts = (0..users).step_by(usize::try_from(REMOVED_AT_ONCE).unwrap_or(usize::MAX));
    starts.map(move |first| (first, (first + REMOVED_AT_ONCE).min(users) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_user_once() {
        assert_eq!(chunks(0).count(), 0);
        assert_eq!(chunks(1).collect::<Vec<_>>(), [(0, 0)]);
        let all: Vec<_> = chunks(REMOVED_AT_ONCE * 2 + 1).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[2], (REMOVED_AT_ONCE * 2, REMOVED_AT_ONCE * 2));
        assert!(all.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
    }
}
