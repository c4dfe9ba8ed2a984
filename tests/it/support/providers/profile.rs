//! Profile and e-mails endpoints: who an access token belongs to.

use serde_json::Value;

use super::state::{Account, ProviderState};
use super::wire::{Call, Reply};

pub(super) fn profile(state: &ProviderState, call: &Call) -> Result<Reply, Reply> {
    let account = owner(state, call)?;
    Ok(Reply::json(200, &account.profile))
}

pub(super) fn emails(state: &ProviderState, call: &Call) -> Result<Reply, Reply> {
    let account = owner(state, call)?;
    if account.emails == Value::Null {
        return Err(Reply::text(404, "this account has no list of addresses"));
    }
    Ok(Reply::json(200, &account.emails))
}

/// Checks the request as this provider does.
fn owner<'a>(state: &'a ProviderState, call: &Call) -> Result<&'a Account, Reply> {
    let query = call.query()?;
    let get = |name: &str| query.get(name).map_or("", String::as_str);
    let token = call.bearer().ok_or_else(|| Reply::refused(401, "invalid_request", "no token"))?;
    let account = state.access_tokens.get(token);
    let account = account.ok_or_else(|| Reply::refused(401, "invalid_token", "unknown"))?;
    let wanted = match state.provider.id {
        "facebook" => get("fields") == "id,name,email,picture" && query.len() == 1,
        _ => query.is_empty(),
    };
    if !wanted {
        return Err(Reply::refused(400, "invalid_request", "other parameters are wanted"));
    }
    match state.provider.id {
        "twitch" if call.header("client-id") != Some(&state.client_id()) => {
            Err(Reply::refused(401, "Unauthorized", "Client-Id is wanted"))
        }
        // "Requests with no User-Agent header will be rejected."
        "github" if call.header("user-agent").is_none_or(str::is_empty) => {
            Err(Reply::text(403, "a User-Agent is wanted"))
        }
        _ => Ok(account),
    }
}
