//! Objects that browsers, extensions and libraries make, and pages that may use a domain's passkeys.

use serde_json::{Value, json};

use crate::support::app::{Client, TestApp, TestResponse};
use crate::support::ceremonies::{
    ON, begin_sign_in, begin_sign_up, finish_sign_in, finish_sign_up,
};
use crate::support::security_key::SecurityKey;

/// Members that somebody sends, at the credential and in its response.
fn ways_to_say_more() -> Vec<(Value, Value)> {
    vec![
        (
            json!({"authenticatorAttachment": null, "clientExtensionResults": null}),
            json!({"transports": null, "publicKey": null, "publicKeyAlgorithm": null,
                   "authenticatorData2": null, "userHandle": null}),
        ),
        (
            json!({"transports": ["internal"], "authenticatorAttachment": "platform",
                   "clientExtensionResults": {"credProps": {"rk": true}, "prf": {"enabled": null}}}),
            json!({"publicKeyAlgorithm": -7, "newMember": {"a": [1]}}),
        ),
        (
            json!({"toJSON": {}, "getClientExtensionResults": {}, "authenticatorAttachment": 1}),
            json!({"publicKey": "not base64url!", "publicKeyAlgorithm": "ES256"}),
        ),
    ]
}

fn with(mut credential: Value, (outer, inner): &(Value, Value)) -> Value {
    for (name, value) in outer.as_object().unwrap() {
        credential[name] = value.clone();
    }
    for (name, value) in inner.as_object().unwrap() {
        let is_needed = name == "userHandle" && credential["response"]["signature"].is_string();
        if !is_needed {
            credential["response"][name] = value.clone();
        }
    }
    credential
}

async fn post(client: &Client, path: &str, token: &str, credential: &Value) -> TestResponse {
    client.post_as(path, token, json!({"credential": credential})).await
}

#[tokio::test]
async fn whatever_else_browsers_say_of_a_credential_is_left_alone_in_every_ceremony() {
    let app = TestApp::start(&[ON]).await;
    for (number, more) in ways_to_say_more().iter().enumerate() {
        let mut key = SecurityKey::new();
        let email = format!("{number}@example.com");
        let options = begin_sign_up(&app, &email).await;
        let session = finish_sign_up(&app, &with(key.create(&options), more)).await.session();
        let token = session.access_token();

        let options = begin_sign_in(&app, None).await;
        finish_sign_in(&app, &with(key.get(&options), more)).await.session();

        let options = app.post_as("/elevate/webauthn", token, json!({})).await.json();
        let elevating = with(key.get(&options), more);
        let elevated = post(&app, "/elevate/webauthn/verify", token, &elevating).await.session();

        let token = elevated.access_token();
        let options = app.post_as("/user/webauthn/add", token, json!({})).await.json();
        let mut another = SecurityKey::new();
        let adding = with(another.create(&options), more);
        let added = post(&app, "/user/webauthn/verify", token, &adding).await;
        assert_eq!(added.status, 200, "{number}: {added:?}");
    }
    // What is ours is as strict as ever.
    let body = json!({"credential": {}, "surprise": 1});
    let refused = app.post("/signin/webauthn/verify", body).await;
    refused.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn related_origins_are_published_where_there_are_any() {
    let related = [
        ON,
        ("AUTH_API_PREFIX", "/v1"),
        ("AUTH_WEBAUTHN_RP_ID", "example.com"),
        (
            "AUTH_WEBAUTHN_RP_ORIGINS",
            "https://app.example.com, https://example.de/start, https://example.co.uk:8443, \
             android:apk-key-hash:abc, chrome-extension://gbjjnphl",
        ),
    ];
    let app = TestApp::start(&related).await;
    let response = app.get("/.well-known/webauthn").await;
    assert_eq!(response.header("content-type"), Some("application/json"));
    let origins = json!({"origins": ["https://example.de", "https://example.co.uk:8443"]});
    assert_eq!(response.json(), origins);
    app.get("/v1/.well-known/webauthn").await.assert_refused(404, "not-found");

    for none in [&[ON][..], &[("AUTH_WEBAUTHN_RP_ORIGINS", "https://example.de")]] {
        let app = TestApp::start(none).await;
        app.get("/.well-known/webauthn").await.assert_refused(404, "not-found");
    }
}

#[tokio::test]
async fn a_client_at_an_address_does_not_keep_the_server_from_starting() {
    let app = TestApp::start(&[ON, ("AUTH_CLIENT_URL", "http://127.0.0.1:3000")]).await;
    let options = begin_sign_up(&app, "ann@example.com").await;
    assert_eq!(options["rp"]["id"], "127.0.0.1");
}
