//! The listener, its limits, how clients reach this server, and what it logs.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use url::{Host, Url};

use crate::config::reading::Reader;
use crate::config::rows;
use crate::domain::redirect::is_target;
use crate::domain::schema_origin::Origin;

/// Proxies on this machine.
const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];
/// Proxies on this machine and in private networks.
const LOOPBACK_AND_PRIVATE: &[&str] = &[
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
];

/// Longest name of a node.
const MAX_NODE_NAME: usize = 100;

/// Listener, limits, and how clients reach this server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `AUTH_NODE_NAME` (ours), default the name of the host.
    pub node_name: String,
    /// `AUTH_BIND` (ours; default every interface) and `AUTH_PORT`.
    pub listen: SocketAddr,
    /// `AUTH_API_PREFIX`, used literally; empty or with a leading and without a trailing slash.
    pub api_prefix: String,
    /// `AUTH_SERVER_URL`, with the prefix; base of mailed links.
    pub server_url: Option<Url>,
    /// `AUTH_CLIENT_URL` as configured; default of `redirectTo`.
    pub client_url: String,
    /// `AUTH_CONCEAL_ERRORS`.
    pub conceal_errors: bool,
    /// `AUTH_VERIFY_LINK` (ours).
    pub verify_link: VerifyLink,
    /// `AUTH_ENABLE_CHANGE_ENV`.
    pub change_env: bool,
    /// `AUTH_DEV_ROUTES` (ours).
    pub dev_routes: bool,
    /// `AUTH_TRUSTED_PROXIES` (ours): peers whose `X-Forwarded-For` is believed; `None`: by the
    /// origin of the database.
    pub trusted_proxies: Option<Arc<[IpNet]>>,
    /// `AUTH_HTTP_MAX_BODY_BYTES` (ours), default 1 MiB: of operations that take metadata.
    pub max_body_bytes: usize,
    /// `AUTH_HTTP_BODY_BUDGET_MIB` (ours) in bytes, default 64 MiB.
    pub body_budget: usize,
    /// `AUTH_HTTP_HEADER_TIMEOUT` (ours), default 5 s as the reference.
    pub header_timeout: Duration,
    /// `AUTH_HTTP_REQUEST_TIMEOUT` (ours), default 30 s.
    pub request_timeout: Duration,
    /// `AUTH_HTTP_WRITE_TIMEOUT` (ours), default 20 s.
    pub write_timeout: Duration,
    /// `AUTH_HTTP_CLIENT_SHARE` (ours): percent for one client network, default 50.
    pub client_share: u8,
    /// `AUTH_HTTP_MAX_CONCURRENCY` (ours): requests in flight before 503, default 10 000.
    pub max_concurrency: usize,
    /// `AUTH_SHUTDOWN_GRACE` (ours): how long a node that was signalled to end goes on serving,
    /// default 5 s.
    pub shutdown_grace: Duration,
    /// `AUTH_SHUTDOWN_TIMEOUT` (ours): longest drain, default 30 s.
    pub shutdown_timeout: Duration,
    /// `AUTH_ENV_FILE` (ours): file of `NAME=value` lines, read at start and again on SIGHUP.
    pub env_file: Option<PathBuf>,
}

/// `AUTH_VERIFY_LINK`: what following a mailed link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyLink {
    /// It is used up.
    Direct,
    /// It leads to a page, whose button uses it up.
    Confirm,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `AUTH_DEBUG`.
    pub debug: bool,
    /// `AUTH_LOG_FORMAT_TEXT`.
    pub text: bool,
}

impl ServerConfig {
    /// Peers whose `X-Forwarded-For` is believed: where nothing is configured, this machine, and on an
    /// adopted database private networks, too, as before.
    pub fn trusted_proxies(&self, origin: Origin) -> Arc<[IpNet]> {
        let default = match origin {
            Origin::Created => LOOPBACK,
            Origin::Adopted => LOOPBACK_AND_PRIVATE,
        };
        self.trusted_proxies.clone().unwrap_or_else(|| {
            default.iter().map(|network| network.parse().expect("a constant")).collect()
        })
    }

    /// Whether browsers reach this server over TLS (`AUTH_SERVER_URL`).
    pub fn is_https(&self) -> bool {
        self.server_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let change_env = reader.boolean(&rows::server::ENABLE_CHANGE_ENV);
        if change_env {
            reader.warn(
                &rows::server::ENABLE_CHANGE_ENV,
                "ANYONE WHO REACHES THIS SERVER CAN CHANGE ITS SETTINGS; never use this in production",
            );
        }
        let max_body_bytes = reader.number(&rows::server::HTTP_MAX_BODY_BYTES, 1..=1 << 30);
        Self {
            node_name: read_node_name(reader),
            listen: SocketAddr::new(read_bind(reader), read_port(reader)),
            api_prefix: read_api_prefix(reader),
            server_url: reader.http_url(&rows::server::SERVER_URL),
            client_url: read_client_url(reader),
            conceal_errors: reader.boolean(&rows::server::CONCEAL_ERRORS),
            verify_link: match reader.choice(&rows::server::VERIFY_LINK) {
                Some("confirm") => VerifyLink::Confirm,
                _ => VerifyLink::Direct,
            },
            change_env,
            dev_routes: reader.boolean(&rows::server::DEV_ROUTES),
            trusted_proxies: read_trusted_proxies(reader),
            max_body_bytes,
            body_budget: read_body_budget(reader, max_body_bytes),
            header_timeout: reader.duration(&rows::server::HTTP_HEADER_TIMEOUT, false),
            request_timeout: reader.duration(&rows::server::HTTP_REQUEST_TIMEOUT, false),
            write_timeout: reader.duration(&rows::server::HTTP_WRITE_TIMEOUT, false),
            client_share: reader.number(&rows::server::HTTP_CLIENT_SHARE, 1..=100),
            max_concurrency: reader.number(&rows::server::HTTP_MAX_CONCURRENCY, 1..=1_000_000),
            shutdown_grace: reader.duration(&rows::server::SHUTDOWN_GRACE, true),
            shutdown_timeout: reader.duration(&rows::server::SHUTDOWN_TIMEOUT, true),
            env_file: {
                // Known to the sources, which have read it.
                let _ = reader.text(&rows::server::ENV_FILE);
                reader.sources().env_file()
            },
        }
    }
}

