//! Id tokens that applications got themselves: sign-in, sign-up and linking, and everything that is refused.

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{PASSWORD, TestApp, TestResponse};
use crate::support::hex::hex;
use crate::support::jwt;
use crate::support::mailbox::Mailbox;
use crate::support::providers::id_tokens::{Keys, header, kid};
use crate::support::providers::social::Social;
use crate::support::providers::{Endpoint, Fault, Providers};
use crate::support::two_nodes::TwoNodes;

const BOTH: [&str; 2] = ["google", "apple"];
const NONCE: &str = "a raw nonce";

fn sha256_hex(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()))
}

async fn start(more: &[(&str, &str)]) -> Social {
    Social::start(&BOTH, more).await
}

async fn sign_in(app: &TestApp, provider: &str, token: &str) -> TestResponse {
    app.post("/signin/idtoken", json!({"provider": provider, "idToken": token})).await
}

async fn sign_up(app: &TestApp, provider: &str, token: &str) -> TestResponse {
    app.post("/signup/idtoken", json!({"provider": provider, "idToken": token})).await
}

async fn link(app: &TestApp, bearer: &str, provider: &str, token: &str) -> TestResponse {
    let body = json!({"provider": provider, "idToken": token});
    app.post_as("/link/idtoken", bearer, body).await
}

/// Tokens that look good and are not, with what is wrong.
fn refused(social: &Social, provider: &str) -> Vec<(String, String)> {
    let control = social.providers.at(provider);
    let now = social.providers.clock.now().unix_timestamp();
    let keys = Keys::shared();
    let mut all: Vec<(String, String)> = [
        json!({"aud": "com.example.other"}),
        json!({"aud": ["com.example.other", "com.example.third"]}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"aud": {"a": 1}}),
        json!({"iss": "https://evil.test"}),
        json!({"iss": "https://accounts.google.com.evil.test"}),
        json!({"iss": if provider == "google" { "https://appleid.apple.com" } else { "accounts.google.com" }}),
        json!({"iss": null}),
        json!({"exp": now - 120}),
        json!({"exp": 0}),
        json!({"exp": null}),
        json!({"exp": "tomorrow"}),
        json!({"iat": now + 600}),
        json!({"nbf": now + 600}),
        json!({"sub": null}),
        json!({"sub": 7}),
        json!({"email": 7}),
        json!({"nonce": "unasked"}),
    ]
    .iter()
    .map(|claims| (claims.to_string(), control.id_token(claims)))
    .collect();
    let good = control.good_claims(&json!({}));
    let signed = control.id_token(&json!({}));
    let (message, signature) = signed.rsplit_once('.').unwrap();
    let forged = jwt::unsigned(
        &header(0),
        &control.good_claims(&json!({"sub": "somebody", "email": "somebody@x.test"})),
    );
    let mut more = vec![
        ("another key", keys.rs256(1, &header(0), &good)),
        ("unknown kid", keys.rs256(1, &header(1), &good)),
        ("no kid", keys.rs256(1, &json!({"alg": "RS256"}), &good)),
        ("ES256, by a published key", keys.es256(&good)),
        ("HS256 with the public key", keys.hs256_confusion(0, &good)),
        ("alg none", format!("{}.", jwt::unsigned(&json!({"alg": "none", "kid": kid(0)}), &good))),
        ("alg None", format!("{}.", jwt::unsigned(&json!({"alg": "None", "kid": kid(0)}), &good))),
        ("no signature", message.to_owned()),
        ("an empty signature", format!("{message}.")),
        ("other claims below the signature", format!("{forged}.{signature}")),
        ("RS512 in the header", keys.rs256(0, &json!({"alg": "RS512", "kid": kid(0)}), &good)),
        ("our own access token", jwt::sign(&good)),
        ("its own key in the header", {
            let own = json!({"alg": "RS256", "kid": kid(0), "jwk": {"kty": "RSA"}});
            keys.rs256(1, &own, &good)
        }),
        ("critical extensions", {
            let critical = json!({"alg": "RS256", "kid": kid(0), "crit": ["x"], "x": 1});
            keys.rs256(0, &critical, &good)
        }),
        ("claims that are no object", keys.rs256(0, &header(0), &json!([good]))),
        ("no token", "x".to_owned()),
        ("an empty one", String::new()),
        ("dots", "...".to_owned()),
    ];
    if provider == "google" {
        more.push(("of the other provider", social.providers.at("apple").id_token(&json!({}))));
    }
    all.extend(more.into_iter().map(|(what, token)| (what.to_owned(), token)));
    all
}

