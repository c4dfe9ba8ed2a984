//! `AUTH_MAIL_DELIVERY`: whether a response waits for its mail.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::{Client, PASSWORD, TestApp};
use crate::support::mailbox::Mailbox;
use crate::support::smtp::Fault;

const BEFORE: (&str, &str) = ("AUTH_MAIL_DELIVERY", "before-response");
const METHODS: [(&str, &str); 2] =
    [("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"), ("AUTH_OTP_EMAIL_ENABLED", "true")];

/// Every operation that mails, with the body of its request; some need the access token of somebody
/// who has signed in.
fn operations(email: &str) -> Vec<(&'static str, Value, bool)> {
    let guest =
        |method: &str| json!({"signInMethod": method, "email": email, "password": PASSWORD});
    let mut passwordless = guest("passwordless");
    passwordless.as_object_mut().unwrap().remove("password");
    vec![
        ("/signup/email-password", json!({"email": email, "password": PASSWORD}), false),
        ("/signin/passwordless/email", json!({"email": email}), false),
        ("/signin/otp/email", json!({"email": email}), false),
        ("/user/email/change", json!({"newEmail": email}), true),
        ("/user/deanonymize", guest("email-password"), true),
        ("/user/deanonymize", passwordless, true),
        ("/user/password/reset", json!({"email": "known@example.com"}), false),
        ("/user/email/send-verification-email", json!({"email": "unverified@example.com"}), false),
    ]
}

async fn prepare(app: &TestApp) {
    for email in ["known@example.com", "unverified@example.com"] {
        app.sign_up(email).await;
    }
    app.database
        .execute("update auth.users set email_verified = true where email = 'known@example.com'")
        .await;
}

async fn perform(app: &Client, path: &str, body: Value, with_bearer: bool) {
    let response = if with_bearer {
        let bearer = if path == "/user/deanonymize" {
            app.anonymous().await
        } else {
            app.sign_in("known@example.com", PASSWORD).await.session()
        };
        app.post_as(path, bearer.access_token(), body).await
    } else {
        app.post(path, body).await
    };
    assert_eq!(response.status, 200, "{path}: {response:?}");
}

#[tokio::test]
async fn every_mail_is_out_when_its_response_is_there() {
    let mailbox = Mailbox::start().await;
    let more = [&METHODS[..], &[BEFORE]].concat();
    let app = TestApp::start(&mailbox.settings(&more)).await;
    prepare(&app).await;
    for (number, (path, ..)) in operations("").into_iter().enumerate() {
        let before = mailbox.smtp.received().len();
        let (_, body, with_bearer) =
            operations(&format!("new-{number}@example.com")).remove(number);
        perform(&app, path, body, with_bearer).await;
        assert_eq!(mailbox.smtp.received().len(), before + 1, "{path}");
    }
}

#[tokio::test]
async fn a_failed_first_attempt_ends_the_wait_and_the_response_is_the_same() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[BEFORE])).await;
    for fault in [
        Fault::Drop,
        Fault::Reply { at: "RCPT", line: "451 4.7.1 not now" },
        Fault::Reply { at: "MAIL", line: "550 5.7.1 never" },
    ] {
        let began = Instant::now();
        mailbox.smtp.fail_next([fault]);
        let email = format!("{}@example.com", uuid::Uuid::new_v4().simple());
        let response = app.sign_up(&email).await;
        assert_eq!((response.status.as_u16(), response.text.trim()), (200, "{}"));
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        let waiting = format!(
            "select count(*) from auth.keywright_outbox where recipient = '{email}' and attempts > 0"
        );
        assert_eq!(app.database.count(&waiting).await, 1);
    }
}

/// More requests wait for one slow mail server than there are connections to Postgres.
#[tokio::test]
async fn no_connection_is_held_by_those_who_wait() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[BEFORE])).await;
    app.sign_up("known@example.com").await;
    app.database.execute("update auth.users set email_verified = true").await;
    mailbox.smtp.fail_next((0..8).map(|_| Fault::Hang { at: "MAIL" }));
    let waiting = join_all((0..8).map(|n| {
        let app = app.client().clone();
        async move { app.sign_up(&format!("waits-{n}@example.com")).await }
    }));
    let meanwhile = async {
        let connected = async || mailbox.smtp.connections() >= 9;
        crate::support::smtp::eventually("all of them wait", connected).await;
        let began = Instant::now();
        for _ in 0..10 {
            app.sign_in("known@example.com", PASSWORD).await.session();
        }
        began.elapsed()
    };
    let (responses, elapsed) = tokio::join!(waiting, meanwhile);
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
    for response in responses {
        assert_eq!(response.status, 200, "{response:?}");
    }
}

/// Nothing is sent to an address without an account, so a wait would tell which have one.
#[tokio::test]
async fn where_errors_are_concealed_no_response_waits() {
    let mailbox = Mailbox::start().await;
    let conceal = ("AUTH_CONCEAL_ERRORS", "true");
    let app = TestApp::start(&mailbox.settings(&[BEFORE, conceal])).await;
    mailbox.smtp.fail_next([Fault::Hang { at: "MAIL" }]);
    let began = Instant::now();
    let response = app.sign_up("ann@example.com").await;
    assert_eq!(response.status, 200, "{response:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn captured_mail_is_there_when_the_response_is_whatever_is_set() {
    let folder = std::env::temp_dir().join(format!("keywright-mail-{}", uuid::Uuid::new_v4()));
    let folder = folder.to_str().unwrap();
    for conceal in ["false", "true"] {
        let more = [
            ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true"),
            ("AUTH_MAIL_CAPTURE_FOLDER", folder),
            ("AUTH_DEV_ROUTES", "true"),
            ("AUTH_CONCEAL_ERRORS", conceal),
        ];
        let app = TestApp::start(&more).await;
        for n in 0..5 {
            let email = format!("ann-{n}-{conceal}@example.com");
            app.sign_up(&email).await;
            let inbox = app.get("/dev/inbox.json").await;
            assert!(inbox.text.contains(&email), "{email}: {inbox:?}");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}
