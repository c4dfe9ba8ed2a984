//! Mail by Postmark's HTTP API (`AUTH_SMTP_HOST=postmark`).

use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::mailbox::verify;
use crate::support::smtp::eventually;

async fn start(postmark: &HttpSimulator) -> TestApp {
    TestApp::start(&[
        ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true"),
        ("AUTH_SMTP_HOST", "postmark"),
        ("AUTH_SMTP_PASS", "server-token"),
        ("AUTH_SMTP_SENDER", "Keywright <no-reply@example.com>"),
        ("AUTH_POSTMARK_URL", &postmark.url),
    ])
    .await
}

async fn asked(postmark: &HttpSimulator, count: usize) {
    eventually("Postmark to be asked", async || postmark.asked().len() >= count).await;
}

#[tokio::test]
async fn the_operators_template_there_gets_address_and_variables() {
    let postmark = HttpSimulator::start(Reply::json(200, &json!({"ErrorCode": 0}))).await;
    let app = start(&postmark).await;
    let body = json!({
        "email": "ann@example.com", "password": PASSWORD, "options": {"displayName": "Ann <3"},
    });
    app.post("/signup/email-password", body).await;
    asked(&postmark, 1).await;
    let asked = postmark.only();
    assert_eq!(asked.path, "/email/withTemplate");
    assert_eq!(asked.header("x-postmark-server-token"), Some("server-token"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let body = asked.json();
    assert_eq!(body["TemplateAlias"], "en.email-verify");
    assert_eq!(body["From"], "Keywright <no-reply@example.com>");
    assert_eq!(body["To"], "ann@example.com");
    let model = body["TemplateModel"].as_object().unwrap();
    let names: Vec<&str> = model.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "clientUrl",
            "detail",
            "displayName",
            "email",
            "link",
            "locale",
            "newEmail",
            "redirectTo",
            "serverUrl",
            "ticket",
            "time"
        ]
    );
    assert_eq!(model["displayName"], "Ann <3");
    let ticket = model["ticket"].as_str().unwrap();
    let (_, query) = verify(&app, ticket, "http://localhost:3000").await.redirect();
    assert!(query.contains_key("refreshToken"), "{query:?}");
}

#[tokio::test]
async fn what_was_not_taken_is_sent_again() {
    let postmark = HttpSimulator::start(Reply::empty(200)).await;
    postmark.say_once(Reply::empty(500));
    let app = start(&postmark).await;
    app.sign_up("ann@example.com").await;
    eventually("the failure to be noted", async || {
        let failed = "select count(*) from auth.keywright_outbox where last_error like '%500%'";
        app.database.count(failed).await == 1
    })
    .await;
    app.clock.advance(time::Duration::minutes(5));
    asked(&postmark, 2).await;
    eventually("the outbox to be empty", async || {
        app.database.count("select count(*) from auth.keywright_outbox").await == 0
    })
    .await;
}

/// Notices come without being asked for, so an operator who has no template for one loses none.
#[tokio::test]
async fn a_notice_without_a_template_there_is_sent_with_the_built_in_one() {
    let postmark = HttpSimulator::start(Reply::json(200, &json!({"ErrorCode": 0}))).await;
    let app = start(&postmark).await;
    app.sign_up("ann@example.com").await;
    asked(&postmark, 1).await;
    app.database.execute("update auth.users set email_verified = true").await;
    let session = app.sign_in("ann@example.com", PASSWORD).await.session();
    postmark.say_once(Reply::json(422, &json!({"ErrorCode": 1101})));
    let pat = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    assert_eq!(app.post_as("/pat", session.access_token(), pat).await.status, 200);
    asked(&postmark, 3).await;
    let asked = postmark.asked();
    let first = asked[1].json();
    assert_eq!(first["TemplateAlias"], "en.notice-pat-made");
    assert!(first["TemplateModel"]["time"].as_str().unwrap().ends_with(" UTC"), "{first}");
    assert_eq!(asked[2].path, "/email");
    let second = asked[2].json();
    assert_eq!(second["Subject"], "A personal access token was made");
    assert_eq!(second["To"], "ann@example.com");
    for body in ["HtmlBody", "TextBody"] {
        assert!(second[body].as_str().unwrap().contains("ann@example.com"), "{second}");
    }
}
