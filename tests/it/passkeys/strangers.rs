//! Whatever strangers begin, the ceremonies of others go on, and what is over stays over, on all nodes
//! (docs/reference-behaviour.md#ceremonies-are-bounded).

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{Client, TestApp, TestResponse};
use crate::support::ceremonies::{
    ON, add_key, begin_sign_in, begin_sign_up, finish_sign_in, finish_sign_up, sign_up,
};
use crate::support::security_key::{SecurityKey, base64url};
use crate::support::smtp::eventually;
use crate::support::two_nodes::TwoNodes;

const ANN: &str = "ann@example.com";
const STRANGER: &str = "203.0.113.66";
const PENDING: &str = "select count(*) from auth.keywright_challenges";
const USED: &str = "select count(*) from auth.keywright_used_challenges";

/// As a proxy forwards it.
async fn post_from(client: &Client, network: &str, path: &str, body: &Value) -> TestResponse {
    let request = client.request(Method::POST, path).header("x-forwarded-for", network);
    Client::send(request.json(body)).await
}

/// Begins so many from one network.
async fn crowd(
    client: &Client,
    path: &str,
    count: usize,
    body: impl Fn(usize) -> Value + Send + Sync,
) {
    let calls = stream::iter((0..count).map(|n| {
        let body = body(n);
        async move { post_from(client, STRANGER, path, &body).await.status.as_u16() }
    }));
    let statuses: Vec<u16> = calls.buffer_unordered(64).collect().await;
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), count);
}

async fn begin(client: &Client, path: &str, token: &str) -> Value {
    client.post_as(path, token, json!({})).await.json()
}

async fn finish(client: &Client, path: &str, token: &str, credential: &Value) -> TestResponse {
    client.post_as(path, token, json!({"credential": credential})).await
}

#[tokio::test]
async fn a_thousand_ceremonies_of_a_stranger_end_nobodys_own_and_store_nothing() {
    let two = TwoNodes::start(&[ON]).await;
    let [one, other] = &two.nodes;
    let mut key = SecurityKey::new();
    let session = sign_up(one, ANN, &mut key).await;
    let token = session.access_token();
    let by_address = begin_sign_in(one, Some(ANN)).await;
    let by_key = begin_sign_in(one, None).await;
    let elevation = begin(one, "/elevate/webauthn", token).await;
    let addition = begin(one, "/user/webauthn/add", token).await;
    crowd(one, "/signin/webauthn", 1_000, |_| json!({"email": ANN})).await;
    crowd(other, "/signin/webauthn", 200, |_| json!({})).await;
    assert_eq!(one.database.count(PENDING).await, 0);
    assert_eq!(one.database.count(USED).await, 0);

    finish_sign_in(other, &key.get(&by_address)).await.session();
    finish_sign_in(other, &key.get(&by_key)).await.session();
    let elevated = finish(other, "/elevate/webauthn/verify", token, &key.get(&elevation)).await;
    let elevated = elevated.session();
    let credential = SecurityKey::new().create(&addition);
    let added = finish(other, "/user/webauthn/verify", elevated.access_token(), &credential).await;
    assert_eq!(added.status, 200, "{added:?}");
    assert_eq!(one.database.count(USED).await, 4);
}

#[tokio::test]
async fn a_response_that_was_accepted_is_refused_again_on_both_nodes_at_once() {
    let two = TwoNodes::start(&[ON]).await;
    let [one, _] = &two.nodes;
    let mut key = SecurityKey::new();
    let session = sign_up(one, ANN, &mut key).await;
    let token = session.access_token();
    let by_key = json!({"credential": key.get(&begin_sign_in(one, None).await)});
    let elevation = json!({"credential": key.get(&begin(one, "/elevate/webauthn", token).await)});
    let addition = begin(one, "/user/webauthn/add", token).await;
    let addition = json!({"credential": SecurityKey::new().create(&addition)});
    for (path, body) in [
        ("/signin/webauthn/verify", by_key),
        ("/elevate/webauthn/verify", elevation),
        ("/user/webauthn/verify", addition),
    ] {
        let calls = (0..12).map(|n| two.nodes[n % 2].post_as(path, token, body.clone()));
        let accepted =
            join_all(calls).await.iter().filter(|response| response.status == 200).count();
        assert_eq!(accepted, 1, "{path}");
        for node in &two.nodes {
            let again = node.post_as(path, token, body.clone()).await;
            assert_eq!(again.status, 400, "{path}: {again:?}");
        }
    }
    assert_eq!(one.database.count(USED).await, 3);
}

