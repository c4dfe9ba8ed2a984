//! A task of an actor that panics: its callers are told at once, no flag stays set, and the next one
//! does its work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keywright::actors::challenge_store::ChallengeStoreMsg;
use keywright::app::App;
use keywright::metrics::ActorStats;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::app::{PASSWORD, Session, TestApp};
use crate::support::smtp::{SmtpServer, Tls, eventually};

/// Nobody is to wait for this.
const DEADLINE: Duration = Duration::from_mins(1);

const PATIENT: [(&str, &str); 5] = [
    ("AUTH_ACTOR_CALL_TIMEOUT", "1m"),
    ("AUTH_HTTP_REQUEST_TIMEOUT", "2m"),
    ("AUTH_ACTOR_BACKOFF_MIN", "1ms"),
    ("AUTH_WEBAUTHN_ENABLED", "true"),
    ("AUTH_JWT_CUSTOM_CLAIMS", r#"{"plan":"metadata.plan"}"#),
];

/// A task of an actor, by what makes it run.
struct Task {
    what: &'static str,
    stats: fn(&App) -> Arc<ActorStats>,
    run: fn(&TestApp, Arc<Session>) -> futures_util::future::BoxFuture<'_, Option<StatusCode>>,
}

fn shard(app: &App) -> Arc<ActorStats> {
    Arc::clone(app.actors.sessions.shards()[0].stats())
}

const TASKS: [Task; 9] = [
    Task {
        what: "find a session",
        stats: shard,
        run: |app, _| {
            Box::pin(async {
                let unknown = "9a1b0c6e-0000-4000-8000-000000000000";
                Some(app.refresh(unknown).await.status)
            })
        },
    },
    Task {
        what: "rotate",
        stats: shard,
        run: |app, session| {
            Box::pin(async move { Some(app.refresh(session.refresh_token()).await.status) })
        },
    },
    Task {
        what: "load a user",
        stats: shard,
        run: |app, session| {
            Box::pin(async move {
                app.app().actors.sessions.users().forget_all();
                Some(app.get_as("/user", session.access_token()).await.status)
            })
        },
    },
    Task {
        what: "read custom claims",
        stats: |app| Arc::clone(app.actors.claims_reader.stats()),
        run: |app, _| {
            Box::pin(async {
                // Without its claims a session is one all the same.
                app.anonymous().await;
                None
            })
        },
    },
    Task {
        what: "store a flow",
        stats: |app| Arc::clone(app.actors.challenges.actor().stats()),
        run: |app, _| {
            Box::pin(async {
                let body = json!({"email": "key@example.com"});
                Some(app.post("/signup/webauthn", body).await.status)
            })
        },
    },
    Task {
        what: "look at what is too much",
        stats: |app| Arc::clone(app.actors.challenges.actor().stats()),
        run: |app, _| {
            Box::pin(async {
                app.app().actors.challenges.actor().cast(ChallengeStoreMsg::Sweep);
                None
            })
        },
    },
    Task {
        what: "deliver mail",
        stats: |app| Arc::clone(app.actors.courier.stats()),
        run: |app, _| {
            Box::pin(async {
                let body = json!({"email": "ina@example.com"});
                app.post("/user/password/reset", body).await.assert_ok();
                None
            })
        },
    },
    Task {
        what: "remove what has expired",
        stats: |app| Arc::clone(app.actors.housekeeping.actor().stats()),
        run: |app, _| {
            Box::pin(async {
                app.app().actors.housekeeping.actor().crash();
                None
            })
        },
    },
    Task {
        what: "listen for changes",
        stats: |app| Arc::clone(app.actors.change_feed.stats()),
        run: |app, _| {
            Box::pin(async {
                app.app().actors.change_feed.crash();
                None
            })
        },
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_panics_is_told_at_once_and_the_next_one_works() {
    let server = SmtpServer::start(Tls::Never).await;
    let port = server.address.port().to_string();
    let mail = [
        ("AUTH_SMTP_HOST", "127.0.0.1"),
        ("AUTH_SMTP_PORT", port.as_str()),
        ("AUTH_SMTP_SENDER", "auth@example.com"),
    ];
    let app = TestApp::start(&[&PATIENT[..], &mail].concat()).await;
    let session = Arc::new(app.sign_up("ina@example.com").await.session());
    for task in &TASKS {
        let stats = (task.stats)(app.app());
        let panics = stats.task_panics.get();
        stats.fail_next_task();
        let asked = Instant::now();
        if let Some(status) = (task.run)(&app, Arc::clone(&session)).await {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{}", task.what);
        }
        assert!(asked.elapsed() < DEADLINE / 2, "{}: {:?}", task.what, asked.elapsed());
        eventually(task.what, async || stats.task_panics.get() > panics).await;
        if let Some(status) = (task.run)(&app, Arc::clone(&session)).await {
            assert_ne!(status, StatusCode::SERVICE_UNAVAILABLE, "{}", task.what);
        }
    }
    // All of them are well again.
    let users = app.app().actors.sessions.users();
    eventually("the feed to vouch for the cache", async || users.is_served()).await;
    eventually("the mail", async || !server.received().is_empty()).await;
    app.sign_in("ina@example.com", PASSWORD).await.session();
    app.get("/healthz").await.assert_ok();
}
