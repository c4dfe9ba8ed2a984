//! Caches are never wrong, and cost nothing that was meant to be saved.

use std::sync::Arc;
use std::time::Duration;

use keywright::domain::ids::UserId;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::app::{Session, TestApp, TestResponse};
use crate::support::link::{Fault, Link, On};
use crate::support::postgres::TestDatabase;
use crate::support::random::Random;
use crate::support::smtp::eventually;

/// A server with a user whose row it has in memory, and somebody else's connection to the database.
struct Cached {
    app: TestApp,
    session: Session,
    link: Link,
    others: PgConnection,
}

impl Cached {
    async fn start() -> Self {
        let direct = TestDatabase::new().await;
        let link = Link::to(&direct.url()).await;
        let database = TestDatabase::at(link.url(direct.name()), direct.name());
        let app = TestApp::start_on(Arc::new(database), &[]).await;
        let session = app.sign_up("gil@example.com").await.session();
        let others = direct.connection().await;
        let cached = Self { app, session, link, others };
        cached.in_memory().await;
        cached
    }

    fn user_id(&self) -> Uuid {
        self.session.user_id()
    }

    async fn profile(&self) -> TestResponse {
        self.app.get_as("/user", self.session.access_token()).await
    }

    fn is_in_memory(&self) -> bool {
        self.app.app().actors.sessions.users().get(UserId(self.user_id())).is_some()
    }

    /// Waits until the cache serves this user.
    async fn in_memory(&self) {
        eventually("the user to be in memory", async || {
            self.profile().await;
            self.is_in_memory()
        })
        .await;
    }

    /// Waits until the cache is not asked any more.
    async fn bypassed(&self) {
        eventually("the cache to be bypassed", async || {
            !self.app.app().actors.sessions.users().is_served()
        })
        .await;
    }

    /// Somebody else's change, by plain SQL; `$1` is the user.
    async fn change(&mut self, statement: &str) {
        let id = format!("'{}'", self.user_id());
        sqlx::raw_sql(AssertSqlSafe(statement.replace("$1", &id)))
            .execute(&mut self.others)
            .await
            .unwrap();
    }

    async fn set_name(&mut self, name: &str) {
        self.change(&format!("update auth.users set display_name = '{name}' where id = $1")).await;
    }

