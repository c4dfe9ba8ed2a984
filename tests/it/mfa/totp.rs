//! The second factor by TOTP: changeUserMfa, verifyChangeUserMfa, verifySignInMfaTotp.

use keywright::domain::clock::Clock;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{Client, PASSWORD, Session, TestApp, TestResponse};
use crate::support::authenticator::Authenticator;
use crate::support::two_nodes::TwoNodes;

const MFA: (&str, &str) = ("AUTH_MFA_ENABLED", "true");
const ANN: &str = "ann@example.com";

/// A secret in base32 as an old row may hold it.
const OLD_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

async fn generate(client: &Client, session: &Session) -> TestResponse {
    client.get_as("/mfa/totp/generate", session.access_token()).await
}

async fn change(client: &Client, session: &Session, kind: &str, code: &str) -> TestResponse {
    let body = json!({"activeMfaType": kind, "code": code});
    client.post_as("/user/mfa", session.access_token(), body).await
}

async fn activate(client: &Client, session: &Session, code: &str) -> TestResponse {
    change(client, session, "totp", code).await
}

/// The ticket that a right password leads to.
async fn ticket(client: &Client) -> String {
    let response = client.sign_in(ANN, PASSWORD).await;
    let ticket = response.json()["mfa"]["ticket"].as_str().map(ToOwned::to_owned);
    ticket.unwrap_or_else(|| panic!("no ticket in {response:?}"))
}

async fn finish_challenge(client: &Client, ticket: &str, code: &str) -> TestResponse {
    client.post("/signin/mfa/totp", json!({"ticket": ticket, "otp": code})).await
}

/// A user, with an authenticator that is active for them.
async fn enrolled(client: &Client, clock: &Clock) -> (Session, Authenticator) {
    let session = client.sign_up(ANN).await.session();
    let secret = generate(client, &session).await.json()["totpSecret"].as_str().unwrap().to_owned();
    let authenticator = Authenticator::new(&secret);
    activate(client, &session, &authenticator.code(clock.now())).await.assert_ok();
    // The code of this period is used up.
    clock.advance(Duration::seconds(30));
    (session, authenticator)
}

async fn stored_secret(app: &TestApp) -> String {
    app.database.text("select totp_secret from auth.users").await.unwrap()
}

