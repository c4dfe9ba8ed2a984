//! Token endpoints: codes and refresh tokens against access tokens.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::Shared;
use super::catalogue::{ClientAuth, Expiry, Format, IdToken, RefreshToken};
use super::id_tokens::Keys;
use super::state::{Account, ProviderState, Style, TokenRequest, opaque};
use super::wire::{Call, Parameters, Reply};
use super::{apple, openid};

pub(super) fn respond(
    shared: &Shared,
    state: &mut ProviderState,
    call: &Call,
) -> Result<Reply, Reply> {
    let form = call.form()?;
    let style = authenticate(shared, state, call, &form)?;
    state.token_requests.push(TokenRequest { style, form: form.clone() });
    let grant_type = form.get("grant_type").map_or("", String::as_str);
    let outcome = match grant_type {
        "authorization_code" => exchange(state, &form),
        "refresh_token" => refresh(state, &form),
        _ => return Err(Reply::refused(400, "unsupported_grant_type", grant_type)),
    };
    // GitHub says no with 200.
    let refusal = if state.provider.id == "github" { 200 } else { 400 };
    let (account, nonce, old) =
        outcome.map_err(|(error, why)| Reply::refused(refusal, error, why))?;
    Ok(tokens(shared, state, call, &account, nonce.as_deref(), old))
}

/// Who asks, and how that was proven.
fn authenticate(
    shared: &Shared,
    state: &ProviderState,
    call: &Call,
    form: &Parameters,
) -> Result<Style, Reply> {
    let refused = |why: &str| Reply::refused(401, "invalid_client", why);
    let header = call.header("authorization");
    let (style, id, secret) = match (header, form.get("client_secret")) {
        (Some(_), Some(_)) => {
            return Err(Reply::refused(400, "invalid_request", "two ways to authenticate"));
        }
        (Some(header), None) => {
            let (id, secret) = basic(header).ok_or_else(|| refused("no Basic"))?;
            (Style::Basic, id, secret)
        }
        (None, Some(secret)) => {
            let id = form.get("client_id").cloned().unwrap_or_default();
            (Style::Body, id, secret.clone())
        }
        (None, None) => return Err(refused("no secret")),
    };
    let takes = match state.client_auth {
        ClientAuth::Either => true,
        ClientAuth::BasicOnly => style == Style::Basic,
        ClientAuth::BodyOnly => style == Style::Body,
    };
    if !takes {
        return Err(refused("not in that way"));
    }
    if form.contains_key("code_verifier") && !state.provider.takes_pkce {
        return Err(refused("Client authentication failed"));
    }
    if id != state.client_id() {
        return Err(refused("unknown client"));
    }
    if state.provider.id == "apple" {
        apple::check_secret(&secret, &id, shared.now()).map_err(refused)?;
    } else if secret != state.secret() {
        return Err(refused("wrong secret"));
    }
    Ok(style)
}

/// RFC 6749, 2.3.1: both halves are form-encoded before they are joined.
fn basic(header: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |text: &str| {
        url::form_urlencoded::parse(format!("x={text}").as_bytes())
            .map(|(_, value)| value.into_owned())
            .next()
    };
    Some((decode(id)?, decode(secret)?))
}

/// The account, the nonce it was asked with, and whether the old refresh token goes on.
type TokenResult = Result<(Account, Option<String>, bool), (&'static str, &'static str)>;

fn only(form: &Parameters, known: &[&str]) -> Result<(), (&'static str, &'static str)> {
    let usual = ["grant_type", "client_id", "client_secret"];
    let is_known = |name: &str| usual.contains(&name) || known.contains(&name);
    if form.keys().all(|name| is_known(name)) {
        Ok(())
    } else {
        Err(("invalid_request", "a parameter that has no business here"))
    }
}

