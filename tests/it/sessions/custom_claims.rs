//! Custom claims of access tokens, as Hasura knows them.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, Session, TestApp};
use crate::support::hasura::{Hasura, Say};
use crate::support::jwt::payload;
use crate::support::smtp::eventually;

/// The claims under Hasura's namespace.
fn claims(session: &Session) -> Value {
    payload(session.access_token())["https://hasura.io/jwt/claims"].clone()
}

/// A server with these claims, and more settings.
async fn start(hasura: &Hasura, claims: &str, more: &[(&str, &str)]) -> TestApp {
    let mut settings = vec![
        ("HASURA_GRAPHQL_GRAPHQL_URL", hasura.url.as_str()),
        ("HASURA_GRAPHQL_ADMIN_SECRET", "the admin's secret"),
        ("AUTH_JWT_CUSTOM_CLAIMS", claims),
    ];
    settings.extend_from_slice(more);
    TestApp::start(&settings).await
}

/// Waits until this node has heard of every change of users so far, sign-ups among them: it hears of
/// them in their order, and a change of a later user shows when it has.
async fn settled(app: &TestApp) {
    let mut other = app.anonymous().await;
    let id = other.user_id();
    app.database
        .execute(&format!("update auth.users set metadata = '{{\"n\":1}}' where id = '{id}'"))
        .await;
    for _ in 0..1_000 {
        other = refresh(app, &other).await;
        if other.0["user"]["metadata"]["n"] == 1 {
            return;
        }
    }
    panic!("the change was never heard of");
}

