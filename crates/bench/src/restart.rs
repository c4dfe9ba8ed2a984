//! Waits until somebody has restarted the servers under measurement.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Client, pause};
use crate::control::Control;
use crate::target::Target;
use crate::wire::Failure;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest wait for one look's response.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// Any path that costs little; what is said there does not matter.
const PATH: &str = "/healthz";

/// Each of these goes away, and answers again.
pub async fn wait_for_restarts(
    targets: &[Arc<Target>],
    longest: Duration,
    control: &Control,
) -> anyhow::Result<()> {
    let mut waiting = JoinSet::new();
    for target in targets {
        waiting.spawn(wait_for_restart(Arc::clone(target), longest, control.clone()));
    }
    while let Some(seen) = waiting.join_next().await {
        seen.context("a task that waited for a restart")??;
    }
    Ok(())
}

async fn wait_for_restart(
    target: Arc<Target>,
    longest: Duration,
    control: Control,
) -> anyhow::Result<()> {
    let (url, seconds) = (target.url.clone(), longest.as_secs());
    let end = Instant::now() + longest;
    let mut client = Client::new(target, LOOK_TIMEOUT);
    let answers = client.get(PATH).await;
    ensure!(!is_away(&answers), "{url} was expected to run until it is restarted");
    (control.note)(&format!("restart {url} now: waiting up to {seconds} s for that"));
    // The connection is kept, so a restart is seen however short it is.
    while !is_away(&client.get(PATH).await) {
        ensure!(Instant::now() < end, "{url} was not restarted within {seconds} s");
        control.go_on()?;
        pause(LOOK_EVERY).await;
    }
    (control.note)(&format!("{url} is away: waiting until it answers again"));
    while !client.get(PATH).await.is_ok_and(|status| !status.is_server_error()) {
        ensure!(Instant::now() < end, "{url} did not come back within {seconds} s");
        control.go_on()?;
        pause(LOOK_EVERY).await;
    }
    (control.note)(&format!("{url} answers again"));
    Ok(())
}

/// Slow is not away.
const fn is_away<T>(looked: &Result<T, Failure>) -> bool {
    matches!(looked, Err(Failure::Connect | Failure::Connection))
}
