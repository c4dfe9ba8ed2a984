//! One access token as the server signs and verifies it, by algorithm.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use keywright::domain::clock::Clock;
use keywright::domain::ids::{SessionId, UserId};
use keywright::tokens::access_token::{TokenSubject, UserClaims};
use keywright::tokens::keys::KeySet;
use serde_json::json;

const SECRET: &str = "5152fa850c02dc222631cca898ed1485821a70912a6e3649c49076912daa3b62";

/// Keys for tests and benches only.
const PAIRS: [(&str, &str, &str); 4] = [
    (
        "RS256",
        include_str!("../src/tokens/testdata/rsa_spki.pem"),
        include_str!("../src/tokens/testdata/rsa_pkcs8.pem"),
    ),
    (
        "ES256",
        include_str!("../src/tokens/testdata/ec256_spki.pem"),
        include_str!("../src/tokens/testdata/ec256_pkcs8.pem"),
    ),
    (
        "ES384",
        include_str!("../src/tokens/testdata/ec384_spki.pem"),
        include_str!("../src/tokens/testdata/ec384_pkcs8.pem"),
    ),
    (
        "EdDSA",
        include_str!("../src/tokens/testdata/ed25519_spki.pem"),
        include_str!("../src/tokens/testdata/ed25519_pkcs8.pem"),
    ),
];

fn signing(c: &mut Criterion) {
    let mut secrets = vec![("HS256", json!({"type": "HS256", "key": SECRET}))];
    for (algorithm, public, private) in PAIRS {
        let secret = json!({"type": algorithm, "key": public, "signing_key": private});
        secrets.push((algorithm, secret));
    }
    let roles = ["me".to_owned(), "user".to_owned(), "editor".to_owned()];
    let claims = UserClaims::new(&TokenSubject {
        user_id: UserId::random(),
        roles: &roles,
        default_role: "user",
        is_anonymous: false,
        is_elevated: false,
        custom: &[],
    });
    let session = SessionId(UserId::random().0);
    let now = Clock::system().now();
    let lifetime = Duration::from_mins(15);
    for (algorithm, secret) in secrets {
        let keys = KeySet::from_secret(&secret.to_string().into()).expect("the keys fit");
        let token = keys.sign(&claims, session, now, lifetime).expect("a good key signs");
        let mut group = c.benchmark_group(algorithm);
        group.bench_function("sign", |b| {
            b.iter(|| {
                keys.sign(black_box(&claims), session, now, lifetime).expect("a good key signs")
            });
        });
        group.bench_function("verify", |b| {
            b.iter(|| keys.verify(black_box(&token), now).expect("our own token"));
        });
        group.finish();
    }
}

criterion_group!(benches, signing);
criterion_main!(benches);
