//! signInPasswordlessEmail and signInOTPEmail with its verification.

use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{Client, PASSWORD, TestApp, TestResponse};
use crate::support::mailbox::{Mailbox, verify};
use crate::support::two_nodes::TwoNodes;

const ANN: &str = "ann@example.com";
const CLIENT_URL: &str = "http://localhost:3000";
const LINK: (&str, &str) = ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true");
const CODE: (&str, &str) = ("AUTH_OTP_EMAIL_ENABLED", "true");
/// Both operations; what holds for one holds for the other.
const PATHS: [&str; 2] = ["/signin/passwordless/email", "/signin/otp/email"];

async fn start(mailbox: &Mailbox, more: &[(&str, &str)]) -> TestApp {
    let mut settings = mailbox.settings(&[LINK, CODE]);
    settings.extend_from_slice(more);
    TestApp::start(&settings).await
}

async fn ask(client: &Client, path: &str, email: &str) -> TestResponse {
    client.post(path, json!({"email": email})).await
}

async fn present(client: &Client, email: &str, code: &str) -> TestResponse {
    client.post("/signin/otp/email/verify", json!({"email": email, "otp": code})).await
}

/// The code of the `count`th mail.
async fn code(mailbox: &Mailbox, app: &TestApp, count: usize) -> String {
    let mail = mailbox.last(&app.database, count).await;
    let code = mail.ticket().to_owned();
    assert_eq!(code.len(), 6, "{code}");
    assert!(mail.html.contains(&code), "{}", mail.html);
    code
}

fn other(code: &str, offset: u32) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1 + offset) % 1_000_000)
}

#[tokio::test]
async fn an_unknown_address_gets_an_account_and_a_link_that_signs_in_and_proves_it() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[]).await;
    let options = json!({
        "displayName": "Ann", "metadata": {"a": 1}, "allowedRoles": ["me", "user"],
        "redirectTo": "http://localhost:3000/in",
    });
    app.post(PATHS[0], json!({"email": ANN, "options": options})).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(mail.header("X-Email-Template"), Some("signin-passwordless"));
    assert!(mail.ticket().starts_with("passwordlessEmail:"));
    assert!(mail.header("X-Link").unwrap().ends_with("&type=signinPasswordless"));
    let (target, query) = app.get(&mail.path()).await.redirect();
    assert_eq!(
        (target.as_str(), query["type"].as_str()),
        ("http://localhost:3000/in", "passwordlessEmail")
    );
    let user = app.refresh(&query["refreshToken"]).await.session().0["user"].clone();
    assert_eq!(user["displayName"], "Ann");
    assert_eq!(user["emailVerified"], true);
    assert_eq!(user["metadata"], json!({"a": 1}));
    assert_eq!(user["roles"], json!(["me", "user"]));
    app.sign_in(ANN, PASSWORD).await.assert_refused(401, "invalid-email-password");
}

#[tokio::test]
async fn an_unknown_address_gets_an_account_and_a_code_that_signs_in_once() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[]).await;
    ask(&app, PATHS[1], ANN).await.assert_ok();
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(mail.header("X-Email-Template"), Some("signin-otp"));
    let code = code(&mailbox, &app, 1).await;
    let session = present(&app, "ANN@example.com", &code).await.session();
    assert_eq!(session.0["user"]["emailVerified"], true);
    app.refresh(session.refresh_token()).await.session();
    present(&app, ANN, &code).await.assert_refused(401, "invalid-ticket");
}

#[tokio::test]
async fn a_known_user_keeps_name_and_roles_and_the_stored_address_gets_the_mail() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")]).await;
    app.sign_up(ANN).await.session();
    for (count, path) in [(1, PATHS[0]), (2, PATHS[1])] {
        let body = json!({"email": "Ann@EXAMPLE.com", "options": {"displayName": "Other"}});
        app.post(path, body).await.assert_ok();
        let mail = mailbox.last(&app.database, count).await;
        assert_eq!(mail.to, [ANN]);
        assert!(!mail.html.contains("Other"), "{}", mail.html);
    }
    assert_eq!(app.database.count("select count(*) from auth.users").await, 1);
}

