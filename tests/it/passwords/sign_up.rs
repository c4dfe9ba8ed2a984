//! `POST /signup/email-password`.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::jwt;
use crate::support::mailbox::Mailbox;

#[tokio::test]
async fn without_verification_a_session_comes_at_once_and_no_mail() {
    let mailbox = Mailbox::start().await;
    let off = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")];
    let app = TestApp::start(&mailbox.settings(&off)).await;
    let response = app.sign_up("Ann@Example.com").await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.json().as_object().unwrap().len(), 1, "only `session`");

    let session = response.session();
    assert_eq!(session.0["accessTokenExpiresIn"], 900);
    let user = &session.0["user"];
    assert_eq!(user["email"], "Ann@Example.com", "in the spelling of its owner");
    assert_eq!(user["displayName"], "Ann@Example.com");
    assert_eq!(user["emailVerified"], false);
    assert_eq!(user["isAnonymous"], false);
    assert_eq!(user["defaultRole"], "user");
    assert_eq!(user["locale"], "en");
    assert_eq!(user["metadata"], json!(null));
    assert_eq!(
        user["avatarUrl"],
        format!("https://www.gravatar.com/avatar/{}?d=blank&r=g", md5_hex("ann@example.com"))
    );
    mailbox.all(&app.database, 0).await;
}

fn md5_hex(text: &str) -> String {
    use md5::Digest as _;
    format!("{:032x}", u128::from_be_bytes(md5::Md5::digest(text).into()))
}

#[tokio::test]
async fn the_row_has_what_the_reference_would_have_written() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let count = |condition: &str| {
        let sql = format!("select count(*) from auth.users where {condition}");
        let database = app.database.clone();
        async move { database.count(&sql).await }
    };
    let id = session.user_id();
    assert_eq!(count(&format!("id = '{id}' and last_seen is not null")).await, 1);
    assert_eq!(count("metadata = 'null'::jsonb").await, 1, "JSON null, not SQL NULL");
    assert_eq!(count("not disabled and not email_verified and not is_anonymous").await, 1);
    assert_eq!(count("ticket is null and otp_hash is null and new_email is null").await, 1);
    let roles = "select string_agg(role, ',' order by role) from auth.user_roles";
    assert_eq!(app.database.text(roles).await.as_deref(), Some("editor,me,user"));
    let token = format!(
        "select count(*) from auth.refresh_tokens where id = '{}' and type = 'regular'
            and refresh_token_hash = '\\x' || encode(sha256('{}'), 'hex')",
        session.id(),
        session.refresh_token()
    );
    assert_eq!(app.database.count(&token).await, 1, "only the hash is stored, in its usual form");
}

#[tokio::test]
async fn with_verification_the_response_is_empty_and_one_mail_goes_out() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    let response = app.sign_up("ann@example.com").await;
    assert_eq!((response.status, response.text.as_str()), (StatusCode::OK, "{}\n"));
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(mail.to, ["ann@example.com"]);
    let rows = "select count(*) from auth.refresh_tokens";
    assert_eq!(app.database.count(rows).await, 0, "no session before the address is verified");
    let seen = "select count(*) from auth.users where last_seen is not null";
    assert_eq!(app.database.count(seen).await, 0);
    app.sign_in("ann@example.com", PASSWORD).await.assert_refused(401, "unverified-user");
}

