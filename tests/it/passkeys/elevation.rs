//! `AUTH_REQUIRE_ELEVATED_CLAIM` on every operation that the contract protects.

use serde_json::{Value, json};

use crate::support::app::{Session, TestApp, TestResponse};
use crate::support::jwt;
use crate::support::mailbox::Mailbox;

/// The operations, and what they say to a bearer who is not elevated enough.
const OPERATIONS: [(&str, &str); 3] = [
    ("/pat", "elevated-claim-required"),
    ("/user/email/change", "elevated-claim-required"),
    // Falls back to the ticket, which is missing.
    ("/user/password", "invalid-request"),
];

fn body(path: &str) -> Value {
    match path {
        "/pat" => json!({"expiresAt": "2090-01-01T00:00:00Z"}),
        "/user/email/change" => json!({"newEmail": "new@example.com"}),
        _ => json!({"newPassword": "another-Passw0rd"}),
    }
}

async fn call(app: &TestApp, path: &str, token: &str) -> TestResponse {
    app.post_as(path, token, body(path)).await
}

fn elevated(session: &Session) -> String {
    let id = session.user_id();
    let mut claims = jwt::claims(id);
    claims["https://hasura.io/jwt/claims"] = json!({
        "x-hasura-user-id": id, "x-hasura-auth-elevated": id,
    });
    jwt::sign(&claims)
}

async fn start(mailbox: &Mailbox, mode: &str) -> (TestApp, Session) {
    let settings = mailbox.settings(&[
        ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false"),
        ("AUTH_REQUIRE_ELEVATED_CLAIM", mode),
        ("AUTH_MFA_ENABLED", "true"),
    ]);
    let app = TestApp::start(&settings).await;
    let session = app.sign_up("ann@example.com").await.session();
    (app, session)
}

async fn give_key(app: &TestApp, session: &Session) {
    app.database
        .execute(&format!(
            "insert into auth.user_security_keys (user_id, credential_id, credential_public_key) \
             values ('{}', 'key', '\\x00')",
            session.user_id()
        ))
        .await;
}

#[tokio::test]
async fn disabled_asks_nobody() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, "disabled").await;
    give_key(&app, &session).await;
    for (path, _) in OPERATIONS {
        assert_eq!(call(&app, path, session.access_token()).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn recommended_asks_those_who_own_a_key() {
    let mailbox = Mailbox::start().await;
    for (path, code) in OPERATIONS {
        let (app, session) = start(&mailbox, "recommended").await;
        assert_eq!(call(&app, path, session.access_token()).await.status, 200, "{path}");
        give_key(&app, &session).await;
        call(&app, path, session.access_token()).await.assert_refused(400, code);
        assert_eq!(call(&app, path, &elevated(&session)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn required_asks_everybody() {
    let mailbox = Mailbox::start().await;
    for (path, code) in OPERATIONS {
        let (app, session) = start(&mailbox, "required").await;
        call(&app, path, session.access_token()).await.assert_refused(400, code);
        give_key(&app, &session).await;
        call(&app, path, session.access_token()).await.assert_refused(400, code);
        assert_eq!(call(&app, path, &elevated(&session)).await.status, 200, "{path}");
    }
}

/// The claim counts only if it names the bearer.
#[tokio::test]
async fn elevation_of_somebody_else_is_none() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, "required").await;
    let id = session.user_id();
    for other in [json!(uuid::Uuid::new_v4()), json!("true"), json!(true), json!("")] {
        let mut claims = jwt::claims(id);
        claims["https://hasura.io/jwt/claims"] =
            json!({"x-hasura-user-id": id, "x-hasura-auth-elevated": other});
        call(&app, "/pat", &jwt::sign(&claims))
            .await
            .assert_refused(400, "elevated-claim-required");
    }
}

/// An opt-in, since the reference does not ask there
/// (docs/reference-behaviour.md#mfa-changes-and-elevation).
#[tokio::test]
async fn changes_of_the_second_factor_ask_only_if_told_to() {
    let mailbox = Mailbox::start().await;
    let (app, session) = start(&mailbox, "required").await;
    give_key(&app, &session).await;
    let path = "/mfa/totp/generate";
    assert_eq!(app.get_as(path, session.access_token()).await.status, 200);
    let strict = TestApp::start_on(
        app.database.clone(),
        &[
            ("AUTH_REQUIRE_ELEVATED_CLAIM", "required"),
            ("AUTH_MFA_REQUIRE_ELEVATED_CLAIM", "true"),
            ("AUTH_MFA_ENABLED", "true"),
        ],
    )
    .await;
    strict
        .get_as(path, session.access_token())
        .await
        .assert_refused(400, "elevated-claim-required");
    let change = json!({"activeMfaType": "totp", "code": "123456"});
    strict
        .post_as("/user/mfa", session.access_token(), change.clone())
        .await
        .assert_refused(400, "elevated-claim-required");
    assert_eq!(strict.get_as(path, &elevated(&session)).await.status, 200);
    strict
        .post_as("/user/mfa", &elevated(&session), change)
        .await
        .assert_refused(401, "invalid-totp");
}
