//! Twitter: OAuth 1.0a, with every signature checked.

use hyper::Method;
use serde_json::json;
use uuid::Uuid;

use super::Shared;
use super::oauth1::{read_header, signature};
use super::state::{Choice, ProviderState, RequestToken};
use super::wire::{Call, Parameters, Reply};

/// How far a timestamp may be off, in seconds.
const CLOCK_SKEW: i64 = 300;

fn denied(why: &str) -> Reply {
    let body = json!({"errors": [{"code": 32, "message": why}]});
    Reply::json(401, &body)
}

/// The `oauth_*` parameters, once the signature over them is proven right.
fn verified(
    shared: &Shared,
    state: &mut ProviderState,
    call: &Call,
    secret_of: impl FnOnce(&ProviderState, &str) -> Option<String>,
) -> Result<Parameters, Reply> {
    let header = call.header("authorization").ok_or_else(|| denied("no authorization"))?;
    let mut oauth = read_header(header).ok_or_else(|| denied("no OAuth header"))?;
    let given = oauth.remove("oauth_signature").ok_or_else(|| denied("no signature"))?;
    let get = |name: &str| oauth.get(name).cloned().unwrap_or_default();
    if get("oauth_consumer_key") != state.client_id() {
        return Err(denied("unknown consumer"));
    }
    if (get("oauth_signature_method"), get("oauth_version"))
        != ("HMAC-SHA1".to_owned(), "1.0".to_owned())
    {
        return Err(denied("unknown method or version"));
    }
    let time: i64 = get("oauth_timestamp").parse().map_err(|_| denied("no timestamp"))?;
    if (time - shared.now()).abs() > CLOCK_SKEW {
        return Err(denied("timestamp out of bounds"));
    }
    if get("oauth_nonce").is_empty() || !state.nonces.insert(get("oauth_nonce")) {
        return Err(denied("no new nonce"));
    }
    let token_secret = match oauth.get("oauth_token") {
        None => String::new(),
        Some(token) => secret_of(state, token).ok_or_else(|| denied("unknown token"))?,
    };
    if !call.body.is_empty() {
        return Err(denied("a body is not expected"));
    }
    let mut all = oauth.clone();
    all.extend(call.query()?);
    let url = format!("{}{}", shared.url, call.path);
    let right = signature(call.method.as_str(), &url, &all, &state.secret(), &token_secret);
    if given == right { Ok(oauth) } else { Err(denied("wrong signature")) }
}

fn expect_method(call: &Call, method: &Method) -> Result<(), Reply> {
    if call.method == *method { Ok(()) } else { Err(Reply::text(405, "another method")) }
}

/// Step 1: a token for one attempt, and its secret.
pub(super) fn request_token(
    shared: &Shared,
    state: &mut ProviderState,
    call: &Call,
) -> Result<Reply, Reply> {
    expect_method(call, &Method::POST)?;
    let oauth = verified(shared, state, call, |_, _| None)?;
    let callback = oauth.get("oauth_callback").ok_or_else(|| denied("no callback"))?;
    if !callback.starts_with(&format!("{}?state=", state.redirect_uri)) {
        return Err(Reply::text(403, "callback not approved"));
    }
    let (token, secret) = (Uuid::new_v4().to_string(), format!("{}/+=", Uuid::new_v4()));
    let known = RequestToken {
        secret: secret.clone(),
        callback: callback.clone(),
        verifier: None,
        account: state.account.clone(),
        is_used: false,
    };
    state.request_tokens.insert(token.clone(), known);
    Ok(Reply::form(
        200,
        &[
            ("oauth_token", &token),
            ("oauth_token_secret", &secret),
            ("oauth_callback_confirmed", "true"),
        ],
    ))
}

/// Step 2: the user's choice.
pub(super) fn authorize(state: &mut ProviderState, call: &Call) -> Result<Reply, Reply> {
    let query = call.query()?;
    state.authorizations.push(query.clone());
    let token = query.get("oauth_token").cloned().unwrap_or_default();
    if query.len() != 1 {
        return Err(Reply::text(400, "only a token is wanted here"));
    }
    let denies = matches!(state.choice, Choice::Instead(_));
    let known = state.request_tokens.get_mut(&token);
    let known = known.ok_or_else(|| Reply::text(403, "there is no such token"))?;
    let mut target = url::Url::parse(&known.callback).expect("checked before");
    if denies {
        target.query_pairs_mut().append_pair("denied", &token);
    } else {
        let verifier = Uuid::new_v4().to_string();
        known.verifier = Some(verifier.clone());
        target
            .query_pairs_mut()
            .append_pair("oauth_token", &token)
            .append_pair("oauth_verifier", &verifier);
    }
    Ok(Reply::redirect(target.as_str()))
}

/// Step 4: the request token, allowed by the user, for an access token.
pub(super) fn access_token(
    shared: &Shared,
    state: &mut ProviderState,
    call: &Call,
) -> Result<Reply, Reply> {
    expect_method(call, &Method::POST)?;
    let secret_of = |state: &ProviderState, token: &str| {
        state.request_tokens.get(token).map(|known| known.secret.clone())
    };
    let oauth = verified(shared, state, call, secret_of)?;
    let token = oauth.get("oauth_token").ok_or_else(|| denied("no token"))?;
    let known = state.request_tokens.get_mut(token).expect("its secret was just used");
    let is_allowed =
        known.verifier.is_some() && known.verifier.as_ref() == oauth.get("oauth_verifier");
    if !is_allowed || std::mem::replace(&mut known.is_used, true) {
        return Err(denied("not allowed, or used up"));
    }
    let account = known.account.clone();
    let (token, secret) = (Uuid::new_v4().to_string(), format!("{}/+=", Uuid::new_v4()));
    state.access_tokens.insert(token.clone(), account);
    state.token_secrets.insert(token.clone(), secret.clone());
    Ok(Reply::form(
        200,
        &[
            ("oauth_token", &token),
            ("oauth_token_secret", &secret),
            ("user_id", "115"),
            ("screen_name", "tw"),
        ],
    ))
}

/// Step 5: who the access token belongs to.
pub(super) fn verify_credentials(
    shared: &Shared,
    state: &mut ProviderState,
    call: &Call,
) -> Result<Reply, Reply> {
    expect_method(call, &Method::GET)?;
    let secret_of = |state: &ProviderState, token: &str| state.token_secrets.get(token).cloned();
    let oauth = verified(shared, state, call, secret_of)?;
    let token = oauth.get("oauth_token").ok_or_else(|| denied("no token"))?;
    let mut profile = state.access_tokens[token].profile.clone();
    if call.query()?.get("include_email").map(String::as_str) != Some("true") {
        profile.as_object_mut().expect("an object").remove("email");
    }
    Ok(Reply::json(200, &profile))
}
