//! Whose account a provider's identity leads to: new ones, old ones, and never somebody else's.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::PASSWORD;
use crate::support::mailbox::Mailbox;
use crate::support::providers::browser::{Browser, FinalPage, Step};
use crate::support::providers::social::{
    Social, assert_at_home, begin, callback, links, start, users,
};
use crate::support::providers::{Endpoint, Fault, Providers, SERVER_URL, vectors};
use crate::support::two_nodes::TwoNodes;

const ANN: &str = "ann@x.test";
const VERIFY_ANN: &str = "update auth.users set email_verified = true where email = 'ann@x.test'";

/// Accounts that say their address is `ann@x.test`: one attested, one denied, one with nothing said.
fn attested(social: &Social) {
    social.providers.at("google").change_profile(&json!({"email": ANN}));
}

fn denied(social: &Social) {
    social.providers.at("discord").change_profile(&json!({"email": ANN, "verified": false}));
}

fn unknown(social: &Social) {
    social.providers.at("facebook").change_profile(&json!({"email": ANN}));
}

const THREE: [&str; 3] = ["google", "discord", "facebook"];

/// Ann has an account with a password; verified or not.
async fn with_ann(more: &[(&str, &str)], is_verified: bool) -> Social {
    let social = Social::start(&THREE, more).await;
    let response = social.app.sign_up(ANN).await;
    assert_eq!(response.status, 200, "{response:?}");
    if is_verified {
        social.app.database.execute(VERIFY_ANN).await;
    }
    attested(&social);
    denied(&social);
    unknown(&social);
    social
}

#[tokio::test]
async fn an_attested_address_leads_to_the_verified_account_and_is_linked() {
    let social = with_ann(&[], true).await;
    let ann = social.user().await;
    for _ in 0..2 {
        let session = social.session(&social.sign_in("google", &[]).await).await;
        assert_eq!(session.user_id().to_string(), ann["id"]);
        assert_eq!(social.links().await, [("google".into(), "102".into(), ANN.into())]);
    }
    let after = social.user().await;
    for column in ["email", "display_name", "avatar_url", "password_hash", "email_verified"] {
        assert_eq!(after[column], ann[column], "{column}");
    }
    social.app.sign_in(ANN, PASSWORD).await.session();
    // From now on the link counts, whatever the address at the provider is.
    social.providers.at("google").change_profile(&json!({"email": "new@x.test"}));
    let session = social.session(&social.sign_in("google", &[]).await).await;
    assert_eq!(session.user_id().to_string(), ann["id"]);
}

#[tokio::test]
async fn addresses_are_the_same_in_any_case() {
    let social = with_ann(&[], true).await;
    social.providers.at("google").change_profile(&json!({"email": "ANN@X.test"}));
    social.sign_in("google", &[]).await.refresh_token();
    assert_eq!(social.links().await, [("google".into(), "102".into(), ANN.into())]);
}

/// The attacker owns the identity, or has registered the address before its owner did
/// (docs/reference-behaviour.md#both-sides-verify-the-address).
#[tokio::test]
async fn an_account_is_not_taken_over_by_an_address_that_is_not_proven_on_both_sides() {
    for verification in ["false", "true"] {
        let mailbox = Mailbox::start().await;
        let required = ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", verification);
        let settings = mailbox.settings(&[required]);
        for (local, providers) in
            [(true, &["discord", "facebook"][..]), (false, &["google", "discord", "facebook"][..])]
        {
            let social = with_ann(&settings, local).await;
            let (before, rows) = (social.user().await, social.rows().await);
            // With google, whose word counts, see `accounts::pre_hijacking`.
            let is_refused = |id: &&&str| **id != "google" || verification == "false";
            for id in providers.iter().filter(is_refused) {
                for page in ["signin", "signup"] {
                    let url = format!("{SERVER_URL}/{page}/provider/{id}");
                    let final_page = social.browser().follow(&begin(&url, &[])).await;
                    assert_at_home(&final_page);
                    let code =
                        if page == "signin" { "unverified-user" } else { "user-already-exists" };
                    assert_eq!(final_page.error(), code, "{id}, verification {verification}");
                }
                assert!(social.links().await.is_empty(), "{id}");
                assert_eq!(social.rows().await, rows, "{id}");
                assert_eq!(social.user().await, before, "{id}");
            }
        }
    }
}

