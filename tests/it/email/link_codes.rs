//! Mailed links that bring a code instead of a refresh token, for applications that asked for it.

use reqwest::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{Client, PASSWORD, TestApp, TestResponse};
use crate::support::mailbox::Mailbox;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn start(mailbox: &Mailbox) -> TestApp {
    TestApp::start(&mailbox.settings(&[("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true")])).await
}

async fn exchange(app: &TestApp, code: &str, verifier: &str) -> TestResponse {
    app.post("/token/exchange", json!({"code": code, "codeVerifier": verifier})).await
}

/// Follows the link of the newest mail; returns the code that it brings.
async fn follow(app: &TestApp, mailbox: &Mailbox, mails: usize) -> String {
    follow_as(app, mailbox, mails, "").await
}

/// The same with a bearer, where only who asked is signed in.
async fn follow_as(app: &TestApp, mailbox: &Mailbox, mails: usize, bearer: &str) -> String {
    let mail = mailbox.last(&app.database, mails).await;
    let request = app.request(Method::GET, &mail.path()).bearer_auth(bearer);
    let (_, query) = Client::send(request).await.redirect();
    assert!(!query.contains_key("refreshToken"), "{query:?}");
    assert!(query.contains_key("type"), "{query:?}");
    query["code"].clone()
}

#[tokio::test]
async fn every_mailed_link_brings_a_code_where_a_challenge_was_given() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox).await;
    let email = "ann@example.com";
    let sign_up = json!({"email": email, "password": PASSWORD, "codeChallenge": CHALLENGE});
    assert_eq!(app.post("/signup/email-password", sign_up).await.status, 200);
    let code = follow(&app, &mailbox, 1).await;
    let session = exchange(&app, &code, VERIFIER).await.session();
    assert_eq!(app.refresh(session.refresh_token()).await.status, 200);

    let access = session.access_token();
    for (mails, path, body) in [
        (2, "/signin/passwordless/email", json!({"email": email, "codeChallenge": CHALLENGE})),
        (3, "/user/password/reset", json!({"email": email, "codeChallenge": CHALLENGE})),
        (
            4,
            "/user/email/change",
            json!({"newEmail": "new@example.com", "codeChallenge": CHALLENGE}),
        ),
    ] {
        let sent = Client::send(app.request(Method::POST, path).bearer_auth(access).json(&body));
        sent.await.assert_ok();
        let code = follow_as(&app, &mailbox, mails, access).await;
        exchange(&app, &code, VERIFIER).await.session();
    }
}

#[tokio::test]
async fn anonymous_users_and_second_verification_mails_bring_codes_too() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox).await;
    let anonymous = app.anonymous().await;
    let body = json!({
        "signInMethod": "passwordless", "email": "bob@example.com", "codeChallenge": CHALLENGE,
    });
    app.post_as("/user/deanonymize", anonymous.access_token(), body).await.assert_ok();
    let code = follow(&app, &mailbox, 1).await;
    assert_eq!(exchange(&app, &code, VERIFIER).await.session().user_id(), anonymous.user_id());

    app.sign_up("ann@example.com").await;
    mailbox.last(&app.database, 2).await;
    let again = json!({"email": "ann@example.com", "codeChallenge": CHALLENGE});
    app.post("/user/email/send-verification-email", again).await.assert_ok();
    let code = follow(&app, &mailbox, 3).await;
    exchange(&app, &code, VERIFIER).await.session();
}

#[tokio::test]
async fn whoever_holds_the_link_cannot_get_a_refresh_token_out_of_it() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox).await;
    let body = json!({"email": "ann@example.com", "codeChallenge": CHALLENGE});
    app.post("/signin/passwordless/email", body).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    // Another challenge in the query does not replace the one that was given.
    let other = "a".repeat(43);
    let (_, query) = app.get(&format!("{}&codeChallenge={other}", mail.path())).await.redirect();
    assert!(!query.contains_key("refreshToken"));
    exchange(&app, &query["code"], VERIFIER).await.session();
}

#[tokio::test]
async fn a_challenge_in_the_link_itself_is_honoured() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox).await;
    app.post("/signin/passwordless/email", json!({"email": "ann@example.com"})).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    let link = format!("{}&codeChallenge={CHALLENGE}", mail.path());
    let (_, query) = app.get(&link).await.redirect();
    assert!(!query.contains_key("refreshToken"));
    exchange(&app, &query["code"], VERIFIER).await.session();
}

#[tokio::test]
async fn a_code_is_good_once_for_its_verifier_and_for_five_minutes() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox).await;
    let ask = json!({"email": "ann@example.com", "codeChallenge": CHALLENGE});
    app.post("/signin/passwordless/email", ask.clone()).await.assert_ok();
    let code = follow(&app, &mailbox, 1).await;
    exchange(&app, &code, &"b".repeat(43)).await.assert_refused(400, "invalid-request");
    exchange(&app, "no-such-code", VERIFIER).await.assert_refused(400, "invalid-request");
    exchange(&app, &code, "short").await.assert_refused(400, "invalid-request");
    // Of many at once exactly one gets the session.
    let tries = (0..8).map(|_| exchange(&app, &code, VERIFIER));
    let responses = futures_util::future::join_all(tries).await;
    assert_eq!(responses.iter().filter(|response| response.status == 200).count(), 1);
    exchange(&app, &code, VERIFIER).await.assert_refused(400, "invalid-request");

    app.post("/signin/passwordless/email", ask).await.assert_ok();
    let code = follow(&app, &mailbox, 2).await;
    app.clock.advance(Duration::minutes(5) + Duration::seconds(1));
    exchange(&app, &code, VERIFIER).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn a_code_opens_nothing_for_a_user_who_was_disabled_meanwhile() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox).await;
    let ask = json!({"email": "ann@example.com", "codeChallenge": CHALLENGE});
    app.post("/signin/passwordless/email", ask).await.assert_ok();
    let code = follow(&app, &mailbox, 1).await;
    app.database.execute("update auth.users set disabled = true").await;
    let refused = exchange(&app, &code, VERIFIER).await;
    refused.assert_refused(401, "disabled-user");
}

#[tokio::test]
async fn a_challenge_of_another_form_is_refused_and_nothing_is_sent() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox).await;
    for wrong in [json!(""), json!("a".repeat(42)), json!("a".repeat(44)), json!(1), Value::Null] {
        let body = json!({"email": "ann@example.com", "codeChallenge": wrong});
        let refused = app.post("/signin/passwordless/email", body).await;
        refused.assert_refused(400, "invalid-request");
    }
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}
