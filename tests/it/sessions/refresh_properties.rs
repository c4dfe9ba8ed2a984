//! What holds of refresh tokens whatever happens in whatever order, on two nodes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use keywright::domain::ids::UserId;
use reqwest::{Method, StatusCode};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::support::app::{Client, Session, TestResponse};
use crate::support::logs;
use crate::support::random::Random;
use crate::support::smtp::eventually;
use crate::support::two_nodes::{TwoNodes, stored};

/// `AUTH_REFRESH_TOKEN_GRACE` of most tests here: far longer than a test takes.
const GRACE: &str = "1000";
/// Steps of the clock: two stay inside the window, three do not, and real time makes no difference.
const STEP: Duration = Duration::seconds(400);

async fn nodes() -> TwoNodes {
    TwoNodes::start(&[("AUTH_REFRESH_TOKEN_GRACE", GRACE)]).await
}

fn assert_no_session(response: &TestResponse) {
    response.assert_refused(401, "invalid-refresh-token");
}

async fn rows(nodes: &TwoNodes, session_id: &str) -> i64 {
    let id: Uuid = session_id.parse().unwrap();
    sqlx::query_scalar("select count(*) from auth.refresh_tokens where id = $1")
        .bind(id)
        .fetch_one(&nodes.pool)
        .await
        .unwrap()
}

/// What must be true of one session.
struct Model {
    id: String,
    user_id: Uuid,
    /// Every token so far; the last one is current.
    tokens: Vec<String>,
    /// Clock steps since the last rotation.
    steps: i32,
    lives: bool,
    is_disabled: bool,
}

impl Model {
    fn new(session: &Session) -> Self {
        Self {
            id: session.id().to_owned(),
            user_id: session.user_id(),
            tokens: vec![session.refresh_token().to_owned()],
            steps: 0,
            lives: true,
            is_disabled: false,
        }
    }

    /// Checks responses to parallel uses of a token `age` rotations old.
    fn check(&mut self, age: usize, responses: &[TestResponse]) {
        // A session that was never rotated has no old token.
        let in_window = self.steps <= 2;
        if age > 0 && !in_window {
            self.lives = false;
        }
        if !self.lives || age > 1 {
            responses.iter().for_each(assert_no_session);
            return;
        }
        if self.is_disabled {
            for response in responses {
                response.assert_refused(401, "disabled-user");
            }
            return;
        }
        let next: HashSet<String> = responses
            .iter()
            .map(|response| response.session().refresh_token().to_owned())
            .collect();
        assert_eq!(next.len(), 1, "one next token");
        let next = next.into_iter().next().unwrap();
        assert!(responses.iter().all(|response| response.session().id() == self.id));
        if age == 0 {
            self.tokens.push(next);
            self.steps = 0;
        } else {
            assert_eq!(Some(&next), self.tokens.last(), "the lost response again");
        }
    }

    fn token(&self, age: usize) -> &str {
        &self.tokens[self.tokens.len() - 1 - age]
    }
}

#[tokio::test]
async fn any_order_of_uses_losses_pauses_and_revocations_agrees_with_the_model() {
    let mut random = Random::for_test("any_order_of_uses");
    let nodes = nodes().await;
    let mut models: Vec<Model> = nodes.sessions(8).await.iter().map(Model::new).collect();
    for _ in 0..250 {
        let choice = random.below(100);
        if choice < 8 {
            nodes.clock.advance(STEP);
            for model in &mut models {
                model.steps += 1;
            }
            continue;
        }
        let at = random.below(models.len());
        let model = &mut models[at];
        match choice {
            8..12 => {
                model.is_disabled = !model.is_disabled;
                sqlx::query("update auth.users set disabled = $2 where id = $1")
                    .bind(model.user_id)
                    .bind(model.is_disabled)
                    .execute(&nodes.pool)
                    .await
                    .unwrap();
                notice(&nodes, model).await;
            }
            12..14 => {
                let body = json!({"refreshToken": model.token(0)});
                let out = nodes.any(&mut random).post("/signout", body).await;
                assert_eq!(out.status, StatusCode::OK);
                model.lives = false;
            }
            _ => {
                let oldest = model.tokens.len() - 1;
                let age = match random.below(10) {
                    // Which of the two refusals an old token of a disabled user meets may differ.
                    _ if model.is_disabled => 0,
                    0..6 => 0,
                    6..8 => 1,
                    _ => random.below(8),
                }
                .min(oldest);
                let token = model.token(age).to_owned();
                let clients: Vec<Client> =
                    (0..=random.below(6)).map(|_| nodes.any(&mut random)).collect();
                let responses = join_all(clients.iter().map(|client| client.refresh(&token))).await;
                model.check(age, &responses);
            }
        }
        if !model.lives {
            assert_eq!(rows(&nodes, &model.id).await, 0);
            *model = Model::new(&random.pick(&nodes.nodes).anonymous().await);
        }
    }
}

