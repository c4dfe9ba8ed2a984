//! A Postgres of a test's own, behind a link, which stops, crashes and starts as told.

use std::path::{Path, PathBuf};
use std::process::Command;

use keywright::persistence::embedded::{EmbeddedOptions, EmbeddedPostgres};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::watch;

use uuid::Uuid;

use super::link::Link;
use super::postgres::TestDatabase;
use super::tool;

/// The one database of the cluster.
const DATABASE: &str = "endurance";

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// `pg_ctl stop -m fast`: connections are ended, everything is written.
    Fast,
    /// `pg_ctl stop -m immediate`: nothing is written, as after a crash.
    Immediate,
}

/// Commits survive crashes, as in production; the files are deleted at the end.
pub(crate) struct Cluster {
    server: Option<EmbeddedPostgres>,
    direct: watch::Sender<Option<String>>,
    link: Link,
    folder: Folder,
}

/// The cluster's folder, deleted at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("kw-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        let folder = Folder(folder);
        folder.build_disk();
        let server = launch(&folder).await;
        server.create_database(DATABASE).await.unwrap();
        let url = server.url(DATABASE);
        let link = Link::to(&url).await;
        Self { server: Some(server), direct: watch::Sender::new(Some(url)), link, folder }
    }

    /// The database as servers reach it.
    pub(crate) fn behind_link(&self) -> TestDatabase {
        TestDatabase::at(self.link.url(DATABASE), DATABASE)
    }

    /// The network between servers and Postgres.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Where no fault of the network is met; `None` while the server is away.
    pub(crate) fn direct(&self) -> watch::Receiver<Option<String>> {
        self.direct.subscribe()
    }

    /// A connection that no fault of the network meets.
    pub(crate) async fn connect(&self) -> PgConnection {
        let url = self.direct.borrow().clone().expect("it runs");
        PgConnection::connect(&url).await.unwrap()
    }

    /// Returns when it has ended.
    pub(crate) async fn stop(&mut self, end: End) {
        let server = self.server.take().expect("it runs");
        self.direct.send_replace(None);
        if end == End::Immediate {
            kill_process(postmaster_of(&server), Signal::QUIT).unwrap();
        }
        server.stop().await;
    }

    /// After [`Cluster::stop`], on the same data; new connections go there.
    pub(crate) async fn restart(&mut self) {
        let server = launch(&self.folder).await;
        let url = server.url(DATABASE);
        self.link.lead_to(&url);
        self.direct.send_replace(Some(url));
        self.server = Some(server);
    }

    /// Whether transactions may write, unless they say so themselves.
    pub(crate) async fn set_read_only(&self, is_read_only: bool) {
        let mut db = self.connect().await;
        let change =
            if is_read_only { "set default_transaction_read_only = on" } else { "reset all" };
        for statement in [
            "set default_transaction_read_only = off",
            &format!("alter system {change}"),
            "select pg_reload_conf()",
        ] {
            let statement = AssertSqlSafe(statement.to_owned());
            sqlx::raw_sql(statement).execute(&mut db).await.unwrap();
        }
        db.close().await.unwrap();
    }

    /// From now on no file of the server can grow, or all can again.
    pub(crate) fn fill_disk(&self, is_full: bool) {
        let flag = self.folder.disk_is_full();
        if is_full {
            std::fs::write(flag, "").unwrap();
        } else {
            std::fs::remove_file(flag).unwrap();
        }
    }

    /// A server that could not even write its log of transactions has ended.
    pub(crate) async fn restart_if_gone(&mut self) {
        let postmaster = postmaster_of(self.server.as_ref().expect("it ran"));
        if test_kill_process(postmaster).is_err() {
            self.stop(End::Fast).await;
            self.restart().await;
        }
    }
}

impl Folder {
    fn disk(&self) -> PathBuf {
        self.0.join("disk.so")
    }

    fn disk_is_full(&self) -> PathBuf {
        self.0.join("disk-is-full")
    }

    /// Compiles the disk that can be full, with the C compiler that Rust needs anyway.
    fn build_disk(&self) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/full_disk.c");
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&self.disk(), &source])
            .arg("-ldl")
            .status();
        assert!(built.expect("a C compiler, cc, builds the full disk").success());
    }
}

async fn launch(folder: &Folder) -> EmbeddedPostgres {
    let environment =
        [("LD_PRELOAD", folder.disk()), ("KEYWRIGHT_DISK_IS_FULL", folder.disk_is_full())];
    let environment = environment.map(|(name, path)| (name.into(), path.into())).into();
    let options = EmbeddedOptions { environment, ..EmbeddedOptions::kept(folder.0.join("pg")) };
    tool::start("PostgreSQL", || EmbeddedPostgres::start(options.clone())).await
}

fn postmaster_of(server: &EmbeddedPostgres) -> Pid {
    let file =
        std::fs::read_to_string(server.data_dir().join("postmaster.pid")).unwrap_or_default();
    let number = file.lines().next().and_then(|line| line.trim().parse().ok());
    // Nobody's: it has ended.
    Pid::from_raw(number.unwrap_or(i32::MAX)).expect("the number of a process")
}
