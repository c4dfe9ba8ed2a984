//! Weaknesses of the reference that no file of an operation has a test for
//! (docs/reference-behaviour.md).

use reqwest::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{Client, PASSWORD, TestApp};
use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::jwt;
use crate::support::mailbox::{Mailbox, verify};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;

const ANN: &str = "ann@example.com";

/// Asks for a reset, which checks the target before anything else.
async fn asks_for(app: &TestApp, redirect_to: &str) -> (u16, String) {
    let body = json!({"email": ANN, "options": {"redirectTo": redirect_to}});
    let response = app.post("/user/password/reset", body).await;
    (response.status.as_u16(), response.error())
}

#[tokio::test]
async fn a_refused_target_changes_nothing_for_those_who_come_later() {
    let app = TestApp::start(&[]).await;
    let ticket = "verifyEmail:00000000-0000-4000-8000-000000000000";
    let mut targets = Vec::new();
    for redirect_to in ["https://evil.example.com", "https://other.example.com", "x://y"] {
        let response = verify(&app, ticket, redirect_to).await;
        targets.push(response.header("location").unwrap().to_owned());
    }
    assert_eq!(
        targets[0],
        "http://localhost:3000?error=redirectTo-not-allowed\
         &errorDescription=The+value+of+%22options.redirectTo%22+is+not+allowed."
    );
    assert!(targets.iter().all(|target| *target == targets[0]), "{targets:?}");
}

#[tokio::test]
async fn a_disabled_user_does_not_refresh_whatever_else_is_wrong() {
    for change in [
        "disabled = true",
        "disabled = true, email = null, phone_number = '+15550001111'",
        "disabled = true, email_verified = false",
    ] {
        let app = TestApp::start(&[]).await;
        let session = app.sign_up(ANN).await.session();
        app.database.execute(&format!("update auth.users set {change}")).await;
        let blocked = ("AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS", "example.com");
        let strict = TestApp::start_on(app.database.clone(), &[blocked]).await;
        strict.refresh(session.refresh_token()).await.assert_refused(401, "disabled-user");
    }
}

#[tokio::test]
async fn a_used_refresh_token_that_comes_back_late_ends_its_session() {
    let app = TestApp::start(&[]).await;
    let first = app.sign_up(ANN).await.session();
    let second = app.refresh(first.refresh_token()).await.session();
    app.clock.advance(Duration::minutes(1));
    for token in [first.refresh_token(), second.refresh_token()] {
        app.refresh(token).await.assert_refused(401, "invalid-refresh-token");
    }
}

#[tokio::test]
async fn no_message_is_sent_to_those_who_may_not_sign_up() {
    let twilio = HttpSimulator::start(Reply::empty(201)).await;
    let app = TestApp::start(&[
        ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_SMS_TWILIO_ACCOUNT_SID", "AC1"),
        ("AUTH_SMS_TWILIO_AUTH_TOKEN", "x"),
        ("AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID", "MG1"),
        ("AUTH_SMS_TWILIO_URL", &twilio.url),
        ("AUTH_DISABLE_SIGNUP", "true"),
    ])
    .await;
    app.post("/signin/passwordless/sms", json!({"phoneNumber": "+15550001111"}))
        .await
        .assert_refused(403, "signup-disabled");
    assert!(twilio.asked().is_empty());
}

#[tokio::test]
async fn backslashes_and_user_parts_do_not_pass_as_a_host() {
    let mailbox = Mailbox::start().await;
    let urls =
        "https://*.example.com,https://example.org*,http://localhost:*,https://**.example.net";
    let settings = mailbox.settings(&[("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", urls)]);
    let app = TestApp::start(&settings).await;
    for bad in [
        "https://evil\\.example.com",
        "https://x@a.example.com",
        "https://a:b@c.example.com",
        "https://example.org@evil",
        "https://example.org@2130706433",
        "http://localhost:x@evil",
        "https://evil.com/.example.net",
        "https://evil.com/x.example.net/",
        "https://evil.com#.example.com",
        "https://evil.com?.example.com",
        "//a.example.com",
    ] {
        assert_eq!(asks_for(&app, bad).await, (400, "redirectTo-not-allowed".to_owned()), "{bad}");
        let response = verify(&app, "verifyEmail:x", bad).await;
        let location = response.header("location").unwrap_or_default();
        assert!(location.is_empty() || location.starts_with("http://localhost:3000?"), "{bad}");
    }
    for good in ["https://a.example.com", "https://a.example.com/x?y#z", "http://localhost:8080/x"]
    {
        assert_eq!(asks_for(&app, good).await, (200, String::new()), "{good}");
    }
}

