//! Security notices: what users are told about their accounts (docs/security.md#notices).

use std::path::PathBuf;
use std::sync::Arc;

use keywright::domain::notice::Notice;
use serde_json::json;
use time::Duration;

use crate::adoption::fixtures;
use crate::support::app::{Client, PASSWORD, Session, TestApp};
use crate::support::authenticator::Authenticator;
use crate::support::ceremonies;
use crate::support::mailbox::{Mail, Mailbox, verify};
use crate::support::postgres::TestDatabase;
use crate::support::providers::social::Social;
use crate::support::security_key::SecurityKey;
use crate::support::two_nodes::TwoNodes;

const ANN: &str = "ann@example.com";
const NEW: &str = "another-Passw0rd";
const CLIENT_URL: &str = "http://localhost:3000";
const NO_VERIFICATION: (&str, &str) = ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false");
const THREE_ATTEMPTS: (&str, &str) = ("AUTH_ACCOUNT_ATTEMPTS", "3");

async fn make_pat(client: &Client, session: &Session) {
    let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    assert_eq!(client.post_as("/pat", session.access_token(), body).await.status, 200);
}

async fn change_password(client: &Client, session: &Session) {
    let body = json!({"newPassword": NEW});
    client.post_as("/user/password", session.access_token(), body).await.assert_ok();
}

async fn only_key(client: &Client, token: &str) -> String {
    let keys = client.get_as("/user/webauthn/keys", token).await.json();
    keys["securityKeys"][0]["id"].as_str().unwrap().to_owned()
}

/// Three wrong passwords.
async fn lock(client: &Client, email: &str) {
    for _ in 0..3 {
        client.sign_in(email, "wrong-Passw0rd").await.assert_refused(401, "invalid-email-password");
    }
    client.sign_in(email, PASSWORD).await.assert_refused(429, "too-many-requests");
}

/// The templates of the notices among these mails.
fn notices(mails: &[Mail]) -> Vec<&str> {
    mails.iter().map(Mail::template).filter(|name| name.starts_with("notice-")).collect()
}

/// The ticket of the newest mail of this template.
fn ticket(mails: &[Mail], template: &str) -> String {
    let mail = mails.iter().rev().find(|mail| mail.template() == template);
    mail.unwrap_or_else(|| panic!("no {template} in {mails:?}")).ticket().to_owned()
}

/// Follows the link to a new address, which the user has asked for.
async fn change_email(app: &TestApp, mailbox: &Mailbox, session: &Session, new: &str) {
    let body = json!({"newEmail": new});
    app.post_as("/user/email/change", session.access_token(), body).await.assert_ok();
    let mails = mailbox.to(&app.database, new).await;
    let (_, query) =
        verify(app, &ticket(&mails, "email-confirm-change"), CLIENT_URL).await.redirect();
    assert!(!query.contains_key("error"), "{query:?}");
}

