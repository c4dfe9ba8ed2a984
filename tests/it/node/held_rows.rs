//! Somebody holds rows or a table in a transaction that goes on: who needs them is told to come again,
//! and everybody else is served as if nothing were.
//!
//! What holds lets go only when the test says so, so whatever is answered meanwhile has not waited
//! for it.

use futures_util::future::join_all;
use reqwest::StatusCode;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::app::{PASSWORD, Session, TestApp, TestResponse};
use crate::support::load::assert_shed;
use crate::support::smtp::eventually;

/// What is held, while which requests are made.
struct Held {
    what: &'static str,
    /// `{users}` stands for the users whose rows they are.
    sql: &'static str,
    owners: usize,
    /// Whether the refreshes of others go on.
    others_refresh: bool,
    /// Whether others may sign in meanwhile.
    others_sign_in: bool,
}

const HELD: [Held; 7] = [
    Held {
        what: "one session",
        sql: "select from auth.refresh_tokens where user_id in ({users}) for update",
        owners: 1,
        others_refresh: true,
        others_sign_in: true,
    },
    Held {
        what: "ten sessions",
        sql: "select from auth.refresh_tokens where user_id in ({users}) for update",
        owners: 10,
        others_refresh: true,
        others_sign_in: true,
    },
    Held {
        what: "a delete with all that hangs on it",
        sql: "delete from auth.users where id in ({users})",
        owners: 2,
        others_refresh: true,
        others_sign_in: true,
    },
    Held {
        what: "an update of users, whose sessions refresh nevertheless",
        sql: "update auth.users set display_name = 'x' where id in ({users})",
        owners: 0,
        others_refresh: true,
        others_sign_in: true,
    },
    Held {
        what: "a table, as vacuum full does",
        sql: "lock table auth.refresh_tokens in access exclusive mode",
        owners: 2,
        others_refresh: false,
        others_sign_in: false,
    },
    Held {
        what: "a table against writes, as create index does",
        sql: "lock table auth.refresh_tokens in share mode",
        owners: 2,
        others_refresh: false,
        others_sign_in: false,
    },
    Held {
        what: "a table, as create index concurrently does",
        sql: "lock table auth.refresh_tokens in share update exclusive mode",
        owners: 0,
        others_refresh: true,
        others_sign_in: true,
    },
];

async fn hold(db: &mut PgConnection, held: &Held, users: &[&Session]) {
    let users: Vec<String> = users.iter().map(|user| format!("'{}'", user.user_id())).collect();
    let sql = format!("begin; {}", held.sql.replace("{users}", &users.join(", ")));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.unwrap();
}

