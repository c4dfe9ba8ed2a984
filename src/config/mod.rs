//! Every setting, typed. Read once at start, checked, passed down; never read from the environment
//! elsewhere.
//!
//! A setting is a row and a field, in two files of the same name: `rows/` says what it is called
//! and what it means, `sections/` reads it into a type. `table` has all rows, `reading` finds
//! values and turns texts into them, `load` puts the sections together, and `printing` shows the
//! table to people.

mod change_env;
mod load;
mod printing;
mod reading;
pub(crate) mod rows;
mod sections;
pub mod table;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use self::change_env::ChangeEnvError;
pub use self::load::Loaded;
pub use self::printing::{arguments, settings_markdown};
#[cfg(any(test, fuzzing))]
pub(crate) use self::reading::env_file;
pub use self::reading::{ConfigError, ConfigErrors, Notice, NoticeLevel, Provenance, Sources};
pub use self::sections::accounts::{AccountLists, AccountsConfig, ProofClears};
pub use self::sections::actors::ActorsConfig;
pub use self::sections::admin::AdminConfig;
pub use self::sections::claims::{ClaimsConfig, ClaimsSource};
pub use self::sections::database::{DatabaseConfig, StorageCompatibility};
pub use self::sections::hasura::HasuraConfig;
pub use self::sections::housekeeping::HousekeepingConfig;
pub use self::sections::mail::{
    MailConfig, MailDelivery, MailTransport, SmtpAuthMethod, SmtpConfig, SmtpTls,
};
pub use self::sections::methods::{Elevation, MethodsConfig};
pub use self::sections::passwords::{ChangeEnds, PasswordsConfig};
pub use self::sections::protection::{ProtectionConfig, RateLimits};
pub use self::sections::providers::{ConnectFrom, KeepTokens, ProvidersConfig};
pub use self::sections::recipients::{RecipientLimits, RecipientsConfig};
pub use self::sections::runtime::RuntimeConfig;
pub use self::sections::sealing::SealingConfig;
pub use self::sections::server::{LogConfig, ServerConfig, VerifyLink};
pub use self::sections::sms::{SmsConfig, SmsProvider};
pub use self::sections::tokens::TokensConfig;
pub use self::sections::traces::{TraceSampler, TracesConfig};
pub use self::sections::webauthn::{
    GivenRelyingParty, RelyingPartyConfig, UserVerification, WebauthnConfig,
};

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
    pub recipients: RecipientsConfig,
    pub providers: ProvidersConfig,
    pub mail: MailConfig,
    pub sms: SmsConfig,
    pub webauthn: WebauthnConfig,
    pub actors: ActorsConfig,
    pub housekeeping: HousekeepingConfig,
    pub admin: AdminConfig,
    pub traces: TracesConfig,
    /// What all of this was read from, for a reload to begin with.
    pub sources: Arc<Sources>,
}
