//! How much clients may have stored: metadata (`AUTH_METADATA_MAX_BYTES`) and names.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{Client, PASSWORD, TestApp, TestResponse};
use crate::support::ceremonies::{ON, add_key};
use crate::support::providers::Providers;
use crate::support::security_key::SecurityKey;

const LIMIT: (&str, &str) = ("AUTH_METADATA_MAX_BYTES", "100");

/// An object of so many bytes as Postgres prints it: `{"a": "…"}`.
fn of_bytes(count: usize) -> Value {
    json!({"a": "x".repeat(count - 9)})
}

#[track_caller]
fn assert_too_large(response: &TestResponse, place: &str) {
    response.assert_refused(400, "invalid-request");
    let message = response.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with(&format!("{place}: ")), "{message}");
}

#[tokio::test]
async fn metadata_past_the_limit_is_refused_wherever_it_is_taken_and_nothing_is_written() {
    let providers = Providers::start().await;
    let settings = providers.settings(&["github", "google"]);
    let mut all: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend([
        LIMIT,
        ON,
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_OTP_EMAIL_ENABLED", "true"),
        ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_SMS_PROVIDER", "dev"),
    ]);
    let app = TestApp::start(&all).await;
    let options = json!({"metadata": of_bytes(101)});
    let with_options = |mut body: Value| {
        body["options"] = options.clone();
        body
    };
    let account = json!({"email": "new@example.com", "password": PASSWORD});
    let address = json!({"email": "new@example.com"});
    let identity = json!({"provider": "google", "idToken": "x"});
    for (path, body) in [
        ("/signup/email-password", with_options(account.clone())),
        ("/signin/passwordless/email", with_options(address.clone())),
        ("/signin/otp/email", with_options(address.clone())),
        ("/signin/passwordless/sms", with_options(json!({"phoneNumber": "+15550001111"}))),
        ("/signup/webauthn", with_options(address)),
        ("/signin/idtoken", with_options(identity.clone())),
        ("/signup/idtoken", with_options(identity)),
    ] {
        assert_too_large(&app.post(path, body).await, "/options/metadata");
    }
    let anonymous = json!({"metadata": of_bytes(101)});
    assert_too_large(&app.post("/signin/anonymous", anonymous).await, "/metadata");
    let metadata = of_bytes(101).to_string();
    for path in ["/signin/provider/github", "/signup/provider/github"] {
        let query: String = url::form_urlencoded::byte_serialize(metadata.as_bytes()).collect();
        let refused = app.get(&format!("{path}?metadata={query}")).await;
        assert_too_large(&refused, "query parameter metadata");
    }
    for table in ["auth.users", "auth.keywright_challenges", "auth.keywright_outbox"] {
        assert_eq!(app.database.count(&format!("select count(*) from {table}")).await, 0);
    }
    // With a bearer, and where a ceremony ends.
    let guest = app.anonymous().await;
    let mut body = with_options(account);
    body["signInMethod"] = json!("email-password");
    let refused = app.post_as("/user/deanonymize", guest.access_token(), body).await;
    assert_too_large(&refused, "/options/metadata");
    let pat = json!({"expiresAt": "2090-01-01T00:00:00Z", "metadata": of_bytes(101)});
    let ann = app.sign_up("ann@example.com").await.session();
    assert_too_large(&app.post_as("/pat", ann.access_token(), pat).await, "/metadata");
    let mut key = SecurityKey::new();
    let begun = app.post("/signup/webauthn", json!({"email": "key@example.com"})).await;
    let body = with_options(json!({"credential": key.create(&begun.json())}));
    let refused = app.post("/signup/webauthn/verify", body).await;
    assert_too_large(&refused, "/options/metadata");
    let pats = "select count(*) from auth.refresh_tokens where type = 'pat'";
    assert_eq!(app.database.count(pats).await, 0);
    assert_eq!(app.database.count("select count(*) from auth.users").await, 2);
}

