//! Routes of passwords.

pub mod sign_in_email_password;
pub mod sign_up_email_password;
pub mod user_password;
pub mod user_password_reset;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;
use crate::http::message::route::{Limit, Limits, Turnstile};

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(
            Method::POST,
            "/signin/email-password",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_email_password::post,
        )
        .route(
            Method::POST,
            "/signup/email-password",
            Limits::of(&[Limit::VerificationEmail, Limit::SignUps]),
            Turnstile::Asked,
            sign_up_email_password::post,
        )
        .with_metadata()
        .route(
            Method::POST,
            "/user/password",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            user_password::post,
        )
        .route(
            Method::POST,
            "/user/password/reset",
            Limits::of(&[Limit::Email]),
            Turnstile::NotAsked,
            user_password_reset::post,
        )
}
