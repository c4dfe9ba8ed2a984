//! changeUserEmail, and the link that confirms it.

use reqwest::Method;
use serde_json::json;

use crate::support::app::{Client, PASSWORD, Session, TestApp, TestResponse};
use crate::support::mailbox::{Mailbox, verify};

const ANN: &str = "ann@example.com";
const NEW: &str = "Ann@new.example.com";
const CLIENT_URL: &str = "http://localhost:3000";

async fn change(client: &Client, session: &Session, new_email: &str) -> TestResponse {
    let body = json!({"newEmail": new_email});
    client.post_as("/user/email/change", session.access_token(), body).await
}

async fn start(mailbox: &Mailbox, more: &[(&str, &str)]) -> (TestApp, Session) {
    let mut settings = mailbox.settings(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")]);
    settings.extend_from_slice(more);
    let app = TestApp::start(&settings).await;
    let session = app.sign_up(ANN).await.session();
    (app, session)
}

#[tokio::test]
async fn the_link_goes_to_the_new_address_and_following_it_changes_the_old_one() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[]).await;
    change(&app, &session, NEW).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(mail.to, [NEW]);
    assert_eq!(mail.header("X-Email-Template"), Some("email-confirm-change"));
    assert!(mail.html.contains(NEW), "{}", mail.html);
    app.sign_in(NEW, PASSWORD).await.assert_refused(401, "invalid-email-password");
    let (_, query) = follow(&app, &mail.path(), Some(session.access_token())).await.redirect();
    assert_eq!(query["type"], "emailConfirmChange");
    let user = app.refresh(&query["refreshToken"]).await.session().0["user"].clone();
    assert_eq!((user["email"].as_str(), user["emailVerified"].as_bool()), (Some(NEW), Some(true)));
    app.sign_in(&NEW.to_lowercase(), PASSWORD).await.session();
    app.sign_in(ANN, PASSWORD).await.assert_refused(401, "invalid-email-password");
}

#[tokio::test]
async fn the_own_address_in_other_capitals_is_no_clash_and_the_link_writes_it_so() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[]).await;
    let capitals = "ANN@example.com";
    change(&app, &session, capitals).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(mail.to, [capitals]);
    let (_, query) = follow(&app, &mail.path(), Some(session.access_token())).await.redirect();
    assert_eq!(query["type"], "emailConfirmChange");
    let stored = app.database.text("select email::text from auth.users").await.unwrap();
    assert_eq!(stored, capitals);
    app.sign_in(ANN, PASSWORD).await.session();
    // Somebody else's is one in any capitals.
    let bob = app.sign_up("bob@example.com").await.session();
    change(&app, &bob, "Ann@Example.com").await.assert_refused(409, "email-already-in-use");
}

/// Asking proves nothing about the current address.
#[tokio::test]
async fn asking_for_a_change_verifies_nothing() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[]).await;
    change(&app, &session, NEW).await.assert_ok();
    let verified = "select count(*) from auth.users where email_verified";
    assert_eq!(app.database.count(verified).await, 0);
    assert_eq!(app.database.text("select email::text from auth.users").await.unwrap(), ANN);
}

/// Rules for addresses hold for new ones too.
#[tokio::test]
async fn an_address_that_may_not_sign_up_may_not_be_changed_to() {
    let mailbox = Mailbox::start().await;
    let blocked = ("AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS", "blocked.example.com");
    let (app, session) = start(&mailbox, &[blocked]).await;
    change(&app, &session, "ann@BLOCKED.example.com")
        .await
        .assert_refused(401, "invalid-email-password");
    mailbox.all(&app.database, 0).await;
}

