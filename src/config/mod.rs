//! Every setting, typed. Read once at start, checked, passed down; never read from the environment elsewhere.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use crate::domain::email_access::EmailAccess;
use crate::domain::gravatar::Gravatar;
use crate::domain::locale::Locales;
use crate::domain::redirect::RedirectRules;
use crate::domain::roles::RoleRules;

/// The configuration in force, swapped as a whole by `/change-env` and SIGHUP.
pub type LiveConfig = Arc<ArcSwap<Config>>;

/// All settings of one server.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: ServerConfig,
    pub log: LogConfig,
    pub database: DatabaseConfig,
    pub hasura: HasuraConfig,
    pub tokens: TokensConfig,
    pub accounts: AccountsConfig,
    pub passwords: PasswordsConfig,
    pub mail: MailConfig,
    pub actors: ActorsConfig,
}

/// Listener, limits, and how the outside world reaches this server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `AUTH_BIND` (ours; default every interface) and `AUTH_PORT`.
    pub listen: SocketAddr,
    /// `AUTH_API_PREFIX`, used literally; empty or with a leading and without a trailing slash.
    pub api_prefix: String,
    /// `AUTH_SERVER_URL`, with the prefix; base of mailed links.
    pub server_url: Option<Url>,
    /// `AUTH_CLIENT_URL` as configured; default of `redirectTo`.
    pub client_url: String,
    /// `AUTH_CONCEAL_ERRORS`.
    pub conceal_errors: bool,
    /// `AUTH_ENABLE_CHANGE_ENV`.
    pub change_env: bool,
    /// `AUTH_TRUSTED_PROXIES` (ours): peers whose `X-Forwarded-For` is believed; default loopback and private ranges.
    pub trusted_proxies: Arc<[IpNet]>,
    /// `AUTH_HTTP_MAX_BODY_BYTES` (ours), default 1 MiB.
    pub max_body_bytes: usize,
    /// `AUTH_HTTP_HEADER_TIMEOUT` (ours), default 5 s as the reference.
    pub header_timeout: Duration,
    /// `AUTH_HTTP_REQUEST_TIMEOUT` (ours), default 30 s.
    pub request_timeout: Duration,
    /// `AUTH_HTTP_MAX_CONCURRENCY` (ours): requests in flight before 503, default 10 000.
    pub max_concurrency: usize,
    /// `AUTH_SHUTDOWN_TIMEOUT` (ours): longest drain, default 30 s.
    pub shutdown_timeout: Duration,
    /// `AUTH_ENV_FILE` (ours): file of `NAME=value` lines, read at start and again on SIGHUP.
    pub env_file: Option<PathBuf>,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `AUTH_DEBUG`.
    pub debug: bool,
    /// `AUTH_LOG_FORMAT_TEXT`.
    pub text: bool,
}

/// Which stored forms are written (design.md, "Side by side with the reference").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageCompatibility {
    /// All that the reference must read after a roll-back is written its way.
    Reference,
    /// The stronger forms are written; old forms are read for ever.
    Keywright,
}

/// Postgres.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `POSTGRES_CONNECTION` or `HASURA_GRAPHQL_DATABASE_URL`; a pgx-style URL or keyword/value string.
    pub url: SecretString,
    /// `POSTGRES_MIGRATIONS_CONNECTION`; empty means `url`.
    pub migrations_url: Option<SecretString>,
    /// `AUTH_POSTGRES_MAX_CONNECTIONS` (ours), default 10 or `pool_max_conns` of the URL.
    pub max_connections: u32,
    /// `AUTH_POSTGRES_MIN_CONNECTIONS` (ours), default 1 or `pool_min_conns` of the URL.
    pub min_connections: u32,
    /// `AUTH_POSTGRES_ACQUIRE_TIMEOUT` (ours), default 5 s.
    pub acquire_timeout: Duration,
    /// `AUTH_POSTGRES_STATEMENT_TIMEOUT` (ours), default 10 s.
    pub statement_timeout: Duration,
    /// `AUTH_STORAGE_COMPATIBILITY` (ours); `None`: by the origin of the database.
    pub storage: Option<StorageCompatibility>,
}

/// Hasura's metadata API.
#[derive(Clone, Debug)]
pub struct HasuraConfig {
    /// `HASURA_GRAPHQL_GRAPHQL_URL`; `None`: nothing is called.
    pub graphql_url: Option<Url>,
    /// `HASURA_GRAPHQL_ADMIN_SECRET`.
    pub admin_secret: SecretString,
}

/// Access and refresh tokens.
#[derive(Clone, Debug)]
pub struct TokensConfig {
    /// `HASURA_GRAPHQL_JWT_SECRET`, the JSON text as configured.
    pub jwt_secret: SecretString,
    /// `AUTH_ACCESS_TOKEN_EXPIRES_IN`, seconds.
    pub access_token_lifetime: Duration,
    /// `AUTH_REFRESH_TOKEN_EXPIRES_IN`, seconds.
    pub refresh_token_lifetime: Duration,
    /// `AUTH_REFRESH_TOKEN_GRACE` (ours), whole seconds, default 30, 0 is off.
    pub refresh_grace: Duration,
    /// `AUTH_REFRESH_TOKEN_KEY` (ours): key material of the chain; unset: kept in the database.
    pub refresh_key: Option<SecretString>,
}

