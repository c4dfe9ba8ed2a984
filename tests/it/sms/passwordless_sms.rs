//! signInPasswordlessSms and verifySignInPasswordlessSms, with each provider.

use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{Client, TestApp, TestResponse};
use crate::support::http_simulator::{Asked, HttpSimulator, Reply};
use crate::support::two_nodes::TwoNodes;

const PHONE: &str = "+15550001111";

async fn ask(client: &Client, phone: &str) -> TestResponse {
    client.post("/signin/passwordless/sms", json!({"phoneNumber": phone})).await
}

async fn present(client: &Client, phone: &str, code: &str) -> TestResponse {
    let body = json!({"phoneNumber": phone, "otp": code});
    client.post("/signin/passwordless/sms/otp", body).await
}

fn other(code: &str, offset: u32) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1 + offset) % 1_000_000)
}

/// Twilio's messages, and a server that uses it.
struct Twilio {
    simulator: HttpSimulator,
}

impl Twilio {
    async fn start() -> Self {
        Self { simulator: HttpSimulator::start(Reply::json(201, &json!({"sid": "SM1"}))).await }
    }

    fn settings<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut all = vec![
            ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
            ("AUTH_SMS_TWILIO_ACCOUNT_SID", "AC123"),
            ("AUTH_SMS_TWILIO_AUTH_TOKEN", "twilio-s3cret"),
            ("AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID", "MG456"),
            ("AUTH_SMS_TWILIO_URL", &self.simulator.url),
        ];
        all.extend_from_slice(more);
        all
    }

    /// The code in the last message.
    fn code(&self) -> String {
        code_in(&self.simulator.asked().pop().unwrap().form("Body").unwrap())
    }

    fn count(&self) -> usize {
        self.simulator.asked().len()
    }
}

fn code_in(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits.len(), 6, "{text}");
    digits
}

async fn pending_of_reference(app: &TestApp, code: &str) {
    app.database
        .execute(&format!(
            "insert into auth.users (id, phone_number, locale, default_role, otp_hash, \
                                     otp_hash_expires_at, otp_method_last_used) \
             values (gen_random_uuid(), '{PHONE}', 'en', 'user', crypt('{code}', gen_salt('bf')), \
                     now() + interval '5 minutes', 'sms') \
             on conflict (phone_number) \
             do update set otp_hash = excluded.otp_hash, \
                           otp_hash_expires_at = excluded.otp_hash_expires_at"
        ))
        .await;
}

#[tokio::test]
async fn an_unknown_number_gets_an_account_and_a_code_that_signs_in_once() {
    let twilio = Twilio::start().await;
    let app = TestApp::start(&twilio.settings(&[])).await;
    let options = json!({"displayName": "Ann", "metadata": {"a": 1}});
    let body = json!({"phoneNumber": PHONE, "options": options});
    app.post("/signin/passwordless/sms", body).await.assert_ok();

    let asked = twilio.simulator.only();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.path, "/2010-04-01/Accounts/AC123/Messages.json");
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("authorization"), Some("Basic QUMxMjM6dHdpbGlvLXMzY3JldA=="));
    assert_eq!(asked.form("To").as_deref(), Some(PHONE));
    assert_eq!(asked.form("From").as_deref(), Some("MG456"));

    let code = twilio.code();
    let session = present(&app, PHONE, &code).await.session();
    let user = &session.0["user"];
    assert_eq!(user["phoneNumber"], PHONE);
    assert_eq!(user["phoneNumberVerified"], true);
    assert_eq!(user["displayName"], "Ann");
    assert_eq!(user["metadata"], json!({"a": 1}));
    assert_eq!(user.get("email"), None);
    app.refresh(session.refresh_token()).await.session();
    // Whoever has no address can do everything else too.
    assert_eq!(app.get_as("/user", session.access_token()).await.json()["phoneNumber"], PHONE);
    present(&app, PHONE, &code).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn without_a_name_the_number_is_the_name_and_the_locale_chooses_the_words() {
    let twilio = Twilio::start().await;
    let app = TestApp::start(&twilio.settings(&[("AUTH_LOCALE_ALLOWED_LOCALES", "en,fr")])).await;
    let body = json!({"phoneNumber": PHONE, "options": {"locale": "fr"}});
    app.post("/signin/passwordless/sms", body).await.assert_ok();
    let text = twilio.simulator.only().form("Body").unwrap();
    assert!(text.starts_with("Votre code"), "{text}");
    let session = present(&app, PHONE, &twilio.code()).await.session();
    assert_eq!(session.0["user"]["displayName"], PHONE);
    assert_eq!(session.0["user"]["locale"], "fr");
    // A second message is in the user's locale, not in that of the request.
    ask(&app, PHONE).await.assert_ok();
    assert!(twilio.simulator.asked()[1].form("Body").unwrap().starts_with("Votre code"));
    assert_eq!(app.database.count("select count(*) from auth.users").await, 1);
}