#[tokio::test]
async fn an_operator_may_trust_providers_that_say_nothing() {
    for (id, setting) in [
        ("twitch", "TWITCH"),
        ("twitter", "TWITTER"),
        ("facebook", "FACEBOOK"),
        ("windowslive", "WINDOWS_LIVE"),
        ("workos", "WORKOS"),
        ("azuread", "AZUREAD"),
        ("entraid", "ENTRAID"),
    ] {
        let setting = format!("AUTH_PROVIDER_{setting}_TRUST_EMAIL");
        let social = Social::start(&[id], &[(&setting, "true")]).await;
        if id == "azuread" {
            social.providers.at(id).change_profile(&json!({"email": "az@x.test"}));
        }
        let vector = vectors::usual().into_iter().find(|vector| vector.provider == id).unwrap();
        let email = vector.email.unwrap_or("az@x.test");
        social.app.sign_up(email).await.session();
        let verify = "update auth.users set email_verified = true";
        social.app.database.execute(verify).await;
        social.sign_in(id, &[]).await.refresh_token();
        assert_eq!(social.links().await, [(id.into(), vector.id.into(), email.into())]);
        // A new user's address counts as verified then.
        social.app.database.execute("delete from auth.users").await;
        social.sign_in(id, &[]).await.refresh_token();
        assert_eq!(social.user().await["email_verified"], true, "{id}");
    }
}

/// What a provider denies is not trusted, whatever the operator says.
#[tokio::test]
async fn trust_does_not_overrule_a_provider() {
    let more = [("AUTH_PROVIDER_ENTRAID_TRUST_EMAIL", "true")];
    let social = Social::start(&["entraid"], &more).await;
    social.app.sign_up("entra@x.test").await.session();
    social.app.database.execute("update auth.users set email_verified = true").await;
    social.providers.at("entraid").change_profile(&json!({"email_verified": false}));
    assert_eq!(social.sign_in("entraid", &[]).await.error(), "unverified-user");
}

