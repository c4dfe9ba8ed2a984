//! The keys of access tokens: what is in force on this node, and how stored keys are opened, added and
//! rotated, by the key rotator or by an operator's command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::domain::signing_key::{DueStep, KeyState, SigningKey, due_step};
use crate::metrics::SigningKeyStats;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::signing_keys::{self as table, NewKey, SealedKey};
use crate::sealing::{Form, Sealer};
use crate::tokens::key_ring::{ConfiguredKey, KeyRing, StoredKey, StoredKeys};
use crate::tokens::keys::{Key, KeySet, generate};

/// The keys in force; reading costs no lock.
pub type Keys = Arc<ArcSwap<KeySet>>;

/// Why a stored key is of no use here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    #[error(
        "signing key {0} cannot be opened: AUTH_ENCRYPTION_KEY is not the key that it was sealed with"
    )]
    Sealed(String),
    #[error("signing key {0} is damaged, or a later version has written it")]
    Damaged(String),
}

/// What was read.
pub struct Loaded {
    stored: StoredKeys,
    keys: Vec<SigningKey>,
    /// Keys that were left out, and whether one of them signs.
    unusable: Vec<(KeyState, UnusableKey)>,
}

impl Loaded {
    /// The first key that should sign, now or next, and cannot.
    pub fn unusable(&self) -> Option<&UnusableKey> {
        let signs = |(state, _): &&(KeyState, UnusableKey)| *state != KeyState::Retired;
        self.unusable.iter().find(signs).map(|(_, why)| why)
    }

    /// What there is, for people; `None` if there is nothing.
    pub fn kids(&self) -> Option<String> {
        let kids = self.keys.iter().map(|key| format!("{} {}", key.state.as_str(), key.kid));
        let kids: Vec<_> = kids.collect();
        (!kids.is_empty()).then(|| kids.join(", "))
    }

    /// Whether the key that signs on other nodes cannot sign here.
    fn lacks_current(&self) -> bool {
        self.unusable.iter().any(|(state, _)| *state == KeyState::Current)
    }
}

/// Reads and opens the stored keys.
pub async fn load(pool: &MeasuredPool, sealer: &Sealer) -> sqlx::Result<Loaded> {
    let rows = table::list(pool, false).await?;
    let configured_until = rows.first().and_then(|row| row.configured_until);
    let (mut keys, mut opened, mut unusable) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match open(sealer, &row) {
            Ok(key) => opened.push(StoredKey {
                key: Arc::new(key),
                state: row.key.state,
                accepted_until: row.key.accepted_until,
            }),
            Err(why) => unusable.push((row.key.state, why)),
        }
        keys.push(row.key);
    }
    let stored = StoredKeys { keys: opened, configured_until: configured_until.map(|at| at.0) };
    Ok(Loaded { stored, keys, unusable })
}

fn open(sealer: &Sealer, row: &SealedKey) -> Result<Key, UnusableKey> {
    let kid = &row.key.kid;
    let damaged = || UnusableKey::Damaged(kid.clone());
    let private_key = row.private_key.as_deref().ok_or_else(damaged)?;
    let opened = sealer
        .open(&context(kid), private_key)
        .map_err(|_other| UnusableKey::Sealed(kid.clone()))?;
    // Elsewhere plain text is taken as it is; here it would be a key that anybody may have put there.
    if !matches!(opened.form, Form::Sealed | Form::SealedBefore) {
        return Err(damaged());
    }
    let text = opened.secret.expose_secret();
    let pkcs8 = Zeroizing::new(STANDARD_NO_PAD.decode(text).map_err(|_other| damaged())?);
    let key = Key::from_pkcs8(&row.key.algorithm, &pkcs8).map_err(|_other| damaged())?;
    // The name is a digest of the public half, so that no row can pass for another.
    if key.kid() == Some(kid) { Ok(key) } else { Err(damaged()) }
}

/// What a sealed key is bound to: it opens in no other row.
fn context(kid: &str) -> Vec<u8> {
    [b"signing-key:".as_slice(), kid.as_bytes()].concat()
}

/// A next key that was added.
#[derive(Debug)]
pub struct Added {
    pub kid: String,
    /// From when on it may sign.
    pub ready_at: OffsetDateTime,
}

/// How a next key is added.
#[derive(Clone, Debug)]
pub struct Addition {
    pub algorithm: String,
    pub publish_ahead: Duration,
    /// Whether it signs as soon as it may.
    pub signs_by_itself: bool,
    pub advanced: time::Duration,
}

/// Makes a key pair and stores it as the next one; `None` if there is one already, or if keys for
/// this algorithm are not made here.
pub async fn add_next(
    pool: &MeasuredPool,
    sealer: &Sealer,
    addition: &Addition,
) -> sqlx::Result<Option<Added>> {
    let algorithm = addition.algorithm.clone();
    // An RSA pair takes a core for a tenth of a second and more.
    let made = spawn_blocking(move || {
        let pkcs8 = generate(&algorithm)?;
        let key = Key::from_pkcs8(&algorithm, &pkcs8).ok()?;
        Some((key.kid()?.to_owned(), pkcs8))
    });
    let Ok(Some((kid, pkcs8))) = made.await else { return Ok(None) };
    let text = SecretString::from(STANDARD_NO_PAD.encode(pkcs8.as_slice()));
    let private_key = sealer.seal(&context(&kid), &text);
    let new = NewKey {
        kid: &kid,
        algorithm: &addition.algorithm,
        private_key: &private_key,
        publish_ahead: addition.publish_ahead,
        signs_by_itself: addition.signs_by_itself,
        advanced: addition.advanced,
    };
    let ready_at = table::insert_next(pool, &new).await?;
    Ok(ready_at.map(|at| Added { kid, ready_at: at.0 }))
}