/// Waits until both nodes know whether the user is disabled.
async fn notice(nodes: &TwoNodes, model: &Model) {
    for node in &nodes.nodes {
        eventually("the change feed", async || {
            let user =
                node.app().actors.sessions.user(UserId(model.user_id)).await.unwrap().unwrap();
            user.user.disabled == model.is_disabled
        })
        .await;
    }
}

#[tokio::test]
async fn clients_that_lose_responses_and_ask_twice_are_never_signed_out() {
    let mut random = Random::for_test("clients_that_lose_responses");
    let nodes = nodes().await;
    let sessions = nodes.sessions(16).await;
    let clients = sessions.iter().map(|session| {
        let mut random = random.fork();
        let nodes = &nodes;
        async move {
            let mut held = session.refresh_token().to_owned();
            for _ in 0..25 {
                let uses: Vec<Client> =
                    (0..=random.below(3)).map(|_| nodes.any(&mut random)).collect();
                let responses = join_all(uses.iter().map(|client| client.refresh(&held))).await;
                let next: HashSet<String> = responses
                    .iter()
                    .map(|response| response.session().refresh_token().to_owned())
                    .collect();
                assert_eq!(next.len(), 1);
                // Otherwise the client has lost them all, and holds a token that was used.
                if random.chance(60) {
                    held = next.into_iter().next().unwrap();
                }
            }
            let last = nodes.any(&mut random).refresh(&held).await.session();
            assert_eq!(last.id(), session.id());
            last.refresh_token().to_owned()
        }
    });
    for token in join_all(clients).await {
        let current: i64 = sqlx::query_scalar(
            "select count(*) from auth.refresh_tokens where refresh_token_hash = $1",
        )
        .bind(stored(&token))
        .fetch_one(&nodes.pool)
        .await
        .unwrap();
        assert_eq!(current, 1, "what the client holds is what is stored");
    }
}

#[tokio::test]
async fn many_parallel_uses_of_one_token_get_one_next_token() {
    let nodes = nodes().await;
    let session = nodes.nodes[0].anonymous().await;
    let uses = (0..64).map(|n| nodes.nodes[n % 2].refresh(session.refresh_token()));
    let next: HashSet<String> = join_all(uses)
        .await
        .iter()
        .map(|response| response.session().refresh_token().to_owned())
        .collect();
    assert_eq!(next.len(), 1);
    assert!(!next.contains(session.refresh_token()));
}

#[tokio::test]
async fn an_abandoned_request_leaves_a_session_that_goes_on() {
    let mut random = Random::for_test("an_abandoned_request");
    let nodes = nodes().await;
    let mut held = nodes.nodes[0].anonymous().await;
    for _ in 0..60 {
        let client = nodes.any(&mut random);
        let patience = std::time::Duration::from_micros(random.next() % 3_000);
        let token = held.refresh_token().to_owned();
        // The client hangs up at any point of the request.
        let _ = tokio::time::timeout(patience, client.refresh(&token)).await;
        held = nodes.any(&mut random).refresh(&token).await.session();
    }
}

