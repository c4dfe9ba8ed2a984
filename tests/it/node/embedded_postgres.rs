//! The launcher: starts, stops, keeps data, and leaves no server behind a killed process.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keywright::persistence::embedded::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

/// Set for the child process of the test that kills it: where to report the server.
const CHILD: &str = "KEYWRIGHT_TEST_EMBEDDED_CHILD";

fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("kw-embedded-{}", Uuid::new_v4().simple()))
}

fn quick(data_dir: PathBuf) -> EmbeddedOptions {
    EmbeddedOptions { durable: false, ..EmbeddedOptions::kept(data_dir) }
}

#[tokio::test]
async fn a_second_start_finds_the_data_of_the_first() {
    let home = temporary();
    let options = quick(home.join("postgres"));
    let first = EmbeddedPostgres::start(options.clone()).await.unwrap();
    first.create_database("app").await.unwrap();
    first.create_database("app").await.unwrap();
    let mut conn = PgConnection::connect(&first.url("app")).await.unwrap();
    sqlx::raw_sql("create table t (v text); insert into t values ('kept')")
        .execute(&mut conn)
        .await
        .unwrap();

    let busy = EmbeddedPostgres::start(options.clone()).await.unwrap_err();
    assert!(matches!(busy, EmbeddedError::AlreadyRunning(_)), "{busy}");
    assert!(busy.to_string().contains("another keywright already runs"), "{busy}");

    let socket_dir = socket_dir(&first.url("app"));
    first.stop().await;
    assert!(!socket_dir.exists());

    let second = EmbeddedPostgres::start(options).await.unwrap();
    let mut conn = PgConnection::connect(&second.url("app")).await.unwrap();
    let value: String = sqlx::query_scalar("select v from t").fetch_one(&mut conn).await.unwrap();
    assert_eq!(value, "kept");
    second.stop().await;
    std::fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn a_throw_away_cluster_leaves_nothing() {
    let server = EmbeddedPostgres::start(EmbeddedOptions::throw_away()).await.unwrap();
    let data_dir = server.data_dir().to_owned();
    let mut conn = PgConnection::connect(&server.url("postgres")).await.unwrap();
    let pid = server_pid(&mut conn).await;
    assert!(data_dir.exists());
    drop(server);
    eventually("the server to end", || !is_alive(pid) && !data_dir.exists());
}

/// Not a test by itself: the process that the next test kills.
#[tokio::test]
async fn child_of_the_kill_test() {
    let Some(report) = std::env::var_os(CHILD) else { return };
    let report = PathBuf::from(report);
    let server = EmbeddedPostgres::start(quick(report.with_extension("d"))).await.unwrap();
    let mut conn = PgConnection::connect(&server.url("postgres")).await.unwrap();
    let pid = server_pid(&mut conn).await;
    let unfinished = report.with_extension("tmp");
    std::fs::write(&unfinished, format!("{pid}\n{}", server.url("postgres"))).unwrap();
    std::fs::rename(&unfinished, &report).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_process_leaves_no_server_and_the_next_start_works() {
    let report = temporary();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "node::embedded_postgres::child_of_the_kill_test"])
        .env(CHILD, &report)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the child's server", || report.exists());
    let text = std::fs::read_to_string(&report).unwrap();
    let (pid, url) = text.split_once('\n').unwrap();
    let (pid, socket_dir) = (pid.parse().unwrap(), socket_dir(url));
    assert!(is_alive(pid));
    child.kill().unwrap();
    child.wait().unwrap();

    let next = EmbeddedPostgres::start(quick(report.with_extension("d"))).await.unwrap();
    eventually("the first server to end", || !is_alive(pid) && !socket_dir.exists());
    next.stop().await;
    std::fs::remove_dir_all(report.with_extension("d")).unwrap();
    for name in ["d.lock", "d.log"] {
        std::fs::remove_file(report.with_extension(name)).unwrap();
    }
    std::fs::remove_file(report).unwrap();
}

async fn server_pid(conn: &mut PgConnection) -> i32 {
    let text: String =
        sqlx::query_scalar("select pg_read_file('postmaster.pid')").fetch_one(conn).await.unwrap();
    text.lines().next().unwrap().trim().parse().unwrap()
}

fn socket_dir(url: &str) -> PathBuf {
    let (_, rest) = url.split_once("host=").unwrap();
    PathBuf::from(rest.split('&').next().unwrap())
}

fn is_alive(pid: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

#[expect(clippy::disallowed_methods, reason = "other processes tell nobody when they end")]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
