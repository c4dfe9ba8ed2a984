//! Settings of sign-in with providers that hold for all of them; those of one stand in its own
//! file, `src/oauth/providers/`.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    PROVIDER_CUSTOM,
    PROVIDER_TIMEOUT,
    PROVIDER_STATE_LIFETIME,
    PROVIDER_MAX_STATES,
    PROVIDER_TOKENS,
    PROVIDER_CONNECT_BY_URL,
];

pub(crate) const PROVIDER_CUSTOM: Setting = Setting::json(
        "custom-providers",
        "AUTH_PROVIDER_CUSTOM",
        "OpenID Connect providers under names of their own, a JSON object: {\"acme\":{\"issuer\":…,\"clientId\":…,\"clientSecret\":…}}",
    )
    .hidden()
    .without_flag()
    .live();

pub(crate) const PROVIDER_TIMEOUT: Setting = Setting::duration(
    "provider-timeout",
    "AUTH_PROVIDER_TIMEOUT",
    "10s",
    "Longest time of one call to a provider",
)
.own()
.live();

pub(crate) const PROVIDER_STATE_LIFETIME: Setting = Setting::duration(
    "provider-state-lifetime",
    "AUTH_PROVIDER_STATE_LIFETIME",
    "10m0s",
    "How long people may take at a provider",
)
.own()
.live();

pub(crate) const PROVIDER_MAX_STATES: Setting = Setting::int(
    "provider-max-states",
    "AUTH_PROVIDER_MAX_STATES",
    "100000",
    "Sign-ins with providers that may be under way on all nodes together, past which the oldest of the client network with the most go",
)
.own()
.live();

pub(crate) const PROVIDER_TOKENS: Setting = Setting::choice(
        "provider-tokens",
        "AUTH_PROVIDER_TOKENS",
        &["never", "on-request", "always"],
        "on-request",
        "Whether tokens of providers are kept, sealed, for their users to fetch; on-request: if the sign-in began with providerTokens=true",
    )
    .own()
    .live();

pub(crate) const PROVIDER_CONNECT_BY_URL: Setting = Setting::choice(
        "provider-connect-by-url",
        "AUTH_PROVIDER_CONNECT_BY_URL",
        &["never", "own-pages", "own-pages-or-unknown", "always"],
        "",
        "Who may add an identity by connect=<access token> in an address; own-pages: not pages of other origins than AUTH_CLIENT_URL and redirectTo have; or-unknown: also whoever does not say which page it is; default is own-pages, but own-pages-or-unknown on a database that Keywright did not create",
    )
    .own()
    .live();
