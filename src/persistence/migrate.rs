//! Brings a database to the schema that this version needs, whatever it was before.
//!
//! Everything happens in one transaction, under the reference's own migration lock: several nodes
//! and the reference exclude each other, and a failure leaves the database as it was.
//! Statements here are mostly not checked at compile time, because they shape what is checked.

use std::fmt;

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::config::DatabaseConfig;
use crate::passwords::PasswordForm;
use crate::persistence::adopt::{self, Plan, Refusal, Situation};
use crate::persistence::connection_string::{ConnectionString, ConnectionStringError};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::reference::{ExtensionSchemas, LEVELS, REFERENCE_LEVEL, migration_lock};
use crate::persistence::settings::{self, Origin};
use crate::persistence::{grants, pool, start_wait};

/// The oldest major version of Postgres that works. Tests run on those that are maintained
/// (`make test-postgres`).
pub const OLDEST_POSTGRES: i32 = 12;

/// The longest wait for another node's migration, and for locks on busy tables.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '60s'";

/// Our additions, with bookkeeping apart from the reference's.
fn own_migrations() -> Migrator {
    let mut own = sqlx::migrate!("./migrations");
    own.dangerous_set_table_name("auth.keywright_migrations");
    // The reference's lock is held already.
    own.set_locking(false);
    // A node of the previous version may restart while a newer one has migrated: additions only.
    own.set_ignore_missing(true);
    own
}

/// The newest addition to the schema that this version knows.
pub fn newest() -> i64 {
    own_migrations().iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// What `migrate` found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// What was there before.
    pub found: Situation,
    /// Who made the schema.
    pub origin: Origin,
    /// Steps of the reference that were run now.
    pub levels: Vec<i64>,
    /// Old refresh tokens whose text was readable as their id and no longer is.
    pub token_ids_replaced: u64,
    /// Additions of ours that were run now.
    pub own: usize,
    /// Roles that were given access to tables now.
    pub granted_to: Vec<String>,
    /// What `auth.schema_migrations` says now.
    pub level: i64,
}

impl MigrationReport {
    /// Whether anything was changed.
    pub fn is_change(&self) -> bool {
        !self.levels.is_empty() || self.own > 0 || !self.granted_to.is_empty()
    }
}

impl fmt::Display for MigrationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found: {}; ", self.found)?;
        if !self.is_change() {
            return f.write_str("nothing to do");
        }
        write!(f, "ran {} reference and {} own migrations", self.levels.len(), self.own)?;
        if self.token_ids_replaced > 0 {
            write!(f, "; replaced the ids of {} tokens", self.token_ids_replaced)?;
        }
        if !self.granted_to.is_empty() {
            write!(f, "; granted access to {}", self.granted_to.join(", "))?;
        }
        Ok(())
    }
}

