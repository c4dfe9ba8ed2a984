//! Every path that this server answers: one folder a subject, one file a path, mounted by the
//! folder's `mount`.

pub mod accounts;
pub mod email;
pub mod mfa;
pub mod node;
pub mod passkeys;
pub mod passwords;
pub mod providers;
pub mod sessions;
pub mod sms;

use crate::app::App;
use crate::config::{MailTransport, ServerConfig};
use crate::http::Router;
use crate::http::pipeline::router::RouteError;

/// Every route of the contract that this version has, and the few beside it.
pub fn router(server: &ServerConfig, mail: &MailTransport) -> Result<Router<App>, RouteError> {
    let mut routes = Router::builder(&server.api_prefix);
    for mount in [
        sessions::mount,
        email::mount,
        sms::mount,
        passwords::mount,
        passkeys::mount,
        mfa::mount,
        providers::mount,
        accounts::mount,
    ] {
        routes = mount(routes);
    }
    node::mount(routes, server, mail).build()
}