#[tokio::test]
async fn a_sign_in_that_began_before_an_ending_is_refused_after_it_whoever_it_began_for() {
    let two = TwoNodes::start(&[ON]).await;
    let [one, other] = &two.nodes;
    let mut key = SecurityKey::new();
    let session = sign_up(one, ANN, &mut key).await;
    let by_address = key.get(&begin_sign_in(one, Some(ANN)).await);
    let by_key = key.get(&begin_sign_in(one, None).await);
    one.post_as("/signout", session.access_token(), json!({"all": true})).await.assert_ok();
    for node in [other, one] {
        for credential in [&by_address, &by_key] {
            finish_sign_in(node, credential).await.assert_refused(400, "invalid-request");
        }
    }
    for email in [Some(ANN), None] {
        let begun = begin_sign_in(other, email).await;
        finish_sign_in(one, &key.get(&begun)).await.session();
    }
}

/// What is signed for one user opens nothing for another, and for no other purpose.
#[tokio::test]
async fn a_challenge_of_another_user_or_purpose_is_no_challenge() {
    let app = TestApp::start(&[ON]).await;
    let (mut of_ann, mut of_bob) = (SecurityKey::new(), SecurityKey::new());
    let ann = sign_up(&app, ANN, &mut of_ann).await;
    let bob = sign_up(&app, "bob@example.com", &mut of_bob).await;
    let for_ann = begin_sign_in(&app, Some(ANN)).await;
    finish_sign_in(&app, &of_bob.get(&for_ann)).await.assert_refused(400, "invalid-request");
    let addition = begin(&app, "/user/webauthn/add", ann.access_token()).await;
    let credential = SecurityKey::new().create(&addition);
    for token in [bob.access_token(), ann.access_token()] {
        let response = finish(&app, "/user/webauthn/verify", token, &credential).await;
        assert_eq!(response.status == 200, token == ann.access_token(), "{response:?}");
    }
    let mut of_anybody = begin_sign_in(&app, None).await;
    let text = of_anybody["challenge"].as_str().unwrap().to_owned();
    for at in [0, 8, 12, 20, 30, 42] {
        let mut changed: Vec<char> = text.chars().collect();
        changed[at] = if changed[at] == 'A' { 'Q' } else { 'A' };
        of_anybody["challenge"] = changed.into_iter().collect::<String>().into();
        let credential = of_ann.get(&of_anybody);
        finish_sign_in(&app, &credential).await.assert_refused(400, "invalid-request");
    }
    of_anybody["challenge"] = text.into();
    finish_sign_in(&app, &of_ann.get(&of_anybody)).await.session();
}

#[tokio::test]
async fn ceremonies_that_a_node_of_the_version_before_stored_are_finished_once() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    let session = sign_up(&app, ANN, &mut key).await;
    let token = session.access_token();
    let mut number = 0_u8;
    let mut stored = async |purpose: &str, user: Option<uuid::Uuid>, mut options: Value| {
        number += 1;
        let challenge = [number; 32];
        let user = user.map_or("null".to_owned(), |id| format!("'{id}'"));
        let insert = format!(
            "insert into auth.keywright_challenges
                    (challenge, purpose, user_id, data, created_at, expires_at)
             values (decode(repeat('{number:02x}', 32), 'hex'), '{purpose}', {user}, '{{}}', now(),
                     now() + interval '5 minutes')"
        );
        app.database.execute(&insert).await;
        options["challenge"] = base64url(challenge).into();
        options
    };
    let user = Some(session.user_id());
    let options = begin_sign_in(&app, Some(ANN)).await;
    let by_address = key.get(&stored("webauthn-sign-in", user, options).await);
    let options = begin_sign_in(&app, None).await;
    let by_key = key.get(&stored("webauthn-sign-in", None, options).await);
    for credential in [by_address, by_key] {
        finish_sign_in(&app, &credential).await.session();
        finish_sign_in(&app, &credential).await.assert_refused(400, "invalid-request");
    }
    let options = begin(&app, "/elevate/webauthn", token).await;
    let elevation = key.get(&stored("webauthn-elevate", user, options).await);
    finish(&app, "/elevate/webauthn/verify", token, &elevation).await.session();
    let options = begin(&app, "/user/webauthn/add", token).await;
    let options = stored("webauthn-add-security-key", user, options).await;
    let addition = SecurityKey::new().create(&options);
    let added = finish(&app, "/user/webauthn/verify", token, &addition).await;
    assert_eq!(added.status, 200, "{added:?}");
    assert_eq!(app.database.count(PENDING).await, 0);
}

