//! What a node says of itself in each heartbeat.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret as _, SecretBox};
use serde::{Deserialize, Serialize};

use crate::config::StorageCompatibility;
use crate::persistence::settings::to_hex;
use crate::sealing::Sealer;
use crate::tokens::chain::RotationKey;
use crate::tokens::keys::KeySet;

/// How a node is, in a few figures. What another version leaves out is zero here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a light of its own")]
pub struct Digest {
    pub actors: usize,
    pub actors_down: usize,
    /// Whether every vital actor runs.
    pub standing: bool,
    /// Paths of actors without which it goes on, and which do not run or fail too often.
    pub degraded: Vec<String>,
    /// Since its start.
    pub restarts: u64,
    pub restarts_in_window: usize,
    /// More restarts of vital actors in the window end the node.
    pub max_restarts: u32,
    /// Whether its caches may be served.
    pub lease_held: bool,
    /// Whether it removes what is over, for all nodes.
    pub keeps_house: bool,
    /// Whether it was asked to end, and still serves.
    pub draining: bool,
    pub sessions_cached: u64,
    pub users_cached: u64,
    /// Over the last seconds, as are the two that follow.
    pub refreshes_per_s: f64,
    pub refresh_p99_s: Option<f64>,
    pub batch_size: Option<f64>,
    pub hashes_waiting: usize,
    pub pool_used: u32,
    pub pool_max: u32,
    pub mail_in_flight: usize,
    /// Why a setting that holds for all nodes does not hold here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings_refused: Option<String>,
}

/// Keyed hashes of what all nodes must agree on, and what of it is no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Fingerprints {
    pub jwt_keys: String,
    pub rotation_key: String,
    pub encryption_key: String,
    /// In plain.
    pub stored_forms: String,
    /// The newest addition to the schema that the node knows, in plain.
    pub schema_level: i64,
}

/// Makes fingerprints, with a key that the database keeps for all nodes.
#[derive(Clone)]
pub struct Fingerprinter(hmac::Key);

impl Fingerprinter {
    /// With this key.
    pub fn new(key: &SecretBox<[u8; 32]>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret()))
    }

    /// Of everything.
    pub fn all(
        &self,
        keys: &KeySet,
        rotation: &RotationKey,
        sealer: &Sealer,
        storage: StorageCompatibility,
        schema_level: i64,
    ) -> Fingerprints {
        Fingerprints {
            jwt_keys: self.jwt_keys(keys),
            rotation_key: self.hash("rotation key", &rotation.identity()),
            encryption_key: self.encryption_key(sealer),
            stored_forms: match storage {
                StorageCompatibility::Reference => "reference",
                StorageCompatibility::Keywright => "keywright",
            }
            .to_owned(),
            schema_level,
        }
    }

    /// Of the key that seals.
    pub fn encryption_key(&self, sealer: &Sealer) -> String {
        self.hash("encryption key", &sealer.identity())
    }

    /// Of signing keys, which a reload changes.
    pub fn jwt_keys(&self, keys: &KeySet) -> String {
        self.hash("jwt keys", &keys.identity())
    }

    /// 64 bits are enough to tell secrets apart, and less than any of them.
    fn hash(&self, what: &str, identity: &[u8]) -> String {
        let tag = hmac::sign(&self.0, &[what.as_bytes(), &[0], identity].concat());
        to_hex(&tag.as_ref()[..8])
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn keys(secret: &str, more: &str) -> KeySet {
        let json = format!(r#"{{ "type":"HS256", "key":"{secret}"{more} }}"#);
        KeySet::from_secret(&SecretString::from(json)).unwrap()
    }

    #[test]
    fn fingerprints_tell_secrets_apart_and_nothing_else() {
        let (one, other) = ("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdeF");
        let with = |key: u8| Fingerprinter::new(&SecretBox::new(Box::new([key; 32])));
        let first = with(1).jwt_keys(&keys(one, ""));
        assert_eq!(first, with(1).jwt_keys(&keys(one, r#", "allowed_skew": 5"#)));
        assert_eq!(first.len(), 16);
        assert_ne!(first, with(1).jwt_keys(&keys(other, "")));
        assert_ne!(first, with(1).jwt_keys(&keys(one, r#", "issuer": "another""#)));
        assert_ne!(first, with(2).jwt_keys(&keys(one, "")), "another database");
        let rotation = |material: &[u8]| RotationKey::derive(material).identity();
        assert_ne!(with(1).hash("a", &rotation(b"one")), with(1).hash("a", &rotation(b"other")));
    }
}