#[tokio::test]
async fn both_are_refused_step_by_step_and_send_nothing() {
    let mailbox = Mailbox::start().await;
    for path in PATHS {
        let off = TestApp::start(&mailbox.settings(&[])).await;
        ask(&off, path, ANN).await.assert_refused(409, "disabled-endpoint");
        present(&off, ANN, "123456").await.assert_refused(409, "disabled-endpoint");
        let app = start(
            &mailbox,
            &[
                ("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "blocked@example.com"),
                ("AUTH_DISABLE_SIGNUP", "true"),
            ],
        )
        .await;
        ask(&app, path, "blocked@example.com").await.assert_refused(401, "invalid-email-password");
        let with = |options: Value| json!({"email": ANN, "options": options});
        for (options, code) in [
            (json!({"redirectTo": "https://evil.io"}), "redirectTo-not-allowed"),
            (json!({"allowedRoles": ["admin"]}), "role-not-allowed"),
            (json!({"allowedRoles": ["me"]}), "default-role-must-be-in-allowed-roles"),
            (json!({"locale": "eng"}), "invalid-request"),
        ] {
            app.post(path, with(options)).await.assert_refused(400, code);
        }
        ask(&app, path, "ann").await.assert_refused(400, "invalid-request");
        ask(&app, path, ANN).await.assert_refused(403, "signup-disabled");
        assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
    }
    assert!(mailbox.smtp.received().is_empty());
}

/// The account is created, disabled, and gets no live ticket
/// (docs/reference-behaviour.md#disabled-new-users-have-a-row).
#[tokio::test]
async fn new_users_who_are_disabled_get_no_ticket() {
    let mailbox = Mailbox::start().await;
    for path in PATHS {
        let app = start(&mailbox, &[("AUTH_DISABLE_NEW_USERS", "true")]).await;
        ask(&app, path, ANN).await.assert_refused(401, "disabled-user");
        ask(&app, path, ANN).await.assert_refused(401, "disabled-user");
        assert_eq!(app.database.count("select count(*) from auth.users where disabled").await, 1);
        assert_eq!(app.database.count("select count(*) from auth.keywright_tickets").await, 0);
    }
    assert!(mailbox.smtp.received().is_empty());
}

#[tokio::test]
async fn without_automatic_sign_up_only_users_are_let_in() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[("AUTH_DISABLE_AUTO_SIGNUP", "true")]).await;
    app.sign_up(ANN).await;
    mailbox.last(&app.database, 1).await;
    for (count, path) in [(2, PATHS[0]), (3, PATHS[1])] {
        ask(&app, path, "bob@example.com").await.assert_refused(401, "invalid-email-password");
        ask(&app, path, ANN).await.assert_ok();
        mailbox.last(&app.database, count).await;
    }
}

/// With concealment the response is the same, and only users get mail.
#[tokio::test]
async fn a_concealed_response_tells_nothing_about_the_address() {
    let mailbox = Mailbox::start().await;
    let app = start(
        &mailbox,
        &[
            ("AUTH_CONCEAL_ERRORS", "true"),
            ("AUTH_DISABLE_SIGNUP", "true"),
            ("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "blocked@example.com"),
        ],
    )
    .await;
    for email in ["disabled@example.com", ANN] {
        let disabled = email != ANN;
        app.database
            .execute(&format!(
                "insert into auth.users (id, email, locale, default_role, disabled) \
                 values (gen_random_uuid(), '{email}', 'en', 'user', {disabled})"
            ))
            .await;
    }
    for path in PATHS {
        for email in ["disabled@example.com", "blocked@example.com", "nobody@example.com", ANN] {
            ask(&app, path, email).await.assert_ok();
        }
    }
    let mails = mailbox.all(&app.database, 2).await;
    assert!(mails.iter().all(|mail| mail.to == [ANN]), "{mails:?}");
}

#[tokio::test]
async fn of_many_who_ask_at_once_for_a_new_address_all_succeed_and_one_account_is_made() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[("AUTH_RECIPIENT_LIMITS", "off")]).await;
    let responses =
        futures_util::future::join_all((0..8).map(|n| ask(&app, PATHS[n % 2], ANN))).await;
    for response in responses {
        response.assert_ok();
    }
    assert_eq!(app.database.count("select count(*) from auth.users").await, 1);
    mailbox.all(&app.database, 8).await;
}

