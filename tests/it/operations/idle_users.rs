//! Anonymous users who do not come any more go, if the operator wants that, and nobody else does.

use time::Duration;
use uuid::Uuid;

use crate::support::admin::{Operator, with_admin};
use crate::support::app::{Session, TestApp};
use crate::support::house::{first_sweep, sweep, sweeps};
use crate::support::smtp::eventually;

/// Sessions outlive what is kept of users without one.
const LONG: (&str, &str) = ("AUTH_REFRESH_TOKEN_EXPIRES_IN", "31536000");
const KEEP: (&str, &str) = ("AUTH_ANONYMOUS_USERS_KEEP", "720h");

async fn is_there(app: &TestApp, user: Uuid) -> bool {
    app.database.count(&format!("select count(*) from auth.users where id = '{user}'")).await == 1
}

/// Ends the sessions of a user.
async fn sign_out(app: &TestApp, session: &Session) {
    let body = serde_json::json!({"refreshToken": session.refresh_token()});
    app.post("/signout", body).await.assert_ok();
}

/// An anonymous user without a session.
async fn left(app: &TestApp) -> Uuid {
    let session = app.anonymous().await;
    sign_out(app, &session).await;
    session.user_id()
}

#[tokio::test]
async fn without_the_setting_nobody_goes() {
    let app = TestApp::start(&[LONG]).await;
    let user = left(&app).await;
    app.clock.advance(Duration::days(3_650));
    sweep(&app, "refresh_tokens").await;
    assert!(is_there(&app, user).await);
    assert_eq!(sweeps(&app, "users"), 0);
}

#[tokio::test]
async fn only_anonymous_users_go_who_came_long_ago_and_have_nothing_to_come_back_with() {
    let app = TestApp::start(&[LONG, KEEP]).await;
    let gone = left(&app).await;
    let registered = app.sign_up("ann@example.com").await.session();
    sign_out(&app, &registered).await;
    let with_session = app.anonymous().await;
    // A token of an earlier time; today they are for registered users.
    let with_pat = left(&app).await;
    let pat = format!(
        "insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at, type)
         values ('{with_pat}', '\\x00', now() + interval '1 year', 'pat')"
    );
    app.database.execute(&pat).await;
    app.database
        .execute(&format!(
            "create table public.carts (user_id uuid references auth.users on delete cascade);
             insert into public.carts values ('{gone}')"
        ))
        .await;
    app.clock.advance(Duration::days(20));
    let recent = left(&app).await;
    let back = app.anonymous().await;
    app.clock.advance(Duration::days(10) - Duration::minutes(1));
    sweep(&app, "users").await;
    assert!(is_there(&app, gone).await, "not yet");

    app.clock.advance(Duration::minutes(2));
    sweep(&app, "users").await;
    assert!(!is_there(&app, gone).await);
    let hangs_on = "select (select count(*) from public.carts)
                         + (select count(*) from auth.user_roles where user_id not in
                               (select id from auth.users))";
    assert_eq!(app.database.count(hangs_on).await, 0, "what hangs on a user goes along");
    for (who, user) in [
        ("registered", registered.user_id()),
        ("with a session", with_session.user_id()),
        ("with a token", with_pat),
        ("recent", recent),
    ] {
        assert!(is_there(&app, user).await, "{who}");
    }
    app.refresh(with_session.refresh_token()).await.session();

    // What counts is when somebody came last, not when the user was made.
    app.clock.advance(Duration::days(19));
    let back = app.refresh(back.refresh_token()).await.session();
    let seen = format!(
        "select count(*) from auth.users
          where id = '{}' and last_seen > now() + interval '40 days'",
        back.user_id()
    );
    eventually("the time of the refresh", async || app.database.count(&seen).await == 1).await;
    sign_out(&app, &back).await;
    app.clock.advance(Duration::days(12));
    sweep(&app, "users").await;
    assert!(!is_there(&app, recent).await && is_there(&app, back.user_id()).await);
    app.sign_in("ann@example.com", crate::support::app::PASSWORD).await.session();
}

#[tokio::test]
async fn a_user_who_is_held_or_whom_postgres_does_not_let_go_keeps_no_other() {
    let app = TestApp::start(&with_admin(&[LONG, KEEP])).await;
    first_sweep(&app, "users").await;
    app.anonymous().await;
    app.database
        .execute(
            "insert into auth.users (locale, is_anonymous, default_role, created_at)
             select 'en', true, 'anonymous', now() - interval '1 year'
               from generate_series(1, 150);
             create table public.orders (user_id uuid references auth.users on delete restrict);
             insert into public.orders
             select id from auth.users where last_seen is null order by id limit 1",
        )
        .await;
    let mut db = app.database.connection().await;
    // As somebody does who is about to sign in.
    sqlx::raw_sql(
        "begin;
         select from auth.users where last_seen is null order by id desc limit 1 for no key update",
    )
    .execute(&mut db)
    .await
    .unwrap();
    sweep(&app, "users").await;
    let left = "select count(*) from auth.users where last_seen is null";
    assert_eq!(app.database.count(left).await, 2);
    let operator = Operator::of(&app);
    let count = |name: &str| format!("keywright_housekeeping_{name}_rows_total{{table=\"users\"}}");
    let metrics = operator.metrics().await;
    assert_eq!(metrics.count(&count("removed")), 148);
    assert_eq!(metrics.count(&count("refused")), 1);

    sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
    app.database.execute("drop table public.orders").await;
    sweep(&app, "users").await;
    assert_eq!(app.database.count(left).await, 0);
}
