//! One access token, by algorithm: the whole JWT, and the signature alone with a key read once.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken::{Header, encode};
use keywright::cli::bench::signing::{claims, keys};

fn signing(c: &mut Criterion) {
    let claims = claims();
    let message = [0x41_u8; 700];
    for (algorithm, key, raw) in keys().expect("fresh keys") {
        let mut group = c.benchmark_group(format!("{algorithm:?}"));
        let header = Header::new(algorithm);
        group.bench_function("jwt", |b| {
            b.iter(|| encode(&header, black_box(&claims), &key).expect("a fresh key signs"));
        });
        if let Some(sign) = raw {
            group.bench_function("signature", |b| b.iter(|| sign(black_box(&message))));
        }
        group.finish();
    }
}

criterion_group!(benches, signing);
criterion_main!(benches);
