//! Every path of this server: one folder a subject, one file a path, mounted by the
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
use crate::config::{MailTransport, ServerConfig, VerifyLink};
use crate::http::pipeline::router::RouteError;
use crate::http::{Router, RouterBuilder};

/// Adds the routes of one folder.
type Mount = fn(RouterBuilder<App>) -> RouterBuilder<App>;

/// Every route of the contract that this version has, and the few beside it.
pub fn router(server: &ServerConfig, mail: &MailTransport) -> Result<Router<App>, RouteError> {
    let chapters: [(&str, Mount); 8] = [
        ("sessions", sessions::mount),
        ("email", email::mount),
        ("sms", sms::mount),
        ("passwords", passwords::mount),
        ("passkeys", passkeys::mount),
        ("mfa", mfa::mount),
        ("providers", providers::mount),
        ("accounts", accounts::mount),
    ];
    let mut routes = Router::builder(&server.api_prefix);
    for (chapter, mount) in chapters {
        routes = mount(routes.chapter(chapter));
    }
    if server.verify_link == VerifyLink::Confirm {
        routes = email::mount_confirmation(routes.chapter("email"));
    }
    node::mount(routes.chapter("node"), server, mail).build()
}
