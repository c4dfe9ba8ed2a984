//! The simulator itself, asked by a client that is written here: it serves what is right, and refuses what is not.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

use super::browser::{Browser, Step};
use super::id_tokens::Keys;
use super::{PROVIDERS, Providers, SERVER_URL, apple, catalogue};
use crate::support::app::{Client, TestResponse};
use crate::support::jwt::{payload, unsigned};

const VERIFIER: &str = "0123456789012345678901234567890123456789012";

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

/// A code of this provider, by its authorize page.
async fn code(providers: &Providers, id: &str) -> String {
    let provider = catalogue::find(id);
    let callback = format!("{SERVER_URL}/signin/provider/{id}/callback");
    let client = catalogue::client_id(id);
    let mut step = Step::typed(&format!("{}/{id}/authorize", providers.url));
    let challenge = challenge();
    let mut usual = vec![
        ("client_id", client.as_str()),
        ("redirect_uri", &callback),
        ("response_type", "code"),
        ("state", "a state"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    if !provider.takes_pkce {
        usual.truncate(4);
    }
    for (name, value) in usual.iter().chain(provider.extra) {
        step = step.with(name, Some(value));
    }
    if let Some(scope) = provider.scope {
        step = step.with("scope", Some(scope));
    }
    let mut browser = Browser::new(SERVER_URL, "http://127.0.0.1:1");
    let is_callback = |step: &Step| step.url.path().ends_with("/callback");
    let (final_page, step) = browser.follow_until(&step, is_callback).await;
    let step = step.unwrap_or_else(|| panic!("{id}: {final_page:?}"));
    assert_eq!(step.parameter("state").as_deref(), Some("a state"));
    step.parameter("code").expect("a code")
}

fn apple_secret(changes: &Value) -> String {
    let pem = pem::parse(Keys::shared().apple_pem()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pem.contents()).unwrap();
    let now = keywright::domain::clock::Clock::system().now().unix_timestamp();
    let mut claims = json!({
        "iss": apple::TEAM, "sub": "com.example.web", "aud": "https://appleid.apple.com",
        "iat": now, "exp": now + 600,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let message = unsigned(&json!({"alg": "ES256", "kid": apple::KEY_ID}), &claims);
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// A token request: fields over the right ones; an empty one is left out.
async fn token(
    providers: &Providers,
    id: &str,
    basic: bool,
    changes: &[(&str, &str)],
) -> TestResponse {
    let callback = format!("{SERVER_URL}/signin/provider/{id}/callback");
    let secret = if id == "apple" { apple_secret(&json!({})) } else { catalogue::secret(id) };
    let client = catalogue::client_id(id);
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("redirect_uri", callback.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let credentials = [("client_id", client.as_str()), ("client_secret", secret.as_str())];
    if !basic {
        fields.extend(credentials);
    }
    if !catalogue::find(id).takes_pkce {
        fields.retain(|(name, _)| *name != "code_verifier");
    }
    fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    fields.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let path = format!("/{id}/token");
    let mut request = Client::new(providers.url.clone())
        .request(Method::POST, &path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json")
        .body(body);
    if basic {
        let both = STANDARD.encode(format!("{}:{}", encode(&client), encode(&secret)));
        request = request.header("authorization", format!("Basic {both}"));
    }
    Client::send(request).await
}

async fn profile(
    providers: &Providers,
    id: &str,
    token: &str,
    headers: &[(&str, &str)],
) -> TestResponse {
    let query = if id == "facebook" { "?fields=id,name,email,picture" } else { "" };
    let client = Client::new(providers.url.clone());
    let mut request =
        client.request(Method::GET, &format!("/{id}/profile{query}")).bearer_auth(token);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Client::send(request).await
}

#[tokio::test]
async fn every_provider_serves_a_client_that_does_all_right() {
    let providers = Providers::start().await;
    for provider in PROVIDERS.iter().filter(|provider| provider.id != "twitter") {
        let id = provider.id;
        let code = code(&providers, id).await;
        let basic = provider.client_auth == catalogue::ClientAuth::BasicOnly;
        let response = token(&providers, id, basic, &[("code", &code)]).await;
        assert_eq!(response.status, 200, "{id}: {response:?}");
        let again = token(&providers, id, basic, &[("code", &code)]).await;
        assert_eq!(again.error(), "invalid_grant", "{id}: {again:?}");
        let access_token = response.json()["access_token"].as_str().unwrap().to_owned();
        if id == "apple" {
            let claims = payload(response.json()["id_token"].as_str().unwrap());
            assert_eq!(claims["sub"], "001.apple");
            continue;
        }
        let client_id = catalogue::client_id(id);
        let headers = [("client-id", client_id.as_str()), ("user-agent", "a test")];
        let response = profile(&providers, id, &access_token, &headers).await;
        assert_eq!(response.json(), super::vectors::account(id).profile, "{id}: {response:?}");
        assert_eq!(profile(&providers, id, "another", &headers).await.status, 401, "{id}");
    }
}

#[tokio::test]
async fn token_endpoints_refuse_what_is_not_right() {
    let providers = Providers::start().await;
    for (what, basic, changes, error) in [
        ("no secret", false, &[("client_secret", "")][..], "invalid_client"),
        ("wrong secret", false, &[("client_secret", "x")], "invalid_client"),
        ("wrong client", false, &[("client_id", "x")], "invalid_client"),
        ("both ways", true, &[("client_secret", "x")], "invalid_request"),
        ("unknown code", false, &[("code", "x")], "invalid_grant"),
        ("no code", false, &[("code", "")], "invalid_grant"),
        ("another place", false, &[("redirect_uri", "http://auth.test/")], "invalid_grant"),
        ("no verifier", false, &[("code_verifier", "")], "invalid_grant"),
        (
            "wrong verifier",
            false,
            &[("code_verifier", &VERIFIER.replace('0', "1"))],
            "invalid_grant",
        ),
        ("too much", false, &[("state", "x")], "invalid_request"),
        ("another grant", false, &[("grant_type", "password")], "unsupported_grant_type"),
        (
            "a stranger's refresh token",
            false,
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", "x"),
                ("code", ""),
                ("redirect_uri", ""),
                ("code_verifier", ""),
            ],
            "invalid_grant",
        ),
    ] {
        let code = code(&providers, "discord").await;
        let mut all = vec![("code", code.as_str())];
        all.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        all.extend(changes);
        let response = token(&providers, "discord", basic, &all).await;
        assert_eq!(response.error(), error, "{what}: {response:?}");
    }
    let other = code(&providers, "linkedin").await;
    let changes = [("code", other.as_str()), ("code_verifier", VERIFIER)];
    assert_eq!(token(&providers, "linkedin", false, &changes).await.error(), "invalid_client");
    // Each where the other is wanted.
    for (id, basic) in [("spotify", false), ("facebook", true)] {
        let code = code(&providers, id).await;
        let response = token(&providers, id, basic, &[("code", &code)]).await;
        assert_eq!(response.error(), "invalid_client", "{id}: {response:?}");
    }
}

#[tokio::test]
async fn apple_refuses_client_secrets_that_are_not_right() {
    let now = keywright::domain::clock::Clock::system().now().unix_timestamp();
    apple::check_secret(&apple_secret(&json!({})), "com.example.web", now).unwrap();
    for (changes, why) in [
        (json!({"iss": "x"}), "iss"),
        (json!({"sub": "x"}), "sub"),
        (json!({"aud": "x"}), "aud"),
        (json!({"iat": now + 60}), "iat"),
        (json!({"exp": now}), "exp is over"),
        (json!({"exp": now + 3_700}), "exp is too far away"),
    ] {
        let secret = apple_secret(&changes);
        assert_eq!(apple::check_secret(&secret, "com.example.web", now), Err(why), "{changes}");
    }
    let (message, _) = apple_secret(&json!({}))
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let other = format!("{message}.{}", URL_SAFE_NO_PAD.encode([7; 64]));
    assert_eq!(apple::check_secret(&other, "com.example.web", now), Err("signature"));
}

#[tokio::test]
async fn profiles_are_told_only_to_those_who_ask_as_the_provider_wants() {
    let providers = Providers::start().await;
    for (id, query, headers) in [
        ("twitch", "", &[("client-id", "another")][..]),
        ("facebook", "?fields=id", &[]),
        ("facebook", "", &[]),
        ("github", "", &[("user-agent", "")]),
        ("discord", "?access_token=x", &[]),
    ] {
        let code = code(&providers, id).await;
        let response = token(&providers, id, false, &[("code", &code)]).await;
        let access_token = response.json()["access_token"].as_str().unwrap().to_owned();
        let client = Client::new(providers.url.clone());
        let mut request = client
            .request(Method::GET, &format!("/{id}/profile{query}"))
            .bearer_auth(&access_token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = Client::send(request).await;
        assert!(response.status.is_client_error(), "{id} {query} {headers:?}: {response:?}");
    }
}

#[tokio::test]
async fn authorize_pages_show_what_is_wrong_with_a_request() {
    let providers = Providers::start().await;
    let callback = format!("{SERVER_URL}/signin/provider/discord/callback");
    let client_id = catalogue::client_id("discord");
    let mut good = Step::typed(&format!("{}/discord/authorize", providers.url));
    for (name, value) in [
        ("client_id", client_id.as_str()),
        ("redirect_uri", &callback),
        ("response_type", "code"),
        ("state", "x"),
        ("scope", "identify"),
    ] {
        good = good.with(name, Some(value));
    }
    let mut browser = Browser::new(SERVER_URL, "http://127.0.0.1:1");
    let (visit, next) = browser.visit(&good).await.unwrap();
    assert_eq!((visit.response.status.as_u16(), next.is_some()), (302, true));
    for (name, value) in [
        ("client_id", Some("x")),
        ("redirect_uri", Some("http://auth.test/signin/provider/github/callback")),
        ("response_type", Some("token")),
        ("state", None),
        ("scope", None),
        ("scope", Some("a  b")),
        ("response_mode", Some("form_post")),
        ("code_challenge", Some("x")),
        ("code_challenge_method", Some("S256")),
    ] {
        let (visit, next) = browser.visit(&good.with(name, value)).await.unwrap();
        assert_eq!(visit.response.status, 400, "{name} {value:?}: {visit:?}");
        assert!(next.is_none());
    }
    let twice = format!("{}&state=y", good.url);
    assert_eq!(browser.visit(&Step::typed(&twice)).await.unwrap().0.response.status, 400);
}