#[tokio::test]
async fn a_user_enrols_and_signs_in_with_both_factors() {
    let app = TestApp::start(&[MFA]).await;
    let session = app.sign_up(ANN).await.session();
    let response = generate(&app, &session).await;
    let body = response.json();
    assert_eq!(body.as_object().unwrap().len(), 2, "{response:?}");
    assert!(body["imageUrl"].as_str().unwrap().starts_with("data:image/png;base64,"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let authenticator = Authenticator::new(body["totpSecret"].as_str().unwrap());
    // Nothing is asked for before the secret is confirmed.
    app.sign_in(ANN, PASSWORD).await.session();
    activate(&app, &session, &authenticator.code(app.clock.now())).await.assert_ok();
    let user = app.get_as("/user", session.access_token()).await.json();
    assert_eq!(user["activeMfaType"], "totp");

    app.clock.advance(Duration::seconds(30));
    let challenge = app.sign_in(ANN, PASSWORD).await;
    assert_eq!(challenge.json()["session"], Value::Null);
    let ticket = challenge.json()["mfa"]["ticket"].as_str().unwrap().to_owned();
    let code = authenticator.code(app.clock.now());
    let signed_in = finish_challenge(&app, &ticket, &code).await.session();
    assert_eq!(signed_in.user_id(), session.user_id());
    app.refresh(signed_in.refresh_token()).await.session();
    // What was issued before goes on.
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn every_operation_is_refused_while_the_feature_is_off() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up(ANN).await.session();
    generate(&app, &session).await.assert_refused(409, "disabled-endpoint");
    activate(&app, &session, "123456").await.assert_refused(409, "disabled-endpoint");
    let ticket = format!("mfaTotp:{}", uuid::Uuid::new_v4());
    finish_challenge(&app, &ticket, "123456").await.assert_refused(409, "disabled-endpoint");
}

/// The challenge stays, so the feature fails safe
/// (docs/reference-behaviour.md#mfa-off-still-challenges).
#[tokio::test]
async fn a_user_with_a_second_factor_stays_challenged_when_the_feature_is_switched_off() {
    let app = TestApp::start(&[]).await;
    app.sign_up(ANN).await.session();
    app.database
        .execute(&format!(
            "update auth.users set active_mfa_type = 'totp', totp_secret = '{OLD_SECRET}'"
        ))
        .await;
    let ticket = ticket(&app).await;
    let code = Authenticator::new(OLD_SECRET).code(app.clock.now());
    finish_challenge(&app, &ticket, &code).await.assert_refused(409, "disabled-endpoint");
}

#[tokio::test]
async fn enrolment_needs_a_bearer_with_a_registered_account() {
    let app = TestApp::start(&[MFA]).await;
    app.get("/mfa/totp/generate").await.assert_refused(400, "invalid-request");
    app.post("/user/mfa", json!({"activeMfaType": "totp", "code": "123456"}))
        .await
        .assert_refused(400, "invalid-request");
    let anonymous = app.anonymous().await;
    generate(&app, &anonymous).await.assert_refused(403, "forbidden-anonymous");
    activate(&app, &anonymous, "123456").await.assert_refused(403, "forbidden-anonymous");
}

#[tokio::test]
async fn a_change_is_refused_step_by_step() {
    let app = TestApp::start(&[MFA]).await;
    let session = app.sign_up(ANN).await.session();
    let now = app.clock.now();
    change(&app, &session, "sms", "123456").await.assert_refused(400, "invalid-request");
    change(&app, &session, "", "123456").await.assert_refused(401, "disabled-mfa-totp");
    activate(&app, &session, "123456").await.assert_refused(400, "no-totp-secret");
    let secret = generate(&app, &session).await.json()["totpSecret"].as_str().unwrap().to_owned();
    let authenticator = Authenticator::new(&secret);
    for code in ["", "12345", "1234567", "abcdef", &authenticator.wrong_code(now)] {
        activate(&app, &session, code).await.assert_refused(401, "invalid-totp");
        assert_eq!(
            app.database
                .count("select count(*) from auth.users where active_mfa_type = 'totp'")
                .await,
            0
        );
    }
    app.clock.advance(Duration::hours(1));
    let session = app.refresh(session.refresh_token()).await.session();
    activate(&app, &session, &authenticator.code(app.clock.now())).await.assert_ok();
    activate(&app, &session, "123456").await.assert_refused(400, "totp-already-active");
    change(&app, &session, "", &authenticator.wrong_code(app.clock.now()))
        .await
        .assert_refused(401, "invalid-totp");
    app.clock.advance(Duration::seconds(30));
    change(&app, &session, "", &authenticator.code(app.clock.now())).await.assert_ok();
    app.sign_in(ANN, PASSWORD).await.session();
    // The secret stays, and another code of it would activate it again.
    assert!(!stored_secret(&app).await.is_empty());
}

/// A stolen access token is not enough to take the second factor over.
#[tokio::test]
async fn a_new_secret_cannot_replace_the_active_one() {
    let app = TestApp::start(&[MFA]).await;
    let (session, authenticator) = enrolled(&app, &app.clock).await;
    let before = stored_secret(&app).await;
    generate(&app, &session).await.assert_refused(400, "totp-already-active");
    assert_eq!(stored_secret(&app).await, before);
    let ticket = ticket(&app).await;
    finish_challenge(&app, &ticket, &authenticator.code(app.clock.now())).await.session();
}

#[tokio::test]
async fn a_second_secret_before_activation_takes_the_place_of_the_first() {
    let app = TestApp::start(&[MFA]).await;
    let session = app.sign_up(ANN).await.session();
    let mut secrets = Vec::new();
    for _ in 0..2 {
        let response = generate(&app, &session).await.json();
        secrets.push(Authenticator::new(response["totpSecret"].as_str().unwrap()));
    }
    let now = app.clock.now();
    activate(&app, &session, &secrets[0].code(now)).await.assert_refused(401, "invalid-totp");
    activate(&app, &session, &secrets[1].code(now)).await.assert_ok();
}

/// Inside its window, also by the other node, and for another purpose.
#[tokio::test]
async fn a_code_is_good_once_on_all_nodes_and_for_all_purposes() {
    let two = TwoNodes::start(&[MFA]).await;
    let [one, other] = &two.nodes;
    let (session, authenticator) = enrolled(one, &two.clock).await;
    let code = authenticator.code(two.clock.now());
    finish_challenge(one, &ticket(one).await, &code).await.session();
    for node in [one, other] {
        finish_challenge(node, &ticket(node).await, &code)
            .await
            .assert_refused(401, "invalid-totp");
        change(node, &session, "", &code).await.assert_refused(401, "invalid-totp");
    }
    // Nor one that is older than the last.
    let older = authenticator.code(two.clock.now() - Duration::seconds(30));
    finish_challenge(other, &ticket(other).await, &older).await.assert_refused(401, "invalid-totp");
    two.clock.advance(Duration::seconds(30));
    let next = authenticator.code(two.clock.now());
    finish_challenge(other, &ticket(other).await, &next).await.session();
}

#[tokio::test]
async fn of_many_tickets_with_one_code_at_once_one_signs_in() {
    let two = TwoNodes::start(&[MFA, ("AUTH_ACCOUNT_ATTEMPTS", "100")]).await;
    let [one, other] = &two.nodes;
    let (_, authenticator) = enrolled(one, &two.clock).await;
    let mut tickets = Vec::new();
    for number in 0..8 {
        // One ticket of a purpose is pending at a time; so the sign-ins share the last.
        tickets.push(ticket(&two.nodes[number % 2]).await);
    }
    let last = tickets.pop().unwrap();
    let code = authenticator.code(two.clock.now());
    let responses = futures_util::future::join_all((0..5).map(|number| {
        let node = if number % 2 == 0 { one } else { other };
        finish_challenge(node, &last, &code)
    }))
    .await;
    let signed_in = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!(signed_in, 1, "{responses:?}");
    for old in tickets {
        finish_challenge(one, &old, &code).await.assert_refused(401, "invalid-ticket");
    }
}

/// One condition decides, not a look before.
#[tokio::test]
async fn a_ticket_takes_five_codes_and_no_more_also_at_once() {
    let two = TwoNodes::start(&[MFA, ("AUTH_ACCOUNT_ATTEMPTS", "100")]).await;
    let [one, other] = &two.nodes;
    let (_, authenticator) = enrolled(one, &two.clock).await;
    let ticket = ticket(one).await;
    let wrong = authenticator.wrong_code(two.clock.now());
    let responses = futures_util::future::join_all((0..12).map(|number| {
        let node = if number % 2 == 0 { one } else { other };
        finish_challenge(node, &ticket, &wrong)
    }))
    .await;
    let looked_at = responses.iter().filter(|response| response.error() == "invalid-totp").count();
    assert_eq!(looked_at, 5, "{responses:?}");
    let right = authenticator.code(two.clock.now());
    finish_challenge(one, &ticket, &right).await.assert_refused(401, "invalid-ticket");
}

#[tokio::test]
async fn a_mistyped_code_does_not_cost_the_ticket() {
    let app = TestApp::start(&[MFA]).await;
    let (_, authenticator) = enrolled(&app, &app.clock).await;
    let ticket = ticket(&app).await;
    let now = app.clock.now();
    finish_challenge(&app, &ticket, &authenticator.wrong_code(now))
        .await
        .assert_refused(401, "invalid-totp");
    finish_challenge(&app, &ticket, &format!(" {} ", authenticator.code(now))).await.session();
    finish_challenge(&app, &ticket, &authenticator.code(now))
        .await
        .assert_refused(401, "invalid-ticket");
}

#[tokio::test]
async fn wrong_codes_close_the_account_for_a_while_whatever_the_tickets() {
    let app = TestApp::start(&[MFA, ("AUTH_ACCOUNT_ATTEMPTS", "3")]).await;
    let (session, authenticator) = enrolled(&app, &app.clock).await;
    // In the middle of a window, so that none ends between two requests.
    let into = app.clock.now().unix_timestamp() % 900;
    app.clock.advance(Duration::seconds(2_700 - into));
    let session = app.refresh(session.refresh_token()).await.session();
    // The network that enrolled is familiar, and has counts of its own.
    for _ in 0..3 {
        let wrong = authenticator.wrong_code(app.clock.now());
        change(&app, &session, "", &wrong).await.assert_refused(401, "invalid-totp");
    }
    let right = authenticator.code(app.clock.now());
    change(&app, &session, "", &right).await.assert_refused(429, "too-many-requests");
    let ticket = ticket(&app).await;
    finish_challenge(&app, &ticket, &right).await.assert_refused(429, "too-many-requests");
}

#[tokio::test]
async fn a_challenge_is_refused_step_by_step() {
    let app = TestApp::start(&[MFA]).await;
    let (_, authenticator) = enrolled(&app, &app.clock).await;
    let code = || authenticator.code(app.clock.now());
    let unknown = format!("mfaTotp:{}", uuid::Uuid::new_v4());
    for bad in ["", "mfaTotp", "verifyEmail:7b9d4c1e-7a90-4b6b-8d1e-5cf16c4f0f11"] {
        finish_challenge(&app, bad, &code()).await.assert_refused(400, "invalid-request");
    }
    finish_challenge(&app, &unknown, &code()).await.assert_refused(401, "invalid-ticket");
    let late = ticket(&app).await;
    app.clock.advance(Duration::minutes(5));
    finish_challenge(&app, &late, &code()).await.assert_refused(401, "invalid-ticket");

    let held = ticket(&app).await;
    app.database.execute("update auth.users set disabled = true").await;
    app.app().actors.sessions.users().forget_all();
    finish_challenge(&app, &held, &code()).await.assert_refused(401, "disabled-user");
    app.database.execute("update auth.users set disabled = false, active_mfa_type = null").await;
    app.app().actors.sessions.users().forget_all();
    finish_challenge(&app, &held, &code()).await.assert_refused(401, "disabled-mfa-totp");
    app.database
        .execute("update auth.users set totp_secret = null, active_mfa_type = 'totp'")
        .await;
    app.app().actors.sessions.users().forget_all();
    finish_challenge(&app, &held, &code()).await.assert_refused(400, "no-totp-secret");
}

#[tokio::test]
async fn secrets_are_sealed_at_rest_and_bound_to_their_row() {
    let app = TestApp::start(&[MFA]).await;
    let (_, authenticator) = enrolled(&app, &app.clock).await;
    let stored = stored_secret(&app).await;
    assert!(stored.starts_with("kw1:"), "{stored}");
    // Copied into another row it opens nothing.
    app.sign_up("bob@example.com").await.session();
    app.database
        .execute(
            "update auth.users as b set totp_secret = a.totp_secret, active_mfa_type = 'totp' \
               from auth.users as a where a.email = 'ann@example.com' and b.email = 'bob@example.com'",
        )
        .await;
    app.app().actors.sessions.users().forget_all();
    let response = app.sign_in("bob@example.com", PASSWORD).await;
    let ticket = response.json()["mfa"]["ticket"].as_str().unwrap().to_owned();
    finish_challenge(&app, &ticket, &authenticator.code(app.clock.now()))
        .await
        .assert_refused(500, "internal-server-error");
}

#[tokio::test]
async fn a_plain_secret_of_the_reference_is_read_and_sealed_on_use() {
    let app = TestApp::start(&[MFA]).await;
    app.sign_up(ANN).await.session();
    app.database
        .execute(&format!(
            "update auth.users set active_mfa_type = 'totp', totp_secret = '{OLD_SECRET}'"
        ))
        .await;
    let authenticator = Authenticator::new(OLD_SECRET);
    let wrong = authenticator.wrong_code(app.clock.now());
    finish_challenge(&app, &ticket(&app).await, &wrong).await.assert_refused(401, "invalid-totp");
    assert_eq!(stored_secret(&app).await, OLD_SECRET);
    finish_challenge(&app, &ticket(&app).await, &authenticator.code(app.clock.now()))
        .await
        .session();
    assert!(stored_secret(&app).await.starts_with("kw1:"));
    app.clock.advance(Duration::seconds(30));
    finish_challenge(&app, &ticket(&app).await, &authenticator.code(app.clock.now()))
        .await
        .session();
}

#[tokio::test]
async fn where_the_reference_must_read_them_secrets_stay_plain() {
    let app = TestApp::start(&[MFA, ("AUTH_STORAGE_COMPATIBILITY", "reference")]).await;
    enrolled(&app, &app.clock).await;
    assert_eq!(stored_secret(&app).await.len(), 52);
}

/// A ticket that the reference wrote before the servers were exchanged.
#[tokio::test]
async fn a_pending_challenge_of_the_reference_is_finished_once() {
    let app = TestApp::start(&[MFA]).await;
    let (_, authenticator) = enrolled(&app, &app.clock).await;
    let ticket = format!("mfaTotp:{}", uuid::Uuid::new_v4());
    app.database
        .execute(&format!(
            "update auth.users \
                set ticket = '{ticket}', ticket_expires_at = now() + interval '1 hour'"
        ))
        .await;
    let code = authenticator.code(app.clock.now());
    finish_challenge(&app, &ticket, &code).await.session();
    finish_challenge(&app, &ticket, &code).await.assert_refused(401, "invalid-ticket");
}