#[tokio::test]
async fn without_a_way_to_send_mail_nobody_is_left_unverified() {
    let required = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")];
    let app = TestApp::start(&required).await;
    app.sign_up("ann@example.com").await.assert_refused(500, "internal-server-error");
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn an_address_signs_up_once_in_whatever_case() {
    let app = TestApp::start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    for email in ["ann@example.com", "ANN@example.COM"] {
        app.sign_up(email).await.assert_refused(409, "email-already-in-use");
    }
    assert_eq!(app.database.count("select count(*) from auth.users").await, 1);
    assert_eq!(app.database.count("select count(*) from auth.refresh_tokens").await, 1);
}

#[tokio::test]
async fn of_many_parallel_sign_ups_with_one_address_one_succeeds() {
    let app = TestApp::start(&[]).await;
    let attempts = (0..8).map(|_| app.sign_up("ann@example.com"));
    let responses = futures_util::future::join_all(attempts).await;
    let (good, bad): (Vec<_>, Vec<_>) =
        responses.into_iter().partition(|response| response.status == StatusCode::OK);
    assert_eq!(good.len(), 1);
    for response in bad {
        response.assert_refused(409, "email-already-in-use");
    }
}

#[tokio::test]
async fn addresses_that_the_database_would_refuse_are_refused_before() {
    let app = TestApp::start(&[]).await;
    for email in [
        "",
        "ann",
        "a@b",
        "a@localhost",
        "a b@c.de",
        "a..b@c.de",
        ".a@c.de",
        "a@-b.com",
        " a@c.de",
        "a@c.de ",
        "a@b@c.de",
        "a@[1.2.3.4]",
        "\"q q\"@c.de",
        "é@ex.com",
        "a@é.com",
        "a@b.com.",
        "mi\u{212a}e@ex.com",
    ] {
        app.sign_up(email).await.assert_refused(400, "invalid-request");
    }
    for email in ["a.b+c@ex-ample.co", "o'x@c.de", "a@xn--e1aybc.com"] {
        app.sign_up(email).await.session();
    }
}

#[tokio::test]
async fn passwords_have_a_least_and_a_greatest_length() {
    let app = TestApp::start(&[("AUTH_PASSWORD_MIN_LENGTH", "9")]).await;
    let sign_up = async |password: &str| {
        let body = json!({"email": "ann@example.com", "password": password});
        app.post("/signup/email-password", body).await
    };
    sign_up("ab").await.assert_refused(400, "invalid-request");
    sign_up(&"a".repeat(51)).await.assert_refused(400, "invalid-request");
    sign_up("12345678").await.assert_refused(400, "password-too-short");
    // The configured minimum counts bytes: eight characters, nine bytes.
    sign_up("1234567é").await.session();
}

#[tokio::test]
async fn a_long_password_of_many_bytes_is_stored_whole_or_refused() {
    let long = "é".repeat(45);
    let body = json!({"email": "ann@example.com", "password": long});
    let own = TestApp::start(&[("AUTH_STORAGE_COMPATIBILITY", "keywright")]).await;
    own.post("/signup/email-password", body.clone()).await.session();
    own.sign_in("ann@example.com", &"é".repeat(36))
        .await
        .assert_refused(401, "invalid-email-password");
    own.sign_in("ann@example.com", &long).await.session();

    let reference = TestApp::start(&[("AUTH_STORAGE_COMPATIBILITY", "reference")]).await;
    reference.post("/signup/email-password", body).await.assert_refused(400, "invalid-request");
    assert_eq!(reference.database.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn sign_up_can_be_switched_off() {
    let app = TestApp::start(&[("AUTH_DISABLE_SIGNUP", "true")]).await;
    app.sign_up("ann@example.com").await.assert_refused(403, "signup-disabled");
    // Before every other rule, too.
    let body = json!({"email": "a@example.com", "password": "abc", "options": {"redirectTo": "x"}});
    app.post("/signup/email-password", body).await.assert_refused(403, "signup-disabled");
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn new_users_can_be_made_disabled_for_an_administrator_to_enable() {
    let mailbox = Mailbox::start().await;
    for required in ["true", "false"] {
        let app = TestApp::start(&mailbox.settings(&[
            ("AUTH_DISABLE_NEW_USERS", "true"),
            ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", required),
        ]))
        .await;
        app.sign_up("ann@example.com").await.assert_refused(401, "disabled-user");
        let stays = "select count(*) from auth.users where disabled and ticket is null";
        assert_eq!(app.database.count(stays).await, 1);
        let tickets = "select count(*) from auth.keywright_tickets";
        assert_eq!(app.database.count(tickets).await, 0, "nothing that would let them in");
        assert_eq!(app.database.count("select count(*) from auth.refresh_tokens").await, 0);
        mailbox.all(&app.database, 0).await;
        app.sign_in("ann@example.com", PASSWORD).await.assert_refused(401, "disabled-user");
    }
}

#[tokio::test]
async fn a_role_that_vanished_from_the_database_is_refused_and_leaves_nothing() {
    let app = TestApp::start(&[]).await;
    app.database.execute("delete from auth.roles where role = 'editor'").await;
    app.sign_up("ann@example.com").await.assert_refused(400, "role-not-allowed");
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn the_token_names_the_new_user() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    assert_eq!(jwt::payload(session.access_token())["sub"], session.user_id().to_string());
}
