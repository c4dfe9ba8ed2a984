//! Notices that rate limits take everybody for one client, because a proxy does not say who asks, or
//! is not believed.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use http::HeaderMap;

use super::client_address::X_FORWARDED_FOR;

/// Requests after which there is something to say; a client from elsewhere would have come by then.
const ENOUGH: u32 = 100;

/// Looks at the first requests, until it knows.
#[derive(Debug, Default)]
pub struct ProxyWatch {
    /// Requests from private addresses so far; more than [`ENOUGH`] once nothing is left to find out.
    seen: AtomicU32,
}

impl ProxyWatch {
    /// Looks at one request; warns at most once.
    pub fn look_at(&self, client_ip: IpAddr, headers: &HeaderMap) {
        if self.seen.load(Ordering::Relaxed) > ENOUGH {
            return;
        }
        if !is_private(client_ip) || names(headers, client_ip) {
            self.seen.store(u32::MAX / 2, Ordering::Relaxed);
        } else if self.seen.fetch_add(1, Ordering::Relaxed) == ENOUGH {
            tracing::warn!(
                setting = "AUTH_TRUSTED_PROXIES",
                client.address = %client_ip,
                forwarded_for_is_ignored = headers.contains_key(X_FORWARDED_FOR),
                "every request so far came from a private address, so rate limits may take everybody \
                 for one client: a proxy in front has to send X-Forwarded-For and to be in \
                 AUTH_TRUSTED_PROXIES"
            );
        }
    }
}

/// Whether a proxy that is believed named this address.
fn names(headers: &HeaderMap, client_ip: IpAddr) -> bool {
    let client_ip = client_ip.to_string();
    let lines = headers.get_all(X_FORWARDED_FOR).iter();
    lines.filter_map(|line| line.to_str().ok()).any(|line| line.contains(&client_ip))
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::http::layers::proxy_watch::*;

    /// How much it has seen after these requests; more than enough if it knows.
    fn seen(requests: &[(&str, Option<&'static str>)]) -> u32 {
        let watch = ProxyWatch::default();
        for (client, forwarded) in requests {
            let mut headers = HeaderMap::new();
            if let Some(value) = forwarded {
                headers.insert(X_FORWARDED_FOR, HeaderValue::from_static(value));
            }
            watch.look_at(client.parse().unwrap(), &headers);
        }
        watch.seen.load(Ordering::Relaxed)
    }

    #[test]
    fn private_addresses_that_no_proxy_named_are_counted() {
        assert_eq!(seen(&[("172.18.0.1", None), ("10.0.0.7", None), ("::1", None)]), 3);
        assert_eq!(seen(&[("172.18.0.1", Some("203.0.113.7"))]), 1, "it is not believed");
        assert_eq!(seen(&[("fd00::7", None), ("fe80::1", None), ("169.254.1.1", None)]), 3);
    }

    #[test]
    fn one_client_from_elsewhere_or_named_by_a_proxy_is_enough_to_know() {
        assert!(seen(&[("203.0.113.7", None), ("10.0.0.7", None)]) > ENOUGH);
        assert!(seen(&[("10.0.0.7", Some("10.0.0.7, 10.0.0.1"))]) > ENOUGH);
    }
}
