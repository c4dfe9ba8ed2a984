//! How many statements each way to sign in and to sign up sends to Postgres, which may be far away.

use std::sync::Arc;

use keywright::domain::code_challenge::CodeChallenge;
use keywright::domain::ids::UserId;
use keywright::flows::sessions::exchange_code;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{PASSWORD, Session, TestApp, TestResponse};
use crate::support::authenticator::Authenticator;
use crate::support::ceremonies;
use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::mailbox::{Mailbox, verify};
use crate::support::postgres::TestDatabase;
use crate::support::providers::Providers;
use crate::support::providers::social::Social;
use crate::support::security_key::SecurityKey;
use crate::support::smtp::eventually;
use crate::support::statements::Statements;

const VERIFIER: &str = "a-verifier.of_43-characters~which-nobody-se";
const CLIENT_URL: &str = "http://localhost:3000";

/// A way to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Anonymous,
    Password,
    Pat,
    Link,
    LinkOfSignUp,
    MailedCode,
    MailedCodeOfSignUp,
    SmsCode,
    Provider,
    IdToken,
    Totp,
    Passkey,
    Elevation,
    Exchange,
    SignUpPassword,
    SignUpPasswordWithMail,
    SignUpPasskey,
    SignUpProvider,
    SignUpIdToken,
}

/// The operation of the contract that ends each way, and the most statements that it may need: one for a
/// user who is not in memory included, and where something can be guessed one that counts the attempt for
/// all nodes.
const WAYS: [(Way, &str, usize); 19] = [
    (Way::Anonymous, "/signin/anonymous", 1),
    (Way::Password, "/signin/email-password", 3),
    (Way::Pat, "/signin/pat", 1),
    (Way::Link, "/verify", 3),
    (Way::LinkOfSignUp, "/verify", 3),
    (Way::MailedCode, "/signin/otp/email/verify", 4),
    (Way::MailedCodeOfSignUp, "/signin/otp/email/verify", 4),
    (Way::SmsCode, "/signin/passwordless/sms/otp", 4),
    (Way::Provider, "/signin/provider/{provider}/callback", 3),
    (Way::IdToken, "/signin/idtoken", 2),
    // The ticket, the row with the secret, the code's step and the session in one transaction.
    (Way::Totp, "/signin/mfa/totp", 9),
    // The challenge and the counter of the key are used up before anything is known.
    (Way::Passkey, "/signin/webauthn/verify", 10),
    // The session of the bearer is looked at before the ceremony is used up, and again.
    (Way::Elevation, "/elevate/webauthn/verify", 15),
    (Way::Exchange, "/token/exchange", 3),
    (Way::SignUpPassword, "/signup/email-password", 1),
    // A ticket and a message besides, in one transaction.
    (Way::SignUpPasswordWithMail, "/signup/email-password", 7),
    (Way::SignUpPasskey, "/signup/webauthn/verify", 6),
    // Whose identity it is, whose address, the user, the identity, its tokens, the session.
    (Way::SignUpProvider, "/signin/provider/{provider}/callback", 8),
    (Way::SignUpIdToken, "/signup/idtoken", 7),
];

/// Operations whose response is a session and that start none.
const NO_SIGN_INS: [&str; 1] = ["/token"];

/// A server, all its neighbours, and what it asks Postgres for.
struct Setup {
    social: Social,
    statements: Statements,
    mailbox: Mailbox,
    sms: HttpSimulator,
    /// Another database, where addresses need no proof.
    open: TestApp,
    open_statements: Statements,
}

impl Setup {
    async fn start() -> Self {
        let mailbox = Mailbox::start().await;
        let sms = HttpSimulator::start(Reply::json(201, &json!({"sid": "SM1"}))).await;
        let usual = [
            ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
            ("AUTH_OTP_EMAIL_ENABLED", "true"),
            ("AUTH_MFA_ENABLED", "true"),
            ("AUTH_RECIPIENT_LIMITS", "off"),
            ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
            ("AUTH_SMS_TWILIO_ACCOUNT_SID", "AC123"),
            ("AUTH_SMS_TWILIO_AUTH_TOKEN", "twilio-s3cret"),
            ("AUTH_SMS_TWILIO_MESSAGING_SERVICE_ID", "MG456"),
            ("AUTH_SMS_TWILIO_URL", &sms.url),
            ceremonies::ON,
        ];
        let direct = TestDatabase::new().await;
        let statements = Statements::to(&direct.url()).await;
        let behind = statements.way_to(&direct);
        let providers = ["discord", "google"];
        let settings = mailbox.settings(&usual);
        let simulator = Providers::start().await;
        let social = Social::start_on(behind, simulator, &providers, &settings).await;
        let direct = TestDatabase::new().await;
        let open_statements = Statements::to(&direct.url()).await;
        let behind = Arc::new(open_statements.way_to(&direct));
        let open = TestApp::start_on(behind, &[ceremonies::ON]).await;
        Self { social, statements, mailbox, sms, open, open_statements }
    }

