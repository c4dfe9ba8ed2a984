//! Settings of access and refresh tokens.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    HASURA_GRAPHQL_JWT_SECRET,
    JWT_KEY_PUBLISH_AHEAD,
    JWT_KEY_ROTATION,
    ACCESS_TOKEN_EXPIRES_IN,
    REFRESH_TOKEN_EXPIRES_IN,
    REFRESH_TOKEN_GRACE,
    REFRESH_TOKEN_KEY,
];

pub(crate) const HASURA_GRAPHQL_JWT_SECRET: Setting = Setting::json(
    "hasura-graphql-jwt-secret",
    "HASURA_GRAPHQL_JWT_SECRET",
    "Key of access tokens, a JSON object in Hasura's form; required",
)
.hidden()
.live();

pub(crate) const JWT_KEY_PUBLISH_AHEAD: Setting = Setting::duration(
    "jwt-key-publish-ahead",
    "AUTH_JWT_KEY_PUBLISH_AHEAD",
    "1h",
    "How long a new key (keywright keys add) is published before it signs; longer than verifiers cache the JWKS",
)
.own()
.live();

pub(crate) const JWT_KEY_ROTATION: Setting = Setting::duration(
    "jwt-key-rotation",
    "AUTH_JWT_KEY_ROTATION",
    "0s",
    "How long a stored key signs before the next one takes over by itself; 0: keys rotate by hand",
)
.own()
.live();

pub(crate) const ACCESS_TOKEN_EXPIRES_IN: Setting = Setting::int(
    "access-tokens-expires-in",
    "AUTH_ACCESS_TOKEN_EXPIRES_IN",
    "900",
    "Lifetime of access tokens, in seconds",
)
.live();

pub(crate) const REFRESH_TOKEN_EXPIRES_IN: Setting = Setting::int(
    "refresh-token-expires-in",
    "AUTH_REFRESH_TOKEN_EXPIRES_IN",
    "2592000",
    "Lifetime of refresh tokens, in seconds",
)
.live();

pub(crate) const REFRESH_TOKEN_GRACE: Setting = Setting::int(
    "refresh-token-grace",
    "AUTH_REFRESH_TOKEN_GRACE",
    "30",
    "Seconds in which a refresh token that was just replaced leads to the same successor; 0 is off",
)
.own()
.live();

pub(crate) const REFRESH_TOKEN_KEY: Setting = Setting::secret(
    "refresh-token-key",
    "AUTH_REFRESH_TOKEN_KEY",
    "Key material of the refresh-token chain, at least 32 bytes; unset means kept in the database",
)
.own();
