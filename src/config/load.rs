//! All sections together, and what only shows when they are seen together.

use std::sync::Arc;

use super::reading::{ConfigErrors, Notice, Reader, Sources, report_ignored};
use super::rows;
use super::{
    AccountsConfig, ActorsConfig, AdminConfig, ClaimsConfig, Config, DatabaseConfig, HasuraConfig,
    HousekeepingConfig, LogConfig, MailConfig, MailDelivery, MailTransport, MethodsConfig,
    PasswordsConfig, ProtectionConfig, ProvidersConfig, RecipientsConfig, RuntimeConfig,
    SealingConfig, ServerConfig, SmsConfig, TokensConfig, TracesConfig, WebauthnConfig,
};

/// A configuration that works, and what its operator should know about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// To be logged once.
    pub notices: Vec<Notice>,
}

impl Config {
    /// Reads and checks everything; all that is wrong is reported at once.
    pub fn from_sources(sources: &Sources) -> Result<Loaded, ConfigErrors> {
        let mut reader = Reader::new(sources);
        let config = read(&mut reader);
        let notices = std::mem::take(&mut reader.notices);
        reader.checked(Loaded { config, notices })
    }
}

fn read(reader: &mut Reader<'_>) -> Config {
    let server = ServerConfig::read(reader);
    let hasura = HasuraConfig::read(reader);
    let methods = MethodsConfig::read(reader);
    let config = Config {
        runtime: RuntimeConfig::read(reader),
        log: LogConfig::read(reader),
        database: DatabaseConfig::read(reader),
        claims: ClaimsConfig::read(reader, hasura.graphql_url.is_some()),
        hasura,
        tokens: TokensConfig::read(reader),
        accounts: AccountsConfig::read(reader, &server.client_url),
        passwords: PasswordsConfig::read(reader),
        sms: SmsConfig::read(reader, methods.sms_passwordless),
        methods,
        sealing: SealingConfig::read(reader),
        protection: ProtectionConfig::read(reader),
        recipients: RecipientsConfig::read(reader),
        providers: ProvidersConfig::read(reader, server.server_url.as_ref()),
        mail: MailConfig::read(reader),
        webauthn: WebauthnConfig::read(reader, &server.client_url),
        actors: ActorsConfig::read(reader),
        housekeeping: HousekeepingConfig::read(reader),
        admin: AdminConfig::read(reader),
        traces: TracesConfig::read(reader),
        sources: Arc::new(reader.sources().clone()),
        server,
    };
    compare_sections(reader, &config);
    report_ignored(reader);
    config
}

fn compare_sections(reader: &mut Reader<'_>, config: &Config) {
    // One for the rotations of each shard, one that listens for changes, one for all else.
    let needed = u32::try_from(config.actors.session_shards).unwrap_or(u32::MAX).saturating_add(2);
    if config.database.max_connections < needed {
        reader.refuse(
            &rows::database::POSTGRES_MAX_CONNECTIONS,
            format!(
                "{} connections are not enough: a node needs {needed}, one for each of \
                 AUTH_SESSION_SHARDS ({}) and two more",
                config.database.max_connections, config.actors.session_shards
            ),
        );
    }
    let sends_mail = !matches!(config.mail.transport, MailTransport::None);
    if config.accounts.email_verification_required && !sends_mail {
        reader.warn(
            &rows::accounts::EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED,
            "addresses must be verified, but no mail can be sent: set AUTH_SMTP_HOST, or nobody who \
             signs up can sign in",
        );
    }
    if config.mail.delivery == MailDelivery::BeforeResponse && config.server.conceal_errors {
        reader.warn(
            &rows::mail::MAIL_DELIVERY,
            "responses do not wait for mail while AUTH_CONCEAL_ERRORS is on: the wait would tell which \
             addresses have an account",
        );
    }
    // A development server switches them on by itself and says so.
    let shows_mail = config.server.dev_routes && reader.sources().is_set(&rows::server::DEV_ROUTES);
    match (shows_mail, &config.mail.transport) {
        (true, MailTransport::Capture { .. }) => reader.warn(
            &rows::server::DEV_ROUTES,
            "WHOEVER REACHES THIS SERVER CAN READ ALL CAPTURED MAIL, with its links and codes; never use this in \
             production",
        ),
        (true, _) => reader.warn(
            &rows::server::DEV_ROUTES,
            "no mail is captured, so there is nothing to show: set AUTH_MAIL_CAPTURE_FOLDER",
        ),
        (false, MailTransport::Capture { .. }) if !config.server.dev_routes => reader.info(
            &rows::mail::MAIL_CAPTURE_FOLDER,
            "captured mail is not shown on /dev/inbox unless AUTH_DEV_ROUTES is true",
        ),
        (false, _) => {}
    }
    let leaves =
        matches!(config.mail.transport, MailTransport::Smtp(_) | MailTransport::Postmark(_));
    let has_target =
        !config.server.client_url.is_empty() || !config.accounts.lists.redirects.is_empty();
    if leaves && !has_target {
        reader.refuse(
            &rows::server::CLIENT_URL,
            "not set, and AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS is empty: the links in mails have no target",
        );
    }
    if sends_mail && config.server.server_url.is_none() {
        reader.warn(&rows::server::SERVER_URL, "not set: the links in mails lead nowhere");
    }
    let tokens = &config.tokens;
    if tokens.refresh_grace >= tokens.refresh_token_lifetime {
        reader.refuse(
            &rows::tokens::REFRESH_TOKEN_GRACE,
            "it must be shorter than AUTH_REFRESH_TOKEN_EXPIRES_IN",
        );
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "environment_tests.rs"]
mod environment_tests;
