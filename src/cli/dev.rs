//! `keywright dev`: everything that a developer needs, from nothing.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::admin_client::DEV_FILE;
use super::signals::Signals;
use super::{serve, terminal};
use crate::config::{Config, MailTransport, Sources, rows};
use crate::domain::clock::Clock;
use crate::node::Node;
use crate::persistence::embedded::{EmbeddedOptions, EmbeddedPostgres};
use crate::telemetry;

const DATABASE: &str = "keywright";

/// Serves with a Postgres of its own until Ctrl-C; a second start finds its data again.
pub async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let dir = matches.get_one::<String>("dir").map_or(".keywright", String::as_str);
    fs::create_dir_all(dir).with_context(|| format!("cannot make {dir} (see --dir)"))?;
    let dir = fs::canonicalize(dir).with_context(|| format!("cannot use {dir} (see --dir)"))?;

    terminal::line("starting Postgres ...");
    let postgres = EmbeddedPostgres::start(EmbeddedOptions::kept(dir.join("postgres"))).await?;
    postgres.create_database(DATABASE).await?;

    let sources = Sources::from_process(matches)?
        .with_fallback(&rows::database::POSTGRES_CONNECTION, postgres.url(DATABASE))
        .with_fallback(&rows::tokens::HASURA_GRAPHQL_JWT_SECRET, jwt_secret(&dir)?)
        .with_fallback(&rows::server::CLIENT_URL, "http://localhost:3000")
        .with_fallback(&rows::mail::SMTP_SENDER, "Keywright <no-reply@localhost>")
        .with_fallback(&rows::sms::SMS_PROVIDER, "dev")
        .with_fallback(&rows::server::LOG_FORMAT_TEXT, "true")
        .with_fallback(&rows::server::DEV_ROUTES, "true")
        .with_fallback(&rows::admin::ADMIN_PORT, "0")
        .with_fallback(&rows::admin::ADMIN_TOKEN, secret(&dir.join("admin-token"), random_token)?);
    let mut loaded = Config::from_sources(&sources)?;
    if loaded.config.server.server_url.is_none() {
        let port = loaded.config.server.listen.port();
        let prefix = &loaded.config.server.api_prefix;
        let url = format!("http://localhost:{port}{prefix}");
        loaded = Config::from_sources(&sources.with_fallback(&rows::server::SERVER_URL, url))?;
    }
    let mut config = loaded.config;
    let inbox = dir.join("inbox");
    if matches!(config.mail.transport, MailTransport::None) {
        config.mail.transport = MailTransport::Capture { folder: inbox.clone() };
    }
    let telemetry = telemetry::init(&config.log, &config.traces)?;
    for notice in loaded.notices.iter().filter(|notice| !is_solved_here(&notice.variable)) {
        notice.log();
    }
    let mut signals = Signals::listen()?;
    let mut code = ExitCode::SUCCESS;
    let starting = Box::pin(Node::start(config, Clock::system()));
    if let Some(node) = signals.unless_ended(starting).await {
        let node = node?;
        let admin = keep_admin(&node, &dir)?;
        print_summary(&node, &postgres, &dir);
        code = serve::run_node(node, signals).await;
        if let Some(file) = admin {
            // The next server has another port.
            let _ = fs::remove_file(file);
        }
    }
    postgres.stop().await;
    telemetry.shut_down().await;
    Ok(code)
}

/// Notices about what a development server provides itself.
fn is_solved_here(variable: &str) -> bool {
    variable == rows::accounts::EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED.variable
        || variable == rows::server::SERVER_URL.variable
}

/// The signing secret of this development server, made at the first start.
fn jwt_secret(dir: &Path) -> anyhow::Result<String> {
    secret(&secret_path(dir), || format!(r#"{{"type":"HS256","key":"{}"}}"#, random_token()))
}

/// The text of a file that is for nobody else, made at the first start.
fn secret(path: &Path, make: impl Fn() -> String) -> anyhow::Result<String> {
    if let Ok(text) = fs::read_to_string(path) {
        return Ok(text.trim().to_owned());
    }
    let text = make();
    write_private(path, &format!("{text}\n"))?;
    Ok(text)
}

fn random_token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Writes how `keywright actors` reaches this server.
fn keep_admin(node: &Node, dir: &Path) -> anyhow::Result<Option<PathBuf>> {
    let config = node.app().config();
    let (Some(address), Some(token)) = (node.admin_address(), &config.admin.token) else {
        return Ok(None);
    };
    let path = dir.join(DEV_FILE);
    let (bind, port, token) = (address.ip(), address.port(), token.expose_secret());
    write_private(
        &path,
        &format!(
            "{}={bind}\n{}={port}\n{}={token}\n",
            rows::admin::ADMIN_BIND.variable,
            rows::admin::ADMIN_PORT.variable,
            rows::admin::ADMIN_TOKEN.variable,
        ),
    )?;
    Ok(Some(path))
}

fn print_summary(node: &Node, postgres: &EmbeddedPostgres, dir: &Path) {
    let config = node.app().config();
    let origin = format!("http://localhost:{}", node.address().port());
    let prefix = &config.server.api_prefix;
    let mail = match &config.mail.transport {
        MailTransport::Capture { .. } if config.server.dev_routes => {
            format!("{origin}/dev/inbox (captured, nothing is sent)")
        }
        MailTransport::Capture { folder } => {
            format!("captured in {}, nothing is sent", folder.display())
        }
        MailTransport::Smtp(smtp) => format!("sent through {}:{}", smtp.host, smtp.port),
        MailTransport::Postmark(_) => "sent through Postmark".to_owned(),
        MailTransport::None => "none".to_owned(),
    };
    let moved = if postgres.is_moved() { " (moved there: its user cannot enter here)" } else { "" };
    let admin = match node.admin_address() {
        Some(address) => {
            format!(
                "http://{address}/ops (token in {}), or: keywright actors",
                dir.join(DEV_FILE).display()
            )
        }
        None => "off".to_owned(),
    };
    let rows: [(&str, String); 7] = [
        ("server", format!("{origin}{prefix}")),
        ("operators", admin),
        ("mail", mail),
        ("database", postgres.url(DATABASE)),
        ("data", format!("{}{moved}", postgres.data_dir().display())),
        ("Postgres log", postgres.log_file().display().to_string()),
        ("signing key", secret_path(dir).display().to_string()),
    ];
    let mut text = String::from("\nKeywright is running. Ctrl-C stops it; the data stays.\n\n");
    for (name, value) in rows {
        text.extend(["  ", &format!("{name:<13}"), " ", &value, "\n"]);
    }
    terminal::line(&text);
}

fn secret_path(dir: &Path) -> PathBuf {
    dir.join("jwt-secret.json")
}
