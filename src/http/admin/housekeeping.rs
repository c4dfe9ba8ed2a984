//! The housekeeping as the admin listener shows it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::App;
use crate::metrics::{HousekeepingStats, TableStats};

/// What is over and goes away, on this node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HousekeepingReport {
    /// Whether this is the node that does it for all.
    pub keeps_house: bool,
    pub tables: Vec<TableReport>,
    pub vacuum: VacuumReport,
}

/// One table; counts are of this node, since its process started.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableReport {
    pub table: String,
    pub removed: u64,
    /// Rows that Postgres did not let go.
    pub refused: u64,
    /// Time in which there was a statement under way.
    pub busy_s: f64,
    /// The share of the table that a walk has behind it, if one is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walked: Option<f64>,
    /// When a sweep went through the whole table last, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

/// Vacuums of the table of sessions, by need.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VacuumReport {
    pub done: u64,
    /// Somebody still sees the dead rows, or vacuums already.
    pub without_effect: u64,
    pub failed: u64,
    pub busy_s: f64,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

impl HousekeepingReport {
    /// As of now.
    pub fn of(app: &App) -> Self {
        let stats: &HousekeepingStats = app.actors.housekeeping.metrics();
        let vacuum = &stats.vacuum;
        Self {
            keeps_house: stats.keeps_house(),
            tables: stats.tables().map(TableReport::of).collect(),
            vacuum: VacuumReport {
                done: vacuum.done.get(),
                without_effect: vacuum.without_effect.get(),
                failed: vacuum.failed.get(),
                busy_s: vacuum.busy.get().as_secs_f64(),
                ended_at: vacuum.ended.get().map(text),
            },
        }
    }
}

impl TableReport {
    fn of(stats: &TableStats) -> Self {
        Self {
            table: stats.name.to_owned(),
            removed: stats.removed.get(),
            refused: stats.refused.get(),
            busy_s: stats.busy().as_secs_f64(),
            walked: stats.walked(),
            ended_at: stats.ended().map(text),
        }
    }
}

fn text(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
