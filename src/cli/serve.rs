//! `keywright serve`: run until signalled to stop.

use std::process::ExitCode;

use clap::ArgMatches;
use tokio::time::Instant;

use super::signals::Signals;
use crate::config::{Config, Loaded, Sources};
use crate::domain::clock::Clock;
use crate::node::Node;
use crate::reload::{self, ReloadError};
use crate::telemetry;

/// Serves with what flags and environment say.
pub async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let sources = Sources::from_process(matches)?;
    let Loaded { config, notices } = Config::from_sources(&sources)?;
    let telemetry = telemetry::init(&config.log, &config.traces)?;
    for notice in &notices {
        notice.log();
    }
    let mut signals = Signals::listen()?;
    let starting = Box::pin(Node::start(config, Clock::system()));
    let code = if let Some(node) = signals.unless_ended(starting).await {
        let node = node?;
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(address = %node.address(), version, "serving");
        run_node(node, signals).await
    } else {
        tracing::info!("signalled to end before it served");
        ExitCode::SUCCESS
    };
    telemetry.shut_down().await;
    Ok(code)
}

/// Keeps a node running until a signal asks it to stop or its actors give up.
pub async fn run_node(mut node: Node, signals: Signals) -> ExitCode {
    let Signals { mut terminate, mut interrupt, mut hang_up } = signals;
    let mut grace = None;
    let code = loop {
        tokio::select! {
            _ = terminate.recv() => {
                if grace.is_some() {
                    break ExitCode::SUCCESS;
                }
                let time = node.app().config().server.shutdown_grace;
                let grace_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(grace_ms, "signalled to end, not ready any more");
                node.drain();
                grace = Some(Instant::now() + time);
            }
            // Somebody waits at a terminal.
            _ = interrupt.recv() => break ExitCode::SUCCESS,
            () = end_of(grace) => break ExitCode::SUCCESS,
            _ = hang_up.recv() => reload_env_file(&node).await,
            () = node.gave_up() => {
                tracing::error!("the supervision tree gave up, draining and exiting");
                break ExitCode::FAILURE;
            }
        }
    };
    tracing::info!("shutting down, requests in flight are finished");
    tokio::select! {
        () = node.shut_down() => {}
        _ = interrupt.recv() => tracing::warn!("interrupted again, not waiting any longer"),
    }
    tracing::info!("stopped");
    code
}

/// Returns when the time is over that clients have to go elsewhere.
async fn end_of(grace: Option<Instant>) {
    match grace {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Swaps the configuration; whatever is wrong with the new one, the old one stays.
async fn reload_env_file(node: &Node) {
    match reload::reload_env_file(node.app()).await {
        Ok(notices) => {
            for notice in &notices {
                notice.log();
            }
            tracing::info!("configuration reloaded");
        }
        Err(ReloadError::Settings(errors)) => {
            for error in &errors.0 {
                tracing::error!(setting = error.variable, %error, "configuration not reloaded");
            }
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "configuration not reloaded");
        }
    }
}
