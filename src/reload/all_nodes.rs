//! Settings that hold for all nodes: changed at one of them, kept in Postgres, heard by each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Change, ChangeError, Changed, ReloadError, apply, in_force, tunable};
use crate::actors::cluster::members::assess;
use crate::app::App;
use crate::config::{Config, ConfigError, Loaded};
use crate::persistence::nodes;
use crate::persistence::overrides::{self, Overrides};
use crate::settings::Setting;

/// Wait before what could not be put in force is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Changes settings of all nodes, all or none; `None` takes an earlier change back.
///
/// Refused as a whole if this node cannot use it, or if a living node does not know a setting. In force
/// here when it returns, and everywhere else as soon as it is heard.
pub async fn change(
    app: &App,
    changes: Vec<(String, Option<String>)>,
) -> Result<Changed, ChangeError> {
    let _alone = app.reloading.lock().await;
    let before = app.config.load_full();
    let mut wanted = overrides::read(&app.pool).await.map_err(ReloadError::Overrides)?;
    let (mut known, mut refused) = (Vec::with_capacity(changes.len()), Vec::new());
    let mut rows = Vec::with_capacity(changes.len());
    for (name, value) in changes {
        match tunable(&name) {
            Ok(setting) => {
                match &value {
                    Some(value) => wanted.insert(setting.variable.to_owned(), value.clone()),
                    None => wanted.remove(setting.variable),
                };
                rows.push((setting.variable.to_owned(), value.clone()));
                known.push((setting, value));
            }
            // What another version has set can be taken back by one that does not know it.
            Err(_) if value.is_none() && wanted.remove(&name).is_some() => rows.push((name, None)),
            Err(reason) => refused.push(ConfigError { variable: name, message: reason }),
        }
    }
    refused.extend(unknown_elsewhere(app, &known).await?);
    if !refused.is_empty() {
        return Err(ChangeError::Refused(refused));
    }
    let (usable, _) = split(&wanted);
    let sources = (*before.sources).clone().with_cluster(usable);
    let Loaded { config, notices } =
        Config::from_sources(&sources).map_err(|errors| ChangeError::Refused(errors.0))?;
    overrides::change(&app.pool, &rows).await.map_err(ReloadError::Overrides)?;
    apply(app, config).await?;
    let after = app.config.load_full();
    let changes = known.into_iter().map(|(setting, _)| {
        let (old, new) = (in_force(&before, setting), in_force(&after, setting));
        let setting = setting.variable;
        tracing::info!(setting, old, new, "setting changed for all nodes by an operator");
        Change { setting, old, new }
    });
    let changes: Vec<_> = changes.collect();
    let names: Vec<_> = changes.iter().map(|change| change.setting).collect();
    let notices = notices.into_iter().filter(|notice| names.contains(&notice.variable.as_str()));
    Ok(Changed { notices: notices.collect(), changes })
}

/// What living nodes do not know of settings that are to be set.
async fn unknown_elsewhere(
    app: &App,
    wanted: &[(&'static Setting, Option<String>)],
) -> Result<Vec<ConfigError>, ReloadError> {
    let rows = nodes::list(&app.pool).await.map_err(ReloadError::Overrides)?;
    let living = assess(&rows, Duration::ZERO).into_iter().filter(|node| node.state.lives());
    let others: Vec<_> = living.filter(|node| node.row.id != app.cluster.id()).collect();
    let mut refused = Vec::new();
    for (setting, _) in wanted.iter().filter(|(_, value)| value.is_some()) {
        for node in &others {
            if !node.row.knobs.iter().any(|knob| knob == setting.variable) {
                let (name, version) = (&node.row.name, &node.row.version);
                let reason = format!("node {name} of version {version} does not know it");
                refused.push(ConfigError::about(setting.variable, reason));
            }
        }
    }
    Ok(refused)
}

/// Those that this version knows, and the names of others.
fn split(heard: &Overrides) -> (BTreeMap<&'static str, String>, Vec<&str>) {
    let (mut usable, mut unknown) = (BTreeMap::new(), Vec::new());
    for (name, value) in heard {
        match tunable(name) {
            Ok(setting) => {
                usable.insert(setting.variable, value.clone());
            }
            Err(_) => unknown.push(name.as_str()),
        }
    }
    (usable, unknown)
}

/// Puts in force what holds for all nodes, as it was heard. What this node cannot use changes nothing
/// here, and the node says so.
pub async fn follow(app: &App, heard: &Overrides) -> Result<(), ReloadError> {
    let _alone = app.reloading.lock().await;
    let before = app.config.load_full();
    let (usable, unknown) = split(heard);
    let refused =
        (!unknown.is_empty()).then(|| format!("this version does not know {}", unknown.join(", ")));
    if usable == *before.sources.cluster() {
        note_refused(app, refused);
        return Ok(());
    }
    let names: Vec<_> = before.sources.cluster().keys().chain(usable.keys()).copied().collect();
    match Config::from_sources(&(*before.sources).clone().with_cluster(usable)) {
        Ok(loaded) => apply(app, loaded.config).await?,
        Err(errors) => {
            note_refused(app, Some(errors.to_string()));
            return Ok(());
        }
    }
    note_refused(app, refused);
    let after = app.config.load_full();
    for setting in crate::config::table::all().filter(|row| names.contains(&row.variable)) {
        let (old, new) = (in_force(&before, setting), in_force(&after, setting));
        if old != new {
            let setting = setting.variable;
            tracing::info!(setting, old, new, "setting changed for all nodes");
        }
    }
    Ok(())
}

fn note_refused(app: &App, refused: Option<String>) {
    if refused != app.cluster.refused() {
        if let Some(why) = &refused {
            tracing::error!(why, "settings for all nodes do not hold here");
        }
        app.cluster.set_refused(refused);
    }
}

/// Follows what is heard, for as long as it is polled.
#[expect(clippy::disallowed_methods, reason = "a bounded wait before the next attempt")]
pub async fn keep_following(app: Arc<App>) {
    let mut heard = app.cluster.overrides();
    loop {
        loop {
            let wanted = heard.borrow_and_update().clone();
            let Err(error) = follow(&app, &wanted).await else { break };
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "settings for all nodes are not in force here yet, trying again"
            );
            tokio::time::sleep(RETRY).await;
        }
        if heard.changed().await.is_err() {
            return;
        }
    }
}
