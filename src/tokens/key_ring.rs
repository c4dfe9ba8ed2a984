//! Which keys are in force: the configured one, those in the database, and what a reload has replaced.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;

use super::keys::{Accepted, Key, KeyError, KeySet, Terms, read_secret};
use crate::domain::signing_key::{ACCEPTED_LONGER, KeyState};

/// Reloads of the last minutes that are remembered. More would be an operator who plays.
const REPLACED_MAX: usize = 8;

/// The key of `HASURA_GRAPHQL_JWT_SECRET`, with issuer and namespace of all tokens.
#[derive(Clone)]
pub struct ConfiguredKey {
    key: Arc<Key>,
    terms: Arc<Terms>,
    /// Tells one setting from another.
    fingerprint: [u8; 32],
}

impl ConfiguredKey {
    /// Reads the setting; a key pair must belong together.
    pub fn from_secret(secret: &SecretString) -> Result<Self, KeyError> {
        let (key, terms) = read_secret(secret)?;
        let fingerprint = digest(&SHA256, secret.expose_secret().as_bytes());
        Ok(Self {
            key: Arc::new(key),
            terms: Arc::new(terms),
            fingerprint: fingerprint.as_ref().try_into().expect("SHA-256 has 32 bytes"),
        })
    }
}

impl fmt::Debug for ConfiguredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConfiguredKey").field(&self.key).finish()
    }
}

/// A key of the database that was opened.
#[derive(Clone, Debug)]
pub struct StoredKey {
    pub key: Arc<Key>,
    pub state: KeyState,
    /// Of a retired key.
    pub accepted_until: Option<OffsetDateTime>,
}

/// The keys of the database that matter.
#[derive(Clone, Debug, Default)]
pub struct StoredKeys {
    pub keys: Vec<StoredKey>,
    /// Until when tokens of the configured key are good, if one of these took over from it.
    pub configured_until: Option<OffsetDateTime>,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct KeyRing {
    configured: ConfiguredKey,
    stored: StoredKeys,
    /// The latest last.
    replaced: Vec<Replaced>,
}

/// A setting that is in force no more, and until when its tokens are accepted.
#[derive(Clone, Debug)]
struct Replaced {
    configured: ConfiguredKey,
    until: OffsetDateTime,
}

/// How long tokens of this lifetime are accepted after the last one was signed.
pub fn accepted_for(lifetime: Duration) -> Duration {
    lifetime.saturating_add(ACCEPTED_LONGER)
}

fn after(time: OffsetDateTime, lifetime: Duration) -> OffsetDateTime {
    time.saturating_add(
        time::Duration::try_from(accepted_for(lifetime)).unwrap_or(time::Duration::MAX),
    )
}

impl KeyRing {
    /// At start.
    pub fn new(configured: ConfiguredKey, stored: StoredKeys) -> Self {
        Self { configured, stored, replaced: Vec::new() }
    }

    /// Takes over what was read from the database.
    pub fn set_stored(&mut self, stored: StoredKeys) {
        self.stored = stored;
    }

    /// Takes over another setting. Tokens under the one before, which live for so long, are accepted
    /// as long as they may be around.
    pub fn set_configured(
        &mut self,
        configured: ConfiguredKey,
        lifetime: Duration,
        now: OffsetDateTime,
    ) {
        if configured.fingerprint == self.configured.fingerprint {
            return;
        }
        let configured = std::mem::replace(&mut self.configured, configured);
        let in_use = [self.configured.fingerprint, configured.fingerprint];
        self.replaced.retain(|replaced| {
            replaced.until > now && !in_use.contains(&replaced.configured.fingerprint)
        });
        if self.replaced.len() == REPLACED_MAX {
            self.replaced.remove(0);
        }
        self.replaced.push(Replaced { configured, until: after(now, lifetime) });
    }

    /// The keys in force. The one that signs comes first.
    pub fn key_set(&self) -> KeySet {
        let terms = &self.configured.terms;
        let mut set = Vec::new();
        let of = |state| self.stored.keys.iter().filter(move |stored| stored.state == state);
        let mut stored = Vec::new();
        for state in [KeyState::Current, KeyState::Next, KeyState::Retired] {
            stored.extend(of(state).map(|stored| (&stored.key, stored.accepted_until)));
        }
        let signs = of(KeyState::Current).next().is_some();
        // The configured key signs as long as no stored one does.
        let configured_until = self.stored.configured_until.filter(|_| signs);
        if !signs {
            set.push(accept(&self.configured.key, terms, None));
        }
        for (key, until) in &stored {
            set.push(accept(key, terms, *until));
        }
        if signs {
            let until = configured_until.unwrap_or(OffsetDateTime::UNIX_EPOCH);
            set.push(accept(&self.configured.key, terms, Some(until)));
        }
        for replaced in self.replaced.iter().rev() {
            let Replaced { configured, until } = replaced;
            let earlier = |other: Option<OffsetDateTime>| other.map_or(*until, |at| at.min(*until));
            let (key, terms_then) = (&configured.key, &configured.terms);
            set.push(accept(key, terms_then, Some(earlier(configured_until))));
            if !terms_then.are(terms) {
                let keys = stored.iter();
                set.extend(keys.map(|(key, end)| accept(key, terms_then, Some(earlier(*end)))));
            }
        }
        KeySet::of(set)
    }

    /// How many stored keys are in this state.
    pub fn count(&self, state: KeyState) -> usize {
        self.stored.keys.iter().filter(|stored| stored.state == state).count()
    }
}

fn accept(key: &Arc<Key>, terms: &Arc<Terms>, until: Option<OffsetDateTime>) -> Accepted {
    let until = until.map(OffsetDateTime::unix_timestamp);
    Accepted { key: Arc::clone(key), terms: Arc::clone(terms), until }
}

#[cfg(test)]
#[path = "key_ring_tests.rs"]
mod tests;
