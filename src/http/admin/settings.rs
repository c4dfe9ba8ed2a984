//! `GET|PATCH /ops/settings`: what can be changed while the server runs.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Admin;
use crate::config::table;
use crate::domain::error::AuthError;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse, read_json};
use crate::reload::{self, ChangeError};

/// One setting that can be changed here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SettingReport {
    pub name: String,
    /// The value in force.
    pub value: String,
    pub default: String,
    /// Whether it was set here; it is forgotten at the end of the process.
    pub overridden: bool,
    pub help: String,
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
    let config = admin.app.config.load_full();
    let tunable = table::all().filter(|setting| setting.is_tunable());
    let settings = tunable.map(|setting| SettingReport {
        name: setting.variable.to_owned(),
        value: reload::in_force(&config, setting),
        default: setting.default.to_owned(),
        overridden: config.sources.is_overridden(setting),
        help: setting.help.to_owned(),
    });
    ApiResponse::json(&SettingsReport { settings: settings.collect() })
}

/// Changes all settings of the body, or none: `{"AUTH_SESSION_BATCH_MAX": 128}`. `null` takes an
/// earlier change back.
pub async fn patch(admin: Arc<Admin>, request: ApiRequest) -> HandlerResult {
    let body: Map<String, Value> = read_json(&request)?;
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
    match reload::change(&admin.app, wanted).await {
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