#[tokio::test]
async fn a_change_is_refused_step_by_step() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[]).await;
    let body = json!({"newEmail": NEW});
    app.post("/user/email/change", body).await.assert_refused(400, "invalid-request");
    let body = json!({"newEmail": NEW, "options": {"redirectTo": "https://evil.example.com"}});
    let anonymous = app.anonymous().await;
    app.post_as("/user/email/change", anonymous.access_token(), body)
        .await
        .assert_refused(400, "redirectTo-not-allowed");
    change(&app, &anonymous, NEW).await.assert_refused(403, "forbidden-anonymous");
    app.sign_up("bob@example.com").await.session();
    for taken in ["bob@example.com", "BOB@example.com", ANN] {
        change(&app, &session, taken).await.assert_refused(409, "email-already-in-use");
    }
    // A look-alike is no address, and is not looked up as another one.
    for bad in ["", "ann", "ann@example", "mi\u{212a}e@example.com", "a@b.co\r\nBcc: c@d.eu"] {
        change(&app, &session, bad).await.assert_refused(400, "invalid-request");
    }
    mailbox.all(&app.database, 0).await;
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_is_told_and_the_ticket_stays() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[]).await;
    change(&app, &session, NEW).await.assert_ok();
    let ticket = mailbox.last(&app.database, 1).await.ticket().to_owned();
    app.sign_up(NEW).await.session();
    let (_, query) = verify(&app, &ticket, CLIENT_URL).await.redirect();
    assert_eq!(query["error"], "email-already-in-use");
    app.database.execute("delete from auth.users where email = 'ann@new.example.com'").await;
    let (_, query) = verify(&app, &ticket, CLIENT_URL).await.redirect();
    assert!(!query.contains_key("error"), "{query:?}");
    app.sign_in(NEW, PASSWORD).await.session();
}

/// An application that follows the link itself, or a browser.
async fn follow(app: &TestApp, path: &str, bearer: Option<&str>) -> TestResponse {
    let mut request = app.request(Method::GET, path);
    if let Some(bearer) = bearer {
        request = request.bearer_auth(bearer);
    }
    Client::send(request).await
}

/// The link may come to somebody whose address a stranger wants.
#[tokio::test]
async fn confirming_signs_in_nobody_but_who_asked() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[("AUTH_SECURITY_NOTICES", "none")]).await;
    let bob = app.sign_up("bob@example.com").await.session();
    app.database.execute("update auth.users set email_verified = true").await;
    let bearers = [None, Some(bob.access_token()), Some("no token")];
    for (at, bearer) in bearers.into_iter().enumerate() {
        let new = format!("new{at}@example.com");
        change(&app, &session, &new).await.assert_ok();
        let path = mailbox.last(&app.database, at + 1).await.path();
        let (_, query) = follow(&app, &path, bearer).await.redirect();
        assert_eq!(query["type"], "emailConfirmChange");
        assert!(!query.contains_key("refreshToken") && !query.contains_key("code"), "{query:?}");
        app.sign_in(&new, PASSWORD).await.session();
    }
}

/// Sign-out ends what the session has begun.
#[tokio::test]
async fn a_change_ends_with_the_session_that_asked_for_it() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[]).await;
    change(&app, &session, NEW).await.assert_ok();
    let ticket = mailbox.last(&app.database, 1).await.ticket().to_owned();
    app.post("/signout", json!({"refreshToken": session.refresh_token()})).await.assert_ok();
    let (_, query) = verify(&app, &ticket, CLIENT_URL).await.redirect();
    assert_eq!(query["error"], "invalid-ticket");
    app.sign_in(ANN, PASSWORD).await.session();
}

/// A browser that keeps cookies of this server is known again.
#[tokio::test]
async fn the_browser_that_asked_is_signed_in() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[]).await;
    let asked = change(&app, &session, NEW).await;
    let cookie =
        asked.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let path = mailbox.last(&app.database, 1).await.path();
    let with_cookie = app.request(Method::GET, &path).header("Cookie", cookie);
    let (_, query) = Client::send(with_cookie).await.redirect();
    app.refresh(&query["refreshToken"]).await.session();
}

#[tokio::test]
async fn an_operator_may_keep_the_way_of_the_reference() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[("AUTH_ADDRESS_PROOF_CLEARS", "never")]).await;
    change(&app, &session, NEW).await.assert_ok();
    let path = mailbox.last(&app.database, 1).await.path();
    let (_, query) = app.get(&path).await.redirect();
    app.refresh(&query["refreshToken"]).await.session();
    app.refresh(session.refresh_token()).await.session();
}

/// A ticket without a pending address changes nothing.
#[tokio::test]
async fn a_confirmation_without_pending_address_leaves_the_old_one() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, &[]).await;
    change(&app, &session, NEW).await.assert_ok();
    let ticket = mailbox.last(&app.database, 1).await.ticket().to_owned();
    app.database.execute("update auth.users set new_email = null").await;
    let (_, query) = verify(&app, &ticket, CLIENT_URL).await.redirect();
    assert_eq!(query["error"], "invalid-ticket");
    assert_eq!(app.database.text("select email::text from auth.users").await.unwrap(), ANN);
}
