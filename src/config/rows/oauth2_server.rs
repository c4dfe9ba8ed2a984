//! Settings of the `OAuth2` server, which is not built yet.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    OAUTH2_PROVIDER_ENABLED,
    OAUTH2_PROVIDER_LOGIN_URL,
    OAUTH2_PROVIDER_ACCESS_TOKEN_TTL,
    OAUTH2_PROVIDER_REFRESH_TOKEN_TTL,
    OAUTH2_PROVIDER_CIMD_ENABLED,
    OAUTH2_PROVIDER_CIMD_ALLOW_INSECURE_TRANSPORT,
    RATE_LIMIT_OAUTH2_SERVER_BURST,
    RATE_LIMIT_OAUTH2_SERVER_INTERVAL,
];

pub(crate) const OAUTH2_PROVIDER_ENABLED: Setting = Setting::boolean(
    "oauth2-provider-enabled",
    "AUTH_OAUTH2_PROVIDER_ENABLED",
    "false",
    "Serve OAuth2 and OpenID Connect to other applications",
)
.not_yet();

pub(crate) const OAUTH2_PROVIDER_LOGIN_URL: Setting = Setting::text(
    "oauth2-provider-login-url",
    "AUTH_OAUTH2_PROVIDER_LOGIN_URL",
    "",
    "Page that asks for login and consent; default is /oauth2/login of the client URL",
)
.not_yet();

pub(crate) const OAUTH2_PROVIDER_ACCESS_TOKEN_TTL: Setting = Setting::int(
    "oauth2-provider-access-token-ttl",
    "AUTH_OAUTH2_PROVIDER_ACCESS_TOKEN_TTL",
    "900",
    "Lifetime of access tokens for other applications, in seconds",
)
.not_yet();

pub(crate) const OAUTH2_PROVIDER_REFRESH_TOKEN_TTL: Setting = Setting::int(
    "oauth2-provider-refresh-token-ttl",
    "AUTH_OAUTH2_PROVIDER_REFRESH_TOKEN_TTL",
    "2592000",
    "Lifetime of refresh tokens for other applications, in seconds",
)
.not_yet();

pub(crate) const OAUTH2_PROVIDER_CIMD_ENABLED: Setting = Setting::boolean(
    "oauth2-provider-cimd-enabled",
    "AUTH_OAUTH2_PROVIDER_CIMD_ENABLED",
    "false",
    "Accept client-id metadata documents",
)
.not_yet();

pub(crate) const OAUTH2_PROVIDER_CIMD_ALLOW_INSECURE_TRANSPORT: Setting = Setting::boolean(
    "oauth2-provider-cimd-allow-insecure-transport",
    "AUTH_OAUTH2_PROVIDER_CIMD_ALLOW_INSECURE_TRANSPORT",
    "false",
    "Accept client-id metadata documents over plain HTTP",
)
.not_yet();

pub(crate) const RATE_LIMIT_OAUTH2_SERVER_BURST: Setting = Setting::int(
    "rate-limit-oauth2-server-burst",
    "AUTH_RATE_LIMIT_OAUTH2_SERVER_BURST",
    "100",
    "Requests to the OAuth2 server in the interval",
)
.not_yet();

pub(crate) const RATE_LIMIT_OAUTH2_SERVER_INTERVAL: Setting = Setting::duration(
    "rate-limit-oauth2-server-interval",
    "AUTH_RATE_LIMIT_OAUTH2_SERVER_INTERVAL",
    "5m0s",
    "Interval of the limit of the OAuth2 server",
)
.not_yet();
