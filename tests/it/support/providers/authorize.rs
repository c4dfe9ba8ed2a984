//! The page on which users allow an application to know who they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use url::Url;

use super::Shared;
use super::openid::{self, escape};
use super::state::{Choice, Grant, ProviderState, opaque};
use super::wire::{Call, Parameters, Reply};

/// Checks the request, and responds with what the user's choice makes of it.
///
/// Mistakes in it are shown to the user, as real ones do where they do not trust the redirect; a test that
/// ends on that page has its reason.
pub(super) fn respond(
    shared: &Shared,
    state: &mut ProviderState,
    call: &Call,
) -> Result<Reply, Reply> {
    let query = call.query()?;
    check(state, &query).map_err(|why| Reply::text(400, &format!("{why}: {}", call.raw_query)))?;
    state.authorizations.push(query.clone());
    let parameters = match &state.choice {
        Choice::Instead(parameters) => parameters.clone(),
        Choice::Allow => allow(shared, state, &query),
    };
    let mut parameters: Vec<(String, String)> = parameters;
    parameters.push(("state".to_owned(), query["state"].clone()));
    if query.get("response_mode").is_some_and(|mode| mode == "form_post") {
        return Ok(posting_page(&query["redirect_uri"], &parameters));
    }
    let mut target = Url::parse(&query["redirect_uri"]).expect("the registered one");
    target.query_pairs_mut().extend_pairs(&parameters);
    Ok(Reply::redirect(target.as_str()))
}

/// What is wrong with an authorization request, if anything.
fn check(state: &ProviderState, query: &Parameters) -> Result<(), &'static str> {
    let get = |name: &str| query.get(name).map_or("", String::as_str);
    if get("client_id") != state.client_id() {
        return Err("unknown client");
    }
    if get("redirect_uri") != state.redirect_uri {
        return Err("unknown redirect_uri");
    }
    let is_apple = state.provider.id == "apple";
    if get("response_type") != if is_apple { "code id_token" } else { "code" } {
        return Err("unsupported response_type");
    }
    // Apple: "If you requested any scopes, the value must be form_post."
    if (get("response_mode") == "form_post") != is_apple {
        return Err("wrong response_mode");
    }
    if get("state").is_empty() {
        return Err("no state");
    }
    if query.contains_key("scope") != state.provider.scope.is_some() {
        return Err("a scope is missing, or there is one too many");
    }
    if get("scope").split(' ').any(str::is_empty) && query.contains_key("scope") {
        return Err("an empty scope");
    }
    match (query.get("code_challenge"), query.get("code_challenge_method")) {
        (None, None) => Ok(()),
        (Some(challenge), Some(method)) if method == "S256" => {
            let bytes = URL_SAFE_NO_PAD.decode(challenge).unwrap_or_default();
            if bytes.len() == 32 { Ok(()) } else { Err("no S256 challenge") }
        }
        _ => Err("half of PKCE"),
    }
}

/// A code, and what belongs to it.
fn allow(shared: &Shared, state: &mut ProviderState, query: &Parameters) -> Vec<(String, String)> {
    let code = opaque("code");
    let nonce = query.get("nonce").cloned();
    let grant = Grant {
        account: state.account.clone(),
        redirect_uri: query["redirect_uri"].clone(),
        challenge: query.get("code_challenge").cloned(),
        nonce: nonce.clone(),
        is_used: false,
    };
    state.grants.insert(code.clone(), grant);
    let mut parameters = vec![("code".to_owned(), code)];
    if state.provider.id == "apple" {
        let account = state.account.clone();
        let changes = nonce.map_or_else(|| json!({}), |nonce| json!({"nonce": nonce}));
        let claims = openid::claims(shared, state, &account, &changes);
        parameters.push(("id_token".to_owned(), state.keys.sign(&claims)));
        if let Some(user) = &state.account.user_field {
            parameters.push(("user".to_owned(), user.clone()));
        }
    }
    parameters
}

/// A page that sends itself on, by POST.
fn posting_page(action: &str, fields: &[(String, String)]) -> Reply {
    use std::fmt::Write as _;
    let mut inputs = String::new();
    for (name, value) in fields {
        write!(
            inputs,
            r#"<input type="hidden" name="{}" value="{}">"#,
            escape(name),
            escape(value)
        )
        .expect("text");
    }
    Reply::html(
        200,
        &format!(
            r#"<!doctype html><title>Apple</title><form method="post" action="{}">{inputs}</form>
               <script>document.forms[0].submit()</script>"#,
            escape(action)
        ),
    )
}