#[tokio::test]
async fn late_reuse_ends_the_session_once_and_is_reported() {
    logs::keep_security_events();
    let nodes = nodes().await;
    for generations in [1, 2, 63, 64] {
        let session = nodes.nodes[0].anonymous().await;
        let stolen = session.refresh_token().to_owned();
        let mut held = stolen.clone();
        for _ in 0..generations {
            held = nodes.nodes[1].refresh(&held).await.session().refresh_token().to_owned();
        }
        nodes.clock.advance(STEP * 3);
        let thieves = (0..10).map(|n| nodes.nodes[n % 2].refresh(&stolen));
        join_all(thieves).await.iter().for_each(assert_no_session);
        assert_no_session(&nodes.nodes[0].refresh(&held).await);
        assert_eq!(rows(&nodes, session.id()).await, 0);

        let events = logs::security_events(session.id());
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["security_event"], "refresh-token-reuse");
        assert_eq!(events[0]["generations"], generations.to_string());
        assert_eq!(events[0]["user.id"], session.user_id().to_string());
        assert!(!format!("{events:?}").contains(&stolen));
    }
}

/// A thief with a copy of the token who is always a little later than the owner
/// (docs/reference-behaviour.md#followers-are-told).
#[tokio::test]
async fn whoever_follows_a_session_from_another_network_is_reported_and_nobody_is_signed_out() {
    logs::keep_security_events();
    let nodes = nodes().await;
    let node = &nodes.nodes[0];
    let from = async |address: &str, token: &str| {
        let request = node.request(Method::POST, "/token").header("X-Forwarded-For", address);
        Client::send(request.json(&json!({"refreshToken": token}))).await.session()
    };
    for (thief, reported) in [("198.51.100.7", 3), ("192.0.2.1", 0)] {
        let session = node.anonymous().await;
        let mut held = session.refresh_token().to_owned();
        for _ in 0..4 {
            let next = from("192.0.2.1", &held).await;
            assert_eq!(from(thief, &held).await.refresh_token(), next.refresh_token());
            held = next.refresh_token().to_owned();
        }
        let events = logs::security_events(session.id());
        // The first time nobody watched the session yet.
        assert_eq!(events.len(), reported, "{events:?}");
        for event in events {
            assert_eq!(event["security_event"], "refresh-token-followed");
            assert_eq!(event["reason"], "another network");
        }
    }
    let session = node.anonymous().await;
    let next = from("192.0.2.1", session.refresh_token()).await;
    for _ in 0..8 {
        from("192.0.2.1", session.refresh_token()).await;
    }
    let events = logs::security_events(session.id());
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["reason"], "repeated often");
    from("192.0.2.1", next.refresh_token()).await;
}

