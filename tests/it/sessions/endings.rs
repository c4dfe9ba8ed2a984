//! What ends what: every door into an account, opened before an ending and tried after it, on the
//! node of the ending and on another (docs/security.md#what-ends-what).

use std::collections::BTreeSet;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use keywright::domain::code_challenge::CodeChallenge;
use keywright::flows::sessions::exchange_code;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::app::{Client, PASSWORD, Session, TestApp, TestResponse};
use crate::support::authenticator::Authenticator;
use crate::support::ceremonies;
use crate::support::jwt;
use crate::support::mailbox::{Mailbox, verify, verify_as};
use crate::support::providers::browser::{Browser, Step};
use crate::support::providers::social::{Social, callback};
use crate::support::security_key::SecurityKey;
use crate::support::smtp::eventually;

const NEW: &str = "another-Passw0rd";
const CLIENT_URL: &str = "http://localhost:3000";
const VERIFIER: &str = "a-verifier.of_43-characters~which-nobody-se";
/// Base32, of an authenticator that was enrolled before.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Users under test at a time.
const AT_ONCE: usize = 8;

/// Operations by which a bearer changes who may sign in, or how.
const WRITES: [(&str, &str); 17] = [
    ("post", "/pat"),
    ("post", "/user/password"),
    ("post", "/user/email/change"),
    ("post", "/user/webauthn/add"),
    ("post", "/user/webauthn/verify"),
    ("patch", "/user/webauthn/keys/{id}"),
    ("delete", "/user/webauthn/keys/{id}"),
    ("post", "/elevate/webauthn"),
    ("post", "/elevate/webauthn/verify"),
    ("get", "/mfa/totp/generate"),
    ("post", "/user/mfa"),
    ("post", "/link/idtoken"),
    ("post", "/link/provider/{provider}"),
    // With `connect`.
    ("get", "/signin/provider/{provider}"),
    ("get", "/signin/provider/{provider}/callback"),
    ("post", "/user/deanonymize"),
    // With `all`.
    ("post", "/signout"),
];

/// Operations with a bearer that write nothing of the kind.
const OTHERS: [(&str, &str); 2] =
    [("post", "/token/verify"), ("post", "/token/provider/{provider}")];

/// What may be open. `Write` is the access token of the intruder's session, for one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Write(&'static str, &'static str),
    RefreshToken,
    Pat,
    /// The refresh token of a session that a personal access token began.
    PatSession,
    /// A key of the user, in the hands of the intruder.
    SecurityKey,
    /// By template of its mail.
    Mail(&'static str),
    /// The link by which the owner of the address before takes a change back.
    Undo,
    MfaTicket,
    SmsCode,
    ReferenceTicket,
    ReferenceCode,
    ExchangeCode,
    PasskeySignIn,
}

const MAILS: [&str; 5] =
    ["email-verify", "signin-passwordless", "password-reset", "email-confirm-change", "signin-otp"];

fn doors() -> Vec<Door> {
    let mut doors: Vec<Door> = WRITES
        .into_iter()
        // A registered user cannot, and a guest has no doors but their sessions.
        .filter(|(_, path)| *path != "/user/deanonymize")
        .map(|(method, path)| Door::Write(method, path))
        .collect();
    doors.extend(MAILS.map(Door::Mail));
    doors.extend([
        Door::RefreshToken,
        Door::Pat,
        Door::PatSession,
        Door::SecurityKey,
        Door::Undo,
        Door::MfaTicket,
        Door::SmsCode,
        Door::ReferenceTicket,
        Door::ReferenceCode,
        Door::ExchangeCode,
        Door::PasskeySignIn,
    ]);
    doors
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Of the session of the intruder alone.
    SignOut,
    SignOutEverywhere,
    PasswordChanged,
    /// With `AUTH_PASSWORD_CHANGE_ENDS=sessions-and-pats`.
    PasswordChangedStrictly,
    /// With `AUTH_PASSWORD_CHANGE_ENDS=nothing`.
    PasswordChangedOnly,
    PasswordReset,
    /// The link was followed, and the password changed with the session that it led to.
    PasswordResetByLink,
    AddressChanged,
    /// And the owner of the old address has taken it back.
    AddressRestored,
    /// With `AUTH_PASSWORD_CHANGE_ENDS=everything`.
    PasswordChangedTotally,
    /// The address was not verified, and now its owner has signed in by mail.
    FirstProof,
    /// By an administrator, as long as it lasts.
    Disabled,
    /// By an administrator.
    Deleted,
}

