//! What holds for every route: methods, bodies, bearers, in the contract's error body.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Client, PASSWORD, TestApp, TestResponse};
use crate::support::jwt;

/// How a route takes a body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Body {
    Required,
    Optional,
    /// Required, and members that nobody knows are ignored.
    Open,
}

/// A member with a value of a wrong type.
type WrongMember = (&'static str, Value);
/// Path, kind, a good body, and its members.
type Operation = (&'static str, Body, Value, Vec<WrongMember>);

/// Every operation that reads a JSON body: path, kind, a good body, and its members.
fn operations() -> Vec<Operation> {
    let token = "2c35b6f3-c4b9-48e3-978a-d4d0f1d42e24";
    let account = json!({"email": "new@example.com", "password": PASSWORD});
    let account_members = vec![("email", json!(1)), ("password", json!(1))];
    let mut sign_up_members = account_members.clone();
    sign_up_members.push(("options", json!("x")));
    vec![
        ("/signup/email-password", Body::Required, account.clone(), sign_up_members),
        ("/signin/email-password", Body::Required, account, account_members),
        (
            "/signin/anonymous",
            Body::Optional,
            json!({"displayName": "x"}),
            vec![("displayName", json!(1)), ("locale", json!("eng")), ("metadata", json!([]))],
        ),
        (
            "/token",
            Body::Required,
            json!({"refreshToken": token}),
            vec![("refreshToken", json!(1))],
        ),
        ("/token/verify", Body::Optional, json!({"token": "x"}), vec![("token", json!(1))]),
        (
            "/signout",
            Body::Open,
            json!({"refreshToken": token}),
            vec![("refreshToken", json!(1)), ("all", json!("yes"))],
        ),
        (
            "/user/email/send-verification-email",
            Body::Required,
            json!({"email": "new@example.com"}),
            vec![("email", json!(1)), ("options", json!([]))],
        ),
    ]
    .into_iter()
    .chain(account_operations())
    .chain(sign_in_operations())
    .chain(provider_operations())
    .collect()
}

/// What users do with their account.
fn account_operations() -> Vec<Operation> {
    vec![
        (
            "/user/password/reset",
            Body::Required,
            json!({"email": "new@example.com"}),
            vec![("email", json!(1)), ("options", json!([]))],
        ),
        (
            "/user/password",
            Body::Required,
            json!({"newPassword": PASSWORD}),
            vec![("newPassword", json!("ab")), ("ticket", json!("verifyEmail:x"))],
        ),
        (
            "/user/email/change",
            Body::Required,
            json!({"newEmail": "new@example.com"}),
            vec![("newEmail", json!("no")), ("options", json!([]))],
        ),
        (
            "/user/deanonymize",
            Body::Required,
            json!({"signInMethod": "passwordless", "email": "new@example.com"}),
            vec![
                ("signInMethod", json!("sms")),
                ("email", json!(1)),
                ("password", json!("ab")),
                ("connection", json!(1)),
                ("options", json!("x")),
            ],
        ),
        (
            "/user/mfa",
            Body::Required,
            json!({"code": "123456"}),
            vec![("code", json!(123_456)), ("activeMfaType", json!("sms"))],
        ),
        (
            "/pat",
            Body::Required,
            json!({"expiresAt": "2090-01-01T00:00:00Z"}),
            vec![("expiresAt", json!("2090-01-01")), ("metadata", json!([]))],
        ),
    ]
}

/// Ways to sign in besides passwords.
fn sign_in_operations() -> Vec<Operation> {
    let token = "2c35b6f3-c4b9-48e3-978a-d4d0f1d42e24";
    vec![
        (
            "/signin/pat",
            Body::Required,
            json!({"personalAccessToken": token}),
            vec![("personalAccessToken", json!(1))],
        ),
        (
            "/signin/mfa/totp",
            Body::Required,
            json!({"ticket": "mfaTotp:x", "otp": "123456"}),
            vec![("ticket", json!("verifyEmail:x")), ("otp", json!(123_456))],
        ),
        (
            "/signin/passwordless/email",
            Body::Required,
            json!({"email": "new@example.com"}),
            vec![("email", json!(1)), ("options", json!([]))],
        ),
        (
            "/signin/otp/email",
            Body::Required,
            json!({"email": "new@example.com"}),
            vec![("email", json!(1)), ("options", json!([]))],
        ),
        (
            "/signin/otp/email/verify",
            Body::Required,
            json!({"email": "new@example.com", "otp": "123456"}),
            vec![("email", json!(1)), ("otp", json!(123_456))],
        ),
        (
            "/signin/passwordless/sms",
            Body::Required,
            json!({"phoneNumber": "+15550001111"}),
            vec![("phoneNumber", json!(1)), ("options", json!([]))],
        ),
        (
            "/signin/passwordless/sms/otp",
            Body::Required,
            json!({"phoneNumber": "+15550001111", "otp": "123456"}),
            vec![("phoneNumber", json!(1)), ("otp", json!(123_456))],
        ),
    ]
}

/// What concerns providers.
fn provider_operations() -> Vec<Operation> {
    let identity = json!({"provider": "google", "idToken": "x"});
    let identity_members =
        vec![("provider", json!("github")), ("idToken", json!(1)), ("nonce", json!(1))];
    let mut options_too = identity_members.clone();
    options_too.push(("options", json!([])));
    vec![
        ("/signin/idtoken", Body::Required, identity.clone(), options_too.clone()),
        ("/signup/idtoken", Body::Required, identity.clone(), options_too),
        ("/link/idtoken", Body::Required, identity, identity_members),
        (
            "/link/provider/github",
            Body::Optional,
            json!({"state": "x"}),
            vec![
                ("redirectTo", json!(1)),
                ("state", json!(1)),
                ("providerSpecificParams", json!([])),
                ("providerTokens", json!("yes")),
            ],
        ),
        (
            "/token/exchange",
            Body::Required,
            json!({"code": "x", "codeVerifier": "A".repeat(43)}),
            vec![("code", json!(1)), ("codeVerifier", json!("short"))],
        ),
        (
            "/token/provider/github",
            Body::Required,
            json!({"refreshToken": "x"}),
            vec![("refreshToken", json!(1))],
        ),
    ]
}

async fn post(app: &TestApp, path: &str, content_type: Option<&str>, body: &str) -> TestResponse {
    let mut request = app.request(Method::POST, path).body(body.to_owned());
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    Client::send(request).await
}

/// Rows of everything that a request could change.
async fn rows(app: &TestApp) -> i64 {
    app.database
        .count(
            "select (select count(*) from auth.users) + (select count(*) from auth.refresh_tokens)
                  + (select count(*) from auth.keywright_outbox)
                  + (select count(*) from auth.keywright_tickets)",
        )
        .await
}

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn bodies_that_break_the_schema_are_refused_by_name_and_change_nothing() {
    let app = TestApp::start(&[]).await;
    for (path, kind, good, members) in operations() {
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            body.to_string()
        };
        let refused = async |content_type: Option<&str>, body: &str, named: &str| {
            let response = post(&app, path, content_type, body).await;
            assert_eq!(response.status, StatusCode::BAD_REQUEST, "{path} {body}: {response:?}");
            response.assert_refused(400, "invalid-request");
            assert!(response.text.contains(named), "{path} {body}: {response:?}");
        };
        for (name, wrong) in members {
            refused(JSON, &with(name, wrong), name).await;
            refused(JSON, &with(name, Value::Null), name).await;
        }
        if kind != Body::Open {
            refused(JSON, &with("surprise", json!(1)), "surprise").await;
        }
        if kind != Body::Optional {
            refused(JSON, "", "body").await;
            refused(None, "", "body").await;
        }
        refused(JSON, "{", "JSON").await;
        refused(JSON, "nonsense", "JSON").await;
        refused(JSON, "[1]", "").await;
        let values: Vec<&Value> = good.as_object().unwrap().values().collect();
        refused(JSON, &json!(values).to_string(), "an object").await;
        refused(JSON, "null", "").await;
        let text = good.to_string();
        refused(None, &text, "Content-Type").await;
        refused(Some("text/plain"), &text, "Content-Type").await;
        refused(Some("application/x-www-form-urlencoded"), &text, "Content-Type").await;
    }
    assert_eq!(rows(&app).await, 0);
}

#[tokio::test]
async fn required_members_are_missed_by_name() {
    let app = TestApp::start(&[]).await;
    for (path, body, named) in [
        ("/signup/email-password", json!({"password": PASSWORD}), "email"),
        ("/signup/email-password", json!({"email": "a@example.com"}), "password"),
        ("/signin/email-password", json!({"password": PASSWORD}), "email"),
        ("/signin/email-password", json!({"email": "a@example.com"}), "password"),
        ("/token", json!({}), "refreshToken"),
        ("/user/email/send-verification-email", json!({}), "email"),
    ] {
        let response = app.post(path, body).await;
        response.assert_refused(400, "invalid-request");
        assert!(response.text.contains(named), "{path}: {response:?}");
    }
    let deep = json!({
        "email": "a@example.com", "password": PASSWORD, "options": {"allowedRoles": ["me", 1]},
    });
    let response = app.post("/signup/email-password", deep).await;
    assert!(response.text.contains("/options/allowedRoles/1"), "{response:?}");
    assert_eq!(rows(&app).await, 0);
}

#[tokio::test]
async fn a_password_of_a_wrong_type_is_not_sent_back() {
    let app = TestApp::start(&[]).await;
    for path in ["/signup/email-password", "/signin/email-password"] {
        let response =
            app.post(path, json!({"email": "a@example.com", "password": 80_085_135})).await;
        response.assert_refused(400, "invalid-request");
        assert!(!response.text.contains("80085135"), "{response:?}");
    }
}

#[tokio::test]
async fn oversized_bodies_are_refused_and_the_server_goes_on() {
    let app = TestApp::start(&[("AUTH_HTTP_MAX_BODY_BYTES", "2000")]).await;
    for (path, ..) in operations() {
        let body = json!({"surprise": "x".repeat(2_000)}).to_string();
        post(&app, path, JSON, &body).await.assert_refused(413, "payload-too-large");
    }
    assert_eq!(rows(&app).await, 0);
    app.anonymous().await;
}

#[tokio::test]
async fn json_with_parameters_or_something_behind_it_is_accepted() {
    let app = TestApp::start(&[]).await;
    let utf8 = Some("application/json; charset=utf-8");
    post(&app, "/signin/anonymous", utf8, "{\"displayName\":\"x\"}").await.session();
    post(&app, "/signin/anonymous", JSON, "{\"displayName\":\"x\"} trailing").await.session();
}

#[tokio::test]
async fn every_route_refuses_other_methods_by_405_and_the_list_of_its_own() {
    let mail = std::env::temp_dir().join(format!("keywright-mail-{}", uuid::Uuid::new_v4()));
    let app = TestApp::start(&[
        ("AUTH_ENABLE_CHANGE_ENV", "true"),
        ("AUTH_MAIL_CAPTURE_FOLDER", mail.to_str().unwrap()),
        ("AUTH_DEV_ROUTES", "true"),
    ])
    .await;
    // The table itself, so that a route that is added later is walked too.
    let loaded = app.app().config();
    let table =
        keywright::http::routes::router(&loaded.server, &loaded.mail.transport).expect("it serves");
    let routes = table.routes();
    assert!(routes.len() >= 19, "{routes:?}");
    for route in routes {
        let path = route.path.replace("{id}", "00000000-0000-4000-8000-000000000000");
        let own: Vec<_> =
            routes.iter().filter(|r| r.path == route.path).map(|r| r.method.clone()).collect();
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE] {
            if own.contains(&method) {
                continue;
            }
            let response = Client::send(app.request(method.clone(), &path)).await;
            assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            let allow = response.header("allow").unwrap_or_default();
            let allowed: Vec<_> = allow.split(", ").collect();
            assert!(own.iter().all(|own| allowed.contains(&own.as_str())), "{path}: {allow}");
            assert_eq!(allowed.len(), own.len(), "{path}: {allow}");
            if method != Method::HEAD {
                response.assert_refused(405, "method-not-allowed");
            }
        }
        let unknown = format!("{path}/no/more");
        app.get(&unknown).await.assert_refused(404, "not-found");
    }
    assert_eq!(rows(&app).await, 0);
    let _ = std::fs::remove_dir_all(&mail);
}

