//! `POST /signin/anonymous`.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Client, TestApp};
use crate::support::jwt;

#[tokio::test]
async fn an_empty_request_makes_an_anonymous_user_with_a_session() {
    let app = TestApp::start(&[]).await;
    let response = Client::send(app.request(Method::POST, "/signin/anonymous")).await;
    let user = response.session().0["user"].clone();
    assert_eq!(user["isAnonymous"], true);
    assert_eq!(user["displayName"], "Anonymous User");
    assert_eq!(user["defaultRole"], "anonymous");
    assert_eq!(user["roles"], json!(["anonymous"]));
    assert_eq!(user["avatarUrl"], "");
    assert_eq!(user["locale"], "en");
    assert_eq!(user["metadata"], json!(null));
    assert!(user.get("email").is_none(), "{user}");
    let claims = jwt::payload(response.session().access_token());
    assert_eq!(claims["https://hasura.io/jwt/claims"]["x-hasura-user-is-anonymous"], "true");
}

#[tokio::test]
async fn name_locale_and_metadata_are_taken_from_the_request() {
    let app = TestApp::start(&[("AUTH_LOCALE_ALLOWED_LOCALES", "en,fr")]).await;
    let body = json!({"displayName": "a <b> & c_d", "locale": "fr", "metadata": {"n": [1, null]}});
    let user = app.post("/signin/anonymous", body).await.session().0["user"].clone();
    assert_eq!(user["displayName"], "a <b> & c_d");
    assert_eq!(user["locale"], "fr");
    assert_eq!(user["metadata"], json!({"n": [1, null]}));
    let other = app.post("/signin/anonymous", json!({"locale": "xx"})).await.session();
    assert_eq!(other.0["user"]["locale"], "en", "a locale that is not allowed becomes the default");
}

#[tokio::test]
async fn every_call_makes_another_user() {
    let app = TestApp::start(&[]).await;
    let (one, other) = (app.anonymous().await, app.anonymous().await);
    assert_ne!(one.user_id(), other.user_id());
}

#[tokio::test]
async fn it_can_be_switched_off_and_closed_sign_up_comes_first() {
    let off = [("AUTH_ANONYMOUS_USERS_ENABLED", "false")];
    let app = TestApp::start(&off).await;
    app.post("/signin/anonymous", json!({})).await.assert_refused(409, "disabled-endpoint");
    let closed = [off[0], ("AUTH_DISABLE_SIGNUP", "true")];
    let app = TestApp::start(&closed).await;
    app.post("/signin/anonymous", json!({})).await.assert_refused(403, "signup-disabled");
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn an_anonymous_session_refreshes_and_ends_even_where_addresses_must_be_verified() {
    let app = TestApp::start(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")]).await;
    let session = app.refresh(app.anonymous().await.refresh_token()).await.session();
    assert_eq!(session.0["user"]["isAnonymous"], true);
    app.post("/token/verify", json!({"token": session.access_token()})).await.assert_ok();
    app.post("/signout", json!({"refreshToken": session.refresh_token()})).await.assert_ok();
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
}

#[tokio::test]
async fn what_is_for_registered_users_is_forbidden() {
    for required in ["true", "false"] {
        let app = TestApp::start(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", required)]).await;
        let session = app.anonymous().await;
        let token = session.access_token();
        app.get_as("/user", token).await.assert_refused(403, "forbidden-anonymous");
        let verify = app.request(Method::POST, "/token/verify").bearer_auth(token);
        Client::send(verify).await.assert_refused(403, "forbidden-anonymous");
    }
}

#[tokio::test]
async fn new_anonymous_users_are_not_disabled_with_the_others() {
    let app = TestApp::start(&[("AUTH_DISABLE_NEW_USERS", "true")]).await;
    let response = app.post("/signin/anonymous", json!({})).await;
    assert_eq!(response.status, StatusCode::OK);
}

#[tokio::test]
async fn of_many_at_once_each_gets_their_own_and_one_that_is_refused_fails_nobody_else() {
    let app = TestApp::start(&[]).await;
    app.database
        .execute(
            "create function public.look() returns trigger language plpgsql as $$
             begin
                 if new.display_name = 'bad' then raise exception 'not you'; end if;
                 if new.display_name = 'worse' then
                     raise exception 'nor you' using errcode = 'insufficient_privilege';
                 end if;
                 new.disabled := new.display_name = 'off';
                 return new;
             end $$;
             create trigger look before insert on auth.users
             for each row execute function public.look();",
        )
        .await;
    let names: Vec<String> = (0..24)
        .map(|n| match n {
            7 => "bad".to_owned(),
            9 => "worse".to_owned(),
            11 => "off".to_owned(),
            _ => format!("guest {n}"),
        })
        .collect();
    let all = names.iter().map(|name| {
        app.post("/signin/anonymous", json!({"displayName": name, "metadata": {"of": name}}))
    });
    let responses = futures_util::future::join_all(all).await;
    let mut users = std::collections::HashSet::new();
    for (name, response) in names.iter().zip(responses) {
        match name.as_str() {
            "bad" => response.assert_refused(400, "invalid-request"),
            "worse" => assert!(!response.status.is_success(), "{response:?}"),
            "off" => response.assert_refused(401, "disabled-user"),
            _ => {
                let session = response.session();
                assert_eq!(session.0["user"]["displayName"], **name);
                assert_eq!(session.0["user"]["metadata"], json!({"of": name}));
                assert_eq!(jwt::payload(session.access_token())["sub"], session.0["user"]["id"]);
                users.insert(session.user_id());
                let refreshed = app.refresh(session.refresh_token()).await.session();
                assert_eq!(refreshed.id(), session.id());
                assert_eq!(refreshed.user_id(), session.user_id());
            }
        }
    }
    assert_eq!(users.len(), 21);
    let written = "select count(*) from auth.users u join auth.user_roles r on r.user_id = u.id";
    assert_eq!(
        app.database.count(written).await,
        22,
        "the disabled one is there, the bad ones not"
    );
    let sessions = "select count(*) from auth.refresh_tokens where type = 'regular'";
    assert_eq!(app.database.count(sessions).await, 21);
}

#[tokio::test]
async fn of_many_at_once_nobody_is_told_to_the_change_feed() {
    let app = TestApp::start(&[]).await;
    let mut listener = sqlx::postgres::PgListener::connect(&app.database.url()).await.unwrap();
    listener.listen("keywright_changes").await.unwrap();
    let all = futures_util::future::join_all((0..16).map(|_| app.anonymous())).await;
    // Whatever was told before this was told earlier.
    let last = all[0].user_id();
    app.database
        .execute(&format!("update auth.users set display_name = 'x' where id = '{last}'"))
        .await;
    let told = loop {
        let told = listener.recv().await.unwrap();
        if told.payload().starts_with("user:") {
            break told;
        }
    };
    assert_eq!(told.payload(), format!("user:{last}"));
    let others = listener.next_buffered().filter(|told| told.payload().starts_with("user:"));
    assert!(others.is_none());
}
