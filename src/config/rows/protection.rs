//! Settings of protections.

use crate::settings::Setting;

const NO_MEMCACHED: &str = "nodes share rate limits through Postgres";

/// Services that are asked about people and passwords, and response-time padding.
pub(crate) const SERVICES: &[Setting] = &[
    EVEN_ANSWER_TIME,
    PASSWORD_HIBP_ENABLED,
    PASSWORD_HIBP_URL,
    PASSWORD_HIBP_TIMEOUT,
    PASSWORD_HIBP_RETRY_DELAY,
    TURNSTILE_SECRET,
    TURNSTILE_URL,
    TURNSTILE_TIMEOUT,
];

/// Limits of requests and attempts.
pub(crate) const LIMITS: &[Setting] = &[
    RATE_LIMIT_ENABLE,
    RATE_LIMIT_GLOBAL_BURST,
    RATE_LIMIT_GLOBAL_INTERVAL,
    RATE_LIMIT_EMAIL_BURST,
    RATE_LIMIT_EMAIL_INTERVAL,
    RATE_LIMIT_EMAIL_IS_GLOBAL,
    RATE_LIMIT_SMS_BURST,
    RATE_LIMIT_SMS_INTERVAL,
    RATE_LIMIT_BRUTE_FORCE_BURST,
    RATE_LIMIT_BRUTE_FORCE_INTERVAL,
    RATE_LIMIT_SIGNUPS_BURST,
    RATE_LIMIT_SIGNUPS_INTERVAL,
    RATE_LIMIT_PROVIDERS_BURST,
    RATE_LIMIT_PROVIDERS_INTERVAL,
    ACCOUNT_ATTEMPTS,
    ACCOUNT_ATTEMPTS_INTERVAL,
    RATE_LIMIT_MEMCACHE_SERVER,
    RATE_LIMIT_MEMCACHE_PREFIX,
];

pub(crate) const EVEN_ANSWER_TIME: Setting = Setting::duration(
        "even-answer-time",
        "AUTH_EVEN_ANSWER_TIME",
        "20ms",
        "Responses that could tell by their time whether an address is known take a multiple of this; 0 is off",
    )
    .own()
    .live();

pub(crate) const PASSWORD_HIBP_ENABLED: Setting = Setting::boolean(
    "password-hibp-enabled",
    "AUTH_PASSWORD_HIBP_ENABLED",
    "false",
    "Refuse passwords known from leaks (Have I Been Pwned)",
)
.live();

pub(crate) const PASSWORD_HIBP_URL: Setting = Setting::text(
    "password-hibp-url",
    "AUTH_PASSWORD_HIBP_URL",
    "https://api.pwnedpasswords.com",
    "Where to ask for known passwords, without /range",
)
.own()
.live();

pub(crate) const PASSWORD_HIBP_TIMEOUT: Setting = Setting::duration(
    "password-hibp-timeout",
    "AUTH_PASSWORD_HIBP_TIMEOUT",
    "12s",
    "Longest time to ask about one password, with all repetitions",
)
.own()
.live();

pub(crate) const PASSWORD_HIBP_RETRY_DELAY: Setting = Setting::duration(
    "password-hibp-retry-delay",
    "AUTH_PASSWORD_HIBP_RETRY_DELAY",
    "3s",
    "Pause before asking again, up to three times, when the service has too much to do",
)
.own()
.live();

pub(crate) const TURNSTILE_SECRET: Setting = Setting::secret(
    "turnstile-secret",
    "AUTH_TURNSTILE_SECRET",
    "Secret of Cloudflare Turnstile; setting it asks every sign-up for a proof",
)
.live();

pub(crate) const TURNSTILE_URL: Setting = Setting::text(
    "turnstile-url",
    "AUTH_TURNSTILE_URL",
    "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    "Where Turnstile proofs are verified",
)
.own()
.live();

pub(crate) const TURNSTILE_TIMEOUT: Setting = Setting::duration(
    "turnstile-timeout",
    "AUTH_TURNSTILE_TIMEOUT",
    "10s",
    "Longest time to verify a Turnstile proof",
)
.own()
.live();

pub(crate) const RATE_LIMIT_ENABLE: Setting = Setting::boolean(
    "rate-limit-enable",
    "AUTH_RATE_LIMIT_ENABLE",
    "false",
    "Limit the rate of requests",
)
.live();

pub(crate) const RATE_LIMIT_GLOBAL_BURST: Setting = Setting::int(
    "rate-limit-global-burst",
    "AUTH_RATE_LIMIT_GLOBAL_BURST",
    "100",
    "Requests of one address in the interval",
)
.live();

