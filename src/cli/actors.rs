//! `keywright actors`: the supervision tree of a running server, and its settings, which may also be those
//! of all nodes.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value};

use super::admin_client::AdminClient;
use super::table::{Table, seconds};
use super::terminal;
use crate::config::Provenance;
use crate::http::admin::housekeeping::HousekeepingReport;
use crate::http::admin::report::{ActorReport, Distribution, TreeReport};
use crate::http::admin::settings::{ChangedReport, RefusedReport, SettingsReport};

/// The command line.
pub fn command() -> Command {
    Command::new("actors")
        .about("Show the supervision tree of a running server, or change its limits")
        .long_about(
            "Show the supervision tree of a running server, or change its limits.\n\n\
             The server is found by AUTH_ADMIN_PORT, AUTH_ADMIN_BIND and AUTH_ADMIN_TOKEN (also by \
             flag or --env-file), or else by what `keywright dev` left in its directory.",
        )
        .args(AdminClient::arguments())
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print the JSON of GET /ops/actors"),
        )
        .arg(
            Arg::new("watch")
                .long("watch")
                .action(ArgAction::SetTrue)
                .conflicts_with("json")
                .help("Print it again every second, until Ctrl-C"),
        )
        .subcommand(Command::new("settings").about("List what can be changed, with its values"))
        .subcommand(
            Command::new("set")
                .about(
                    "Change settings of the running server: NAME=VALUE, or NAME= to take it back",
                )
                .arg(Arg::new("change").num_args(1..).required(true).value_name("NAME=VALUE"))
                .arg(
                    Arg::new("all")
                        .long("all")
                        .action(ArgAction::SetTrue)
                        .help("For all nodes on the database, also those that come later"),
                ),
        )
}

/// Does what was asked for; fails if the server refuses.
pub async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let server = AdminClient::find(matches)?;
    match matches.subcommand() {
        Some(("settings", _)) => {
            let report: SettingsReport = server.get("/ops/settings").await?;
            terminal::line(&settings_table(&report));
        }
        Some(("set", matches)) => {
            let path =
                if matches.get_flag("all") { "/ops/cluster/settings" } else { "/ops/settings" };
            let changes = matches.get_many::<String>("change").into_iter().flatten();
            let changes = changes.map(|text| parse_change(text)).collect::<Result<Vec<_>, _>>()?;
            return set(&server, path, changes).await;
        }
        _ if matches.get_flag("json") => terminal::line(server.text("/ops/actors").await?.trim()),
        _ if matches.get_flag("watch") => watch(&server).await?,
        _ => terminal::line(&tree_table(&server.get("/ops/actors").await?)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Changes settings of the server, all or none.
async fn set(
    server: &AdminClient,
    path: &str,
    wanted: Vec<(String, Value)>,
) -> anyhow::Result<ExitCode> {
    let body: Map<String, Value> = wanted.into_iter().collect();
    let request = server.request(Method::PATCH, path).json(&body);
    let (status, text) = server.send(request).await?;
    if status == StatusCode::OK {
        let changed: ChangedReport = serde_json::from_str(&text)?;
        for change in changed.changed {
            terminal::line(&format!("{}: {} -> {}", change.name, change.old, change.new));
        }
        for notice in changed.notices {
            terminal::error(&notice);
        }
        return Ok(ExitCode::SUCCESS);
    }
    match serde_json::from_str::<RefusedReport>(&text) {
        Ok(refused) => {
            for problem in refused.problems {
                terminal::error(&format!("{}: {}", problem.name, problem.reason));
            }
            terminal::error("nothing was changed");
        }
        Err(_) => terminal::error(text.trim()),
    }
    Ok(ExitCode::FAILURE)
}

fn parse_change(text: &str) -> anyhow::Result<(String, Value)> {
    let (name, value) =
        text.split_once('=').with_context(|| format!("write NAME=VALUE instead of {text}"))?;
    let value = if value.is_empty() { Value::Null } else { Value::String(value.to_owned()) };
    Ok((name.to_owned(), value))
}

async fn watch(server: &AdminClient) -> anyhow::Result<()> {
    let mut rhythm = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = rhythm.tick() => {
                let report = server.get("/ops/actors").await?;
                // Clears the screen and begins at its upper left.
                terminal::line(&format!("\x1b[2J\x1b[H{}", tree_table(&report)));
            }
        }
    }
}

