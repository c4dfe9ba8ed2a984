//! The client's address behind proxies.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::domain::client_network::ClientNetwork;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Peers whose word about the client's address is taken (`AUTH_TRUSTED_PROXIES`).
#[derive(Clone, Debug)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Trusts the given networks and nobody else.
    pub fn new(networks: Arc<[IpNet]>) -> Self {
        Self(networks)
    }

    /// The right-most address of `X-Forwarded-For` that is not a trusted proxy's, when the peer is
    /// one; everything to the left of it could have been made up by the client. `X-Real-IP` counts
    /// when a trusted peer sent no `X-Forwarded-For`.
    pub fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let mut client = peer;
        let mut is_forwarded = false;
        for line in headers.get_all(X_FORWARDED_FOR).iter().rev() {
            for hop in line.as_bytes().rsplit(|byte| *byte == b',') {
                is_forwarded = true;
                // An unreadable hop hides who spoke to the one before it.
                let Some(address) = parse(hop) else { return client };
                client = address;
                if !self.trusts(client) {
                    return client;
                }
            }
        }
        if !is_forwarded && let Some(real) = headers.get(X_REAL_IP) {
            return parse(real.as_bytes()).unwrap_or(client);
        }
        client
    }

    /// The network of a client, or of a peer that is no proxy. A proxy has none, since many clients
    /// are behind it.
    pub fn client_network(&self, address: IpAddr) -> Option<ClientNetwork> {
        let address = address.to_canonical();
        (!self.trusts(address)).then(|| address.into())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// An address, with or without a port, IPv6 with or without brackets.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address =
        bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::http::layers::client_address::*;

    fn client(peer: &str, forwarded: &[&str], real: Option<&str>) -> String {
        let networks = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];
        let proxies = TrustedProxies::new(networks.iter().map(|n| n.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        if let Some(real) = real {
            headers.insert(X_REAL_IP, HeaderValue::from_str(real).unwrap());
        }
        proxies.client_ip(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_peer_that_is_no_proxy_speaks_for_itself_only() {
        assert_eq!(client("203.0.113.9", &["1.2.3.4"], Some("5.6.7.8")), "203.0.113.9");
    }

    #[test]
    fn the_right_most_untrusted_address_wins() {
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"], None), "1.2.3.4");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "1.2.3.4"], None), "1.2.3.4");
        assert_eq!(client("::ffff:10.0.0.1", &["2001:db8::1"], None), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:443, fd00::1"], None), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["1.2.3.4:5678"], None), "1.2.3.4");
    }

    #[test]
    fn a_chain_of_proxies_alone_gives_its_far_end() {
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"], None), "10.0.0.3");
    }

    #[test]
    fn nothing_left_of_an_unreadable_hop_is_believed() {
        assert_eq!(client("10.0.0.1", &["1.2.3.4, bogus, 10.0.0.2"], None), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["bogus"], Some("7.7.7.7")), "10.0.0.1");
    }

    #[test]
    fn x_real_ip_counts_when_nothing_was_forwarded() {
        assert_eq!(client("127.0.0.1", &[], Some("7.7.7.7")), "7.7.7.7");
        assert_eq!(client("127.0.0.1", &[], Some("bogus")), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["1.1.1.1"], Some("7.7.7.7")), "1.1.1.1");
    }
}
