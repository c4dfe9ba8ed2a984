//! `AUTH_CONCEAL_ERRORS`: responses that tell nothing about accounts.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Client, PASSWORD, Session, TestApp, TestResponse};
use crate::support::ceremonies::{finish_sign_in, sign_in, sign_up};
use crate::support::mailbox::{Mailbox, verify};
use crate::support::security_key::SecurityKey;

const CONCEAL: (&str, &str) = ("AUTH_CONCEAL_ERRORS", "true");
/// What an administrator does to users.
const DISABLED: &str = "update auth.users set disabled = true";
const MFA: (&str, &str) = ("AUTH_MFA_ENABLED", "true");

/// A sensitive refusal as it looks when concealed, to the byte.
#[track_caller]
fn assert_concealed(response: &TestResponse) {
    response.assert_refused(400, "invalid-request");
    assert_eq!(
        response.text,
        "{\"error\":\"invalid-request\",\"message\":\"The request payload is incorrect\",\"status\":400}\n"
    );
}

/// One refusal that would tell something about an account. A new operation is a new line.
struct Case {
    path: &'static str,
    bearer: Bearer,
    body: fn(&World) -> Value,
    /// Of the server that refuses; the accounts were made by one without them.
    settings: &'static [(&'static str, &'static str)],
    /// What happens to the accounts before that.
    sql: &'static str,
    /// Without concealment.
    refused: (u16, &'static str),
}

/// Whose access token is presented.
#[derive(Clone, Copy)]
enum Bearer {
    Nobody,
    Ann,
    Anonymous,
}

/// Two users, one of them anonymous.
struct World {
    ann: Session,
    anonymous: Session,
}

fn case(path: &'static str, refused: (u16, &'static str), body: fn(&World) -> Value) -> Case {
    Case { path, bearer: Bearer::Nobody, body, settings: &[], sql: "", refused }
}

impl Case {
    fn by(self, bearer: Bearer) -> Self {
        Self { bearer, ..self }
    }

    fn with(self, settings: &'static [(&'static str, &'static str)]) -> Self {
        Self { settings, ..self }
    }

    fn after(self, sql: &'static str) -> Self {
        Self { sql, ..self }
    }

    async fn response(&self, conceal: bool) -> TestResponse {
        let before = TestApp::start(&[]).await;
        let ann = before.sign_up("ann@example.com").await.session();
        let world = World { ann, anonymous: before.anonymous().await };
        if !self.sql.is_empty() {
            before.database.execute(self.sql).await;
        }
        let mut settings = self.settings.to_vec();
        settings.push(("AUTH_CONCEAL_ERRORS", if conceal { "true" } else { "false" }));
        let app = TestApp::start_on(before.database.clone(), &settings).await;
        let body = (self.body)(&world);
        let method = if body.is_null() { Method::GET } else { Method::POST };
        let mut request = app.request(method, self.path);
        if !body.is_null() {
            request = request.json(&body);
        }
        request = match self.bearer {
            Bearer::Nobody => request,
            Bearer::Ann => request.bearer_auth(world.ann.access_token()),
            Bearer::Anonymous => request.bearer_auth(world.anonymous.access_token()),
        };
        let response = Client::send(request).await;
        // There are many cases, and Postgres has room for so many connections.
        app.stop().await;
        before.stop().await;
        response
    }
}

