//! Routes of SMS codes.

pub mod sign_in_passwordless_sms;
pub mod sign_in_passwordless_sms_otp;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;
use crate::http::message::route::{Limit, Limits, Turnstile};

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(
            Method::POST,
            "/signin/passwordless/sms",
            Limits::of(&[Limit::Sms, Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_passwordless_sms::post,
        )
        .with_metadata()
        .route(
            Method::POST,
            "/signin/passwordless/sms/otp",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_passwordless_sms_otp::post,
        )
}
