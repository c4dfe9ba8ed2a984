//! Limits of requests and attempts, and the services that are asked about people and passwords.

use std::time::Duration;

use crate::clients::hibp::HibpConfig;
use crate::clients::turnstile::TurnstileConfig;
use crate::config::reading::Reader;
use crate::config::rows;
use crate::domain::rate_limit::Policy;
use crate::settings::Setting;

/// Limits of requests and attempts, and the services that are asked about people and passwords.
#[derive(Clone, Debug)]
pub struct ProtectionConfig {
    /// `None` unless `AUTH_RATE_LIMIT_ENABLE`.
    pub rate_limits: Option<RateLimits>,
    /// `AUTH_ACCOUNT_ATTEMPTS` (ours) in `AUTH_ACCOUNT_ATTEMPTS_INTERVAL` (ours); `None` is off.
    pub account_attempts: Option<Policy>,
    /// `None` unless `AUTH_TURNSTILE_SECRET` is set.
    pub turnstile: Option<TurnstileConfig>,
    /// `AUTH_PASSWORD_HIBP_ENABLED`; apart from the rest, which stays when it is switched.
    pub hibp_enabled: bool,
    pub hibp: HibpConfig,
    /// `AUTH_EVEN_ANSWER_TIME` (ours): responses about addresses are padded to a multiple of it; 0
    /// is off.
    pub even_answer_time: Duration,
}

/// The policy of each bucket.
#[derive(Clone, Debug)]
pub struct RateLimits {
    pub global: Policy,
    pub email: Policy,
    /// `AUTH_RATE_LIMIT_EMAIL_IS_GLOBAL`: all clients together.
    pub email_is_global: bool,
    pub sms: Policy,
    pub brute_force: Policy,
    pub signups: Policy,
    /// `AUTH_RATE_LIMIT_PROVIDERS_BURST` (ours) and `…_INTERVAL` (ours): sign-ins that begin.
    pub providers: Policy,
}

impl ProtectionConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let enabled = reader.boolean(&rows::protection::RATE_LIMIT_ENABLE);
        // Read also when they are off, so that a mistake shows before they are needed.
        let rate_limits = RateLimits::read(reader);
        let attempts = policy(
            reader,
            &rows::protection::ACCOUNT_ATTEMPTS,
            &rows::protection::ACCOUNT_ATTEMPTS_INTERVAL,
        );
        let secret = reader.optional_secret(&rows::protection::TURNSTILE_SECRET);
        let turnstile_url = reader.required_url(&rows::protection::TURNSTILE_URL);
        let turnstile_timeout = reader.duration(&rows::protection::TURNSTILE_TIMEOUT, false);
        Self {
            even_answer_time: reader.duration(&rows::protection::EVEN_ANSWER_TIME, true),
            rate_limits: enabled.then_some(rate_limits),
            account_attempts: (attempts.limit > 0).then_some(attempts),
            turnstile: secret.map(|secret| TurnstileConfig {
                secret,
                url: turnstile_url,
                timeout: turnstile_timeout,
            }),
            hibp_enabled: reader.boolean(&rows::protection::PASSWORD_HIBP_ENABLED),
            hibp: HibpConfig {
                url: reader.required_url(&rows::protection::PASSWORD_HIBP_URL),
                timeout: reader.duration(&rows::protection::PASSWORD_HIBP_TIMEOUT, false),
                retry_delay: reader.duration(&rows::protection::PASSWORD_HIBP_RETRY_DELAY, true),
            },
        }
    }
}

impl RateLimits {
    fn read(reader: &mut Reader<'_>) -> Self {
        let mut bucket = |burst, interval| policy(reader, burst, interval);
        let global = bucket(
            &rows::protection::RATE_LIMIT_GLOBAL_BURST,
            &rows::protection::RATE_LIMIT_GLOBAL_INTERVAL,
        );
        let email = bucket(
            &rows::protection::RATE_LIMIT_EMAIL_BURST,
            &rows::protection::RATE_LIMIT_EMAIL_INTERVAL,
        );
        let sms = bucket(
            &rows::protection::RATE_LIMIT_SMS_BURST,
            &rows::protection::RATE_LIMIT_SMS_INTERVAL,
        );
        let brute_force = bucket(
            &rows::protection::RATE_LIMIT_BRUTE_FORCE_BURST,
            &rows::protection::RATE_LIMIT_BRUTE_FORCE_INTERVAL,
        );
        let signups = bucket(
            &rows::protection::RATE_LIMIT_SIGNUPS_BURST,
            &rows::protection::RATE_LIMIT_SIGNUPS_INTERVAL,
        );
        let providers = bucket(
            &rows::protection::RATE_LIMIT_PROVIDERS_BURST,
            &rows::protection::RATE_LIMIT_PROVIDERS_INTERVAL,
        );
        let email_is_global = reader.boolean(&rows::protection::RATE_LIMIT_EMAIL_IS_GLOBAL);
        Self { global, email, email_is_global, sms, brute_force, signups, providers }
    }
}

fn policy(reader: &mut Reader<'_>, burst: &'static Setting, interval: &'static Setting) -> Policy {
    let limit = reader.number(burst, 0..=u32::MAX);
    let window = reader.duration(interval, false);
    // Zero was refused already.
    if !window.is_zero() && window < Duration::from_millis(1) {
        reader.refuse(interval, "it must be at least a millisecond");
    }
    Policy { limit, window }
}
