//! Which rate limits a path falls under.

use crate::actors::limits::counters::Subject;
use crate::config::{Config, RateLimits};
use crate::domain::rate_limit::Policy;

/// One limit that counts for a request; its name is also that of its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub name: &'static str,
    pub policy: Policy,
    pub subject: Subject,
}

/// Paths on which a mail is sent, whatever the settings.
const MAILS: [&str; 6] = [
    "/signin/passwordless/email",
    "/signin/otp/email",
    "/user/email/change",
    "/user/password/reset",
    "/signup/passwordless/email",
    "/signup/otp/email",
];
/// Paths on which one is sent while addresses have to be verified.
const VERIFICATION_MAILS: [&str; 3] =
    ["/user/email/send-verification-email", "/signup/email-password", "/user/deanonymize"];
const SMS: [&str; 2] = ["/signin/passwordless/sms", "/signup/passwordless/sms"];
const PROVIDERS: [&str; 3] = ["/signin/provider/", "/signup/provider/", "/link/provider/"];
const CODE_EXCHANGE: &str = "/token/exchange";
const OAUTH2_SERVER: [&str; 2] = ["/oauth2/token", "/oauth2/introspect"];
const OAUTH2_SIGN_IN: [&str; 2] = ["/oauth2/authorize", "/oauth2/login"];

/// The limits of a request, in the order in which they are asked. `path` is without the API
/// prefix; a slash at its end changes nothing, since the router forgives one too.
pub fn buckets<'a>(
    config: &Config,
    limits: &'a RateLimits,
    path: &'a str,
    client: Subject,
) -> impl Iterator<Item = Bucket> + use<'a> {
    let path = bare(path);
    let verifies = config.accounts.email_verification_required;
    let sends_mail = MAILS.contains(&path) || (verifies && VERIFICATION_MAILS.contains(&path));
    let provider = provider_path(path);
    let proves = (path.starts_with("/signin") && provider.is_none())
        || path.ends_with("/verify")
        || path == CODE_EXCHANGE
        || path.ends_with("/otp")
        || OAUTH2_SIGN_IN.contains(&path);
    let (mail_name, mail_subject) = if limits.email_is_global {
        ("global-email", Subject::All)
    } else {
        ("user-email", client)
    };
    [
        (true, "user-global", limits.global, client),
        (sends_mail, mail_name, limits.email, mail_subject),
        (SMS.contains(&path), "user-sms", limits.sms, client),
        (proves, "user-bruteforce", limits.brute_force, client),
        (path.starts_with("/signup") && provider.is_none(), "user-signups", limits.signups, client),
        (provider == Some(Step::Start), "user-providers", limits.providers, client),
        (OAUTH2_SERVER.contains(&path), "user-oauth2-server", limits.oauth2_server, client),
    ]
    .into_iter()
    .filter(|(applies, ..)| *applies)
    .map(|(_, name, policy, subject)| Bucket { name, policy, subject })
}

/// Where a sign-in with a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It begins.
    Start,
    /// Back from the provider, with a state that nobody can guess: no more of a proof than that a
    /// page is asked for, so five people behind one address do not lock each other out
    /// (docs/reference-behaviour.md#callbacks-are-no-guesses).
    Callback,
}

fn provider_path(path: &str) -> Option<Step> {
    let rest = PROVIDERS.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    Some(if rest.contains('/') { Step::Callback } else { Step::Start })
}

/// Without one slash at the end.
pub fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use crate::config::Sources;
    use crate::http::layers::buckets::*;

    fn names(path: &str, more: &[(&str, &str)]) -> Vec<&'static str> {
        let settings = [
            (
                "HASURA_GRAPHQL_JWT_SECRET",
                r#"{"type":"HS256","key":"0123456789abcdef0123456789abcdef"}"#,
            ),
            ("AUTH_RATE_LIMIT_ENABLE", "true"),
        ];
        let sources = Sources::from_env(settings.into_iter().chain(more.iter().copied()));
        let config = Config::from_sources(&sources).unwrap().config;
        let limits = config.protection.rate_limits.as_ref().unwrap();
        let found = buckets(&config, limits, path, Subject::All).map(|bucket| bucket.name);
        let names: Vec<_> = found.collect();
        assert_eq!(names[0], "user-global", "{path}");
        names[1..].to_vec()
    }

    #[test]
    fn every_path_has_its_limits_in_order() {
        for (path, expected) in [
            ("/healthz", &[] as &[_]),
            ("/nowhere", &[]),
            ("/", &[]),
            ("", &[]),
            ("/token", &[]),
            ("/token/verify", &["user-bruteforce"]),
            ("/verify", &["user-bruteforce"]),
            ("/signin/email-password", &["user-bruteforce"]),
            ("/signin/mfa/totp", &["user-bruteforce"]),
            ("/signin/pat", &["user-bruteforce"]),
            ("/signin/passwordless/email", &["user-email", "user-bruteforce"]),
            ("/signin/otp/email", &["user-email", "user-bruteforce"]),
            ("/signin/otp/email/verify", &["user-bruteforce"]),
            ("/signin/passwordless/sms", &["user-sms", "user-bruteforce"]),
            ("/signin/passwordless/sms/", &["user-sms", "user-bruteforce"]),
            ("/signin/passwordless/sms/otp", &["user-bruteforce"]),
            ("/user/email/change", &["user-email"]),
            ("/user/password/reset", &["user-email"]),
            ("/user/email/send-verification-email", &["user-email"]),
            ("/user/deanonymize", &["user-email"]),
            ("/signup/email-password", &["user-email", "user-signups"]),
            ("/signup/webauthn", &["user-signups"]),
            ("/signup/webauthn/verify", &["user-bruteforce", "user-signups"]),
            ("/signin/provider/github", &["user-providers"]),
            ("/signup/provider/github", &["user-providers"]),
            ("/link/provider/github", &["user-providers"]),
            ("/signin/provider/github/callback", &[]),
            ("/signin/idtoken", &["user-bruteforce"]),
            ("/signup/idtoken", &["user-signups"]),
            ("/token/exchange", &["user-bruteforce"]),
            ("/oauth2/token", &["user-oauth2-server"]),
            ("/oauth2/login", &["user-bruteforce"]),
            ("/v1/signin/pat", &[]),
        ] {
            assert_eq!(names(path, &[]), expected, "{path}");
        }
    }

    #[test]
    fn sign_ups_count_as_mails_only_while_addresses_are_verified() {
        let off = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")];
        assert_eq!(names("/signup/email-password", &off), ["user-signups"]);
        assert_eq!(names("/user/deanonymize", &off), [] as [&str; 0]);
        assert_eq!(names("/user/password/reset", &off), ["user-email"]);
    }

    #[test]
    fn mails_can_be_counted_for_all_together() {
        let global = [("AUTH_RATE_LIMIT_EMAIL_IS_GLOBAL", "true")];
        assert_eq!(names("/user/password/reset", &global), ["global-email"]);
    }
}
