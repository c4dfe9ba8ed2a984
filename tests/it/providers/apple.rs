//! Apple: the form that it posts, client secrets that are signed, and id tokens.

use serde_json::{Value, json};
use time::Duration;

use crate::support::jwt;
use crate::support::providers::browser::Step;
use crate::support::providers::social::{Social, assert_at_home};
use crate::support::providers::{Account, Endpoint, Providers, SECURE_SERVER_URL, Style};

const PROFILE: &str = "oauth-profile-fetch-failed";
const TOKEN: &str = "oauth-token-echange-failed";

async fn start(more: &[(&str, &str)]) -> Social {
    Social::start_secure(&["apple"], more).await
}

fn account() -> Value {
    json!({"sub": "001.apple", "email": "apple@x.test", "email_verified": true})
}

#[tokio::test]
async fn the_name_comes_with_the_form_and_only_then() {
    for (user, name) in [
        (Some(r#"{"name":{"firstName":"Ap","lastName":"Ple"},"email":"evil@x.test"}"#), "Ap Ple"),
        (Some(r#"{"name":{"firstName":"Ap"}}"#), "Ap"),
        (Some(r#"{"name":{"lastName":"Ple","firstName":" "}}"#), "Ple"),
        (Some(r#"{"name":{}}"#), "apple@x.test"),
        (Some(r#"{"name":"Ap"}"#), "apple@x.test"),
        (Some(r#"{"email":"evil@x.test"}"#), "apple@x.test"),
        (Some("[]"), "apple@x.test"),
        (Some("{"), "apple@x.test"),
        (Some(""), "apple@x.test"),
        (None, "apple@x.test"),
    ] {
        let social = start(&[]).await;
        let mut account = Account::new(account());
        account.user_field = user.map(ToOwned::to_owned);
        social.providers.at("apple").account(account);
        let final_page = social.sign_in("apple", &[]).await;
        assert_at_home(&final_page);
        final_page.refresh_token();
        let user_row = social.user().await;
        assert_eq!(user_row["display_name"], name, "{user:?}");
        assert_eq!(user_row["email"], "apple@x.test", "{user:?}");
    }
}

/// What passes through the browser is not the identity.
#[tokio::test]
async fn the_identity_is_that_of_the_token_response() {
    let social = start(&[]).await;
    let control = social.providers.at("apple");
    let victim = control.id_token(&json!({"sub": "001.victim", "email": "victim@x.test"}));
    for front in [Some(victim.as_str()), Some("nonsense"), Some(""), None] {
        let (mut browser, step) = social.to_callback("apple", &[]).await;
        let step = step.with("id_token", front);
        let session = social.session(&browser.follow(&step).await).await;
        assert_eq!(session.0["user"]["email"], "apple@x.test", "{front:?}");
    }
    // And an id token without a code is nothing.
    let (mut browser, step) = social.to_callback("apple", &[]).await;
    let step = step.with("code", None).with("id_token", Some(&victim));
    assert_eq!(browser.follow(&step).await.error(), TOKEN);
    assert_eq!(social.users().await.len(), 1);
}

#[tokio::test]
async fn the_response_may_come_in_the_query_too() {
    let social = start(&[]).await;
    let (mut browser, step) = social.to_callback("apple", &[]).await;
    let fields = step.form.clone().expect("Apple posts");
    let mut get = Step::link(step.url.as_str());
    get.url.query_pairs_mut().extend_pairs(&fields);
    browser.follow(&get).await.refresh_token();
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_other_forms_are_refused() {
    let social = start(&[]).await;
    let (mut browser, step) = social.to_callback("apple", &[]).await;
    let final_page =
        browser.follow(&step.with("surprise", Some("x")).with("error", Some(""))).await;
    final_page.refresh_token();
    let response = social.app.post("/signin/provider/apple/callback", json!({"state": "x"})).await;
    response.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn a_user_who_cancels_is_told_to_the_application() {
    let social = start(&[]).await;
    let control = social.providers.at("apple");
    control.refuse(&[("error", "user_cancelled_authorize")]);
    let page = "http://localhost:3000/in";
    let final_page = social.sign_in("apple", &[("redirectTo", page)]).await;
    assert_eq!(final_page.error(), "oauth-provider-error");
    assert_eq!(final_page.target(), page);
    assert_eq!(final_page.query()["provider_error"], "user_cancelled_authorize");
}

#[tokio::test]
async fn id_tokens_that_are_not_meant_for_this_sign_in_end_it() {
    let social = start(&[]).await;
    let control = social.providers.at("apple");
    let now = social.providers.clock.now().unix_timestamp();
    for claims in [
        json!({"aud": "com.example.other"}),
        json!({"aud": ["com.example.other"]}),
        json!({"aud": null}),
        json!({"iss": "https://evil.test"}),
        json!({"iss": null}),
        json!({"nonce": "another"}),
        json!({"nonce": ""}),
        json!({"nonce": null}),
        json!({"exp": now - 60}),
        json!({"exp": null}),
        json!({"iat": now + 3_600}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
    ] {
        control.claims(&claims);
        let code = social.sign_in("apple", &[]).await.error();
        assert!([PROFILE, TOKEN].contains(&code.as_str()), "{claims}: {code}");
        assert_eq!(social.rows().await, 0, "{claims}");
    }
    control.claims(&json!({}));
    // Without one, or with one that nobody signed.
    for id_token in [json!(null), json!("x"), json!("e30.e30."), json!("")] {
        let body = json!({"access_token": "x", "token_type": "bearer", "id_token": id_token});
        let fault = crate::support::providers::Fault::json(200, &body);
        control.fail(Endpoint::Token, fault);
        let code = social.sign_in("apple", &[]).await.error();
        assert!([PROFILE, TOKEN].contains(&code.as_str()), "{id_token}: {code}");
    }
    control.recover();
    social.sign_in("apple", &[]).await.refresh_token();
}

#[tokio::test]
async fn keys_that_rotate_are_fetched_and_old_ones_no_longer_count() {
    let social = start(&[]).await;
    let control = social.providers.at("apple");
    social.sign_in("apple", &[]).await.refresh_token();
    let fetched = control.calls(Endpoint::Jwks).len();
    social.sign_in("apple", &[]).await.refresh_token();
    assert_eq!(control.calls(Endpoint::Jwks).len(), fetched, "kept, not fetched each time");
    social.providers.clock.advance(Duration::minutes(6));
    control.rotate_keys();
    social.sign_in("apple", &[]).await.refresh_token();
    assert_eq!(control.calls(Endpoint::Jwks).len(), fetched + 1);
}

/// Each is checked by the simulator: key, team, client, audience, and at most an hour ahead.
#[tokio::test]
async fn client_secrets_are_signed_anew_before_they_expire() {
    let social = start(&[]).await;
    let secret_of = async || {
        social.sign_in("apple", &[]).await.refresh_token();
        let request = social.providers.at("apple").token_requests().pop().unwrap();
        assert_eq!(request.style, Style::Body);
        request.form["client_secret"].clone()
    };
    let first = secret_of().await;
    let life = {
        let claims = jwt::payload(&first);
        assert_eq!(jwt::header(&first)["typ"], "JWT");
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
    };
    assert!((300..=3_600).contains(&life), "{life} s");
    for _ in 0..3 {
        social.providers.clock.advance(Duration::minutes(59));
        assert_ne!(secret_of().await, first);
    }
}

#[tokio::test]
async fn the_key_is_taken_in_every_form_in_which_it_is_configured() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let simulator = Providers::start_for(SECURE_SERVER_URL).await;
    let settings = simulator.settings(&["apple"]);
    let (_, pem) = settings.iter().find(|(name, _)| name.ends_with("PRIVATE_KEY")).unwrap();
    let pem = pem.replace('\r', "");
    let mut simulator = Some(simulator);
    for key in [pem.clone(), pem.replace('\n', "\\n"), STANDARD.encode(&pem)] {
        let running = match simulator.take() {
            Some(running) => running,
            None => Providers::start_for(SECURE_SERVER_URL).await,
        };
        let more = [("AUTH_PROVIDER_APPLE_PRIVATE_KEY", key.as_str())];
        let social = Social::start_with(running, &["apple"], &more).await;
        social.sign_in("apple", &[]).await.refresh_token();
    }
}

#[test]
fn a_key_that_is_none_stops_the_start_by_name() {
    use crate::support::app::settings;
    use keywright::config::{Config, Sources};
    for key in ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
        let more = [
            ("AUTH_PROVIDER_APPLE_ENABLED", "true"),
            ("AUTH_PROVIDER_APPLE_CLIENT_ID", "com.example.web"),
            ("AUTH_PROVIDER_APPLE_TEAM_ID", "TEAM123456"),
            ("AUTH_PROVIDER_APPLE_KEY_ID", "KEY1234567"),
            ("AUTH_PROVIDER_APPLE_PRIVATE_KEY", key),
        ];
        let sources = Sources::from_env(settings("postgres://localhost/x", &more));
        let Err(error) = Config::from_sources(&sources) else { panic!("{key:?} is accepted") };
        let text = error.to_string();
        assert!(text.contains("AUTH_PROVIDER_APPLE_PRIVATE_KEY"), "{text}");
        assert!(key.len() < 10 || !text.contains(key), "{text}");
    }
}

/// The form is posted from Apple's page, so only a cookie that crosses sites is there.
#[tokio::test]
async fn the_form_is_bound_to_the_browser_too() {
    let social = start(&[]).await;
    let (mut browser, step) = social.to_callback("apple", &[]).await;
    let final_page = social.browser().follow(&step).await;
    assert_eq!(final_page.error(), "invalid-state");
    browser.follow(&step).await.refresh_token();
}