const ENDINGS: [Ending; 13] = [
    Ending::SignOut,
    Ending::SignOutEverywhere,
    Ending::PasswordChanged,
    Ending::PasswordChangedStrictly,
    Ending::PasswordChangedOnly,
    Ending::PasswordReset,
    Ending::PasswordResetByLink,
    Ending::AddressChanged,
    Ending::AddressRestored,
    Ending::PasswordChangedTotally,
    Ending::FirstProof,
    Ending::Disabled,
    Ending::Deleted,
];

/// The table.
fn is_closed(door: Door, ending: Ending) -> bool {
    let sessions_end = match ending {
        Ending::SignOut
        | Ending::SignOutEverywhere
        | Ending::PasswordChanged
        | Ending::PasswordChangedStrictly
        | Ending::PasswordReset
        | Ending::PasswordResetByLink
        | Ending::AddressRestored
        | Ending::PasswordChangedTotally
        | Ending::FirstProof
        | Ending::Disabled
        | Ending::Deleted => true,
        Ending::PasswordChangedOnly | Ending::AddressChanged => false,
    };
    let flows_end = sessions_end && ending != Ending::SignOut;
    match door {
        Door::Write(..) | Door::RefreshToken => sessions_end,
        Door::Pat => matches!(
            ending,
            Ending::SignOutEverywhere
                | Ending::PasswordChangedStrictly
                | Ending::AddressRestored
                | Ending::PasswordChangedTotally
                | Ending::FirstProof
                | Ending::Disabled
                | Ending::Deleted
        ),
        Door::SecurityKey => {
            matches!(ending, Ending::PasswordChangedTotally | Ending::Disabled | Ending::Deleted)
        }
        // It is for those who owned the account before whoever does all this.
        Door::Undo => matches!(ending, Ending::Disabled | Ending::Deleted),
        // The session that asked for it is over.
        Door::Mail("email-confirm-change") if ending == Ending::SignOut => true,
        // The row stays, and who presents the code is refused (`sms::passwordless_sms`).
        Door::SmsCode if ending == Ending::Disabled => false,
        // Following a link voids the others of its kind.
        Door::Mail("password-reset") if ending == Ending::PasswordResetByLink => true,
        // Likewise the change of address.
        Door::Mail(_) | Door::ReferenceTicket | Door::ReferenceCode => {
            flows_end || ending == Ending::AddressChanged
        }
        Door::PatSession
        | Door::MfaTicket
        | Door::SmsCode
        | Door::ExchangeCode
        | Door::PasskeySignIn => flows_end,
    }
}

/// Two nodes as usual, and two that end more and less; all on one database.
struct Fleet {
    social: Social,
    other: TestApp,
    strict: TestApp,
    lenient: TestApp,
    total: TestApp,
    mailbox: Mailbox,
}

