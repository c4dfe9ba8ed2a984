//! Verifying an address: the mail, and what following its link does.

use reqwest::{Method, StatusCode};
use serde_json::json;
use time::Duration;

use crate::support::app::{Client, PASSWORD, TestApp};
use crate::support::mailbox::{Mailbox, verify};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;

const CLIENT_URL: &str = "http://localhost:3000";

/// A user who has signed up and not yet verified, and the mail that they got.
async fn signed_up(mailbox: &Mailbox, more: &[(&str, &str)]) -> (TestApp, String) {
    let app = TestApp::start(&mailbox.settings(more)).await;
    app.sign_up("ann@example.com").await;
    let mail = mailbox.last(&app.database, 1).await;
    (app, mail.ticket().to_owned())
}

async fn is_verified(app: &TestApp) -> bool {
    app.database.count("select count(*) from auth.users where email_verified").await == 1
}

#[tokio::test]
async fn the_mail_carries_ticket_link_and_headers_and_its_link_signs_in() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    let body = json!({
        "email": "ann@example.com", "password": PASSWORD,
        "options": {"displayName": "Ann <b>", "redirectTo": "http://localhost:3000/x?a=b#c"},
    });
    app.post("/signup/email-password", body).await;
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(mail.to, ["ann@example.com"]);
    assert_eq!(mail.header("X-Email-Template"), Some("email-verify"));
    assert_eq!(mail.header("X-Redirect-To"), Some("http://localhost:3000/x?a=b#c"));
    let ticket = mail.ticket();
    assert!(ticket.strip_prefix("verifyEmail:").is_some_and(|id| id.len() == 36), "{ticket}");
    assert_eq!(
        mail.header("X-Link").unwrap(),
        format!(
            "http://auth.test/verify?redirectTo=http%3A%2F%2Flocalhost%3A3000%2Fx%3Fa%3Db%23c\
             &ticket={}&type=emailVerify",
            ticket.replace(':', "%3A")
        )
    );
    assert!(!mail.subject.is_empty());
    assert!(!mail.html.contains("Ann <b>"), "names are escaped: {}", mail.html);
    assert!(mail.html.contains(&mail.header("X-Link").unwrap().replace('&', "&amp;")));

    let followed = app.get(&mail.path()).await;
    let (target, query) = followed.redirect();
    assert_eq!(target, "http://localhost:3000/x");
    assert!(followed.header("location").unwrap().ends_with("#c"), "{followed:?}");
    assert_eq!(followed.header("cache-control"), Some("no-store"));
    assert_eq!(followed.text, "");
    assert_eq!((query["a"].as_str(), query["type"].as_str()), ("b", "verifyEmail"));
    let session = app.refresh(&query["refreshToken"]).await.session();
    assert_eq!(session.0["user"]["emailVerified"], true);
    app.sign_in("ann@example.com", PASSWORD).await.session();
    mailbox.all(&app.database, 1).await;
}

#[tokio::test]
async fn a_link_works_once() {
    let mailbox = Mailbox::start().await;
    let (app, ticket) = signed_up(&mailbox, &[]).await;
    assert!(verify(&app, &ticket, CLIENT_URL).await.redirect().1.contains_key("refreshToken"));
    let again = verify(&app, &ticket, CLIENT_URL).await;
    assert_eq!(
        again.header("location"),
        Some("http://localhost:3000?error=invalid-ticket&errorDescription=Invalid+ticket")
    );
    assert_eq!(app.database.count("select count(*) from auth.refresh_tokens").await, 1);
}

#[tokio::test]
async fn of_many_who_follow_a_link_at_once_one_is_signed_in() {
    let mailbox = Mailbox::start().await;
    let (app, ticket) = signed_up(&mailbox, &[]).await;
    let follow = (0..8).map(|_| verify(&app, &ticket, CLIENT_URL));
    let responses = futures_util::future::join_all(follow).await;
    let good = responses.iter().filter(|a| a.redirect().1.contains_key("refreshToken")).count();
    assert_eq!(good, 1);
    assert_eq!(app.database.count("select count(*) from auth.refresh_tokens").await, 1);
}

#[tokio::test]
async fn unknown_malformed_and_expired_tickets_are_refused_in_the_redirect() {
    let mailbox = Mailbox::start().await;
    let (app, ticket) = signed_up(&mailbox, &[]).await;
    let id = ticket.strip_prefix("verifyEmail:").unwrap();
    for bad in [
        "verifyEmail:00000000-0000-4000-8000-000000000000",
        &format!("passwordReset:{id}"),
        &format!("mfaTotp:{id}"),
        &format!("otp:{id}"),
        &format!("VERIFYEMAIL:{id}"),
        &format!("{ticket} "),
        id,
        "123456",
        "verifyEmail:",
        "x",
    ] {
        let (target, query) =
            verify(&app, bad, "http://localhost:3000/x?error=old").await.redirect();
        assert_eq!(target, "http://localhost:3000/x");
        assert_eq!(query["error"], "invalid-ticket", "{bad}");
        assert_eq!(query["errorDescription"], "Invalid ticket");
    }
    app.clock.advance(Duration::days(30) + Duration::seconds(1));
    assert_eq!(verify(&app, &ticket, CLIENT_URL).await.redirect().1["error"], "invalid-ticket");
    assert!(!is_verified(&app).await);
}