#[tokio::test]
async fn a_line_break_in_a_target_reaches_no_mail() {
    let mailbox = Mailbox::start().await;
    let settings = mailbox.settings(&[
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_OTP_EMAIL_ENABLED", "true"),
    ]);
    let app = TestApp::start(&settings).await;
    for path in ["/user/password/reset", "/signin/passwordless/email", "/signin/otp/email"] {
        for bad in [
            "http://localhost:3000/\r\nBcc: x@evil.com",
            "http://localhost:3000/\n",
            "http://localhost:3000/ x",
        ] {
            let body = json!({"email": ANN, "options": {"redirectTo": bad}});
            app.post(path, body).await.assert_refused(400, "redirectTo-not-allowed");
        }
    }
    mailbox.all(&app.database, 0).await;
}

#[tokio::test]
async fn names_and_targets_are_text_in_mails() {
    let mailbox = Mailbox::start().await;
    let folder = std::env::temp_dir().join(format!("keywright-mail-{}", uuid::Uuid::new_v4()));
    let template = folder.join("en/signin-otp");
    std::fs::create_dir_all(&template).unwrap();
    std::fs::write(template.join("subject.txt"), "${displayName}").unwrap();
    std::fs::write(template.join("body.html"), "<p>${displayName} ${redirectTo}</p>").unwrap();
    let app = TestApp::start(&mailbox.settings(&[
        ("AUTH_OTP_EMAIL_ENABLED", "true"),
        ("AUTH_EMAIL_TEMPLATES_PATH", folder.to_str().unwrap()),
    ]))
    .await;
    let options = json!({
        "displayName": "<b>${ticket}", "redirectTo": "http://localhost:3000/?x=<script>",
    });
    let refused = app.post("/signin/otp/email", json!({"email": ANN, "options": options})).await;
    refused.assert_refused(400, "invalid-request");
    let options = json!({
        "displayName": "<b> +1", "redirectTo": "http://localhost:3000/?x=<script>",
    });
    app.post("/signin/otp/email", json!({"email": ANN, "options": options})).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(mail.html.trim(), "<p>&lt;b&gt; +1 http://localhost:3000/?x=&lt;script&gt;</p>");
    std::fs::remove_dir_all(folder).unwrap();
}

