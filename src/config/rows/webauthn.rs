//! Settings of passkeys.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    WEBAUTHN_ENABLED,
    WEBAUTHN_RP_ID,
    WEBAUTHN_RP_NAME,
    WEBAUTHN_RP_ORIGINS,
    WEBAUTHN_ATTESTATION_TIMEOUT,
    WEBAUTHN_USER_VERIFICATION,
    WEBAUTHN_MAX_CHALLENGES,
];

pub(crate) const WEBAUTHN_ENABLED: Setting = Setting::boolean(
    "webauthn-enabled",
    "AUTH_WEBAUTHN_ENABLED",
    "false",
    "Sign in by passkeys and security keys",
)
.live();

pub(crate) const WEBAUTHN_RP_ID: Setting = Setting::text(
    "webauthn-rp-id",
    "AUTH_WEBAUTHN_RP_ID",
    "",
    "Domain of passkeys; default is the host of the client URL",
)
.live();

pub(crate) const WEBAUTHN_RP_NAME: Setting = Setting::text(
    "webauthn-rp-name",
    "AUTH_WEBAUTHN_RP_NAME",
    "",
    "Name that browsers show with passkeys; default is the domain",
)
.live();

pub(crate) const WEBAUTHN_RP_ORIGINS: Setting = Setting::list(
    "webauthn-rp-origins",
    "AUTH_WEBAUTHN_RP_ORIGINS",
    "",
    "Origins that may use passkeys; the client URL is added when missing",
)
.live();

pub(crate) const WEBAUTHN_ATTESTATION_TIMEOUT: Setting = Setting::int(
    "webauthn-attestation-timeout",
    "AUTH_WEBAUTHN_ATTESTATION_TIMEOUT",
    "300000",
    "Time for a passkey ceremony, in milliseconds",
)
.live();

pub(crate) const WEBAUTHN_USER_VERIFICATION: Setting = Setting::choice(
    "webauthn-user-verification",
    "AUTH_WEBAUTHN_USER_VERIFICATION",
    &["preferred", "required"],
    "preferred",
    "Whether authenticators have to verify their user, by PIN or biometrics; preferred: where they can",
)
.own()
.live();

pub(crate) const WEBAUTHN_MAX_CHALLENGES: Setting = Setting::int(
    "webauthn-max-challenges",
    "AUTH_WEBAUTHN_MAX_CHALLENGES",
    "100000",
    "Pending sign-ups by passkey in the whole cluster, past which the oldest of the client network with the most go",
)
.own()
.live();
