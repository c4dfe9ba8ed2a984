//! The chain of refresh tokens: one step, a search for reuse, and the stored form.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use keywright::tokens::chain::RotationKey;
use keywright::tokens::refresh_token::RefreshToken;

fn chain(c: &mut Criterion) {
    let key = RotationKey::derive(b"key material of at least 32 bytes");
    let token = RefreshToken::generate();
    c.bench_function("chain/next", |b| b.iter(|| key.next(black_box(&token))));
    c.bench_function("chain/next and its stored form", |b| {
        b.iter(|| key.next(black_box(&token)).hash().stored());
    });
    c.bench_function("chain/walk 64 and hash", |b| {
        b.iter(|| {
            for (distance, next) in key.walk(black_box(&token), 64) {
                black_box((distance, next.hash()));
            }
        });
    });
    c.bench_function("token/parse and hash", |b| {
        b.iter(|| RefreshToken::parse(black_box(token.expose())).map(|token| token.hash()));
    });
}

criterion_group!(benches, chain);
criterion_main!(benches);
