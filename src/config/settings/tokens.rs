//! Settings of access and refresh tokens.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::json(
        "hasura-graphql-jwt-secret",
        "HASURA_GRAPHQL_JWT_SECRET",
        "Key of access tokens, a JSON object in Hasura's form; required",
    )
    .hidden()
    .live(),
    Setting::int(
        "access-tokens-expires-in",
        "AUTH_ACCESS_TOKEN_EXPIRES_IN",
        "900",
        "Lifetime of access tokens, in seconds",
    ).live(),
    Setting::int(
        "refresh-token-expires-in",
        "AUTH_REFRESH_TOKEN_EXPIRES_IN",
        "2592000",
        "Lifetime of refresh tokens, in seconds",
    ).live(),
    Setting::int(
        "refresh-token-grace",
        "AUTH_REFRESH_TOKEN_GRACE",
        "30",
        "Seconds in which a refresh token that was just replaced leads to the same successor; 0 is off",
    )
    .own().live(),
    Setting::secret(
        "refresh-token-key",
        "AUTH_REFRESH_TOKEN_KEY",
        "Key material of the refresh-token chain, at least 32 bytes; unset means kept in the database",
    )
    .own(),
    Setting::json(
        "custom-claims",
        "AUTH_JWT_CUSTOM_CLAIMS",
        "Custom claims of access tokens, a JSON object of claim names and paths from the user on",
    )
    .live(),
    Setting::json(
        "custom-claims-defaults",
        "AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS",
        "Values of custom claims whose path leads nowhere, a JSON object",
    )
    .live(),
    Setting::choice(
        "custom-claims-source",
        "AUTH_JWT_CUSTOM_CLAIMS_SOURCE",
        &["", "hasura", "postgres"],
        "",
        "Where custom claims are read; empty means Hasura if its URL is set, or else Postgres, along foreign keys",
    )
    .own()
    .live(),
    Setting::duration(
        "custom-claims-timeout",
        "AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT",
        "3s",
        "Longest time to read the custom claims of one token, which is then issued without them",
    )
    .own()
    .live(),
    Setting::duration(
        "custom-claims-max-age",
        "AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE",
        "1s",
        "How old custom claims may be when a session is refreshed; 0 is off, and at sign-in they are always new",
    )
    .own()
    .live(),
    Setting::duration(
        "custom-claims-stale",
        "AUTH_JWT_CUSTOM_CLAIMS_STALE",
        "0s",
        "How old custom claims may be when new ones cannot be read; 0 means that the token has none then",
    )
    .own()
    .live(),
];
