//! Routes about the server itself: health, version, keys, development.

pub mod change_env;
pub mod dev_inbox;
pub mod healthz;
pub mod jwks;
pub mod version;

use http::Method;

use crate::app::App;
use crate::config::{MailTransport, ServerConfig};
use crate::http::RouterBuilder;
use crate::http::message::route::{Limits, Turnstile};

/// Mounts the routes of this folder; those for development only where settings ask for them.
pub fn mount(
    mut routes: RouterBuilder<App>,
    server: &ServerConfig,
    mail: &MailTransport,
) -> RouterBuilder<App> {
    routes = routes
        .route(Method::GET, "/.well-known/jwks.json", Limits::NONE, Turnstile::NotAsked, jwks::get)
        .route(Method::GET, "/healthz", Limits::NONE, Turnstile::NotAsked, healthz::get)
        .probe()
        .route(Method::HEAD, "/healthz", Limits::NONE, Turnstile::NotAsked, healthz::head)
        .probe()
        .route(Method::GET, "/version", Limits::NONE, Turnstile::NotAsked, version::get)
        .route_outside_prefix(Method::GET, "/healthz", healthz::get_outside_prefix)
        .probe()
        .route_outside_prefix(Method::HEAD, "/healthz", healthz::head)
        .probe()
        .route_outside_prefix(Method::GET, "/livez", healthz::live)
        .probe()
        .route_outside_prefix(Method::HEAD, "/livez", healthz::live)
        .probe();
    if server.change_env {
        routes = routes
            .route(Method::POST, "/change-env", Limits::NONE, Turnstile::NotAsked, change_env::post)
            .local();
    }
    if server.dev_routes && matches!(mail, MailTransport::Capture { .. }) {
        routes = routes
            .route_outside_prefix(Method::GET, "/dev/inbox", dev_inbox::get)
            .local()
            .route_outside_prefix(Method::GET, "/dev/inbox.json", dev_inbox::get_json)
            .local()
            .route_outside_prefix(Method::GET, "/dev/inbox/{id}", dev_inbox::get_message)
            .local();
    }
    routes
}
