//! Whoever sets an account up with the address of somebody else keeps no door into it when the owner
//! of the address comes: the five attacks of "Pre-hijacked Accounts" (Sudhodanan and Paverd, 2022),
//! where addresses have to be verified and where they need not be
//! (docs/reference-behaviour.md#first-proof-is-a-new-owner).

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, Session, TestApp, TestResponse};
use crate::support::ceremonies;
use crate::support::mailbox::{Mailbox, verify};
use crate::support::providers::social::Social;
use crate::support::security_key::SecurityKey;

const VICTIM: &str = "victim@x.test";
const CLIENT_URL: &str = "http://localhost:3000";
const NEW: &str = "the-Owner5-password";

/// A server with mail, and with the provider that vouches for the victim's address.
struct Scene {
    social: Social,
    mailbox: Mailbox,
    mails: usize,
}

impl Scene {
    async fn start(required: bool, clears: &str) -> Self {
        let mailbox = Mailbox::start().await;
        let required = if required { "true" } else { "false" };
        let settings = mailbox.settings(&[
            ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", required),
            ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
            ("AUTH_OTP_EMAIL_ENABLED", "true"),
            ("AUTH_ADDRESS_PROOF_CLEARS", clears),
            // Told in a test of their own; here mails are counted.
            ("AUTH_SECURITY_NOTICES", "none"),
            ceremonies::ON,
        ]);
        let social = Social::start(&["google", "discord", "github"], &settings).await;
        social.providers.at("google").change_profile(&json!({"email": VICTIM}));
        let unsure = json!({"email": VICTIM, "verified": false});
        social.providers.at("discord").change_profile(&unsure);
        Self { social, mailbox, mails: 0 }
    }

    fn app(&self) -> &TestApp {
        &self.social.app
    }

    /// The ticket of the next mail.
    async fn ticket(&mut self) -> String {
        self.mails += 1;
        self.mailbox.last(&self.app().database, self.mails).await.ticket().to_owned()
    }

    /// The owner of the address signs in by mail.
    async fn magic_link(&mut self) -> Session {
        let body = json!({"email": VICTIM});
        self.app().post("/signin/passwordless/email", body).await.assert_ok();
        let ticket = self.ticket().await;
        self.follow(&ticket).await
    }

    async fn follow(&self, ticket: &str) -> Session {
        let (_, query) = verify(self.app(), ticket, CLIENT_URL).await.redirect();
        self.app().refresh(&query["refreshToken"]).await.session()
    }

    /// The owner of the address resets the password.
    async fn reset(&mut self) {
        let body = json!({"email": VICTIM});
        self.app().post("/user/password/reset", body).await.assert_ok();
        let ticket = self.ticket().await;
        let body = json!({"newPassword": NEW, "ticket": ticket});
        self.app().post("/user/password", body).await.assert_ok();
    }

    /// An attacker signs up with the victim's address; the mail goes to the victim.
    async fn squat(&mut self, required: bool) -> Option<Session> {
        let body = json!({
            "email": VICTIM, "password": PASSWORD,
            "options": {"displayName": "Mallory", "metadata": {"by": "mallory"}},
        });
        let signed_up = self.app().post("/signup/email-password", body).await;
        assert_eq!(signed_up.status, 200, "{signed_up:?}");
        if required {
            self.ticket().await;
            return None;
        }
        Some(signed_up.session())
    }

    async fn attacker_signs_in(&self) -> TestResponse {
        self.app().sign_in(VICTIM, PASSWORD).await
    }
}

async fn profile(app: &TestApp, session: &Session) -> Value {
    app.get_as("/user", session.access_token()).await.json()
}

