//! Routes of `WebAuthn`.

pub mod elevate_webauthn;
pub mod elevate_webauthn_verify;
pub mod sign_in_webauthn;
pub mod sign_in_webauthn_verify;
pub mod sign_up_webauthn;
pub mod sign_up_webauthn_verify;
pub mod user_webauthn_add;
pub mod user_webauthn_keys;
pub mod user_webauthn_verify;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(Method::POST, "/elevate/webauthn", elevate_webauthn::post)
        .route(Method::POST, "/elevate/webauthn/verify", elevate_webauthn_verify::post)
        .route(Method::POST, "/signin/webauthn", sign_in_webauthn::post)
        .route(Method::POST, "/signin/webauthn/verify", sign_in_webauthn_verify::post)
        .route(Method::POST, "/signup/webauthn", sign_up_webauthn::post)
        .route(Method::POST, "/signup/webauthn/verify", sign_up_webauthn_verify::post)
        .route(Method::POST, "/user/webauthn/add", user_webauthn_add::post)
        .route(Method::GET, "/user/webauthn/keys", user_webauthn_keys::get)
        .route(Method::PATCH, "/user/webauthn/keys/{id}", user_webauthn_keys::patch)
        .route(Method::DELETE, "/user/webauthn/keys/{id}", user_webauthn_keys::delete)
        .route(Method::POST, "/user/webauthn/verify", user_webauthn_verify::post)
}