impl Fleet {
    async fn start() -> Self {
        let mailbox = Mailbox::start().await;
        let usual = [
            ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false"),
            ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
            ("AUTH_OTP_EMAIL_ENABLED", "true"),
            ("AUTH_MFA_ENABLED", "true"),
            // The others are of no use here, and there are hundreds of users.
            ("AUTH_SECURITY_NOTICES", "email"),
            ceremonies::ON,
        ];
        let providers = ["github", "google"];
        let with = |ends| {
            let mut settings = mailbox.settings(&usual);
            settings.push(("AUTH_PASSWORD_CHANGE_ENDS", ends));
            settings
        };
        let social = Social::start(&providers, &with("sessions")).await;
        let other = social.another(&providers, &with("sessions")).await;
        let strict = social.another(&providers, &with("sessions-and-pats")).await;
        let lenient = social.another(&providers, &with("nothing")).await;
        let total = social.another(&providers, &with("everything")).await;
        Self { social, other, strict, lenient, total, mailbox }
    }

    fn app(&self) -> &TestApp {
        &self.social.app
    }

    /// The newest mail of this template to this address, once there are `count` of them.
    async fn ticket(&self, to: &str, template: &str, count: usize) -> String {
        let mut found = Vec::new();
        eventually("the mail", async || {
            found = self.mailbox.smtp.received_by(to);
            found.retain(|mail| mail.raw_header("X-Email-Template").as_deref() == Some(template));
            found.len() >= count
        })
        .await;
        found.last().and_then(|mail| mail.raw_header("X-Ticket")).expect("a ticket")
    }
}

/// A user, whose sessions are the owner's and an intruder's, and what is open.
struct Opened {
    door: Door,
    email: String,
    owner: Session,
    intruder: Session,
    key_id: String,
    /// What the intruder holds.
    held: Value,
    browser: Option<(Browser, Step)>,
    key: SecurityKey,
}

