//! Settings of the listener and its limits.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::text("bind", "AUTH_BIND", "::", "Address to listen on; :: is every interface, IPv4 too")
        .own(),
    Setting::text("port", "AUTH_PORT", "4000", "Port to listen on; empty or 0 picks a free one"),
    Setting::text(
        "api-prefix",
        "AUTH_API_PREFIX",
        "",
        "Path before all routes, such as /v1; with a leading and without a trailing slash",
    ),
    Setting::list(
        "trusted-proxies",
        "AUTH_TRUSTED_PROXIES",
        "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10",
        "Addresses or networks whose X-Forwarded-For is believed; none trusts nobody",
    )
    .own(),
    Setting::int(
        "worker-threads",
        "AUTH_WORKER_THREADS",
        "",
        "Threads that serve requests; unset means one less than there are cores, and at least one",
    )
    .own(),
    Setting::int(
        "http-max-body-bytes",
        "AUTH_HTTP_MAX_BODY_BYTES",
        "1048576",
        "Largest request body, in bytes",
    )
    .own(),
    Setting::duration(
        "http-header-timeout",
        "AUTH_HTTP_HEADER_TIMEOUT",
        "5s",
        "Longest time until the headers of a request are complete",
    )
    .own(),
    Setting::duration(
        "http-request-timeout",
        "AUTH_HTTP_REQUEST_TIMEOUT",
        "30s",
        "Longest time for one request, body and answer included",
    )
    .own(),
    Setting::int(
        "http-max-concurrency",
        "AUTH_HTTP_MAX_CONCURRENCY",
        "10000",
        "Requests in flight before new ones are answered by 503",
    )
    .own(),
    Setting::duration(
        "shutdown-grace",
        "AUTH_SHUTDOWN_GRACE",
        "5s",
        "How long after SIGTERM everything is still served while /healthz says 503, so that balancers move away",
    )
    .own(),
    Setting::duration(
        "shutdown-timeout",
        "AUTH_SHUTDOWN_TIMEOUT",
        "30s",
        "Longest wait for requests in flight when the server stops",
    )
    .own(),
];