    fn app(&self) -> &TestApp {
        &self.social.app
    }

    /// A user with a password and a verified address.
    async fn user(&self, email: &str) -> Session {
        self.app().sign_up(email).await;
        let ticket = self.ticket(email, "email-verify").await;
        let (_, query) = verify(self.app(), &ticket, CLIENT_URL).await.redirect();
        assert!(query.contains_key("refreshToken"), "{query:?}");
        self.app().sign_in(email, PASSWORD).await.session()
    }

    /// The newest ticket of this kind that was mailed there.
    async fn ticket(&self, email: &str, template: &str) -> String {
        let mut mails = Vec::new();
        eventually("the mail", async || {
            mails = self.mailbox.to(&self.app().database, email).await;
            mails.retain(|mail| mail.template() == template);
            !mails.is_empty()
        })
        .await;
        mails.pop().unwrap().ticket().to_owned()
    }

    /// The code of the newest SMS.
    fn sms_code(&self) -> String {
        let text = self.sms.asked().pop().unwrap().form("Body").unwrap();
        text.chars().filter(char::is_ascii_digit).collect()
    }

    /// The statements of one request, which leads to a session.
    async fn measure(&self, request: impl Future<Output = TestResponse>) -> Vec<String> {
        self.statements.begin();
        let response = request.await;
        let noted = self.statements.noted();
        if response.status == 302 {
            let (_, query) = response.redirect();
            assert!(query.contains_key("refreshToken"), "{query:?}");
        } else {
            assert_eq!(response.status, 200, "{response:?}");
        }
        noted
    }

    async fn measure_open(&self, request: impl Future<Output = TestResponse>) -> Vec<String> {
        self.open_statements.begin();
        request.await.session();
        self.open_statements.noted()
    }
}

