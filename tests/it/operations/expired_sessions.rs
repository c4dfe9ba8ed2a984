//! Sessions and personal access tokens that ended are kept for a while, and then go.

use serde_json::json;
use sqlx::postgres::PgListener;
use time::Duration;
use time::format_description::well_known::Rfc3339;

use crate::support::admin::{Operator, with_admin};
use crate::support::app::{Session, TestApp};
use crate::support::house::{first_sweep, sweep};

/// Sessions of an hour.
const SHORT: (&str, &str) = ("AUTH_REFRESH_TOKEN_EXPIRES_IN", "3600");

/// Gives a user this many sessions that ended two days ago.
const EXPIRED: &str = "insert into auth.refresh_tokens
        (user_id, refresh_token_hash, created_at, expires_at, type)
 select $1::uuid, '\\x' || encode(sha256((n || $1::uuid::text)::bytea), 'hex'), now() - interval '32 days',
        now() - interval '2 days', 'regular'
   from generate_series(1, $2::int) n";

async fn expire(app: &TestApp, session: &Session, count: i32) {
    let mut db = app.database.connection().await;
    let insert = sqlx::query(EXPIRED).bind(session.user_id()).bind(count);
    insert.execute(&mut db).await.unwrap();
}

async fn is_there(app: &TestApp, id: &str) -> bool {
    let count = format!("select count(*) from auth.refresh_tokens where id = '{id}'");
    app.database.count(&count).await == 1
}