pub(crate) const RATE_LIMIT_GLOBAL_INTERVAL: Setting = Setting::duration(
    "rate-limit-global-interval",
    "AUTH_RATE_LIMIT_GLOBAL_INTERVAL",
    "1m0s",
    "Interval of the limit of all requests",
)
.live();

pub(crate) const RATE_LIMIT_EMAIL_BURST: Setting = Setting::int(
    "rate-limit-email-burst",
    "AUTH_RATE_LIMIT_EMAIL_BURST",
    "10",
    "Requests that send mail in the interval",
)
.live();

pub(crate) const RATE_LIMIT_EMAIL_INTERVAL: Setting = Setting::duration(
    "rate-limit-email-interval",
    "AUTH_RATE_LIMIT_EMAIL_INTERVAL",
    "1h0m0s",
    "Interval of the limit of mails",
)
.live();

pub(crate) const RATE_LIMIT_EMAIL_IS_GLOBAL: Setting = Setting::boolean(
    "rate-limit-email-is-global",
    "AUTH_RATE_LIMIT_EMAIL_IS_GLOBAL",
    "false",
    "Count mails for all addresses together",
)
.live();

pub(crate) const RATE_LIMIT_SMS_BURST: Setting = Setting::int(
    "rate-limit-sms-burst",
    "AUTH_RATE_LIMIT_SMS_BURST",
    "10",
    "Requests that send an SMS in the interval",
)
.live();

pub(crate) const RATE_LIMIT_SMS_INTERVAL: Setting = Setting::duration(
    "rate-limit-sms-interval",
    "AUTH_RATE_LIMIT_SMS_INTERVAL",
    "1h0m0s",
    "Interval of the limit of SMS",
)
.live();

pub(crate) const RATE_LIMIT_BRUTE_FORCE_BURST: Setting = Setting::int(
    "rate-limit-brute-force-burst",
    "AUTH_RATE_LIMIT_BRUTE_FORCE_BURST",
    "10",
    "Attempts to sign in within the interval",
)
.live();

pub(crate) const RATE_LIMIT_BRUTE_FORCE_INTERVAL: Setting = Setting::duration(
    "rate-limit-brute-force-interval",
    "AUTH_RATE_LIMIT_BRUTE_FORCE_INTERVAL",
    "5m0s",
    "Interval of the limit of attempts to sign in",
)
.live();

pub(crate) const RATE_LIMIT_SIGNUPS_BURST: Setting = Setting::int(
    "rate-limit-signups-burst",
    "AUTH_RATE_LIMIT_SIGNUPS_BURST",
    "10",
    "Sign-ups in the interval",
)
.live();

pub(crate) const RATE_LIMIT_SIGNUPS_INTERVAL: Setting = Setting::duration(
    "rate-limit-signups-interval",
    "AUTH_RATE_LIMIT_SIGNUPS_INTERVAL",
    "5m0s",
    "Interval of the limit of sign-ups",
)
.live();

pub(crate) const RATE_LIMIT_PROVIDERS_BURST: Setting = Setting::int(
    "rate-limit-providers-burst",
    "AUTH_RATE_LIMIT_PROVIDERS_BURST",
    "60",
    "Sign-ins with providers that one address begins in the interval",
)
.own()
.live();

pub(crate) const RATE_LIMIT_PROVIDERS_INTERVAL: Setting = Setting::duration(
    "rate-limit-providers-interval",
    "AUTH_RATE_LIMIT_PROVIDERS_INTERVAL",
    "5m0s",
    "Interval of the limit of sign-ins with providers",
)
.own()
.live();

pub(crate) const ACCOUNT_ATTEMPTS: Setting = Setting::int(
        "account-attempts",
        "AUTH_ACCOUNT_ATTEMPTS",
        "20",
        "Failed passwords or codes of one account in the interval before it takes no more; 0 is no limit",
    )
    .own()
    .live();

pub(crate) const ACCOUNT_ATTEMPTS_INTERVAL: Setting = Setting::duration(
    "account-attempts-interval",
    "AUTH_ACCOUNT_ATTEMPTS_INTERVAL",
    "15m0s",
    "Interval of the limit of failed passwords and codes of one account",
)
.own()
.live();

pub(crate) const RATE_LIMIT_MEMCACHE_SERVER: Setting = Setting::text(
    "rate-limit-memcache-server",
    "AUTH_RATE_LIMIT_MEMCACHE_SERVER",
    "",
    "memcached server that keeps the counters of rate limits",
)
.not_needed(NO_MEMCACHED);

pub(crate) const RATE_LIMIT_MEMCACHE_PREFIX: Setting = Setting::text(
    "rate-limit-memcache-prefix",
    "AUTH_RATE_LIMIT_MEMCACHE_PREFIX",
    "",
    "Prefix of keys in memcached",
)
.not_needed(NO_MEMCACHED);
