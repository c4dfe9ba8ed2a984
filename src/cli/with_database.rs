//! `keywright with-database -- COMMAND`: for build scripts that need a migrated database.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;
use tokio::process::Command;

use crate::config::{DatabaseConfig, Sources, rows};
use crate::persistence::embedded::{EmbeddedOptions, EmbeddedPostgres};
use crate::persistence::migrate;

const DATABASE: &str = "keywright";

/// Runs the command with `DATABASE_URL`; ends with its exit code.
pub async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let words: Vec<&String> = matches.get_many("command").context("no command")?.collect();
    let postgres = EmbeddedPostgres::start(EmbeddedOptions::throw_away()).await?;
    postgres.create_database(DATABASE).await?;
    let url = postgres.url(DATABASE);
    let sources = Sources::from_env([(rows::database::POSTGRES_CONNECTION.variable, url.as_str())]);
    migrate::migrate(&DatabaseConfig::from_sources(&sources)?).await?;

    let status = Command::new(words[0])
        .args(&words[1..])
        .env("DATABASE_URL", &url)
        .status()
        .await
        .with_context(|| format!("cannot run {}", words[0]))?;
    postgres.stop().await;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