/// docs/reference-behaviour.md#subjects-have-hosts-only
#[tokio::test]
async fn a_stranger_writes_no_sentence_into_a_subject() {
    let mailbox = Mailbox::start().await;
    let folder = std::env::temp_dir().join(format!("keywright-mail-{}", uuid::Uuid::new_v4()));
    let template = folder.join("en/signin-passwordless");
    std::fs::create_dir_all(&template).unwrap();
    std::fs::write(template.join("subject.txt"), "Sign in: ${redirectTo} ${link}").unwrap();
    std::fs::write(template.join("body.html"), "<p>${redirectTo}</p>").unwrap();
    let app = TestApp::start(&mailbox.settings(&[
        ("AUTH_OTP_EMAIL_ENABLED", "true"),
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_EMAIL_TEMPLATES_PATH", folder.to_str().unwrap()),
    ]))
    .await;
    let target = "http://localhost:3000/your-account-is-locked/call?+1-555-0100#now";
    let body = json!({"email": ANN, "options": {"redirectTo": target}});
    for (count, path, subject) in [
        (1, "/signin/otp/email", "Your one-time code for localhost"),
        (2, "/signin/passwordless/email", "Sign in: localhost auth.test"),
    ] {
        app.post(path, body.clone()).await.assert_ok();
        let mail = mailbox.last(&app.database, count).await;
        assert_eq!(mail.subject, subject, "built-in and operators' templates");
        if count == 2 {
            assert!(mail.html.contains("your-account-is-locked"), "the body has it whole");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// docs/reference-behaviour.md#locations-are-ascii
#[tokio::test]
async fn redirects_are_ascii_and_lead_where_the_rules_read_them() {
    let targets = "https://ex\u{e4}mple.com,myapp://home,myapp://h\u{f4}te";
    let app = TestApp::start(&[("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", targets)]).await;
    for (target, expected) in [
        (
            "http://localhost:3000/\u{17e}lu\u{165}?q=\u{e9}",
            "http://localhost:3000/%C5%BElu%C5%A5?error=",
        ),
        ("https://ex\u{e4}mple.com/a", "https://xn--exmple-cua.com/a?error="),
        ("https://EX\u{c4}MPLE.com", "https://xn--exmple-cua.com/?error="),
        ("https://ex\u{e4}mple.com@evil.test", "http://localhost:3000?error=redirectTo"),
        ("myapp://home/\u{17e}", "myapp://home/%C5%BE?error="),
        ("myapp://h\u{f4}te", "http://localhost:3000?error=redirectTo-not-allowed"),
        // What is ASCII already stays to the letter.
        ("http://localhost:3000", "http://localhost:3000?error=invalid-ticket"),
        ("HTTP://LOCALHOST:3000/x", "HTTP://LOCALHOST:3000/x?error=invalid-ticket"),
    ] {
        let ticket = "verifyEmail:00000000-0000-4000-8000-000000000000";
        let response = verify(&app, ticket, target).await;
        assert_eq!(response.status, 302, "{target}: {response:?}");
        let location = response.header("location").expect("ASCII");
        assert!(location.starts_with(expected), "{target}: {location}");
    }
}

#[tokio::test]
async fn without_a_client_url_nothing_is_allowed() {
    let mailbox = Mailbox::start().await;
    // A server that sends mail does not start without any target.
    let list = ("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", "https://app.test/ok");
    let app = TestApp::start(&mailbox.settings(&[("AUTH_CLIENT_URL", ""), list])).await;
    for bad in ["//evil.com", "/", "/x", "https://evil.com", ""] {
        assert_eq!(asks_for(&app, bad).await, (400, "redirectTo-not-allowed".to_owned()), "{bad}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let app = TestApp::start(&[]).await;
    let body = json!({"email": ANN, "password": "x".repeat(4 * 1024 * 1024)});
    app.post("/signin/email-password", body).await.assert_refused(413, "payload-too-large");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_bearer_is_told_in_the_same_words() {
    let app = TestApp::start(&[]).await;
    let ann = app.sign_up(ANN).await.session();
    for (what, token) in jwt::refused_tokens(ann.user_id()) {
        let response = app.get_as("/user", &token).await;
        let message = response.json()["message"].clone();
        let known =
            ["Authorization: the bearer token is not valid", "The request payload is incorrect"];
        assert!(known.iter().any(|text| message == *text), "{what}: {message}");
    }
}

#[tokio::test]
async fn lists_of_addresses_do_not_look_at_the_case() {
    let app = TestApp::start(&[
        ("AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS", "Blocked.com"),
        ("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "Eve@example.com"),
    ])
    .await;
    for email in ["x@blocked.com", "x@BLOCKED.com", "eve@example.com", "EVE@EXAMPLE.COM"] {
        app.sign_up(email).await.assert_refused(401, "invalid-email-password");
    }
}

#[tokio::test]
async fn a_look_alike_of_an_address_gets_no_mail_and_the_stored_spelling_does() {
    let mailbox = Mailbox::start().await;
    let settings = mailbox.settings(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")]);
    let app = TestApp::start(&settings).await;
    app.sign_up("mike@ex.com").await.session();
    app.post("/user/password/reset", json!({"email": "mi\u{212a}e@ex.com"}))
        .await
        .assert_refused(400, "invalid-request");
    app.post("/user/password/reset", json!({"email": "MIKE@EX.COM"})).await.assert_ok();
    assert_eq!(mailbox.last(&app.database, 1).await.to, ["mike@ex.com"]);
}

#[tokio::test]
async fn settings_cannot_be_changed_by_clients() {
    let app = TestApp::start(&[]).await;
    app.post("/change-env", json!({"AUTH_DISABLE_SIGNUP": true}))
        .await
        .assert_refused(404, "not-found");
    app.sign_up(ANN).await.session();
}

#[tokio::test]
async fn tickets_are_stored_as_hashes_only() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    app.sign_up(ANN).await;
    let ticket = mailbox.last(&app.database, 1).await.ticket().to_owned();
    let hash = format!(
        "select count(*) from auth.keywright_tickets where ticket_hash = sha256('{ticket}')"
    );
    assert_eq!(app.database.count(&hash).await, 1);
    assert_eq!(app.database.text("select ticket from auth.users").await, None);
}

#[tokio::test]
async fn what_fails_half_way_leaves_nothing() {
    let app = TestApp::start(&[]).await;
    app.database
        .execute(
            "create function refuse() returns trigger language plpgsql as \
             'begin raise ''no sessions today'' using errcode = ''XX000''; end'; \
             create trigger refuse before insert on auth.refresh_tokens \
             for each row execute function refuse()",
        )
        .await;
    let response = app.sign_up(ANN).await;
    response.assert_refused(500, "internal-server-error");
    assert!(!response.text.contains("no sessions today"), "{response:?}");
    let anonymous = Client::send(app.request(Method::POST, "/signin/anonymous")).await;
    anonymous.assert_refused(500, "internal-server-error");
    for table in ["users", "user_roles"] {
        assert_eq!(app.database.count(&format!("select count(*) from auth.{table}")).await, 0);
    }
    app.database.execute("drop trigger refuse on auth.refresh_tokens").await;
    let session = app.sign_up(ANN).await.session();
    assert_eq!(session.0["user"]["metadata"], Value::Null);
    app.sign_in(ANN, PASSWORD).await.session();
}

#[tokio::test]
async fn neither_tickets_nor_other_secrets_reach_the_log() {
    let mailbox = Mailbox::start().await;
    let database = TestDatabase::new().await;
    let settings = mailbox.settings(&[
        ("AUTH_OTP_EMAIL_ENABLED", "true"),
        ("AUTH_DEBUG", "true"),
        ("AUTH_PASSWORD_MIN_LENGTH", "9"),
    ]);
    let server = ServerProcess::start(&database, &settings).await;
    let client = server.client();
    client.sign_up(ANN).await;
    let verification = mailbox.last(&database, 1).await;
    let (_, query) = client.get(&verification.path()).await.redirect();
    let refresh_token = query["refreshToken"].clone();
    let session = client.refresh(&refresh_token).await.session();
    client.get_as("/user", session.access_token()).await;
    client.post("/user/password/reset", json!({"email": ANN})).await.assert_ok();
    let reset = mailbox.last(&database, 2).await.ticket().to_owned();
    let body = json!({"newPassword": "sh0rt-pw", "ticket": reset});
    client.post("/user/password", body).await.assert_refused(400, "password-too-short");
    client.post("/signin/otp/email", json!({"email": ANN})).await.assert_ok();
    let code = mailbox.last(&database, 3).await.ticket().to_owned();
    let body = json!({"email": ANN, "otp": code});
    client.post("/signin/otp/email/verify", body).await.session();
    client.get(&verification.path()).await;
    client.sign_in(ANN, "wrong-Passw0rd").await;
    // The line of this request comes after all of the others.
    client.get("/the-last-one").await;
    eventually("the log to be written", async || {
        server.log().iter().any(|line| line.to_string().contains("the-last-one"))
    })
    .await;
    let log = Value::from(server.log()).to_string();
    let (_, ticket) = verification.ticket().split_once(':').unwrap();
    let (_, reset) = reset.split_once(':').unwrap();
    let secrets = [
        ticket,
        reset,
        &refresh_token,
        session.refresh_token(),
        session.access_token(),
        PASSWORD,
        "wrong-Passw0rd",
        "sh0rt-pw",
        ANN,
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} in the log");
    }
    assert!(!log.contains(&format!("\"{code}\"")), "the code in the log");
}
