//! `keywright cluster`: every node on the database of a running server.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::admin_client::AdminClient;
use super::table::{Table, seconds};
use super::terminal;
use crate::http::admin::cluster::{ClusterReport, NodeReport};

/// The command line.
pub fn command() -> Command {
    Command::new("cluster")
        .about("Show every node on the database of a running server")
        .long_about(
            "Show every node on the database of a running server.\n\n\
             Any of them can be asked. It is found by AUTH_ADMIN_PORT, AUTH_ADMIN_BIND and \
             AUTH_ADMIN_TOKEN (also by flag or --env-file), or else by what `keywright dev` left in \
             its directory. Settings of all nodes: `keywright actors set --all`.",
        )
        .args(AdminClient::arguments())
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print the JSON of GET /ops/cluster"),
        )
        .arg(
            Arg::new("watch")
                .long("watch")
                .action(ArgAction::SetTrue)
                .conflicts_with("json")
                .help("Print it again every second, until Ctrl-C"),
        )
}

/// Prints the table, or keeps on printing it.
pub async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let server = AdminClient::find(matches)?;
    if matches.get_flag("json") {
        terminal::line(server.text("/ops/cluster").await?.trim());
    } else if matches.get_flag("watch") {
        let mut rhythm = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => break,
                _ = rhythm.tick() => {
                    let text = cluster_table(&server.get("/ops/cluster").await?);
                    // Clears the screen and begins at its upper left.
                    terminal::line(&format!("\x1b[2J\x1b[H{text}"));
                }
            }
        }
    } else {
        terminal::line(&cluster_table(&server.get("/ops/cluster").await?));
    }
    Ok(ExitCode::SUCCESS)
}

fn cluster_table(report: &ClusterReport) -> String {
    let head = [
        "NODE",
        "STATE",
        "VERSION",
        "UP",
        "HEARD",
        "ACTORS",
        "RESTARTS",
        "LEASE",
        "SESSIONS",
        "REFRESH/S",
        "P99",
        "HASHES",
        "POOL",
        "CLOCK",
        "ADMIN",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.nodes.iter().map(|node| node_row(node, node.id == report.node)));
    let table = Table { rows, right: &[3, 4, 6, 8, 9, 10, 11, 12, 13] };
    let living = report.nodes.iter().filter(|node| node.state.lives()).count();
    let mut text = format!("{living} of {} nodes live", report.nodes.len());
    if !report.fresh {
        text.push_str("; Postgres does not respond, this was heard before");
    }
    if let Some(mail) = report.mail_waiting {
        let _ = write!(text, "; mails that wait: {mail}");
    }
    let _ = write!(text, "\n\n{}", table.text());
    for node in &report.nodes {
        for disagreement in &node.disagrees {
            let (subject, advice) = (disagreement.subject.name(), &disagreement.advice);
            let _ = write!(text, "\n{} disagrees ({subject}): {advice}", node.name);
        }
        if !node.digest.degraded.is_empty() && node.state.lives() {
            let _ =
                write!(text, "\n{} is degraded: {}", node.name, node.digest.degraded.join(", "));
        }
    }
    for (name, value) in &report.overrides {
        let _ = write!(text, "\nfor all nodes: {name}={value}");
    }
    text.truncate(text.trim_end().len());
    // Names come from rows: none of them steers this terminal.
    text.retain(|c| c == '\n' || !c.is_control());
    text
}

fn node_row(node: &NodeReport, is_asked: bool) -> Vec<String> {
    let digest = &node.digest;
    let actors = match digest.actors_down {
        0 => digest.actors.to_string(),
        down => format!("{} ({down} down)", digest.actors),
    };
    vec![
        format!("{}{}", node.name, if is_asked { " *" } else { "" }),
        node.state.name().to_owned(),
        node.version.clone(),
        seconds(Some(node.uptime_s)),
        format!("{} ago", seconds(Some(node.last_heartbeat_s))),
        actors,
        format!("{}/{}", digest.restarts_in_window, digest.max_restarts),
        if digest.lease_held { "held" } else { "NOT held" }.to_owned(),
        digest.sessions_cached.to_string(),
        format!("{:.1}", digest.refreshes_per_s),
        seconds(digest.refresh_p99_s),
        digest.hashes_waiting.to_string(),
        format!("{}/{}", digest.pool_used, digest.pool_max),
        format!("{:+.3}s", node.clock_difference_s),
        node.admin_address.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}