/// No other ticket is a code, least of all the one that waits for the second factor
/// (docs/reference-behaviour.md#only-six-digits-are-a-code).
#[tokio::test]
async fn only_six_digits_are_a_code() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")]).await;
    app.sign_up(ANN).await.session();
    app.database
        .execute("update auth.users set active_mfa_type = 'totp', totp_secret = 'ABCDEFGH'")
        .await;
    app.app().actors.sessions.users().forget_all();
    let body = app.sign_in(ANN, PASSWORD).await.json();
    let ticket = body["mfa"]["ticket"].as_str().unwrap().to_owned();
    let reference = "mfaTotp:3b2c9d5e-0f5e-4ad5-8f6c-0b3a8a0d3c11";
    app.database
        .execute(&format!(
            "update auth.users \
                set ticket = '{reference}', ticket_expires_at = now() + interval '1 hour'"
        ))
        .await;
    for bad in [ticket.as_str(), reference, "", "12345", "1234567", "12345a", "１２３４５６"]
    {
        present(&app, ANN, bad).await.assert_refused(401, "invalid-ticket");
    }
}

/// Five tries, counted by all nodes (docs/reference-behaviour.md#codes-have-few-tries).
#[tokio::test]
async fn a_code_dies_after_five_wrong_ones_also_through_two_nodes() {
    let mailbox = Mailbox::start().await;
    let settings = mailbox.settings(&[CODE, ("AUTH_ACCOUNT_ATTEMPTS", "100")]);
    let two = TwoNodes::start(&settings).await;
    let [one, other_node] = &two.nodes;
    ask(one, PATHS[1], ANN).await.assert_ok();
    let first = code(&mailbox, one, 1).await;
    futures_util::future::join_all((0..12).map(|number| {
        let node = if number % 2 == 0 { one } else { other_node };
        let wrong = other(&first, number);
        async move { present(node, ANN, &wrong).await.assert_refused(401, "invalid-ticket") }
    }))
    .await;
    present(one, ANN, &first).await.assert_refused(401, "invalid-ticket");
    // Another code begins with another count.
    ask(one, PATHS[1], ANN).await.assert_ok();
    let second = code(&mailbox, one, 2).await;
    for number in 0..4 {
        present(one, ANN, &other(&second, number)).await.assert_refused(401, "invalid-ticket");
    }
    present(other_node, ANN, &second).await.session();
}

#[tokio::test]
async fn how_many_wrong_codes_are_taken_is_a_setting() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[("AUTH_OTP_MAX_TRIES", "1")]).await;
    ask(&app, PATHS[1], ANN).await.assert_ok();
    let code = code(&mailbox, &app, 1).await;
    present(&app, ANN, &other(&code, 0)).await.assert_refused(401, "invalid-ticket");
    present(&app, ANN, &code).await.assert_refused(401, "invalid-ticket");
}

/// Asking for ever new codes does not give ever new tries.
#[tokio::test]
async fn wrong_codes_close_the_account_for_a_while_whatever_the_code() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[("AUTH_ACCOUNT_ATTEMPTS", "6")]).await;
    let into = app.clock.now().unix_timestamp() % 900;
    app.clock.advance(Duration::seconds(2_700 - into));
    let mut last = String::new();
    for count in 1..=3 {
        ask(&app, PATHS[1], ANN).await.assert_ok();
        last = code(&mailbox, &app, count).await;
        for number in 0..2 {
            present(&app, ANN, &other(&last, number)).await.assert_refused(401, "invalid-ticket");
        }
    }
    present(&app, ANN, &last).await.assert_refused(429, "too-many-requests");
}

/// One statement uses the code up (docs/reference-behaviour.md#one-ticket-one-winner).
#[tokio::test]
async fn of_many_with_one_code_one_signs_in() {
    let mailbox = Mailbox::start().await;
    let settings = mailbox.settings(&[CODE, ("AUTH_OTP_MAX_TRIES", "100")]);
    let two = TwoNodes::start(&settings).await;
    ask(&two.nodes[0], PATHS[1], ANN).await.assert_ok();
    let code = code(&mailbox, &two.nodes[0], 1).await;
    let responses = futures_util::future::join_all(
        (0..8).map(|number| present(&two.nodes[number % 2], ANN, &code)),
    )
    .await;
    let signed_in = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!(signed_in, 1, "{responses:?}");
    let sessions = "select count(*) from auth.refresh_tokens";
    assert_eq!(two.nodes[0].database.count(sessions).await, 1);
}

