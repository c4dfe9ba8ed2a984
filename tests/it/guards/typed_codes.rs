//! Codes as people type them: in groups, with dashes, with the digits of their keyboard.

use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{PASSWORD, Session, TestApp};
use crate::support::authenticator::Authenticator;
use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::mailbox::Mailbox;

const ANN: &str = "ann@example.com";
const PHONE: &str = "+15550001111";

/// Operations that take a code that somebody types, and the member that has it.
const TYPED: [(&str, &str); 4] = [
    ("/signin/otp/email/verify", "otp"),
    ("/signin/passwordless/sms/otp", "otp"),
    ("/signin/mfa/totp", "otp"),
    ("/user/mfa", "code"),
];

/// Operations with a member of such a name that no person types.
const NOT_TYPED: [&str; 1] = ["/token/exchange"];

/// The same code in other spellings; the last one is in full-width digits.
fn spellings(code: &str) -> Vec<String> {
    let (first, last) = code.split_at(3);
    let wide = |c: char| char::from_u32(0xff10 + c.to_digit(10).unwrap()).unwrap();
    vec![
        format!("{first} {last}"),
        format!(" {first}-{last}\n"),
        format!("{first}\u{a0}{last}"),
        code.chars().map(wide).collect(),
    ]
}

#[test]
fn every_operation_of_the_contract_with_a_typed_code_is_tried_here() {
    let contract: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let mut found = Vec::new();
    for (path, operations) in contract["paths"].as_object().unwrap() {
        let body = &operations["post"]["requestBody"]["content"]["application/json"]["schema"];
        let schema = body["$ref"].as_str().and_then(|name| contract.pointer(&name[1..]));
        let members = schema.unwrap_or(body)["properties"].as_object();
        for member in ["otp", "code"] {
            let is_there = members.is_some_and(|members| members.contains_key(member));
            if is_there && !NOT_TYPED.contains(&path.as_str()) {
                found.push((path.clone(), member));
            }
        }
    }
    found.sort_unstable();
    let mut expected = TYPED.map(|(path, member)| (path.to_owned(), member)).to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_mailed_code_is_taken_in_every_spelling() {
    let mailbox = Mailbox::start().await;
    let settings = [("AUTH_OTP_EMAIL_ENABLED", "true"), ("AUTH_RECIPIENT_LIMITS", "off")];
    let app = TestApp::start(&mailbox.settings(&settings)).await;
    for number in 0..4 {
        app.post("/signin/otp/email", json!({"email": ANN})).await.assert_ok();
        let code = mailbox.last(&app.database, number + 1).await.ticket().to_owned();
        let typed = spellings(&code)[number].clone();
        let body = json!({"email": ANN, "otp": typed});
        app.post("/signin/otp/email/verify", body).await.session();
    }
    // What is no code stays none.
    let wrong = json!({"email": ANN, "otp": "12 345"});
    app.post("/signin/otp/email/verify", wrong).await.assert_refused(401, "invalid-ticket");
}

#[tokio::test]
async fn a_code_by_sms_is_taken_in_every_spelling() {
    let twilio = HttpSimulator::start(Reply::json(201, &json!({"sid": "SM1"}))).await;
    let app = TestApp::start(&[
        ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_SMS_TWILIO_ACCOUNT_SID", "AC123"),
        ("AUTH_SMS_TWILIO_AUTH_TOKEN", "twilio-s3cret"),
        ("AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID", "MG456"),
        ("AUTH_SMS_TWILIO_URL", &twilio.url),
        ("AUTH_RECIPIENT_LIMITS", "off"),
    ])
    .await;
    for number in 0..4 {
        app.post("/signin/passwordless/sms", json!({"phoneNumber": PHONE})).await.assert_ok();
        let text = twilio.asked().pop().unwrap().form("Body").unwrap();
        let code: String = text.chars().filter(char::is_ascii_digit).collect();
        let body = json!({"phoneNumber": PHONE, "otp": spellings(&code)[number]});
        app.post("/signin/passwordless/sms/otp", body).await.session();
    }
}

#[tokio::test]
async fn a_code_of_an_authenticator_is_taken_in_every_spelling() {
    let app = TestApp::start(&[("AUTH_MFA_ENABLED", "true")]).await;
    let session = app.sign_up(ANN).await.session();
    let generated = app.get_as("/mfa/totp/generate", session.access_token()).await.json();
    let authenticator = Authenticator::new(generated["totpSecret"].as_str().unwrap());
    let code = || spellings(&authenticator.code(app.clock.now()));
    activate(&app, &session, "totp", &code()[0]).await;
    for number in 0..4 {
        app.clock.advance(Duration::seconds(30));
        let ticket = app.sign_in(ANN, PASSWORD).await.json()["mfa"]["ticket"].clone();
        let body = json!({"ticket": ticket, "otp": code()[number]});
        app.post("/signin/mfa/totp", body).await.session();
    }
    app.clock.advance(Duration::seconds(30));
    activate(&app, &session, "", &code()[3]).await;
}

async fn activate(app: &TestApp, session: &Session, kind: &str, code: &str) {
    let body = json!({"activeMfaType": kind, "code": code});
    app.post_as("/user/mfa", session.access_token(), body).await.assert_ok();
}
