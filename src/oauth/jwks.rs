//! Public keys of issuers, kept as long as they may be.
//!
//! A set is fetched when it is first needed, by one caller for all who wait; again after an hour, when
//! a token names a key that is not in it, but then not more often than every five minutes, and when a
//! signature is not that of its key, which some issuers replace under the same name, but not more often
//! than every minute. If that fails, the keys at hand serve for a day more.

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

/// Age below which a signature that does not fit is believed to be wrong.
const DOUBTED: Duration = Duration::minutes(1);

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
            let found = set.find(kid).cloned();
            let is_old = found.is_none() || now - set.fetched_at >= FRESH;
            if !is_old || now - set.checked_at < SETTLED {
                return Ok(found);
            }
            let fresh = self.fetch_again(clients, timeout, at, &set, now).await;
            return Ok(fresh.map_or(found, |fresh| fresh.find(kid).cloned()));
        }
        let set = self.fetch(clients, timeout, at, now).await?;
        Ok(set.find(kid).cloned())
    }

    /// Another key of this id than the one by which a signature turned out to be wrong.
    pub async fn find_other(
        &self,
        clients: &HttpClients,
        timeout: std::time::Duration,
        at: &Address,
        kid: Option<&str>,
        now: OffsetDateTime,
        tried: &Jwk,
    ) -> Option<Jwk> {
        let mut set = self.sets.get(at).await?;
        if now - set.checked_at >= DOUBTED {
            set = self.fetch_again(clients, timeout, at, &set, now).await?;
        }
        set.find(kid).filter(|found| *found != tried).cloned()
    }

    /// Replaces a set; `None` if that fails, and then the old one stays.
    async fn fetch_again(
        &self,
        clients: &HttpClients,
        timeout: std::time::Duration,
        at: &Address,
        old: &KeySet,
        now: OffsetDateTime,
    ) -> Option<Arc<KeySet>> {
        self.sets.invalidate(at).await;
        match self.fetch(clients, timeout, at, now).await {
            Ok(fresh) => Some(fresh),
            Err(error) => {
                tracing::warn!(
                    url = %at.url,
                    error = &*error as &dyn std::error::Error,
                    "public keys of an issuer not fetched again, using those at hand"
                );
                // Not again for everybody who comes now.
                let again =
                    KeySet { keys: old.keys.clone(), fetched_at: old.fetched_at, checked_at: now };
                self.sets.insert(at.clone(), Arc::new(again)).await;
                None
            }
        }
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
