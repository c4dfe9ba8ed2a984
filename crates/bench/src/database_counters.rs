//! What a database has done, from its own statistics.

use anyhow::Context as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Row as _};

/// Where the number of statements comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatementSource {
    /// Calls that the extension `pg_stat_statements` counts.
    Statements,
    /// Transactions of `pg_stat_database`, which are fewer.
    #[default]
    Transactions,
}

impl StatementSource {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Statements => "pg_stat_statements",
            Self::Transactions => "xact_commit",
        }
    }
}

/// Updated rows of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    pub rows: i64,
    /// Those that touched no index.
    pub hot: i64,
}

/// Counts since the database began, or a difference of such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub wal_bytes: i64,
    pub statements: i64,
    pub source: StatementSource,
    /// Of `auth.refresh_tokens`.
    pub refresh_tokens: Updates,
    /// Of `auth.users`.
    pub users: Updates,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        self.combined(other, 1)
    }

    /// What is left without the other.
    #[must_use]
    pub fn minus(self, other: &Self) -> Self {
        self.combined(other, -1)
    }

    fn combined(self, other: &Self, sign: i64) -> Self {
        let updates = |a: Updates, b: Updates| Updates {
            rows: a.rows + sign * b.rows,
            hot: a.hot + sign * b.hot,
        };
        Self {
            wal_bytes: self.wal_bytes + sign * other.wal_bytes,
            statements: self.statements + sign * other.statements,
            source: other.source,
            refresh_tokens: updates(self.refresh_tokens, other.refresh_tokens),
            users: updates(self.users, other.users),
        }
    }
}

/// A connection that reads the counts.
#[derive(Debug)]
pub struct DatabaseCounters {
    db: PgConnection,
    source: StatementSource,
}

impl DatabaseCounters {
    /// Connects and looks for the extension.
    pub async fn open(options: &PgConnectOptions) -> anyhow::Result<Self> {
        let mut db = options.connect().await.context("--database-url")?;
        // It may live in any schema, and may be there without being loaded by the server.
        let found = sqlx::raw_sql(
            "select set_config('search_path', 'pg_catalog, ' || quote_ident(nspname), false)
               from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
              where extname = 'pg_stat_statements'",
        )
        .fetch_optional(&mut db)
        .await
        .context("--database-url")?;
        let is_counted = found.is_some()
            && sqlx::raw_sql("select calls from pg_stat_statements limit 1")
                .execute(&mut db)
                .await
                .is_ok();
        let source =
            if is_counted { StatementSource::Statements } else { StatementSource::Transactions };
        Ok(Self { db, source })
    }

    /// The counts of now. Of updates and transactions, Postgres reports the last second late.
    pub async fn read(&mut self) -> sqlx::Result<Counts> {
        // Views of statistics and of an extension: the checked macros cannot know the latter.
        let statements = match self.source {
            StatementSource::Statements => {
                "select sum(calls)::bigint from pg_stat_statements
                  where dbid = (select oid from pg_database where datname = current_database())"
            }
            StatementSource::Transactions => {
                "select xact_commit from pg_stat_database where datname = current_database()"
            }
        };
        let statements: Option<i64> =
            sqlx::query_scalar(statements).fetch_one(&mut self.db).await?;
        let wal_bytes = sqlx::query_scalar("select (pg_current_wal_lsn() - '0/0')::bigint")
            .fetch_one(&mut self.db)
            .await?;
        let tables = sqlx::query(
            "select relname::text, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables
              where schemaname = 'auth' and relname in ('refresh_tokens', 'users')",
        )
        .fetch_all(&mut self.db)
        .await?;
        let (statements, source) = (statements.unwrap_or(0), self.source);
        let mut counts = Counts { wal_bytes, statements, source, ..Counts::default() };
        for table in tables {
            let updates = Updates { rows: table.try_get(1)?, hot: table.try_get(2)? };
            match table.try_get(0)? {
                "refresh_tokens" => counts.refresh_tokens = updates,
                _ => counts.users = updates,
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_add_up() {
        let at = |number| Counts {
            wal_bytes: number,
            statements: number * 2,
            source: StatementSource::Statements,
            refresh_tokens: Updates { rows: number * 3, hot: number },
            users: Updates { rows: number, hot: 0 },
        };
        let two_turns = Counts::default().plus(&at(9)).minus(&at(4)).plus(&at(30)).minus(&at(20));
        assert_eq!(two_turns, at(15));
    }
}
