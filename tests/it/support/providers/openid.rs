//! `OpenID` Connect: the discovery document, key sets, and the claims of id tokens.

use serde_json::{Map, Value, json};

use super::Shared;
use super::catalogue::ClientAuth;
use super::state::{Account, ProviderState};
use super::wire::Reply;

/// `/.well-known/openid-configuration`.
pub(super) fn discovery(shared: &Shared, state: &ProviderState) -> Reply {
    let here = format!("{}/{}", shared.url, state.provider.id);
    let issuer = state.claimed_issuer.clone().unwrap_or_else(|| here.clone());
    Reply::json(
        200,
        &json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{here}/authorize"),
            "token_endpoint": format!("{here}/token"),
            "userinfo_endpoint": format!("{here}/profile"),
            "jwks_uri": format!("{here}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": match state.client_auth {
                ClientAuth::Either => json!(["client_secret_basic", "client_secret_post"]),
                ClientAuth::BasicOnly => json!(["client_secret_basic"]),
                ClientAuth::BodyOnly => json!(["client_secret_post"]),
            },
            "code_challenge_methods_supported": ["S256"],
        }),
    )
}

/// Who signs there.
pub(super) fn issuer(shared: &Shared, state: &ProviderState) -> String {
    match state.provider.id {
        "apple" => "https://appleid.apple.com".to_owned(),
        "google" => "https://accounts.google.com".to_owned(),
        other => format!("{}/{other}", shared.url),
    }
}

/// Right claims about an account, then changes: a `null` leaves one out.
pub(super) fn claims(
    shared: &Shared,
    state: &ProviderState,
    account: &Account,
    changes: &Value,
) -> Value {
    let now = shared.now();
    let profile = &account.profile;
    let mut claims = Map::new();
    for name in ["email", "email_verified", "name", "picture"] {
        if let Some(value) = profile.get(name) {
            claims.insert(name.to_owned(), value.clone());
        }
    }
    // Google's older profile has other names for the same.
    for (name, old) in
        [("sub", "sub"), ("sub", "id"), ("sub", "oid"), ("email_verified", "verified_email")]
    {
        if let (false, Some(value)) = (claims.contains_key(name), profile.get(old)) {
            claims.insert(name.to_owned(), value.clone());
        }
    }
    claims.insert("iss".to_owned(), json!(issuer(shared, state)));
    claims.insert("aud".to_owned(), json!(state.client_id()));
    claims.insert("iat".to_owned(), json!(now));
    claims.insert("exp".to_owned(), json!(now + 3_600));
    for (name, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    Value::Object(claims)
}

/// Text within HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
