//! Routes of sessions and tokens.

pub mod pat;
pub mod payload;
pub mod sign_in_pat;
pub mod sign_out;
pub mod token;
pub mod token_exchange;
pub mod token_verify;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(Method::POST, "/pat", pat::post)
        .route(Method::POST, "/signin/pat", sign_in_pat::post)
        .route(Method::POST, "/signout", sign_out::post)
        .route(Method::POST, "/token", token::post)
        .route(Method::POST, "/token/verify", token_verify::post)
        .route(Method::POST, "/token/exchange", token_exchange::post)
}
