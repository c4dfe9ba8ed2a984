//! Defaults, precedence, checks and notices of the whole configuration.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::super::rows::server::PORT;
use super::super::table;
use super::super::{NoticeLevel, RecipientLimits, SmsProvider, StorageCompatibility};
use super::*;
use crate::domain::notice::{NoticeKind, NoticeKinds};
use crate::domain::rate_limit::Policy;
use crate::domain::schema_origin::Origin;
use crate::oauth::providers::ALL as PROVIDERS;
use crate::settings::{Kind, Setting, Support};

const JWT_SECRET: (&str, &str) =
    ("HASURA_GRAPHQL_JWT_SECRET", r#"{"type":"HS256","key":"0123456789abcdef0123456789abcdef"}"#);

/// Mail is not sent without a target for its links.
const CLIENT: (&str, &str) = ("AUTH_CLIENT_URL", "https://app.example.com");

fn with(variables: &[(&str, &str)]) -> Sources {
    Sources::from_env(std::iter::once(JWT_SECRET).chain(variables.iter().copied()))
}

fn load(variables: &[(&str, &str)]) -> Loaded {
    Config::from_sources(&with(variables)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refusals(variables: &[(&str, &str)]) -> Vec<String> {
    let errors = Config::from_sources(&with(variables)).err().map(|errors| errors.0);
    errors.into_iter().flatten().map(|error| error.to_string()).collect()
}

fn notices_about(variables: &[(&str, &str)], variable: &str) -> Vec<Notice> {
    let notices = load(variables).notices.into_iter();
    notices.filter(|notice| notice.variable == variable).collect()
}

#[test]
fn every_supported_setting_is_read_and_no_other() {
    let sources = with(&[]);
    let mut reader = Reader::new(&sources);
    read(&mut reader);
    let supported: BTreeSet<_> = table::all()
        .filter(|setting| setting.support == Support::Supported)
        .map(|setting| setting.variable)
        .collect();
    assert_eq!(reader.seen, supported);
}

/// Fails unless this reads exactly the supported settings of these tables.
#[track_caller]
fn assert_reads<T>(section: impl FnOnce(&mut Reader<'_>) -> T, tables: &[&[Setting]]) {
    let sources = with(&[]);
    let mut reader = Reader::new(&sources);
    section(&mut reader);
    let rows = tables.iter().copied().flatten();
    let rows = rows.filter(|setting| setting.support == Support::Supported);
    assert_eq!(reader.seen, rows.map(|setting| setting.variable).collect());
}

#[test]
fn every_section_reads_the_rows_of_the_file_that_has_its_name() {
    assert_reads(
        |reader| AccountsConfig::read(reader, ""),
        &[rows::accounts::ROWS, rows::accounts::REDIRECTS],
    );
    assert_reads(ActorsConfig::read, &[rows::actors::ROWS]);
    assert_reads(AdminConfig::read, &[rows::admin::ROWS]);
    assert_reads(|reader| ClaimsConfig::read(reader, false), &[rows::claims::ROWS]);
    assert_reads(DatabaseConfig::read, &[rows::database::ROWS]);
    assert_reads(HasuraConfig::read, &[rows::hasura::ROWS]);
    assert_reads(MailConfig::read, &[rows::mail::ROWS]);
    assert_reads(
        MethodsConfig::read,
        &[rows::methods::SIGN_IN, rows::methods::SIGN_UP, rows::methods::ELEVATION],
    );
    assert_reads(PasswordsConfig::read, &[rows::passwords::ROWS]);
    assert_reads(ProtectionConfig::read, &[rows::protection::SERVICES, rows::protection::LIMITS]);
    assert_reads(RuntimeConfig::read, &[rows::runtime::ROWS]);
    assert_reads(SealingConfig::read, &[rows::sealing::ROWS]);
    assert_reads(|reader| SmsConfig::read(reader, false), &[rows::sms::ROWS]);
    assert_reads(TokensConfig::read, &[rows::tokens::ROWS]);
    assert_reads(TracesConfig::read, &[rows::traces::ROWS]);
    assert_reads(|reader| WebauthnConfig::read(reader, ""), &[rows::webauthn::ROWS]);
    let server = |reader: &mut Reader<'_>| {
        ServerConfig::read(reader);
        LogConfig::read(reader);
    };
    let process = [rows::server::PROCESS, rows::server::RESPONSES];
    assert_reads(server, &[process, [rows::server::LISTENER, rows::server::LIMITS]].concat());
    let providers = PROVIDERS.iter().map(|provider| provider.settings);
    let tables: Vec<_> = providers.chain([rows::providers::ROWS]).collect();
    assert_reads(|reader| ProvidersConfig::read(reader, None), &tables);
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let config = load(&[]).config;
    assert_eq!(config.server.listen.to_string(), "[::]:4000");
    assert_eq!(config.server.api_prefix, "");
    assert_eq!(config.tokens.access_token_lifetime, Duration::from_mins(15));
    assert_eq!(config.tokens.refresh_token_lifetime, Duration::from_hours(720));
    assert_eq!(config.tokens.refresh_grace, Duration::from_secs(30));
    assert_eq!(config.accounts.roles.default_role(), "user");
    assert_eq!(config.accounts.roles.allowed(), ["me", "user"]);
    assert_eq!(config.accounts.locales.allowed(), ["en"]);
    assert!(config.accounts.email_verification_required);
    assert!(config.accounts.gravatar.enabled);
    assert_eq!(config.accounts.gravatar.default, "blank");
    assert_eq!(config.passwords.min_length, 3);
    assert!(config.passwords.threads >= 1);
    assert!(matches!(config.mail.transport, MailTransport::None));
    assert_eq!(config.database.storage, None);
    assert_eq!(config.server.trusted_proxies(Origin::Adopted).len(), 8);
    assert_eq!(config.server.trusted_proxies(Origin::Created).len(), 2);
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_fallback_and_default() {
    let port =
        |sources: &Sources| Config::from_sources(sources).unwrap().config.server.listen.port();
    let fallback = with(&[]).with_fallback(&PORT, "5000");
    assert_eq!(port(&fallback), 5_000);
    assert!(!fallback.is_set(&PORT));
    let environment = with(&[("AUTH_PORT", "6000")]).with_fallback(&PORT, "5000");
    assert_eq!(port(&environment), 6_000);
    assert!(environment.is_set(&PORT));
    assert_eq!(port(&environment.with_flag("port", "7000").with_flag("port", "7001")), 7_001);
}

#[test]
fn an_empty_variable_empties_texts_and_switches_and_keeps_other_defaults() {
    let config = load(&[
        ("AUTH_PORT", ""),
        ("AUTH_GRAVATAR_ENABLED", ""),
        ("AUTH_GRAVATAR_RATING", ""),
        ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", ""),
        ("AUTH_PASSWORD_MIN_LENGTH", ""),
        ("AUTH_HTTP_HEADER_TIMEOUT", ""),
        ("AUTH_USER_DEFAULT_ALLOWED_ROLES", ""),
    ])
    .config;
    assert_eq!(config.server.listen.port(), 0, "a free port");
    assert!(!config.accounts.gravatar.enabled);
    assert_eq!(config.accounts.gravatar.rating, "g");
    assert!(!config.accounts.email_verification_required);
    assert_eq!(config.passwords.min_length, 3);
    assert_eq!(config.server.header_timeout, Duration::from_secs(5));
    assert_eq!(config.accounts.roles.allowed(), ["me", "user"]);
    assert!(!refusals(&[("HASURA_GRAPHQL_JWT_SECRET", "")]).is_empty());
}

#[test]
fn lists_replace_their_default_and_repeated_flags_add_up() {
    let config = load(&[("AUTH_USER_DEFAULT_ALLOWED_ROLES", "a, b,,")]).config;
    assert_eq!(config.accounts.roles.allowed(), ["a", "b", "user"]);
    let sources = with(&[("AUTH_USER_DEFAULT_ALLOWED_ROLES", "x")])
        .with_flag("default-allowed-roles", "a,b")
        .with_flag("default-allowed-roles", "c");
    let config = Config::from_sources(&sources).unwrap().config;
    assert_eq!(config.accounts.roles.allowed(), ["a", "b", "c", "user"]);
}

#[test]
fn a_value_that_cannot_be_read_is_named_with_its_type_variable_and_flag() {
    assert_eq!(
        refusals(&[("AUTH_CONCEAL_ERRORS", "yes")]),
        ["could not parse \"yes\" as boolean value from environment variable \
          \"AUTH_CONCEAL_ERRORS\" for flag conceal-errors: write true or false"]
    );
    let sources = with(&[]).with_flag("smtp-port", "70000");
    assert_eq!(
        Config::from_sources(&sources).unwrap_err().to_string(),
        "could not parse \"70000\" as integer value for flag smtp-port (environment variable \
         \"AUTH_SMTP_PORT\"): it must be between 1 and 65535"
    );
}

#[test]
fn everything_that_is_wrong_is_reported_at_once_by_variable() {
    let wrong = [
        ("AUTH_ACCESS_TOKEN_EXPIRES_IN", "0"),
        ("AUTH_ACTOR_BACKOFF_MIN", "1h"),
        ("AUTH_API_PREFIX", "/v1/"),
        ("AUTH_BIND", "localhost"),
        ("AUTH_CLIENT_URL", "localhost"),
        ("AUTH_GRAVATAR_RATING", "G"),
        ("AUTH_HTTP_MAX_CONCURRENCY", "0"),
        ("AUTH_HTTP_REQUEST_TIMEOUT", "0s"),
        ("AUTH_LOCALE_ALLOWED_LOCALES", "en,pt-BR"),
        ("AUTH_LOCALE_DEFAULT", "e"),
        ("AUTH_MAIL_CAPTURE_FOLDER", "both"),
        ("AUTH_MFA_ENABLED", "on"),
        ("AUTH_PASSWORD_ARGON2_MEMORY_KIB", "1"),
        ("AUTH_PASSWORD_BCRYPT_COST", "3"),
        ("AUTH_PASSWORD_HIBP_URL", ""),
        ("AUTH_PASSWORD_MIN_LENGTH", "many"),
        ("AUTH_PORT", "65536"),
        ("AUTH_RATE_LIMIT_GLOBAL_BURST", "-1"),
        ("AUTH_RATE_LIMIT_SMS_INTERVAL", "0s"),
        ("AUTH_RATE_LIMIT_SIGNUPS_INTERVAL", "1us"),
        ("AUTH_REFRESH_TOKEN_EXPIRES_IN", "10"),
        ("AUTH_REFRESH_TOKEN_KEY", "sesame"),
        ("AUTH_SERVER_URL", "example.com"),
        ("AUTH_SMTP_AUTH_METHOD", "login"),
        ("AUTH_SMTP_HOST", "mail"),
        ("AUTH_SMTP_SENDER", "a@b.de\r\nBcc: c@d.de"),
        ("AUTH_STORAGE_COMPATIBILITY", "both"),
        ("AUTH_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("AUTH_TURNSTILE_URL", "cloudflare"),
        ("AUTH_USER_DEFAULT_ROLE", ""),
        ("HASURA_GRAPHQL_GRAPHQL_URL", "hasura:8080"),
    ];
    let errors = refusals(&wrong);
    for (variable, _) in wrong {
        let about = match variable {
            // Right by themselves, wrong next to another one.
            "AUTH_REFRESH_TOKEN_EXPIRES_IN" => "AUTH_REFRESH_TOKEN_GRACE",
            "AUTH_SMTP_HOST" => "AUTH_MAIL_CAPTURE_FOLDER",
            variable => variable,
        };
        assert!(errors.iter().any(|error| error.contains(about)), "{about}: {errors:#?}");
    }
    assert!(errors.iter().all(|error| !error.contains("sesame")), "secrets stay hidden");
    assert_eq!(errors.len(), wrong.len() - 1, "{errors:#?}");
}

#[test]
fn ports_and_prefixes_have_one_form() {
    for port in ["http", "-1", "+80", "8 0", "0x50", "99999999999"] {
        assert_eq!(refusals(&[("AUTH_PORT", port)]).len(), 1, "{port}");
    }
    for prefix in ["v1", "/", "//v1", "/v1//a", "/v 1", "/v1?x", "/{a}", "/../a"] {
        assert_eq!(refusals(&[("AUTH_API_PREFIX", prefix)]).len(), 1, "{prefix}");
    }
    assert_eq!(load(&[("AUTH_API_PREFIX", "/v1/auth")]).config.server.api_prefix, "/v1/auth");
    let bound = load(&[("AUTH_BIND", "[::1]"), ("AUTH_PORT", "80")]).config.server.listen;
    assert_eq!(bound.to_string(), "[::1]:80");
}

#[test]
fn notices_are_named_one_by_one_or_all_or_none() {
    let notices = |text| load(&[("AUTH_SECURITY_NOTICES", text)]).config.recipients.notices;
    assert_eq!(load(&[]).config.recipients.notices, None);
    assert_eq!(notices(""), None);
    assert_eq!(notices("all"), Some(NoticeKinds::ALL));
    assert_eq!(notices("none"), Some(NoticeKinds::NONE));
    let some = notices("pat,locked-sign-in").unwrap();
    assert!(some.has(NoticeKind::Pat) && !some.has(NoticeKind::Password));
    for wrong in ["everything", "all,pat", "pat,none", "Password"] {
        let errors = refusals(&[("AUTH_SECURITY_NOTICES", wrong)]);
        assert!(errors[0].contains("locked-sign-in"), "{wrong}: {errors:?}");
    }
}

#[test]
fn limits_of_recipients_are_numbers_in_a_time_and_keep_their_defaults() {
    let limits = |text| load(&[("AUTH_RECIPIENT_LIMITS", text)]).config.recipients.limits;
    let an_hour = Duration::from_hours(1);
    let of = |limit, window| Some(Policy { limit, window });
    let defaults =
        RecipientLimits { mail: of(5, an_hour), sms: of(3, an_hour), notice: of(3, an_hour) };
    assert_eq!(load(&[]).config.recipients.limits, defaults);
    assert_eq!(limits("off"), RecipientLimits::default());
    let own = RecipientLimits { mail: None, sms: of(10, Duration::from_secs(90)), ..defaults };
    assert_eq!(limits("mail:off,sms:10/1m30s"), own);
    for wrong in
        ["mail", "mail:5", "mail:0/1h", "mail:5/0", "fax:1/1h", "off,sms:1/1h", "mail:-1/1h"]
    {
        assert_eq!(refusals(&[("AUTH_RECIPIENT_LIMITS", wrong)]).len(), 1, "{wrong}");
    }
}

#[test]
fn postmark_needs_its_token() {
    let errors = refusals(&[("AUTH_SMTP_HOST", "postmark"), ("AUTH_SMTP_SENDER", "a@b.co")]);
    assert!(errors[0].contains("AUTH_SMTP_PASS"), "{errors:?}");
    let mail = load(&[CLIENT, ("AUTH_SMTP_HOST", "postmark"), ("AUTH_SMTP_PASS", "x")]).config.mail;
    assert!(matches!(mail.transport, MailTransport::Postmark(_)));
}

#[test]
fn passkeys_of_no_domain_are_refused_and_those_of_another_one_told_of_while_they_are_on() {
    let on = ("AUTH_WEBAUTHN_ENABLED", "true");
    let id = ("AUTH_WEBAUTHN_RP_ID", "example.com");
    let outside = ("AUTH_WEBAUTHN_RP_ORIGINS", "https://badexample.com");
    let notices = notices_about(&[on, id, outside], outside.0);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!(notices[0].level, NoticeLevel::Warning);
    let errors = refusals(&[on]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("AUTH_WEBAUTHN_RP_ID"), "{errors:?}");
    assert_eq!(refusals(&[id, outside]), [""; 0]);
}

#[test]
fn sms_need_a_provider_only_where_they_are_sent() {
    assert!(load(&[]).config.sms.provider.is_none());
    let enabled = ("AUTH_SMS_PASSWORDLESS_ENABLED", "true");
    for provider in ["", "twilio", "Modica"] {
        let errors = refusals(&[enabled, ("AUTH_SMS_PROVIDER", provider)]);
        assert!(errors[0].contains("AUTH_SMS_PROVIDER"), "{errors:?}");
    }
    let errors = refusals(&[("AUTH_SMS_PROVIDER", "pigeon")]);
    assert!(errors[0].contains("twilio, modica, dev"), "{errors:?}");
    let sms = load(&[enabled, ("AUTH_SMS_PROVIDER", "DEV")]).config.sms;
    assert!(matches!(sms.provider, Some(SmsProvider::Dev)));
}

#[test]
fn trusted_proxies_are_networks_addresses_or_nobody() {
    let of = |list| {
        let server = load(&[("AUTH_TRUSTED_PROXIES", list)]).config.server;
        server.trusted_proxies(Origin::Created)
    };
    assert_eq!(of("10.1.0.0/16,192.0.2.7").len(), 2);
    assert!(of("none").is_empty());
}

#[test]
fn storage_compatibility_is_a_choice() {
    let of = |name| load(&[("AUTH_STORAGE_COMPATIBILITY", name)]).config.database.storage;
    assert_eq!(of("reference"), Some(StorageCompatibility::Reference));
    assert_eq!(of("keywright"), Some(StorageCompatibility::Keywright));
    assert_eq!(of(""), None);
}

#[test]
fn features_to_come_are_reported_once() {
    for variable in [
        ("AUTH_OAUTH2_PROVIDER_ENABLED", "true"),
        ("AUTH_RATE_LIMIT_MEMCACHE_SERVER", "memcached:11211"),
        ("NODE_ENV", "production"),
    ] {
        let notices = notices_about(&[variable], variable.0);
        assert_eq!(notices.len(), 1, "{variable:?}");
        assert_eq!(notices[0].level, NoticeLevel::Info, "{variable:?}");
    }
}

#[test]
fn features_to_come_at_their_default_are_not_reported() {
    for variable in [
        ("AUTH_RATE_LIMIT_ENABLE", "f"),
        ("AUTH_RATE_LIMIT_GLOBAL_INTERVAL", "60s"),
        ("AUTH_RATE_LIMIT_GLOBAL_BURST", "0x64"),
        ("AUTH_REQUIRE_ELEVATED_CLAIM", "disabled"),
        ("AUTH_SMS_PROVIDER", ""),
        ("AUTH_PROVIDER_GOOGLE_SCOPE", "openid,email,profile"),
        ("AUTH_MFA_TOTP_ISSUER", "auth"),
        ("AUTH_SOMETHING_EMPTY", ""),
    ] {
        assert_eq!(notices_about(&[variable], variable.0), [], "{variable:?}");
    }
}

#[test]
fn a_name_that_no_setting_has_is_reported() {
    let notices = notices_about(&[("AUTH_DISABLE_SIGNUPS", "true")], "AUTH_DISABLE_SIGNUPS");
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].level, NoticeLevel::Warning);
}

#[test]
fn what_will_not_work_or_is_dangerous_is_a_warning() {
    let verification = "AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED";
    let smtp = ("AUTH_SMTP_HOST", "mail.example.com");
    assert_eq!(notices_about(&[], verification).len(), 1);
    assert_eq!(notices_about(&[CLIENT, smtp], verification), []);
    assert_eq!(notices_about(&[(verification, "false")], verification), []);
    assert_eq!(notices_about(&[CLIENT, smtp], "AUTH_SERVER_URL").len(), 1);
    assert_eq!(notices_about(&[CLIENT, smtp], "AUTH_SMTP_SENDER").len(), 1);
    assert_eq!(notices_about(&[], "AUTH_CLIENT_URL").len(), 1);
    let change_env = ("AUTH_ENABLE_CHANGE_ENV", "true");
    assert_eq!(notices_about(&[change_env], change_env.0)[0].level, NoticeLevel::Warning);
    let everything = ("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", "**");
    assert_eq!(notices_about(&[everything], everything.0).len(), 1);
}

#[test]
fn a_missing_client_url_allows_no_redirect() {
    let redirects = load(&[]).config.accounts.redirects;
    for url in ["//evil.example", "/x", "https://evil.example", ""] {
        assert!(!redirects.is_allowed(url), "{url}");
    }
}

#[test]
fn a_bad_redirect_pattern_is_refused() {
    let errors = refusals(&[("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", "https://[x.example")]);
    assert!(errors[0].contains("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS"), "{errors:?}");
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let sources = with(&[CLIENT, ("AUTH_SMTP_HOST", "mail"), ("AUTH_SMTP_PASS", "sesame")]);
    let config = Config::from_sources(&sources).unwrap().config;
    for text in [format!("{sources:?}"), format!("{config:?}")] {
        assert!(!text.contains("sesame") && !text.contains("0123456789abcdef"), "{text}");
    }
}

/// A file that goes away with the test.
struct EnvFile(PathBuf);

impl EnvFile {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("keywright-{}.env", uuid::Uuid::new_v4()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn sources(&self, variables: &[(&str, &str)]) -> Sources {
        let path = self.0.to_str().unwrap();
        let variables = variables.iter().copied().chain([("AUTH_ENV_FILE", path)]);
        with(&variables.collect::<Vec<_>>()).with_env_file().unwrap()
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_process_wins_over_the_env_file_at_start_and_the_file_after_a_reload() {
    let file = EnvFile::new("AUTH_USER_DEFAULT_ROLE=file\nAUTH_DISABLE_SIGNUP=true\n");
    let sources = file.sources(&[("AUTH_USER_DEFAULT_ROLE", "process")]);
    let accounts = |sources: &Sources| Config::from_sources(sources).unwrap().config.accounts;
    assert_eq!(accounts(&sources).roles.default_role(), "process");
    assert!(accounts(&sources).disable_signup);

    fs::write(&file.0, "export AUTH_USER_DEFAULT_ROLE='changed'\n").unwrap();
    let reloaded = sources.reload_env_file().unwrap();
    assert_eq!(accounts(&reloaded).roles.default_role(), "changed");
    assert!(!accounts(&reloaded).disable_signup, "a removed line counts no more");

    fs::write(&file.0, "").unwrap();
    let reloaded = reloaded.reload_env_file().unwrap();
    assert_eq!(accounts(&reloaded).roles.default_role(), "process");
}

#[test]
fn a_reload_reports_what_waits_for_the_next_start() {
    let file = EnvFile::new("AUTH_CONCEAL_ERRORS=true\nAUTH_API_PREFIX=/v1\nAUTH_SMTP_HOST=one\n");
    let before = file.sources(&[]);
    fs::write(&file.0, "AUTH_API_PREFIX=/v2\nAUTH_SMTP_HOST=other\n").unwrap();
    let notices = before.reload_env_file().unwrap().restart_notices(&before);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!(notices[0].variable, "AUTH_API_PREFIX");
    assert_eq!(before.restart_notices(&before), []);
}

#[test]
fn an_env_file_that_cannot_be_read_is_refused_by_name_without_its_text() {
    let missing = with(&[("AUTH_ENV_FILE", "/nowhere/keywright.env")]).with_env_file();
    assert!(missing.unwrap_err().to_string().contains("AUTH_ENV_FILE"));
    let file = EnvFile::new("A=1\nsesame\n");
    let path = file.0.to_str().unwrap();
    let error = with(&[("AUTH_ENV_FILE", path)]).with_env_file().unwrap_err().to_string();
    assert!(error.contains("line 2") && !error.contains("sesame"), "{error}");
}

#[test]
fn fewer_connections_than_a_node_keeps_busy_are_refused() {
    let most = |number| ("AUTH_POSTGRES_MAX_CONNECTIONS", number);
    let shards = ("AUTH_SESSION_SHARDS", "4");
    assert_eq!(load(&[most("3")]).config.database.max_connections, 3);
    assert!(refusals(&[most("2")])[0].contains("a node needs 3"));
    assert_eq!(load(&[most("6"), shards]).config.database.max_connections, 6);
    assert!(refusals(&[most("5"), shards])[0].contains("AUTH_POSTGRES_MAX_CONNECTIONS"));
}

/// Docker's `--env-file` and systemd's `EnvironmentFile` disagree about them.
#[test]
fn quotes_around_a_value_do_not_count_and_around_a_secret_they_are_refused() {
    let url = ("AUTH_CLIENT_URL", "'https://app.example.com'");
    let postgres = ("POSTGRES_CONNECTION", "\"postgres://u:p@h/db?pool_max_conns=20\"");
    let key = (
        "HASURA_GRAPHQL_JWT_SECRET",
        "'{\"type\":\"HS256\",\"key\":\"0123456789abcdef0123456789abcdef\"}'",
    );
    let quoted = [
        url,
        postgres,
        key,
        ("AUTH_DISABLE_SIGNUP", "\"true\""),
        ("AUTH_ACCESS_TOKEN_EXPIRES_IN", "'60'"),
        ("AUTH_POSTGRES_ACQUIRE_TIMEOUT", "\"7s\""),
        ("AUTH_USER_DEFAULT_ALLOWED_ROLES", "\"me,user,editor\""),
    ];
    let loaded = load(&quoted);
    assert_eq!(loaded.config.database.max_connections, 20);
    assert_eq!(loaded.config.database.acquire_timeout, Duration::from_secs(7));
    assert!(loaded.config.accounts.roles.allowed().contains(&"editor".to_owned()));
    for (variable, _) in quoted {
        let about = loaded.notices.iter().filter(|notice| notice.variable == variable);
        let mentions = about.filter(|notice| notice.to_string().contains("quotes")).count();
        assert!(mentions >= 1, "{variable}");
    }
    let secrets = table::all().filter(|setting| setting.secret && setting.kind == Kind::Text);
    for setting in secrets.filter(|setting| setting.support == Support::Supported) {
        let is_connection = setting.variable.starts_with("POSTGRES_");
        let errors = refusals(&[(setting.variable, "\"0123456789abcdef0123456789abcdef\"")]);
        let named = errors.iter().any(|e| e.contains("quotes") && e.contains(setting.variable));
        assert_eq!(named, !is_connection, "{}: {errors:?}", setting.variable);
        assert!(!errors.iter().any(|error| error.contains("0123456789")), "{errors:?}");
    }
}
