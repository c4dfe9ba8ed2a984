//! Access tokens: the claims that Hasura and every client of the reference read.

use serde_json::{Value, json};

use crate::support::app::{JWT_SECRET, TestApp};
use crate::support::jwt;

#[tokio::test]
async fn header_and_claims_are_exactly_those_of_the_reference_and_the_session() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let (id, token) = (session.user_id(), session.access_token());
    assert_eq!(jwt::part(token, 0), r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = jwt::payload(token);
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!(exp - iat, 900);
    assert!((iat - app.clock.now().unix_timestamp()).abs() <= 30);
    // Members in the order of their names, as the reference's serialiser has them.
    let expected = format!(
        concat!(
            r#"{{"exp":{exp},"https://hasura.io/jwt/claims":{{"#,
            r#""x-hasura-allowed-roles":["me","user","editor"],"x-hasura-default-role":"user","#,
            r#""x-hasura-user-id":"{id}","x-hasura-user-is-anonymous":"false"}},"#,
            r#""iat":{iat},"iss":"hasura-auth","sid":"{sid}","sub":"{id}"}}"#
        ),
        exp = exp,
        id = id,
        sid = session.id(),
        iat = iat
    );
    assert_eq!(jwt::part(token, 1), expected);
    assert!(!token.contains('='), "base64 without padding");
}

#[tokio::test]
async fn every_way_to_a_session_gives_the_same_claims() {
    let app = TestApp::start(&[]).await;
    let up = app.sign_up("ann@example.com").await.session();
    let inside = app.sign_in("ann@example.com", crate::support::app::PASSWORD).await.session();
    let refreshed = app.refresh(up.refresh_token()).await.session();
    let claims = |token: &str| jwt::payload(token)["https://hasura.io/jwt/claims"].clone();
    assert_eq!(claims(up.access_token()), claims(inside.access_token()));
    assert_eq!(claims(up.access_token()), claims(refreshed.access_token()));
}

#[tokio::test]
async fn issuer_namespace_kid_and_lifetime_are_settings() {
    let mut secret: Value = serde_json::from_str(JWT_SECRET).unwrap();
    secret["issuer"] = json!("https://auth.example.com/\"x\"");
    secret["claims_namespace"] = json!("https://example.com/claims");
    secret["kid"] = json!("k1");
    let secret = secret.to_string();
    let app = TestApp::start(&[
        ("HASURA_GRAPHQL_JWT_SECRET", &secret),
        ("AUTH_ACCESS_TOKEN_EXPIRES_IN", "77"),
    ])
    .await;
    let session = app.sign_up("ann@example.com").await.session();
    let claims = jwt::payload(session.access_token());
    assert_eq!(claims["iss"], "https://auth.example.com/\"x\"");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 77);
    assert!(claims["https://example.com/claims"]["x-hasura-user-id"].is_string());
    assert_eq!(jwt::header(session.access_token())["kid"], "k1");
    assert_eq!(session.0["accessTokenExpiresIn"], 77);
    assert_eq!(app.get_as("/user", session.access_token()).await.status, 200);
    // The usual issuer is not ours now.
    let usual = jwt::sign(&jwt::claims(session.user_id()));
    app.get_as("/user", &usual).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn the_default_role_is_among_the_roles_even_if_its_row_is_missing() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let other = TestApp::start_on(app.database.clone(), &[]).await;
    app.database.execute("delete from auth.user_roles where role = 'user'").await;
    let fresh = other.refresh(session.refresh_token()).await.session();
    let claims = jwt::payload(fresh.access_token());
    let roles = &claims["https://hasura.io/jwt/claims"]["x-hasura-allowed-roles"];
    assert_eq!(roles, &json!(["me", "editor", "user"]));
    assert_eq!(fresh.0["user"]["roles"], json!(["me", "editor", "user"]));
}

#[tokio::test]
async fn the_claims_of_an_anonymous_user_say_so() {
    let app = TestApp::start(&[]).await;
    let session = app.anonymous().await;
    let claims = jwt::payload(session.access_token());
    assert_eq!(
        claims["https://hasura.io/jwt/claims"],
        json!({
            "x-hasura-allowed-roles": ["anonymous"],
            "x-hasura-default-role": "anonymous",
            "x-hasura-user-id": session.user_id().to_string(),
            "x-hasura-user-is-anonymous": "true",
        })
    );
}
