//! Keeps addresses that others name from leading into private networks.
//!
//! What an operator configures may be anywhere. What a provider's document names must be public, or
//! else whoever controls that document could make this server speak to its neighbours.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Resolves names, and leaves private addresses out.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|at| is_public(at.ip())).collect();
            if public.is_empty() {
                return Err(io::Error::other("the host is in a private network").into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether a URL may be tried at all; names are looked at again when they are resolved.
pub(super) fn may_be_public(url: &Url) -> bool {
    match url.host() {
        None => false,
        Some(Host::Domain(_)) => true,
        Some(Host::Ipv4(ip)) => is_public(ip.into()),
        Some(Host::Ipv6(ip)) => is_public(ip.into()),
    }
}

/// Whether an address can be reached from everywhere (the registries of RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let embedded = match segments {
        // Mapped and compatible addresses, and those of translators (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some([high, low])
        }
        // 6to4.
        [0x2002, high, low, ..] => Some([high, low]),
        _ => None,
    };
    if let Some([high, low]) = embedded {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Of the rest, only 2000::/3 is given out, less documentation and Teredo.
    segments[0] & 0xe000 == 0x2000 && !(segments[0] == 0x2001 && matches!(segments[1], 0 | 0xdb8))
}

#[cfg(test)]
mod tests {
    use crate::clients::public_network::*;

    #[test]
    fn private_and_special_addresses_are_not_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn addresses_in_urls_are_looked_at_before_anything_is_sent() {
        for (url, expected) in [
            ("https://example.com/x", true),
            ("https://8.8.8.8/", true),
            ("http://127.0.0.1/", false),
            ("http://2130706433/", false),
            ("http://[::1]/", false),
            ("data:text/plain,x", false),
        ] {
            assert_eq!(may_be_public(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn names_that_lead_home_are_not_resolved() {
        let found = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert!(found.is_err());
    }
}
