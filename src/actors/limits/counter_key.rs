//! What counters are called in Postgres: keyed hashes, so that the table tells nobody who was counted.

use aws_lc_rs::hmac;

use super::counter_store::{Key, Subject};
use crate::persistence::counters;
use crate::sealing::Sealer;

/// The key of these hashes, the same on all nodes.
#[derive(Clone)]
pub struct CounterKey(hmac::Key);

impl CounterKey {
    /// Derived from the key for what is sealed.
    pub fn derive(sealer: &Sealer) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &sealer.hash_code(b"counters", "")))
    }

    /// The name of a pair of counters.
    pub fn name(&self, key: &Key) -> counters::Key {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(key.scope.as_bytes());
        context.update(&[0]);
        context.update(&key.window.as_millis().to_be_bytes());
        match &key.subject {
            Subject::All => context.update(&[0]),
            Subject::Network(network) => {
                context.update(&[1]);
                context.update(&network.octets());
            }
            Subject::Account(hash) => {
                context.update(&[2]);
                context.update(hash);
            }
            Subject::AccountFrom(hash, network) => {
                context.update(&[3]);
                context.update(hash);
                context.update(&network.octets());
            }
        }
        context.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_differ_by_everything_that_counts_and_by_the_key() {
        let sealer = |byte| Sealer::new(None, Some(&[byte; 32])).unwrap();
        let (key, other) = (CounterKey::derive(&sealer(7)), CounterKey::derive(&sealer(8)));
        let network = |text: &str| text.parse::<IpAddr>().unwrap().into();
        let subjects = [
            Subject::All,
            Subject::Network(network("192.0.2.1")),
            Subject::Network(network("192.0.2.2")),
            Subject::Network(network("2001:db8::1")),
            Subject::Account([1; 32]),
            Subject::AccountFrom([1; 32], network("192.0.2.1")),
        ];
        let mut names = Vec::new();
        for scope in ["a", "b"] {
            for window in [Duration::from_secs(1), Duration::from_secs(2)] {
                for subject in subjects {
                    let pair = Key { scope, window, subject };
                    assert_eq!(key.name(&pair), CounterKey::derive(&sealer(7)).name(&pair));
                    names.extend([key.name(&pair), other.name(&pair)]);
                }
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
