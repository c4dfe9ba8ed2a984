//! Routes of external identity providers.

pub mod id_tokens;
pub mod link_provider;
pub mod provider_tokens;
pub mod shared;
pub mod sign_in_provider;
pub mod sign_in_provider_callback;
pub mod sign_up_provider;

use http::Method;

use crate::app::App;
use crate::http::RouterBuilder;

/// Mounts the routes of this folder.
pub fn mount(routes: RouterBuilder<App>) -> RouterBuilder<App> {
    routes
        .route(Method::POST, "/link/idtoken", id_tokens::link)
        .route(Method::POST, "/link/provider/{provider}", link_provider::post)
        .route(Method::POST, "/signin/idtoken", id_tokens::sign_in)
        .route(Method::GET, "/signin/provider/{provider}", sign_in_provider::get)
        .route(Method::GET, "/signin/provider/{provider}/callback", sign_in_provider_callback::get)
        .route(
            Method::POST,
            "/signin/provider/{provider}/callback",
            sign_in_provider_callback::post,
        )
        .route(Method::GET, "/signin/provider/{provider}/callback/tokens", provider_tokens::get)
        .route(Method::POST, "/signup/idtoken", id_tokens::sign_up)
        .route(Method::GET, "/signup/provider/{provider}", sign_up_provider::get)
        .route(Method::POST, "/token/provider/{provider}", provider_tokens::post)
}
