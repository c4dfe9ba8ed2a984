//! Custom claims of many users at once: few queries, and each user an own result.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use keywright::metrics::BatcherStats;
use serde_json::{Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::support::app::{PASSWORD, Session, TestApp};
use crate::support::gate::{Gate, Verdict};
use crate::support::hasura::{Hasura, Say};
use crate::support::jwt::payload;
use crate::support::postgres::TestDatabase;
use crate::support::smtp::eventually;

/// Users of a batch.
const MANY: usize = 24;

/// Nothing in these tests waits for this long.
const PATIENT: [(&str, &str); 1] = [("AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT", "40s")];

fn claim(session: &Session, name: &str) -> Value {
    let claims = &payload(session.access_token())["https://hasura.io/jwt/claims"];
    claims[format!("x-hasura-{name}")].clone()
}

fn reads(app: &TestApp) -> Arc<BatcherStats> {
    app.app().actors.claims_reader.stats().batcher("read")
}

async fn refresh(app: &TestApp, session: &Session) -> Session {
    app.refresh(session.refresh_token()).await.session()
}

/// Sessions of as many users, whose claims have to be read anew.
async fn sessions(app: &TestApp) -> Vec<Session> {
    let mut sessions = Vec::new();
    for _ in 0..MANY {
        sessions.push(app.anonymous().await);
    }
    app.clock.advance(time::Duration::minutes(1));
    sessions
}

/// Refreshes all at once: the first query is held until everybody else waits for the next one.
async fn refresh_at_once(
    app: &TestApp,
    sessions: &[Session],
    release: impl AsyncFn(),
) -> Vec<Session> {
    let stats = reads(app);
    let count = f64::from(u32::try_from(sessions.len()).unwrap());
    let before = stats.sizes().sum();
    let mut refreshing = pin!(join_all(sessions.iter().map(|session| refresh(app, session))));
    let all_there = eventually("all to be read or to wait", async || {
        let waiting = u32::try_from(stats.waiting.load(Ordering::Relaxed)).unwrap();
        stats.sizes().sum() - before + f64::from(waiting) >= count
    });
    tokio::select! {
        _ = &mut refreshing => panic!("nobody was held"),
        () = all_there => {}
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    loop {
        tokio::select! {
            refreshed = &mut refreshing => return refreshed,
            _ = ticks.tick() => release().await,
        }
    }
}

/// A server whose statements about claims can be held.
struct Held {
    app: TestApp,
    gate: Gate,
}

impl Held {
    async fn start(claims: &str) -> Self {
        let database = TestDatabase::new().await;
        let word = "with ordinality as b (id, n)";
        let gate = Gate::to(&database.url(), word, Arc::new(Notify::new())).await;
        let url = gate.url(database.name());
        let settings =
            [&PATIENT[..], &[("AUTH_JWT_CUSTOM_CLAIMS", claims), ("POSTGRES_CONNECTION", &url)]];
        let app = TestApp::start_on(Arc::new(database), &settings.concat()).await;
        app.database
            .execute(
                "create type public.mood as enum ('fine', 'unspeakable'); \
                 create function public.mood_json(public.mood) returns json language plpgsql as $$ \
                     begin \
                         if $1 = 'unspeakable' then raise exception 'nobody can say that'; end if; \
                         return to_json($1::text); \
                     end $$; \
                 create cast (public.mood as json) with function public.mood_json(public.mood); \
                 create table public.profiles ( \
                     user_id uuid primary key references auth.users (id) on delete cascade, \
                     city text, mood public.mood not null default 'fine')",
            )
            .await;
        Self { app, gate }
    }

    async fn refresh_at_once(&self, sessions: &[Session]) -> Vec<Session> {
        self.gate.close();
        let refreshed = refresh_at_once(&self.app, sessions, async || {
            while self.gate.waiting().is_some() {
                self.gate.decide(Verdict::Pass);
            }
        })
        .await;
        self.gate.open();
        refreshed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_refresh_at_once_share_a_statement() {
    let held = Held::start(r#"{"city":"profile.city"}"#).await;
    let app = &held.app;
    let sessions = sessions(app).await;
    app.database
        .execute("insert into public.profiles select id, 'near ' || id from auth.users")
        .await;
    let before = reads(app).sizes().count();
    let refreshed = held.refresh_at_once(&sessions).await;
    for session in &refreshed {
        assert_eq!(claim(session, "city"), format!("near {}", session.user_id()));
    }
    let batches = reads(app).sizes().count() - before;
    assert!(batches <= 3, "{batches} statements for {MANY} users");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_rows_cannot_be_read_costs_nobody_else_their_claims() {
    let held = Held::start(r#"{"city":"profile.city","mood":"profile.mood"}"#).await;
    let app = &held.app;
    let sessions = sessions(app).await;
    let bad = [sessions[7].user_id(), sessions[MANY - 1].user_id()];
    app.database
        .execute(&format!(
            "insert into public.profiles select id, 'Brno', \
                 (case when id in ('{}', '{}') then 'unspeakable' else 'fine' end)::public.mood \
               from auth.users",
            bad[0], bad[1]
        ))
        .await;
    for session in held.refresh_at_once(&sessions).await {
        let is_bad = bad.contains(&session.user_id());
        let expected = if is_bad { json!([null, null]) } else { json!(["Brno", "fine"]) };
        assert_eq!(json!([claim(&session, "city"), claim(&session, "mood")]), expected);
        assert_eq!(claim(&session, "default-role"), "anonymous");
    }
}

/// A server with a Hasura that tells ids, whose queries can be held.
async fn with_hasura(more: &[(&str, &str)]) -> (TestApp, Hasura) {
    let hasura = Hasura::start(json!({})).await;
    hasura.say(Say::IdsBut(Vec::new()));
    let settings = [
        ("HASURA_GRAPHQL_GRAPHQL_URL", hasura.url.as_str()),
        ("HASURA_GRAPHQL_ADMIN_SECRET", "the admin's secret"),
        ("AUTH_JWT_CUSTOM_CLAIMS", r#"{"me":"id"}"#),
    ];
    let app = TestApp::start(&[&settings, &PATIENT[..], more].concat()).await;
    (app, hasura)
}

/// Refreshes all at once; returns the sessions, and the users of each query.
async fn refresh_by_hasura(
    app: &TestApp,
    hasura: &Hasura,
    sessions: &[Session],
) -> (Vec<Session>, Vec<usize>) {
    let before = hasura.asked().len();
    hasura.hold(true);
    let refreshed = refresh_at_once(app, sessions, async || hasura.hold(false)).await;
    let users = |body: &Value| body["variables"]["ids"].as_array().map_or(1, Vec::len);
    let asked = hasura.asked().split_off(before);
    (refreshed, asked.iter().map(|asked| users(&asked.body)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn hasura_gets_one_query_for_many_users() {
    let (app, hasura) = with_hasura(&[]).await;
    let sessions = sessions(&app).await;
    let (refreshed, asked) = refresh_by_hasura(&app, &hasura, &sessions).await;
    for session in &refreshed {
        assert_eq!(claim(session, "me"), session.user_id().to_string());
    }
    assert_eq!(asked.iter().sum::<usize>(), MANY);
    assert!(asked.len() <= 3, "{asked:?}");
    let query = hasura.asked().pop().unwrap();
    assert_eq!(query.secret, "the admin's secret");
    let text = "query GetClaims($ids: [uuid!]!) { users(where:{id:{_in:$ids}}) {id id } }";
    assert_eq!(query.body["query"], text);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_query_for_many_fails_each_user_is_asked_for_alone() {
    let (app, hasura) = with_hasura(&[]).await;
    let sessions = sessions(&app).await;
    let bad: Vec<Uuid> = sessions[3..9].iter().map(Session::user_id).collect();
    hasura.say(Say::IdsBut(bad.clone()));
    let (refreshed, asked) = refresh_by_hasura(&app, &hasura, &sessions).await;
    for session in &refreshed {
        let id = session.user_id();
        let expected = if bad.contains(&id) { Value::Null } else { json!(id) };
        assert_eq!(claim(session, "me"), expected);
    }
    assert!(asked.iter().filter(|users| **users == 1).count() >= MANY / 2, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_hasura_tells_of_some_users_only_the_others_are_asked_for_alone() {
    let (app, hasura) = with_hasura(&[]).await;
    let sessions = sessions(&app).await;
    let bad: Vec<Uuid> = sessions[3..6].iter().map(Session::user_id).collect();
    hasura.say(Say::IdsInPart(bad));
    let (refreshed, asked) = refresh_by_hasura(&app, &hasura, &sessions).await;
    for session in &refreshed {
        assert_eq!(claim(session, "me"), session.user_id().to_string());
    }
    let again = asked.iter().sum::<usize>() - MANY;
    assert!((1..=3).contains(&again), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_hangs_does_not_hold_up_the_others() {
    let (app, hasura) = with_hasura(&[("AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT", "1s")]).await;
    let sessions = sessions(&app).await;
    hasura.say_once(Say::Nothing);
    let before = hasura.asked().len();
    let began = Instant::now();
    let (hung, others) = tokio::join!(refresh(&app, &sessions[0]), async {
        eventually("the query that hangs", async || hasura.asked().len() > before).await;
        let others = join_all(sessions[1..].iter().map(|session| refresh(&app, session))).await;
        assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
        others
    });
    assert_eq!(claim(&hung, "me"), Value::Null);
    for session in others {
        assert_eq!(claim(&session, "me"), session.user_id().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_does_not_share_a_query_that_left_before_it_came() {
    let max_age = ("AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE", "1h");
    let (app, hasura) = with_hasura(&[max_age, ("AUTH_JWT_CUSTOM_CLAIMS", r#"{"a":"a"}"#)]).await;
    let session = app.sign_up("ann@example.com").await.session();
    app.clock.advance(time::Duration::hours(2));
    let before = hasura.asked().len();
    hasura.say(Say::User(json!({"a": "old"})));
    hasura.hold(true);
    let stats = reads(&app);
    let (refreshed, signed_in) = tokio::join!(refresh(&app, &session), async {
        eventually("the first query", async || hasura.asked().len() > before).await;
        hasura.say(Say::User(json!({"a": "new"})));
        let signing_in = app.sign_in("ann@example.com", PASSWORD);
        let release = async {
            eventually("the sign-in to wait", async || stats.waiting.load(Ordering::Relaxed) > 0)
                .await;
            hasura.hold(false);
        };
        tokio::join!(signing_in, release).0.session()
    });
    assert_eq!(claim(&refreshed, "a"), "old");
    assert_eq!(claim(&signed_in, "a"), "new");
    assert_eq!(hasura.asked().len(), before + 2);
}

/// The session matters more than its custom claims
/// (docs/reference-behaviour.md#tokens-without-custom-claims).
#[tokio::test(flavor = "multi_thread")]
async fn while_the_reader_is_down_tokens_have_no_custom_claims_and_the_node_serves() {
    let slow = [
        ("AUTH_ACTOR_BACKOFF_MIN", "1h"),
        ("AUTH_ACTOR_BACKOFF_MAX", "1h"),
        ("AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT", "100ms"),
    ];
    let (app, _hasura) = with_hasura(&slow).await;
    app.app().actors.claims_reader.kill();
    let session = app.anonymous().await;
    assert_eq!(claim(&session, "me"), Value::Null);
    assert_eq!(claim(&session, "default-role"), "anonymous");
    assert_eq!(claim(&refresh(&app, &session).await, "me"), Value::Null);
    app.get("/healthz").await.assert_ok();
}
