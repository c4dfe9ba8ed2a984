//! The table of sessions is vacuumed when most of its rows are dead.

use std::sync::Arc;

use crate::support::admin::{Metrics, Operator, with_admin};
use crate::support::app::TestApp;
use crate::support::house::sweep;
use crate::support::postgres::{TestDatabase, unique};
use crate::support::smtp::eventually;

/// As many dead rows as a busy second or two leave, which autovacuum does not see to.
async fn leave_dead_rows(database: &TestDatabase) {
    database
        .execute(
            "alter table auth.refresh_tokens set (autovacuum_enabled = off);
             set session_replication_role = replica;
             insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at, type)
             select (select id from auth.users limit 1), n::text, now() + interval '1 day', 'regular'
               from generate_series(1, 51000) n;
             delete from auth.refresh_tokens where length(refresh_token_hash) < 10",
        )
        .await;
    let dead = "select pg_stat_get_dead_tuples('auth.refresh_tokens'::regclass)";
    eventually("the statistics", async || database.count(dead).await > 50_000).await;
}

fn vacuums(metrics: &Metrics, outcome: &str) -> i64 {
    metrics.count(&format!("keywright_housekeeping_vacuums_total{{outcome=\"{outcome}\"}}"))
}

#[tokio::test]
async fn dead_sessions_are_vacuumed_and_counted() {
    let app = TestApp::start(&with_admin(&[])).await;
    let session = app.anonymous().await;
    let operator = Operator::of(&app);
    leave_dead_rows(&app.database).await;
    app.app().actors.housekeeping.actor().crash();
    eventually("a vacuum", async || vacuums(&operator.metrics().await, "done") == 1).await;
    let dead = "select pg_stat_get_dead_tuples('auth.refresh_tokens'::regclass)";
    assert_eq!(app.database.count(dead).await, 0);
    let metrics = operator.metrics().await;
    assert!(metrics.value("keywright_housekeeping_vacuum_seconds_total") > 0.0);
    let vacuum = operator.get("/ops/actors").await.json()["housekeeping"]["vacuum"].clone();
    assert_eq!(vacuum["done"], 1);
    assert!(vacuum["endedAt"].is_string(), "{vacuum}");
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn dead_sessions_that_somebody_still_sees_are_not_vacuumed_again_and_again() {
    let app = TestApp::start(&with_admin(&[])).await;
    app.anonymous().await;
    let operator = Operator::of(&app);
    let mut reader = app.database.connection().await;
    let look = "begin isolation level repeatable read; select from auth.users";
    sqlx::raw_sql(look).execute(&mut reader).await.unwrap();
    leave_dead_rows(&app.database).await;
    app.app().actors.housekeeping.actor().crash();
    eventually("an attempt", async || vacuums(&operator.metrics().await, "without-effect") == 1)
        .await;
    assert_eq!(vacuums(&operator.metrics().await, "done"), 0);
}

#[tokio::test]
async fn nothing_is_vacuumed_where_it_is_switched_off_or_not_allowed() {
    let app = TestApp::start(&with_admin(&[("AUTH_SESSIONS_VACUUM", "false")])).await;
    app.anonymous().await;
    leave_dead_rows(&app.database).await;
    let role = unique("app");
    app.database.execute(&format!("create role {role} login")).await;
    let owner = app.database.url();
    let database = Arc::new(TestDatabase::at(app.database.url_as(&role), app.database.name()));
    sweep(&app, "refresh_tokens").await;
    no_vacuum(&app).await;
    app.stop().await;

    let settings = with_admin(&[("POSTGRES_MIGRATIONS_CONNECTION", owner.as_str())]);
    let app = TestApp::start_on(database, &settings).await;
    let at_once = "delete from auth.keywright_settings where name = 'housekeeper'";
    TestDatabase::at(owner.clone(), "").execute(at_once).await;
    app.app().actors.housekeeping.actor().crash();
    sweep(&app, "refresh_tokens").await;
    no_vacuum(&app).await;
    app.anonymous().await;
}

async fn no_vacuum(app: &TestApp) {
    let metrics = Operator::of(app).metrics().await;
    for outcome in ["done", "without-effect", "failed"] {
        assert_eq!(vacuums(&metrics, outcome), 0, "{outcome}");
    }
}