#[expect(clippy::too_many_lines, reason = "one arm for each door")]
async fn open(fleet: &Fleet, door: Door, email: String) -> Opened {
    let app = fleet.app();
    let first = if door == Door::Undo { format!("first-{email}") } else { email.clone() };
    let mut owner = app.sign_up(&first).await.session();
    if door == Door::Undo {
        let verified =
            format!("update auth.users set email_verified = true where email = '{first}'");
        app.database.execute(&verified).await;
        owner = change_address(fleet, &owner, &email).await;
    }
    let intruder = app.sign_in(&email, PASSWORD).await.session();
    let mut key = SecurityKey::new();
    let added = ceremonies::add_key(app, owner.access_token(), &mut key, "own").await;
    let key_id = added.json()["id"].as_str().unwrap_or_default().to_owned();
    assert!(!key_id.is_empty(), "{added:?}");
    let token = intruder.access_token();
    let mut browser = None;
    let held = match door {
        Door::Write("post", "/user/webauthn/verify") => {
            let options = app.post_as("/user/webauthn/add", token, json!({})).await.json();
            SecurityKey::new().create(&options)
        }
        Door::Write("post", "/elevate/webauthn/verify") => {
            let options = app.post_as("/elevate/webauthn", token, json!({})).await.json();
            key.get(&options)
        }
        Door::Write("post", "/user/mfa") => {
            app.get_as("/mfa/totp/generate", token).await.json()["totpSecret"].clone()
        }
        Door::Write("get", "/signin/provider/{provider}/callback") => {
            let mut of_intruder = fleet.social.browser();
            let first = fleet.social.link("github", &[("connect", token)]);
            let step = callback(&mut of_intruder, &first).await;
            browser = Some((of_intruder, step));
            Value::Null
        }
        Door::Pat => {
            let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
            app.post_as("/pat", token, body).await.json()["personalAccessToken"].clone()
        }
        Door::PatSession => {
            let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
            let pat = app.post_as("/pat", token, body).await.json();
            let body = json!({"personalAccessToken": pat["personalAccessToken"]});
            json!(app.post("/signin/pat", body).await.session().refresh_token())
        }
        Door::Mail(template) => {
            let (path, body, to) = match template {
                "email-verify" => {
                    ("/user/email/send-verification-email", json!({"email": email}), &email)
                }
                "signin-passwordless" => {
                    ("/signin/passwordless/email", json!({"email": email}), &email)
                }
                "signin-otp" => ("/signin/otp/email", json!({"email": email}), &email),
                "password-reset" => ("/user/password/reset", json!({"email": email}), &email),
                _ => (
                    "/user/email/change",
                    json!({"newEmail": format!("evil-{email}")}),
                    &format!("evil-{email}"),
                ),
            };
            app.post_as(path, token, body).await.assert_ok();
            json!(fleet.ticket(to, template, 1).await)
        }
        Door::Undo => json!(fleet.ticket(&first, "notice-email-changed", 1).await),
        Door::MfaTicket => {
            let sql = format!(
                "update auth.users set totp_secret = '{SECRET}', active_mfa_type = 'totp' \
                 where email = '{email}'"
            );
            app.database.execute(&sql).await;
            app.app().actors.sessions.users().forget_all();
            app.sign_in(&email, PASSWORD).await.json()["mfa"]["ticket"].clone()
        }
        Door::SmsCode => {
            let sql = format!(
                "insert into auth.keywright_tickets \
                        (ticket_hash, user_id, purpose, created_at, expires_at) \
                 select sha256('sms {email}'), id, 'smsOtp', now(), now() + interval '1 hour' \
                   from auth.users where email = '{email}'"
            );
            app.database.execute(&sql).await;
            Value::Null
        }
        Door::ReferenceTicket | Door::ReferenceCode => {
            let ticket = if door == Door::ReferenceCode {
                "123456".to_owned()
            } else {
                format!("passwordReset:{}", uuid::Uuid::new_v4())
            };
            let sql = format!(
                "update auth.users set ticket = '{ticket}', \
                        ticket_expires_at = now() + interval '1 hour' where email = '{email}'"
            );
            app.database.execute(&sql).await;
            json!(ticket)
        }
        Door::ExchangeCode => {
            let challenge = CodeChallenge::of_verifier(VERIFIER).unwrap();
            let id = keywright::domain::ids::UserId(owner.user_id());
            let code = exchange_code::issue(app.app(), id, &challenge).await.unwrap();
            json!(code.expose_secret())
        }
        Door::PasskeySignIn => key.get(&ceremonies::begin_sign_in(app, Some(&email)).await),
        Door::Write(..) | Door::RefreshToken | Door::SecurityKey => Value::Null,
    };
    assert!(
        !held.is_null()
            || matches!(
                door,
                Door::Write(..) | Door::RefreshToken | Door::SmsCode | Door::SecurityKey
            ),
        "{door:?} did not open"
    );
    Opened { door, email, owner, intruder, key_id, held, browser, key }
}

