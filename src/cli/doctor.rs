//! `keywright doctor`: what works, what does not, and which setting to change.

mod nodes;

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use secrecy::ExposeSecret;
use sqlx::Connection as _;

use super::admin_client::AdminClient;
use super::terminal;
use crate::actors::signing_keys;
use crate::clients::HttpClients;
use crate::config::{Config, ConfigErrors, Loaded, NoticeLevel, Sources};
use crate::domain::clock::Clock;
use crate::domain::error::chain;
use crate::domain::schema_origin::Origin;
use crate::flows::providers::endpoints::callback_url;
use crate::hasura;
use crate::http::admin::report::TreeReport;
use crate::notify::sender::MailSender;
use crate::oauth::configured::Endpoints;
use crate::oauth::discovery::Discovery;
use crate::persistence::connection_string::ConnectionString;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::settings::StoredKey;
use crate::persistence::{diagnosis, pool, settings, start_wait, totp};
use crate::sealing::{Sealer, context};
use crate::tokens::keys::KeySet;

/// Longest wait for another process.
const DEADLINE: Duration = Duration::from_secs(10);
/// Clocks that differ by more make grace windows and expiries wrong.
const CLOCK_TOLERANCE_S: i64 = 2;

/// How a check went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    Failed,
}

/// One line of the table.
struct Check {
    name: &'static str,
    state: State,
    detail: String,
}

