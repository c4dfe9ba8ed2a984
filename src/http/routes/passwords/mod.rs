//! Routes of passwords.

pub mod sign_in_email_password;
pub mod sign_up_email_password;
pub mod user_password;
pub mod user_password_reset;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(Method::POST, "/signin/email-password", sign_in_email_password::post)
        .route(Method::POST, "/signup/email-password", sign_up_email_password::post)
        .route(Method::POST, "/user/password", user_password::post)
        .route(Method::POST, "/user/password/reset", user_password_reset::post)
}
