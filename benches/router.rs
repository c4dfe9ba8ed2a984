//! Finding the handler among as many routes as the contract has.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use keywright::http::message::route::{Limits, Turnstile};
use keywright::http::pipeline::router::{HandlerResult, Router};
use keywright::http::{ApiRequest, ApiResponse};

/// Paths of the contract, with those that share a beginning.
const PATHS: [&str; 24] = [
    "/token",
    "/token/verify",
    "/signup/email-password",
    "/signup/webauthn",
    "/signup/webauthn/verify",
    "/signin/email-password",
    "/signin/anonymous",
    "/signin/passwordless/email",
    "/signin/passwordless/sms",
    "/signin/otp/email",
    "/signin/mfa/totp",
    "/signin/webauthn",
    "/signin/idtoken",
    "/signin/pat",
    "/signout",
    "/user",
    "/user/password",
    "/user/password/reset",
    "/user/email/change",
    "/user/email/send-verification-email",
    "/user/deanonymize",
    "/mfa/totp/generate",
    "/pat",
    "/elevate/webauthn",
];

async fn ok(_state: Arc<()>, _request: ApiRequest) -> HandlerResult {
    Ok(ApiResponse::ok_text())
}

fn router(c: &mut Criterion) {
    let mut builder = Router::<()>::builder("/v1");
    for path in PATHS {
        builder = builder.route(Method::POST, path, Limits::NONE, Turnstile::NotAsked, ok);
    }
    let router = builder
        .route(
            Method::GET,
            "/signin/provider/{provider}/callback",
            Limits::NONE,
            Turnstile::NotAsked,
            ok,
        )
        .route(Method::GET, "/user", Limits::NONE, Turnstile::NotAsked, ok)
        .build()
        .expect("the routes differ");
    let cases = [
        ("token", Method::POST, "/v1/token"),
        ("longest", Method::POST, "/v1/user/email/send-verification-email"),
        ("parameter", Method::GET, "/v1/signin/provider/github/callback"),
        ("unknown path", Method::GET, "/v1/nothing/here"),
        ("wrong method", Method::DELETE, "/v1/user"),
    ];
    for (name, method, path) in cases {
        c.bench_function(&format!("router/{name}"), |b| {
            b.iter(|| black_box(router.find(black_box(&method), black_box(path)).is_ok()));
        });
    }
}

criterion_group!(benches, router);
criterion_main!(benches);
