//! Settings of the ways to sign in.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::boolean(
        "email-passwordless-enabled",
        "AUTH_EMAIL_PASSWORDLESS_ENABLED",
        "false",
        "Sign in by a link in a mail",
    )
    .live(),
    Setting::boolean(
        "otp-email-enabled",
        "AUTH_OTP_EMAIL_ENABLED",
        "false",
        "Sign in by a code in a mail",
    )
    .live(),
    Setting::boolean(
        "sms-passwordless-enabled",
        "AUTH_SMS_PASSWORDLESS_ENABLED",
        "false",
        "Sign in by a code in an SMS",
    )
    .live(),
    Setting::boolean("mfa-enabled", "AUTH_MFA_ENABLED", "false", "Second factor by TOTP").live(),
    Setting::text(
        "mfa-totp-issuer",
        "AUTH_MFA_TOTP_ISSUER",
        "auth",
        "Issuer that authenticator applications show",
    )
    .live(),
    Setting::boolean(
        "mfa-require-elevated-claim",
        "AUTH_MFA_REQUIRE_ELEVATED_CLAIM",
        "false",
        "Count changes of the second factor among the operations of AUTH_REQUIRE_ELEVATED_CLAIM",
    )
    .own()
    .live(),
    Setting::boolean(
        "webauthn-enabled",
        "AUTH_WEBAUTHN_ENABLED",
        "false",
        "Sign in by passkeys and security keys",
    )
    .live(),
    Setting::text(
        "webauthn-rp-id",
        "AUTH_WEBAUTHN_RP_ID",
        "",
        "Domain of passkeys; default is the host of the client URL",
    )
    .live(),
    Setting::text(
        "webauthn-rp-name",
        "AUTH_WEBAUTHN_RP_NAME",
        "",
        "Name that browsers show with passkeys; default is the domain",
    )
    .live(),
    Setting::list(
        "webauthn-rp-origins",
        "AUTH_WEBAUTHN_RP_ORIGINS",
        "",
        "Origins that may use passkeys; the client URL is added when missing",
    )
    .live(),
    Setting::int(
        "webauthn-attestation-timeout",
        "AUTH_WEBAUTHN_ATTESTATION_TIMEOUT",
        "300000",
        "Time for a passkey ceremony, in milliseconds",
    )
    .live(),
    Setting::int(
        "webauthn-max-challenges",
        "AUTH_WEBAUTHN_MAX_CHALLENGES",
        "100000",
        "Pending passkey ceremonies in the whole cluster, past which the oldest go",
    )
    .own()
    .live(),
    Setting::boolean(
        "disable-auto-signup",
        "AUTH_DISABLE_AUTO_SIGNUP",
        "false",
        "Do not create accounts when somebody unknown signs in",
    )
    .live(),
    Setting::int(
        "otp-max-tries",
        "AUTH_OTP_MAX_TRIES",
        "5",
        "Wrong codes after which a one-time code by mail or SMS is void",
    )
    .own()
    .live(),
];
