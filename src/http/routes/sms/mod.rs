//! Routes of SMS codes.

pub mod sign_in_passwordless_sms;
pub mod sign_in_passwordless_sms_otp;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes.route(Method::POST, "/signin/passwordless/sms", sign_in_passwordless_sms::post).route(
        Method::POST,
        "/signin/passwordless/sms/otp",
        sign_in_passwordless_sms_otp::post,
    )
}