fn tree_table(report: &TreeReport) -> String {
    let policy = report.root.restart_policy.as_ref();
    let mut text = format!(
        "Keywright {}, up {}, {}\n",
        report.version,
        seconds(Some(report.uptime_s)),
        if report.standing { "every vital actor runs" } else { "NOT every vital actor runs" }
    );
    if !report.degraded.is_empty() {
        let _ = writeln!(text, "degraded: {}", report.degraded.join(", "));
    }
    if let Some(policy) = policy {
        let _ = writeln!(
            text,
            "{} of {} restarts in {} before the node gives up",
            policy.restarts_in_window,
            policy.max_restarts,
            seconds(Some(policy.window_s))
        );
    }
    let head = [
        "ACTOR",
        "STATE",
        "UP",
        "RESTARTS",
        "MAILBOX",
        "IN FLIGHT",
        "REFUSED",
        "MESSAGES",
        "P50",
        "P99",
        "LAST FAILURE",
    ];
    let mut actors = vec![head.map(str::to_owned).to_vec()];
    let mut batchers = vec![
        ["LANE", "WAITING", "BATCHES", "ROWS MEAN", "ROWS P99", "TIME P50", "TIME P99"]
            .map(str::to_owned)
            .to_vec(),
    ];
    actor_rows(&report.root, 0, &mut actors, &mut batchers);
    let actors = Table { rows: actors, right: &[2, 3, 4, 5, 6, 7, 8, 9] };
    let batchers = Table { rows: batchers, right: &[1, 2, 3, 4, 5, 6] };
    let _ = write!(text, "\n{}\n{}", actors.text(), batchers.text());
    let _ = write!(text, "\n{}", house_table(&report.housekeeping));
    text.truncate(text.trim_end().len());
    text
}

fn house_table(house: &HousekeepingReport) -> String {
    let head = ["REMOVED FROM", "ROWS", "NOT LET GO", "BUSY", "WALKED", "LAST ENDED"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(house.tables.iter().map(|table| {
        vec![
            table.table.clone(),
            table.removed.to_string(),
            table.refused.to_string(),
            seconds(Some(table.busy_s)),
            table.walked.map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 100.0)),
            table.ended_at.clone().unwrap_or_default(),
        ]
    }));
    let who = if house.keeps_house { "this node keeps house" } else { "another node keeps house" };
    let vacuum = &house.vacuum;
    format!(
        "{}\n{who}; vacuums by need: {}, without effect {}, failed {}, {} in all\n",
        Table { rows, right: &[1, 2, 3, 4] }.text(),
        vacuum.done,
        vacuum.without_effect,
        vacuum.failed,
        seconds(Some(vacuum.busy_s)),
    )
}

fn actor_rows(
    actor: &ActorReport,
    depth: usize,
    actors: &mut Vec<Vec<String>>,
    batchers: &mut Vec<Vec<String>>,
) {
    let mailbox = actor.mailbox.as_ref();
    let in_flight = mailbox.map(|mailbox| match mailbox.limit {
        Some(limit) => format!("{}/{limit}", mailbox.in_flight),
        None => mailbox.in_flight.to_string(),
    });
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let handler = actor.handler_s.as_ref();
    let failure = actor.last_failure.as_ref().map(|failure| {
        let reason = failure.reason.lines().next().unwrap_or_default();
        format!("{} ago: {reason}", seconds(Some(failure.ago_s)))
    });
    actors.push(vec![
        format!("{}{}", "  ".repeat(depth), actor.name),
        actor.state.name().to_owned(),
        seconds(Some(actor.uptime_s)),
        format!("{} ({} in window)", actor.restarts, actor.restarts_in_window),
        mailbox.map_or_else(|| "-".to_owned(), |mailbox| mailbox.queued.to_string()),
        in_flight.unwrap_or_else(|| "-".to_owned()),
        number(mailbox.map(|mailbox| mailbox.refused)),
        number(handler.map(|handler| handler.count)),
        seconds(handler.and_then(|handler| handler.p50)),
        seconds(handler.and_then(|handler| handler.p99)),
        failure.unwrap_or_default(),
    ]);
    for batcher in &actor.batches {
        let rows = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |n| format!("{n:.1}"));
        let Distribution { count, mean, p99, .. } = batcher.size;
        batchers.push(vec![
            format!("{} {}", actor.path, batcher.lane),
            batcher.waiting.to_string(),
            count.to_string(),
            rows(mean),
            rows(p99),
            seconds(batcher.time_s.p50),
            seconds(batcher.time_s.p99),
        ]);
    }
    for child in &actor.children {
        actor_rows(child, depth + 1, actors, batchers);
    }
}

fn settings_table(report: &SettingsReport) -> String {
    let mut rows = vec![["SETTING", "VALUE", "FROM", "MEANING"].map(str::to_owned).to_vec()];
    rows.extend(report.settings.iter().map(|setting| {
        let source = match setting.source {
            Provenance::Node => "changed here",
            Provenance::Cluster => "for all nodes",
            Provenance::Default => "",
            other => other.name(),
        };
        vec![setting.name.clone(), setting.value.clone(), source.to_owned(), setting.help.clone()]
    }));
    Table { rows, right: &[1] }.text().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_name_and_a_value_or_nothing() {
        let change = parse_change("AUTH_SESSION_BATCH_MAX=128").unwrap();
        assert_eq!(change, ("AUTH_SESSION_BATCH_MAX".to_owned(), Value::from("128")));
        assert_eq!(parse_change("AUTH_SESSION_BATCH_MAX=").unwrap().1, Value::Null);
        assert!(parse_change("AUTH_SESSION_BATCH_MAX").is_err());
    }
}
