//! The tokens of providers: kept sealed where a client asks for them, told once, and refreshed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Client, Session, TestApp, TestResponse};
use crate::support::jwt;
use crate::support::postgres::TestDatabase;
use crate::support::providers::social::Social;
use crate::support::providers::{Endpoint, Fault, Providers, shape};

const ASK: (&str, &str) = ("providerTokens", "true");

async fn tokens(app: &TestApp, provider: &str, session: &Session) -> TestResponse {
    let path = format!("/signin/provider/{provider}/callback/tokens");
    app.get_as(&path, session.access_token()).await
}

async fn refresh(app: &TestApp, provider: &str, session: &Session, token: &str) -> TestResponse {
    let path = format!("/token/provider/{provider}");
    app.post_as(&path, session.access_token(), json!({"refreshToken": token})).await
}

fn access_token(response: &TestResponse) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["accessToken"].as_str().expect("a text").to_owned()
}

/// What is said where nothing is kept.
#[track_caller]
fn assert_empty(response: &TestResponse) {
    assert_eq!(access_token(response), "", "{response:?}");
    assert_eq!(response.json()["expiresIn"], 0, "{response:?}");
}

#[tokio::test]
async fn tokens_are_told_to_their_user_once() {
    let social = Social::start(&["discord"], &[]).await;
    let final_page = social.sign_in("discord", &[ASK]).await;
    let session = social.session(&final_page).await;
    let response = tokens(&social.app, "discord", &session).await;
    let body = response.json();
    let bearer = social.providers.at("discord").calls(Endpoint::Profile).remove(0);
    let bearer = bearer.header("authorization").unwrap().to_owned();
    assert_eq!(bearer, format!("Bearer {}", access_token(&response)));
    assert_eq!(body["expiresIn"], 3_600);
    let expires = body["expiresAt"].as_str().unwrap();
    let format = &time::format_description::well_known::Rfc3339;
    let expires = time::OffsetDateTime::parse(expires, format).unwrap();
    let left = (expires - social.providers.clock.now()).whole_seconds();
    assert!((3_500..=3_600).contains(&left), "{body}");
    assert!(body["refreshToken"].as_str().is_some_and(|token| token.starts_with("refresh/")));
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["accessToken", "expiresAt", "expiresIn", "refreshToken"]);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    for _ in 0..2 {
        assert_empty(&tokens(&social.app, "discord", &session).await);
    }
}

#[tokio::test]
async fn tokens_are_kept_where_they_were_asked_for_and_never_or_always_where_that_is_configured() {
    for (mode, asked, is_kept) in [
        ("on-request", true, true),
        ("on-request", false, false),
        ("never", true, false),
        ("always", false, true),
    ] {
        let social = Social::start(&["discord"], &[("AUTH_PROVIDER_TOKENS", mode)]).await;
        let query: &[(&str, &str)] = if asked { &[ASK] } else { &[] };
        let session = social.session(&social.sign_in("discord", query).await).await;
        let response = tokens(&social.app, "discord", &session).await;
        assert_eq!(!access_token(&response).is_empty(), is_kept, "{mode}, asked: {asked}");
    }
}

#[tokio::test]
async fn tokens_are_stored_sealed_and_for_their_row() {
    let social = Social::start(&["discord"], &[]).await;
    let control = social.providers.at("discord");
    let session = social.session(&social.sign_in("discord", &[ASK]).await).await;
    let bearer = control.calls(Endpoint::Profile).remove(0);
    let secret = bearer.header("authorization").unwrap().replace("Bearer ", "");
    assert!(social.rows_that_contain(&secret).await.is_empty());
    assert!(social.rows_that_contain("refresh/").await.is_empty());

    // Moved to another user's row, it opens for nobody.
    control.change_profile(&json!({"id": "1040", "email": "eve@x.test"}));
    let eve = social.session(&social.sign_in("discord", &[ASK]).await).await;
    social
        .app
        .database
        .execute(
            "update auth.user_providers a set access_token = b.access_token
               from auth.user_providers b
              where a.provider_user_id = '1040' and b.provider_user_id = '104'",
        )
        .await;
    let moved = tokens(&social.app, "discord", &eve).await;
    assert!(!moved.text.contains(&secret), "{moved:?}");
    assert!(access_token(&tokens(&social.app, "discord", &session).await) == secret);
}