#[tokio::test]
async fn where_a_bearer_is_needed_a_bad_one_is_a_bad_request_and_does_nothing() {
    let app = TestApp::start(&[]).await;
    let ann = app.sign_up("ann@example.com").await.session();
    let mut tokens = jwt::refused_tokens(ann.user_id());
    tokens.push(("an empty one", String::new()));
    for (method, path, body) in [
        (Method::GET, "/user", None),
        (Method::POST, "/token/verify", Some(json!({}))),
        (Method::GET, "/mfa/totp/generate", None),
        (Method::POST, "/user/mfa", Some(json!({"code": "123456"}))),
        (Method::POST, "/pat", Some(json!({"expiresAt": "2090-01-01T00:00:00Z"}))),
        (Method::POST, "/user/email/change", Some(json!({"newEmail": "new@example.com"}))),
        (
            Method::POST,
            "/user/deanonymize",
            Some(json!({"signInMethod": "passwordless", "email": "new@example.com"})),
        ),
        (Method::POST, "/signout", Some(json!({"all": true}))),
        (Method::POST, "/link/idtoken", Some(json!({"provider": "google", "idToken": "x"}))),
        (Method::POST, "/link/provider/github", Some(json!({}))),
        (Method::GET, "/signin/provider/github/callback/tokens", None),
        (Method::POST, "/token/provider/github", Some(json!({"refreshToken": "x"}))),
    ] {
        let send = async |token: Option<&str>| {
            let mut request = app.request(method.clone(), path);
            if let Some(body) = &body {
                request = request.json(body);
            }
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            Client::send(request).await
        };
        send(None).await.assert_refused(400, "invalid-request");
        for (what, token) in &tokens {
            let response = send(Some(token)).await;
            assert_eq!(response.status, StatusCode::BAD_REQUEST, "{path}, {what}: {response:?}");
            response.assert_refused(400, "invalid-request");
        }
    }
    app.refresh(ann.refresh_token()).await.session();
}

