//! Routes of a user as such.

pub mod sign_in_anonymous;
pub mod user;
pub mod user_deanonymize;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(Method::POST, "/signin/anonymous", sign_in_anonymous::post)
        .route(Method::GET, "/user", user::get)
        .route(Method::POST, "/user/deanonymize", user_deanonymize::post)
}