fn cases() -> Vec<Case> {
    const SIGN_UP: &str = "/signup/email-password";
    const SIGN_IN: &str = "/signin/email-password";
    const VERIFIED: (&str, &str) = ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true");
    let ann = |_: &World| json!({"email": "ann@example.com", "password": PASSWORD});
    let new = |_: &World| json!({"email": "new@example.com", "password": PASSWORD});
    let wrong = |_: &World| json!({"email": "ann@example.com", "password": "wrong-Passw0rd"});
    let admin = |_: &World| {
        json!({
            "email": "new@example.com", "password": PASSWORD,
            "options": {"allowedRoles": ["admin"], "defaultRole": "admin"},
        })
    };
    let empty = |_: &World| json!({});
    let none = |_: &World| Value::Null;
    let token = |world: &World| json!({"refreshToken": world.ann.refresh_token()});
    let unknown = |_: &World| json!({"refreshToken": "00000000-0000-4000-8000-000000000000"});
    vec![
        case(SIGN_UP, (409, "email-already-in-use"), ann),
        case(SIGN_UP, (401, "invalid-email-password"), new)
            .with(&[("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "new@example.com")]),
        case(SIGN_UP, (400, "role-not-allowed"), admin),
        case(SIGN_UP, (403, "signup-disabled"), new).with(&[("AUTH_DISABLE_SIGNUP", "true")]),
        case(SIGN_UP, (401, "disabled-user"), new).with(&[("AUTH_DISABLE_NEW_USERS", "true")]),
        case("/signin/anonymous", (403, "signup-disabled"), empty)
            .with(&[("AUTH_DISABLE_SIGNUP", "true")]),
        case(SIGN_IN, (401, "invalid-email-password"), wrong),
        case(SIGN_IN, (401, "invalid-email-password"), new),
        case(SIGN_IN, (401, "unverified-user"), ann).with(&[VERIFIED]),
        case(SIGN_IN, (401, "disabled-user"), ann).after(DISABLED),
        case("/token", (401, "invalid-refresh-token"), unknown),
        case("/token", (401, "disabled-user"), token).after(DISABLED),
        case("/token/verify", (403, "forbidden-anonymous"), empty).by(Bearer::Anonymous),
        case("/token/verify", (401, "disabled-user"), empty).by(Bearer::Ann).after(DISABLED),
        case("/user", (403, "forbidden-anonymous"), none).by(Bearer::Anonymous),
        case("/user", (401, "disabled-user"), none).by(Bearer::Ann).after(DISABLED),
        case("/user", (401, "unverified-user"), none).by(Bearer::Ann).with(&[VERIFIED]),
    ]
    .into_iter()
    .chain(account_cases())
    .chain(sign_in_cases())
    .collect()
}

/// What users do with their account.
fn account_cases() -> Vec<Case> {
    let pat = |_: &World| json!({"expiresAt": "2090-01-01T00:00:00Z"});
    let password = |_: &World| json!({"newPassword": "another-Passw0rd"});
    let reset = |_: &World| json!({"newPassword": "another-Passw0rd", "ticket": "passwordReset:x"});
    let taken = |_: &World| json!({"newEmail": "ANN@example.com"});
    let blocked = |_: &World| json!({"newEmail": "new@blocked.com"});
    let register = |_: &World| json!({"signInMethod": "email-password", "email": "ann@example.com", "password": PASSWORD});
    let code = |_: &World| json!({"code": "123456", "activeMfaType": "totp"});
    let no_code = |_: &World| json!({"code": "123456"});
    vec![
        case("/pat", (403, "forbidden-anonymous"), pat).by(Bearer::Anonymous),
        case("/pat", (401, "disabled-user"), pat).by(Bearer::Ann).after(DISABLED),
        case("/user/password", (403, "forbidden-anonymous"), password).by(Bearer::Anonymous),
        case("/user/password", (401, "disabled-user"), password).by(Bearer::Ann).after(DISABLED),
        case("/user/password", (401, "invalid-ticket"), reset),
        case("/user/email/change", (403, "forbidden-anonymous"), taken).by(Bearer::Anonymous),
        case("/user/email/change", (401, "invalid-email-password"), blocked)
            .by(Bearer::Ann)
            .with(&[("AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS", "blocked.com")]),
        case("/user/deanonymize", (409, "email-already-in-use"), register).by(Bearer::Anonymous),
        case("/user/mfa", (400, "no-totp-secret"), code).by(Bearer::Ann).with(&[MFA]),
        case("/user/mfa", (401, "disabled-mfa-totp"), no_code).by(Bearer::Ann).with(&[MFA]),
        case("/user/mfa", (403, "forbidden-anonymous"), code).by(Bearer::Anonymous).with(&[MFA]),
        case("/mfa/totp/generate", (403, "forbidden-anonymous"), |_| Value::Null)
            .by(Bearer::Anonymous)
            .with(&[MFA]),
    ]
}

/// Ways to sign in besides passwords.
fn sign_in_cases() -> Vec<Case> {
    let pat = |_: &World| json!({"personalAccessToken": "00000000-0000-4000-8000-000000000000"});
    let challenge = |_: &World| json!({"ticket": "mfaTotp:x", "otp": "123456"});
    let code = |_: &World| json!({"email": "ann@example.com", "otp": "123456"});
    vec![
        case("/signin/pat", (401, "invalid-pat"), pat),
        case("/signin/mfa/totp", (401, "invalid-ticket"), challenge).with(&[MFA]),
        case("/signin/otp/email/verify", (401, "invalid-ticket"), code)
            .with(&[("AUTH_OTP_EMAIL_ENABLED", "true")]),
    ]
}

#[tokio::test]
async fn every_operation_says_what_is_wrong_only_when_nothing_is_concealed() {
    for case in cases() {
        let (status, code) = case.refused;
        case.response(false).await.assert_refused(status, code);
        assert_concealed(&case.response(true).await);
    }
}

#[tokio::test]
async fn asking_for_a_mail_has_the_same_response_for_everyone() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[CONCEAL])).await;
    app.sign_up("ann@example.com").await;
    app.sign_up("bob@example.com").await;
    app.sign_up("dis@example.com").await;
    app.database
        .execute(
            "update auth.users set email_verified = true where email = 'bob@example.com';
             update auth.users set disabled = true where email = 'dis@example.com';",
        )
        .await;
    for email in ["ann@example.com", "bob@example.com", "dis@example.com", "nobody@example.com"] {
        app.post("/user/email/send-verification-email", json!({"email": email})).await.assert_ok();
    }
    let sent = mailbox.all(&app.database, 4).await;
    assert_eq!(sent[3].to, ["ann@example.com"], "three at sign-up, one more where it is of use");
}

