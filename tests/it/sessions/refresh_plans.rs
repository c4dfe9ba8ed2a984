//! Statements of batches find their rows by their keys, whatever the planner knew of the tables when it
//! made the plan, which stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use keywright::domain::clock::Clock;
use keywright::domain::custom_claims::{CustomClaims, Missing};
use keywright::domain::ids::{SessionId, UserId};
use keywright::persistence::claims::ClaimsQuery;
use keywright::persistence::dedicated_connection::DedicatedConnection;
use keywright::persistence::measured_pool::MeasuredPool;
use keywright::persistence::unknown_sessions::{self, rotate_and_read};
use keywright::persistence::{refresh_tokens, users};
use keywright::tokens::refresh_token::RefreshToken;
use keywright::tokens::rotation::{Rotation, SessionRef};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use time::Duration;
use uuid::Uuid;

use crate::support::app::TestApp;

/// Keys of one batch.
const BATCH: usize = 16;

/// After so many uses of a statement Postgres keeps its plan.
const USES: usize = 6;

/// A statement that takes a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statement {
    Rotate,
    RotateFree,
    RotateAndRead,
    /// The same without the users.
    RotateUnknown,
    FindLive,
    FindInChain,
    LoadUsers,
    RecordSeen,
    ReadClaims,
}

const STATEMENTS: [Statement; 9] = [
    Statement::Rotate,
    Statement::RotateFree,
    Statement::RotateAndRead,
    Statement::RotateUnknown,
    Statement::FindLive,
    Statement::FindInChain,
    Statement::LoadUsers,
    Statement::RecordSeen,
    Statement::ReadClaims,
];

impl Statement {
    /// Whether it trades tokens, on a connection of its own.
    fn is_dedicated(self) -> bool {
        matches!(self, Self::Rotate | Self::RotateFree) || self.is_of_unknown()
    }

    fn is_of_unknown(self) -> bool {
        matches!(self, Self::RotateAndRead | Self::RotateUnknown)
    }
}

/// Sessions of as many users, whose tokens and ids are known.
struct Rows {
    tokens: Vec<RefreshToken>,
    users: Vec<UserId>,
    claims: Arc<ClaimsQuery>,
}

impl Rows {
    async fn insert(db: &mut PgConnection, claims: &Arc<ClaimsQuery>, count: usize) -> Self {
        let claims = Arc::clone(claims);
        let mut rows = Self { tokens: Vec::new(), users: Vec::new(), claims };
        for _ in 0..count {
            let (token, user) = (RefreshToken::generate(), Uuid::new_v4());
            sqlx::query("insert into auth.users (id, locale) values ($1, 'en')")
                .bind(user)
                .execute(&mut *db)
                .await
                .unwrap();
            sqlx::query(
                "insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at, type) \
                 values ($1, $2, now() + interval '30 days', 'regular')",
            )
            .bind(user)
            .bind(token.hash().stored())
            .execute(&mut *db)
            .await
            .unwrap();
            rows.tokens.push(token);
            rows.users.push(UserId(user));
        }
        rows
    }

    /// Runs the statement for all of these; returns how many rows it read.
    async fn read_by(&mut self, statement: Statement, db: &mut PgConnection) -> i64 {
        let known = SessionRef { session_id: SessionId(Uuid::nil()), user_id: UserId(Uuid::nil()) };
        let session = (!statement.is_of_unknown()).then_some(known);
        let next: Vec<RefreshToken> =
            self.tokens.iter().map(|_| RefreshToken::generate()).collect();
        let rotations: Vec<Rotation> = self
            .tokens
            .iter()
            .zip(&next)
            .map(|(token, next)| Rotation { presented: token.hash(), next: next.hash(), session })
            .collect();
        let hashes: Vec<_> = self.tokens.iter().map(RefreshToken::hash).collect();
        let (no_time, hour) = (Duration::ZERO, std::time::Duration::from_hours(1));
        let mut transaction = db.begin().await.unwrap();
        let db = &mut *transaction;
        let found = match statement {
            Statement::Rotate => {
                refresh_tokens::rotate(&mut *db, &rotations, no_time, hour).await.unwrap().len()
            }
            Statement::RotateFree => {
                let free = refresh_tokens::rotate_free(&mut *db, &rotations, no_time, hour).await;
                free.unwrap().rotated.len()
            }
            Statement::RotateAndRead | Statement::RotateUnknown => {
                let are_read = statement == Statement::RotateAndRead;
                let users = unknown_sessions::Users { verification_required: true, are_read };
                let traded = rotate_and_read(&mut *db, &rotations, users, no_time, hour).await;
                let traded = traded.unwrap();
                assert_eq!(traded.users.len(), if are_read { traded.sessions.len() } else { 0 });
                traded.sessions.len()
            }
            Statement::FindLive => {
                refresh_tokens::find_live(&mut *db, &hashes, no_time).await.unwrap().len()
            }
            Statement::FindInChain => {
                let found = refresh_tokens::find_in_chain(&mut *db, &hashes, no_time).await;
                found.unwrap();
                self.tokens.len()
            }
            Statement::LoadUsers => users::find_by_ids(&mut *db, &self.users).await.unwrap().len(),
            Statement::RecordSeen => {
                let now = Clock::system().now();
                let seen: Vec<_> = self.users.iter().map(|user| (*user, now)).collect();
                let held = users::set_last_seen(&mut *db, &seen).await.unwrap();
                self.tokens.len() - held.len()
            }
            Statement::ReadClaims => self.claims.read(&mut *db, &self.users).await.unwrap().len(),
        };
        assert_eq!(found, self.tokens.len(), "{statement:?}");
        let read = sqlx::query_scalar(
            "select sum(coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0))::bigint \
               from pg_stat_xact_user_tables where schemaname = 'auth'",
        )
        .fetch_one(&mut *db)
        .await
        .unwrap();
        transaction.commit().await.unwrap();
        if statement.is_dedicated() {
            self.tokens = next;
        }
        read
    }
}