#[tokio::test]
async fn reuse_of_a_token_of_the_distant_past_is_refused_but_not_recognised() {
    let nodes = nodes().await;
    let first = nodes.nodes[0].anonymous().await;
    let mut held = first.refresh_token().to_owned();
    for _ in 0..65 {
        held = nodes.nodes[0].refresh(&held).await.session().refresh_token().to_owned();
    }
    nodes.clock.advance(STEP * 3);
    assert_no_session(&nodes.nodes[1].refresh(first.refresh_token()).await);
    assert_eq!(nodes.nodes[0].refresh(&held).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_of_two_rotations_ago_inside_the_window_is_refused_and_the_session_lives() {
    let nodes = nodes().await;
    let first = nodes.nodes[0].anonymous().await;
    let second = nodes.nodes[1].refresh(first.refresh_token()).await.session();
    let third = nodes.nodes[0].refresh(second.refresh_token()).await.session();
    for node in &nodes.nodes {
        assert_no_session(&node.refresh(first.refresh_token()).await);
        let again = node.refresh(second.refresh_token()).await.session();
        assert_eq!(again.refresh_token(), third.refresh_token());
    }
    assert_eq!(nodes.nodes[1].refresh(third.refresh_token()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_window_ends_exactly_after_its_time() {
    let nodes = TwoNodes::start(&[]).await;
    for (wait, lives) in [(25, true), (31, false)] {
        let first = nodes.nodes[0].anonymous().await;
        let second = nodes.nodes[0].refresh(first.refresh_token()).await.session();
        nodes.clock.advance(Duration::seconds(wait));
        let repeated = nodes.nodes[1].refresh(first.refresh_token()).await;
        assert_eq!(repeated.status == StatusCode::OK, lives, "after {wait} s");
        let current = nodes.nodes[0].refresh(second.refresh_token()).await;
        assert_eq!(current.status == StatusCode::OK, lives, "after {wait} s");
    }
}

#[tokio::test]
async fn without_a_window_the_first_reuse_ends_the_session() {
    logs::keep_security_events();
    let nodes = TwoNodes::start(&[("AUTH_REFRESH_TOKEN_GRACE", "0")]).await;
    let first = nodes.nodes[0].anonymous().await;
    let second = nodes.nodes[0].refresh(first.refresh_token()).await.session();
    assert_no_session(&nodes.nodes[1].refresh(first.refresh_token()).await);
    assert_no_session(&nodes.nodes[0].refresh(second.refresh_token()).await);
    assert_eq!(logs::security_events(first.id()).len(), 1);
}

#[tokio::test]
async fn no_node_refreshes_a_session_after_its_revocation_has_returned() {
    let mut random = Random::for_test("no_node_refreshes");
    let nodes = nodes().await;
    for _ in 0..30 {
        let session = random.pick(&nodes.nodes).anonymous().await;
        let (revoked, everywhere) = (AtomicBool::new(false), random.chance(50));
        let pause = random.below(12);
        let refreshing = (0..4).map(|n| {
            let (node, revoked) = (&nodes.nodes[n % 2], &revoked);
            let mut held = session.refresh_token().to_owned();
            async move {
                loop {
                    let was_revoked = revoked.load(Ordering::SeqCst);
                    let response = node.refresh(&held).await;
                    if response.status == StatusCode::OK {
                        assert!(!was_revoked, "a refresh that began after the revocation");
                        held = response.session().refresh_token().to_owned();
                    } else {
                        assert_no_session(&response);
                        // Another client may be two rotations ahead of this one.
                        if was_revoked {
                            return held;
                        }
                    }
                }
            }
        });
        let revoking = async {
            for _ in 0..pause {
                tokio::task::yield_now().await;
                nodes.nodes[0].get("/healthz").await;
            }
            let body = json!({"refreshToken": session.refresh_token(), "all": everywhere});
            let client = nodes.any(&mut random);
            let out = client.post_as("/signout", session.access_token(), body).await;
            assert_eq!(out.status, StatusCode::OK);
            revoked.store(true, Ordering::SeqCst);
        };
        let (held, ()) = tokio::join!(join_all(refreshing), revoking);
        for token in held {
            for node in &nodes.nodes {
                assert_no_session(&node.refresh(&token).await);
            }
        }
        assert_eq!(rows(&nodes, session.id()).await, 0);
    }
}

#[tokio::test]
async fn any_token_that_a_session_ever_had_signs_it_out() {
    let nodes = nodes().await;
    for (rotations, pause) in [(1, 0), (2, 0), (5, 0), (1, 3), (64, 3)] {
        let session = nodes.nodes[0].anonymous().await;
        let mut held = session.refresh_token().to_owned();
        for _ in 0..rotations {
            held = nodes.nodes[1].refresh(&held).await.session().refresh_token().to_owned();
        }
        nodes.clock.advance(STEP * pause);
        let body = json!({"refreshToken": session.refresh_token()});
        assert_eq!(nodes.nodes[0].post("/signout", body).await.status, StatusCode::OK);
        assert_no_session(&nodes.nodes[1].refresh(&held).await);
    }
}

#[tokio::test]
async fn sessions_pass_between_this_server_and_the_reference() {
    let nodes = nodes().await;
    let user_id = nodes.nodes[0].anonymous().await.user_id();
    // As the reference begins a session.
    let begun = Uuid::new_v4().to_string();
    let id: Uuid = sqlx::query_scalar(
        "insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at)
         values ($1, $2, now() + interval '30 days') returning id",
    )
    .bind(user_id)
    .bind(stored(&begun))
    .fetch_one(&nodes.pool)
    .await
    .unwrap();
    let here = nodes.nodes[0].refresh(&begun).await.session();
    assert_eq!(here.id(), id.to_string());
    let here = nodes.nodes[1].refresh(here.refresh_token()).await.session();

    // As the reference looks a token up and rotates it.
    let known: Option<Uuid> = sqlx::query_scalar(
        "select user_id from auth.refresh_tokens
          where refresh_token_hash = $1 and type = 'regular' and expires_at > now()",
    )
    .bind(stored(here.refresh_token()))
    .fetch_optional(&nodes.pool)
    .await
    .unwrap();
    assert_eq!(known, Some(user_id));
    let there = Uuid::new_v4().to_string();
    let rotated: Uuid = sqlx::query_scalar(
        "with rotated as (
             update auth.refresh_tokens
                set refresh_token_hash = $2, expires_at = now() + interval '30 days'
              where refresh_token_hash = $1
             returning id, user_id
         ), seen as (
             update auth.users set last_seen = now() where id = (select user_id from rotated)
         )
         select id from rotated",
    )
    .bind(stored(here.refresh_token()))
    .bind(stored(&there))
    .fetch_one(&nodes.pool)
    .await
    .unwrap();
    assert_eq!(rotated, id);

    // What was current here is not any more, and the reference's token goes on here.
    assert_no_session(&nodes.nodes[0].refresh(here.refresh_token()).await);
    let back = nodes.nodes[1].refresh(&there).await.session();
    assert_eq!(back.id(), id.to_string());
    let repeated = nodes.nodes[0].refresh(&there).await.session();
    assert_eq!(repeated.refresh_token(), back.refresh_token());
}

#[tokio::test]
async fn expired_tokens_and_personal_access_tokens_are_refused_and_stay() {
    let nodes = nodes().await;
    let user_id = nodes.nodes[0].anonymous().await.user_id();
    let long = Duration::days(1);
    for (kind, expires_at) in [("regular", -long), ("pat", long)] {
        let token = Uuid::new_v4().to_string();
        sqlx::query(
            "insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at, type)
             values ($1, $2, $3, $4)",
        )
        .bind(user_id)
        .bind(stored(&token))
        .bind(nodes.clock.now() + expires_at)
        .bind(kind)
        .execute(&nodes.pool)
        .await
        .unwrap();
        for node in &nodes.nodes {
            assert_no_session(&node.refresh(&token).await);
        }
        let unchanged: i64 = sqlx::query_scalar(
            "select count(*) from auth.refresh_tokens where refresh_token_hash = $1",
        )
        .bind(stored(&token))
        .fetch_one(&nodes.pool)
        .await
        .unwrap();
        assert_eq!(unchanged, 1, "{kind}");
    }
}

#[tokio::test]
async fn a_session_expires_unless_it_is_used() {
    let nodes = TwoNodes::start(&[("AUTH_REFRESH_TOKEN_EXPIRES_IN", "3600")]).await;
    let (idle, used) = (nodes.nodes[0].anonymous().await, nodes.nodes[0].anonymous().await);
    nodes.clock.advance(Duration::seconds(3_000));
    let used = nodes.nodes[1].refresh(used.refresh_token()).await.session();
    nodes.clock.advance(Duration::seconds(3_000));
    assert_no_session(&nodes.nodes[0].refresh(idle.refresh_token()).await);
    assert_eq!(nodes.nodes[0].refresh(used.refresh_token()).await.status, StatusCode::OK);
    let expires_at: OffsetDateTime =
        sqlx::query_scalar("select expires_at from auth.refresh_tokens where id = $1")
            .bind(used.id().parse::<Uuid>().unwrap())
            .fetch_one(&nodes.pool)
            .await
            .unwrap();
    let left = expires_at - nodes.clock.now();
    assert!(left > Duration::seconds(3_500) && left <= Duration::seconds(3_600), "{left}");
}

#[tokio::test]
async fn a_disabled_user_is_refused_and_has_the_session_again_when_enabled() {
    let nodes = nodes().await;
    let session = nodes.nodes[0].anonymous().await;
    let mut model = Model::new(&session);
    for is_disabled in [true, false] {
        model.is_disabled = is_disabled;
        sqlx::query("update auth.users set disabled = $2 where id = $1")
            .bind(model.user_id)
            .bind(is_disabled)
            .execute(&nodes.pool)
            .await
            .unwrap();
        notice(&nodes, &model).await;
        if is_disabled {
            for node in &nodes.nodes {
                node.refresh(session.refresh_token()).await.assert_refused(401, "disabled-user");
            }
        }
    }
    assert_eq!(nodes.nodes[1].refresh(session.refresh_token()).await.status, StatusCode::OK);
}