#[tokio::test]
async fn a_bearer_acts_for_its_own_user_only() {
    let app = TestApp::start(&[]).await;
    let ann = app.sign_up("ann@example.com").await.session();
    let bob = app.sign_up("bob@example.com").await.session();
    let profile = app.get_as("/user", bob.access_token()).await.json();
    assert_eq!(profile["id"], bob.user_id().to_string());
    // The claims' user id is not who the caller is; `sub` is.
    let mut mixed = jwt::claims(bob.user_id());
    mixed["https://hasura.io/jwt/claims"] = json!({"x-hasura-user-id": ann.user_id()});
    let profile = app.get_as("/user", &jwt::sign(&mixed)).await.json();
    assert_eq!(profile["id"], bob.user_id().to_string());
    app.post_as("/signout", bob.access_token(), json!({"all": true})).await.assert_ok();
    app.refresh(bob.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    app.refresh(ann.refresh_token()).await.session();
}

#[tokio::test]
async fn responses_carry_a_request_id_and_repeat_a_sane_one() {
    let app = TestApp::start(&[]).await;
    let fresh = app.get("/version").await;
    assert!(fresh.header("x-request-id").is_some_and(|id| id.len() == 36), "{fresh:?}");
    let request = app.request(Method::GET, "/nowhere").header("x-request-id", "client-1");
    assert_eq!(Client::send(request).await.header("x-request-id"), Some("client-1"));
}
