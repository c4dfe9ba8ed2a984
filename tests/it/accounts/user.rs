//! `GET /user`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Client, TestApp};
use crate::support::jwt;
use crate::support::smtp::eventually;

#[tokio::test]
async fn the_profile_has_the_members_of_the_contract() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let response = app.get_as("/user", session.access_token()).await;
    assert_eq!(response.header("content-type"), Some("application/json"));
    let mut user = response.json();
    let created_at = user["createdAt"].take();
    assert!(created_at.as_str().unwrap().ends_with('Z'), "{created_at}");
    let avatar = user["avatarUrl"].take();
    assert!(avatar.as_str().unwrap().starts_with("https://www.gravatar.com/avatar/"), "{avatar}");
    let expected = json!({
        "activeMfaType": null, "avatarUrl": null, "createdAt": null, "defaultRole": "user",
        "displayName": "ann@example.com", "email": "ann@example.com", "emailVerified": false,
        "id": session.user_id(), "isAnonymous": false, "locale": "en", "metadata": null,
        "phoneNumberVerified": false, "roles": ["me", "user", "editor"],
    });
    assert_eq!(user, expected);
}

/// The profile once it is what the administrator's SQL made it.
async fn profile_after(sql: &str, done: impl Fn(&Value) -> bool + Sync + Send) -> Value {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    app.database.execute(sql).await;
    let mut user = Value::Null;
    eventually("the change to arrive", async || {
        user = app.get_as("/user", session.access_token()).await.json();
        done(&user)
    })
    .await;
    user
}

#[tokio::test]
async fn roles_are_those_of_the_table_without_the_default_one() {
    let sql = "delete from auth.user_roles where role in ('user', 'me')";
    let user = profile_after(sql, |user| user["roles"] == json!(["editor"])).await;
    assert_eq!(user["defaultRole"], "user");
}

#[tokio::test]
async fn metadata_that_was_never_written_is_an_empty_object() {
    profile_after("update auth.users set metadata = null", |user| user["metadata"] == json!({}))
        .await;
    let text = "update auth.users set metadata = '\"text\"'";
    profile_after(text, |user| user["metadata"] == json!({})).await;
}

#[tokio::test]
async fn a_user_without_an_address_but_with_a_phone_has_a_profile() {
    let sql = "update auth.users set email = null, phone_number = '+41790000000',
                                     phone_number_verified = true, active_mfa_type = 'sms'";
    let user = profile_after(sql, |user| user["phoneNumber"] == "+41790000000").await;
    assert!(user.get("email").is_none(), "{user}");
    assert_eq!(user["phoneNumberVerified"], true);
    assert_eq!(user["activeMfaType"], "sms");
}

#[tokio::test]
async fn an_address_that_nobody_could_sign_up_with_is_shown_all_the_same() {
    let sql = "update auth.users set email = 'root@localhost'";
    profile_after(sql, |user| user["email"] == "root@localhost").await;
}

#[tokio::test]
async fn a_profile_belongs_to_the_bearer() {
    let app = TestApp::start(&[]).await;
    let ann = app.sign_up("ann@example.com").await.session();
    let bob = app.sign_up("bob@example.com").await.session();
    for (session, email) in [(&ann, "ann@example.com"), (&bob, "bob@example.com")] {
        let user = app.get_as("/user", session.access_token()).await.json();
        assert_eq!(user["email"], email);
    }
}

#[tokio::test]
async fn the_scheme_of_the_header_has_no_case_and_one_token_behind_it() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let token = session.access_token();
    let get = async |value: Option<String>| {
        let mut request = app.request(Method::GET, "/user");
        if let Some(value) = value {
            request = request.header("authorization", value);
        }
        Client::send(request).await
    };
    for scheme in ["Bearer ", "bearer ", "BEARER ", "Bearer  "] {
        let response = get(Some(format!("{scheme}{token}"))).await;
        assert_eq!(response.status, StatusCode::OK, "{scheme:?}");
    }
    for bad in [
        None,
        Some(format!("Bearer {token} x")),
        Some(format!("Basic {token}")),
        Some(token.to_owned()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
    ] {
        get(bad).await.assert_refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn bad_bearers_are_a_bad_request_and_unknown_users_are_not_let_in() {
    let app = TestApp::start(&[]).await;
    let user = app.sign_up("ann@example.com").await.session().user_id();
    let good = jwt::sign(&jwt::claims(user));
    assert_eq!(app.get_as("/user", &good).await.status, StatusCode::OK, "only `sub` counts");
    for (what, token) in jwt::refused_tokens(user) {
        let response = app.get_as("/user", &token).await;
        assert_eq!((what, response.status.as_u16()), (what, 400));
        response.assert_refused(400, "invalid-request");
    }
    let nobody = jwt::sign(&jwt::claims(uuid::Uuid::new_v4()));
    app.get_as("/user", &nobody).await.assert_refused(401, "invalid-email-password");
}

#[tokio::test]
async fn a_user_who_became_unwelcome_is_refused() {
    let app = TestApp::start(&[]).await;
    let token = app.sign_up("ann@example.com").await.session().access_token().to_owned();
    let verify = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")];
    let strict = TestApp::start_on(app.database.clone(), &verify).await;
    strict.get_as("/user", &token).await.assert_refused(401, "unverified-user");
    let block = [("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "ann@example.com")];
    let blocking = TestApp::start_on(app.database.clone(), &block).await;
    blocking.get_as("/user", &token).await.assert_refused(401, "invalid-email-password");
}