/// Who may sign up and in, and what new accounts look like.
#[derive(Clone, Debug)]
pub struct AccountsConfig {
    /// `AUTH_DISABLE_SIGNUP`.
    pub disable_signup: bool,
    /// `AUTH_DISABLE_NEW_USERS`.
    pub disable_new_users: bool,
    /// `AUTH_ANONYMOUS_USERS_ENABLED`.
    pub anonymous_enabled: bool,
    /// `AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED`.
    pub email_verification_required: bool,
    /// `AUTH_USER_DEFAULT_ROLE` and `AUTH_USER_DEFAULT_ALLOWED_ROLES`.
    pub roles: RoleRules,
    /// `AUTH_LOCALE_DEFAULT` and `AUTH_LOCALE_ALLOWED_LOCALES`.
    pub locales: Locales,
    /// `AUTH_GRAVATAR_*`.
    pub gravatar: Gravatar,
    /// `AUTH_ACCESS_CONTROL_*` for addresses.
    pub email_access: EmailAccess,
    /// `AUTH_CLIENT_URL` and `AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS`.
    pub redirects: RedirectRules,
}

/// Password rules and hashing.
#[derive(Clone, Debug)]
pub struct PasswordsConfig {
    /// `AUTH_PASSWORD_MIN_LENGTH`, bytes.
    pub min_length: usize,
    /// `AUTH_PASSWORD_ARGON2_MEMORY_KIB` (ours), default 19 456 (OWASP).
    pub argon2_memory_kib: u32,
    /// `AUTH_PASSWORD_ARGON2_ITERATIONS` (ours), default 2 (OWASP).
    pub argon2_iterations: u32,
    /// `AUTH_PASSWORD_ARGON2_PARALLELISM` (ours), default 1 (OWASP).
    pub argon2_parallelism: u32,
    /// `AUTH_PASSWORD_BCRYPT_COST` (ours), default 10 as the reference.
    pub bcrypt_cost: u32,
    /// `AUTH_PASSWORD_HASH_THREADS` (ours): hashes at once; default the number of cores.
    pub threads: usize,
    /// `AUTH_PASSWORD_HASH_QUEUE` (ours): waiting hashes before 503, default 256.
    pub queue: usize,
}

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct MailConfig {
    pub transport: MailTransport,
    /// `AUTH_SMTP_SENDER` verbatim.
    pub sender: String,
    /// `AUTH_SMTP_X_SMTPAPI_HEADER`; empty is off.
    pub smtpapi_header: String,
    /// `AUTH_EMAIL_TEMPLATES_PATH`; falls back to the built-in templates when the folder is missing.
    pub templates_path: PathBuf,
}

/// The way out for mail.
#[derive(Clone, Debug)]
pub enum MailTransport {
    /// No `AUTH_SMTP_HOST`: flows that need mail are refused.
    None,
    Smtp(SmtpConfig),
    /// Kept in this folder and shown on `/dev/inbox` (`keywright dev`).
    Capture {
        folder: PathBuf,
    },
}

/// `AUTH_SMTP_*`.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    /// `AUTH_SMTP_SECURE`: TLS from the first byte.
    pub implicit_tls: bool,
    pub user: String,
    pub password: SecretString,
    pub auth_method: SmtpAuthMethod,
}

/// `AUTH_SMTP_AUTH_METHOD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpAuthMethod {
    Login,
    Plain,
    CramMd5,
}

/// Supervision, admission and caches; all ours.
#[derive(Clone, Debug)]
pub struct ActorsConfig {
    /// `AUTH_ACTOR_MAX_RESTARTS`, default 10, in `restart_window`; past it the node drains and exits.
    pub max_restarts: u32,
    /// `AUTH_ACTOR_RESTART_WINDOW`, default 60 s.
    pub restart_window: Duration,
    /// `AUTH_ACTOR_BACKOFF_MIN`, default 20 ms; doubled at each failure.
    pub backoff_min: Duration,
    /// `AUTH_ACTOR_BACKOFF_MAX`, default 5 s.
    pub backoff_max: Duration,
    /// `AUTH_ACTOR_CALL_TIMEOUT`, default 5 s.
    pub call_timeout: Duration,
    /// `AUTH_SESSION_SHARDS`, default 1.
    pub session_shards: usize,
    /// `AUTH_SESSION_MAX_IN_FLIGHT`: refreshes in flight per shard before 503, default 8 192.
    pub session_max_in_flight: usize,
    /// `AUTH_SESSION_BATCH_MAX`: most rows of one statement, default 256.
    pub session_batch_max: usize,
    /// `AUTH_SESSION_CACHE_MIB`, default 64.
    pub session_cache_mib: u64,
    /// `AUTH_USER_CACHE_MIB`, default 128.
    pub user_cache_mib: u64,
    /// `AUTH_LAST_SEEN_INTERVAL`: longest delay of `last_seen`, default 1 s.
    pub last_seen_interval: Duration,
}
