//! Variables that orchestrators set for a service with the name of a setting.
//!
//! Kubernetes and older Docker tell each container of every service `auth` by `AUTH_PORT=tcp://…`,
//! `AUTH_SERVICE_HOST`, `AUTH_PORT_4000_TCP_ADDR` and so on; of `auth-smtp` by `AUTH_SMTP_PORT=tcp://…`.

/// Schemes of the addresses in them.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Whether this is the address of a service and not a value of the setting.
pub(super) fn is_service_link(variable: &str, value: &str) -> bool {
    variable.ends_with("_PORT")
        && value
            .split_once("://")
            .is_some_and(|(scheme, _)| PROTOCOLS.contains(&scheme.trim_start()))
}

/// Whether only an orchestrator makes such names.
pub(super) fn is_link_name(name: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") {
        return true;
    }
    // `AUTH_PORT_4000_TCP`, and the same with _PROTO, _PORT or _ADDR.
    let Some((_, rest)) = name.split_once("_PORT_") else { return false };
    let mut parts = rest.split('_');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    parts.next().is_some_and(is_number)
        && parts.next().is_some_and(|part| {
            PROTOCOLS.iter().any(|protocol| part.eq_ignore_ascii_case(protocol))
        })
        && matches!((parts.next(), parts.next()), (None | Some("PROTO" | "PORT" | "ADDR"), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_of_links_are_known_and_no_others() {
        for value in ["tcp://10.96.0.12:4000", "udp://[fd00::1]:53", " sctp://a:1"] {
            assert!(is_service_link("AUTH_PORT", value), "{value}");
        }
        for (variable, value) in
            [("AUTH_PORT", "4000"), ("AUTH_PORT", "http://a"), ("AUTH_CLIENT_URL", "tcp://a:1")]
        {
            assert!(!is_service_link(variable, value), "{variable}={value}");
        }
        for name in [
            "AUTH_SERVICE_HOST",
            "AUTH_SERVICE_PORT",
            "AUTH_SERVICE_PORT_HTTP",
            "AUTH_PORT_4000_TCP",
            "AUTH_PORT_4000_TCP_PROTO",
            "AUTH_PORT_4000_TCP_PORT",
            "AUTH_PORT_4000_TCP_ADDR",
            "AUTH_ADMIN_PORT_9000_UDP",
        ] {
            assert!(is_link_name(name), "{name}");
        }
        for name in ["AUTH_PORT", "AUTH_PORT_TCP", "AUTH_PORT_4000", "AUTH_PORT_4000_TCP_NAME_X"] {
            assert!(!is_link_name(name), "{name}");
        }
    }
}
