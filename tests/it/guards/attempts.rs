//! `AUTH_ACCOUNT_ATTEMPTS`: failed passwords, counted per account whoever tries.

use reqwest::Method;
use serde_json::json;
use time::Duration;

use crate::support::app::{Client, PASSWORD, TestApp, TestResponse};

const WRONG: &str = "wrong-Passw0rd";

/// Three attempts an account in a quarter of an hour, at the beginning of a window.
async fn start(more: &[(&str, &str)]) -> TestApp {
    let mut all = vec![("AUTH_ACCOUNT_ATTEMPTS", "3")];
    all.extend_from_slice(more);
    let app = TestApp::start(&all).await;
    let now = app.clock.now().unix_timestamp();
    app.clock.advance(Duration::seconds(2_700 - now % 900));
    app
}

async fn sign_in_from(app: &Client, client: &str, email: &str, password: &str) -> TestResponse {
    let request = app
        .request(Method::POST, "/signin/email-password")
        .header("x-forwarded-for", client)
        .json(&json!({"email": email, "password": password}));
    Client::send(request).await
}

#[track_caller]
fn assert_closed(response: &TestResponse) {
    response.assert_refused(429, "too-many-requests");
    let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1_800).contains(&wait), "{wait}");
}

#[tokio::test]
async fn an_account_closes_after_failures_from_anywhere_and_opens_again() {
    let app = start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        sign_in_from(&app, client, "ann@example.com", WRONG)
            .await
            .assert_refused(401, "invalid-email-password");
    }
    let closed = sign_in_from(&app, "192.0.2.4", "ann@example.com", WRONG).await;
    assert_closed(&closed);
    // The right password finds out nothing either, and another spelling is the same account.
    assert_closed(&sign_in_from(&app, "192.0.2.5", "ANN@example.com", PASSWORD).await);
    app.clock.advance(Duration::minutes(30));
    sign_in_from(&app, "192.0.2.5", "ann@example.com", PASSWORD).await.session();
}

#[tokio::test]
async fn unknown_accounts_are_counted_alike() {
    for conceal in ["false", "true"] {
        let app = start(&[("AUTH_CONCEAL_ERRORS", conceal)]).await;
        app.sign_up("ann@example.com").await.session();
        let mut seen = Vec::new();
        for email in ["ann@example.com", "nobody@example.com"] {
            let mut responses = Vec::new();
            for _ in 0..5 {
                let response = app.sign_in(email, WRONG).await;
                responses.push((response.status, response.text));
            }
            assert_eq!(responses[4].0, 429);
            seen.push(responses);
        }
        assert_eq!(seen[0], seen[1]);
    }
}

#[tokio::test]
async fn other_accounts_of_the_same_client_stay_open() {
    let app = start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    for _ in 0..3 {
        app.sign_in("bob@example.com", WRONG).await.assert_refused(401, "invalid-email-password");
    }
    assert_closed(&app.sign_in("bob@example.com", WRONG).await);
    app.sign_in("ann@example.com", PASSWORD).await.session();
}

#[tokio::test]
async fn a_right_password_starts_the_count_anew() {
    let app = start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    for _ in 0..4 {
        for _ in 0..2 {
            app.sign_in("ann@example.com", WRONG)
                .await
                .assert_refused(401, "invalid-email-password");
        }
        app.sign_in("ann@example.com", PASSWORD).await.session();
    }
}

#[tokio::test]
async fn an_attacker_elsewhere_cannot_lock_out_an_owner_who_has_signed_in_from_here() {
    let app = start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    let home = "192.0.2.1";
    sign_in_from(&app, home, "ann@example.com", PASSWORD).await.session();
    for _ in 0..5 {
        sign_in_from(&app, "198.51.100.1", "ann@example.com", WRONG).await;
    }
    assert_closed(&sign_in_from(&app, "198.51.100.2", "ann@example.com", PASSWORD).await);
    sign_in_from(&app, home, "ann@example.com", PASSWORD).await.session();
    assert_closed(&sign_in_from(&app, "198.51.100.2", "ann@example.com", PASSWORD).await);
    // Even a familiar client has a limit, which is its own.
    for _ in 0..3 {
        sign_in_from(&app, home, "ann@example.com", WRONG)
            .await
            .assert_refused(401, "invalid-email-password");
    }
    assert_closed(&sign_in_from(&app, home, "ann@example.com", PASSWORD).await);
}

#[tokio::test]
async fn a_closed_account_keeps_its_sessions() {
    let app = start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    for _ in 0..5 {
        app.sign_in("ann@example.com", WRONG).await;
    }
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn the_state_of_an_account_is_no_failed_attempt() {
    let app = start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    app.database.execute("update auth.users set disabled = true").await;
    for _ in 0..6 {
        app.sign_in("ann@example.com", PASSWORD).await.assert_refused(401, "disabled-user");
    }
}

#[tokio::test]
async fn guesses_in_parallel_find_out_no_more_than_the_limit() {
    let app = start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    let guesses = (0..32).map(|_| app.sign_in("ann@example.com", WRONG));
    futures_util::future::join_all(guesses).await;
    assert_closed(&app.sign_in("ann@example.com", PASSWORD).await);
    // Right ones in parallel do not hinder each other.
    app.clock.advance(Duration::minutes(30));
    let right = (0..16).map(|_| app.sign_in("ann@example.com", PASSWORD));
    for response in futures_util::future::join_all(right).await {
        response.session();
    }
}

#[tokio::test]
async fn no_limit_is_a_choice() {
    let app = TestApp::start(&[("AUTH_ACCOUNT_ATTEMPTS", "0")]).await;
    for _ in 0..30 {
        app.sign_in("bob@example.com", WRONG).await.assert_refused(401, "invalid-email-password");
    }
}