async fn refresh_all(app: &TestApp, sessions: &[&Session]) -> Vec<TestResponse> {
    join_all(sessions.iter().map(|session| app.refresh(session.refresh_token()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_needs_what_is_held_comes_again_and_nobody_else_waits() {
    for held in &HELD {
        let app = TestApp::start(&[]).await;
        let ola = app.sign_up("ola@example.com").await.session();
        let sessions: Vec<Session> = join_all((0..30).map(|_| app.anonymous())).await;
        let sessions: Vec<&Session> = sessions.iter().collect();
        let (owners, others) = sessions.split_at(held.owners);
        let users = if held.owners == 0 { others } else { owners };

        let mut holder = app.database.connection().await;
        hold(&mut holder, held, users).await;
        for round in 0..3 {
            let (of_owners, of_others) =
                tokio::join!(refresh_all(&app, owners), refresh_all(&app, others));
            for response in &of_owners {
                assert_shed(response);
            }
            for response in &of_others {
                let what = format!("{}, round {round}: {response:?}", held.what);
                if held.others_refresh {
                    assert_eq!(response.status, StatusCode::OK, "{what}");
                } else {
                    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE, "{what}");
                }
            }
            let signed_in = app.sign_in("ola@example.com", PASSWORD).await;
            if held.others_sign_in {
                signed_in.session();
            } else {
                assert_shed(&signed_in);
            }
            // Users and keys are not in that table.
            assert_eq!(app.get_as("/user", ola.access_token()).await.status, StatusCode::OK);
            app.get("/healthz").await.assert_ok();
        }

        sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
        for session in &sessions {
            let is_served = async || app.refresh(session.refresh_token()).await.status;
            eventually(held.what, async || is_served().await == StatusCode::OK).await;
        }
        app.sign_in("ola@example.com", PASSWORD).await.session();
    }
}

/// Sessions of which a node knows whose they are need nothing of the table of users.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_table_of_users_is_held_known_sessions_refresh_and_unknown_ones_come_again() {
    let app = TestApp::start(&[]).await;
    let elsewhere = TestApp::start_on(app.database.clone(), &[]).await;
    let mut known: Vec<Session> = join_all((0..20).map(|_| app.anonymous())).await;
    let unknown: Vec<Session> = join_all((0..5).map(|_| elsewhere.anonymous())).await;
    let unknown: Vec<&Session> = unknown.iter().collect();
    let mut holder = app.database.connection().await;
    let sql = "begin; lock table auth.users in access exclusive mode";
    sqlx::raw_sql(sql).execute(&mut holder).await.unwrap();
    for _ in 0..4 {
        let asked: Vec<&Session> = known.iter().collect();
        let (of_known, of_unknown) =
            tokio::join!(refresh_all(&app, &asked), refresh_all(&app, &unknown));
        known = of_known.iter().map(TestResponse::session).collect();
        of_unknown.iter().for_each(assert_shed);
    }
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    for session in unknown.into_iter().chain(&known) {
        let is_served = async || app.refresh(session.refresh_token()).await.status;
        eventually("the table", async || is_served().await == StatusCode::OK).await;
    }
}

/// Many requests about one user whose row is held would each wait on a connection of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_the_row_of_one_user_leaves_the_connections_to_others() {
    let app = TestApp::start(&[("AUTH_POSTGRES_MAX_CONNECTIONS", "5")]).await;
    let una = app.sign_up("una@example.com").await.session();
    app.sign_up("ola@example.com").await.session();
    let mut holder = app.database.connection().await;
    let sql = format!("begin; select from auth.users where id = '{}' for update", una.user_id());
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut holder).await.unwrap();

    let crowd = join_all((0..20).map(|_| app.sign_in("una@example.com", PASSWORD)));
    let others = async {
        for _ in 0..5 {
            app.sign_in("ola@example.com", PASSWORD).await.session();
        }
    };
    let (crowd, ()) = tokio::join!(crowd, others);
    for response in crowd {
        assert_shed(&response);
    }
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    app.sign_in("una@example.com", PASSWORD).await.session();
}

/// A statement whose client has gone must not wait for a lock until Postgres' own limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_nobody_waits_for_any_more_ends() {
    let app = TestApp::start(&[]).await;
    let mut holder = app.database.connection().await;
    sqlx::raw_sql("begin; lock table auth.keywright_settings in access exclusive mode")
        .execute(&mut holder)
        .await
        .unwrap();
    let pool = &app.app().pool;
    let given_up = async {
        let mut connection = pool.acquire().await.unwrap();
        sqlx::raw_sql("set lock_timeout = 0; set statement_timeout = 0")
            .execute(&mut *connection)
            .await
            .unwrap();
        let read = sqlx::query("select from auth.keywright_settings /* given up */");
        read.execute(&mut *connection).await.unwrap();
    };
    let waiting = "select count(*) from pg_stat_activity
                    where query like '%/* given up */' and wait_event_type = 'Lock'
                      and pid <> pg_backend_pid() and datname = current_database()";
    tokio::select! {
        () = given_up => panic!("the table is held"),
        () = eventually("it to wait", async || app.database.count(waiting).await == 1) => {}
    }
    // The statement was dropped where it waited.
    eventually("it to end", async || app.database.count(waiting).await == 0).await;
}
