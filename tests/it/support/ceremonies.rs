//! WebAuthn ceremonies as clients hold them.

use serde_json::{Value, json};

use super::app::{Client, Session, TestResponse};
use super::security_key::SecurityKey;

/// Passkeys are off by default.
pub(crate) const ON: (&str, &str) = ("AUTH_WEBAUTHN_ENABLED", "true");

pub(crate) async fn begin_sign_up(client: &Client, email: &str) -> Value {
    let response = client.post("/signup/webauthn", json!({"email": email})).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

pub(crate) async fn finish_sign_up(client: &Client, credential: &Value) -> TestResponse {
    client.post("/signup/webauthn/verify", json!({"credential": credential})).await
}

pub(crate) async fn sign_up(client: &Client, email: &str, key: &mut SecurityKey) -> Session {
    let options = begin_sign_up(client, email).await;
    finish_sign_up(client, &key.create(&options)).await.session()
}

pub(crate) async fn begin_sign_in(client: &Client, email: Option<&str>) -> Value {
    let body = email.map_or_else(|| json!({}), |email| json!({"email": email}));
    let response = client.post("/signin/webauthn", body).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

pub(crate) async fn finish_sign_in(client: &Client, credential: &Value) -> TestResponse {
    client.post("/signin/webauthn/verify", json!({"credential": credential})).await
}

/// Both halves.
pub(crate) async fn sign_in(
    client: &Client,
    email: Option<&str>,
    key: &mut SecurityKey,
) -> TestResponse {
    let options = begin_sign_in(client, email).await;
    finish_sign_in(client, &key.get(&options)).await
}

pub(crate) async fn elevate(client: &Client, token: &str, key: &mut SecurityKey) -> TestResponse {
    let options = client.post_as("/elevate/webauthn", token, json!({})).await.json();
    let body = json!({"credential": key.get(&options)});
    client.post_as("/elevate/webauthn/verify", token, body).await
}

pub(crate) async fn add_key(
    client: &Client,
    token: &str,
    key: &mut SecurityKey,
    name: &str,
) -> TestResponse {
    let options = client.post_as("/user/webauthn/add", token, json!({})).await;
    let body = json!({"credential": key.create(&options.json()), "nickname": name});
    client.post_as("/user/webauthn/verify", token, body).await
}