impl LogConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            debug: reader.boolean(&rows::server::DEBUG),
            text: reader.boolean(&rows::server::LOG_FORMAT_TEXT),
        }
    }
}

/// For people, in tables and logs.
fn read_node_name(reader: &mut Reader<'_>) -> String {
    let name = reader.text(&rows::server::NODE_NAME);
    if name.is_empty() {
        let host = hostname::get().unwrap_or_default().to_string_lossy().into_owned();
        return if host.is_empty() { "node".to_owned() } else { host };
    }
    if name.len() > MAX_NODE_NAME || name.chars().any(char::is_control) {
        reader.refuse(
            &rows::server::NODE_NAME,
            format!("it may have up to {MAX_NODE_NAME} bytes, and no control characters"),
        );
    }
    name
}

fn read_body_budget(reader: &mut Reader<'_>, largest: usize) -> usize {
    let mib: usize = reader.number(&rows::server::HTTP_BODY_BUDGET_MIB, 1..=1 << 20);
    let budget = mib << 20;
    if budget < largest {
        reader.refuse(
            &rows::server::HTTP_BODY_BUDGET_MIB,
            format!(
                "{mib} MiB are less than one body of AUTH_HTTP_MAX_BODY_BYTES, {largest} bytes"
            ),
        );
    }
    budget
}

fn read_bind(reader: &mut Reader<'_>) -> IpAddr {
    let text = reader.text(&rows::server::BIND);
    let text = text.trim_start_matches('[').trim_end_matches(']');
    text.parse().unwrap_or_else(|_error| {
        reader.refuse(
            &rows::server::BIND,
            "write an IP address, such as 127.0.0.1, or :: for every interface",
        );
        IpAddr::from([127, 0, 0, 1])
    })
}

/// A text in the reference, where empty means a free port.
fn read_port(reader: &mut Reader<'_>) -> u16 {
    let text = reader.text(&rows::server::PORT);
    if text.is_empty() {
        return 0;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        reader.refuse(
            &rows::server::PORT,
            format!("\"{}\" is not a port number", text.escape_debug()),
        );
        return 0;
    }
    text.parse().unwrap_or_else(|_error| {
        reader.refuse(&rows::server::PORT, format!("{text} is above 65535, the highest port"));
        0
    })
}

fn read_api_prefix(reader: &mut Reader<'_>) -> String {
    let prefix = reader.text(&rows::server::API_PREFIX);
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    let is_path = prefix.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment));
    if !prefix.is_empty() && !is_path {
        reader.refuse(
            &rows::server::API_PREFIX,
            "write a path such as /v1, with a leading and without a trailing slash",
        );
    }
    prefix
}

fn read_client_url(reader: &mut Reader<'_>) -> String {
    let text = reader.text(&rows::server::CLIENT_URL);
    if text.is_empty() {
        reader.warn(
            &rows::server::CLIENT_URL,
            "not set: redirects have no default target, and only those in \
             AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS are allowed",
        );
    } else if let Err(reason) = check_client_url(&text) {
        reader.refuse(&rows::server::CLIENT_URL, reason);
    }
    text
}

/// Whether people can be sent there. Applications on phones have addresses with schemes of their own.
pub(in crate::config) fn check_client_url(text: &str) -> Result<(), &'static str> {
    if text.contains(['*', '{', '}', '\\']) || has_class(text) {
        return Err("it is one address, without wildcards: those go into \
             AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS");
    }
    if !is_target(text) {
        return Err("write an address with a scheme, such as https://app.example.com");
    }
    Ok(())
}

/// A bracket that does not belong to an IPv6 address.
fn has_class(text: &str) -> bool {
    let before = text.split(['?', '#']).next().unwrap_or_default();
    let is_v6 = Url::parse(text).is_ok_and(|url| matches!(url.host(), Some(Host::Ipv6(_))));
    before.matches('[').count() > usize::from(is_v6)
}

fn read_trusted_proxies(reader: &mut Reader<'_>) -> Option<Arc<[IpNet]>> {
    let list = reader.list(&rows::server::TRUSTED_PROXIES);
    if list.is_empty() {
        return None;
    }
    if list == ["none"] {
        return Some(Arc::default());
    }
    let mut networks = Vec::with_capacity(list.len());
    for element in list {
        let element = element.trim();
        match element.parse().or_else(|_| element.parse().map(|ip: IpAddr| IpNet::from(ip))) {
            Ok(network) => networks.push(network),
            Err(_) => reader.refuse(
                &rows::server::TRUSTED_PROXIES,
                format!("\"{}\" is not an address or a network", element.escape_debug()),
            ),
        }
    }
    Some(networks.into())
}