/// Attack 1: the attacker's password, the victim's identity at a provider.
#[tokio::test]
async fn classic_federated_merge() {
    let mut scene = Scene::start(true, "pending").await;
    scene.squat(true).await;
    let victim = scene.social.session(&scene.social.sign_in("google", &[]).await).await;
    scene.attacker_signs_in().await.assert_refused(401, "invalid-email-password");
    let user = profile(scene.app(), &victim).await;
    assert_eq!(user["metadata"], Value::Null, "{user}");
    assert_ne!(user["displayName"], "Mallory", "{user}");
    assert_eq!(scene.social.links().await.len(), 1);

    // Where the account may have been used, the provider's word is not enough.
    let mut scene = Scene::start(false, "pending").await;
    scene.squat(false).await;
    assert_eq!(scene.social.sign_in("google", &[]).await.error(), "unverified-user");
    assert!(scene.social.links().await.is_empty());
    scene.reset().await;
    scene.social.session(&scene.social.sign_in("google", &[]).await).await;
    scene.attacker_signs_in().await.assert_refused(401, "invalid-email-password");

    let mut scene = Scene::start(false, "always").await;
    let attacker = scene.squat(false).await.unwrap();
    scene.social.session(&scene.social.sign_in("google", &[]).await).await;
    scene.attacker_signs_in().await.assert_refused(401, "invalid-email-password");
    let refreshed = scene.app().refresh(attacker.refresh_token()).await;
    refreshed.assert_refused(401, "invalid-refresh-token");
}

