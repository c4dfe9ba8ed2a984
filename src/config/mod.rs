//! Every setting, typed. Read once at start, checked, passed down; never read from the environment elsewhere.
//!
//! `settings` is the table of all names, `sources` says where their values come from, `reader` turns
//! texts into values, one file a section holds the types, and `load` puts them together.

mod accounts;
mod actors;
mod admin;
mod arguments;
mod change_env;
mod claims;
mod database;
mod env_file;
mod error;
mod hasura;
mod load;
mod mail;
mod markdown;
mod methods;
mod notice;
mod passwords;
mod protection;
mod providers;
mod reader;
mod runtime;
mod sealing;
mod server;
pub mod settings;
mod sms;
mod sources;
mod tokens;
mod traces;
pub mod value;
mod webauthn;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use self::accounts::{AccountLists, AccountsConfig};
pub use self::actors::ActorsConfig;
pub use self::admin::AdminConfig;
pub use self::arguments::arguments;
pub use self::change_env::ChangeEnvError;
pub use self::claims::{ClaimsConfig, ClaimsSource};
pub use self::database::{DatabaseConfig, StorageCompatibility};
pub use self::error::{ConfigError, ConfigErrors};
pub use self::hasura::HasuraConfig;
pub use self::load::Loaded;
pub use self::mail::{MailConfig, MailTransport, PostmarkConfig, SmtpAuthMethod, SmtpConfig};
pub use self::markdown::settings_markdown;
pub use self::methods::{Elevation, MethodsConfig};
pub use self::notice::{Notice, NoticeLevel};
pub use self::passwords::{ChangeEnds, PasswordsConfig};
pub use self::protection::{HibpConfig, ProtectionConfig, RateLimits, TurnstileConfig};
pub use self::providers::{
    ClientSecret, ConnectFrom, Endpoints, IdTokenRules, KeepTokens, KnownEndpoints, ProviderConfig,
    ProvidersConfig,
};
pub use self::runtime::RuntimeConfig;
pub use self::sealing::SealingConfig;
pub use self::server::{LogConfig, ServerConfig};
pub use self::sms::{ModicaConfig, SmsConfig, SmsProvider, TwilioConfig};
pub use self::sources::Sources;
pub use self::tokens::TokensConfig;
pub use self::traces::{TraceSampler, TracesConfig};
pub use self::webauthn::{GivenRelyingParty, RelyingPartyConfig, WebauthnConfig};

/// The configuration in force, swapped as a whole by `/change-env` and SIGHUP.
pub type LiveConfig = Arc<ArcSwap<Config>>;

/// All settings of one server.
#[derive(Clone, Debug)]
pub struct Config {
    pub runtime: RuntimeConfig,
    pub server: ServerConfig,
    pub log: LogConfig,
    pub database: DatabaseConfig,
    pub hasura: HasuraConfig,
    pub tokens: TokensConfig,
    pub claims: ClaimsConfig,
    pub accounts: AccountsConfig,
    pub passwords: PasswordsConfig,
    pub methods: MethodsConfig,
    pub sealing: SealingConfig,
    pub protection: ProtectionConfig,
    pub providers: ProvidersConfig,
    pub mail: MailConfig,
    pub sms: SmsConfig,
    pub webauthn: WebauthnConfig,
    pub actors: ActorsConfig,
    pub admin: AdminConfig,
    pub traces: TracesConfig,
    /// What all of this was read from, for a reload to begin with.
    pub sources: Arc<Sources>,
}