#[tokio::test]
async fn the_last_sign_in_or_connect_counts() {
    let social = Social::start(&["discord", "github"], &[]).await;
    let session = social.session(&social.sign_in("github", &[]).await).await;
    assert_empty(&tokens(&social.app, "github", &session).await);
    assert_empty(&tokens(&social.app, "discord", &session).await);
    let connect = [("connect", session.access_token()), ASK];
    social.sign_in("discord", &connect).await.assert_silent();
    let first = access_token(&tokens(&social.app, "discord", &session).await);
    assert!(!first.is_empty());
    social.sign_in("discord", &[ASK]).await.refresh_token();
    let second = access_token(&tokens(&social.app, "discord", &session).await);
    assert!(!second.is_empty() && second != first);
}

#[tokio::test]
async fn tokens_come_with_a_code_too() {
    use aws_lc_rs::digest::{SHA256, digest};
    let social = Social::start(&["discord"], &[]).await;
    let verifier = "v".repeat(43);
    let hash = digest(&SHA256, verifier.as_bytes());
    let challenge = crate::support::security_key::base64url(hash);
    let final_page = social.sign_in("discord", &[ASK, ("codeChallenge", &challenge)]).await;
    let body = json!({"code": final_page.query()["code"], "codeVerifier": verifier});
    let session = social.app.post("/token/exchange", body).await.session();
    assert!(!access_token(&tokens(&social.app, "discord", &session).await).is_empty());
}

#[tokio::test]
async fn what_a_provider_leaves_out_is_left_out() {
    let social = Social::start(&["discord"], &[]).await;
    social.providers.at("discord").shape(|response| {
        response.expiry = shape::Expiry::Absent;
        response.refresh_token = shape::RefreshToken::Absent;
    });
    let session = social.session(&social.sign_in("discord", &[ASK]).await).await;
    let body = tokens(&social.app, "discord", &session).await.json();
    assert_eq!(body["expiresIn"], 0);
    assert!(matches!(&body["refreshToken"], Value::Null) || body["refreshToken"] == "", "{body}");
}

#[tokio::test]
async fn tokens_are_for_a_bearer_in_good_standing() {
    let social = Social::start(&["discord"], &[]).await;
    let session = social.session(&social.sign_in("discord", &[ASK]).await).await;
    let get = "/signin/provider/discord/callback/tokens";
    let post = "/token/provider/discord";
    let body = json!({"refreshToken": "x"});
    social.app.get(get).await.assert_refused(400, "invalid-request");
    social.app.post(post, body.clone()).await.assert_refused(400, "invalid-request");
    for (what, token) in jwt::refused_tokens(session.user_id()) {
        let response = social.app.get_as(get, &token).await;
        assert_eq!(response.error(), "invalid-request", "{what}");
        let response = social.app.post_as(post, &token, body.clone()).await;
        assert_eq!(response.error(), "invalid-request", "{what}");
    }
    let anonymous = social.app.anonymous().await;
    tokens(&social.app, "discord", &anonymous).await.assert_refused(403, "forbidden-anonymous");
    social.keep_out("update auth.users set disabled = true", &session).await;
    tokens(&social.app, "discord", &session).await.assert_refused(401, "disabled-user");
    refresh(&social.app, "discord", &session, "x").await.assert_refused(401, "disabled-user");
    assert!(social.providers.at("discord").calls(Endpoint::Token).len() == 1);
}

