//! Ways to sign in besides passwords, and what sensitive operations ask for.

use crate::config::reading::Reader;
use crate::config::rows;

/// Ways to sign in besides passwords, and what sensitive operations ask for.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, one for each setting")]
pub struct MethodsConfig {
    /// `AUTH_EMAIL_PASSWORDLESS_ENABLED`.
    pub email_passwordless: bool,
    /// `AUTH_OTP_EMAIL_ENABLED`.
    pub otp_email: bool,
    /// `AUTH_OTP_MAX_TRIES` (ours): codes that may be presented before the one that was sent dies.
    pub otp_max_tries: i16,
    /// `AUTH_DISABLE_AUTO_SIGNUP`: unknown people who sign in get no account.
    pub disable_auto_signup: bool,
    /// `AUTH_SMS_PASSWORDLESS_ENABLED`.
    pub sms_passwordless: bool,
    /// `AUTH_MFA_ENABLED`.
    pub mfa: bool,
    /// `AUTH_MFA_TOTP_ISSUER`: what authenticator applications show beside the account.
    pub mfa_issuer: String,
    /// `AUTH_MFA_REQUIRE_ELEVATED_CLAIM` (ours): whether changes of the second factor are
    /// sensitive.
    pub mfa_elevation: bool,
    /// `AUTH_REQUIRE_ELEVATED_CLAIM`.
    pub elevation: Elevation,
}

/// `AUTH_REQUIRE_ELEVATED_CLAIM`: when a sensitive operation needs a fresh proof by a security key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elevation {
    Disabled,
    /// Of users who own a security key.
    Recommended,
    /// Of everybody.
    Required,
}

impl MethodsConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            email_passwordless: reader.boolean(&rows::methods::EMAIL_PASSWORDLESS_ENABLED),
            otp_email: reader.boolean(&rows::methods::OTP_EMAIL_ENABLED),
            otp_max_tries: reader.number(&rows::methods::OTP_MAX_TRIES, 1..=100),
            disable_auto_signup: reader.boolean(&rows::methods::DISABLE_AUTO_SIGNUP),
            sms_passwordless: reader.boolean(&rows::methods::SMS_PASSWORDLESS_ENABLED),
            mfa: reader.boolean(&rows::methods::MFA_ENABLED),
            mfa_issuer: reader.text(&rows::methods::MFA_TOTP_ISSUER),
            mfa_elevation: reader.boolean(&rows::methods::MFA_REQUIRE_ELEVATED_CLAIM),
            elevation: match reader.choice(&rows::methods::REQUIRE_ELEVATED_CLAIM) {
                Some("recommended") => Elevation::Recommended,
                Some("required") => Elevation::Required,
                _ => Elevation::Disabled,
            },
        }
    }
}