/// Why the database is not ready; names the setting to change and the cause.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("{setting} cannot be used: {cause}")]
    ConnectionString { setting: &'static str, cause: ConnectionStringError },
    #[error("{setting}: cannot connect to Postgres: {cause}")]
    Connect { setting: &'static str, cause: sqlx::Error },
    #[error("{setting}: Postgres {OLDEST_POSTGRES} or newer is needed, this is {version}")]
    TooOld { setting: &'static str, version: String },
    #[error("{setting}: this database cannot be adopted: {refusal}")]
    Refused { setting: &'static str, refusal: Refusal },
    #[error("{setting}: another migration or a long transaction is in the way: {cause}")]
    Busy { setting: &'static str, cause: sqlx::Error },
    #[error(
        "{setting}: role `{role}` may not {doing}: {cause}; set POSTGRES_MIGRATIONS_CONNECTION \
         to the owner of schema auth or a superuser"
    )]
    Privilege { setting: &'static str, role: String, doing: String, cause: sqlx::Error },
    #[error("{setting}: cannot {doing}: {cause}")]
    Failed { setting: &'static str, doing: String, cause: sqlx::Error },
    #[error("{setting}: cannot apply own migrations: {cause}")]
    Own { setting: &'static str, cause: sqlx::migrate::MigrateError },
}

/// Adopts or creates schema `auth`, adds our additions, and shares them with the roles in use.
pub async fn migrate(config: &DatabaseConfig) -> Result<MigrationReport, MigrateError> {
    let (setting, url) = match &config.migrations_url {
        Some(url) => ("POSTGRES_MIGRATIONS_CONNECTION", url),
        None => ("POSTGRES_CONNECTION", &config.url),
    };
    let string = parse(setting, url)?;
    let run_time = parse("POSTGRES_CONNECTION", &config.url)?;
    let run_time_role = run_time.options.get_username().to_owned();
    let connection = start_wait::connect(setting, &string, config.start_timeout)
        .await
        .map_err(|cause| MigrateError::Connect { setting, cause })?;
    let mut run = Run { setting, role: string.options.get_username().to_owned(), connection };
    let result = run.migrate(&run_time_role).await;
    let _ = run.connection.close().await;
    result
}

/// Inserts the roles that are missing and returns them.
pub async fn seed_roles(pool: &MeasuredPool, roles: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "insert into auth.roles (role) select distinct unnest($1::text[])
         on conflict do nothing returning role",
        roles
    )
    .fetch_all(pool)
    .await
}

fn parse(
    setting: &'static str,
    url: &secrecy::SecretString,
) -> Result<ConnectionString, MigrateError> {
    ConnectionString::parse(url)
        .and_then(|string| string.check_files().map(|()| string))
        .map_err(|cause| MigrateError::ConnectionString { setting, cause })
}

struct Run {
    setting: &'static str,
    role: String,
    connection: PgConnection,
}

impl Run {
    async fn migrate(&mut self, run_time_role: &str) -> Result<MigrationReport, MigrateError> {
        let blame = Blame { setting: self.setting, role: self.role.clone() };
        let mut tx = self.connection.begin().await.map_err(blame.doing("begin"))?;
        lock(&mut tx, &blame).await?;
        let found = adopt::inspect(&mut tx).await.map_err(blame.doing("read schema auth"))?;
        let Plan { situation, applied } = adopt::decide(&found)
            .map_err(|refusal| MigrateError::Refused { setting: blame.setting, refusal })?;

        let levels = apply_levels(&mut tx, &blame, situation, applied).await?;
        let token_ids_replaced = if (1..15).contains(&applied) {
            replace_token_ids(&mut tx).await.map_err(blame.doing("replace token ids"))?
        } else {
            0
        };
        pool::reach_extensions(&mut tx, true).await.map_err(blame.doing("set search_path"))?;
        let own = apply_own(&mut tx, blame.setting).await?;
        let origin = record(&mut tx, situation).await.map_err(blame.doing("record the origin"))?;
        let granted_to = grants::share_own_tables(&mut tx, run_time_role)
            .await
            .map_err(blame.doing("grant access to the tables in schema auth"))?;
        tx.commit().await.map_err(blame.doing("commit"))?;
        Ok(MigrationReport {
            found: situation,
            origin,
            levels,
            token_ids_replaced,
            own,
            granted_to,
            level: applied.max(REFERENCE_LEVEL),
        })
    }
}

/// Takes the lock and sets its limits for this transaction alone: behind a pooler the session goes on
/// to somebody else.
async fn lock(conn: &mut PgConnection, blame: &Blame) -> Result<(), MigrateError> {
    // What others commit while the lock is waited for must be seen, whatever the role's default is.
    execute(conn, "set transaction isolation level read committed, read write")
        .await
        .map_err(blame.doing("begin"))?;
    let (database, number, version) = sqlx::query_as::<_, (String, i32, String)>(
        "select current_database()::text, current_setting('server_version_num')::int,
                current_setting('server_version')",
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(blame.doing("ask for the version"))?;
    if number < OLDEST_POSTGRES * 10_000 {
        return Err(MigrateError::TooOld { setting: blame.setting, version });
    }
    // The role's own limits are for requests, not for migrations.
    for statement in [LOCK_TIMEOUT, "set local statement_timeout = 0"] {
        execute(conn, statement).await.map_err(blame.doing("set"))?;
    }
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(migration_lock(&database))
        .execute(conn)
        .await
        .map_err(blame.doing("take the migration lock"))?;
    Ok(())
}

/// Turns database errors into ours.
struct Blame {
    setting: &'static str,
    role: String,
}

impl Blame {
    fn doing(&self, doing: &str) -> impl FnOnce(sqlx::Error) -> MigrateError + use<> {
        let (setting, role, doing) = (self.setting, self.role.clone(), doing.to_owned());
        move |cause| match cause
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .as_deref()
        {
            Some("42501") => MigrateError::Privilege { setting, role, doing, cause },
            Some("55P03") => MigrateError::Busy { setting, cause },
            _ => MigrateError::Failed { setting, doing, cause },
        }
    }
}

/// Runs the missing steps and leaves the reference's bookkeeping as the reference would.
async fn apply_levels(
    conn: &mut PgConnection,
    blame: &Blame,
    situation: Situation,
    applied: i64,
) -> Result<Vec<i64>, MigrateError> {
    if applied > REFERENCE_LEVEL || situation == Situation::Current {
        return Ok(Vec::new());
    }
    if situation == (Situation::Empty { schema: false }) {
        execute(conn, "create schema auth").await.map_err(blame.doing("create schema auth"))?;
    }
    let schemas = ensure_extensions(conn, blame).await?;
    execute(
        conn,
        "create table if not exists auth.schema_migrations
         (version bigint not null primary key, dirty boolean not null)",
    )
    .await
    .map_err(blame.doing("create auth.schema_migrations"))?;
    let mut levels = Vec::new();
    for level in LEVELS.iter().filter(|level| level.number > applied) {
        sqlx::raw_sql(AssertSqlSafe(level.sql(&schemas)))
            .execute(&mut *conn)
            .await
            .map_err(blame.doing(&format!("apply level {} of the schema", level.number)))?;
        levels.push(level.number);
    }
    execute(conn, "delete from auth.schema_migrations").await.map_err(blame.doing("record"))?;
    execute(conn, "insert into auth.schema_migrations (version, dirty) values (18, false)")
        .await
        .map_err(blame.doing("record the level"))?;
    Ok(levels)
}

/// Creates what is missing in `public`, and says where each extension lives.
async fn ensure_extensions(
    conn: &mut PgConnection,
    blame: &Blame,
) -> Result<ExtensionSchemas, MigrateError> {
    for statement in [
        "create extension if not exists citext with schema public",
        "create extension if not exists pgcrypto with schema public",
    ] {
        execute(conn, statement).await.map_err(blame.doing(statement))?;
    }
    pool::reach_extensions(conn, true).await.map_err(blame.doing("set search_path"))?;
    let row = sqlx::query!(
        r#"
        select min(quote_ident(n.nspname)) filter (where e.extname = 'citext') as "citext!",
               min(quote_ident(n.nspname)) filter (where e.extname = 'pgcrypto') as "pgcrypto!"
        from pg_extension as e inner join pg_namespace as n on n.oid = e.extnamespace
        "#
    )
    .fetch_one(conn)
    .await
    .map_err(blame.doing("find the extensions"))?;
    Ok(ExtensionSchemas { citext: row.citext, pgcrypto: row.pgcrypto })
}

/// Below level 15 the id column held the token itself, which would stay readable.
async fn replace_token_ids(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let done =
        sqlx::query!("update auth.refresh_tokens set id = gen_random_uuid()").execute(conn).await?;
    Ok(done.rows_affected())
}

async fn apply_own(conn: &mut PgConnection, setting: &'static str) -> Result<usize, MigrateError> {
    let before = count_own(conn).await.map_err(|cause| own_error(setting, cause.into()))?;
    own_migrations()
        .run_direct(None, conn, false)
        .await
        .map_err(|cause| own_error(setting, cause))?;
    let after = count_own(conn).await.map_err(|cause| own_error(setting, cause.into()))?;
    Ok(usize::try_from(after - before).unwrap_or(0))
}

fn own_error(setting: &'static str, cause: sqlx::migrate::MigrateError) -> MigrateError {
    MigrateError::Own { setting, cause }
}

async fn count_own(conn: &mut PgConnection) -> sqlx::Result<i64> {
    let there: bool =
        sqlx::query_scalar("select to_regclass('auth.keywright_migrations') is not null")
            .fetch_one(&mut *conn)
            .await?;
    if !there {
        return Ok(0);
    }
    sqlx::query_scalar("select count(*) from auth.keywright_migrations").fetch_one(conn).await
}

async fn record(conn: &mut PgConnection, situation: Situation) -> sqlx::Result<Origin> {
    let origin = match situation {
        Situation::Empty { .. } => Origin::Created,
        _ => Origin::Adopted,
    };
    settings::record_origin(&mut *conn, origin).await?;
    let origin = settings::find_origin(&mut *conn).await?.unwrap_or(origin);
    if origin == Origin::Adopted {
        settings::record_password_form(conn, PasswordForm::Bcrypt).await?;
    }
    Ok(origin)
}

async fn execute(conn: &mut PgConnection, statement: &'static str) -> sqlx::Result<()> {
    sqlx::query(statement).execute(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_too_old_is_named_beside_the_oldest_that_works() {
        let error =
            MigrateError::TooOld { setting: "POSTGRES_CONNECTION", version: "9.6.24".to_owned() };
        let text = error.to_string();
        assert_eq!(text, "POSTGRES_CONNECTION: Postgres 12 or newer is needed, this is 9.6.24");
    }
}
