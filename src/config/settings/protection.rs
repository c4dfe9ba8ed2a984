//! Settings of protections.

use super::Setting;

const NO_MEMCACHED: &str = "rate limits are not kept in memcached";

pub(super) const SETTINGS: &[Setting] = &[
    Setting::choice(
        "require-elevated-claim",
        "AUTH_REQUIRE_ELEVATED_CLAIM",
        &["disabled", "recommended", "required"],
        "disabled",
        "Whether sensitive operations need a fresh proof by a security key",
    )
    .live(),
    Setting::boolean(
        "password-hibp-enabled",
        "AUTH_PASSWORD_HIBP_ENABLED",
        "false",
        "Refuse passwords known from leaks (Have I Been Pwned)",
    )
    .not_yet_protecting("passwords known from leaks are accepted"),
    Setting::secret(
        "turnstile-secret",
        "AUTH_TURNSTILE_SECRET",
        "Secret of Cloudflare Turnstile; setting it asks every sign-up for a proof",
    )
    .not_yet_protecting("sign-ups are not asked for a Turnstile proof"),
    Setting::secret(
        "encryption-key",
        "AUTH_ENCRYPTION_KEY",
        "Key that seals stored secrets (TOTP), 16, 24 or 32 bytes in hexadecimal; unset means kept in the database",
    ),
    Setting::boolean(
        "rate-limit-enable",
        "AUTH_RATE_LIMIT_ENABLE",
        "false",
        "Limit the rate of requests",
    )
    .not_yet_protecting("requests are not rate limited"),
    Setting::int(
        "rate-limit-global-burst",
        "AUTH_RATE_LIMIT_GLOBAL_BURST",
        "100",
        "Requests of one address in the interval",
    )
    .not_yet(),
    Setting::duration(
        "rate-limit-global-interval",
        "AUTH_RATE_LIMIT_GLOBAL_INTERVAL",
        "1m0s",
        "Interval of the limit of all requests",
    )
    .not_yet(),
    Setting::int(
        "rate-limit-email-burst",
        "AUTH_RATE_LIMIT_EMAIL_BURST",
        "10",
        "Requests that send mail in the interval",
    )
    .not_yet(),
    Setting::duration(
        "rate-limit-email-interval",
        "AUTH_RATE_LIMIT_EMAIL_INTERVAL",
        "1h0m0s",
        "Interval of the limit of mails",
    )
    .not_yet(),
    Setting::boolean(
        "rate-limit-email-is-global",
        "AUTH_RATE_LIMIT_EMAIL_IS_GLOBAL",
        "false",
        "Count mails for all addresses together",
    )
    .not_yet(),
    Setting::int(
        "rate-limit-sms-burst",
        "AUTH_RATE_LIMIT_SMS_BURST",
        "10",
        "Requests that send an SMS in the interval",
    )
    .not_yet(),
    Setting::duration(
        "rate-limit-sms-interval",
        "AUTH_RATE_LIMIT_SMS_INTERVAL",
        "1h0m0s",
        "Interval of the limit of SMS",
    )
    .not_yet(),
    Setting::int(
        "rate-limit-brute-force-burst",
        "AUTH_RATE_LIMIT_BRUTE_FORCE_BURST",
        "10",
        "Attempts to sign in within the interval",
    )
    .not_yet(),
    Setting::duration(
        "rate-limit-brute-force-interval",
        "AUTH_RATE_LIMIT_BRUTE_FORCE_INTERVAL",
        "5m0s",
        "Interval of the limit of attempts to sign in",
    )
    .not_yet(),
    Setting::int(
        "rate-limit-signups-burst",
        "AUTH_RATE_LIMIT_SIGNUPS_BURST",
        "10",
        "Sign-ups in the interval",
    )
    .not_yet(),
    Setting::duration(
        "rate-limit-signups-interval",
        "AUTH_RATE_LIMIT_SIGNUPS_INTERVAL",
        "5m0s",
        "Interval of the limit of sign-ups",
    )
    .not_yet(),
    Setting::int(
        "rate-limit-oauth2-server-burst",
        "AUTH_RATE_LIMIT_OAUTH2_SERVER_BURST",
        "100",
        "Requests to the OAuth2 server in the interval",
    )
    .not_yet(),
    Setting::duration(
        "rate-limit-oauth2-server-interval",
        "AUTH_RATE_LIMIT_OAUTH2_SERVER_INTERVAL",
        "5m0s",
        "Interval of the limit of the OAuth2 server",
    )
    .not_yet(),
    Setting::text(
        "rate-limit-memcache-server",
        "AUTH_RATE_LIMIT_MEMCACHE_SERVER",
        "",
        "memcached server that keeps the counters of rate limits",
    )
    .not_needed(NO_MEMCACHED),
    Setting::text(
        "rate-limit-memcache-prefix",
        "AUTH_RATE_LIMIT_MEMCACHE_PREFIX",
        "",
        "Prefix of keys in memcached",
    )
    .not_needed(NO_MEMCACHED),
];