#[tokio::test]
async fn a_session_is_kept_for_a_day_after_its_end_and_one_that_lives_for_ever() {
    let app = TestApp::start(&[SHORT]).await;
    let old = app.anonymous().await;
    app.clock.advance(Duration::hours(25) - Duration::minutes(1));
    let young = app.anonymous().await;
    sweep(&app, "refresh_tokens").await;
    assert!(is_there(&app, old.id()).await && is_there(&app, young.id()).await);
    app.refresh(old.refresh_token()).await.assert_refused(401, "invalid-refresh-token");

    app.clock.advance(Duration::minutes(2));
    sweep(&app, "refresh_tokens").await;
    assert!(!is_there(&app, old.id()).await && is_there(&app, young.id()).await);
    app.refresh(old.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    app.refresh(young.refresh_token()).await.session();
}

#[tokio::test]
async fn a_session_that_refreshes_is_never_taken_for_one_that_ended() {
    let app = TestApp::start(&[SHORT, ("AUTH_SESSIONS_KEEP_EXPIRED", "0")]).await;
    let mut session = app.anonymous().await;
    for _ in 0..4 {
        app.clock.advance(Duration::minutes(59));
        session = app.refresh(session.refresh_token()).await.session();
        sweep(&app, "refresh_tokens").await;
    }
    app.clock.advance(Duration::minutes(61));
    sweep(&app, "refresh_tokens").await;
    assert!(!is_there(&app, session.id()).await, "where nothing is kept it goes at once");
}

#[tokio::test]
async fn a_personal_access_token_is_kept_for_ninety_days_and_never_while_a_session_of_it_lives() {
    let year = [("AUTH_REFRESH_TOKEN_EXPIRES_IN", "31536000")];
    let app = TestApp::start(&year).await;
    let session = app.sign_up("ann@example.com").await.session();
    let create = async |days| {
        let at = (app.clock.now() + Duration::days(days)).format(&Rfc3339).unwrap();
        let body = json!({"expiresAt": at});
        app.post_as("/pat", session.access_token(), body).await.json()
    };
    let text = |token: &serde_json::Value, name: &str| token[name].as_str().unwrap().to_owned();
    let (one, other) = (create(1).await, create(200).await);
    let body = json!({"personalAccessToken": text(&other, "personalAccessToken")});
    let of_other = app.post("/signin/pat", body).await.session();

    app.clock.advance(Duration::days(91) - Duration::minutes(1));
    sweep(&app, "refresh_tokens").await;
    assert!(is_there(&app, &text(&one, "id")).await);
    app.clock.advance(Duration::minutes(2));
    sweep(&app, "refresh_tokens").await;
    assert!(!is_there(&app, &text(&one, "id")).await && is_there(&app, &text(&other, "id")).await);

    // Somebody ends a token by hand, and does not end its session.
    let end = format!(
        "update auth.refresh_tokens set expires_at = now() - interval '1 year' where id = '{}'",
        text(&other, "id")
    );
    app.database.execute(&end).await;
    sweep(&app, "refresh_tokens").await;
    assert!(is_there(&app, &text(&other, "id")).await);
    let of_other = app.refresh(of_other.refresh_token()).await.session();
    let body = json!({"refreshToken": of_other.refresh_token()});
    app.post("/signout", body).await.assert_ok();
    sweep(&app, "refresh_tokens").await;
    assert!(!is_there(&app, &text(&other, "id")).await);
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn thousands_go_in_batches_are_counted_and_tell_nobody() {
    let app = TestApp::start(&with_admin(&[])).await;
    let live = app.anonymous().await;
    let mut listener = PgListener::connect(&app.database.url()).await.unwrap();
    listener.listen("keywright_changes").await.unwrap();
    // More than are found at once.
    expire(&app, &live, 2_500).await;
    sweep(&app, "refresh_tokens").await;
    assert_eq!(app.database.count("select count(*) from auth.refresh_tokens").await, 1);
    app.database.execute("select pg_notify('keywright_changes', 'the end')").await;
    loop {
        let notification = listener.recv().await.unwrap();
        assert!(!notification.payload().starts_with("user"), "{notification:?}");
        if notification.payload() == "the end" {
            break;
        }
    }
    let operator = Operator::of(&app);
    let removed = "keywright_housekeeping_removed_rows_total{table=\"refresh_tokens\"}";
    assert_eq!(operator.metrics().await.count(removed), 2_500);
    let house = operator.get("/ops/actors").await.json()["housekeeping"].clone();
    assert_eq!(house["keepsHouse"], true);
    let tables = house["tables"].as_array().unwrap();
    let table = tables.iter().find(|table| table["table"] == "refresh_tokens").unwrap();
    assert_eq!((&table["removed"], &table["refused"]), (&json!(2_500), &json!(0)));
    assert!(table["busyS"].as_f64().unwrap() > 0.0 && table["endedAt"].is_string(), "{table}");
    app.refresh(live.refresh_token()).await.session();
}

#[tokio::test]
async fn a_session_that_somebody_holds_or_that_postgres_does_not_let_go_keeps_no_other() {
    let app = TestApp::start(&with_admin(&[])).await;
    first_sweep(&app, "refresh_tokens").await;
    let live = app.anonymous().await;
    expire(&app, &live, 300).await;
    // One that an application refers to, and one that somebody holds.
    app.database
        .execute(
            "create table public.devices (
                 session_id uuid references auth.refresh_tokens (id) on delete restrict
             );
             insert into public.devices
             select id from auth.refresh_tokens where expires_at < now() order by id limit 1",
        )
        .await;
    let mut db = app.database.connection().await;
    sqlx::raw_sql(
        "begin;
         select from auth.refresh_tokens
          where expires_at < now() order by id desc limit 1 for key share",
    )
    .execute(&mut db)
    .await
    .unwrap();
    sweep(&app, "refresh_tokens").await;
    let left = "select count(*) from auth.refresh_tokens where expires_at < now()";
    assert_eq!(app.database.count(left).await, 2);
    let refused = "keywright_housekeeping_refused_rows_total{table=\"refresh_tokens\"}";
    assert_eq!(Operator::of(&app).metrics().await.count(refused), 1);

    sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
    app.database.execute("drop table public.devices").await;
    sweep(&app, "refresh_tokens").await;
    assert_eq!(app.database.count(left).await, 0);
    app.refresh(live.refresh_token()).await.session();
}
