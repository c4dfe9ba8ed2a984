//! Routes of `WebAuthn`.

pub mod elevate_webauthn;
pub mod elevate_webauthn_verify;
pub mod related_origins;
pub mod sign_in_webauthn;
pub mod sign_in_webauthn_verify;
pub mod sign_up_webauthn;
pub mod sign_up_webauthn_verify;
pub mod user_webauthn_add;
pub mod user_webauthn_keys;
pub mod user_webauthn_verify;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;
use crate::http::message::route::{Limit, Limits, Turnstile};

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(
            Method::POST,
            "/elevate/webauthn",
            Limits::NONE,
            Turnstile::NotAsked,
            elevate_webauthn::post,
        )
        .route(
            Method::POST,
            "/elevate/webauthn/verify",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            elevate_webauthn_verify::post,
        )
        .route(
            Method::POST,
            "/signin/webauthn",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_webauthn::post,
        )
        .route(
            Method::POST,
            "/signin/webauthn/verify",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_webauthn_verify::post,
        )
        .route(
            Method::POST,
            "/signup/webauthn",
            Limits::of(&[Limit::SignUps]),
            Turnstile::Asked,
            sign_up_webauthn::post,
        )
        .with_metadata()
        .route(
            Method::POST,
            "/signup/webauthn/verify",
            Limits::of(&[Limit::BruteForce, Limit::SignUps]),
            Turnstile::NotAsked,
            sign_up_webauthn_verify::post,
        )
        .with_metadata()
        .route(
            Method::POST,
            "/user/webauthn/add",
            Limits::NONE,
            Turnstile::NotAsked,
            user_webauthn_add::post,
        )
        .route(
            Method::GET,
            "/user/webauthn/keys",
            Limits::NONE,
            Turnstile::NotAsked,
            user_webauthn_keys::get,
        )
        .route(
            Method::PATCH,
            "/user/webauthn/keys/{id}",
            Limits::NONE,
            Turnstile::NotAsked,
            user_webauthn_keys::patch,
        )
        .route(
            Method::DELETE,
            "/user/webauthn/keys/{id}",
            Limits::NONE,
            Turnstile::NotAsked,
            user_webauthn_keys::delete,
        )
        .route(
            Method::POST,
            "/user/webauthn/verify",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            user_webauthn_verify::post,
        )
        .route_outside_prefix(Method::GET, "/.well-known/webauthn", related_origins::get)
}
