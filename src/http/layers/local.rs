//! Routes for this machine only: captured mail, and settings that anybody may change.
//!
//! They ask nobody who they are, so no page of somebody else may reach them through a developer's
//! browser: not by CORS, and not by a name of its own that leads to this address (DNS rebinding).

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Uri};

/// Paths that get no CORS headers.
#[derive(Clone, Debug, Default)]
pub struct LocalPaths(Arc<[String]>);

impl LocalPaths {
    /// Of these routes, whose paths may end with a `{name}` segment.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self(paths.into_iter().map(ToOwned::to_owned).collect())
    }

    /// Whether it is one of them.
    pub fn contains(&self, path: &str) -> bool {
        self.0.iter().any(|local| match local.split_once('{') {
            Some((before, _)) => path.starts_with(before),
            None => path.strip_suffix('/').unwrap_or(path) == local,
        })
    }
}

/// The hosts by which this machine is asked.
#[derive(Clone, Copy, Debug)]
pub struct LocalHosts {
    bind: IpAddr,
}

impl LocalHosts {
    /// Of a server that listens on this address (`AUTH_BIND`).
    pub const fn new(bind: IpAddr) -> Self {
        Self { bind }
    }

    /// Whether the request asks for `localhost`, a loopback address or the address that is listened
    /// on; any address where that is every interface. A page can make a name lead here, but no
    /// address.
    pub fn are_asked(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        if let Some(authority) = uri.authority() {
            return self.contain(authority);
        }
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        Authority::try_from(host.as_bytes()).is_ok_and(|authority| self.contain(&authority))
    }

    fn contain(self, authority: &Authority) -> bool {
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                address.is_loopback()
                    || self.bind.is_unspecified()
                    || address == self.bind.to_canonical()
            }
            Err(_) => bare.eq_ignore_ascii_case("localhost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::http::layers::local::*;

    fn is_asked(bind: &str, hosts: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        LocalHosts::new(bind.parse().unwrap()).are_asked(&Uri::from_static("/x"), &headers)
    }

    #[test]
    fn names_other_than_localhost_are_not_this_machine() {
        for bind in ["127.0.0.1", "::", "10.0.0.5"] {
            for host in ["localhost", "LOCALHOST:4000", "127.0.0.1:4000", "[::1]:4000", "127.0.0.2"]
            {
                assert!(is_asked(bind, &[host]), "{bind} {host}");
            }
            for host in ["evil.test", "evil.test:4000", "localhost.evil.test", "", "a b"] {
                assert!(!is_asked(bind, &[host]), "{bind} {host}");
            }
            assert!(!is_asked(bind, &[]) && !is_asked(bind, &["localhost", "evil.test"]));
        }
    }

    #[test]
    fn the_bind_address_is_this_machine_and_any_address_where_that_is_every_interface() {
        assert!(is_asked("10.0.0.5", &["10.0.0.5:4000"]) && !is_asked("10.0.0.5", &["10.0.0.6"]));
        assert!(is_asked("::", &["192.168.1.7:4000"]) && is_asked("0.0.0.0", &["[fd00::7]"]));
        let uri = Uri::from_static("http://evil.test/x");
        let mut headers = HeaderMap::new();
        headers.append(HOST, HeaderValue::from_static("localhost"));
        assert!(!LocalHosts::new([127, 0, 0, 1].into()).are_asked(&uri, &headers));
    }

    #[test]
    fn paths_are_compared_as_the_router_does() {
        let paths = LocalPaths::new(["/change-env", "/dev/inbox", "/dev/inbox/{id}"]);
        for local in ["/change-env", "/change-env/", "/dev/inbox", "/dev/inbox/7"] {
            assert!(paths.contains(local), "{local}");
        }
        for other in ["/", "/change-environment", "/v1/change-env", "/dev", "/token"] {
            assert!(!paths.contains(other), "{other}");
        }
    }
}