/// Attack 2: a session, or what makes one, that goes on after the victim has recovered the account.
#[tokio::test]
async fn unexpired_session() {
    for recovery in ["reset", "link", "code"] {
        let mut scene = Scene::start(false, "pending").await;
        let attacker = scene.squat(false).await.unwrap();
        let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
        let pat = scene.app().post_as("/pat", attacker.access_token(), body.clone()).await.json();
        let pat = pat["personalAccessToken"].clone();
        match recovery {
            "reset" => scene.reset().await,
            "link" => drop(scene.magic_link().await),
            _ => {
                let asked = json!({"email": VICTIM});
                scene.app().post("/signin/otp/email", asked).await.assert_ok();
                let code = scene.ticket().await;
                let body = json!({"email": VICTIM, "otp": code});
                scene.app().post("/signin/otp/email/verify", body).await.session();
            }
        }
        let refreshed = scene.app().refresh(attacker.refresh_token()).await;
        refreshed.assert_refused(401, "invalid-refresh-token");
        let written = scene.app().post_as("/pat", attacker.access_token(), body).await;
        written.assert_refused(400, "invalid-request");
        let signed_in = scene.app().post("/signin/pat", json!({"personalAccessToken": pat})).await;
        signed_in.assert_refused(401, "invalid-pat");
    }
    // Where addresses are verified first, there is no session: the guest's ends with the upgrade.
    let mut scene = Scene::start(true, "pending").await;
    let guest = scene.app().anonymous().await;
    let body = json!({"signInMethod": "email-password", "email": VICTIM, "password": PASSWORD});
    scene.app().post_as("/user/deanonymize", guest.access_token(), body).await.assert_ok();
    scene.ticket().await;
    scene.app().refresh(guest.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    scene.magic_link().await;
    scene.attacker_signs_in().await.assert_refused(401, "invalid-email-password");
}

/// Attack 3: another way to sign in that the attacker adds: a key, or an identity of their own.
#[tokio::test]
async fn trojan_identifier() {
    // A key comes with the sign-up where nobody can use the account yet.
    let mut scene = Scene::start(true, "pending").await;
    let mut key = SecurityKey::new();
    let options = ceremonies::begin_sign_up(scene.app(), VICTIM).await;
    let finished = ceremonies::finish_sign_up(scene.app(), &key.create(&options)).await;
    assert_eq!(finished.status, 200, "{finished:?}");
    scene.ticket().await;
    scene.magic_link().await;
    assert_eq!(keys(scene.app()).await, 0);

    let mut scene = Scene::start(false, "always").await;
    let attacker = scene.squat(false).await.unwrap();
    let mut key = SecurityKey::new();
    let added = ceremonies::add_key(scene.app(), attacker.access_token(), &mut key, "evil").await;
    assert_eq!(added.status, 200, "{added:?}");
    let connect = [("connect", attacker.access_token())];
    scene.social.sign_in("github", &connect).await.assert_silent();
    assert_eq!(scene.social.links().await.len(), 1);
    scene.magic_link().await;
    assert_eq!(keys(scene.app()).await, 0);
    assert!(scene.social.links().await.is_empty());
}

async fn keys(app: &TestApp) -> i64 {
    app.database.count("select count(*) from auth.user_security_keys").await
}

/// Attack 4: a change to an address of the attacker that is confirmed when the victim is back.
#[tokio::test]
async fn unexpired_email_change() {
    for by_link in [false, true] {
        let mut scene = Scene::start(false, "pending").await;
        let attacker = scene.squat(false).await.unwrap();
        let body = json!({"newEmail": "mallory@x.test"});
        let path = "/user/email/change";
        scene.app().post_as(path, attacker.access_token(), body).await.assert_ok();
        let confirmation = scene.ticket().await;
        if by_link {
            scene.magic_link().await;
        } else {
            scene.reset().await;
        }
        let (_, query) = verify(scene.app(), &confirmation, CLIENT_URL).await.redirect();
        assert_eq!(query["error"], "invalid-ticket", "{query:?}");
        assert_eq!(scene.social.user().await["email"], VICTIM);
    }
    // Where addresses are verified first, nobody who has not can ask for a change.
    let mut scene = Scene::start(true, "pending").await;
    scene.squat(true).await;
    scene.attacker_signs_in().await.assert_refused(401, "unverified-user");
}

/// Attack 5: an identity at a provider that does not verify addresses.
#[tokio::test]
async fn non_verifying_identity_provider() {
    for required in [true, false] {
        for by_link in [false, true] {
            let mut scene = Scene::start(required, "pending").await;
            let page = scene.social.sign_in("discord", &[]).await;
            let mut attacker = None;
            if required {
                scene.ticket().await;
            } else {
                attacker = Some(scene.social.session(&page).await);
            }
            if by_link || required {
                scene.magic_link().await;
            } else {
                // Also if the reset is followed as a link.
                let body = json!({"email": VICTIM});
                scene.app().post("/user/password/reset", body).await.assert_ok();
                let ticket = scene.ticket().await;
                scene.follow(&ticket).await;
            }
            assert!(scene.social.links().await.is_empty(), "required {required}");
            if let Some(attacker) = attacker {
                let refreshed = scene.app().refresh(attacker.refresh_token()).await;
                refreshed.assert_refused(401, "invalid-refresh-token");
            }
            assert_ne!(scene.social.sign_in("discord", &[]).await.error(), "");
        }
    }
}

/// Who comes into an account that may have been in use is told how else it can be entered.
#[tokio::test]
async fn the_owner_is_told_what_was_there_before() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[
        ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false"),
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_SECURITY_NOTICES", "first-proof"),
        ceremonies::ON,
    ]))
    .await;
    let attacker = app.sign_up(VICTIM).await.session();
    let mut key = SecurityKey::new();
    let added = ceremonies::add_key(&app, attacker.access_token(), &mut key, "evil").await;
    assert_eq!(added.status, 200, "{added:?}");
    app.post("/signin/passwordless/email", json!({"email": VICTIM})).await.assert_ok();
    let link = mailbox.last(&app.database, 1).await;
    verify(&app, link.ticket(), CLIENT_URL).await.redirect();
    let told = mailbox.last(&app.database, 2).await;
    assert_eq!(told.template(), "notice-address-proved");
    for way in ["the password", "security keys"] {
        assert!(told.html.contains(way), "{}", told.html);
    }
    assert!(!told.html.contains("accounts at other services"), "{}", told.html);
    // Once: from now on the address is proved.
    app.post("/signin/passwordless/email", json!({"email": VICTIM})).await.assert_ok();
    let link = mailbox.last(&app.database, 3).await;
    verify(&app, link.ticket(), CLIENT_URL).await.redirect();
    mailbox.all(&app.database, 3).await;
}

