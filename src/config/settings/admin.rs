//! Settings of the listener for operators.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::text(
        "admin-port",
        "AUTH_ADMIN_PORT",
        "",
        "Port of the listener for operators (/metrics, /ops); empty is off, 0 picks a free one",
    )
    .own(),
    Setting::text(
        "admin-bind",
        "AUTH_ADMIN_BIND",
        "127.0.0.1",
        "Address of the listener for operators",
    )
    .own(),
    Setting::secret(
        "admin-token",
        "AUTH_ADMIN_TOKEN",
        "Bearer token of operators, at least 32 characters; needed where the listener is on",
    )
    .own()
    .live(),
    Setting::secret(
        "admin-metrics-token",
        "AUTH_ADMIN_METRICS_TOKEN",
        "Bearer token that may read /metrics and nothing else, for Prometheus",
    )
    .own()
    .live(),
];