#[tokio::test]
async fn a_request_is_refused_step_by_step_and_sends_nothing() {
    let twilio = Twilio::start().await;
    let off = TestApp::start(&[]).await;
    ask(&off, PHONE).await.assert_refused(409, "disabled-endpoint");
    present(&off, PHONE, "123456").await.assert_refused(409, "disabled-endpoint");
    let app = TestApp::start(&twilio.settings(&[("AUTH_DISABLE_SIGNUP", "true")])).await;
    let with = |options: Value| json!({"phoneNumber": PHONE, "options": options});
    for (options, code) in [
        (json!({"redirectTo": "https://evil.io"}), "redirectTo-not-allowed"),
        (json!({"allowedRoles": ["admin"]}), "role-not-allowed"),
        (json!({"allowedRoles": ["me"]}), "default-role-must-be-in-allowed-roles"),
    ] {
        app.post("/signin/passwordless/sms", with(options)).await.assert_refused(400, code);
    }
    for body in [json!({}), json!({"phoneNumber": 1}), json!({"phoneNumber": PHONE, "x": 1})] {
        app.post("/signin/passwordless/sms", body).await.assert_refused(400, "invalid-request");
    }
    // Both are known before a message costs anything.
    ask(&app, PHONE).await.assert_refused(403, "signup-disabled");
    for bad in ["", "15550001111", "+1 555 000 1111", "+05550001111", "+1555\r\nTo=+1"] {
        ask(&app, bad).await.assert_refused(400, "invalid-request");
    }
    assert_eq!(twilio.count(), 0);
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn users_who_are_not_let_in_get_no_message() {
    let twilio = Twilio::start().await;
    let app = TestApp::start(&twilio.settings(&[("AUTH_DISABLE_NEW_USERS", "true")])).await;
    // The row stays, for an administrator to enable.
    ask(&app, PHONE).await.assert_refused(401, "disabled-user");
    ask(&app, PHONE).await.assert_refused(401, "disabled-user");
    app.database.execute("update auth.users set disabled = false, is_anonymous = true").await;
    ask(&app, PHONE).await.assert_refused(403, "forbidden-anonymous");
    assert_eq!(twilio.count(), 0);
    assert_eq!(app.database.count("select count(*) from auth.users").await, 1);
}

#[tokio::test]
async fn what_the_provider_does_not_take_is_told_and_leaves_nothing() {
    let twilio = Twilio::start().await;
    let app = TestApp::start(&twilio.settings(&[("AUTH_SMS_TIMEOUT", "300ms")])).await;
    let refusals = [
        Reply::json(400, &json!({"code": 21211, "message": "no number", "status": 400})),
        Reply::empty(500),
        Reply::Hang,
    ];
    for reply in refusals {
        twilio.simulator.say(reply);
        ask(&app, PHONE).await.assert_refused(400, "cannot-send-sms");
    }
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
    assert_eq!(app.database.count("select count(*) from auth.keywright_tickets").await, 0);
}

#[tokio::test]
async fn of_many_who_ask_at_once_for_a_new_number_one_account_is_made() {
    let twilio = Twilio::start().await;
    let app = TestApp::start(&twilio.settings(&[])).await;
    let responses = futures_util::future::join_all((0..6).map(|_| ask(&app, PHONE))).await;
    for response in responses {
        response.assert_ok();
    }
    assert_eq!(app.database.count("select count(*) from auth.users").await, 1);
}

/// Counted for all nodes (docs/reference-behaviour.md#codes-have-few-tries).
#[tokio::test]
async fn a_code_dies_after_five_wrong_ones_also_through_two_nodes() {
    let twilio = Twilio::start().await;
    let two = TwoNodes::start(&twilio.settings(&[("AUTH_ACCOUNT_ATTEMPTS", "100")])).await;
    let [one, other_node] = &two.nodes;
    ask(one, PHONE).await.assert_ok();
    let code = twilio.code();
    futures_util::future::join_all((0..12).map(|number| {
        let node = if number % 2 == 0 { one } else { other_node };
        let wrong = other(&code, number);
        async move { present(node, PHONE, &wrong).await.assert_refused(400, "invalid-request") }
    }))
    .await;
    present(one, PHONE, &code).await.assert_refused(400, "invalid-request");
    ask(other_node, PHONE).await.assert_ok();
    let code = twilio.code();
    for number in 0..4 {
        present(one, PHONE, &other(&code, number)).await.assert_refused(400, "invalid-request");
    }
    present(other_node, PHONE, &code).await.session();
}

#[tokio::test]
async fn wrong_codes_close_the_account_for_a_while() {
    let twilio = Twilio::start().await;
    let app = TestApp::start(&twilio.settings(&[("AUTH_ACCOUNT_ATTEMPTS", "3")])).await;
    let into = app.clock.now().unix_timestamp() % 900;
    app.clock.advance(Duration::seconds(2_700 - into));
    // Unknown numbers are counted alike.
    for phone in [PHONE, "+15550002222"] {
        for _ in 0..3 {
            present(&app, phone, "123456").await.assert_refused(400, "invalid-request");
        }
        present(&app, phone, "123456").await.assert_refused(429, "too-many-requests");
    }
}

/// One statement uses the code up (docs/reference-behaviour.md#one-ticket-one-winner).
#[tokio::test]
async fn of_many_with_one_code_one_signs_in() {
    let twilio = Twilio::start().await;
    let two = TwoNodes::start(&twilio.settings(&[("AUTH_OTP_MAX_TRIES", "100")])).await;
    ask(&two.nodes[0], PHONE).await.assert_ok();
    let code = twilio.code();
    let responses = futures_util::future::join_all(
        (0..8).map(|number| present(&two.nodes[number % 2], PHONE, &code)),
    )
    .await;
    let signed_in = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!(signed_in, 1, "{responses:?}");
}

/// The code is right, so its owner may know (docs/reference-behaviour.md#sms-refusals-have-codes).
#[tokio::test]
async fn the_state_of_an_account_has_its_own_response_and_leaves_the_code() {
    let twilio = Twilio::start().await;
    let app = TestApp::start(&twilio.settings(&[])).await;
    ask(&app, PHONE).await.assert_ok();
    let code = twilio.code();
    app.database.execute("update auth.users set disabled = true").await;
    present(&app, PHONE, &code).await.assert_refused(401, "disabled-user");
    app.database.execute("update auth.users set disabled = false").await;
    present(&app, PHONE, &code).await.session();
}

#[tokio::test]
async fn a_code_ends_after_five_minutes() {
    let twilio = Twilio::start().await;
    let app = TestApp::start(&twilio.settings(&[])).await;
    ask(&app, PHONE).await.assert_ok();
    app.clock.advance(Duration::minutes(5));
    present(&app, PHONE, &twilio.code()).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn a_pending_code_of_the_reference_is_honoured_once_and_takes_one_try() {
    let twilio = Twilio::start().await;
    let app = TestApp::start(&twilio.settings(&[])).await;
    pending_of_reference(&app, "012345").await;
    present(&app, PHONE, "012345").await.session();
    present(&app, PHONE, "012345").await.assert_refused(400, "invalid-request");
    pending_of_reference(&app, "012345").await;
    present(&app, PHONE, "543210").await.assert_refused(400, "invalid-request");
    present(&app, PHONE, "012345").await.assert_refused(400, "invalid-request");
    // What Twilio Verify leaves is the hash of nothing.
    pending_of_reference(&app, "").await;
    for empty in ["", " "] {
        present(&app, PHONE, empty).await.assert_refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn modica_takes_json() {
    let modica = HttpSimulator::start(Reply::json(202, &json!([1]))).await;
    let app = TestApp::start(&[
        ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_SMS_PROVIDER", "Modica"),
        ("AUTH_SMS_MODICA_USERNAME", "user"),
        ("AUTH_SMS_MODICA_PASSWORD", "s3cret"),
        ("AUTH_SMS_MODICA_URL", &modica.url),
    ])
    .await;
    ask(&app, PHONE).await.assert_ok();
    let asked = modica.only();
    assert_eq!(asked.path, "/rest/sms/v2/messages");
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("authorization"), Some("Basic dXNlcjpzM2NyZXQ="));
    let body = asked.json();
    assert_eq!(body["destination"], PHONE);
    assert_eq!(body.as_object().unwrap().len(), 2);
    let code = code_in(body["content"].as_str().unwrap());
    present(&app, PHONE, &code).await.session();
    // Only 202 means that it was taken.
    modica.say(Reply::empty(200));
    ask(&app, PHONE).await.assert_refused(400, "cannot-send-sms");
}

#[tokio::test]
async fn twilio_verify_makes_and_checks_codes_itself() {
    let verify = HttpSimulator::start(Reply::json(201, &json!({"status": "pending"}))).await;
    for service in [("AC123", "VA456"), ("VA123", "VA456")] {
        let app = TestApp::start(&[
            ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
            ("AUTH_SMS_TWILIO_ACCOUNT_SID", service.0),
            ("AUTH_SMS_TWILIO_AUTH_TOKEN", "s3cret"),
            ("AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID", service.1),
            ("AUTH_SMS_TWILIO_VERIFY_URL", &verify.url),
        ])
        .await;
        ask(&app, PHONE).await.assert_ok();
        let asked = verify.asked().pop().unwrap();
        assert_eq!(asked.path, "/v2/Services/VA456/Verifications");
        let form = |asked: &Asked, name: &str| asked.form(name).unwrap();
        assert_eq!(form(&asked, "To"), PHONE);
        assert_eq!(form(&asked, "Channel"), "sms");
        assert_eq!(form(&asked, "Locale"), "en");

        verify.say_once(Reply::json(200, &json!({"status": "pending"})));
        present(&app, PHONE, "000000").await.assert_refused(400, "invalid-request");
        verify.say_once(Reply::empty(404));
        present(&app, PHONE, "000000").await.assert_refused(400, "invalid-request");
        verify.say_once(Reply::empty(503));
        present(&app, PHONE, "000000").await.assert_refused(500, "internal-server-error");
        let before = verify.asked().len();
        present(&app, PHONE, "").await.assert_refused(400, "invalid-request");
        assert_eq!(verify.asked().len(), before);
        verify.say_once(Reply::json(200, &json!({"status": "approved"})));
        let session = present(&app, PHONE, "4321").await.session();
        assert_eq!(session.0["user"]["phoneNumberVerified"], true);
        let asked = verify.asked().pop().unwrap();
        assert_eq!(asked.path, "/v2/Services/VA456/VerificationCheck");
        assert_eq!(
            (form(&asked, "To"), form(&asked, "Code")),
            (PHONE.to_owned(), "4321".to_owned())
        );
    }
}

#[tokio::test]
async fn in_development_the_inbox_shows_them() {
    let folder = std::env::temp_dir().join(format!("keywright-sms-{}", uuid::Uuid::new_v4()));
    let app = TestApp::start(&[
        ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_SMS_PROVIDER", "dev"),
        ("AUTH_MAIL_CAPTURE_FOLDER", folder.to_str().unwrap()),
        ("AUTH_DEV_ROUTES", "true"),
    ])
    .await;
    ask(&app, PHONE).await.assert_ok();
    let inbox = app.get("/dev/inbox.json").await.json();
    assert_eq!(inbox[0]["to"], PHONE);
    let code = code_in(inbox[0]["text"].as_str().unwrap());
    assert!(app.get("/dev/inbox").await.text.contains(&code));
    present(&app, PHONE, &code).await.session();
    let _ = std::fs::remove_dir_all(folder);
}

/// Nobody learns which numbers are known.
#[tokio::test]
async fn a_concealed_response_is_the_same_for_all_numbers() {
    let twilio = Twilio::start().await;
    let settings =
        twilio.settings(&[("AUTH_CONCEAL_ERRORS", "true"), ("AUTH_DISABLE_SIGNUP", "true")]);
    let app = TestApp::start(&settings).await;
    for (phone, disabled) in [(PHONE, false), ("+15550002222", true)] {
        app.database
            .execute(&format!(
                "insert into auth.users (id, phone_number, locale, default_role, disabled) \
                 values (gen_random_uuid(), '{phone}', 'en', 'user', {disabled})"
            ))
            .await;
    }
    for phone in [PHONE, "+15550002222", "+15550003333"] {
        ask(&app, phone).await.assert_ok();
    }
    assert_eq!(twilio.simulator.only().form("To").as_deref(), Some(PHONE));
}