#[tokio::test]
async fn a_link_works_until_the_last_day() {
    let mailbox = Mailbox::start().await;
    let (app, ticket) = signed_up(&mailbox, &[]).await;
    app.clock.advance(Duration::days(30) - Duration::minutes(1));
    assert!(verify(&app, &ticket, CLIENT_URL).await.redirect().1.contains_key("refreshToken"));
}

#[tokio::test]
async fn a_target_that_is_not_allowed_gets_nothing_and_the_ticket_stays_good() {
    let mailbox = Mailbox::start().await;
    let allowed = [("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", "https://*.example.com")];
    let (app, ticket) = signed_up(&mailbox, &allowed).await;
    for target in [
        "https://evil.test/",
        "http://localhost:3001",
        "http://localhost:3000@evil.test",
        "https://example.com",
        "javascript:alert(1)",
    ] {
        let refused = verify(&app, &ticket, target).await;
        let (sent_to, query) = refused.redirect();
        assert_eq!(sent_to, CLIENT_URL, "{target}");
        assert_eq!(query["error"], "redirectTo-not-allowed");
        let text = "The value of \"options.redirectTo\" is not allowed.";
        assert_eq!(query["errorDescription"], text);
        assert_eq!(query.len(), 2, "{query:?}");
    }
    let (target, query) = verify(&app, &ticket, "https://app.example.com/in").await.redirect();
    assert_eq!(target, "https://app.example.com/in");
    assert!(query.contains_key("refreshToken"));
}

#[tokio::test]
async fn parameters_are_required_once_and_the_type_must_be_a_known_one() {
    let mailbox = Mailbox::start().await;
    let (app, ticket) = signed_up(&mailbox, &[]).await;
    let to = "redirectTo=http%3A%2F%2Flocalhost%3A3000";
    for query in [
        String::new(),
        format!("ticket={ticket}"),
        to.to_owned(),
        format!("ticket=&{to}"),
        format!("ticket={ticket}&redirectTo="),
        format!("ticket={ticket}&ticket={ticket}&{to}"),
        format!("ticket={ticket}&{to}&{to}"),
        format!("ticket={ticket}&{to}&type=verifyEmail"),
        format!("ticket={ticket}&redirectTo=%25zz"),
        format!("ticket={ticket}&redirectTo=nowhere"),
    ] {
        app.get(&format!("/verify?{query}")).await.assert_refused(400, "invalid-request");
    }
    assert!(!is_verified(&app).await);
    // The type says nothing, and what nobody asks for is ignored.
    let good = app.get(&format!("/verify?ticket={ticket}&{to}&type=passwordReset&more=1")).await;
    assert_eq!(good.redirect().1["type"], "verifyEmail");
}

#[tokio::test]
async fn only_get_follows_a_link_so_that_looking_at_it_does_not_use_it_up() {
    let mailbox = Mailbox::start().await;
    let (app, ticket) = signed_up(&mailbox, &[]).await;
    let path = format!("/verify?ticket={ticket}&redirectTo=http%3A%2F%2Flocalhost%3A3000");
    for method in [Method::HEAD, Method::POST, Method::PUT] {
        let response = Client::send(app.request(method, &path)).await;
        assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.header("allow"), Some("GET"));
    }
    assert!(!is_verified(&app).await);
    assert!(app.get(&path).await.redirect().1.contains_key("refreshToken"));
}

#[tokio::test]
async fn a_user_disabled_meanwhile_is_refused_and_keeps_the_ticket() {
    let mailbox = Mailbox::start().await;
    let (app, ticket) = signed_up(&mailbox, &[]).await;
    app.database.execute("update auth.users set disabled = true").await;
    let (_, query) = verify(&app, &ticket, CLIENT_URL).await.redirect();
    assert_eq!(query["error"], "disabled-user");
    assert!(!is_verified(&app).await);
    app.database.execute("update auth.users set disabled = false").await;
    assert!(verify(&app, &ticket, CLIENT_URL).await.redirect().1.contains_key("refreshToken"));
}

#[tokio::test]
async fn a_ticket_that_the_reference_issued_is_honoured_once_and_until_it_expires() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    app.sign_up("ann@example.com").await;
    let ticket = "verifyEmail:7f1c2b1e-5a57-4c2f-9d6b-3f0f6f0e8a11";
    let issue = |expires: &str| {
        format!("update auth.users set ticket = '{ticket}', ticket_expires_at = {expires}")
    };
    app.database.execute(&issue("now() - interval '1 second'")).await;
    assert_eq!(verify(&app, ticket, CLIENT_URL).await.redirect().1["error"], "invalid-ticket");
    app.database.execute(&issue("now() + interval '1 hour'")).await;
    assert!(verify(&app, ticket, CLIENT_URL).await.redirect().1.contains_key("refreshToken"));
    assert_eq!(verify(&app, ticket, CLIENT_URL).await.redirect().1["error"], "invalid-ticket");
    let cleared = "select count(*) from auth.users where ticket is null and email_verified";
    assert_eq!(app.database.count(cleared).await, 1);
}