async fn apply(fleet: &Fleet, ending: Ending, opened: &Opened) {
    let app = fleet.app();
    let (email, owner) = (&opened.email, opened.owner.access_token());
    let resets = 1 + usize::from(opened.door == Door::Mail("password-reset"));
    let change = json!({"newPassword": NEW});
    if ending != Ending::FirstProof {
        // Or else these would be first proofs too.
        let verify = format!("update auth.users set email_verified = true where email = '{email}'");
        app.database.execute(&verify).await;
    }
    match ending {
        Ending::SignOut => {
            let body = json!({"refreshToken": opened.intruder.refresh_token()});
            app.post("/signout", body).await.assert_ok();
        }
        Ending::SignOutEverywhere => {
            app.post_as("/signout", owner, json!({"all": true})).await.assert_ok();
        }
        Ending::PasswordChanged => {
            app.post_as("/user/password", owner, change).await.assert_ok();
        }
        Ending::PasswordChangedStrictly => {
            fleet.strict.post_as("/user/password", owner, change).await.assert_ok();
        }
        Ending::PasswordChangedOnly => {
            fleet.lenient.post_as("/user/password", owner, change).await.assert_ok();
        }
        Ending::PasswordReset | Ending::PasswordResetByLink => {
            app.post("/user/password/reset", json!({"email": email})).await.assert_ok();
            let ticket = fleet.ticket(email, "password-reset", resets).await;
            if ending == Ending::PasswordReset {
                let body = json!({"newPassword": NEW, "ticket": ticket});
                app.post("/user/password", body).await.assert_ok();
            } else {
                let (_, query) = verify(app, &ticket, CLIENT_URL).await.redirect();
                let session = app.refresh(&query["refreshToken"]).await.session();
                app.post_as("/user/password", session.access_token(), change).await.assert_ok();
            }
        }
        Ending::AddressChanged => {
            change_address(fleet, &opened.owner, &format!("new-{email}")).await;
        }
        Ending::AddressRestored => {
            change_address(fleet, &opened.owner, &format!("new-{email}")).await;
            let ticket = fleet.ticket(email, "notice-email-changed", 1).await;
            let (_, query) = verify(app, &ticket, CLIENT_URL).await.redirect();
            assert!(!query.contains_key("error"), "{query:?}");
        }
        Ending::PasswordChangedTotally => {
            fleet.total.post_as("/user/password", owner, change).await.assert_ok();
        }
        Ending::FirstProof => {
            app.post("/signin/otp/email", json!({"email": email})).await.assert_ok();
            let codes = 1 + usize::from(opened.door == Door::Mail("signin-otp"));
            let code = fleet.ticket(email, "signin-otp", codes).await;
            let body = json!({"email": email, "otp": code});
            app.post("/signin/otp/email/verify", body).await.session();
        }
        Ending::Disabled | Ending::Deleted => {
            let sql = if ending == Ending::Deleted {
                format!("delete from auth.users where email = '{email}'")
            } else {
                format!("update auth.users set disabled = true where email = '{email}'")
            };
            app.database.execute(&sql).await;
            for node in [app, &fleet.other] {
                // They hear of it from Postgres, a moment later.
                eventually("the node to hear of it", async || {
                    node.get_as("/user", owner).await.status != 200
                })
                .await;
            }
        }
    }
}

/// Follows the link to a new address; returns the session that it led to.
async fn change_address(fleet: &Fleet, session: &Session, new: &str) -> Session {
    let app = fleet.app();
    let body = json!({"newEmail": new});
    app.post_as("/user/email/change", session.access_token(), body).await.assert_ok();
    let ticket = fleet.ticket(new, "email-confirm-change", 1).await;
    let by_owner = verify_as(app, &ticket, CLIENT_URL, session.access_token()).await;
    let (_, query) = by_owner.redirect();
    app.refresh(&query["refreshToken"]).await.session()
}

/// Whether the door lets the intruder in, at this node.
async fn try_door(fleet: &Fleet, node: &TestApp, opened: &mut Opened) -> bool {
    let (token, held) = (opened.intruder.access_token(), opened.held.clone());
    let text = held.as_str().unwrap_or_default();
    match opened.door {
        Door::Write(method, path) => {
            return is_writable(fleet, node, opened, method, path).await;
        }
        Door::RefreshToken => node.refresh(opened.intruder.refresh_token()).await,
        Door::PatSession => node.refresh(text).await,
        Door::SecurityKey => {
            let begun = ceremonies::begin_sign_in(node, None).await;
            ceremonies::finish_sign_in(node, &opened.key.get(&begun)).await
        }
        Door::Pat => node.post("/signin/pat", json!({"personalAccessToken": text})).await,
        Door::Mail("signin-otp") | Door::ReferenceCode => {
            let body = json!({"email": opened.email, "otp": text});
            node.post("/signin/otp/email/verify", body).await
        }
        Door::Mail(_) | Door::Undo => {
            let (_, query) = verify(node, text, CLIENT_URL).await.redirect();
            return !query.contains_key("error");
        }
        Door::ReferenceTicket => {
            let body = json!({"newPassword": PASSWORD, "ticket": text});
            node.post("/user/password", body).await
        }
        Door::MfaTicket => {
            let code = Authenticator::new(SECRET).code(node.clock.now());
            node.post("/signin/mfa/totp", json!({"ticket": text, "otp": code})).await
        }
        Door::SmsCode => {
            let sql = format!(
                "select count(*) from auth.keywright_tickets \
                  where ticket_hash = sha256('sms {}')",
                opened.email
            );
            return node.database.count(&sql).await == 1;
        }
        Door::ExchangeCode => {
            let body = json!({"code": text, "codeVerifier": VERIFIER});
            node.post("/token/exchange", body).await
        }
        Door::PasskeySignIn => ceremonies::finish_sign_in(node, &held).await,
    }
    .status
    .is_success()
        && !token.is_empty()
}

