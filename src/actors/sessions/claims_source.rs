//! Where the data behind custom claims comes from: Postgres, one statement for many users, or Hasura,
//! one query for many users. Each user has an own result, whatever becomes of the others'.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout, timeout_at};

use super::claims_cache::{ClaimsCache, PreparedQuery, is_same};
use crate::actors::runtime::isolate::isolated;
use crate::clients::ClientError;
use crate::clients::hasura_claims::{self, Endpoint, Found};
use crate::config::{ClaimsSource, Config, LiveConfig};
use crate::domain::custom_claims::CustomClaims;
use crate::domain::ids::UserId;
use crate::persistence::claims::{ClaimsQuery, ClaimsQueryError};
use crate::persistence::measured_pool::MeasuredPool;

/// Users of one query to Hasura, so that query and response are of moderate size.
const HASURA_BATCH: usize = 50;

/// Queries to Hasura about one user each that are under way at once after one for many has failed.
const HASURA_AT_ONCE: usize = 8;

/// Why there are no values.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClaimsError {
    #[error("no response")]
    Hasura(#[source] Arc<ClientError>),
    #[error("not found in the database")]
    Postgres(#[source] Arc<ClaimsQueryError>),
    #[error("HASURA_GRAPHQL_GRAPHQL_URL is not set")]
    NoHasura,
    #[error("no response in time")]
    TimedOut,
}

impl From<ClientError> for ClaimsError {
    fn from(error: ClientError) -> Self {
        Self::Hasura(Arc::new(error))
    }
}

impl From<ClaimsQueryError> for ClaimsError {
    fn from(error: ClaimsQueryError) -> Self {
        Self::Postgres(Arc::new(error))
    }
}

/// JSON in the shape of the selection.
type Data = Result<Arc<str>, ClaimsError>;

/// Both sources, and which of them counts.
#[derive(Clone)]
pub struct ClaimsSources {
    pub config: LiveConfig,
    pub pool: MeasuredPool,
    pub client: reqwest::Client,
    pub claims: ClaimsCache,
}

impl ClaimsSources {
    /// Most users of one batch.
    pub fn batch_max(&self) -> usize {
        let config = self.config.load();
        match config.claims.source {
            ClaimsSource::Postgres => config.actors.session_batch_max,
            ClaimsSource::Hasura => config.actors.session_batch_max.min(HASURA_BATCH),
        }
    }

    /// What these claims are made of, in the order of these users, who are distinct. Takes no longer
    /// than `AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT`.
    pub async fn read(&self, custom: &Arc<CustomClaims>, users: &[UserId]) -> Vec<Data> {
        let config = self.config.load_full();
        let limit = config.claims.timeout;
        match config.claims.source {
            ClaimsSource::Postgres => {
                let read = timeout(limit, self.read_from_postgres(custom, users));
                read.await.unwrap_or_else(|_elapsed| all_fail(users, &ClaimsError::TimedOut))
            }
            ClaimsSource::Hasura => self.ask_hasura(&config, custom, users, limit).await,
        }
    }

    /// The statement is made once for the settings, and anew after a failure: tables change too.
    async fn read_from_postgres(&self, custom: &Arc<CustomClaims>, users: &[UserId]) -> Vec<Data> {
        let prepared = match self.prepared(custom).await {
            Ok(prepared) => prepared,
            Err(error) => return all_fail(users, &error.into()),
        };
        let (query, pool) = (&prepared.query, &self.pool);
        let read =
            isolated(users, |part: Vec<UserId>| async move { query.read(pool, &part).await }).await;
        if !read.failed.is_empty() {
            self.claims.query.store(None);
        }
        let failed = |(user, error)| (user, Err(ClaimsQueryError::Storage(error).into()));
        let mut results: HashMap<UserId, Data> = read.failed.into_iter().map(failed).collect();
        results.extend(read.found.into_iter().map(|(user, data)| (user, Ok(data))));
        let gone = || Err(ClaimsQueryError::NoUser.into());
        users.iter().map(|user| results.remove(user).unwrap_or_else(gone)).collect()
    }

    async fn prepared(
        &self,
        custom: &Arc<CustomClaims>,
    ) -> Result<Arc<PreparedQuery>, ClaimsQueryError> {
        let slot = &self.claims.query;
        if let Some(prepared) = slot.load_full().filter(|kept| is_same(&kept.settings, custom)) {
            return Ok(prepared);
        }
        let query = ClaimsQuery::prepare(&self.pool, custom.selection()).await?;
        let prepared = Arc::new(PreparedQuery { settings: Arc::downgrade(custom), query });
        slot.store(Some(Arc::clone(&prepared)));
        Ok(prepared)
    }

    /// A query for all, which has half of the time, and then one for each whom it did not tell of.
    async fn ask_hasura(
        &self,
        config: &Config,
        custom: &CustomClaims,
        users: &[UserId],
        limit: Duration,
    ) -> Vec<Data> {
        let Some(url) = &config.hasura.graphql_url else {
            return all_fail(users, &ClaimsError::NoHasura);
        };
        let admin_secret = &config.hasura.admin_secret;
        let endpoint = Endpoint { client: &self.client, url, admin_secret };
        let (selection, deadline) = (custom.selection(), Instant::now() + limit);
        let mut found: HashMap<UserId, Data> = HashMap::new();
        if users.len() > 1 {
            let asked = timeout(limit / 2, hasura_claims::ask_many(endpoint, selection, users));
            match asked.await.unwrap_or(Err(ClientError::TimedOut)) {
                Ok(Found { users: told, is_whole }) => {
                    found.extend(told.into_iter().map(|(user, data)| (user, Ok(data))));
                    if is_whole {
                        let gone = || Err(ClientError::NoData.into());
                        let result = |user| found.remove(user).unwrap_or_else(gone);
                        return users.iter().map(result).collect();
                    }
                }
                Err(error) => tracing::warn!(
                    users = users.len(),
                    error = &error as &dyn std::error::Error,
                    "Hasura did not tell the custom claims of many users, each is asked for alone"
                ),
            }
        }
        let alone = async |user: UserId, told: Option<Data>| {
            if let Some(told) = told {
                return told;
            }
            let asked = timeout_at(deadline, hasura_claims::ask(endpoint, selection, user));
            asked.await.map_or(Err(ClaimsError::TimedOut), |asked| Ok(asked?))
        };
        let users: Vec<(UserId, Option<Data>)> =
            users.iter().map(|user| (*user, found.remove(user))).collect();
        stream::iter(users.into_iter().map(|(user, told)| alone(user, told)))
            .buffered(HASURA_AT_ONCE)
            .collect()
            .await
    }
}

fn all_fail(users: &[UserId], error: &ClaimsError) -> Vec<Data> {
    users.iter().map(|_| Err(error.clone())).collect()
}
