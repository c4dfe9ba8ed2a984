//! `GET /ops/cluster`: every node at a glance; `GET /ops/history`: the last minutes of this one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::Admin;
use crate::actors::cluster::digest::{Digest, Fingerprints};
use crate::actors::cluster::members::{Member, NodeState, Subject, assess};
use crate::domain::error::AuthError;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};
use crate::persistence::time_limit::in_time;
use crate::persistence::{nodes, outbox, overrides};

/// Longest wait for Postgres; without it, what was heard last is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// All nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterReport {
    /// The node that tells this.
    pub node: Uuid,
    /// Whether Postgres was asked just now; if not, this is what was heard last.
    pub fresh: bool,
    /// Mail that waits, of all nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_waiting: Option<i64>,
    /// Settings that hold for all nodes.
    pub overrides: BTreeMap<String, String>,
    pub nodes: Vec<NodeReport>,
}

/// One node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeReport {
    pub id: Uuid,
    pub name: String,
    pub version: String,
    pub state: NodeState,
    /// RFC 3339.
    pub started_at: String,
    /// Up to its last heartbeat.
    pub uptime_s: f64,
    pub last_heartbeat_s: f64,
    pub address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_address: Option<String>,
    /// How far its clock is ahead of that of Postgres.
    pub clock_difference_s: f64,
    /// In what it differs from the others.
    pub disagrees: Vec<Disagreement>,
    pub fingerprints: Fingerprints,
    pub digest: Digest,
}

/// Something that all nodes must agree on, and one does not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Disagreement {
    pub subject: Subject,
    pub advice: String,
}

/// Everybody.
pub async fn get(admin: Arc<Admin>, _request: ApiRequest) -> HandlerResult {
    let app = &admin.app;
    let asked = in_time(PATIENCE, async {
        let nodes = nodes::list(&app.pool).await?;
        let overrides = overrides::read(&app.pool).await?;
        Ok((nodes, overrides, outbox::backlog(&app.pool, app.clock.now()).await?))
    });
    let report = match asked.await {
        Ok((nodes, overrides, backlog)) => ClusterReport {
            node: app.cluster.id(),
            fresh: true,
            mail_waiting: Some(backlog.messages),
            overrides,
            nodes: assess(&nodes, Duration::ZERO).iter().map(NodeReport::of).collect(),
        },
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "nodes not read");
            ClusterReport {
                node: app.cluster.id(),
                fresh: false,
                mail_waiting: None,
                overrides: app.cluster.overrides().borrow().clone(),
                nodes: app.cluster.members().iter().map(NodeReport::of).collect(),
            }
        }
    };
    ApiResponse::json(&report)
}

/// The samples after `since`, in seconds since 1970.
pub async fn history(admin: Arc<Admin>, request: ApiRequest) -> HandlerResult {
    ApiResponse::json(&admin.app.cluster.history().after(since(&request)?))
}

/// From when on samples are wanted; all of them if nothing is said.
pub(super) fn since(request: &ApiRequest) -> Result<i64, AuthError> {
    let Some(query) = request.query().filter(|query| !query.is_empty()) else { return Ok(0) };
    let since = query.strip_prefix("since=").and_then(|text| text.parse().ok());
    since.ok_or_else(|| AuthError::InvalidRequest("since: write seconds since 1970".to_owned()))
}

impl NodeReport {
    fn of(member: &Member) -> Self {
        let row = &member.row;
        let address = |host: &str, port: i32| {
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        let admin = row.admin_host.as_deref().zip(row.admin_port);
        let disagreement = |subject: &Subject| {
            let why = match subject {
                Subject::Settings => member.digest.settings_refused.as_deref(),
                _ => None,
            };
            let advice = why.unwrap_or_else(|| subject.advice()).to_owned();
            Disagreement { subject: *subject, advice }
        };
        Self {
            id: row.id,
            name: row.name.clone(),
            version: row.version.clone(),
            state: member.state,
            started_at: row.started_at.0.format(&Rfc3339).unwrap_or_default(),
            uptime_s: row.uptime_s,
            last_heartbeat_s: member.silent_s,
            address: address(&row.host, row.port),
            admin_address: admin.map(|(host, port)| address(host, port)),
            clock_difference_s: seconds(row.clock_ms),
            disagrees: member.disagrees.iter().map(disagreement).collect(),
            fingerprints: member.fingerprints.clone(),
            digest: member.digest.clone(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}