/// With columns, JSON and a table beside the users.
async fn claims_query(pool: &MeasuredPool) -> Arc<ClaimsQuery> {
    let paths = [("plan", "metadata.plan"), ("roles", "roles[].role"), ("email", "email")];
    let paths: BTreeMap<_, _> = paths.map(|(name, path)| (name.to_owned(), path.to_owned())).into();
    let claims = CustomClaims::new(&paths, &BTreeMap::new(), Missing::Null).unwrap().unwrap();
    Arc::new(ClaimsQuery::prepare(pool, claims.selection()).await.unwrap())
}

async fn fill(app: &TestApp, rows: usize) {
    let sql = format!(
        "with u as (
             insert into auth.users (id, locale)
             select gen_random_uuid(), 'en' from generate_series(1, {rows}) returning id
         )
         insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at, type)
         select u.id, '\\x' || encode(sha256(u.id::text::bytea), 'hex'),
                now() + interval '30 days', 'regular'
           from u"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut app.database.connection().await).await.unwrap();
}

#[tokio::test]
async fn a_batch_reads_its_own_rows_whatever_the_planner_saw_of_the_tables() {
    for rows_at_first in [0, 1, 3, 10_000] {
        let app = TestApp::start(&[]).await;
        fill(&app, rows_at_first).await;
        app.database.execute("vacuum analyze auth.refresh_tokens").await;
        app.database.execute("vacuum analyze auth.users").await;

        let pool = app.database.pool().await;
        let dedicated = DedicatedConnection::new(pool.clone());
        let (mut rotating, mut pooled) =
            (dedicated.open().await.unwrap(), pool.acquire().await.unwrap());
        let mut plain = app.database.connection().await;
        let claims = claims_query(&pool).await;
        // Each has an own batch: what one writes is dead weight for the others.
        let mut batches = Vec::new();
        for statement in STATEMENTS {
            let mut first = Rows::insert(&mut plain, &claims, 1).await;
            let db = match statement {
                _ if statement.is_dedicated() => rotating.connection(),
                _ => &mut pooled,
            };
            for _ in 0..USES {
                first.read_by(statement, db).await;
            }
            batches.push((statement, Rows::insert(&mut plain, &claims, BATCH).await));
        }
        for change in ["as before", "large, statistics stale", "large, statistics fresh"] {
            match change {
                "large, statistics stale" => fill(&app, 20_000).await,
                "large, statistics fresh" => {
                    app.database.execute("analyze auth.refresh_tokens").await;
                    app.database.execute("analyze auth.users").await;
                }
                _ => {}
            }
            for (statement, rows) in &mut batches {
                let db = match statement {
                    _ if statement.is_dedicated() => rotating.connection(),
                    _ => &mut pooled,
                };
                let read = rows.read_by(*statement, db).await;
                // Each key is looked up a few times, and dead versions of its row are read too.
                let most = 40 * i64::try_from(BATCH).unwrap();
                assert!(
                    read <= most,
                    "{statement:?} planned at {rows_at_first} rows, now {change}: {read} rows read"
                );
            }
        }
    }
}
