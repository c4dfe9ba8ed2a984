//! What a browser keeps between the requests of one sign-in with a provider.
//!
//! Over TLS the names begin with `__Host-`, so that browsers take the cookies from this host alone (RFC
//! 6265bis, 4.1.3.2). Another host of the same site could otherwise have a browser finish what somebody
//! else began.

use cookie::{Cookie, SameSite};
use http::header::COOKIE;
use secrecy::{ExposeSecret as _, SecretString};
use time::Duration;

use crate::config::ServerConfig;
use crate::domain::random_secret::{hash_of, hex, is_host_only};
use crate::flows::email::verified_address::BROWSER_COOKIE;
use crate::http::ApiRequest;

/// Browsers set a cookie of such a name for the host itself only, securely, and for all its paths.
const HOST_PREFIX: &str = "__Host-";

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

/// The bare name is that of plain HTTP, and of cookies that an older version has set over TLS. What
/// was meant for the other name counts under no other.
fn find(request: &ApiRequest, name: &str) -> Option<String> {
    let prefixed = format!("{HOST_PREFIX}{name}");
    find_named(request, &prefixed)
        .or_else(|| find_named(request, name).filter(|secret| !is_host_only(secret)))
}

fn find_named(request: &ApiRequest, name: &str) -> Option<String> {
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

/// Over TLS for this host alone; else for the path as browsers see it, which a proxy may have made
/// longer.
fn cookie(
    server: &ServerConfig,
    name: String,
    path: &str,
    secret: &SecretString,
) -> Cookie<'static> {
    let is_secure = server.is_https();
    let (name, path) = if is_secure {
        (format!("{HOST_PREFIX}{name}"), "/".to_owned())
    } else {
        let base = server.server_url.as_ref().map_or("", url::Url::path).trim_end_matches('/');
        (name, format!("{base}{path}"))
    };
    // Apple posts its response from its own site, where nothing else is sent; browsers take `None`
    // from secure origins only.
    let same_site = if is_secure { SameSite::None } else { SameSite::Lax };
    Cookie::build((name, secret.expose_secret().to_owned()))
        .path(path)
        .http_only(true)
        .secure(is_secure)
        .same_site(same_site)
        .build()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method, Uri};

    use crate::http::input::browser_cookies::*;

    fn found(cookies: &str) -> Option<String> {
        let mut request = ApiRequest::new(Method::GET, Uri::from_static("/"), "");
        request.headers.insert(COOKIE, HeaderValue::from_str(cookies).unwrap());
        find(&request, "name")
    }

    #[test]
    fn what_only_this_host_can_set_counts_under_that_name_alone() {
        assert_eq!(found("__Host-name=h.new; name=old").as_deref(), Some("h.new"));
        assert_eq!(found("name=old; __Host-name=h.new").as_deref(), Some("h.new"));
        assert_eq!(found("name=old").as_deref(), Some("old"), "of plain HTTP, or an older version");
        assert_eq!(found("name=h.new"), None, "set by another host of the site");
        assert_eq!(found("other=x"), None);
    }
}