/// Whoever verifies an account knows what it is.
#[tokio::test]
async fn the_mail_of_a_sign_up_says_what_was_set_up() {
    let mut scene = Scene::start(true, "pending").await;
    scene.squat(true).await;
    let mail = scene.mailbox.last(&scene.app().database, 1).await;
    assert!(mail.html.contains("with a password"), "{}", mail.html);
    assert!(mail.html.contains(" UTC"), "{}", mail.html);
    let mut key = SecurityKey::new();
    let options = ceremonies::begin_sign_up(scene.app(), VICTIM).await;
    ceremonies::finish_sign_up(scene.app(), &key.create(&options)).await;
    let mail = scene.mailbox.last(&scene.app().database, 2).await;
    assert!(mail.html.contains("with a security key"), "{}", mail.html);
    assert!(!mail.html.contains("with a password"), "{}", mail.html);
}

/// The mail of the sign-up hands nothing over, also when it is asked for again.
#[tokio::test]
async fn who_verifies_a_sign_up_keeps_all_of_it() {
    for again in [false, true] {
        let mut scene = Scene::start(true, "always").await;
        let options = json!({"displayName": "Ann", "metadata": {"by": "ann"}});
        let body = json!({"email": VICTIM, "password": PASSWORD, "options": options});
        scene.app().post("/signup/email-password", body).await;
        let mut ticket = scene.ticket().await;
        if again {
            let body = json!({"email": VICTIM});
            scene.app().post("/user/email/send-verification-email", body).await.assert_ok();
            ticket = scene.ticket().await;
        }
        let session = scene.follow(&ticket).await;
        let user = profile(scene.app(), &session).await;
        assert_eq!((&user["displayName"], &user["metadata"]["by"]), (&json!("Ann"), &json!("ann")));
        scene.app().sign_in(VICTIM, PASSWORD).await.session();
    }
}

/// Those who sign up by mail have asked for the name themselves; who asks again, asks for another.
#[tokio::test]
async fn who_signs_up_by_mail_keeps_what_was_asked_for_last() {
    for required in [true, false] {
        let mut scene = Scene::start(required, "pending").await;
        let mut tickets = Vec::new();
        for name in ["First", "Last"] {
            let body = json!({"email": VICTIM, "options": {"displayName": name}});
            scene.app().post("/signin/passwordless/email", body).await.assert_ok();
            tickets.push(scene.ticket().await);
        }
        let session = scene.follow(tickets.last().unwrap()).await;
        let name = profile(scene.app(), &session).await["displayName"].clone();
        assert_eq!(name, if required { "Last" } else { "First" });
    }
}

/// An account that nobody could use yet is nobody's: who registers with its address has it now.
#[tokio::test]
async fn a_sign_up_replaces_an_account_that_nobody_could_use() {
    let mut scene = Scene::start(true, "pending").await;
    let squatted = json!({
        "email": VICTIM, "password": PASSWORD, "options": {"metadata": {"by": "mallory"}},
    });
    scene.app().post("/signup/email-password", squatted).await;
    let old = scene.ticket().await;
    let body = json!({"email": VICTIM, "password": NEW, "options": {"displayName": "Owner"}});
    let again = scene.app().post("/signup/email-password", body.clone()).await;
    assert_eq!((again.status.as_u16(), again.json()["session"].clone()), (200, Value::Null));
    let ticket = scene.ticket().await;
    let (_, query) = verify(scene.app(), &old, CLIENT_URL).await.redirect();
    assert_eq!(query["error"], "invalid-ticket");
    let session = scene.follow(&ticket).await;
    let user = profile(scene.app(), &session).await;
    assert_eq!((&user["displayName"], &user["metadata"]), (&json!("Owner"), &Value::Null));
    scene.attacker_signs_in().await.assert_refused(401, "invalid-email-password");
    scene.app().sign_in(VICTIM, NEW).await.session();
    // Now it is somebody's.
    let taken = scene.app().post("/signup/email-password", body).await;
    taken.assert_refused(409, "email-already-in-use");
}

