//! What a browser keeps between the requests of one sign-in with a provider.

use cookie::{Cookie, SameSite};
use http::header::COOKIE;
use secrecy::{ExposeSecret as _, SecretString};
use time::Duration;

use crate::config::ServerConfig;
use crate::domain::random_secret::{hash_of, hex};
use crate::flows::email::verified_address::BROWSER_COOKIE;
use crate::http::ApiRequest;

/// How long a browser keeps what belongs to a mailed link: as long as the link works.
const LINK_LIFETIME: Duration = Duration::days(30);

/// The cookie of one sign-in; several may be under way in one browser.
pub fn state_cookie(
    server: &ServerConfig,
    provider: &str,
    handle: &str,
    secret: &SecretString,
    lifetime: std::time::Duration,
) -> Cookie<'static> {
    let mut cookie = cookie(server, state_name(handle), &callback_path(provider), secret);
    cookie.set_max_age(Duration::try_from(lifetime).ok());
    cookie
}

/// Has the browser forget the cookie of a sign-in.
pub fn forget_state(server: &ServerConfig, provider: &str, handle: &str) -> Cookie<'static> {
    let nothing = SecretString::default();
    let mut cookie = cookie(server, state_name(handle), &callback_path(provider), &nothing);
    cookie.set_max_age(Duration::ZERO);
    cookie
}

/// The cookie of a browser that waits for its address to be verified.
pub fn link_cookie(server: &ServerConfig, secret: &SecretString) -> Cookie<'static> {
    let mut cookie = cookie(server, BROWSER_COOKIE.to_owned(), "/verify", secret);
    cookie.set_max_age(LINK_LIFETIME);
    cookie
}

/// What the browser kept of the sign-in with this handle.
pub fn find_state(request: &ApiRequest, handle: &str) -> Option<String> {
    find(request, &state_name(handle))
}

/// What the browser kept of a sign-up whose address was not verified.
pub fn find_link(request: &ApiRequest) -> Option<SecretString> {
    find(request, BROWSER_COOKIE).map(Into::into)
}

fn find(request: &ApiRequest, name: &str) -> Option<String> {
    request
        .headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// Cannot be guessed from the outside, and tells nothing of the handle.
fn state_name(handle: &str) -> String {
    let hash = hash_of(&["state cookie", handle]);
    format!("keywright-provider-{}", hex(&hash[..8]))
}

fn callback_path(provider: &str) -> String {
    format!("/signin/provider/{provider}/callback")
}

/// For the path as browsers see it, which a proxy may have made longer.
fn cookie(
    server: &ServerConfig,
    name: String,
    path: &str,
    secret: &SecretString,
) -> Cookie<'static> {
    let base = server.server_url.as_ref().map_or("", url::Url::path).trim_end_matches('/');
    let is_secure = server.server_url.as_ref().is_some_and(|url| url.scheme() == "https");
    // Apple posts its response from its own site, where nothing else is sent; browsers take `None`
    // from secure origins only.
    let same_site = if is_secure { SameSite::None } else { SameSite::Lax };
    Cookie::build((name, secret.expose_secret().to_owned()))
        .path(format!("{base}{path}"))
        .http_only(true)
        .secure(is_secure)
        .same_site(same_site)
        .build()
}