#[tokio::test]
async fn links_tell_nothing_in_their_redirect() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[CONCEAL])).await;
    app.sign_up("ann@example.com").await;
    let ticket = mailbox.last(&app.database, 1).await.ticket().to_owned();
    app.database.execute("update auth.users set disabled = true").await;
    for ticket in ["verifyEmail:00000000-0000-4000-8000-000000000000", &ticket] {
        assert_eq!(
            verify(&app, ticket, "http://localhost:3000").await.header("location"),
            Some(
                "http://localhost:3000?error=invalid-request&errorDescription=The+request+payload+is+incorrect"
            )
        );
    }
    // What says nothing about accounts is said.
    let (_, query) = verify(&app, &ticket, "https://evil.test").await.redirect();
    assert_eq!(query["error"], "redirectTo-not-allowed");
}

#[tokio::test]
async fn codes_that_are_not_sensitive_stay() {
    let app = TestApp::start(&[
        CONCEAL,
        ("AUTH_PASSWORD_MIN_LENGTH", "9"),
        ("AUTH_ANONYMOUS_USERS_ENABLED", "false"),
    ])
    .await;
    let sign_up = async |password: &str, options: Value| {
        let body = json!({"email": "a@example.com", "password": password, "options": options});
        app.post("/signup/email-password", body).await
    };
    sign_up("short", json!({})).await.assert_refused(400, "password-too-short");
    sign_up(PASSWORD, json!({"redirectTo": "https://evil.test"}))
        .await
        .assert_refused(400, "redirectTo-not-allowed");
    sign_up(PASSWORD, json!({"allowedRoles": ["me"]}))
        .await
        .assert_refused(400, "default-role-must-be-in-allowed-roles");
    app.post("/signin/anonymous", json!({})).await.assert_refused(409, "disabled-endpoint");
    let schema = sign_up(PASSWORD, json!({"locale": "eng"})).await;
    assert!(schema.text.contains("locale"), "what is wrong with a request is said: {schema:?}");
}