async fn refresh(app: &TestApp, session: &Session) -> Session {
    app.refresh(session.refresh_token()).await.session()
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_up_sign_in_and_refresh_carry_values_of_every_kind() {
    let hasura = Hasura::start(json!({
        "text": "a <b>", "number": 12_345_678_901_234_567_u64, "truth": true, "object": {"k": "<&>"},
        "list": ["a", "b"], "nothing": null, "profile": {"org": {"id": 5}},
        "teams": [{"id": 1, "role": "admin"}, {"id": 2, "role": "guest"}],
    }))
    .await;
    let paths = r#"{"text":"text","Number":"number","truth":"truth","object":"object","list":"list",
        "nothing":"nothing","x-hasura-ORG":"profile.org.id","teams":"teams[].id",
        "admin-of":"teams[?(@.role == 'admin')].id","missing":"teams[7].id","fallback":"profile.org.name"}"#;
    let defaults = ("AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS", r#"{"fallback":["x"],"text":"unused"}"#);
    let app = start(&hasura, paths, &[defaults]).await;
    let signed_up = app.sign_up("kim@example.com").await.session();
    let signed_in = app.sign_in("kim@example.com", PASSWORD).await.session();
    let refreshed = refresh(&app, &signed_in).await;
    let anonymous = app.anonymous().await;
    for session in [signed_up, signed_in, refreshed, anonymous] {
        let claims = claims(&session);
        for (name, value) in [
            ("text", "a <b>"),
            ("number", "12345678901234567"),
            ("truth", "true"),
            ("object", r#"{"k":"\u003c\u0026\u003e"}"#),
            ("list", r#"{"a","b"}"#),
            ("nothing", "null"),
            ("org", "5"),
            ("teams", "{1,2}"),
            ("admin-of", "{1}"),
            ("missing", "null"),
            ("fallback", r#"{"x"}"#),
        ] {
            assert_eq!(claims[format!("x-hasura-{name}")], value, "{name} in {claims}");
        }
        assert_eq!(claims["x-hasura-user-id"], session.user_id().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_keep_their_digits_and_what_is_missing_may_be_left_out() {
    let hasura = Hasura::start(json!({})).await;
    let paths = r#"{"id":"id","ids":"ids","price":"price","deep":"metadata.a[0]","plain":"plain",
        "chosen":"rows[?(@.id == 9007199254740993)].n","missing":"no.where","given":"no.where"}"#;
    let app = start(
        &hasura,
        paths,
        &[
            ("AUTH_JWT_CUSTOM_CLAIMS_MISSING", "omit"),
            ("AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS", r#"{"given":9007199254740993}"#),
        ],
    )
    .await;
    let user = r#"{"id":9007199254740993,"ids":[9007199254740993,1],"price":12345678901234567890.12,
        "metadata":{"a":[18446744073709551617]},"plain":1.50,
        "rows":[{"id":9007199254740992,"n":1},{"id":9007199254740993,"n":2}]}"#;
    hasura.say_once(Say::Text(200, format!(r#"{{"data":{{"user":{user}}}}}"#)));
    let claims = claims(&app.anonymous().await);
    for (name, value) in [
        ("id", "9007199254740993"),
        ("ids", "{9007199254740993,1}"),
        ("price", "12345678901234567890.12"),
        ("deep", "18446744073709551617"),
        ("plain", "1.5"),
        ("chosen", "{2}"),
        ("given", "9007199254740993"),
    ] {
        assert_eq!(claims[format!("x-hasura-{name}")], value, "{name} in {claims}");
    }
    assert!(claims.get("x-hasura-missing").is_none(), "{claims}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hasura_is_asked_as_the_contract_says() {
    let hasura = Hasura::start(json!({"a": {"b": 1}})).await;
    let app =
        start(&hasura, r#"{"b":"a.b","m":"metadata.x.y","d":"a.c[?(@.v == 'a')].id"}"#, &[]).await;
    let session = app.anonymous().await;
    let asked = hasura.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].secret, "the admin's secret");
    assert_eq!(asked[0].body["variables"], json!({"id": session.user_id()}));
    let query = "query GetClaims($id: uuid!) { user(id:$id) {a{b c{id v }}metadata } }";
    assert_eq!(asked[0].body["query"], query);
    assert!(asked[0].text.ends_with("}\n") && asked[0].text.starts_with(r#"{"query":"#));
}

/// Names are compared as Hasura does it, without case
/// (docs/reference-behaviour.md#claims-ignore-case).
#[tokio::test(flavor = "multi_thread")]
async fn no_custom_claim_replaces_or_doubles_one_of_the_servers_in_any_case() {
    let hasura = Hasura::start(json!({"evil": "admin", "fine": "yes"})).await;
    let paths = r#"{"user-id":"evil","X-Hasura-User-Id":"evil","x-HASURA-default-ROLE":"evil",
        "ALLOWED-ROLES":"evil","X-HASURA-ALLOWED-ROLES":"evil","User-Is-Anonymous":"evil",
        "auth-elevated":"evil","X-Hasura-Auth-Elevated":"evil","role":"evil","X-Hasura-Role":"evil",
        "X-Hasura-Fine":"fine"}"#;
    let app = start(&hasura, paths, &[]).await;
    let session = app.sign_up("lee@example.com").await.session();
    for session in [refresh(&app, &session).await, session] {
        let expected = json!({
            "x-hasura-allowed-roles": ["me", "user", "editor"],
            "x-hasura-default-role": "user",
            "x-hasura-fine": "yes",
            "x-hasura-user-id": session.user_id(),
            "x-hasura-user-is-anonymous": "false",
        });
        let mut claims = claims(&session);
        claims["x-hasura-allowed-roles"].as_array_mut().unwrap().sort_by_key(Value::to_string);
        let mut expected = expected;
        expected["x-hasura-allowed-roles"].as_array_mut().unwrap().sort_by_key(Value::to_string);
        assert_eq!(claims, expected);
    }
}

/// The session matters more than its custom claims
/// (docs/reference-behaviour.md#tokens-without-custom-claims).
#[tokio::test(flavor = "multi_thread")]
async fn whatever_hasura_does_the_token_is_issued_without_custom_claims() {
    let hasura = Hasura::start(json!({"a": "x"})).await;
    let defaults = ("AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS", r#"{"a":"default"}"#);
    let timeout = ("AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT", "200ms");
    let app = start(&hasura, r#"{"a":"a"}"#, &[defaults, timeout]).await;
    for say in [
        Say::Text(500, "{}".to_owned()),
        Say::Text(302, r#"{"data":{"user":{"a":"x"}}}"#.to_owned()),
        Say::Text(200, "nonsense".to_owned()),
        Say::Text(200, r#"{"errors":[{"message":"no"}]}"#.to_owned()),
        Say::Text(200, r#"{"data":null}"#.to_owned()),
        Say::Text(200, r#"{"data":{"user":null}}"#.to_owned()),
        Say::Nothing,
    ] {
        hasura.say_once(say.clone());
        let session = app.anonymous().await;
        assert_eq!(claims(&session)["x-hasura-a"], Value::Null, "{say:?}");
        assert_eq!(claims(&session)["x-hasura-default-role"], "anonymous");
    }
    let usable = r#"{"errors":[{"message":"warning"}],"data":{"user":{"a":"x"}}}"#;
    hasura.say_once(Say::Text(200, usable.to_owned()));
    assert_eq!(claims(&app.anonymous().await)["x-hasura-a"], "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_uses_what_is_as_young_as_the_setting_says_and_nothing_older() {
    let hasura = Hasura::start(json!({"a": "old"})).await;
    let max_age = ("AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE", "1m");
    let app = start(&hasura, r#"{"a":"a"}"#, &[max_age]).await;
    let session = app.sign_up("max@example.com").await.session();
    settled(&app).await;
    let session = refresh(&app, &session).await;
    let asked = hasura.asked().len();
    hasura.say(Say::User(json!({"a": "new"})));
    let session = refresh(&app, &session).await;
    assert_eq!(claims(&session)["x-hasura-a"], "old");
    assert_eq!(hasura.asked().len(), asked);
    app.clock.advance(time::Duration::seconds(61));
    let session = refresh(&app, &session).await;
    assert_eq!(claims(&session)["x-hasura-a"], "new");
    assert_eq!(hasura.asked().len(), asked + 1);

    hasura.say(Say::User(json!({"a": "newer"})));
    let signed_in = app.sign_in("max@example.com", PASSWORD).await.session();
    assert_eq!(claims(&signed_in)["x-hasura-a"], "newer", "a sign-in takes nothing old");
    assert_eq!(claims(&refresh(&app, &session).await)["x-hasura-a"], "newer");
    assert_eq!(hasura.asked().len(), asked + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cache_every_token_asks() {
    let hasura = Hasura::start(json!({"a": "old"})).await;
    let app = start(&hasura, r#"{"a":"a"}"#, &[("AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE", "0s")]).await;
    let mut session = app.anonymous().await;
    for value in ["1", "2", "3"] {
        hasura.say(Say::User(json!({"a": value})));
        session = refresh(&app, &session).await;
        assert_eq!(claims(&session)["x-hasura-a"], value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_values_stand_in_for_failures_only_as_long_as_the_setting_says() {
    let hasura = Hasura::start(json!({"a": "known"})).await;
    let more = [("AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE", "1s"), ("AUTH_JWT_CUSTOM_CLAIMS_STALE", "10m")];
    let app = start(&hasura, r#"{"a":"a"}"#, &more).await;
    let session = app.anonymous().await;
    hasura.say(Say::Text(503, String::new()));
    app.clock.advance(time::Duration::minutes(5));
    let session = refresh(&app, &session).await;
    assert_eq!(claims(&session)["x-hasura-a"], "known");
    app.clock.advance(time::Duration::minutes(4));
    let session = refresh(&app, &session).await;
    assert_eq!(claims(&session)["x-hasura-a"], "known", "a failure does not make them older");
    app.clock.advance(time::Duration::minutes(2));
    let session = refresh(&app, &session).await;
    assert_eq!(claims(&session)["x-hasura-a"], Value::Null);
    assert_eq!(hasura.asked().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_ask_once() {
    let hasura = Hasura::start(json!({"a": "x"})).await;
    let app = start(&hasura, r#"{"a":"a"}"#, &[("AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE", "1m")]).await;
    app.sign_up("nia@example.com").await.session();
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(app.sign_in("nia@example.com", PASSWORD).await.session());
    }
    let before = hasura.asked().len();
    app.clock.advance(time::Duration::minutes(2));
    hasura.hold(true);
    let asking = futures_util::future::join_all(sessions.iter().map(|one| refresh(&app, one)));
    let release = async {
        eventually("the question", async || hasura.asked().len() > before).await;
        hasura.hold(false);
    };
    let (refreshed, ()) = tokio::join!(asking, release);
    for session in refreshed {
        assert_eq!(claims(&session)["x-hasura-a"], "x");
    }
    assert_eq!(hasura.asked().len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_users_row_counts_in_spite_of_the_cache() {
    let hasura = Hasura::start(json!({"a": "old"})).await;
    let app = start(&hasura, r#"{"a":"a"}"#, &[("AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE", "1h")]).await;
    let session = app.anonymous().await;
    hasura.say(Say::User(json!({"a": "new"})));
    let id = session.user_id();
    app.database
        .execute(&format!("update auth.users set metadata = '{{\"n\":1}}' where id = '{id}'"))
        .await;
    let mut session = session;
    for _ in 0..1_000 {
        session = refresh(&app, &session).await;
        if claims(&session)["x-hasura-a"] == "new" {
            return;
        }
    }
    panic!("the change never counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn change_env_switches_claims_on_and_off() {
    let hasura = Hasura::start(json!({"a": "x"})).await;
    let app = TestApp::start(&[("AUTH_ENABLE_CHANGE_ENV", "true")]).await;
    assert_eq!(claims(&app.anonymous().await)["x-hasura-a"], Value::Null);
    for (body, value) in [
        (
            json!({"AUTH_JWT_CUSTOM_CLAIMS": r#"{"a":"a","b":"b"}"#, "HASURA_GRAPHQL_GRAPHQL_URL": hasura.url,
                "HASURA_GRAPHQL_ADMIN_SECRET": "s"}),
            json!(["x", "null"]),
        ),
        (json!({"AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS": r#"{"b":1}"#}), json!(["x", "1"])),
        (json!({"AUTH_JWT_CUSTOM_CLAIMS": "{}"}), json!([null, null])),
    ] {
        assert_eq!(app.post("/change-env", body).await.status.as_u16(), 200);
        let claims = claims(&app.anonymous().await);
        assert_eq!(json!([claims["x-hasura-a"], claims["x-hasura-b"]]), value);
    }
    let refused = app.post("/change-env", json!({"AUTH_JWT_CUSTOM_CLAIMS": r#"{"a":"["}"#})).await;
    assert_eq!(refused.status.as_u16(), 400);
}
