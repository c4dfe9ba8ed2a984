//! A Postgres server of our own: found on the machine, private, gone when we are gone.
//!
//! The server listens on a Unix socket in a directory that only its user can enter. A small shell
//! between us and the server waits on a pipe that we hold: when our process ends, however it ends,
//! the pipe closes and the shell shuts the server down. Both are in a process group of their own,
//! so that Ctrl-C reaches us alone and requests can be drained first.

mod cluster;
mod identity;
mod launch;
mod programs;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use self::launch::Server;

/// How to run the server.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Where the data lives; `None`: a throw-away cluster that is deleted when the server ends.
    pub data_dir: Option<PathBuf>,
    /// Whether commits survive a power failure (`fsync`); off only for throw-away clusters.
    pub durable: bool,
    /// `max_connections` of the server.
    pub max_connections: u16,
    /// The longest wait for the server to accept connections, recovery after a crash included.
    pub start_timeout: Duration,
    /// Settings of the server, over those that it would have.
    pub settings: Vec<(String, String)>,
    /// Added to the environment of the server.
    pub environment: Vec<(OsString, OsString)>,
}

impl EmbeddedOptions {
    /// A cluster to keep, in this directory.
    pub fn kept(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: Some(data_dir.into()),
            durable: true,
            max_connections: 100,
            start_timeout: Duration::from_mins(1),
            settings: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// A fast cluster that leaves nothing behind, for tests.
    pub fn throw_away() -> Self {
        Self { data_dir: None, durable: false, max_connections: 300, ..Self::kept("") }
    }
}

/// Why there is no server; one line each.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error("PostgreSQL is not installed: {}", install(None))]
    NotInstalled,
    #[error("{} holds data of PostgreSQL {wanted}, which is not installed: {}", .path.display(), install(Some(wanted)))]
    WrongVersion { path: PathBuf, wanted: String },
    #[error("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")]
    NoUser,
    #[error("another keywright already runs the database in {}", .0.display())]
    AlreadyRunning(PathBuf),
    #[error("cannot use {}: {cause}", .path.display())]
    Directory { path: PathBuf, cause: std::io::Error },
    #[error("cannot run {program}: {cause}")]
    Program { program: String, cause: std::io::Error },
    #[error("initdb failed: {0}")]
    Initdb(String),
    #[error("PostgreSQL did not start: {0}")]
    Start(String),
    #[error("PostgreSQL did not accept connections within {} s: {log}", .after.as_secs())]
    Slow { after: Duration, log: String },
    #[error("cannot create the database: {0}")]
    Database(sqlx::Error),
}

fn install(version: Option<&str>) -> String {
    match (cfg!(target_os = "macos"), version) {
        (true, version) => format!("brew install postgresql@{}", version.unwrap_or("16")),
        (false, None) => "apt-get install postgresql".to_owned(),
        (false, Some(version)) => format!("apt-get install postgresql-{version}"),
    }
}

/// A running server; shut down by `stop`, or when this is dropped or the process ends.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    server: Server,
    data_dir: PathBuf,
    moved: bool,
}

impl EmbeddedPostgres {
    /// Makes the cluster if it is new, starts the server, and waits until it accepts connections.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        tokio::task::spawn_blocking(move || Self::start_blocking(&options))
            .await
            .map_err(|gone| EmbeddedError::Start(gone.to_string()))?
    }

    /// `start` for callers without a runtime.
    pub fn start_blocking(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let cluster = cluster::prepare(options)?;
        let data_dir = cluster.data_dir.clone();
        let moved = cluster.moved;
        let server = launch::launch(cluster, options)?;
        Ok(Self { server, data_dir, moved })
    }

    /// Where the data really lives.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Whether the data had to be put elsewhere than asked, because the server's user cannot
    /// reach the place (root's home, for example).
    pub fn is_moved(&self) -> bool {
        self.moved
    }

    /// The server's log, started afresh at each start.
    pub fn log_file(&self) -> &Path {
        &self.server.log
    }

    /// A connection URL for this database, for Keywright and for psql.
    pub fn url(&self, database: &str) -> String {
        let socket = self.server.run_dir.display();
        format!("postgresql:///{database}?host={socket}&user=postgres")
    }

    /// Creates the database unless it exists.
    pub async fn create_database(&self, name: &str) -> Result<(), EmbeddedError> {
        let options =
            PgConnectOptions::new().socket(&self.server.run_dir).username("postgres").port(5432);
        let work = async {
            let mut conn = options.database("postgres").connect().await?;
            let exists: bool =
                sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                    .bind(name)
                    .fetch_one(&mut conn)
                    .await?;
            if !exists {
                let quoted = name.replace('"', "\"\"");
                sqlx::query(AssertSqlSafe(format!("create database \"{quoted}\"")))
                    .execute(&mut conn)
                    .await?;
            }
            conn.close().await
        };
        work.await.map_err(EmbeddedError::Database)
    }

    /// Fast shutdown: ends sessions, writes a checkpoint, waits for the end.
    pub async fn stop(mut self) {
        // An abandoned wait still ends in `drop`, which closes the pipe.
        let _ = tokio::task::spawn_blocking(move || self.server.stop()).await;
    }
}
