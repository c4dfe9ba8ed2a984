//! sendPasswordResetEmail and changeUserPassword.

use reqwest::Method;
use serde_json::json;
use time::Duration;

use crate::support::app::{Client, PASSWORD, Session, TestApp, TestResponse};
use crate::support::jwt;
use crate::support::mailbox::{Mailbox, verify};
use crate::support::two_nodes::TwoNodes;

const ANN: &str = "ann@example.com";
const NEW: &str = "another-Passw0rd";
const NO_VERIFICATION: (&str, &str) = ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false");

async fn ask(client: &Client, email: &str) -> TestResponse {
    client.post("/user/password/reset", json!({"email": email})).await
}

async fn change(client: &Client, session: &Session, password: &str) -> TestResponse {
    let body = json!({"newPassword": password});
    client.post_as("/user/password", session.access_token(), body).await
}

async fn reset(client: &Client, ticket: &str, password: &str) -> TestResponse {
    client.post("/user/password", json!({"newPassword": password, "ticket": ticket})).await
}

/// A user who has asked for a reset, and the ticket.
async fn asked(mailbox: &Mailbox, more: &[(&str, &str)]) -> (TestApp, Session, String) {
    let mut settings = mailbox.settings(&[NO_VERIFICATION]);
    settings.extend_from_slice(more);
    let app = TestApp::start(&settings).await;
    let session = app.sign_up(ANN).await.session();
    ask(&app, ANN).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    (app, session, mail.ticket().to_owned())
}

#[tokio::test]
async fn the_mail_has_the_contracts_link_and_its_ticket_sets_a_password() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[NO_VERIFICATION])).await;
    app.sign_up(ANN).await.session();
    let body =
        json!({"email": "ANN@example.com", "options": {"redirectTo": "http://localhost:3000/new"}});
    app.post("/user/password/reset", body).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(mail.to, [ANN], "the stored address, not the typed one");
    assert_eq!(mail.header("X-Email-Template"), Some("password-reset"));
    let ticket = mail.ticket();
    assert!(ticket.starts_with("passwordReset:"), "{ticket}");
    assert!(mail.header("X-Link").unwrap().ends_with("&type=passwordReset"));
    reset(&app, ticket, NEW).await.assert_ok();
    app.sign_in(ANN, PASSWORD).await.assert_refused(401, "invalid-email-password");
    app.sign_in(ANN, NEW).await.session();
    reset(&app, ticket, PASSWORD).await.assert_refused(401, "invalid-ticket");
    app.sign_in(ANN, NEW).await.session();
}

#[tokio::test]
async fn following_the_link_signs_in_and_the_new_password_is_set_with_that_session() {
    let mailbox = Mailbox::start().await;
    let (app, _, ticket) = asked(&mailbox, &[]).await;
    let (_, query) = verify(&app, &ticket, "http://localhost:3000").await.redirect();
    assert_eq!(query["type"], "passwordReset");
    let session = app.refresh(&query["refreshToken"]).await.session();
    change(&app, &session, NEW).await.assert_ok();
    app.refresh(session.refresh_token()).await.session();
    app.sign_in(ANN, NEW).await.session();
}