#[tokio::test]
async fn only_hashes_of_tickets_are_stored() {
    let mailbox = Mailbox::start().await;
    let (app, ticket) = signed_up(&mailbox, &[]).await;
    let hash = format!(
        "select count(*) from auth.keywright_tickets where ticket_hash = sha256('{ticket}')"
    );
    assert_eq!(app.database.count(&hash).await, 1);
    let in_clear = "select count(*) from auth.users where ticket is not null";
    assert_eq!(app.database.count(in_clear).await, 0);
    assert_eq!(app.database.count("select count(*) from auth.keywright_outbox").await, 0);
}

#[tokio::test]
async fn another_mail_can_be_asked_for_and_following_a_link_voids_the_other() {
    let mailbox = Mailbox::start().await;
    let (app, first) = signed_up(&mailbox, &[]).await;
    let body = json!({"email": "ANN@example.com"});
    app.post("/user/email/send-verification-email", body).await.assert_ok();
    let mail = mailbox.last(&app.database, 2).await;
    assert_eq!(mail.to, ["ann@example.com"], "the stored address, not the typed one");
    assert_ne!(mail.ticket(), first);
    assert!(app.get(&mail.path()).await.redirect().1.contains_key("refreshToken"));
    assert_eq!(verify(&app, &first, CLIENT_URL).await.redirect().1["error"], "invalid-ticket");
    app.post("/user/email/send-verification-email", json!({"email": "ann@example.com"}))
        .await
        .assert_refused(400, "email-already-verified");
    mailbox.all(&app.database, 2).await;
}

#[tokio::test]
async fn refusals_send_no_mail() {
    let mailbox = Mailbox::start().await;
    let (app, _) = signed_up(&mailbox, &[]).await;
    let send =
        async |body: serde_json::Value| app.post("/user/email/send-verification-email", body).await;
    send(json!({"email": "nobody@example.com"}))
        .await
        .assert_refused(401, "invalid-email-password");
    let evil = json!({"email": "ann@example.com", "options": {"redirectTo": "https://evil.test"}});
    send(evil).await.assert_refused(400, "redirectTo-not-allowed");
    let empty = json!({"email": "ann@example.com", "options": {"redirectTo": ""}});
    send(empty).await.assert_refused(400, "redirectTo-not-allowed");
    let split = "http://localhost:3000/\r\nBcc: eve@example.com";
    let split = json!({"email": "ann@example.com", "options": {"redirectTo": split}});
    send(split).await.assert_refused(400, "redirectTo-not-allowed");
    app.database.execute("update auth.users set disabled = true").await;
    send(json!({"email": "ann@example.com"})).await.assert_refused(401, "disabled-user");
    mailbox.all(&app.database, 1).await;
}

#[tokio::test]
async fn the_mail_can_be_asked_for_where_verification_is_not_required() {
    let mailbox = Mailbox::start().await;
    let off = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")];
    let app = TestApp::start(&mailbox.settings(&off)).await;
    app.sign_up("ann@example.com").await.session();
    let body = json!({
        "email": "ann@example.com", "options": {"redirectTo": "http://localhost:3000/done"},
    });
    app.post("/user/email/send-verification-email", body).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(app.get(&mail.path()).await.redirect().0, "http://localhost:3000/done");
    assert!(is_verified(&app).await);
}

#[tokio::test]
async fn links_lead_below_the_prefix() {
    let mailbox = Mailbox::start().await;
    let prefixed = [("AUTH_API_PREFIX", "/v1"), ("AUTH_SERVER_URL", "https://auth.example.com/v1")];
    let app = TestApp::start(&mailbox.settings(&prefixed)).await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    app.post("/v1/signup/email-password", body).await;
    let mail = mailbox.last(&app.database, 1).await;
    let link = mail.header("X-Link").unwrap();
    assert!(link.starts_with("https://auth.example.com/v1/verify?"), "{link}");
    assert!(app.get(&mail.path()).await.redirect().1.contains_key("refreshToken"));
}

#[tokio::test]
async fn a_process_that_is_killed_between_commit_and_send_sends_once_after_its_restart() {
    let database = TestDatabase::new().await;
    let mailbox = Mailbox::start().await;
    // Nobody listens there any more, so nothing leaves before the crash.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = closed.to_string();
    let settings = mailbox.settings(&[("AUTH_SMTP_PORT", &closed)]);
    let mut server = ServerProcess::start(&database, &settings).await;
    assert_eq!(server.client().sign_up("ann@example.com").await.status, StatusCode::OK);
    eventually("the first attempt to fail", async || {
        let tried = "select count(*) from auth.keywright_outbox where last_error is not null";
        database.count(tried).await == 1
    })
    .await;
    server.kill().await;
    assert!(mailbox.smtp.received().is_empty());

    let server = ServerProcess::start(&database, &mailbox.settings(&[])).await;
    let mail = mailbox.last(&database, 1).await;
    let (_, query) = server.client().get(&mail.path()).await.redirect();
    assert!(query.contains_key("refreshToken"), "{query:?}");
}