fn exchange(state: &mut ProviderState, form: &Parameters) -> TokenResult {
    only(form, &["code", "redirect_uri", "code_verifier"])?;
    let code = form.get("code").map_or("", String::as_str);
    let grant = state.grants.get_mut(code).ok_or(("invalid_grant", "unknown code"))?;
    if std::mem::replace(&mut grant.is_used, true) {
        return Err(("invalid_grant", "the code is used up"));
    }
    if form.get("redirect_uri") != Some(&grant.redirect_uri) {
        return Err(("invalid_grant", "another redirect_uri"));
    }
    match (&grant.challenge, form.get("code_verifier")) {
        (None, None) => {}
        (Some(challenge), Some(verifier)) => {
            let length = verifier.len();
            let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
            if !(43..=128).contains(&length) || hash != *challenge {
                return Err(("invalid_grant", "wrong code_verifier"));
            }
        }
        (Some(_), None) => return Err(("invalid_grant", "no code_verifier")),
        (None, Some(_)) => return Err(("invalid_grant", "a code_verifier without a challenge")),
    }
    Ok((grant.account.clone(), grant.nonce.clone(), false))
}

fn refresh(state: &mut ProviderState, form: &Parameters) -> TokenResult {
    only(form, &["refresh_token", "scope"])?;
    let token = form.get("refresh_token").cloned().unwrap_or_default();
    let account = state.refresh_tokens.get(&token).cloned();
    let account = account.ok_or(("invalid_grant", "unknown refresh token"))?;
    if state.shape.refresh_token == RefreshToken::Rotated {
        state.refresh_tokens.remove(&token);
        return Ok((account, None, false));
    }
    Ok((account, None, true))
}

fn tokens(
    shared: &Shared,
    state: &mut ProviderState,
    call: &Call,
    account: &Account,
    nonce: Option<&str>,
    goes_on: bool,
) -> Reply {
    let shape = state.shape;
    let access_token = opaque("access");
    state.access_tokens.insert(access_token.clone(), account.clone());
    let mut body = Map::new();
    body.insert("access_token".to_owned(), json!(access_token));
    if shape.token_type {
        body.insert("token_type".to_owned(), json!("bearer"));
    }
    match shape.expiry {
        Expiry::Number => body.insert("expires_in".to_owned(), json!(3_600)),
        Expiry::Text => body.insert("expires_in".to_owned(), json!("3600")),
        Expiry::Absent => None,
    };
    // One that is not replaced is not said again.
    if shape.refresh_token != RefreshToken::Absent && !goes_on {
        let refresh_token = opaque("refresh");
        state.refresh_tokens.insert(refresh_token.clone(), account.clone());
        body.insert("refresh_token".to_owned(), json!(refresh_token));
    }
    if let Some(scope) = state.provider.scope {
        let list: Vec<&str> = scope.split(' ').collect();
        body.insert("scope".to_owned(), if shape.scope_list { json!(list) } else { json!(scope) });
    }
    match shape.id_token {
        IdToken::Absent => None,
        kind => {
            let mut changes = state.claims.clone();
            if let (Some(nonce), false) = (nonce, changes.contains_key("nonce")) {
                changes.insert("nonce".to_owned(), json!(nonce));
            }
            let claims = openid::claims(shared, state, account, &Value::Object(changes));
            let token = match kind {
                IdToken::Signed => state.keys.sign(&claims),
                _ => Keys::shared().es256(&claims),
            };
            body.insert("id_token".to_owned(), json!(token))
        }
    };
    let asked_json = call.header("accept").is_some_and(|accept| accept.contains("json"));
    match shape.format {
        Format::Json => Reply::json(200, &Value::Object(body)),
        Format::FormUnlessAsked if asked_json => Reply::json(200, &Value::Object(body)),
        Format::Form | Format::FormUnlessAsked => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), Into::into);
            let fields: Vec<(String, String)> =
                body.iter().map(|(name, value)| (name.clone(), text(value))).collect();
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            Reply::form(200, &fields)
        }
    }
}
