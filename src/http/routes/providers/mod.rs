//! Routes of external identity providers.

pub mod id_tokens;
pub mod link_provider;
pub mod provider_tokens;
pub mod shared;
pub mod sign_in_provider;
pub mod sign_in_provider_callback;
pub mod sign_up_provider;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;
use crate::http::message::route::{Limit, Limits, Turnstile};

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(
            Method::POST,
            "/link/idtoken",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            id_tokens::link,
        )
        .route(
            Method::POST,
            "/link/provider/{provider}",
            Limits::of(&[Limit::Providers]),
            Turnstile::NotAsked,
            link_provider::post,
        )
        .route(
            Method::POST,
            "/signin/idtoken",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            id_tokens::sign_in,
        )
        .with_metadata()
        .route(
            Method::GET,
            "/signin/provider/{provider}",
            Limits::of(&[Limit::Providers]),
            Turnstile::NotAsked,
            sign_in_provider::get,
        )
        .for_people()
        .route(
            Method::GET,
            "/signin/provider/{provider}/callback",
            Limits::NONE,
            Turnstile::NotAsked,
            sign_in_provider_callback::get,
        )
        .for_people()
        .route(
            Method::POST,
            "/signin/provider/{provider}/callback",
            Limits::NONE,
            Turnstile::NotAsked,
            sign_in_provider_callback::post,
        )
        .route(
            Method::GET,
            "/signin/provider/{provider}/callback/tokens",
            Limits::NONE,
            Turnstile::NotAsked,
            provider_tokens::get,
        )
        .for_people()
        .route(
            Method::POST,
            "/signup/idtoken",
            Limits::of(&[Limit::SignUps]),
            Turnstile::Asked,
            id_tokens::sign_up,
        )
        .with_metadata()
        .route(
            Method::GET,
            "/signup/provider/{provider}",
            Limits::of(&[Limit::Providers]),
            Turnstile::Asked,
            sign_up_provider::get,
        )
        .for_people()
        .route(
            Method::POST,
            "/token/provider/{provider}",
            Limits::NONE,
            Turnstile::NotAsked,
            provider_tokens::post,
        )
}
