//! Custom claims for access tokens: found out when a token is issued, cached for a short time.
//!
//! A failure costs the token its custom claims, not the user the session: it is logged, and the values
//! that were found last stand in if the settings allow values of that age.

use std::sync::Arc;
use std::time::Duration;

use moka::ops::compute::{CompResult, Op};
use tokio::time::timeout;

use crate::actors::sessions::cached_user::CachedUser;
use crate::actors::sessions::claims_cache::{CachedClaims, Pairs, PreparedQuery, is_same};
use crate::app::App;
use crate::clients::{ClientError, hasura_claims};
use crate::config::{ClaimsSource, Config};
use crate::domain::custom_claims::CustomClaims;
use crate::domain::exact_json::ExactJson;
use crate::domain::ids::UserId;
use crate::persistence::claims::{ClaimsQuery, ClaimsQueryError};

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
enum ClaimsError {
    #[error("no response")]
    Hasura(#[from] ClientError),
    #[error("not found in the database")]
    Postgres(#[from] ClaimsQueryError),
    #[error("HASURA_GRAPHQL_GRAPHQL_URL is not set")]
    NoHasura,
}

/// The custom claims of `user`, from memory if they are fresh enough there.
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
    let came = app.clock.now();
    let oldest = match freshness {
        Freshness::Now => came,
        Freshness::Recent => came - config.claims.max_age,
    };
    let fits = |response: &CachedClaims| {
        is_same(&response.settings, custom)
            && (response.asked_at >= came
                || response.asked_at >= oldest && is_same(&response.user, user))
    };
    let entries = &app.claims.entries;
    let cached = entries.get(&user.user.id).await.filter(|response| fits(response));
    if let Some(response) = app.claims.stats.note(cached) {
        return response;
    }
    let entry = entries.entry(user.user.id).and_compute_with(|found| async {
        let found = found.map(moka::Entry::into_value);
        match found {
            Some(response) if fits(&response) => Op::Nop,
            earlier => Op::Put(Arc::new(ask(app, &config, user, custom, earlier.as_deref()).await)),
        }
    });
    match entry.await {
        CompResult::Inserted(entry)
        | CompResult::ReplacedWith(entry)
        | CompResult::Unchanged(entry)
        | CompResult::Removed(entry) => entry.into_value(),
        // The closure always puts an entry, or leaves one.
        CompResult::StillNone(_) => {
            Arc::new(CachedClaims::new(came, user, custom, Arc::default(), None))
        }
    }
}

async fn ask(
    app: &App,
    config: &Config,
    user: &Arc<CachedUser>,
    custom: &Arc<CustomClaims>,
    earlier: Option<&CachedClaims>,
) -> CachedClaims {
    let asked_at = app.clock.now();
    let id = user.user.id;
    let error = match read(app, config, id, custom).await {
        Ok(data) => {
            let pairs: Pairs = custom.values(&data).into();
            let good = Some((asked_at, Arc::clone(&pairs)));
            return CachedClaims::new(asked_at, user, custom, pairs, good);
        }
        Err(error) => error,
    };
    let cached = earlier.filter(|response| is_same(&response.settings, custom));
    let good = cached.and_then(|response| response.good.clone());
    let usable = good.clone().filter(|(at, _)| is_recent(asked_at - *at, config.claims.stale));
    tracing::error!(
        user.id = %id,
        error = &error as &dyn std::error::Error,
        stale_s = usable.as_ref().map(|(at, _)| (asked_at - *at).whole_seconds()),
        "error getting custom claims, the token has old ones or none"
    );
    let pairs = usable.map(|(_, pairs)| pairs).unwrap_or_default();
    CachedClaims::new(asked_at, user, custom, pairs, good)
}

fn is_recent(age: time::Duration, limit: Duration) -> bool {
    !limit.is_zero() && age <= limit
}

async fn read(
    app: &App,
    config: &Config,
    user: UserId,
    custom: &Arc<CustomClaims>,
) -> Result<ExactJson, ClaimsError> {
    let limit = config.claims.timeout;
    match config.claims.source {
        ClaimsSource::Postgres => {
            let read = read_from_postgres(app, user, custom);
            timeout(limit, read).await.map_err(|_| ClientError::TimedOut)?
        }
        ClaimsSource::Hasura => {
            let url = config.hasura.graphql_url.as_ref().ok_or(ClaimsError::NoHasura)?;
            let asked = hasura_claims::ask(
                &app.http_client,
                url,
                &config.hasura.admin_secret,
                custom,
                user,
            );
            Ok(timeout(limit, asked).await.map_err(|_| ClientError::TimedOut)??)
        }
    }
}

/// The statement is made once for the settings, and anew after a failure: tables change too.
async fn read_from_postgres(
    app: &App,
    user: UserId,
    custom: &Arc<CustomClaims>,
) -> Result<ExactJson, ClaimsError> {
    let slot = &app.claims.query;
    let cached = slot.load_full().filter(|cached| is_same(&cached.settings, custom));
    let prepared = if let Some(prepared) = cached {
        prepared
    } else {
        let query = ClaimsQuery::prepare(&app.pool, custom.selection()).await?;
        let prepared = Arc::new(PreparedQuery { settings: Arc::downgrade(custom), query });
        slot.store(Some(Arc::clone(&prepared)));
        prepared
    };
    let read = prepared.query.read(&app.pool, user).await;
    if read.is_err() {
        slot.store(None);
    }
    Ok(read?)
}
