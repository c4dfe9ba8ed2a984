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

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(Method::POST, "/signin/otp/email", sign_in_otp_email::post)
        .route(Method::POST, "/signin/otp/email/verify", sign_in_otp_email_verify::post)
        .route(Method::POST, "/signin/passwordless/email", sign_in_passwordless_email::post)
        .route(Method::POST, "/user/email/change", user_email_change::post)
        .route(Method::POST, "/user/email/send-verification-email", send_verification_email::post)
        .route(Method::GET, "/verify", verify::get)
}