/// The statements of one sign-in this way, by a user of its own.
#[expect(clippy::too_many_lines, reason = "one arm for each way")]
async fn statements(setup: &Setup, way: Way, round: usize) -> Vec<String> {
    let (app, open) = (setup.app(), &setup.open);
    let email = format!("{way:?}-{round}@example.com").to_lowercase();
    let email = email.as_str();
    let code_body = |code: &str| json!({"email": email, "otp": code});
    match way {
        Way::Anonymous => setup.measure(app.post("/signin/anonymous", json!({}))).await,
        Way::Password => {
            setup.user(email).await;
            setup.measure(app.sign_in(email, PASSWORD)).await
        }
        Way::Pat => {
            let session = setup.user(email).await;
            let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
            let pat = app.post_as("/pat", session.access_token(), body).await.json();
            let body = json!({"personalAccessToken": pat["personalAccessToken"]});
            setup.measure(app.post("/signin/pat", body)).await
        }
        Way::Link => {
            setup.user(email).await;
            app.post("/signin/passwordless/email", json!({"email": email})).await.assert_ok();
            let ticket = setup.ticket(email, "signin-passwordless").await;
            setup.measure(verify(app, &ticket, CLIENT_URL)).await
        }
        Way::LinkOfSignUp => {
            app.sign_up(email).await;
            let ticket = setup.ticket(email, "email-verify").await;
            setup.measure(verify(app, &ticket, CLIENT_URL)).await
        }
        Way::MailedCode | Way::MailedCodeOfSignUp => {
            if way == Way::MailedCode {
                setup.user(email).await;
            }
            app.post("/signin/otp/email", json!({"email": email})).await.assert_ok();
            let code = setup.ticket(email, "signin-otp").await;
            setup.measure(app.post("/signin/otp/email/verify", code_body(&code))).await
        }
        Way::SmsCode => {
            let phone = format!("+1555000{round:04}");
            app.post("/signin/passwordless/sms", json!({"phoneNumber": phone})).await.assert_ok();
            let body = json!({"phoneNumber": phone, "otp": setup.sms_code()});
            setup.measure(app.post("/signin/passwordless/sms/otp", body)).await
        }
        Way::Provider | Way::SignUpProvider => {
            let profile = json!({"id": email, "email": email, "verified": true});
            setup.social.providers.at("discord").change_profile(&profile);
            if way == Way::Provider {
                setup.social.sign_in("discord", &[]).await.refresh_token();
            }
            let (mut browser, step) = setup.social.to_callback("discord", &[]).await;
            setup.statements.begin();
            browser.follow(&step).await.refresh_token();
            setup.statements.noted()
        }
        Way::IdToken | Way::SignUpIdToken => {
            let claims = json!({"sub": email, "email": email});
            let control = setup.social.providers.at("google");
            let body = || json!({"provider": "google", "idToken": control.id_token(&claims)});
            if way == Way::SignUpIdToken {
                return setup.measure(app.post("/signup/idtoken", body())).await;
            }
            app.post("/signup/idtoken", body()).await.session();
            setup.measure(app.post("/signin/idtoken", body())).await
        }
        Way::Totp => {
            let session = setup.user(email).await;
            let token = session.access_token();
            let secret = app.get_as("/mfa/totp/generate", token).await.json();
            let authenticator = Authenticator::new(secret["totpSecret"].as_str().unwrap());
            let code = authenticator.code(app.clock.now());
            let body = json!({"activeMfaType": "totp", "code": code});
            app.post_as("/user/mfa", token, body).await.assert_ok();
            app.clock.advance(Duration::seconds(30));
            let ticket = app.sign_in(email, PASSWORD).await.json()["mfa"]["ticket"].clone();
            let code = authenticator.code(app.clock.now());
            let body = json!({"ticket": ticket, "otp": code});
            setup.measure(app.post("/signin/mfa/totp", body)).await
        }
        Way::Passkey | Way::Elevation => {
            let session = setup.user(email).await;
            let token = session.access_token();
            let mut key = SecurityKey::new();
            assert_eq!(ceremonies::add_key(app, token, &mut key, "own").await.status, 200);
            if way == Way::Passkey {
                let options = ceremonies::begin_sign_in(app, Some(email)).await;
                let credential = key.get(&options);
                return setup.measure(ceremonies::finish_sign_in(app, &credential)).await;
            }
            let options = app.post_as("/elevate/webauthn", token, json!({})).await.json();
            let body = json!({"credential": key.get(&options)});
            setup.measure(app.post_as("/elevate/webauthn/verify", token, body)).await
        }
        Way::Exchange => {
            let session = setup.user(email).await;
            let challenge = CodeChallenge::of_verifier(VERIFIER).unwrap();
            let user_id = UserId(session.user_id());
            let code = exchange_code::issue(app.app(), user_id, &challenge).await.unwrap();
            let body = json!({"code": code.expose_secret(), "codeVerifier": VERIFIER});
            setup.measure(app.post("/token/exchange", body)).await
        }
        Way::SignUpPassword => setup.measure_open(open.sign_up(email)).await,
        Way::SignUpPasswordWithMail => setup.measure(app.sign_up(email)).await,
        Way::SignUpPasskey => {
            let options = ceremonies::begin_sign_up(open, email).await;
            let credential = SecurityKey::new().create(&options);
            setup.measure_open(ceremonies::finish_sign_up(open, &credential)).await
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_a_session_keeps_to_its_number_of_statements() {
    let setup = Setup::start().await;
    let mut too_many = Vec::new();
    for (way, _, most) in WAYS {
        // The first one prepares what is prepared once.
        statements(&setup, way, 1).await;
        let statements = statements(&setup, way, 2).await;
        if statements.len() > most {
            too_many.push(format!("{way:?}: {} of {most}: {statements:#?}", statements.len()));
        }
    }
    assert!(too_many.is_empty(), "{}", too_many.join("\n"));
}

/// Operations whose response has a session, and those that lead to an application with one.
fn operations_of_the_contract() -> Vec<String> {
    let contract: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let mut found = Vec::new();
    for (path, operations) in contract["paths"].as_object().unwrap() {
        for (_, operation) in operations.as_object().unwrap() {
            let redirects = operation["responses"].get("302").is_some();
            let leads_back = redirects && (path == "/verify" || path.ends_with("/callback"));
            let bodies = operation["responses"].as_object().into_iter().flatten();
            let has_session = bodies
                .filter_map(|(_, response)| {
                    response["content"]["application/json"]["schema"]["$ref"].as_str()
                })
                .any(|schema| is_session(&contract, schema));
            if (has_session || leads_back) && !found.contains(path) {
                found.push(path.clone());
            }
        }
    }
    found
}

fn is_session(contract: &Value, schema: &str) -> bool {
    if schema.ends_with("/Session") {
        return true;
    }
    let name = schema.rsplit('/').next().unwrap();
    contract["components"]["schemas"][name]["properties"].get("session").is_some()
}

#[test]
fn every_operation_that_starts_a_session_is_measured() {
    let known: Vec<&str> = WAYS.map(|(_, path, _)| path).into_iter().chain(NO_SIGN_INS).collect();
    let operations = operations_of_the_contract();
    for path in &operations {
        assert!(known.contains(&path.as_str()), "{path} is not measured");
    }
    for path in known {
        assert!(operations.iter().any(|operation| operation == path), "{path} starts no session");
    }
}