/// Prints the table; fails if a check failed.
pub async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let sources = Sources::from_process(matches)?;
    let mut checks = Vec::new();
    match Config::from_sources(&sources) {
        Ok(loaded) => {
            report_configuration(&mut checks, &loaded);
            check_keys(&mut checks, &loaded.config);
            let origin = check_database(&mut checks, &loaded.config).await;
            check_mail(&mut checks, &loaded.config, origin).await;
            check_providers(&mut checks, &loaded.config).await;
            check_hasura(&mut checks, &loaded.config).await;
            check_actors(&mut checks, &loaded.config).await;
        }
        Err(errors) => report_errors(&mut checks, &errors),
    }
    print(&checks);
    let failed = checks.iter().any(|check| check.state == State::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn add(checks: &mut Vec<Check>, name: &'static str, state: State, detail: impl Into<String>) {
    checks.push(Check { name, state, detail: detail.into() });
}

fn report_errors(checks: &mut Vec<Check>, errors: &ConfigErrors) {
    for error in &errors.0 {
        add(checks, "configuration", State::Failed, error.to_string());
    }
}

fn report_configuration(checks: &mut Vec<Check>, loaded: &Loaded) {
    let warnings = loaded.notices.iter().filter(|notice| notice.level == NoticeLevel::Warning);
    for notice in warnings {
        add(checks, "configuration", State::Warning, notice.to_string());
    }
    add(checks, "configuration", State::Ok, "every setting can be used");
    for (setting, path) in loaded.config.sources.from_files() {
        let detail = format!("{} from {}", setting.variable, path.display());
        add(checks, "secret file", State::Ok, detail);
    }
    nodes::report_sources(checks, &loaded.config);
}

fn check_keys(checks: &mut Vec<Check>, config: &Config) {
    match KeySet::from_secret(&config.tokens.jwt_secret) {
        Ok(keys) => {
            let kid = keys.kid().unwrap_or("none");
            add(checks, "signing key", State::Ok, format!("{}, kid {kid}", keys.algorithm()));
        }
        Err(error) => {
            let detail = format!("HASURA_GRAPHQL_JWT_SECRET: {error}");
            add(checks, "signing key", State::Failed, detail);
        }
    }
}

/// The tree of the server that runs with this configuration here, if one does.
async fn check_actors(checks: &mut Vec<Check>, config: &Config) {
    let Ok(Some(server)) = AdminClient::of(&config.admin) else { return };
    let report: TreeReport = match server.get("/ops/actors").await {
        Ok(report) => report,
        Err(error) => {
            add(checks, "actors", State::Ok, format!("not looked at: {error:#}"));
            return;
        }
    };
    nodes::report_changed_here(checks, &server).await;
    if let Some(failure) = &report.hasura_metadata_failure {
        let detail = format!("the server here has not told it the metadata yet: {failure}");
        add(checks, "Hasura", State::Warning, detail);
    }
    if !report.standing {
        let detail = "not every vital actor runs, `keywright actors` says which and why";
        add(checks, "actors", State::Failed, detail);
    } else if report.degraded.is_empty() {
        add(checks, "actors", State::Ok, "all of them run");
    } else {
        let degraded = report.degraded.join(", ");
        let detail = format!("degraded, the node goes on without: {degraded}");
        add(checks, "actors", State::Warning, detail);
    }
}

/// A server goes on without Hasura, so that this is no failure.
async fn check_hasura(checks: &mut Vec<Check>, config: &Config) {
    match hasura::check(&config.hasura).await {
        Ok(None) => {}
        Ok(Some(())) => add(checks, "Hasura", State::Ok, "takes metadata with our admin secret"),
        Err(error) => {
            let detail = format!("{error}; a server goes on trying, and serves meanwhile");
            add(checks, "Hasura", State::Warning, detail);
        }
    }
}

/// Also finds out who made the database, as far as it can be asked.
async fn check_database(checks: &mut Vec<Check>, config: &Config) -> Origin {
    // The pool would try again, and say only that it took too long.
    if let Err(error) = probe(config).await {
        add(checks, "database", State::Failed, format!("POSTGRES_CONNECTION: {error}"));
        return Origin::Adopted;
    }
    let pool = match tokio::time::timeout(DEADLINE, pool::connect(&config.database)).await {
        Ok(Ok(pool)) => pool,
        Ok(Err(error)) => {
            add(checks, "database", State::Failed, format!("POSTGRES_CONNECTION: {error}"));
            return Origin::Adopted;
        }
        Err(_elapsed) => {
            add(checks, "database", State::Failed, "POSTGRES_CONNECTION: no response");
            return Origin::Adopted;
        }
    };
    examine(checks, config, &pool).await.unwrap_or_else(|error| {
        let detail = format!("{error} (a database that was never migrated? `keywright migrate`)");
        add(checks, "database", State::Failed, detail);
        Origin::Adopted
    })
}

async fn probe(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let string = ConnectionString::parse(&config.database.url)?;
    string.check_files()?;
    let connecting = start_wait::connect("POSTGRES_CONNECTION", &string, Duration::ZERO).await?;
    Ok(connecting.close().await?)
}

async fn examine(
    checks: &mut Vec<Check>,
    config: &Config,
    pool: &MeasuredPool,
) -> sqlx::Result<Origin> {
    let clock = Clock::system();
    let found = diagnosis::read(pool, clock.now()).await?;
    add(checks, "database", State::Ok, format!("PostgreSQL {}", found.server_version));
    let skew = (found.server_time - clock.now()).whole_seconds();
    let state = if skew.abs() <= CLOCK_TOLERANCE_S { State::Ok } else { State::Warning };
    add(checks, "clock", state, format!("{skew} s apart from Postgres"));

    let origin = settings::find_origin(pool).await?;
    let storage = settings::storage_compatibility(pool, config.database.storage).await?;
    let detail = format!(
        "{storage:?} (AUTH_STORAGE_COMPATIBILITY {}; the database was {})",
        if config.database.storage.is_some() { "is set" } else { "is not set" },
        origin.map_or("never migrated", Origin::as_str),
    );
    add(checks, "stored forms", State::Ok, detail);

    check_secrets(checks, config, pool).await?;
    check_stored_keys(checks, config, pool).await?;
    nodes::check(checks, config, pool, storage).await?;

    let waiting = found.outbox_waiting;
    let state = if found.outbox_failing > 0 { State::Warning } else { State::Ok };
    let oldest = found.outbox_oldest.map_or_else(String::new, |at| {
        format!(", the oldest for {} s", (clock.now() - at.0).whole_seconds())
    });
    let detail =
        format!("{waiting} waiting{oldest}, {} of them failed before", found.outbox_failing);
    add(checks, "outbox", state, detail);
    if let Some(error) = found.outbox_last_error {
        add(checks, "outbox", State::Warning, error);
    }
    Ok(origin.unwrap_or(Origin::Adopted))
}

/// Counts the forms of stored TOTP secrets and opens one that is sealed.
async fn check_secrets(
    checks: &mut Vec<Check>,
    config: &Config,
    pool: &MeasuredPool,
) -> sqlx::Result<()> {
    let found = totp::stored_secrets(pool).await?;
    let detail = format!(
        "{} plain, {} sealed, {} sealed by Nhost Auth",
        found.plain, found.sealed, found.successor
    );
    add(checks, "TOTP secrets", State::Ok, detail);

    let (Some(user), Some(sample)) = (found.sample_user, found.sample) else { return Ok(()) };
    let stored = settings::find_key(pool, StoredKey::Sealing).await?;
    let stored = stored.as_ref().map(ExposeSecret::expose_secret);
    let opened = Sealer::new(config.sealing.key.as_ref(), stored)
        .is_ok_and(|sealer| sealer.open(&context(user), &sample).is_ok());
    if !opened {
        let detail =
            "AUTH_ENCRYPTION_KEY does not open sealed secrets: their owners cannot sign in";
        add(checks, "TOTP secrets", State::Failed, detail);
    }
    Ok(())
}

/// Opens the signing keys that the database keeps, if it keeps any.
async fn check_stored_keys(
    checks: &mut Vec<Check>,
    config: &Config,
    pool: &MeasuredPool,
) -> sqlx::Result<()> {
    let stored = settings::find_key(pool, StoredKey::Sealing).await?;
    let stored = stored.as_ref().map(ExposeSecret::expose_secret);
    let Ok(sealer) = Sealer::new(config.sealing.key.as_ref(), stored) else { return Ok(()) };
    let loaded = signing_keys::load(pool, &sealer).await?;
    if let Some(unusable) = loaded.unusable() {
        add(checks, "signing keys", State::Failed, unusable.to_string());
    } else if let Some(kids) = loaded.kids() {
        let detail = format!("of the database: {kids}");
        add(checks, "signing keys", State::Ok, detail);
    }
    Ok(())
}

async fn check_mail(checks: &mut Vec<Check>, config: &Config, origin: Origin) {
    let default_locale = config.accounts.locales.default_locale();
    let sender = match MailSender::from_config(&config.mail, default_locale, origin) {
        Ok(sender) => sender,
        Err(error) => {
            add(checks, "mail", State::Failed, error.to_string());
            return;
        }
    };
    if !sender.can_send() {
        add(checks, "mail", State::Warning, "no transport: AUTH_SMTP_HOST is empty");
        return;
    }
    match tokio::time::timeout(DEADLINE, sender.check()).await {
        Ok(Ok(())) => add(checks, "mail", State::Ok, "the server takes our mail"),
        Ok(Err(error)) => add(checks, "mail", State::Failed, format!("AUTH_SMTP_*: {error}")),
        Err(_elapsed) => add(checks, "mail", State::Failed, "AUTH_SMTP_HOST: no response"),
    }
}

/// What to register at each provider, and whether those that are discovered can be.
async fn check_providers(checks: &mut Vec<Check>, config: &Config) {
    let clients = match HttpClients::new() {
        Ok(clients) => clients,
        Err(error) => {
            add(checks, "providers", State::Failed, error.to_string());
            return;
        }
    };
    let discovery = Discovery::default();
    for provider in config.providers.enabled.values() {
        let callback = format!("{}: callback {}", provider.id, callback_url(config, &provider.id));
        let found = match &provider.endpoints {
            Endpoints::Known(_) => Ok(()),
            Endpoints::Discovered { .. } => {
                discovery.find(&clients, DEADLINE, provider).await.map(drop)
            }
        };
        match found {
            Ok(()) => add(checks, "providers", State::Ok, callback),
            Err(error) => {
                let detail =
                    format!("AUTH_PROVIDER_CUSTOM: {}: {}", provider.id, chain(error.as_ref()));
                add(checks, "providers", State::Failed, detail);
            }
        }
    }
}

fn print(checks: &[Check]) {
    for check in checks {
        let mark = match check.state {
            State::Ok => "ok     ",
            State::Warning => "warning",
            State::Failed => "FAILED ",
        };
        terminal::line(&format!("{mark}  {:<14} {}", check.name, check.detail));
    }
}
