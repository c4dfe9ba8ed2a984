//! `GET|PATCH /ops/settings`: what can be changed while the server runs; and `PATCH
//! /ops/cluster/settings`: the same for all nodes.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Admin;
use crate::config::{Provenance, table};
use crate::domain::error::AuthError;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse, read_json};
use crate::reload::{self, ChangeError, Changed, all_nodes};

/// One setting that can be changed here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SettingReport {
    pub name: String,
    /// The value in force.
    pub value: String,
    pub default: String,
    /// Where the value comes from.
    #[serde(default = "default_source")]
    pub source: Provenance,
    /// Whether it was set here; it is forgotten at the end of the process.
    pub overridden: bool,
    /// What was set here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What was set for all nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub help: String,
}

/// Of a version that does not tell.
const fn default_source() -> Provenance {
    Provenance::Default
}

/// All of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SettingsReport {
    pub settings: Vec<SettingReport>,
}

/// One change that is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangeReport {
    pub name: String,
    pub old: String,
    pub new: String,
}

/// What came of a change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangedReport {
    pub changed: Vec<ChangeReport>,
    /// What the configuration as a whole has to say about it.
    pub notices: Vec<String>,
}

/// Why nothing was changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefusedReport {
    pub error: String,
    pub message: String,
    pub status: u16,
    pub problems: Vec<Problem>,
}

/// What is wrong with one setting.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    pub name: String,
    pub reason: String,
}

/// The settings that can be changed here, with their values in force.
pub async fn get(admin: Arc<Admin>, _request: ApiRequest) -> HandlerResult {
    ApiResponse::json(&SettingsReport::of(&admin))
}

impl SettingsReport {
    /// As of now.
    pub fn of(admin: &Admin) -> Self {
        let config = admin.app.config.load_full();
        let tunable = table::all().filter(|setting| setting.is_tunable());
        let settings = tunable.map(|setting| SettingReport {
            name: setting.variable.to_owned(),
            value: reload::in_force(&config, setting),
            default: setting.default.to_owned(),
            source: config.sources.provenance(setting),
            overridden: config.sources.is_overridden(setting),
            node: config.sources.overridden(setting).map(str::to_owned),
            cluster: config.sources.cluster().get(setting.variable).cloned(),
            help: setting.help.to_owned(),
        });
        Self { settings: settings.collect() }
    }
}

/// Changes all settings of the body, or none: `{"AUTH_SESSION_BATCH_MAX": 128}`. `null` takes an
/// earlier change back.
pub async fn patch(admin: Arc<Admin>, request: ApiRequest) -> HandlerResult {
    let wanted = wanted(&request)?;
    respond(reload::change(&admin.app, wanted).await)
}

/// The same for all nodes.
pub async fn patch_all(admin: Arc<Admin>, request: ApiRequest) -> HandlerResult {
    let wanted = wanted(&request)?;
    respond(all_nodes::change(&admin.app, wanted).await)
}

fn wanted(request: &ApiRequest) -> Result<Vec<(String, Option<String>)>, AuthError> {
    let body: Map<String, Value> = read_json(request)?;
    let mut wanted = Vec::with_capacity(body.len());
    for (name, value) in body {
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Array(_) | Value::Object(_) => {
                let reason = "the value must be a number, a string or null";
                return Err(AuthError::InvalidRequest(format!("{name}: {reason}")));
            }
        };
        wanted.push((name, text));
    }
    Ok(wanted)
}

fn respond(outcome: Result<Changed, ChangeError>) -> HandlerResult {
    match outcome {
        Ok(done) => {
            for notice in &done.notices {
                notice.log();
            }
            let changed = done.changes.into_iter().map(|change| ChangeReport {
                name: change.setting.to_owned(),
                old: change.old,
                new: change.new,
            });
            ApiResponse::json(&ChangedReport {
                changed: changed.collect(),
                notices: done.notices.iter().map(ToString::to_string).collect(),
            })
        }
        Err(ChangeError::Refused(errors)) => {
            let problems = errors
                .into_iter()
                .map(|error| Problem { name: error.variable, reason: error.message });
            let report = RefusedReport {
                error: "invalid-settings".to_owned(),
                message: "Nothing was changed".to_owned(),
                status: 400,
                problems: problems.collect(),
            };
            Ok(ApiResponse::json(&report)?.with_status(StatusCode::BAD_REQUEST))
        }
        Err(ChangeError::Reload(error)) => {
            Err(AuthError::internal("the configuration was not changed", error))
        }
    }
}