/// Neither the response nor a mail tells who is known.
#[tokio::test]
async fn the_response_is_the_same_for_everybody() {
    let mailbox = Mailbox::start().await;
    let settings =
        mailbox.settings(&[("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "blocked@example.com")]);
    let app = TestApp::start(&settings).await;
    for email in ["disabled", "unverified", "blocked"] {
        let id = uuid::Uuid::new_v4();
        app.database
            .execute(&format!(
                "insert into auth.users (id, email, locale, default_role, disabled, email_verified) \
                 values ('{id}', '{email}@example.com', 'en', 'user', {}, {})",
                email == "disabled",
                email != "unverified"
            ))
            .await;
    }
    for email in ["disabled", "unverified", "blocked", "nobody"] {
        ask(&app, &format!("{email}@example.com")).await.assert_ok();
    }
    mailbox.all(&app.database, 0).await;
}

#[tokio::test]
async fn a_target_that_is_not_allowed_is_refused_before_anything() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    let body = json!({"email": ANN, "options": {"redirectTo": "https://evil.example.com"}});
    app.post("/user/password/reset", body).await.assert_refused(400, "redirectTo-not-allowed");
}

#[tokio::test]
async fn a_bearer_changes_the_own_password_whatever_the_ticket() {
    let mailbox = Mailbox::start().await;
    let (app, session, ticket) = asked(&mailbox, &[("AUTH_PASSWORD_CHANGE_ENDS", "nothing")]).await;
    let body = json!({"newPassword": NEW, "ticket": ticket});
    app.post_as("/user/password", session.access_token(), body).await.assert_ok();
    app.sign_in(ANN, NEW).await.session();
    // The ticket was not looked at and not used up.
    reset(&app, &ticket, PASSWORD).await.assert_ok();
    app.sign_in(ANN, PASSWORD).await.session();
}

#[tokio::test]
async fn without_bearer_and_ticket_nothing_changes() {
    let mailbox = Mailbox::start().await;
    let (app, session, ticket) = asked(&mailbox, &[]).await;
    app.post("/user/password", json!({"newPassword": NEW}))
        .await
        .assert_refused(400, "invalid-request");
    // A bearer that is not valid counts as none.
    let body = json!({"newPassword": NEW});
    app.post_as("/user/password", "no-token", body).await.assert_refused(400, "invalid-request");
    for bad in ["", "passwordReset", "verifyEmail:x", "mfaTotp:x"] {
        reset(&app, bad, NEW).await.assert_refused(400, "invalid-request");
    }
    let unknown = format!("passwordReset:{}", uuid::Uuid::new_v4());
    reset(&app, &unknown, NEW).await.assert_refused(401, "invalid-ticket");
    for (path, body) in [
        ("/user/password", json!({"ticket": ticket})),
        ("/user/password", json!({"newPassword": "ab", "ticket": ticket})),
        ("/user/password", json!({"newPassword": NEW, "ticket": ticket, "more": 1})),
    ] {
        app.post(path, body).await.assert_refused(400, "invalid-request");
    }
    let anonymous = TestApp::start(&[]).await;
    let guest = anonymous.anonymous().await;
    change(&anonymous, &guest, NEW).await.assert_refused(403, "forbidden-anonymous");
    app.sign_in(ANN, PASSWORD).await.session();
    app.refresh(session.refresh_token()).await.session();
}

/// What is wrong with the request does not cost the ticket.
#[tokio::test]
async fn a_refused_password_leaves_the_ticket() {
    let mailbox = Mailbox::start().await;
    let (app, _, ticket) = asked(&mailbox, &[("AUTH_PASSWORD_MIN_LENGTH", "9")]).await;
    reset(&app, &ticket, "12345678").await.assert_refused(400, "password-too-short");
    app.database.execute("update auth.users set disabled = true").await;
    app.app().actors.sessions.users().forget_all();
    reset(&app, &ticket, NEW).await.assert_refused(401, "disabled-user");
    app.database.execute("update auth.users set disabled = false").await;
    app.app().actors.sessions.users().forget_all();
    reset(&app, &ticket, NEW).await.assert_ok();
}

#[tokio::test]
async fn a_ticket_ends_after_an_hour() {
    let mailbox = Mailbox::start().await;
    let (app, _, ticket) = asked(&mailbox, &[]).await;
    app.clock.advance(Duration::minutes(60));
    reset(&app, &ticket, NEW).await.assert_refused(401, "invalid-ticket");
}

/// One statement uses the ticket up (docs/reference-behaviour.md#one-ticket-one-winner).
#[tokio::test]
async fn of_many_resets_with_one_ticket_one_succeeds() {
    let mailbox = Mailbox::start().await;
    let two = TwoNodes::start(&mailbox.settings(&[NO_VERIFICATION])).await;
    let [one, other] = &two.nodes;
    one.sign_up(ANN).await.session();
    ask(one, ANN).await.assert_ok();
    let ticket = mailbox.last(&one.database, 1).await.ticket().to_owned();
    let passwords: Vec<String> = (0..8).map(|number| format!("{NEW}-{number}")).collect();
    let responses =
        futures_util::future::join_all(passwords.iter().enumerate().map(|(number, password)| {
            reset(if number % 2 == 0 { one } else { other }, &ticket, password)
        }))
        .await;
    let winners: Vec<usize> = (0..8).filter(|number| responses[*number].status == 200).collect();
    assert_eq!(winners.len(), 1, "{responses:?}");
    one.sign_in(ANN, &passwords[winners[0]]).await.session();
}

/// One purpose does not void another (docs/reference-behaviour.md#tickets-by-purpose).
#[tokio::test]
async fn asking_voids_no_ticket_and_a_reset_voids_the_other_resets() {
    let mailbox = Mailbox::start().await;
    let app =
        TestApp::start(&mailbox.settings(&[("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true")])).await;
    app.sign_up(ANN).await;
    let verification = mailbox.last(&app.database, 1).await.ticket().to_owned();
    app.post("/signin/passwordless/email", json!({"email": ANN})).await.assert_ok();
    let link = mailbox.last(&app.database, 2).await.ticket().to_owned();
    app.database.execute("update auth.users set email_verified = true").await;
    let mut resets = Vec::new();
    for count in [3, 4] {
        ask(&app, ANN).await.assert_ok();
        resets.push(mailbox.last(&app.database, count).await.ticket().to_owned());
    }
    for good in [&verification, &link] {
        let (_, query) = verify(&app, good, "http://localhost:3000").await.redirect();
        assert!(query.contains_key("refreshToken"), "{query:?}");
    }
    reset(&app, &resets[0], NEW).await.assert_ok();
    reset(&app, &resets[1], NEW).await.assert_refused(401, "invalid-ticket");
}

/// Who knew the old password is out (docs/reference-behaviour.md#new-password-ends-sessions).
#[tokio::test]
async fn a_change_ends_the_other_sessions_and_keeps_the_own() {
    let app = TestApp::start(&[]).await;
    let own = app.sign_up(ANN).await.session();
    let own = app.refresh(own.refresh_token()).await.session();
    let thief = app.sign_in(ANN, PASSWORD).await.session();
    let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    let pat = app.post_as("/pat", thief.access_token(), body).await.json();
    let pat = json!({"personalAccessToken": pat["personalAccessToken"]});
    change(&app, &own, NEW).await.assert_ok();
    app.refresh(thief.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    let own = app.refresh(own.refresh_token()).await.session();
    app.post("/signin/pat", pat.clone()).await.session();

    let strict = TestApp::start_on(
        app.database.clone(),
        &[("AUTH_PASSWORD_CHANGE_ENDS", "sessions-and-pats")],
    )
    .await;
    change(&strict, &own, PASSWORD).await.assert_ok();
    strict.post("/signin/pat", pat).await.assert_refused(401, "invalid-pat");
    strict.refresh(own.refresh_token()).await.session();
}

#[tokio::test]
async fn a_reset_ends_all_sessions_and_every_way_past_the_new_password() {
    let mailbox = Mailbox::start().await;
    let (app, session, ticket) =
        asked(&mailbox, &[("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true")]).await;
    app.post("/signin/passwordless/email", json!({"email": ANN})).await.assert_ok();
    let link = mailbox.last(&app.database, 2).await.ticket().to_owned();
    reset(&app, &ticket, NEW).await.assert_ok();
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    let (_, query) = verify(&app, &link, "http://localhost:3000").await.redirect();
    assert_eq!(query["error"], "invalid-ticket");
}

/// A token of the reference does not say which session is its own.
#[tokio::test]
async fn a_bearer_without_session_ends_them_all() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up(ANN).await.session();
    let token = jwt::sign(&jwt::claims(session.user_id()));
    let body = json!({"newPassword": NEW});
    app.post_as("/user/password", &token, body).await.assert_ok();
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
}

#[tokio::test]
async fn a_pending_reset_of_the_reference_is_honoured_once() {
    let app = TestApp::start(&[]).await;
    app.sign_up(ANN).await.session();
    let ticket = format!("passwordReset:{}", uuid::Uuid::new_v4());
    app.database
        .execute(&format!(
            "update auth.users set ticket = '{ticket}', ticket_expires_at = now() + interval '1 hour'"
        ))
        .await;
    reset(&app, &ticket, "ab").await.assert_refused(400, "invalid-request");
    reset(&app, &ticket, NEW).await.assert_ok();
    reset(&app, &ticket, PASSWORD).await.assert_refused(401, "invalid-ticket");
}

#[tokio::test]
async fn the_ticket_is_the_way_for_a_bearer_who_cannot_elevate() {
    let mailbox = Mailbox::start().await;
    let (app, session, ticket) =
        asked(&mailbox, &[("AUTH_REQUIRE_ELEVATED_CLAIM", "required")]).await;
    change(&app, &session, NEW).await.assert_refused(400, "invalid-request");
    let request = app
        .request(Method::POST, "/user/password")
        .bearer_auth(session.access_token())
        .json(&json!({"newPassword": NEW, "ticket": ticket}));
    Client::send(request).await.assert_ok();
    app.sign_in(ANN, NEW).await.session();
}