async fn ids(app: &TestApp, email: &str) -> Vec<String> {
    let response = app.post("/signin/webauthn", json!({"email": email})).await;
    assert_eq!(response.status, 200, "{response:?}");
    let options = response.json();
    let names: Vec<&String> = options.as_object().unwrap().keys().collect();
    let expected = ["allowCredentials", "challenge", "rpId", "timeout", "userVerification"];
    assert!(expected.iter().all(|name| names.contains(&&(*name).to_owned())), "{options}");
    let keys = options["allowCredentials"].as_array().unwrap();
    for key in keys {
        let members: Vec<&String> = key.as_object().unwrap().keys().collect();
        assert_eq!((members.len(), &key["type"]), (2, &json!("public-key")), "{key}");
    }
    keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

/// docs/reference-behaviour.md#state-is-for-the-owner
#[tokio::test]
async fn beginning_to_sign_in_with_a_passkey_tells_nothing_about_the_address() {
    const PASSKEYS: (&str, &str) = ("AUTH_WEBAUTHN_ENABLED", "true");
    let app = TestApp::start(&[CONCEAL, PASSKEYS]).await;
    let other = TestApp::start_on(app.database.clone(), &[CONCEAL, PASSKEYS]).await;
    let mut key = SecurityKey::new();
    let ann = sign_up(&app, "ann@example.com", &mut key).await;
    app.sign_up("nokey@example.com").await.session();
    assert_eq!(ids(&app, "ann@example.com").await, [key.credential_id()]);

    let mut lengths = std::collections::BTreeSet::new();
    let addresses = (0..40).map(|n| format!("nobody-{n}@example.com"));
    for email in addresses.chain(["nokey@example.com".to_owned()]) {
        let made_up = ids(&app, &email).await;
        assert!((1..=2).contains(&made_up.len()), "{made_up:?}");
        assert_eq!(made_up, ids(&app, &email).await, "the same each time");
        assert_eq!(made_up, ids(&other, &email.to_uppercase()).await, "and on each node");
        lengths.extend(made_up.iter().map(String::len));
        assert!(made_up.iter().all(|id| (22..=86).contains(&id.len())), "{made_up:?}");
    }
    assert!(lengths.len() > 2, "not all of one length: {lengths:?}");

    // The owner signs in as ever; and a disabled user is asked for the key, too.
    sign_in(&app, Some("ann@example.com"), &mut key).await.session();
    // A key for which nobody asked, of somebody else than the address.
    let options = app.post("/signin/webauthn", json!({"email": "nobody@example.com"})).await.json();
    assert_concealed(&finish_sign_in(&app, &key.get(&options)).await);
    app.database.execute(DISABLED).await;
    assert_eq!(ids(&app, "ann@example.com").await, [key.credential_id()]);
    assert_concealed(&sign_in(&app, Some("ann@example.com"), &mut key).await);
    assert_eq!(ann.user_id().to_string(), key.user);
}

#[tokio::test]
async fn a_new_address_that_somebody_has_is_accepted_and_leads_nowhere() {
    let mailbox = Mailbox::start().await;
    let more = [CONCEAL, ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")];
    let app = TestApp::start(&mailbox.settings(&more)).await;
    app.sign_up("ann@example.com").await.session();
    let eve = app.sign_up("eve@example.com").await.session();
    let change = async |email: &str| {
        app.post_as("/user/email/change", eve.access_token(), json!({"newEmail": email})).await
    };
    change("first@example.com").await.assert_ok();
    let first = mailbox.last(&app.database, 1).await;
    // The second is the same address again, for which two links may be pending.
    for (taken, links) in [("ann@example.com", 1), ("ANN@example.com", 2), ("eve@example.com", 1)] {
        change(taken).await.assert_ok();
        let pending = "select count(*) from auth.keywright_tickets";
        assert_eq!(app.database.count(pending).await, links, "as after any other request");
    }
    assert_eq!(app.database.count("select count(*) from auth.keywright_outbox").await, 0);
    // As after a request that is mailed, the link before it is void.
    let (_, query) = verify(&app, first.ticket(), "http://localhost:3000").await.redirect();
    assert_eq!(query["error"], "invalid-request");
    change("free@example.com").await.assert_ok();
    let mails = mailbox.all(&app.database, 2).await;
    assert_eq!(mails[1].to, ["free@example.com"], "nothing went to those who have the address");
}

#[tokio::test]
async fn a_guest_who_registers_by_mail_is_not_told_that_the_address_is_taken() {
    let mailbox = Mailbox::start().await;
    let required = ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true");
    let passwordless = ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true");
    let app = TestApp::start(&mailbox.settings(&[CONCEAL, required, passwordless])).await;
    app.sign_up("ann@example.com").await;
    for (free, body) in [
        ("one@example.com", json!({"signInMethod": "passwordless"})),
        ("two@example.com", json!({"signInMethod": "email-password", "password": PASSWORD})),
    ] {
        for email in ["ann@example.com", free] {
            let guest = app.anonymous().await;
            let mut body = body.clone();
            body["email"] = json!(email);
            app.post_as("/user/deanonymize", guest.access_token(), body).await.assert_ok();
        }
    }
    let mails = mailbox.all(&app.database, 3).await;
    let to_ann = mails.iter().filter(|mail| mail.to == ["ann@example.com"]).count();
    assert_eq!(to_ann, 1, "of her own sign-up");
    // Without a mail the account itself would tell: that stays a refusal.
    let open = TestApp::start(&[CONCEAL]).await;
    open.sign_up("ann@example.com").await.session();
    let guest = open.anonymous().await;
    let body =
        json!({"signInMethod": "email-password", "email": "ann@example.com", "password": PASSWORD});
    assert_concealed(&open.post_as("/user/deanonymize", guest.access_token(), body).await);
}