/// Makes it happen to the account of this address; returns the address that is told.
async fn cause(social: &Social, mailbox: &Mailbox, notice: Notice<'_>, email: &str) -> String {
    let app = &social.app;
    let session = app.sign_up(email).await.session();
    let (token, mut told) = (session.access_token(), email.to_owned());
    match notice {
        Notice::PasswordSet => {
            let sql = format!("update auth.users set password_hash = null where email = '{email}'");
            app.database.execute(&sql).await;
            change_password(app, &session).await;
        }
        Notice::PasswordChanged => change_password(app, &session).await,
        Notice::PasswordReset => {
            app.post("/user/password/reset", json!({"email": email})).await.assert_ok();
            let ticket = ticket(&mailbox.to(&app.database, email).await, "password-reset");
            let body = json!({"newPassword": NEW, "ticket": ticket});
            app.post("/user/password", body).await.assert_ok();
        }
        Notice::EmailChanged { .. } => {
            change_email(app, mailbox, &session, &format!("new-{email}")).await;
        }
        Notice::EmailRestored => {
            let sql =
                format!("update auth.users set email_verified = true where email = '{email}'");
            app.database.execute(&sql).await;
            told = format!("new-{email}");
            change_email(app, mailbox, &session, &told).await;
            let mails = mailbox.to(&app.database, email).await;
            let undo = ticket(&mails, "notice-email-changed");
            assert_eq!(
                verify(app, &undo, CLIENT_URL).await.redirect().1["type"],
                "emailChangeUndo"
            );
        }
        Notice::SecurityKeyAdded => {
            ceremonies::add_key(app, token, &mut SecurityKey::new(), "own").await;
        }
        Notice::SecurityKeyRemoved => {
            let sql = format!(
                "insert into auth.user_security_keys (user_id, credential_id)
                 select id, 'x' from auth.users where email = '{email}' returning id"
            );
            app.database.execute(&sql).await;
            let id = only_key(app, token).await;
            let request = app
                .request(reqwest::Method::DELETE, &format!("/user/webauthn/keys/{id}"))
                .bearer_auth(token);
            assert!(Client::send(request).await.status.is_success());
        }
        Notice::TotpOn | Notice::TotpOff => {
            let secret = app.get_as("/mfa/totp/generate", token).await.json();
            let authenticator = Authenticator::new(secret["totpSecret"].as_str().unwrap());
            if notice == Notice::TotpOff {
                let sql = format!(
                    "update auth.users set active_mfa_type = 'totp' where email = '{email}'"
                );
                app.database.execute(&sql).await;
            }
            let kind = if notice == Notice::TotpOn { "totp" } else { "" };
            let body = json!({"activeMfaType": kind, "code": authenticator.code(app.clock.now())});
            app.post_as("/user/mfa", token, body).await.assert_ok();
        }
        Notice::PatMade => make_pat(app, &session).await,
        Notice::IdentityLinked { .. } => {
            let final_page = social.sign_in("github", &[("connect", token)]).await;
            assert!(final_page.query().is_empty(), "{}", final_page.url);
        }
        Notice::IdentityRemoved { provider } => {
            // As somebody else's browser leaves it.
            let sql = format!(
                "with ann as (select id from auth.users where email = '{email}'),
                      own as (insert into auth.user_providers
                                     (user_id, provider_id, provider_user_id, access_token)
                              select id, '{provider}', '4711', 'unset' from ann)
                 insert into auth.keywright_unproven_links
                 select id, '{provider}', '4711', null, now() from ann"
            );
            app.database.execute(&sql).await;
            let body = json!({"email": email});
            app.post("/user/email/send-verification-email", body).await.assert_ok();
            let ticket = ticket(&mailbox.to(&app.database, email).await, "email-verify");
            verify(app, &ticket, CLIENT_URL).await.redirect();
        }
        Notice::SignInLocked => lock(app, email).await,
        Notice::AddressProved { .. } => {
            let body = json!({"email": email});
            app.post("/signin/passwordless/email", body).await.assert_ok();
            let ticket = ticket(&mailbox.to(&app.database, email).await, "signin-passwordless");
            verify(app, &ticket, CLIENT_URL).await.redirect();
        }
    }
    told
}

#[tokio::test]
async fn whatever_changes_an_account_is_told_once_to_its_owner() {
    let mailbox = Mailbox::start().await;
    let more = [
        NO_VERIFICATION,
        THREE_ATTEMPTS,
        ceremonies::ON,
        ("AUTH_MFA_ENABLED", "true"),
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
    ];
    let social = Social::start(&["github"], &mailbox.settings(&more)).await;
    for notice in Notice::ALL {
        let expected = notice.template().name();
        let email = format!("{expected}@example.com");
        let told = cause(&social, &mailbox, notice, &email).await;
        let mails = mailbox.to(&social.app.database, &told).await;
        assert_eq!(notices(&mails), [expected], "{notice:?}");
        let mail = mails.last().unwrap();
        assert!(mail.html.contains(" UTC") && mail.html.contains(&told), "{}", mail.html);
        assert!(mail.html.contains(notice.detail()), "{}", mail.html);
        for secret in [PASSWORD, NEW, "new-"] {
            assert!(!mail.html.contains(secret) || told.contains(secret), "{}", mail.html);
        }
        assert_eq!(mail.header("X-Redirect-To").unwrap_or_default(), "");
    }
}

