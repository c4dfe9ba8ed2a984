//! Routes of a user as such.

pub mod sign_in_anonymous;
pub mod user;
pub mod user_deanonymize;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;
use crate::http::message::route::{Limit, Limits, Turnstile};

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(
            Method::POST,
            "/signin/anonymous",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_anonymous::post,
        )
        .with_metadata()
        .route(Method::GET, "/user", Limits::NONE, Turnstile::NotAsked, user::get)
        .route(
            Method::POST,
            "/user/deanonymize",
            Limits::of(&[Limit::VerificationEmail, Limit::BruteForce]),
            Turnstile::NotAsked,
            user_deanonymize::post,
        )
        .with_metadata()
}