/// The keys of this node. Cheap to clone; outlives the incarnations of the key rotator.
#[derive(Clone)]
pub struct SigningKeys {
    pub in_force: Keys,
    pub sealer: Arc<Sealer>,
    pub stats: Arc<SigningKeyStats>,
    /// Told by the change feed that the table is another, or may be.
    pub changes: Arc<Notify>,
    known: Arc<Mutex<Known>>,
}

/// From what the keys in force were made.
struct Known {
    ring: KeyRing,
    keys: Vec<SigningKey>,
    /// Whether every key that should sign, now or next, can.
    is_whole: bool,
}

impl SigningKeys {
    /// At start.
    pub fn new(configured: ConfiguredKey, loaded: Loaded, sealer: Arc<Sealer>) -> Self {
        let is_whole = loaded.unusable().is_none();
        let ring = KeyRing::new(configured, loaded.stored);
        Self {
            in_force: Arc::new(ArcSwap::from_pointee(ring.key_set())),
            sealer,
            stats: Arc::default(),
            changes: Arc::default(),
            known: Arc::new(Mutex::new(Known { ring, keys: loaded.keys, is_whole })),
        }
    }

    /// Puts what was read in force, unless this node cannot sign with the current key: then it goes on
    /// with the one before, whose tokens are accepted for a while.
    pub fn take_over(&self, loaded: Loaded) {
        let mut known = self.known();
        known.is_whole = loaded.unusable().is_none();
        if loaded.lacks_current() {
            return;
        }
        known.ring.set_stored(loaded.stored);
        known.keys = loaded.keys;
        self.in_force.store(Arc::new(known.ring.key_set()));
    }

    /// Puts another setting in force; tokens of its predecessor live for so long and are accepted.
    pub fn replace_configured(
        &self,
        configured: ConfiguredKey,
        lifetime: Duration,
        now: OffsetDateTime,
    ) {
        let mut known = self.known();
        known.ring.set_configured(configured, lifetime, now);
        self.in_force.store(Arc::new(known.ring.key_set()));
    }

    /// What is due by itself; nothing that needs keys which this node cannot use.
    pub fn due(&self, config: &Config, now: OffsetDateTime) -> Option<DueStep> {
        let (tokens, known) = (&config.tokens, self.known());
        let step = due_step(&known.keys, now, tokens.key_rotation, tokens.key_publish_ahead)?;
        (known.is_whole || matches!(step, DueStep::Erase { .. })).then_some(step)
    }

    /// How many stored keys are in this state.
    pub fn count(&self, state: KeyState) -> usize {
        self.known().ring.count(state)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: [u8; 32] = [9; 32];

    fn sealer(digits: &str) -> Sealer {
        Sealer::new(Some(&digits.repeat(16).into()), Some(&STORED)).unwrap()
    }

    /// A new key, the text of its private half, and its row with that in some form.
    fn row(seal: impl Fn(&str, &SecretString) -> String) -> SealedKey {
        let pkcs8 = generate("ES256").unwrap();
        let kid = Key::from_pkcs8("ES256", &pkcs8).unwrap().kid().unwrap().to_owned();
        let text = SecretString::from(STANDARD_NO_PAD.encode(pkcs8.as_slice()));
        let private_key = Some(seal(&kid, &text));
        let at = OffsetDateTime::UNIX_EPOCH;
        let key = SigningKey {
            kid,
            algorithm: "ES256".to_owned(),
            state: KeyState::Next,
            created_at: at,
            ready_at: at,
            signs_at: None,
            activated_at: None,
            accepted_until: None,
        };
        SealedKey { key, private_key, configured_until: None }
    }

    #[test]
    fn a_key_opens_with_the_keys_that_seal_and_with_no_others() {
        let seals = sealer("01");
        let sealed = row(|kid, text| seals.seal(&context(kid), text));
        assert!(open(&seals, &sealed).is_ok());
        let before = Sealer::new(None, Some(&STORED)).unwrap();
        let sealed_before = row(|kid, text| before.seal(&context(kid), text));
        assert!(open(&seals, &sealed_before).is_ok());
        let error = open(&Sealer::new(Some(&"02".repeat(16).into()), None).unwrap(), &sealed);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("AUTH_ENCRYPTION_KEY") && text.contains(&sealed.key.kid), "{text}");
    }

    #[test]
    fn what_nobody_has_sealed_for_this_row_is_no_key() {
        let sealer = sealer("01");
        for (what, planted) in [
            ("plain", row(|_, text| text.expose_secret().to_owned())),
            ("of another row", row(|_, text| sealer.seal(&context("another"), text))),
            ("of another kind", row(|kid, text| sealer.seal(kid.as_bytes(), text))),
            ("no key", row(|kid, _| sealer.seal(&context(kid), &"c2VzYW1l".into()))),
            ("empty", row(|_, _| String::new())),
        ] {
            let error = open(&sealer, &planted).unwrap_err().to_string();
            assert!(
                error.contains(&planted.key.kid) && !error.contains("c2VzYW1l"),
                "{what}: {error}"
            );
        }
        // A good key under the name of another.
        let mut renamed = row(|_, text| sealer.seal(&context("another"), text));
        "another".clone_into(&mut renamed.key.kid);
        assert_eq!(
            open(&sealer, &renamed).unwrap_err(),
            UnusableKey::Damaged("another".to_owned())
        );
    }
}
