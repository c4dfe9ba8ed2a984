//! Settings of custom claims in access tokens.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    JWT_CUSTOM_CLAIMS,
    JWT_CUSTOM_CLAIMS_DEFAULTS,
    JWT_CUSTOM_CLAIMS_MISSING,
    JWT_CUSTOM_CLAIMS_SOURCE,
    JWT_CUSTOM_CLAIMS_TIMEOUT,
    JWT_CUSTOM_CLAIMS_MAX_AGE,
    JWT_CUSTOM_CLAIMS_STALE,
];

pub(crate) const JWT_CUSTOM_CLAIMS: Setting = Setting::json(
    "custom-claims",
    "AUTH_JWT_CUSTOM_CLAIMS",
    "Custom claims of access tokens, a JSON object of claim names and paths from the user on",
)
.live();

pub(crate) const JWT_CUSTOM_CLAIMS_DEFAULTS: Setting = Setting::json(
    "custom-claims-defaults",
    "AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS",
    "Values of custom claims whose path leads nowhere, a JSON object",
)
.live();

pub(crate) const JWT_CUSTOM_CLAIMS_MISSING: Setting = Setting::choice(
    "custom-claims-missing",
    "AUTH_JWT_CUSTOM_CLAIMS_MISSING",
    &["null", "omit"],
    "null",
    "A custom claim whose path leads nowhere and that has no default: the text null, or no claim",
)
.own()
.live();

pub(crate) const JWT_CUSTOM_CLAIMS_SOURCE: Setting = Setting::choice(
        "custom-claims-source",
        "AUTH_JWT_CUSTOM_CLAIMS_SOURCE",
        &["", "hasura", "postgres"],
        "",
        "Where custom claims are read; empty means Hasura if its URL is set, or else Postgres, along foreign keys",
    )
    .own()
    .live();

pub(crate) const JWT_CUSTOM_CLAIMS_TIMEOUT: Setting = Setting::duration(
    "custom-claims-timeout",
    "AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT",
    "3s",
    "Longest time to read the custom claims of one token, which is then issued without them",
)
.own()
.live();

pub(crate) const JWT_CUSTOM_CLAIMS_MAX_AGE: Setting = Setting::duration(
        "custom-claims-max-age",
        "AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE",
        "1s",
        "How old custom claims may be when a session is refreshed; 0 is off, and at sign-in they are always new",
    )
    .own()
    .live();

pub(crate) const JWT_CUSTOM_CLAIMS_STALE: Setting = Setting::duration(
        "custom-claims-stale",
        "AUTH_JWT_CUSTOM_CLAIMS_STALE",
        "0s",
        "How old custom claims may be when new ones cannot be read; 0 means that the token has none then",
    )
    .own()
    .live();