#[tokio::test]
async fn the_setting_says_what_is_told() {
    for (setting, expected) in [
        ("pat,totp", &["notice-pat-made"][..]),
        ("password", &["notice-password-changed"]),
        ("all", &["notice-password-changed", "notice-pat-made"]),
        ("none", &[]),
    ] {
        let mailbox = Mailbox::start().await;
        let more = [NO_VERIFICATION, ("AUTH_SECURITY_NOTICES", setting)];
        let app = TestApp::start(&mailbox.settings(&more)).await;
        let session = app.sign_up(ANN).await.session();
        make_pat(&app, &session).await;
        change_password(&app, &session).await;
        let mails = mailbox.to(&app.database, ANN).await;
        let mut seen = notices(&mails);
        seen.sort_unstable();
        assert_eq!(seen, expected, "{setting}");
    }
}

/// Users of the reference are used to silence.
#[tokio::test]
async fn an_adopted_database_is_silent_until_the_operator_says_otherwise() {
    for (more, expected) in [(None, 0), (Some(("AUTH_SECURITY_NOTICES", "all")), 1)] {
        let mailbox = Mailbox::start().await;
        let database = TestDatabase::empty().await;
        let mut connection = database.connection().await;
        fixtures::make_levels(&mut connection, 18).await;
        fixtures::say_level(&mut connection, 18, false).await;
        let mut settings = mailbox.settings(&[NO_VERIFICATION]);
        settings.extend(more);
        let app = TestApp::start_on(Arc::new(database), &settings).await;
        let session = app.sign_up(ANN).await.session();
        make_pat(&app, &session).await;
        mailbox.all(&app.database, expected).await;
    }
}

#[tokio::test]
async fn without_a_way_to_send_mail_nothing_is_promised_and_nothing_fails() {
    let app = TestApp::start(&[("AUTH_SECURITY_NOTICES", "all"), THREE_ATTEMPTS]).await;
    let session = app.sign_up(ANN).await.session();
    make_pat(&app, &session).await;
    change_password(&app, &session).await;
    lock(&app, ANN).await;
    assert_eq!(app.database.count("select count(*) from auth.keywright_outbox").await, 0);
}

/// Its owner has agreed to nothing yet, and strangers name whom they like.
#[tokio::test]
async fn an_account_that_waits_for_its_verification_is_told_nothing() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[THREE_ATTEMPTS])).await;
    app.sign_up(ANN).await;
    lock(&app, ANN).await;
    let mails = mailbox.all(&app.database, 1).await;
    assert_eq!(mails[0].template(), "email-verify");
}

#[tokio::test]
async fn what_did_not_happen_is_not_told() {
    let mailbox = Mailbox::start().await;
    let more = [NO_VERIFICATION, ceremonies::ON, ("AUTH_MFA_ENABLED", "true")];
    let app = TestApp::start(&mailbox.settings(&more)).await;
    let session = ceremonies::sign_up(&app, ANN, &mut SecurityKey::new()).await;
    let token = session.access_token();
    let path = format!("/user/webauthn/keys/{}", only_key(&app, token).await);
    let request = app.request(reqwest::Method::DELETE, &path).bearer_auth(token);
    Client::send(request).await.assert_refused(400, "invalid-request");
    let secret = app.get_as("/mfa/totp/generate", token).await.json();
    let authenticator = Authenticator::new(secret["totpSecret"].as_str().unwrap());
    let code = authenticator.wrong_code(app.clock.now());
    let body = json!({"activeMfaType": "totp", "code": code});
    app.post_as("/user/mfa", token, body).await.assert_refused(401, "invalid-totp");
    let body = json!({"newPassword": "x"});
    app.post_as("/user/password", token, body).await.assert_refused(400, "invalid-request");
    mailbox.all(&app.database, 0).await;
}

