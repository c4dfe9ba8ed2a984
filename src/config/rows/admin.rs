//! Settings of the listener for operators.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[ADMIN_PORT, ADMIN_BIND, ADMIN_TOKEN, ADMIN_METRICS_TOKEN];

pub(crate) const ADMIN_PORT: Setting = Setting::text(
    "admin-port",
    "AUTH_ADMIN_PORT",
    "",
    "Port of the listener for operators (/metrics, /ops); empty is off, 0 picks a free one",
)
.own();

pub(crate) const ADMIN_BIND: Setting = Setting::text(
    "admin-bind",
    "AUTH_ADMIN_BIND",
    "127.0.0.1",
    "Address of the listener for operators",
)
.own();

pub(crate) const ADMIN_TOKEN: Setting = Setting::secret(
    "admin-token",
    "AUTH_ADMIN_TOKEN",
    "Bearer token of operators, at least 32 characters; needed where the listener is on",
)
.own()
.live();

pub(crate) const ADMIN_METRICS_TOKEN: Setting = Setting::secret(
    "admin-metrics-token",
    "AUTH_ADMIN_METRICS_TOKEN",
    "Bearer token that may read /metrics and nothing else, for Prometheus",
)
.own()
.live();
