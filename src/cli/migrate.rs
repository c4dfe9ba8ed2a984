//! `keywright migrate`: create or adopt the database, then exit.

use std::process::ExitCode;

use clap::ArgMatches;

use super::terminal;
use crate::config::{DatabaseConfig, HasuraConfig, Sources};
use crate::hasura::{self, Retry};
use crate::persistence::migrate;

/// Migrates, and tells Hasura where one is configured.
pub async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let sources = Sources::from_process(matches)?;
    let database = DatabaseConfig::from_sources(&sources)?;
    let report = migrate::migrate(&database).await?;
    terminal::line(&report.to_string());
    let hasura = HasuraConfig::from_sources(&sources)?;
    hasura::apply_metadata(&hasura, Retry::default()).await?;
    Ok(ExitCode::SUCCESS)
}
