//! Routes of TOTP.

pub mod mfa_totp_generate;
pub mod sign_in_mfa_totp;
pub mod user_mfa;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;
use crate::http::message::route::{Limit, Limits, Turnstile};

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(
            Method::GET,
            "/mfa/totp/generate",
            Limits::NONE,
            Turnstile::NotAsked,
            mfa_totp_generate::get,
        )
        .for_people()
        .route(
            Method::POST,
            "/signin/mfa/totp",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_mfa_totp::post,
        )
        .route(
            Method::POST,
            "/user/mfa",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            user_mfa::post,
        )
}
