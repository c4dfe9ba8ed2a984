//! Routes of mail: verification, links, codes, a change of address.

pub mod send_verification_email;
pub mod sign_in_otp_email;
pub mod sign_in_otp_email_verify;
pub mod sign_in_passwordless_email;
pub mod user_email_change;
pub mod verify;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;
use crate::http::message::route::{Limit, Limits, Turnstile};

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(
            Method::POST,
            "/signin/otp/email",
            Limits::of(&[Limit::Email, Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_otp_email::post,
        )
        .with_metadata()
        .route(
            Method::POST,
            "/signin/otp/email/verify",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_otp_email_verify::post,
        )
        .route(
            Method::POST,
            "/signin/passwordless/email",
            Limits::of(&[Limit::Email, Limit::BruteForce]),
            Turnstile::NotAsked,
            sign_in_passwordless_email::post,
        )
        .with_metadata()
        .route(
            Method::POST,
            "/user/email/change",
            Limits::of(&[Limit::Email]),
            Turnstile::NotAsked,
            user_email_change::post,
        )
        .route(
            Method::POST,
            "/user/email/send-verification-email",
            Limits::of(&[Limit::VerificationEmail]),
            Turnstile::NotAsked,
            send_verification_email::post,
        )
        .route(
            Method::GET,
            "/verify",
            Limits::of(&[Limit::BruteForce]),
            Turnstile::NotAsked,
            verify::get,
        )
        .for_people()
}

/// Mounts what the button of the page behind a mailed link does.
pub fn mount_confirmation(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes.route(
        Method::POST,
        "/verify",
        Limits::of(&[Limit::BruteForce]),
        Turnstile::NotAsked,
        verify::post,
    )
}