#[tokio::test]
async fn provider_tokens_are_refreshed_with_and_without_rotation() {
    let social = Social::start(&["discord", "gitlab"], &[]).await;
    for (id, rotates) in [("discord", false), ("gitlab", true)] {
        let session = social.session(&social.sign_in(id, &[ASK]).await).await;
        let first = tokens(&social.app, id, &session).await;
        let old = first.json()["refreshToken"].as_str().unwrap().to_owned();
        let response = refresh(&social.app, id, &session, &old).await;
        let body = response.json();
        assert_ne!(access_token(&response), access_token(&first), "{id}");
        assert_eq!(body["expiresIn"], 3_600, "{id}");
        assert_eq!(body["refreshToken"] != json!(old), rotates, "{id}: {body}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        // Only what RFC 6749, 6 names.
        let form = social.providers.at(id).token_requests().pop().unwrap().form;
        let names: Vec<&str> = form.keys().map(String::as_str).collect();
        assert_eq!(names, ["client_id", "client_secret", "grant_type", "refresh_token"], "{id}");
        let again = refresh(&social.app, id, &session, &old).await;
        if rotates {
            again.assert_refused(400, "oauth-provider-error");
        } else {
            access_token(&again);
        }
        assert!(social.rows_that_contain(&old).await.is_empty());
    }
}

#[tokio::test]
async fn a_refresh_that_fails_is_an_error_of_the_provider() {
    let more = [("AUTH_PROVIDER_TIMEOUT", "300ms")];
    let social = Social::start(&["discord", "twitter"], &more).await;
    let session = social.session(&social.sign_in("discord", &[ASK]).await).await;
    let given = tokens(&social.app, "discord", &session).await.json();
    let token = given["refreshToken"].as_str().unwrap();
    refresh(&social.app, "discord", &session, "wrong")
        .await
        .assert_refused(400, "oauth-provider-error");
    let control = social.providers.at("discord");
    for fault in [
        Fault::json(500, &json!({})),
        Fault::json(200, &json!({})),
        Fault::Say(200, "text/html", "<h1>x</h1>".to_owned()),
        Fault::Hang,
        Fault::Padded,
        Fault::Close,
    ] {
        control.fail(Endpoint::Token, fault);
        refresh(&social.app, "discord", &session, token)
            .await
            .assert_refused(400, "oauth-provider-error");
    }
    // OAuth 1.0a has nothing to refresh with.
    refresh(&social.app, "twitter", &session, "x")
        .await
        .assert_refused(400, "oauth-provider-error");
    refresh(&social.app, "github", &session, "x").await.assert_refused(409, "disabled-endpoint");
    for body in [json!({}), json!({"refreshToken": 7}), json!({"refreshToken": "x", "more": 1})] {
        let path = "/token/provider/discord";
        let response = social.app.post_as(path, session.access_token(), body).await;
        response.assert_refused(400, "invalid-request");
    }
    let request = social.app.request(Method::POST, "/token/provider/myspace");
    let request = request.bearer_auth(session.access_token()).json(&json!({"refreshToken": "x"}));
    assert!(Client::send(request).await.status.is_client_error());
}

/// Whoever finds somebody's refresh token could otherwise have this server, with its client secret,
/// trade it (docs/reference-behaviour.md#provider-tokens-are-their-users).
#[tokio::test]
async fn a_refresh_token_is_traded_for_the_user_it_was_given_to_and_for_nobody_else() {
    let social = Social::start(&["discord", "gitlab"], &[]).await;
    let other_node = social.another(&["discord", "gitlab"], &[]).await;
    let eve = social.app.sign_up("eve@example.com").await.session();
    for id in ["discord", "gitlab"] {
        let ann = social.session(&social.sign_in(id, &[ASK]).await).await;
        let first = tokens(&social.app, id, &ann).await.json();
        let first = first["refreshToken"].as_str().unwrap();
        let calls = || social.providers.at(id).calls(Endpoint::Token).len();
        let before = calls();
        for app in [&social.app, &other_node] {
            refresh(app, id, &eve, first).await.assert_refused(400, "oauth-provider-error");
            refresh(app, id, &ann, "unknown").await.assert_refused(400, "oauth-provider-error");
        }
        assert_eq!(calls(), before, "{id}: the provider is not asked");
        // With and without rotation, over and over.
        let mut token = first.to_owned();
        for app in [&other_node, &social.app, &other_node] {
            let response = refresh(app, id, &ann, &token).await;
            access_token(&response);
            response.json()["refreshToken"].as_str().unwrap().clone_into(&mut token);
            refresh(app, id, &eve, &token).await.assert_refused(400, "oauth-provider-error");
        }
    }
    let kept = "select count(*) from auth.keywright_provider_refresh_tokens";
    assert_eq!(social.app.database.count(kept).await, 5, "one of discord, four of gitlab");
    social.app.database.execute("delete from auth.users").await;
    assert_eq!(social.app.database.count(kept).await, 0);
}

#[tokio::test]
async fn of_one_identity_the_last_ten_refresh_tokens_count() {
    let social = Social::start(&["gitlab"], &[]).await;
    let ann = social.session(&social.sign_in("gitlab", &[ASK]).await).await;
    let given = tokens(&social.app, "gitlab", &ann).await.json();
    let mut token = given["refreshToken"].as_str().unwrap().to_owned();
    for _ in 0..12 {
        let response = refresh(&social.app, "gitlab", &ann, &token).await.json();
        response["refreshToken"].as_str().unwrap().clone_into(&mut token);
    }
    let kept = "select count(*) from auth.keywright_provider_refresh_tokens";
    assert_eq!(social.app.database.count(kept).await, 10);
    access_token(&refresh(&social.app, "gitlab", &ann, &token).await);
}

/// The reference remembers nothing of what it gave out; what is known to be another user's is
/// refused there too.
#[tokio::test]
async fn on_an_adopted_database_unknown_refresh_tokens_are_traded() {
    let providers = Providers::start().await;
    let database = TestDatabase::adopted().await;
    let social = Social::start_on(database, providers, &["discord"], &[]).await;
    let eve = social.app.sign_up("eve@example.com").await.session();
    let ann = social.session(&social.sign_in("discord", &[ASK]).await).await;
    let token = tokens(&social.app, "discord", &ann).await.json()["refreshToken"].clone();
    let token = token.as_str().unwrap();
    refresh(&social.app, "discord", &eve, token).await.assert_refused(400, "oauth-provider-error");
    social.app.database.execute("delete from auth.keywright_provider_refresh_tokens").await;
    access_token(&refresh(&social.app, "discord", &ann, token).await);
}

/// One-time also when two ask at once, on whatever node.
#[tokio::test]
async fn of_many_who_ask_at_once_one_is_told() {
    let social = Social::start(&["discord"], &[]).await;
    let other = social.another(&["discord"], &[]).await;
    let session = social.session(&social.sign_in("discord", &[ASK]).await).await;
    let nodes = [&social.app, &other];
    let calls = (0..8).map(|n| tokens(nodes[n % 2], "discord", &session));
    let responses = futures_util::future::join_all(calls).await;
    let told = responses.iter().filter(|response| !access_token(response).is_empty()).count();
    assert_eq!(told, 1);
}

#[tokio::test]
async fn a_row_of_the_reference_has_nothing_to_tell() {
    let social = Social::start(&["discord"], &[]).await;
    let session = social.session(&social.sign_in("discord", &[]).await).await;
    for stored in ["unset", "", "00ff", "no hex"] {
        let database: &TestDatabase = &social.app.database;
        let sql = format!("update auth.user_providers set access_token = '{stored}'");
        database.execute(&sql).await;
        assert_empty(&tokens(&social.app, "discord", &session).await);
    }
}
