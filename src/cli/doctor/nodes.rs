//! Whether this configuration agrees with the nodes that live on the database, and whether they agree
//! with each other.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{AdminClient, Check, State, add};
use crate::actors::cluster::digest::{Fingerprinter, Fingerprints};
use crate::actors::cluster::members::{Member, NodeState, assess};
use crate::actors::signing_keys::{self, SigningKeys};
use crate::config::{Config, Provenance, StorageCompatibility, table};
use crate::http::admin::settings::SettingsReport;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::nodes::{self, NodeRow};
use crate::persistence::settings::{self, StoredKey};
use crate::persistence::stored_time::StoredTime;
use crate::persistence::{migrate, overrides};
use crate::sealing::Sealer;
use crate::tokens::chain::RotationKey;
use crate::tokens::key_ring::ConfiguredKey;

/// Compares this configuration with the others, as if a node started with it now.
pub(super) async fn check(
    checks: &mut Vec<Check>,
    config: &Config,
    pool: &MeasuredPool,
    storage: StorageCompatibility,
) -> sqlx::Result<()> {
    let mut rows = nodes::list(pool).await?;
    let living = assess(&rows, Duration::ZERO).iter().filter(|node| node.state.lives()).count();
    let Some(fingerprints) = fingerprints(config, pool, storage).await? else { return Ok(()) };
    let candidate = candidate(config, fingerprints);
    let candidate_id = candidate.id;
    rows.push(candidate);
    let members = assess(&rows, Duration::ZERO);
    add(checks, "nodes", State::Ok, format!("{living} live on this database"));
    for member in &members {
        report(checks, member, member.row.id == candidate_id);
    }
    for (name, value) in overrides::read(pool).await? {
        add(checks, "settings", State::Ok, format!("{name}={value} for all nodes"));
    }
    Ok(())
}

fn report(checks: &mut Vec<Check>, member: &Member, is_candidate: bool) {
    let who = if is_candidate {
        "a node of this configuration".to_owned()
    } else {
        format!("node {}", member.row.name)
    };
    for subject in &member.disagrees {
        let detail = format!("{who} disagrees ({}): {}", subject.name(), subject.advice());
        add(checks, "nodes", State::Failed, detail);
    }
    if member.state == NodeState::Gone {
        let detail = format!("{who} is silent for {:.0} s and has not said why", member.silent_s);
        add(checks, "nodes", State::Warning, detail);
    }
}

/// What a node with this configuration would say of its secrets; `None` before the first one has.
async fn fingerprints(
    config: &Config,
    pool: &MeasuredPool,
    storage: StorageCompatibility,
) -> sqlx::Result<Option<Fingerprints>> {
    let Some(key) = settings::find_key(pool, StoredKey::Fingerprints).await? else {
        return Ok(None);
    };
    let rotation = match &config.tokens.refresh_key {
        Some(material) => Some(RotationKey::derive(material.expose_secret().as_bytes())),
        None => settings::find_key(pool, StoredKey::Rotation)
            .await?
            .map(|key| RotationKey::from_bytes(key.expose_secret())),
    };
    let stored = settings::find_key(pool, StoredKey::Sealing).await?;
    let stored = stored.as_ref().map(ExposeSecret::expose_secret);
    let sealer = Sealer::new(config.sealing.key.as_ref(), stored).ok();
    let configured = ConfiguredKey::from_secret(&config.tokens.jwt_secret).ok();
    let Some(((rotation, sealer), configured)) = rotation.zip(sealer).zip(configured) else {
        return Ok(None);
    };
    let sealer = Arc::new(sealer);
    let loaded = signing_keys::load(pool, &sealer).await?;
    let keys = SigningKeys::new(configured, loaded, Arc::clone(&sealer));
    let by = Fingerprinter::new(&key);
    let in_force = keys.in_force.load();
    Ok(Some(by.all(&in_force, &rotation, &sealer, storage, migrate::newest())))
}

fn candidate(config: &Config, fingerprints: Fingerprints) -> NodeRow {
    NodeRow {
        id: Uuid::new_v4(),
        name: config.server.node_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Younger than all others, who are right if there are as many of them.
        started_at: StoredTime(OffsetDateTime::UNIX_EPOCH + time::Duration::days(365 * 1_000)),
        uptime_s: 0.0,
        silent_s: 0.0,
        is_stopped: false,
        host: config.server.listen.ip().to_string(),
        port: i32::from(config.server.listen.port()),
        admin_host: None,
        admin_port: None,
        // Has a check of its own.
        clock_ms: 0,
        fingerprints: serde_json::to_value(fingerprints).unwrap_or_default(),
        knobs: Vec::new(),
        digest: serde_json::Value::Null,
    }
}

/// What was set in the server that runs here, until its process ends.
pub(super) async fn report_changed_here(checks: &mut Vec<Check>, server: &AdminClient) {
    let Ok(report) = server.get::<SettingsReport>("/ops/settings").await else { return };
    for setting in report.settings.iter().filter(|one| one.source == Provenance::Node) {
        let detail = format!("{}={} at the node that runs here", setting.name, setting.value);
        add(checks, "settings", State::Ok, detail);
    }
}

/// Says where the values come from that are no defaults: names only, since some are secrets.
pub(super) fn report_sources(checks: &mut Vec<Check>, config: &Config) {
    for source in [Provenance::Flag, Provenance::Environment, Provenance::File] {
        let names: Vec<_> = table::all()
            .filter(|setting| config.sources.provenance(setting) == source)
            .map(|setting| setting.variable)
            .collect();
        if !names.is_empty() {
            let from = match source {
                Provenance::File => "the env file",
                Provenance::Flag => "flags",
                _ => "the environment",
            };
            add(checks, "settings", State::Ok, format!("from {from}: {}", names.join(", ")));
        }
    }
}
