//! Public keys of issuers, kept as long as they may be.
//!
//! A set is fetched when it is first needed, by one caller for all who wait; again after an hour, and
//! when a token names a key that is not in it, but then not more often than every five minutes. If that
//! fails, the keys at hand serve for a day more.

use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use moka::future::Cache;
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::fetch;
use crate::clients::{Address, ClientError, HttpClients};

/// Age at which keys are fetched again.
const FRESH: Duration = Duration::hours(1);

/// Age below which an unknown key id is believed to be unknown.
const SETTLED: Duration = Duration::minutes(5);

/// Age at which keys are not used any more, whatever happens.
const DEAD: Duration = Duration::hours(25);

/// Issuers whose keys are kept.
const MAX_ISSUERS: u64 = 64;

/// Keys of issuers, by the address of the set; cheap to clone.
#[derive(Clone)]
pub struct IssuerKeys {
    sets: Cache<Address, Arc<KeySet>>,
}

struct KeySet {
    keys: JwkSet,
    fetched_at: OffsetDateTime,
    /// When they were looked at last, with or without success.
    checked_at: OffsetDateTime,
}

/// RFC 7517, 5.
#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    fn find(&self, kid: Option<&str>) -> Option<&Jwk> {
        match kid {
            Some(kid) => self.keys.find(kid),
            // Without a name there must be no choice.
            None if self.keys.keys.len() == 1 => self.keys.keys.first(),
            None => None,
        }
    }
}

impl Default for IssuerKeys {
    fn default() -> Self {
        Self { sets: Cache::new(MAX_ISSUERS) }
    }
}

impl IssuerKeys {
    /// The key with this id; `None` if the issuer has no such key.
    pub async fn find(
        &self,
        clients: &HttpClients,
        timeout: std::time::Duration,
        at: &Address,
        kid: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Option<Jwk>, Arc<ClientError>> {
        let known = self.sets.get(at).await.filter(|set| now - set.fetched_at < DEAD);
        if let Some(set) = known {
            let age = now - set.checked_at;
            let found = set.find(kid).cloned();
            if age < SETTLED || (found.is_some() && age < FRESH) {
                return Ok(found);
            }
            self.sets.invalidate(at).await;
            return match self.fetch(clients, timeout, at, now).await {
                Ok(fresh) => Ok(fresh.find(kid).cloned()),
                Err(error) => {
                    tracing::warn!(
                        url = %at.url,
                        error = &*error as &dyn std::error::Error,
                        "public keys of an issuer not fetched again, using those at hand"
                    );
                    // Not again for everybody who comes now.
                    let again = KeySet {
                        keys: set.keys.clone(),
                        fetched_at: set.fetched_at,
                        checked_at: now - FRESH + SETTLED,
                    };
                    self.sets.insert(at.clone(), Arc::new(again)).await;
                    Ok(found)
                }
            };
        }
        let set = self.fetch(clients, timeout, at, now).await?;
        Ok(set.find(kid).cloned())
    }

    async fn fetch(
        &self,
        clients: &HttpClients,
        timeout: std::time::Duration,
        at: &Address,
        now: OffsetDateTime,
    ) -> Result<Arc<KeySet>, Arc<ClientError>> {
        let fetch = async {
            let Document { keys } = fetch::get_json(clients, timeout, at).await?;
            // Kinds of keys that are not known here are no reason to do without the others.
            let keys = keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
            let keys = JwkSet { keys: keys.collect() };
            Ok(Arc::new(KeySet { keys, fetched_at: now, checked_at: now }))
        };
        self.sets.try_get_with_by_ref(at, fetch).await
    }
}
