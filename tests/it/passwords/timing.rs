//! A refused sign-in costs the same whatever is known about the address
//! (docs/reference-behaviour.md#timing-does-not-tell).

use std::time::{Duration, Instant};

use crate::support::app::TestApp;

/// Hashes that take long enough to be the most part of a request, in both forms.
const SLOW: [(&str, &str); 5] = [
    ("AUTH_PASSWORD_ARGON2_MEMORY_KIB", "4096"),
    ("AUTH_PASSWORD_ARGON2_ITERATIONS", "8"),
    ("AUTH_PASSWORD_BCRYPT_COST", "9"),
    ("AUTH_PASSWORD_HASH_THREADS", "1"),
    ("AUTH_STORAGE_COMPATIBILITY", "keywright"),
];

const ADDRESSES: [&str; 4] =
    ["argon2id@example.com", "bcrypt@example.com", "none@example.com", "nobody@example.com"];

/// One address of each kind: both stored forms, no password, no user.
async fn app_with(more: &[(&str, &str)]) -> TestApp {
    let mut reference = SLOW.to_vec();
    reference.push(("AUTH_STORAGE_COMPATIBILITY", "reference"));
    let old = TestApp::start(&reference).await;
    old.sign_up("bcrypt@example.com").await.session();
    let mut settings = SLOW.to_vec();
    settings.extend_from_slice(more);
    let app = TestApp::start_on(old.database.clone(), &settings).await;
    app.sign_up("argon2id@example.com").await.session();
    app.sign_up("none@example.com").await.session();
    app.database
        .execute("update auth.users set password_hash = null where email = 'none@example.com'")
        .await;
    app
}

#[tokio::test]
async fn no_kind_of_address_is_refused_much_faster_than_another() {
    let app = app_with(&[]).await;
    let mut fastest = [Duration::MAX; ADDRESSES.len()];
    // In turns, so that whatever else the machine does hits all alike; the least time of each is
    // hardly more than its work.
    for _ in 0..8 {
        for (email, fastest) in ADDRESSES.iter().zip(&mut fastest) {
            let start = Instant::now();
            let response = app.sign_in(email, "wrong-Passw0rd").await;
            *fastest = start.elapsed().min(*fastest);
            response.assert_refused(401, "invalid-email-password");
        }
    }
    let (least, most) = (fastest.iter().min().unwrap(), fastest.iter().max().unwrap());
    assert!(*least > Duration::from_millis(10), "the hashes are too cheap to show: {fastest:?}");
    // Without the imitation the least would be a small part of the most.
    assert!(*least * 2 > *most, "{ADDRESSES:?}: {fastest:?}");
}

#[tokio::test]
async fn every_kind_of_address_waits_for_the_hasher() {
    let app = app_with(&[("AUTH_PASSWORD_HASH_QUEUE", "1")]).await;
    for email in ADDRESSES {
        // One runs and one waits: of so many at once some find no place, if they ask for one.
        let attempts = (0..12).map(|_| app.sign_in(email, "wrong-Passw0rd"));
        let responses = futures_util::future::join_all(attempts).await;
        let shed = responses.iter().filter(|response| response.status == 503).count();
        assert!(shed > 0, "{email} does not ask the hasher");
        assert!(shed < responses.len(), "{email} is always shed");
    }
}