#[tokio::test]
async fn id_tokens_that_are_not_right_in_everything_are_refused_everywhere() {
    let social = start(&[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let rows = social.rows().await;
    for provider in BOTH {
        for (what, token) in refused(&social, provider) {
            for response in [
                sign_in(&social.app, provider, &token).await,
                sign_up(&social.app, provider, &token).await,
                link(&social.app, ann.access_token(), provider, &token).await,
            ] {
                assert_eq!(response.error(), "invalid-request", "{provider}, {what}: {response:?}");
                response.assert_refused(400, "invalid-request");
                assert_eq!(social.rows().await, rows, "{provider}, {what}: {response:?}");
            }
        }
        // And a right one is right.
        let token = social.providers.at(provider).id_token(&json!({}));
        assert_eq!(sign_in(&social.app, provider, &token).await.status, 200);
        social
            .app
            .database
            .execute("delete from auth.users where email <> 'ann@example.com'")
            .await;
    }
}

#[tokio::test]
async fn what_may_differ_in_a_right_token_may_differ() {
    let social = start(&[]).await;
    let now = social.providers.clock.now().unix_timestamp();
    let client = social.providers.at("google").good_claims(&json!({}))["aud"].clone();
    for (provider, claims) in [
        ("google", json!({"aud": "com.example.phone"})),
        ("google", json!({"aud": [client, "com.example.other"], "azp": client})),
        ("google", json!({"iss": "accounts.google.com"})),
        ("google", json!({"iat": null})),
        ("google", json!({"nbf": now - 5})),
        ("apple", json!({"aud": "com.example.phone"})),
        ("apple", json!({"email_verified": "true"})),
    ] {
        let token = social.providers.at(provider).id_token(&claims);
        let response = sign_in(&social.app, provider, &token).await;
        assert_eq!(response.status, 200, "{provider} {claims}: {response:?}");
        response.session();
    }
}

#[tokio::test]
async fn claims_become_rows() {
    let social = start(&[]).await;
    for (provider, claims, expected) in [
        (
            "google",
            json!({"name": "Goo Gle", "picture": "https://a.test/g.png"}),
            json!(["google@x.test", true, "Goo Gle", "https://a.test/g.png"]),
        ),
        (
            "google",
            json!({"name": null, "picture": 7, "email_verified": null}),
            json!(["google@x.test", false, "102", "gravatar"]),
        ),
        (
            "apple",
            json!({"email_verified": "true"}),
            json!(["apple@x.test", true, "001.apple", "gravatar"]),
        ),
        (
            "apple",
            json!({"email_verified": "yes", "name": {"a": 1}}),
            json!(["apple@x.test", false, "001.apple", "gravatar"]),
        ),
    ] {
        social.app.database.execute("delete from auth.users").await;
        let token = social.providers.at(provider).id_token(&claims);
        let session = sign_in(&social.app, provider, &token).await.session();
        let user = social.user().await;
        let avatar = user["avatar_url"].as_str().unwrap();
        // What is stored is what the session says.
        assert_eq!(session.0["user"]["avatarUrl"], avatar);
        let avatar =
            if avatar.starts_with("https://www.gravatar.com/") { "gravatar" } else { avatar };
        let seen = json!([user["email"], user["email_verified"], user["display_name"], avatar]);
        assert_eq!(seen, expected, "{provider} {claims}");
    }
}

#[tokio::test]
async fn an_id_token_and_the_browser_lead_to_the_same_user() {
    let social = Social::start_secure(&BOTH, &[]).await;
    for provider in BOTH {
        let token = social.providers.at(provider).id_token(&json!({}));
        let first = sign_in(&social.app, provider, &token).await.session();
        let final_page = social.sign_in(provider, &[]).await;
        assert_eq!(social.session(&final_page).await.user_id(), first.user_id(), "{provider}");
        let again = sign_in(&social.app, provider, &token).await.session();
        assert_eq!(again.user_id(), first.user_id(), "{provider}");
    }
    assert_eq!(social.links().await.len(), 2);
}

/// A nonce that is asked for must be there; the token has its SHA-256.
#[tokio::test]
async fn a_nonce_binds_a_token_to_its_request() {
    let social = start(&[]).await;
    for provider in BOTH {
        let control = social.providers.at(provider);
        let with = control.id_token(&json!({"nonce": sha256_hex(NONCE)}));
        let raw = control.id_token(&json!({"nonce": NONCE}));
        let upper = control.id_token(&json!({"nonce": sha256_hex(NONCE).to_uppercase()}));
        let odd = control.id_token(&json!({"nonce": 7}));
        let empty = control.id_token(&json!({"nonce": sha256_hex("")}));
        let without = control.id_token(&json!({}));
        for (what, token, nonce, is_good) in [
            ("the right one", &with, json!(NONCE), true),
            ("another", &with, json!("another"), false),
            ("its hash", &with, json!(sha256_hex(NONCE)), false),
            ("not said", &with, Value::Null, false),
            ("raw in the token", &raw, json!(NONCE), false),
            ("in capitals", &upper, json!(NONCE), false),
            ("a number in the token", &odd, json!(NONCE), false),
            ("missing in the token", &without, json!(NONCE), false),
            ("nowhere", &without, Value::Null, true),
            ("the hash of nothing, said to be nothing", &empty, json!(""), true),
        ] {
            let mut body = json!({"provider": provider, "idToken": token});
            if !nonce.is_null() {
                body["nonce"] = nonce;
            }
            let response = social.app.post("/signin/idtoken", body).await;
            let expected = if is_good { 200 } else { 400 };
            assert_eq!(response.status, expected, "{provider}, {what}: {response:?}");
            if !is_good {
                response.assert_refused(400, "invalid-request");
            }
        }
    }
}

#[tokio::test]
async fn an_empty_subject_is_no_profile() {
    let social = start(&[]).await;
    for provider in BOTH {
        for sub in ["", " "] {
            let token = social.providers.at(provider).id_token(&json!({"sub": sub}));
            sign_in(&social.app, provider, &token)
                .await
                .assert_refused(400, "oauth-profile-fetch-failed");
        }
    }
    assert_eq!(social.rows().await, 0);
}

#[tokio::test]
async fn it_is_disabled_unless_an_audience_is_configured() {
    let simulator = Providers::start().await;
    let mut settings = simulator.settings(&BOTH);
    settings.retain(|(name, _)| !name.ends_with("_AUDIENCE"));
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let app = TestApp::start(&settings).await;
    let ann = app.sign_up("ann@example.com").await.session();
    for provider in BOTH {
        let token = simulator.at(provider).id_token(&json!({}));
        for response in [
            sign_in(&app, provider, &token).await,
            sign_up(&app, provider, &token).await,
            link(&app, ann.access_token(), provider, &token).await,
        ] {
            response.assert_refused(409, "disabled-endpoint");
        }
    }
}

/// The audience alone is enough: phones need no browser flow.
#[tokio::test]
async fn it_needs_no_enabled_browser_flow() {
    let simulator = Providers::start().await;
    let mut settings = simulator.settings(&BOTH);
    settings.retain(|(name, _)| !name.ends_with("_ENABLED"));
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let app = TestApp::start(&settings).await;
    for provider in BOTH {
        let token = simulator.at(provider).id_token(&json!({}));
        sign_in(&app, provider, &token).await.session();
    }
}

#[tokio::test]
async fn bodies_against_the_contract_are_refused() {
    let social = start(&[]).await;
    let token = social.providers.at("google").id_token(&json!({}));
    let ann = social.app.sign_up("ann@example.com").await.session();
    for path in ["/signin/idtoken", "/signup/idtoken", "/link/idtoken"] {
        for body in [
            json!({}),
            json!({"provider": "google"}),
            json!({"idToken": token}),
            json!({"provider": "github", "idToken": token}),
            json!({"provider": "fake", "idToken": token}),
            json!({"provider": 7, "idToken": token}),
            json!({"provider": "google", "idToken": 7}),
            json!({"provider": "google", "idToken": token, "nonce": 7}),
            json!({"provider": "google", "idToken": token, "surprise": 1}),
        ] {
            let response = social.app.post_as(path, ann.access_token(), body.clone()).await;
            assert_eq!(response.status, 400, "{path} {body}: {response:?}");
            response.assert_refused(400, "invalid-request");
        }
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_when_they_rotate_but_not_on_demand_of_strangers() {
    let social = start(&[]).await;
    let control = social.providers.at("google");
    let good = async || control.id_token(&json!({}));
    sign_in(&social.app, "google", &good().await).await.session();
    let fetched = control.calls(Endpoint::Jwks).len();
    assert!(fetched <= 2, "{fetched}");
    for _ in 0..20 {
        sign_in(&social.app, "google", &good().await).await.session();
    }
    assert_eq!(control.calls(Endpoint::Jwks).len(), fetched);

    // Made-up key ids: one look at most, then none for a while.
    let made_up = (0..20).map(|n| {
        let header = json!({"alg": "RS256", "kid": format!("made-up-{n}")});
        Keys::shared().rs256(1, &header, &control.good_claims(&json!({})))
    });
    for token in made_up {
        sign_in(&social.app, "google", &token).await.assert_refused(400, "invalid-request");
    }
    let after = control.calls(Endpoint::Jwks).len();
    assert!(after <= fetched + 1, "{after} after {fetched}");

    social.providers.clock.advance(Duration::minutes(6));
    let old = good().await;
    control.rotate_keys();
    sign_in(&social.app, "google", &good().await).await.session();
    sign_in(&social.app, "google", &old).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn a_key_that_is_replaced_under_its_name_is_fetched_after_one_wrong_signature() {
    let social = start(&[]).await;
    for provider in BOTH {
        let control = social.providers.at(provider);
        let old = control.id_token(&json!({}));
        sign_in(&social.app, provider, &old).await.session();
        let fetched = control.calls(Endpoint::Jwks).len();
        control.replace_key();
        let new = control.id_token(&json!({}));
        // What was fetched this very minute is believed.
        sign_in(&social.app, provider, &new).await.assert_refused(400, "invalid-request");
        assert_eq!(control.calls(Endpoint::Jwks).len(), fetched);
        social.providers.clock.advance(Duration::seconds(61));
        sign_in(&social.app, provider, &new).await.session();
        assert_eq!(control.calls(Endpoint::Jwks).len(), fetched + 1);
        for _ in 0..10 {
            sign_in(&social.app, provider, &old).await.assert_refused(400, "invalid-request");
            sign_in(&social.app, provider, &new).await.session();
        }
        assert_eq!(control.calls(Endpoint::Jwks).len(), fetched + 1);
        // Signatures of strangers cost a look a minute, and not the keys if nobody responds to that.
        social.providers.clock.advance(Duration::seconds(61));
        control.fail(Endpoint::Jwks, Fault::json(500, &json!({})));
        for _ in 0..10 {
            sign_in(&social.app, provider, &old).await.assert_refused(400, "invalid-request");
        }
        assert_eq!(control.calls(Endpoint::Jwks).len(), fetched + 2);
        sign_in(&social.app, provider, &new).await.session();
    }
}

#[tokio::test]
async fn known_keys_serve_while_the_provider_is_away() {
    let social = Social::start(&BOTH, &[("AUTH_PROVIDER_TIMEOUT", "300ms")]).await;
    let control = social.providers.at("google");
    sign_in(&social.app, "google", &control.id_token(&json!({}))).await.session();
    for fault in [Fault::Hang, Fault::Close, Fault::json(500, &json!({}))] {
        control.fail(Endpoint::Jwks, fault);
        // Longer than keys are trusted without a look.
        social.providers.clock.advance(Duration::minutes(61));
        let token = control.id_token(&json!({}));
        sign_in(&social.app, "google", &token).await.session();
    }
}

#[tokio::test]
async fn without_keys_a_token_is_refused_in_bounded_time() {
    let social = Social::start(&BOTH, &[("AUTH_PROVIDER_TIMEOUT", "300ms")]).await;
    let control = social.providers.at("google");
    for fault in [
        Fault::Hang,
        Fault::Close,
        Fault::Endless,
        Fault::Padded,
        Fault::json(500, &json!({})),
        Fault::json(200, &json!({"keys": "x"})),
        Fault::json(200, &json!([])),
        Fault::Say(200, "text/html", "<h1>x</h1>".to_owned()),
    ] {
        let social = Social::start(&BOTH, &[("AUTH_PROVIDER_TIMEOUT", "300ms")]).await;
        let other = social.providers.at("google");
        other.fail(Endpoint::Jwks, fault.clone());
        let response = sign_in(&social.app, "google", &other.id_token(&json!({}))).await;
        assert_eq!(response.error(), "invalid-request", "{fault:?}: {response:?}");
        other.recover();
        social.providers.clock.advance(Duration::minutes(6));
        sign_in(&social.app, "google", &other.id_token(&json!({}))).await.session();
    }
    sign_in(&social.app, "google", &control.id_token(&json!({}))).await.session();
}

#[tokio::test]
async fn an_account_is_not_taken_over_by_a_token_either() {
    for (claims, local) in [
        (json!({"email": "ann@x.test", "email_verified": false}), true),
        (json!({"email": "ann@x.test", "email_verified": null}), true),
        (json!({"email": "ANN@x.test", "email_verified": true}), false),
    ] {
        let social = start(&[]).await;
        social.app.sign_up("ann@x.test").await.session();
        let verified = format!("update auth.users set email_verified = {local}");
        social.app.database.execute(&verified).await;
        let rows = social.rows().await;
        for provider in BOTH {
            let token = social.providers.at(provider).id_token(&claims);
            sign_in(&social.app, provider, &token).await.assert_refused(401, "unverified-user");
            sign_up(&social.app, provider, &token).await.assert_refused(409, "user-already-exists");
            assert_eq!(social.rows().await, rows, "{provider} {claims}");
        }
    }
    let social = start(&[]).await;
    social.app.sign_up("ann@x.test").await.session();
    social.app.database.execute("update auth.users set email_verified = true").await;
    let token = social.providers.at("google").id_token(&json!({"email": "ann@x.test"}));
    let session = sign_in(&social.app, "google", &token).await.session();
    assert_eq!(session.0["user"]["email"], "ann@x.test");
    social.app.sign_in("ann@x.test", PASSWORD).await.session();
}

#[tokio::test]
async fn an_unverified_address_is_verified_by_mail_first() {
    let mailbox = Mailbox::start().await;
    let social = start(&mailbox.settings(&[])).await;
    let token = social.providers.at("google").id_token(&json!({"email_verified": false}));
    let response = sign_in(&social.app, "google", &token).await;
    assert_eq!((response.status.as_u16(), response.json()), (200, json!({})));
    assert!(social.links().await.is_empty());
    sign_in(&social.app, "google", &token).await.assert_refused(401, "unverified-user");
    let mail = mailbox.last(&social.app.database, 1).await;
    let (_, query) = social.app.get(&mail.path()).await.redirect();
    assert_eq!(query["type"], "verifyEmail");
    // There is no browser that would prove that both are the same person: the identity has to be
    // linked.
    assert!(social.links().await.is_empty());
    sign_in(&social.app, "google", &token).await.assert_refused(401, "unverified-user");
    let session = social.app.refresh(&query["refreshToken"]).await.session();
    link(&social.app, session.access_token(), "google", &token).await.assert_ok();
    sign_in(&social.app, "google", &token).await.session();
    assert_eq!(social.links().await.len(), 1);
}

#[tokio::test]
async fn the_rules_for_new_users_hold_and_options_shape_them() {
    let token = |social: &Social| social.providers.at("google").id_token(&json!({}));
    for (more, status, code) in [
        (("AUTH_DISABLE_SIGNUP", "true"), 403, "signup-disabled"),
        (("AUTH_DISABLE_NEW_USERS", "true"), 401, "disabled-user"),
        (("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "Google@x.test"), 401, "invalid-email-password"),
        (("AUTH_CONCEAL_ERRORS", "true"), 400, "invalid-request"),
    ] {
        let social =
            start(&[more, ("AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS", "never.test")]).await;
        if code == "invalid-request" {
            social.app.sign_up("google@x.test").await.session();
        }
        for response in [
            sign_in(&social.app, "google", &token(&social)).await,
            sign_up(&social.app, "google", &token(&social)).await,
        ] {
            if code == "disabled-user" && response.status == 409 {
                // The first call has left the row behind.
                response.assert_refused(409, "user-already-exists");
            } else {
                response.assert_refused(status, code);
            }
        }
    }
    let social = start(&[("AUTH_DISABLE_AUTO_SIGNUP", "true")]).await;
    sign_in(&social.app, "google", &token(&social))
        .await
        .assert_refused(401, "invalid-email-password");
    sign_up(&social.app, "google", &token(&social)).await.session();
    sign_in(&social.app, "google", &token(&social)).await.session();

    let social = start(&[]).await;
    let with = |options: Value| json!({"provider": "google", "idToken": token(&social), "options": options});
    for (options, code) in [
        (json!({"allowedRoles": ["me", "admin"], "defaultRole": "me"}), "role-not-allowed"),
        (json!({"defaultRole": "admin"}), "default-role-must-be-in-allowed-roles"),
        (json!({"redirectTo": "https://evil.test"}), "redirectTo-not-allowed"),
        (json!({"locale": "english"}), "invalid-request"),
        (json!({"surprise": 1}), "invalid-request"),
    ] {
        social.app.post("/signin/idtoken", with(options)).await.assert_refused(400, code);
    }
    assert_eq!(social.rows().await, 0);
    let options = json!({
        "allowedRoles": ["me", "editor"], "defaultRole": "editor", "displayName": "Ann",
        "metadata": {"plan": "free"},
    });
    let session = social.app.post("/signin/idtoken", with(options)).await.session();
    let user = &session.0["user"];
    assert_eq!((&user["displayName"], &user["defaultRole"]), (&json!("Ann"), &json!("editor")));
    assert_eq!(user["metadata"], json!({"plan": "free"}));
}

#[tokio::test]
async fn sign_up_by_token_is_for_new_users_only() {
    let social = start(&[]).await;
    let token = social.providers.at("google").id_token(&json!({}));
    sign_up(&social.app, "google", &token).await.session();
    sign_up(&social.app, "google", &token).await.assert_refused(409, "user-already-exists");
    let other = social.providers.at("google").id_token(&json!({"sub": "another"}));
    sign_up(&social.app, "google", &other).await.assert_refused(409, "user-already-exists");
    assert_eq!(social.links().await.len(), 1);
}

#[tokio::test]
async fn an_identity_is_linked_to_the_bearer_whatever_its_address() {
    let social = start(&[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let bob = social.app.sign_up("bob@example.com").await.session();
    let changes = json!({"email": "bob@example.com", "email_verified": false});
    let token = social.providers.at("google").id_token(&changes);
    link(&social.app, ann.access_token(), "google", &token).await.assert_ok();
    let session = sign_in(&social.app, "google", &token).await.session();
    assert_eq!(session.user_id(), ann.user_id());
    for bearer in [&ann, &bob] {
        link(&social.app, bearer.access_token(), "google", &token)
            .await
            .assert_refused(400, "provider-account-already-linked");
    }
    let other = social.providers.at("google").id_token(&json!({"sub": "second"}));
    link(&social.app, ann.access_token(), "google", &other).await.assert_ok();
    assert_eq!(social.links().await.len(), 2);
}

#[tokio::test]
async fn linking_needs_a_bearer_in_good_standing_and_elevated_where_that_is_required() {
    let social = start(&[]).await;
    let token = social.providers.at("google").id_token(&json!({}));
    let body = json!({"provider": "google", "idToken": token});
    social.app.post("/link/idtoken", body).await.assert_refused(400, "invalid-request");
    let ann = social.app.sign_up("ann@example.com").await.session();
    for (what, bearer) in jwt::refused_tokens(ann.user_id()) {
        let response = link(&social.app, &bearer, "google", &token).await;
        assert_eq!(response.error(), "invalid-request", "{what}: {response:?}");
    }
    let anonymous = social.app.anonymous().await;
    link(&social.app, anonymous.access_token(), "google", &token)
        .await
        .assert_refused(403, "forbidden-anonymous");

    let required = [("AUTH_REQUIRE_ELEVATED_CLAIM", "required")];
    let strict = social.another(&BOTH, &required).await;
    link(&strict, ann.access_token(), "google", &token)
        .await
        .assert_refused(400, "elevated-claim-required");
    let mut claims = jwt::claims(ann.user_id());
    claims["https://hasura.io/jwt/claims"] =
        json!({"x-hasura-user-id": ann.user_id(), "x-hasura-auth-elevated": ann.user_id()});
    link(&strict, &jwt::sign(&claims), "google", &token).await.assert_ok();

    let second = social.providers.at("google").id_token(&json!({"sub": "second"}));
    social.keep_out("update auth.users set disabled = true", &ann).await;
    link(&social.app, ann.access_token(), "google", &second)
        .await
        .assert_refused(401, "disabled-user");
    let bob = social.app.sign_up("bob@example.com").await.session();
    social.keep_out("delete from auth.users where email = 'bob@example.com'", &bob).await;
    link(&social.app, bob.access_token(), "google", &second)
        .await
        .assert_refused(401, "invalid-email-password");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_sign_ins_with_one_token_at_once_on_two_nodes_all_succeed() {
    let providers = Providers::start().await;
    let settings = providers.settings(&BOTH);
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let two = TwoNodes::start(&settings).await;
    let token = providers.at("google").id_token(&json!({}));
    let users = "select count(*) from auth.users";
    for _ in 0..3 {
        two.nodes[0].database.execute("delete from auth.users").await;
        let calls = (0..16).map(|n| sign_in(&two.nodes[n % 2], "google", &token));
        let mut ids: Vec<_> =
            join_all(calls).await.iter().map(|response| response.session().user_id()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1);
        assert_eq!(two.nodes[0].database.count(users).await, 1);
    }
}