#[tokio::test]
async fn a_code_is_stored_as_a_keyed_hash_bound_to_its_user_and_ends_after_an_hour() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[]).await;
    ask(&app, PATHS[1], ANN).await.assert_ok();
    let first = code(&mailbox, &app, 1).await;
    let same = format!(
        "select count(*) from auth.keywright_tickets where ticket_hash = sha256('{first}')"
    );
    assert_eq!(app.database.count(&same).await, 0, "a million hashes are tried in no time");
    // Bob's row with Ann's hash is no code for Bob.
    ask(&app, PATHS[1], "bob@example.com").await.assert_ok();
    code(&mailbox, &app, 2).await;
    let [ann, bob] = [ANN, "bob@example.com"]
        .map(|email| format!("(select id from auth.users where email = '{email}')"));
    app.database
        .execute(&format!(
            "with hash as (delete from auth.keywright_tickets where user_id = {ann} \
                           returning ticket_hash) \
             update auth.keywright_tickets set ticket_hash = hash.ticket_hash from hash \
              where user_id = {bob}"
        ))
        .await;
    present(&app, "bob@example.com", &first).await.assert_refused(401, "invalid-ticket");

    ask(&app, PATHS[1], ANN).await.assert_ok();
    let late = code(&mailbox, &app, 3).await;
    app.clock.advance(Duration::hours(1));
    present(&app, ANN, &late).await.assert_refused(401, "invalid-ticket");
}

#[tokio::test]
async fn a_disabled_user_is_refused_and_the_code_stays() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[]).await;
    ask(&app, PATHS[1], ANN).await.assert_ok();
    let code = code(&mailbox, &app, 1).await;
    app.database.execute("update auth.users set disabled = true").await;
    present(&app, ANN, &code).await.assert_refused(401, "disabled-user");
    let verified = "select count(*) from auth.users where email_verified";
    assert_eq!(app.database.count(verified).await, 0);
    app.database.execute("update auth.users set disabled = false").await;
    present(&app, ANN, &code).await.session();
}

#[tokio::test]
async fn a_pending_code_of_the_reference_is_honoured_and_takes_one_try() {
    let mailbox = Mailbox::start().await;
    let app = start(&mailbox, &[]).await;
    let pending = "insert into auth.users (id, email, locale, default_role, ticket, ticket_expires_at) \
                   values (gen_random_uuid(), 'ann@example.com', 'en', 'user', '012345', \
                           now() + interval '1 hour')";
    app.database.execute(pending).await;
    present(&app, ANN, "012345").await.session();
    present(&app, ANN, "012345").await.assert_refused(401, "invalid-ticket");
    app.database
        .execute(
            "update auth.users \
                set ticket = '012345', ticket_expires_at = now() + interval '1 hour'",
        )
        .await;
    present(&app, ANN, "543210").await.assert_refused(401, "invalid-ticket");
    present(&app, ANN, "012345").await.assert_refused(401, "invalid-ticket");
}

/// The product's documented behaviour
/// (docs/reference-behaviour.md#second-factor-follows-passwords).
#[tokio::test]
async fn neither_link_nor_code_asks_for_the_second_factor() {
    let mailbox = Mailbox::start().await;
    let more =
        [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false"), ("AUTH_SECURITY_NOTICES", "none")];
    let app = start(&mailbox, &more).await;
    app.sign_up(ANN).await.session();
    app.database
        .execute("update auth.users set active_mfa_type = 'totp', totp_secret = 'ABCDEFGH'")
        .await;
    ask(&app, PATHS[0], ANN).await.assert_ok();
    let link = mailbox.last(&app.database, 1).await.ticket().to_owned();
    let (_, query) = verify(&app, &link, CLIENT_URL).await.redirect();
    assert!(query.contains_key("refreshToken"), "{query:?}");
    ask(&app, PATHS[1], ANN).await.assert_ok();
    present(&app, ANN, &code(&mailbox, &app, 2).await).await.session();
}
