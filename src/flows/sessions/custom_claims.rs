//! Custom claims for access tokens: found out when a token is issued, cached for a short time.
//!
//! A failure costs the token its custom claims, not the user the session: it is logged, and the values
//! that were found last stand in if the settings allow values of that age.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::timeout;

use crate::actors::sessions::cached_user::CachedUser;
use crate::actors::sessions::claims_cache::{CachedClaims, Pairs, is_same};
use crate::actors::sessions::claims_reader::{ClaimsReaderMsg, ClaimsReply, ClaimsRequest};
use crate::actors::sessions::claims_source::ClaimsError;
use crate::app::App;
use crate::config::{ClaimsSource, Config};
use crate::domain::custom_claims::CustomClaims;
use crate::domain::error::AuthError;
use crate::domain::exact_json::ExactJson;

/// How old cached claims may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Asked after the request came: whoever signs in sees what was changed before.
    Now,
    /// As old as `AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE` says.
    Recent,
}

/// Why there are no values.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Source(#[from] ClaimsError),
    #[error("the data cannot be read")]
    Unreadable(#[from] serde_json::Error),
    #[error("not asked for")]
    Reader(#[from] AuthError),
}

/// The custom claims of `user`, from memory if they are fresh enough there, or from the row of the user
/// (`domain::claims_of_user`).
///
/// At most one query about a user is under way; those who came before it was sent share the
/// result, also if it is a failure.
pub async fn find(
    app: &App,
    user: &Arc<CachedUser>,
    custom: &Arc<CustomClaims>,
    freshness: Freshness,
) -> Arc<CachedClaims> {
    let config = app.config.load_full();
    let (id, came, max_age) = (user.user.id, app.clock.now(), config.claims.max_age);
    let oldest = (freshness == Freshness::Recent && !max_age.is_zero()).then(|| came - max_age);
    if let Some(oldest) = oldest
        && let Some(found) = of_row(app, &config, user, custom, oldest)
    {
        return found;
    }
    let cached = oldest.and_then(|oldest| {
        app.claims.get(id).filter(|response| {
            is_same(&response.settings, custom)
                && response.asked_at >= oldest
                && is_same(&response.user, user)
        })
    });
    if let Some(response) = app.claims.stats.note(cached) {
        return response;
    }
    let request = ClaimsRequest { custom: Arc::clone(custom), user: Arc::clone(user), oldest };
    let (asked_at, data) = match read(app, &request, config.claims.timeout).await {
        Ok(reply) => (reply.asked_at, reply.data.map_err(Failure::from)),
        Err(failure) => (came, Err(failure)),
    };
    let values = data.and_then(|data| Ok(serde_json::from_str::<ExactJson>(&data)?));
    let found = match values {
        Ok(values) => {
            let pairs: Pairs = custom.values(&values).into();
            let good = Some((asked_at, Arc::clone(&pairs)));
            CachedClaims::new(asked_at, user, custom, pairs, good)
        }
        Err(failure) => stand_in(app, &config, &request, asked_at, &failure),
    };
    let found = Arc::new(found);
    app.claims.keep(id, &found);
    found
}

/// The claims as the row of the user says them, which was read already: if they name nothing else, and
/// nobody changed it before `oldest`.
fn of_row(
    app: &App,
    config: &Config,
    user: &Arc<CachedUser>,
    custom: &Arc<CustomClaims>,
    oldest: OffsetDateTime,
) -> Option<Arc<CachedClaims>> {
    let prepared = app.claims.query.load();
    let prepared = prepared.as_ref().filter(|prepared| is_same(&prepared.settings, custom))?;
    let of_user = prepared.query.of_user()?;
    let users = app.actors.sessions.users();
    if config.claims.source != ClaimsSource::Postgres || !users.holds(user, config.claims.max_age) {
        return None;
    }
    let cached = app.claims.get(user.user.id).filter(|response| {
        response.is_of_row && is_same(&response.settings, custom) && is_same(&response.user, user)
    });
    if let Some(found) = app.claims.stats.note(cached) {
        return Some(found);
    }
    // What claims cannot hold fails as the query does.
    let data = of_user.data(&user.user).ok()?;
    let found = Arc::new(CachedClaims::of_row(oldest, user, custom, custom.values(&data).into()));
    app.claims.keep(user.user.id, &found);
    Some(found)
}

async fn read(app: &App, request: &ClaimsRequest, limit: Duration) -> Result<ClaimsReply, Failure> {
    let reader = &app.actors.claims_reader;
    let reading = reader.call(|reply| ClaimsReaderMsg::Read(request.clone(), reply));
    Ok(timeout(limit, reading).await.map_err(|_elapsed| ClaimsError::TimedOut)??)
}

/// The values that were found last, if they may be as old as they are; else none.
fn stand_in(
    app: &App,
    config: &Config,
    request: &ClaimsRequest,
    asked_at: OffsetDateTime,
    failure: &Failure,
) -> CachedClaims {
    let ClaimsRequest { custom, user, .. } = request;
    let id = user.user.id;
    let earlier = app.claims.get(id).filter(|response| is_same(&response.settings, custom));
    let good = earlier.and_then(|response| response.good.clone());
    let usable = good.clone().filter(|(at, _)| is_recent(asked_at - *at, config.claims.stale));
    tracing::error!(
        user.id = %id,
        error = failure as &dyn std::error::Error,
        stale_s = usable.as_ref().map(|(at, _)| (asked_at - *at).whole_seconds()),
        "error getting custom claims, the token has old ones or none"
    );
    let pairs = usable.map(|(_, pairs)| pairs).unwrap_or_default();
    CachedClaims::new(asked_at, user, custom, pairs, good)
}

fn is_recent(age: time::Duration, limit: Duration) -> bool {
    !limit.is_zero() && age <= limit
}