/// A sign-up has to be stored, so there is a bound, and the crowd of one network makes the room.
#[tokio::test]
async fn sign_ups_that_a_stranger_begins_end_the_strangers_own() {
    let two = TwoNodes::start(&[ON, ("AUTH_WEBAUTHN_MAX_CHALLENGES", "1000")]).await;
    let [one, other] = &two.nodes;
    let of_ann = begin_sign_up(one, ANN).await;
    two.clock.advance(Duration::milliseconds(1));
    let body = json!({"email": "x@example.com"});
    let first = post_from(one, STRANGER, "/signup/webauthn", &body).await.json();
    two.clock.advance(Duration::milliseconds(1));
    crowd(one, "/signup/webauthn", 1_100, |n| json!({"email": format!("x{n}@example.com")})).await;
    eventually("room", async || one.database.count(PENDING).await <= 1_000).await;
    finish_sign_up(other, &SecurityKey::new().create(&of_ann)).await.session();
    finish_sign_up(other, &SecurityKey::new().create(&first))
        .await
        .assert_refused(400, "invalid-request");
    let nobody = "select count(*) from auth.keywright_challenges where network is null";
    assert_eq!(one.database.count(nobody).await, 0);
}

/// Keys that are added need no row either, also those of platforms, whose attestation is checked with
/// the state of the registration.
#[tokio::test]
async fn a_key_is_added_on_another_node_than_it_began_on() {
    let two = TwoNodes::start(&[ON]).await;
    let [one, other] = &two.nodes;
    let session = sign_up(one, ANN, &mut SecurityKey::new()).await;
    let token = session.access_token();
    let options = begin(one, "/user/webauthn/add", token).await;
    let credential = SecurityKey::synced().create(&options);
    let added = finish(other, "/user/webauthn/verify", token, &credential).await;
    assert_eq!(added.status, 200, "{added:?}");
    let response = add_key(other, token, &mut SecurityKey::new(), "Third").await;
    assert_eq!(response.status, 200, "{response:?}");
}

/// The ending commits when the response has been accepted and the session is not written yet.
#[tokio::test]
async fn a_sign_in_whose_user_is_signed_out_everywhere_meanwhile_starts_no_session() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    sign_up(&app, ANN, &mut key).await;
    let mut ending = app.database.connection().await;
    let sessions = "select count(*) from auth.refresh_tokens";
    let before = app.database.count(sessions).await;
    for round in 0..20 {
        let email = if round % 2 == 0 { Some(ANN) } else { None };
        let credential = key.get(&begin_sign_in(&app, email).await);
        // As an ending does, which locks the user first.
        let end = format!(
            "begin;
             select from auth.users where email = '{ANN}' for no key update;
             insert into auth.keywright_credentials (user_id, changed_at)
             select id, clock_timestamp() from auth.users where email = '{ANN}'
             on conflict (user_id) do update set changed_at = excluded.changed_at"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(end)).execute(&mut ending).await.unwrap();
        let commit = async {
            let waiting = "select count(*) from pg_stat_activity
                            where datname = current_database() and wait_event_type = 'Lock'
                              and query like '%select is_anonymous, disabled%'";
            eventually("the sign-in", async || app.database.count(waiting).await == 1).await;
            sqlx::raw_sql("commit").execute(&mut ending).await.unwrap();
        };
        let (response, ()) = tokio::join!(finish_sign_in(&app, &credential), commit);
        response.assert_refused(400, "invalid-request");
    }
    assert_eq!(app.database.count(sessions).await, before);
    finish_sign_in(&app, &key.get(&begin_sign_in(&app, Some(ANN)).await)).await.session();
}
