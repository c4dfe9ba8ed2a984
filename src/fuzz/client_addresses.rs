//! What proxies and clients say in the head of a request: addresses, tokens, languages, purposes.

use std::net::IpAddr;

use http::header::{ACCEPT_LANGUAGE, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Target;
use crate::domain::auth_scheme::bearer_token;
use crate::http::input::languages::languages;
use crate::http::layers::client_address::TrustedProxies;
use crate::http::layers::prefetch::is_prefetch;

pub(super) const TARGET: Target = Target {
    name: "client_addresses",
    run,
    seeds: &[
        b"203.0.113.7",
        b"6.6.6.6, 203.0.113.7, 10.0.0.1",
        b"203.0.113.7:1234, [2001:db8::1]:443\n10.1.2.3",
        b"unknown, _hidden, \"[2001:db8::17]:4711\"",
        b"::ffff:203.0.113.7, ::ffff:10.0.0.1",
        b"Bearer abc.def.ghi",
        b"fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5",
        b"prefetch;prerender",
    ],
};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");
const REAL: HeaderName = HeaderName::from_static("x-real-ip");

fn run(input: &[u8]) {
    let lines = input.split(|byte| *byte == b'\n');
    let values: Vec<_> = lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().expect("a network"));
    let proxies = TrustedProxies::new(networks.into());
    let (proxy, stranger) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([198, 51, 100, 1]));
    let trusts = |address| proxies.client_network(address).is_none();

    let mut headers = HeaderMap::new();
    for value in &values {
        headers.append(FORWARDED, value.clone());
    }
    let client = proxies.client_ip(proxy, &headers);
    assert_eq!(client, client.to_canonical());
    assert_eq!(proxies.client_ip(stranger, &headers), stranger, "nobody believes strangers");
    if !trusts(client) {
        // Whatever a client writes before what proxies have added changes nothing.
        let mut more = HeaderMap::new();
        more.append(FORWARDED, HeaderValue::from_static("6.6.6.6, x, 10.9.9.9"));
        for value in &values {
            more.append(FORWARDED, value.clone());
        }
        assert_eq!(proxies.client_ip(proxy, &more), client);
    }
    if let Some(value) = values.first() {
        let real = HeaderMap::from_iter([(REAL, value.clone())]);
        let _ = proxies.client_ip(proxy, &real);
    }

    for value in values {
        if let Ok(text) = value.to_str()
            && let Some(token) = bearer_token(text)
        {
            assert!(!token.is_empty() && !token.contains([' ', '\t']), "{text:?}");
            assert!(text.contains(token));
        }
        let head = HeaderMap::from_iter([
            (ACCEPT_LANGUAGE, value.clone()),
            (HeaderName::from_static("sec-purpose"), value.clone()),
            (AUTHORIZATION, value),
        ]);
        for language in languages(&head) {
            assert!(matches!(language.len(), 2 | 3), "{language:?}");
        }
        let _ = is_prefetch(&head);
    }
}
