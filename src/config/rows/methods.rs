//! Settings of the ways to sign in.

use crate::settings::Setting;

/// Which ways there are.
pub(crate) const SIGN_IN: &[Setting] = &[
    EMAIL_PASSWORDLESS_ENABLED,
    OTP_EMAIL_ENABLED,
    SMS_PASSWORDLESS_ENABLED,
    MFA_ENABLED,
    MFA_TOTP_ISSUER,
    MFA_REQUIRE_ELEVATED_CLAIM,
];

/// What holds for several of them.
pub(crate) const SIGN_UP: &[Setting] = &[DISABLE_AUTO_SIGNUP, OTP_MAX_TRIES];

/// What sensitive operations ask for, under another heading.
pub(crate) const ELEVATION: &[Setting] = &[REQUIRE_ELEVATED_CLAIM];

pub(crate) const EMAIL_PASSWORDLESS_ENABLED: Setting = Setting::boolean(
    "email-passwordless-enabled",
    "AUTH_EMAIL_PASSWORDLESS_ENABLED",
    "false",
    "Sign in by a link in a mail",
)
.live();

pub(crate) const OTP_EMAIL_ENABLED: Setting = Setting::boolean(
    "otp-email-enabled",
    "AUTH_OTP_EMAIL_ENABLED",
    "false",
    "Sign in by a code in a mail",
)
.live();

pub(crate) const SMS_PASSWORDLESS_ENABLED: Setting = Setting::boolean(
    "sms-passwordless-enabled",
    "AUTH_SMS_PASSWORDLESS_ENABLED",
    "false",
    "Sign in by a code in an SMS",
)
.live();

pub(crate) const MFA_ENABLED: Setting =
    Setting::boolean("mfa-enabled", "AUTH_MFA_ENABLED", "false", "Second factor by TOTP").live();

pub(crate) const MFA_TOTP_ISSUER: Setting = Setting::text(
    "mfa-totp-issuer",
    "AUTH_MFA_TOTP_ISSUER",
    "auth",
    "Issuer that authenticator applications show",
)
.live();

pub(crate) const MFA_REQUIRE_ELEVATED_CLAIM: Setting = Setting::boolean(
    "mfa-require-elevated-claim",
    "AUTH_MFA_REQUIRE_ELEVATED_CLAIM",
    "false",
    "Count changes of the second factor among the operations of AUTH_REQUIRE_ELEVATED_CLAIM",
)
.own()
.live();

pub(crate) const DISABLE_AUTO_SIGNUP: Setting = Setting::boolean(
    "disable-auto-signup",
    "AUTH_DISABLE_AUTO_SIGNUP",
    "false",
    "Do not create accounts when somebody unknown signs in",
)
.live();

pub(crate) const OTP_MAX_TRIES: Setting = Setting::int(
    "otp-max-tries",
    "AUTH_OTP_MAX_TRIES",
    "5",
    "Wrong codes after which a one-time code by mail or SMS is void",
)
.own()
.live();

pub(crate) const REQUIRE_ELEVATED_CLAIM: Setting = Setting::choice(
    "require-elevated-claim",
    "AUTH_REQUIRE_ELEVATED_CLAIM",
    &["disabled", "recommended", "required"],
    "disabled",
    "Whether sensitive operations need a fresh proof by a security key",
)
.live();
