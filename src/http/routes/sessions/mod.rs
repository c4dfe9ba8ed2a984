//! Routes of sessions and tokens.

pub mod pat;
pub mod payload;
pub mod sign_in_pat;
pub mod sign_out;
pub mod token;
pub mod token_exchange;
pub mod token_verify;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;
use crate::http::message::route::{Limit, Limits, Turnstile};

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(Method::POST, "/pat", Limits::NONE, Turnstile::NotAsked, pat::post)
        .with_metadata()
        .route(
            Method::POST,
            "/signin/pat",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_pat::post,
        )
        .route(Method::POST, "/signout", Limits::NONE, Turnstile::NotAsked, sign_out::post)
        .route(Method::POST, "/token", Limits::NONE, Turnstile::NotAsked, token::post)
        .route(
            Method::POST,
            "/token/verify",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            token_verify::post,
        )
        .route(
            Method::POST,
            "/token/exchange",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            token_exchange::post,
        )
}
