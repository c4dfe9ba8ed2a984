//! `AUTH_ACCESS_CONTROL_*`: whose addresses are welcome.

use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};

const ALLOWED_EMAILS: &str = "AUTH_ACCESS_CONTROL_ALLOWED_EMAILS";
const ALLOWED_DOMAINS: &str = "AUTH_ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS";
const BLOCKED_EMAILS: &str = "AUTH_ACCESS_CONTROL_BLOCKED_EMAILS";
const BLOCKED_DOMAINS: &str = "AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS";

async fn check(settings: &[(&str, &str)], welcome: &[&str], refused: &[&str]) {
    let app = TestApp::start(settings).await;
    for email in welcome {
        app.sign_up(email).await.session();
    }
    for email in refused {
        app.sign_up(email).await.assert_refused(401, "invalid-email-password");
    }
    let users = app.database.count("select count(*) from auth.users").await;
    assert_eq!(usize::try_from(users), Ok(welcome.len()));
}

#[tokio::test]
async fn without_lists_everyone_is_welcome() {
    check(&[], &["ann@example.com", "bob@elsewhere.org"], &[]).await;
}

#[tokio::test]
async fn blocked_addresses_and_domains_are_refused_in_any_case() {
    let lists = [(BLOCKED_EMAILS, "Eve@Example.com"), (BLOCKED_DOMAINS, "Evil.Test,bad.test")];
    check(
        &lists,
        &["ann@example.com", "eve@example.org", "a@sub.evil.test", "a@notevil.test"],
        &["eve@example.com", "EVE@EXAMPLE.COM", "a@evil.test", "a@EVIL.TEST", "a@bad.test"],
    )
    .await;
}

#[tokio::test]
async fn with_a_list_of_the_allowed_nobody_else_is_welcome() {
    check(
        &[(ALLOWED_DOMAINS, "example.com")],
        &["ann@example.com", "bob@EXAMPLE.com"],
        &["a@example.org", "a@sub.example.com"],
    )
    .await;
    check(&[(ALLOWED_EMAILS, "ann@example.com")], &["Ann@example.com"], &["bob@example.com"]).await;
}

#[tokio::test]
async fn the_nearer_list_decides() {
    let lists = [
        (ALLOWED_EMAILS, "friend@evil.test,eve@example.com"),
        (ALLOWED_DOMAINS, "example.com,evil.test"),
        (BLOCKED_EMAILS, "eve@example.com"),
        (BLOCKED_DOMAINS, "evil.test"),
    ];
    check(&lists, &["ann@example.com", "friend@evil.test"], &["eve@example.com", "foe@evil.test"])
        .await;
}

#[tokio::test]
async fn a_user_who_was_welcome_once_is_refused_at_sign_in_and_profile_but_may_refresh() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let blocking = [(BLOCKED_DOMAINS, "EXAMPLE.COM")];
    let blocking = TestApp::start_on(app.database.clone(), &blocking).await;
    blocking
        .sign_in("ann@example.com", PASSWORD)
        .await
        .assert_refused(401, "invalid-email-password");
    let token = session.access_token();
    blocking.get_as("/user", token).await.assert_refused(401, "invalid-email-password");
    let body = json!({});
    blocking
        .post_as("/token/verify", token, body)
        .await
        .assert_refused(401, "invalid-email-password");
    blocking.refresh(session.refresh_token()).await.session();
    blocking.post("/signin/anonymous", json!({})).await.session();
}