#[tokio::test]
async fn what_counts_are_the_bytes_that_postgres_gives_back() {
    let app = TestApp::start(&[LIMIT]).await;
    let sign_in = async |metadata: &str| {
        let request = app
            .request(reqwest::Method::POST, "/signin/anonymous")
            .header("content-type", "application/json")
            .body(format!("{{\"metadata\":{metadata}}}"));
        Client::send(request).await
    };
    let exact = of_bytes(100).to_string();
    let spaced = exact.replace(':', &format!("{}:", " ".repeat(200)));
    let escaped = exact.replace("xxx", "\\u0078\\u0078x");
    for good in [&exact, &spaced, &escaped] {
        sign_in(good).await.session();
    }
    let stored = "select max(octet_length(metadata::text))::bigint from auth.users";
    assert_eq!(app.database.count(stored).await, 100);
    for bad in [of_bytes(101).to_string().as_str(), r#"{"a":1e99}"#, r#"{"a":[1e-40,1e-40,1e-40]}"#]
    {
        assert_too_large(&sign_in(bad).await, "/metadata");
    }
    // Not even a number that Postgres cannot hold.
    assert_too_large(&sign_in(r#"{"a":1e-20000}"#).await, "/metadata");
}

#[tokio::test]
async fn the_default_is_sixteen_kibibytes_and_a_user_with_more_goes_on() {
    let app = TestApp::start(&[]).await;
    app.post("/signin/anonymous", json!({"metadata": of_bytes(16_384)})).await.session();
    let more = json!({"metadata": of_bytes(16_385)});
    assert_too_large(&app.post("/signin/anonymous", more).await, "/metadata");
    let ann = app.sign_up("ann@example.com").await.session();
    let larger = format!(
        "update auth.users set metadata = jsonb_build_object('a', repeat('x', 200000))
          where id = '{}'",
        ann.user_id()
    );
    app.database.execute(&larger).await;
    let size = |user: &Value| user["metadata"]["a"].as_str().map_or(0, str::len);
    // Once the change has come through.
    crate::support::smtp::eventually("the profile to change", async || {
        size(&app.get_as("/user", ann.access_token()).await.json()) == 200_000
    })
    .await;
    let ann = app.refresh(ann.refresh_token()).await.session();
    assert_eq!(size(&ann.0["user"]), 200_000);
    app.sign_in("ann@example.com", PASSWORD).await.session();
}

#[tokio::test]
async fn names_have_a_length_also_where_the_contract_has_none() {
    let app = TestApp::start(&[ON]).await;
    let named = |name: String| json!({"displayName": name});
    let guest = app.post("/signin/anonymous", named("&é".repeat(16))).await.session();
    assert_eq!(guest.0["user"]["displayName"], "&é".repeat(16));
    let refused = app.post("/signin/anonymous", named("é".repeat(33))).await;
    assert_too_large(&refused, "/displayName");
    let ann = app.sign_up("ann@example.com").await.session();
    let mut key = SecurityKey::new();
    let refused = add_key(&app, ann.access_token(), &mut key, &"é".repeat(128)).await;
    assert_too_large(&refused, "/nickname");
    let key_id = add_key(&app, ann.access_token(), &mut key, &"é".repeat(127)).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let rename = async |name: String| {
        let request = app
            .request(reqwest::Method::PATCH, &format!("/user/webauthn/keys/{key_id}"))
            .bearer_auth(ann.access_token())
            .json(&json!({"nickname": name}));
        Client::send(request).await
    };
    assert_too_large(&rename("x".repeat(256)).await, "/nickname");
    rename("x".repeat(255)).await.assert_ok();
    let begun = app.post("/signup/webauthn", json!({"email": "key@example.com"})).await;
    let credential = SecurityKey::new().create(&begun.json());
    let body = json!({"credential": credential, "nickname": "x".repeat(256)});
    assert_too_large(&app.post("/signup/webauthn/verify", body.clone()).await, "/nickname");
    // The ceremony has not been used up.
    let body = json!({"credential": credential, "nickname": "x".repeat(255)});
    app.post("/signup/webauthn/verify", body).await.session();
}

#[tokio::test]
async fn only_operations_that_take_metadata_take_large_bodies() {
    let app = TestApp::start(&[]).await;
    let email = format!("{}@example.com", "x".repeat(70_000));
    let body = json!({"email": email, "password": PASSWORD});
    app.post("/signin/email-password", body.clone()).await.assert_refused(413, "payload-too-large");
    assert_eq!(app.post("/signup/email-password", body).await.status, StatusCode::BAD_REQUEST);
}