/// Whoever is sent nothing more has a mail that is good for the account as it is.
#[tokio::test]
async fn a_sign_up_past_the_limit_of_the_recipient_takes_nothing() {
    let mut scene = Scene::start(true, "pending").await;
    let mut last = String::new();
    for number in 1..=5 {
        let options = json!({"displayName": format!("Number {number}")});
        let password = format!("{PASSWORD}-{number}");
        let body = json!({"email": VICTIM, "password": password, "options": options});
        let response = scene.app().post("/signup/email-password", body).await;
        assert_eq!(response.status, 200, "{response:?}");
        // The fifth mail of an hour is for a reset.
        if number < 5 {
            last = scene.ticket().await;
        }
    }
    let session = scene.follow(&last).await;
    assert_eq!(profile(scene.app(), &session).await["displayName"], "Number 4");
    scene.app().sign_in(VICTIM, &format!("{PASSWORD}-4")).await.session();
    let fifth = scene.app().sign_in(VICTIM, &format!("{PASSWORD}-5")).await;
    fifth.assert_refused(401, "invalid-email-password");
}

/// The authenticator has remembered the id of the user that the sign-up promised.
#[tokio::test]
async fn a_sign_up_with_a_key_replaces_it_too_and_the_key_finds_its_user() {
    let mut scene = Scene::start(true, "pending").await;
    scene.squat(true).await;
    let mut key = SecurityKey::new();
    let options = ceremonies::begin_sign_up(scene.app(), VICTIM).await;
    let finished = ceremonies::finish_sign_up(scene.app(), &key.create(&options)).await;
    assert_eq!(finished.status, 200, "{finished:?}");
    let ticket = scene.ticket().await;
    scene.follow(&ticket).await;
    scene.attacker_signs_in().await.assert_refused(401, "invalid-email-password");
    let begun = ceremonies::begin_sign_in(scene.app(), None).await;
    ceremonies::finish_sign_in(scene.app(), &key.get(&begun)).await.session();
}

/// What an application refers to is not given another id.
#[tokio::test]
async fn an_account_that_an_application_refers_to_is_not_replaced_under_another_id() {
    let mut scene = Scene::start(true, "pending").await;
    scene.squat(true).await;
    let sql = "create table public.profiles (user_id uuid references auth.users (id)); \
               insert into public.profiles select id from auth.users";
    for statement in sql.split(';') {
        scene.app().database.execute(statement).await;
    }
    let mut key = SecurityKey::new();
    let options = ceremonies::begin_sign_up(scene.app(), VICTIM).await;
    let finished = ceremonies::finish_sign_up(scene.app(), &key.create(&options)).await;
    finished.assert_refused(409, "email-already-in-use");
    assert_eq!(keys(scene.app()).await, 0);
    let again = json!({"email": VICTIM, "password": NEW});
    assert_eq!(scene.app().post("/signup/email-password", again).await.status, 200);
}

/// Accounts that are used, disabled, or kept by the setting, are taken.
#[tokio::test]
async fn no_other_account_is_replaced() {
    for (clears, sql) in [
        ("pending", "update auth.users set last_seen = now()"),
        ("pending", "update auth.users set disabled = true"),
        ("pending", "update auth.users set email_verified = true"),
        ("never", "select 1"),
    ] {
        let mut scene = Scene::start(true, clears).await;
        scene.squat(true).await;
        scene.app().database.execute(sql).await;
        let again = json!({"email": VICTIM, "password": NEW});
        let taken = scene.app().post("/signup/email-password", again).await;
        taken.assert_refused(409, "email-already-in-use");
    }
    let scene = Scene::start(false, "pending").await;
    scene.app().sign_up(VICTIM).await.session();
    scene.app().sign_up(VICTIM).await.assert_refused(409, "email-already-in-use");
}

/// The reference's way, for whoever needs it.
#[tokio::test]
async fn an_operator_may_have_nothing_cleared() {
    let mut scene = Scene::start(true, "never").await;
    scene.squat(true).await;
    assert_eq!(scene.social.sign_in("google", &[]).await.error(), "unverified-user");
    let session = scene.magic_link().await;
    let user = profile(scene.app(), &session).await;
    assert_eq!(user["metadata"]["by"], "mallory");
    scene.attacker_signs_in().await.session();
}