async fn is_writable(
    fleet: &Fleet,
    node: &TestApp,
    opened: &mut Opened,
    method: &str,
    path: &str,
) -> bool {
    let token = opened.intruder.access_token();
    if path.starts_with("/signin/provider/") {
        let mut browser = fleet.social.browser();
        browser.lead_to(node.url());
        let error = if let Some((mut begun, step)) = opened.browser.take() {
            begun.lead_to(node.url());
            let final_page = begun.follow(&step).await;
            final_page.query().get("error").cloned()
        } else {
            let first = fleet.social.link("github", &[("connect", token)]);
            browser.follow(&first).await.query().get("error").cloned()
        };
        return match error.as_deref() {
            // Somebody else has it, which is found out when the session has been looked at.
            None | Some("provider-account-already-linked") => true,
            Some(
                "invalid-request" | "invalid-state" | "disabled-user" | "invalid-email-password",
            ) => false,
            other => panic!("{other:?}"),
        };
    }
    let key_path = format!("/user/webauthn/keys/{}", opened.key_id);
    let (path, body) = match path {
        "/pat" => (path, json!({"expiresAt": "2090-01-01T00:00:00Z"})),
        "/user/password" => (path, json!({"newPassword": "the-Thief5-own"})),
        "/user/email/change" => (path, json!({"newEmail": format!("evil-{}", opened.email)})),
        "/user/webauthn/verify" => (path, json!({"credential": opened.held, "nickname": "evil"})),
        "/elevate/webauthn/verify" => (path, json!({"credential": opened.held})),
        "/user/webauthn/keys/{id}" => (key_path.as_str(), json!({"nickname": "evil"})),
        "/user/mfa" => {
            let secret = opened.held.as_str().expect("a secret");
            let code = Authenticator::new(secret).code(node.clock.now());
            (path, json!({"activeMfaType": "totp", "code": code}))
        }
        "/link/idtoken" => {
            let profile = json!({"sub": opened.email});
            let id_token = fleet.social.providers.at("google").id_token(&profile);
            (path, json!({"provider": "google", "idToken": id_token}))
        }
        "/link/provider/{provider}" => ("/link/provider/github", json!({})),
        "/signout" => (path, json!({"all": true})),
        _ => (path, json!({})),
    };
    let response = send(node, method, path, token, body).await;
    // Of a user who is kept out, or gone.
    let is_kept_out = ["disabled-user", "invalid-email-password"]
        .iter()
        .any(|code| response.text.contains(&format!("\"error\":\"{code}\"")));
    if !response.status.is_success() && !is_kept_out {
        response.assert_refused(400, "invalid-request");
        // As a bearer that was never good; where there is another way, the message is a general one.
        let text = response.text.contains("Authorization: the bearer token is not valid");
        assert!(text || ["/user/password", "/signout"].contains(&path), "{path}: {response:?}");
    }
    response.status.is_success()
}

async fn send(client: &Client, method: &str, path: &str, token: &str, body: Value) -> TestResponse {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let has_body = matches!(method, Method::POST | Method::PATCH);
    let request = client.request(method, path).bearer_auth(token);
    Client::send(if has_body { request.json(&body) } else { request }).await
}