/// Strangers can lock an account again and again; its owner is told now and then.
#[tokio::test]
async fn a_locked_sign_in_is_told_once_a_period_for_all_nodes_and_a_few_times_a_day() {
    let mailbox = Mailbox::start().await;
    let two = TwoNodes::start(&mailbox.settings(&[NO_VERIFICATION, THREE_ATTEMPTS])).await;
    let database = &two.nodes[0].database;
    two.nodes[0].sign_up(ANN).await.session();
    for (period, told) in [1, 2, 3, 3, 3].into_iter().enumerate() {
        let (one, other) = (&two.nodes[period % 2], &two.nodes[(period + 1) % 2]);
        for email in [ANN, "nobody@example.com"] {
            lock(one, email).await;
            // Also there, where nothing has failed.
            other.sign_in(email, PASSWORD).await.assert_refused(429, "too-many-requests");
        }
        let mails = mailbox.all(database, told).await;
        assert_eq!(mails.last().unwrap().template(), "notice-sign-in-locked", "{period}");
        // Both windows of fifteen minutes that count are over.
        two.clock.advance(Duration::minutes(31));
    }
    two.clock.advance(Duration::hours(24));
    lock(&two.nodes[1], ANN).await;
    mailbox.all(database, 4).await;
}

/// The fourth says nothing new.
#[tokio::test]
async fn of_one_notice_three_are_sent_in_an_hour_and_other_mail_does_not_count() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[NO_VERIFICATION])).await;
    let session = app.sign_up(ANN).await.session();
    for _ in 0..5 {
        make_pat(&app, &session).await;
    }
    mailbox.all(&app.database, 3).await;
    change_password(&app, &session).await;
    mailbox.all(&app.database, 4).await;
    for count in 5..10 {
        app.post("/user/password/reset", json!({"email": ANN})).await.assert_ok();
        mailbox.all(&app.database, count).await;
    }
    app.clock.advance(Duration::minutes(61));
    let session = app.sign_in(ANN, NEW).await.session();
    make_pat(&app, &session).await;
    mailbox.all(&app.database, 10).await;
}

#[tokio::test]
async fn a_notice_is_in_the_language_of_its_reader() {
    let mailbox = Mailbox::start().await;
    let locales = ("AUTH_LOCALE_ALLOWED_LOCALES", "bg,cs,en,es,fr");
    let app = TestApp::start(&mailbox.settings(&[NO_VERIFICATION, locales])).await;
    for (locale, subject) in [
        ("bg", "Паролата ви беше сменена"),
        ("cs", "Vaše heslo bylo změněno"),
        ("en", "Your password was changed"),
        ("es", "Su contraseña ha cambiado"),
        ("fr", "Votre mot de passe a été modifié"),
    ] {
        let email = format!("{locale}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "options": {"locale": locale}});
        let session = app.post("/signup/email-password", body).await.session();
        change_password(&app, &session).await;
        let mails = mailbox.to(&app.database, &email).await;
        assert_eq!(mails[0].subject, subject);
        assert!(mails[0].html.contains(&format!("lang=\"{locale}\"")), "{}", mails[0].html);
    }
}

/// An operator who has templates of the reference's mails has none of these.
#[tokio::test]
async fn an_operators_template_is_used_and_a_missing_one_is_the_built_in_one() {
    let folder = std::env::temp_dir().join(format!("keywright-notices-{}", uuid::Uuid::new_v4()));
    let write = |path: &str, text: &str| {
        let path: PathBuf = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("en/email-verify/subject.txt", "Please");
    write("en/email-verify/body.html", "${link}");
    write("en/notice-pat-made/subject.txt", "A token for ${displayName}");
    write("en/notice-pat-made/body.html", "<p>${email} ${time}|${detail}|${link}|</p>");
    let mailbox = Mailbox::start().await;
    let path = folder.to_str().unwrap().to_owned();
    let more = [NO_VERIFICATION, ("AUTH_EMAIL_TEMPLATES_PATH", path.as_str())];
    let app = TestApp::start(&mailbox.settings(&more)).await;
    let session = app.sign_up(ANN).await.session();
    make_pat(&app, &session).await;
    let mail = mailbox.last(&app.database, 1).await;
    assert_eq!(mail.subject, format!("A token for {ANN}"));
    assert!(mail.html.starts_with(&format!("<p>{ANN} 2")), "{}", mail.html);
    assert!(mail.html.trim_end().ends_with(" UTC|||</p>"), "{}", mail.html);
    change_password(&app, &session).await;
    assert_eq!(mailbox.last(&app.database, 2).await.subject, "Your password was changed");
    let _ = std::fs::remove_dir_all(folder);
}