/// What keeps a user out is said, by link and by address.
#[tokio::test]
async fn users_who_are_kept_out_are_told_why() {
    let disabled = "update auth.users set disabled = true";
    let unverified = "update auth.users set email_verified = false";
    let required = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")];
    let blocked = [("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "Ann@X.Test")];
    for is_linked in [true, false] {
        for (what, sql, more, code) in [
            ("disabled", disabled, &[][..], "disabled-user"),
            ("unverified", unverified, &required[..], "unverified-user"),
            ("blocked", "select 1", &blocked[..], "invalid-email-password"),
        ] {
            let social = with_ann(&[], true).await;
            if is_linked {
                social.sign_in("google", &[]).await.refresh_token();
            }
            social.app.database.execute(sql).await;
            let rows = social.rows().await;
            let strict = social.another(&["google"], more).await;
            let mut browser = Browser::new(SERVER_URL, strict.url());
            let final_page = browser.follow(&start("google", &[])).await;
            assert_eq!(final_page.error(), code, "{what}, linked: {is_linked}");
            assert_eq!(social.rows().await, rows, "{what}, linked: {is_linked}");
        }
    }
}

#[tokio::test]
async fn a_linked_user_who_is_anonymous_is_kept_out() {
    let social = Social::start(&["google"], &[]).await;
    let session = social.app.anonymous().await;
    let link = format!(
        "insert into auth.user_providers (user_id, provider_id, provider_user_id, access_token)
         values ('{}', 'google', '102', 'unset')",
        session.user_id()
    );
    social.app.database.execute(&link).await;
    assert_eq!(social.sign_in("google", &[]).await.error(), "forbidden-anonymous");
}

#[tokio::test]
async fn two_accounts_of_one_provider_are_two_users() {
    let social = Social::start(&["strava", "google"], &[]).await;
    for (id, one, other) in [
        ("strava", json!({"id": 114}), json!({"id": 115})),
        ("google", json!({}), json!({"id": "1020", "email": "second@x.test"})),
    ] {
        let control = social.providers.at(id);
        control.change_profile(&one);
        let first = social.session(&social.sign_in(id, &[]).await).await;
        control.change_profile(&other);
        let second = social.session(&social.sign_in(id, &[]).await).await;
        assert_ne!(first.user_id(), second.user_id(), "{id}");
    }
    assert_eq!((social.users().await.len(), social.links().await.len()), (4, 4));
}

/// The same id at two providers is two identities.
#[tokio::test]
async fn an_id_counts_at_its_own_provider_only() {
    let social = Social::start(&["github", "strava"], &[]).await;
    social.sign_in("github", &[]).await.refresh_token();
    social.providers.at("strava").change_profile(&json!({"id": 101}));
    social.sign_in("strava", &[]).await.refresh_token();
    assert_eq!(social.users().await.len(), 2);
}

#[tokio::test]
async fn a_user_without_an_address_has_a_session_and_may_refresh() {
    let mailbox = Mailbox::start().await;
    let social = Social::start(&["strava"], &mailbox.settings(&[])).await;
    let session = social.session(&social.sign_in("strava", &[]).await).await;
    assert_eq!(session.0["user"]["email"], Value::Null);
    social.app.refresh(session.refresh_token()).await.session();
    mailbox.all(&social.app.database, 0).await;
}

#[tokio::test]
async fn options_shape_a_new_user() {
    let more = [("AUTH_LOCALE_ALLOWED_LOCALES", "en,fr")];
    let social = Social::start(&["google"], &more).await;
    let metadata = json!({"a": {"b": [1, 2.5, null]}, "c": "&<>"}).to_string();
    let query = [
        ("allowedRoles", "me,editor"),
        ("defaultRole", "editor"),
        ("locale", "fr"),
        ("displayName", "Zoë O'Neil"),
        ("metadata", metadata.as_str()),
    ];
    social.sign_in("google", &query).await.refresh_token();
    let user = social.user().await;
    for (column, expected) in [
        ("roles", json!(["editor", "me"])),
        ("default_role", json!("editor")),
        ("locale", json!("fr")),
        ("display_name", json!("Zoë O'Neil")),
        ("metadata", serde_json::from_str(&metadata).unwrap()),
    ] {
        assert_eq!(user[column], expected);
    }
    // They mean nothing to an existing one.
    social.sign_in("google", &[("displayName", "Other"), ("locale", "en")]).await.refresh_token();
    assert_eq!(social.user().await["display_name"], "Zoë O'Neil");
}

#[tokio::test]
async fn a_locale_that_is_not_allowed_becomes_the_default() {
    let more = [("AUTH_LOCALE_DEFAULT", "de"), ("AUTH_LOCALE_ALLOWED_LOCALES", "en")];
    let social = Social::start(&["google"], &more).await;
    social.sign_in("google", &[("locale", "xx")]).await.refresh_token();
    assert_eq!(social.user().await["locale"], "de");
}

#[tokio::test]
async fn roles_out_of_bounds_are_refused_to_new_users() {
    let social = Social::start(&["google"], &[]).await;
    for (query, code) in [
        (&[("allowedRoles", "me,admin"), ("defaultRole", "me")][..], "role-not-allowed"),
        (&[("allowedRoles", "me")], "default-role-must-be-in-allowed-roles"),
        (&[("defaultRole", "admin")], "default-role-must-be-in-allowed-roles"),
    ] {
        assert_eq!(social.sign_in("google", query).await.error(), code, "{query:?}");
    }
    assert_eq!(social.rows().await, 0);
}

#[tokio::test]
async fn sign_up_that_is_disabled_keeps_out_new_users_only() {
    let social = Social::start(&["google"], &[]).await;
    let closed = social.another(&["google"], &[("AUTH_DISABLE_SIGNUP", "true")]).await;
    let mut browser = Browser::new(SERVER_URL, closed.url());
    assert_eq!(browser.follow(&start("google", &[])).await.error(), "signup-disabled");
    assert_eq!(social.rows().await, 0);
    social.sign_in("google", &[]).await.refresh_token();
    browser.follow(&start("google", &[])).await.refresh_token();
    let response = closed.get("/signup/provider/google").await;
    response.assert_refused(403, "signup-disabled");
}

#[tokio::test]
async fn new_users_that_are_disabled_have_a_row_and_no_session() {
    let mailbox = Mailbox::start().await;
    let settings = mailbox.settings(&[("AUTH_DISABLE_NEW_USERS", "true")]);
    let social = Social::start(&["google"], &settings).await;
    for _ in 0..2 {
        assert_eq!(social.sign_in("google", &[]).await.error(), "disabled-user");
        assert_eq!(social.user().await["disabled"], true);
    }
    let tokens = "select count(*) from auth.refresh_tokens";
    assert_eq!(social.app.database.count(tokens).await, 0);
    mailbox.all(&social.app.database, 0).await;
}

#[tokio::test]
async fn sign_in_creates_nobody_where_that_is_disabled_and_sign_up_does() {
    let more = [("AUTH_DISABLE_AUTO_SIGNUP", "true")];
    let social = Social::start(&["google"], &more).await;
    assert_eq!(social.sign_in("google", &[]).await.error(), "invalid-email-password");
    assert_eq!(social.rows().await, 0);
    let sign_up = begin(&format!("{SERVER_URL}/signup/provider/google"), &[("state", "up")]);
    let final_page = social.browser().follow(&sign_up).await;
    assert_eq!(final_page.query()["state"], "up");
    let session = social.session(&final_page).await;
    assert_eq!(session.0["user"]["email"], "google@x.test");
    social.sign_in("google", &[]).await.refresh_token();
}

#[tokio::test]
async fn sign_up_is_for_new_users_only() {
    let social = with_ann(&[], true).await;
    let sign_up = begin(&format!("{SERVER_URL}/signup/provider/google"), &[]);
    // By address, and then by link.
    assert_eq!(social.browser().follow(&sign_up).await.error(), "user-already-exists");
    assert!(social.links().await.is_empty());
    social.sign_in("google", &[]).await.refresh_token();
    let rows = social.rows().await;
    assert_eq!(social.browser().follow(&sign_up).await.error(), "user-already-exists");
    assert_eq!(social.rows().await, rows);
    // Its own parameters, in the same form.
    let bad = social.app.get("/signup/provider/google?redirectTo=https://evil.test").await;
    bad.assert_refused(400, "redirectTo-not-allowed");
    let off = begin(&format!("{SERVER_URL}/signup/provider/gitlab"), &[]);
    assert_eq!(social.browser().follow(&off).await.error(), "disabled-endpoint");
}

#[tokio::test]
async fn welcome_and_unwelcome_addresses_are_told_apart_in_any_case() {
    for (more, code) in [
        (
            &[("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "GOOGLE@x.test")][..],
            Some("invalid-email-password"),
        ),
        (
            &[("AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS", "X.test")],
            Some("invalid-email-password"),
        ),
        (&[("AUTH_ACCESS_CONTROL_ALLOWED_EMAILS", "ann@x.test")], Some("invalid-email-password")),
        (
            &[("AUTH_ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS", "y.test")],
            Some("invalid-email-password"),
        ),
        (&[("AUTH_ACCESS_CONTROL_ALLOWED_EMAILS", "google@X.TEST")], None),
        (&[("AUTH_ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS", "X.TEST")], None),
    ] {
        let social = Social::start(&["google", "strava"], more).await;
        let final_page = social.sign_in("google", &[]).await;
        match code {
            Some(code) => {
                assert_eq!(final_page.error(), code, "{more:?}");
                assert_eq!(social.rows().await, 0, "{more:?}");
            }
            None => assert!(!final_page.refresh_token().is_empty(), "{more:?}"),
        }
        // Without an address there is nothing to compare.
        social.sign_in("strava", &[]).await.refresh_token();
    }
}

#[tokio::test]
async fn what_is_concealed_is_concealed_in_redirects_too() {
    let conceal = ("AUTH_CONCEAL_ERRORS", "true");
    let concealed = |final_page: &FinalPage| {
        assert_eq!(final_page.error(), "invalid-request");
        assert_eq!(final_page.query()["errorDescription"], "The request payload is incorrect");
    };
    let social = with_ann(&[conceal], true).await;
    concealed(&social.sign_in("discord", &[]).await);
    social.app.database.execute("update auth.users set disabled = true").await;
    concealed(&social.sign_in("google", &[]).await);
    let sign_up = begin(&format!("{SERVER_URL}/signup/provider/google"), &[]);
    concealed(&social.browser().follow(&sign_up).await);
    let social = Social::start(&["google"], &[conceal, ("AUTH_DISABLE_SIGNUP", "true")]).await;
    concealed(&social.sign_in("google", &[]).await);
    // What says nothing about accounts is said.
    assert_eq!(social.sign_in("github", &[]).await.error(), "disabled-endpoint");
    let control = social.providers.at("google");
    control.refuse(&[("error", "access_denied")]);
    assert_eq!(social.sign_in("google", &[]).await.error(), "oauth-provider-error");
}

/// The redirect has no way to ask for a second factor
/// (docs/reference-behaviour.md#no-second-factor-after-providers).
#[tokio::test]
async fn the_second_factor_is_not_asked_for() {
    let social = with_ann(&[("AUTH_MFA_ENABLED", "true")], true).await;
    let totp = "update auth.users set active_mfa_type = 'totp', totp_secret = 'JBSWY3DPEHPK3PXP'";
    social.app.database.execute(totp).await;
    social.sign_in("google", &[]).await.refresh_token();
}

/// All callbacks wait at the provider for each other, so that none of them sees what another writes.
async fn at_once(two: &TwoNodes, providers: &Providers, ids: &[&str], count: usize) {
    for id in ids {
        let together = Fault::together(count / ids.len());
        providers.at(id).fail(Endpoint::Profile, together);
    }
    let mut ready = Vec::new();
    for number in 0..count {
        let node = &two.nodes[number % 2];
        let mut browser = Browser::new(SERVER_URL, node.url());
        let step = callback(&mut browser, &start(ids[number % ids.len()], &[])).await;
        ready.push((browser, step));
    }
    let final_pages = join_all(ready.iter_mut().map(|(browser, step)| browser.follow(step))).await;
    for final_page in &final_pages {
        let token = final_page.refresh_token();
        two.nodes[0].refresh(&token).await.session();
    }
}

async fn two_nodes(ids: &[&str]) -> (TwoNodes, Providers) {
    let providers = Providers::start().await;
    let settings = providers.settings(ids);
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    (TwoNodes::start(&settings).await, providers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_sign_ins_of_one_user_at_once_on_two_nodes_all_succeed() {
    for id in ["google", "strava", "facebook"] {
        let (two, providers) = two_nodes(&[id]).await;
        for _ in 0..3 {
            two.nodes[0].database.execute("delete from auth.users").await;
            at_once(&two, &providers, &[id], 8).await;
            assert_eq!(users(&two.nodes[0].database).await.len(), 1, "{id}");
            assert_eq!(links(&two.nodes[0].database).await.len(), 1, "{id}");
        }
    }
}

/// Two identities with one attested address: one account, and both lead there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_sign_ins_of_one_address_at_once_by_two_providers_all_succeed() {
    let ids = ["google", "gitlab"];
    let (two, providers) = two_nodes(&ids).await;
    providers.at("google").change_profile(&json!({"email": ANN}));
    let confirmed = json!({"email": ANN, "confirmed_at": "2024-01-01T00:00:00Z"});
    providers.at("gitlab").change_profile(&confirmed);
    for _ in 0..3 {
        two.nodes[0].database.execute("delete from auth.users").await;
        at_once(&two, &providers, &ids, 8).await;
        assert_eq!(users(&two.nodes[0].database).await.len(), 1);
        let expected = [
            ("gitlab".into(), "107".into(), ANN.into()),
            ("google".into(), "102".into(), ANN.into()),
        ];
        assert_eq!(links(&two.nodes[0].database).await, expected);
    }
}

/// The address is still to be verified: no session, no link, a mail; and after the mail's link
/// both.
#[tokio::test]
async fn an_unverified_address_is_verified_by_mail_and_only_then_linked() {
    for (id, name) in [("discord", "104"), ("facebook", "112"), ("spotify", "105")] {
        let mailbox = Mailbox::start().await;
        let social = Social::start(&[id], &mailbox.settings(&[])).await;
        let page = "http://localhost:3000/welcome?x=1";
        let mut browser = social.browser();
        let query = [("redirectTo", page), ("state", "mine")];
        let final_page = browser.follow(&social.link(id, &query)).await;
        final_page.assert_silent();
        assert_eq!(final_page.target(), "http://localhost:3000/welcome");
        assert_eq!(final_page.query()["state"], "mine");
        let user = social.user().await;
        assert_eq!((&user["email_verified"], &user["disabled"]), (&json!(false), &json!(false)));
        assert!(social.links().await.is_empty(), "{id}");

        // Meanwhile the same identity gets nothing more.
        let again = social.sign_in(id, &[]).await;
        assert_eq!(again.error(), "unverified-user", "{id}");

        let mail = mailbox.all(&social.app.database, 1).await.remove(0);
        assert_eq!(mail.to, [user["email"].as_str().unwrap()]);
        assert!(mail.header("X-Redirect-To").is_some_and(|to| to.starts_with(page)), "{mail:?}");
        let mailed = Step::typed(&format!("{SERVER_URL}{}", mail.path()));
        let final_page = browser.follow(&mailed).await;
        assert_eq!(final_page.target(), "http://localhost:3000/welcome");
        assert_eq!(final_page.query()["type"], "verifyEmail");
        social.session(&final_page).await;
        let user = social.user().await;
        assert_eq!(user["email_verified"], true);
        let email = user["email"].as_str().unwrap().to_owned();
        assert_eq!(social.links().await, [(id.into(), name.into(), email)]);
        let session = social.session(&social.sign_in(id, &[]).await).await;
        assert_eq!(session.user_id().to_string(), user["id"]);
    }
}

/// Whoever follows the mail's link may not be who began; the account is theirs, the identity is not
/// (docs/reference-behaviour.md#unverified-identities-wait).
#[tokio::test]
async fn the_identity_of_another_browser_is_not_attached_by_the_mail_that_it_caused() {
    for verification in ["true", "false"] {
        let mailbox = Mailbox::start().await;
        let required = ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", verification);
        let social = Social::start(&["discord"], &mailbox.settings(&[required])).await;
        denied(&social);
        let mut attacker = social.browser();
        let final_page = attacker.follow(&social.link("discord", &[])).await;
        if verification == "true" {
            final_page.assert_silent();
        } else {
            final_page.refresh_token();
            let path = "/user/email/send-verification-email";
            social.app.post(path, json!({"email": ANN})).await.assert_ok();
        }
        let mail = mailbox.last(&social.app.database, 1).await;
        let (_, query) = social.app.get(&mail.path()).await.redirect();
        assert!(query.contains_key("refreshToken"), "{query:?}");
        assert!(social.links().await.is_empty(), "verification required: {verification}");
        let again = attacker.follow(&social.link("discord", &[])).await;
        assert_eq!(again.error(), "unverified-user");
    }
}

/// An attacker signs up with the victim's address, and the victim proves it in another way.
#[tokio::test]
async fn the_identity_that_came_first_is_not_attached_when_the_address_is_verified_otherwise() {
    let mailbox = Mailbox::start().await;
    let settings = mailbox.settings(&[("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true")]);
    let social = Social::start(&["discord"], &settings).await;
    denied(&social);
    social.sign_in("discord", &[]).await.assert_silent();
    // The owner of the address asks for a link, and follows that one.
    social.app.post("/signin/passwordless/email", json!({"email": ANN})).await.assert_ok();
    let mails = mailbox.all(&social.app.database, 2).await;
    let link = mails.iter().find(|mail| mail.path().contains("passwordlessEmail"));
    let (_, query) = social.app.get(&link.expect("her own").path()).await.redirect();
    assert!(query.contains_key("refreshToken"), "{query:?}");
    assert!(social.links().await.is_empty());
    assert_eq!(social.sign_in("discord", &[]).await.error(), "unverified-user");
}

#[tokio::test]
async fn links_of_the_reference_are_honoured() {
    let social = Social::start(&["github"], &[]).await;
    social.app.sign_up(ANN).await.session();
    let link =
        "insert into auth.user_providers (user_id, provider_id, provider_user_id, access_token)
                select id, 'github', '101', 'unset' from auth.users";
    social.app.database.execute(link).await;
    let session = social.session(&social.sign_in("github", &[]).await).await;
    assert_eq!(session.0["user"]["email"], ANN);
}