    async fn name(&self) -> String {
        self.profile().await.json()["displayName"].as_str().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn every_change_by_plain_sql_is_noticed() {
    let mut cached = Cached::start().await;
    let changes: [(&str, &str, Value); 9] = [
        ("update auth.users set display_name = 'Gil' where id = $1", "/displayName", json!("Gil")),
        (
            "update auth.users set metadata = '{\"a\": 1}' where id = $1",
            "/metadata",
            json!({"a": 1}),
        ),
        (
            "update auth.users set email = 'new@example.com' where id = $1",
            "/email",
            json!("new@example.com"),
        ),
        ("update auth.users set locale = 'de' where id = $1", "/locale", json!("de")),
        (
            "update auth.users set default_role = 'editor' where id = $1",
            "/defaultRole",
            json!("editor"),
        ),
        (
            "update auth.users set avatar_url = 'https://a.test' where id = $1",
            "/avatarUrl",
            json!("https://a.test"),
        ),
        (
            "delete from auth.user_roles where user_id = $1 and role <> 'me'",
            "/roles",
            json!(["me"]),
        ),
        ("update auth.user_roles set role = 'user' where user_id = $1", "/roles", json!(["user"])),
        (
            "insert into auth.user_roles (user_id, role, created_at) values ($1, 'me', now() + interval '1 day')",
            "/roles",
            json!(["user", "me"]),
        ),
    ];
    for (statement, member, value) in changes {
        cached.in_memory().await;
        assert_ne!(cached.profile().await.json().pointer(member), Some(&value), "{statement}");
        cached.change(statement).await;
        eventually(statement, async || {
            cached.profile().await.json().pointer(member) == Some(&value)
        })
        .await;
    }
}

#[tokio::test]
async fn a_disabled_a_deleted_and_a_truncated_user_are_noticed() {
    for (statement, status, code) in [
        ("update auth.users set disabled = true where id = $1", 401, "disabled-user"),
        ("delete from auth.users where id = $1", 401, "invalid-refresh-token"),
        ("truncate auth.users cascade", 401, "invalid-refresh-token"),
    ] {
        let mut cached = Cached::start().await;
        cached.change(statement).await;
        eventually(statement, async || cached.profile().await.status != StatusCode::OK).await;
        let response = cached.app.refresh(cached.session.refresh_token()).await;
        response.assert_refused(status, code);
    }
}

#[tokio::test]
async fn while_the_feed_is_cut_every_change_is_noticed_by_the_next_request() {
    let mut cached = Cached::start().await;
    for round in 0..3 {
        cached.link.set(Fault::Cut(On::Listeners));
        cached.bypassed().await;
        for change in 0..5 {
            let name = format!("cut {round} {change}");
            cached.set_name(&name).await;
            assert_eq!(cached.name().await, name);
        }
        let body = json!({"refreshToken": cached.session.refresh_token()});
        cached.session = cached.app.post("/token", body).await.session();
        assert_eq!(cached.session.0["user"]["displayName"], format!("cut {round} 4"));

        cached.link.set(Fault::None);
        cached.in_memory().await;
        assert_eq!(cached.name().await, format!("cut {round} 4"));
    }
}

#[tokio::test]
async fn a_killed_feed_connection_is_replaced_and_misses_nothing() {
    let mut cached = Cached::start().await;
    for round in 0..5 {
        let killed: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
              where datname = current_database() and pid <> pg_backend_pid()",
        )
        .fetch_one(&mut cached.others)
        .await
        .unwrap();
        assert!(killed > 0);
        let name = format!("killed {round}");
        cached.set_name(&name).await;
        eventually("the change", async || cached.name().await == name).await;
        cached.in_memory().await;
        assert_eq!(cached.name().await, name);
    }
}

#[tokio::test]
async fn a_feed_that_hears_nothing_lets_its_lease_run_out_and_recovers() {
    let mut cached = Cached::start().await;
    cached.link.set(Fault::Freeze(On::Listeners));
    cached.set_name("unheard").await;
    // The lease is all that ends this.
    tokio::time::timeout(Duration::from_secs(4), cached.bypassed()).await.unwrap();
    for change in 0..5 {
        let name = format!("frozen {change}");
        cached.set_name(&name).await;
        assert_eq!(cached.name().await, name);
    }
    cached.link.set(Fault::None);
    cached.in_memory().await;
    assert_eq!(cached.name().await, "frozen 4");
    cached.set_name("heard").await;
    eventually("the change", async || cached.name().await == "heard").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_race_with_changes_never_go_back_and_never_stay_behind() {
    let mut random = Random::for_test("reads_that_race_with_changes");
    let cached = Cached::start().await;
    let Cached { app, session, mut others, .. } = cached;
    let number = async || {
        let user =
            app.app().actors.sessions.user(UserId(session.user_id())).await.unwrap().unwrap();
        user.user.display_name.parse::<u32>().unwrap_or_default()
    };
    let mut written = 0;
    for _ in 0..60 {
        let (goal, pauses) = (written + 3, random.below(20));
        let writing = async {
            while written < goal {
                written += 1;
                for _ in 0..pauses {
                    tokio::task::yield_now().await;
                }
                sqlx::query("update auth.users set display_name = $2 where id = $1")
                    .bind(session.user_id())
                    .bind(written.to_string())
                    .execute(&mut others)
                    .await
                    .unwrap();
            }
        };
        let reading = async || {
            let mut last = 0;
            eventually("the last change", async || {
                let seen = number().await;
                assert!(seen >= last, "{seen} after {last}");
                last = seen;
                // Now and then the cache is emptied, so that reads load in the middle of changes.
                if seen % 2 == 0 {
                    app.app().actors.sessions.users().forget(UserId(session.user_id()));
                }
                seen == goal
            })
            .await;
        };
        tokio::join!(writing, reading(), reading(), reading());
    }
    assert_eq!(app.get_as("/user", session.access_token()).await.json()["displayName"], "180");
}

/// Counts writes to `auth.users` from now on.
async fn count_user_writes(database: &TestDatabase) -> PgConnection {
    let mut connection = database.connection().await;
    sqlx::raw_sql(
        "create table public.user_writes (id uuid);
         create function public.note_user_write() returns trigger language plpgsql as $$
         begin insert into public.user_writes values (new.id); return null; end $$;
         create trigger note_user_write after update on auth.users
         for each row execute function public.note_user_write();",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection
}

async fn user_writes(connection: &mut PgConnection) -> i64 {
    let count = sqlx::query_scalar("select count(*) from public.user_writes");
    count.fetch_one(connection).await.unwrap()
}

async fn last_seen(connection: &mut PgConnection, user_id: Uuid) -> OffsetDateTime {
    let value = sqlx::query_scalar("select last_seen from auth.users where id = $1");
    value.bind(user_id).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn last_seen_is_written_once_for_many_refreshes_and_when_the_server_stops() {
    let app = TestApp::start(&[("AUTH_LAST_SEEN_INTERVAL", "1h")]).await;
    let mut session = app.anonymous().await;
    let user_id = session.user_id();
    let mut connection = count_user_writes(&app.database).await;
    let signed_in = last_seen(&mut connection, user_id).await;
    for _ in 0..10 {
        app.clock.advance(time::Duration::seconds(60));
        session = app.refresh(session.refresh_token()).await.session();
    }
    let refreshed = app.clock.now();
    assert_eq!(user_writes(&mut connection).await, 0);
    assert_eq!(last_seen(&mut connection, user_id).await, signed_in);

    app.stop().await;
    assert_eq!(user_writes(&mut connection).await, 1);
    let written = last_seen(&mut connection, user_id).await;
    assert!(written <= refreshed && refreshed - written < time::Duration::seconds(30), "{written}");
}

#[tokio::test]
async fn last_seen_is_written_soon_while_the_server_runs() {
    let app = TestApp::start(&[("AUTH_LAST_SEEN_INTERVAL", "50ms")]).await;
    let session = app.anonymous().await;
    let mut connection = app.database.connection().await;
    let before = last_seen(&mut connection, session.user_id()).await;
    app.clock.advance(time::Duration::seconds(60));
    app.refresh(session.refresh_token()).await.session();
    eventually("last_seen", async || last_seen(&mut connection, session.user_id()).await > before)
        .await;
}

#[tokio::test]
async fn rotations_and_last_seen_notify_nobody() {
    let app = TestApp::start(&[("AUTH_LAST_SEEN_INTERVAL", "20ms")]).await;
    let session = app.sign_up("hal@example.com").await.session();
    let mut listener = PgListener::connect(&app.database.url()).await.unwrap();
    listener.listen("keywright_changes").await.unwrap();

    let mut connection = app.database.connection().await;
    let before = last_seen(&mut connection, session.user_id()).await;
    app.clock.advance(time::Duration::seconds(60));
    let mut token = session.refresh_token().to_owned();
    for _ in 0..10 {
        token = app.refresh(&token).await.session().refresh_token().to_owned();
    }
    eventually("last_seen", async || last_seen(&mut connection, session.user_id()).await > before)
        .await;
    app.sign_in("hal@example.com", crate::support::app::PASSWORD).await.session();
    app.post("/signout", json!({"refreshToken": token})).await;
    sqlx::query("select pg_notify('keywright_changes', 'all')")
        .execute(&mut connection)
        .await
        .unwrap();
    // Notifications arrive in the order of their commits; those of the feed tell nobody anything.
    let told = loop {
        let told = listener.recv().await.unwrap().payload().to_owned();
        if !told.starts_with("beat:") {
            break told;
        }
    };
    assert_eq!(told, "all");
}
