//! Which keys are accepted when, through rotations and reloads.

use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::domain::ids::{SessionId, UserId};
use crate::tokens::access_token::{TokenSubject, UserClaims};
use crate::tokens::keys::{GENERATED, generate};

const NOW: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);
const LIFETIME: Duration = Duration::from_mins(15);
/// When tokens that were signed until NOW are good no more.
const END: OffsetDateTime = datetime!(2026-11-27 12:16 UTC);
const SECOND: Duration = Duration::from_secs(1);

fn configured(key: &str, issuer: &str) -> ConfiguredKey {
    let secret = format!(
        r#"{{"type":"HS256","key":"{key} and more than thirty-two bytes","issuer":"{issuer}"}}"#
    );
    ConfiguredKey::from_secret(&secret.into()).unwrap()
}

fn stored(state: KeyState) -> StoredKey {
    let pkcs8 = generate("ES256").unwrap();
    let key = Arc::new(Key::from_pkcs8("ES256", &pkcs8).unwrap());
    StoredKey { key, state, accepted_until: (state == KeyState::Retired).then_some(END) }
}

fn with(keys: &[StoredKey]) -> StoredKeys {
    StoredKeys { keys: keys.to_vec(), configured_until: Some(END) }
}

/// A token that lives longer than what is asked here.
fn token(set: &KeySet) -> String {
    let claims = UserClaims::new(&TokenSubject {
        user_id: UserId(Uuid::from_u128(1)),
        roles: &[],
        default_role: "user",
        is_anonymous: false,
        is_elevated: false,
        custom: &[],
    });
    set.sign(&claims, SessionId(Uuid::from_u128(7)), NOW, LIFETIME * 100).unwrap()
}

fn is_good(set: &KeySet, token: &str, at: OffsetDateTime) -> bool {
    set.verify(token, at).is_ok()
}

#[test]
fn keys_of_every_algorithm_that_are_made_here_sign_and_have_their_thumbprint_as_name() {
    for algorithm in GENERATED {
        let pkcs8 = generate(algorithm).unwrap();
        let key = Key::from_pkcs8(algorithm, &pkcs8).unwrap();
        assert_eq!(Key::from_pkcs8(algorithm, &pkcs8).unwrap().kid(), key.kid());
        let stored =
            StoredKey { key: Arc::new(key), state: KeyState::Current, accepted_until: None };
        let ring = KeyRing::new(configured("a", "me"), with(&[stored]));
        let set = ring.key_set();
        assert_eq!(set.algorithm(), algorithm);
        assert!(is_good(&set, &token(&set), NOW), "{algorithm}");
    }
    assert!(generate("HS256").is_none() && Key::from_pkcs8("HS256", b"").is_err());
}

#[test]
fn a_next_key_is_known_before_it_signs_and_a_previous_one_until_its_tokens_are_over() {
    let (one, two) = (stored(KeyState::Current), stored(KeyState::Next));
    let before = KeyRing::new(configured("a", "me"), with(&[one.clone(), two.clone()]));
    let retired = StoredKey { state: KeyState::Retired, accepted_until: Some(END), ..one };
    let current = StoredKey { state: KeyState::Current, ..two };
    let after = KeyRing::new(configured("a", "me"), with(&[current, retired]));
    let (before, after) = (before.key_set(), after.key_set());
    assert!(is_good(&before, &token(&after), NOW), "a node that has not heard of the rotation");
    assert!(is_good(&after, &token(&before), END - SECOND));
    assert!(!is_good(&after, &token(&before), END));
    assert!(!after.jwks_json(END).contains(before.kid().unwrap()));
    for kid in [before.kid().unwrap(), after.kid().unwrap()] {
        assert!(before.jwks_json(NOW).contains(kid) && after.jwks_json(NOW).contains(kid));
    }
}

#[test]
fn the_configured_key_ends_after_the_first_stored_one_has_taken_over() {
    let alone = KeyRing::new(configured("a", "me"), StoredKeys::default());
    let waiting = KeyRing::new(configured("a", "me"), with(&[stored(KeyState::Next)]));
    let replaced = KeyRing::new(configured("a", "me"), with(&[stored(KeyState::Current)]));
    let old = token(&alone.key_set());
    assert_eq!(waiting.key_set().algorithm(), "HS256");
    assert_eq!(replaced.key_set().algorithm(), "ES256");
    assert!(is_good(&replaced.key_set(), &old, END - SECOND));
    assert!(!is_good(&replaced.key_set(), &old, END));
}

#[test]
fn a_setting_that_a_reload_has_replaced_is_accepted_as_long_as_its_tokens_may_live() {
    let mut ring = KeyRing::new(configured("a", "me"), StoredKeys::default());
    let old = token(&ring.key_set());
    ring.set_configured(configured("b", "me"), LIFETIME, NOW);
    // The message may arrive twice.
    ring.set_configured(configured("b", "me"), LIFETIME, NOW + SECOND);
    let set = ring.key_set();
    assert!(is_good(&set, &old, END - SECOND) && !is_good(&set, &old, END));
    assert!(is_good(&set, &token(&set), END));
    // Back again: it is the setting in force, and no end counts.
    ring.set_configured(configured("a", "me"), LIFETIME, NOW);
    assert!(is_good(&ring.key_set(), &old, END));
    let mut many = ring;
    for n in 0..20 {
        many.set_configured(configured(&n.to_string(), "me"), LIFETIME, NOW);
    }
    assert_eq!(many.replaced.len(), REPLACED_MAX);
}

#[test]
fn tokens_of_a_stored_key_outlive_a_change_of_the_issuer() {
    let keys = [stored(KeyState::Current), stored(KeyState::Next)];
    let mut ring = KeyRing::new(configured("a", "me"), with(&keys));
    let old = token(&ring.key_set());
    ring.set_configured(configured("a", "us"), LIFETIME, NOW);
    let set = ring.key_set();
    assert_eq!(set.issuer(), "us");
    assert!(is_good(&set, &old, END - SECOND) && !is_good(&set, &old, END));
    assert!(is_good(&set, &token(&set), END));
    let stranger = KeyRing::new(configured("a", "they"), with(&keys)).key_set();
    assert!(!is_good(&set, &token(&stranger), NOW), "nobody has ever had that issuer");
}

#[test]
fn a_key_that_was_taken_away_is_gone_at_once() {
    let (one, two) = (stored(KeyState::Current), stored(KeyState::Next));
    let before = KeyRing::new(configured("a", "me"), with(&[two.clone(), one.clone()]));
    let mut ring = KeyRing::new(configured("a", "us"), with(&[one, two]));
    ring.set_configured(configured("a", "me"), LIFETIME, NOW);
    let old = token(&before.key_set());
    assert!(is_good(&ring.key_set(), &old, NOW));
    ring.set_stored(with(&[stored(KeyState::Current)]));
    assert!(!is_good(&ring.key_set(), &old, NOW));
}

#[test]
fn debug_output_hides_the_keys() {
    let ring = KeyRing::new(configured("sesame", "me"), with(&[stored(KeyState::Current)]));
    let shown = format!("{ring:?}");
    assert!(shown.contains("ES256") && !shown.contains("sesame"), "{shown}");
}