#[tokio::test]
async fn every_ending_closes_the_doors_of_the_table_and_no_others_on_all_nodes() {
    let fleet = Fleet::start().await;
    let mut wrong = Vec::new();
    let mut cells = 0;
    for ending in ENDINGS {
        let mut tries = Vec::new();
        for (number, door) in doors().into_iter().enumerate() {
            for (name, node) in [("same", fleet.app()), ("other", &fleet.other)] {
                let email = format!("u{number}-{name}-{ending:?}@example.com").to_lowercase();
                let fleet = &fleet;
                tries.push(Box::pin(async move {
                    let mut opened = open(fleet, door, email).await;
                    apply(fleet, ending, &opened).await;
                    let is_open = try_door(fleet, node, &mut opened).await;
                    (door, name, is_open)
                }));
            }
        }
        // A few at a time: a small node refuses what it cannot do soon.
        let seen: Vec<_> = stream::iter(tries).buffer_unordered(AT_ONCE).collect().await;
        for (door, node, is_open) in seen {
            cells += 1;
            if is_open == is_closed(door, ending) {
                let state = if is_open { "open" } else { "closed" };
                wrong.push(format!("{ending:?}: {door:?} is {state} on the {node} node"));
            }
        }
    }
    assert_eq!(cells, ENDINGS.len() * doors().len() * 2);
    assert!(wrong.is_empty(), "{} of {cells}:\n{}", wrong.len(), wrong.join("\n"));
}

/// A new operation does not pass without somebody deciding what it needs.
#[test]
fn every_operation_of_a_bearer_is_in_the_table() {
    let contract: Value =
        serde_json::from_str(include_str!("../../../docs/openapi.json")).expect("JSON");
    let known: BTreeSet<(&str, &str)> = WRITES.into_iter().chain(OTHERS).collect();
    for (path, operations) in contract["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let needs_bearer = operation["security"].to_string().contains("BearerAuth");
            // Those whose description leaves it out.
            let is_own = ["/user/webauthn/", "/elevate/"].iter().any(|own| path.starts_with(own));
            if method != "get" && (needs_bearer || is_own) {
                let is_known = known.contains(&(method.as_str(), path.as_str()));
                assert!(is_known, "{method} {path} is in neither table");
            }
        }
    }
    for (method, path) in known {
        assert!(contract["paths"][path][method].is_object(), "{method} {path} is not served");
    }
}

/// Tokens of the reference do not name their session, so that their age decides.
#[tokio::test]
async fn a_token_without_a_session_counts_if_it_is_younger_than_the_last_ending() {
    let app = TestApp::start(&[]).await;
    let ann = app.sign_up("ann@example.com").await.session();
    let mut claims = jwt::claims(ann.user_id());
    let now = claims["iat"].as_i64().unwrap();
    claims["iat"] = json!(now - 5);
    let old = jwt::sign(&claims);
    let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    assert_eq!(app.post_as("/pat", &old, body.clone()).await.status, 200);
    let change = json!({"newPassword": NEW});
    app.post_as("/user/password", ann.access_token(), change).await.assert_ok();
    app.post_as("/pat", &old, body.clone()).await.assert_refused(400, "invalid-request");
    assert_eq!(app.get_as("/user", &old).await.status, 200, "reading goes on");
    claims["iat"] = Value::Null;
    let undated = jwt::sign(&claims);
    app.post_as("/pat", &undated, body.clone()).await.assert_refused(400, "invalid-request");
    let new = jwt::sign(&jwt::claims(ann.user_id()));
    assert_eq!(app.post_as("/pat", &new, body).await.status, 200);
}

/// A session counts for its user alone.
#[tokio::test]
async fn the_session_of_somebody_else_is_none() {
    let app = TestApp::start(&[]).await;
    let ann = app.sign_up("ann@example.com").await.session();
    let bob = app.sign_up("bob@example.com").await.session();
    let mut claims = jwt::claims(ann.user_id());
    let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    for (session, status) in [(bob.id(), 400), (ann.id(), 200)] {
        claims["sid"] = json!(session);
        let response = app.post_as("/pat", &jwt::sign(&claims), body.clone()).await;
        assert_eq!(response.status, status, "{response:?}");
    }
}

/// Whoever was a guest here before somebody registered is out.
#[tokio::test]
async fn a_registration_ends_what_guests_held() {
    let mailbox = Mailbox::start().await;
    for (required, own_lives) in [("false", true), ("true", false)] {
        let more = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", required)];
        let app = TestApp::start(&mailbox.settings(&more)).await;
        let guest = app.anonymous().await;
        // Another session of the same guest.
        let second = keywright::flows::sessions::session::sign_in(
            app.app(),
            keywright::domain::ids::UserId(guest.user_id()),
            &keywright::domain::session_basis::SessionBasis::ExchangeCode,
        )
        .await
        .unwrap();
        let second = serde_json::to_value(&second).map(Session).unwrap();
        let body = json!({
            "signInMethod": "email-password", "email": "ann@example.com", "password": PASSWORD
        });
        app.post_as("/user/deanonymize", guest.access_token(), body).await.assert_ok();
        app.refresh(second.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
        if required == "true" {
            app.database.execute("update auth.users set email_verified = true").await;
            app.app().actors.sessions.users().forget_all();
        }
        let pat = json!({"expiresAt": "2090-01-01T00:00:00Z"});
        for token in [guest.access_token(), second.access_token()] {
            app.post_as("/pat", token, pat.clone()).await.assert_refused(400, "invalid-request");
        }
        let own = app.refresh(guest.refresh_token()).await;
        assert_eq!(own.status.is_success(), own_lives, "{own:?}");
        if own_lives {
            let own = own.session();
            assert_eq!(app.post_as("/pat", own.access_token(), pat).await.status, 200);
        }
    }
}

/// One transaction decides, on whatever node (docs/reference-behaviour.md#writes-need-a-live-session).
#[tokio::test]
async fn of_a_write_and_an_ending_at_once_no_write_is_left_behind() {
    let fleet = Fleet::start().await;
    for round in 0..10 {
        let email = format!("race{round}@example.com");
        let owner = fleet.app().sign_up(&email).await.session();
        let thief = fleet.app().sign_in(&email, PASSWORD).await.session();
        let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
        let ends = json!({"all": true});
        let (_, ended) = tokio::join!(
            join_all((0..4).map(|_| fleet.other.post_as(
                "/pat",
                thief.access_token(),
                body.clone()
            ))),
            fleet.app().post_as("/signout", owner.access_token(), ends),
        );
        ended.assert_ok();
        let left = format!(
            "select count(*) from auth.refresh_tokens where user_id = '{}'",
            owner.user_id()
        );
        assert_eq!(fleet.app().database.count(&left).await, 0, "round {round}");
    }
}

/// The exemption from elevation is for the first key alone, however many come at once.
#[tokio::test]
async fn of_many_first_keys_at_once_one_needs_no_elevation() {
    let app = TestApp::start(&[ceremonies::ON, ("AUTH_REQUIRE_ELEVATED_CLAIM", "required")]).await;
    let ann = app.sign_up("ann@example.com").await.session();
    let token = ann.access_token();
    let mut ready = Vec::new();
    for _ in 0..4 {
        let options = app.post_as("/user/webauthn/add", token, json!({})).await.json();
        ready.push(json!({"credential": SecurityKey::new().create(&options)}));
    }
    let responses =
        join_all(ready.into_iter().map(|body| app.post_as("/user/webauthn/verify", token, body)))
            .await;
    let added = responses.iter().filter(|response| response.status.is_success()).count();
    assert_eq!(added, 1, "{responses:?}");
    assert_eq!(app.database.count("select count(*) from auth.user_security_keys").await, 1);
}
