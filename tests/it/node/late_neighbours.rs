//! Neighbours that come up after the server, or never.

use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keywright::hasura::background::Progress;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::support::app::TestApp;
use crate::support::link;
use crate::support::postgres::TestDatabase;
use crate::support::process::{ServerProcess, serve};
use crate::support::smtp::eventually;
use crate::support::tls_proxy::TlsProxy;

const WAITING: &str = "Postgres is not up yet, waiting for it";

/// As a server is by default.
const PATIENT: &[(&str, &str)] = &[("AUTH_POSTGRES_START_TIMEOUT", "60s")];

/// A Postgres that is not up yet: it closes the first connection, says that it is starting to the second,
/// and leads the others to a database. With `forever`, it says that to all.
struct Starting {
    url: String,
    _tasks: JoinSet<()>,
}

impl Starting {
    async fn before(database: &TestDatabase, code: &'static str, forever: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream: PgConnectOptions = database.url().parse().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0_u32.. {
                let (client, _) = listener.accept().await.unwrap();
                if number == 0 && !forever {
                    continue;
                }
                let upstream = upstream.clone();
                connections.spawn(async move {
                    if number == 1 || forever {
                        refuse(client, code).await;
                    } else {
                        let mut client = client;
                        let mut server = link::connect(&upstream).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        let url = format!("postgres://postgres@{address}/{}?sslmode=disable", database.name());
        Self { url, _tasks: tasks }
    }
}

/// Reads the start-up message and responds with an error.
async fn refuse(mut client: TcpStream, code: &str) {
    let length = client.read_u32().await.unwrap();
    let mut rest = vec![0; length as usize - 4];
    client.read_exact(&mut rest).await.unwrap();
    let fields = format!("SFATAL\0VFATAL\0C{code}\0Mnot for you\0\0");
    let mut message = vec![b'E'];
    message.extend_from_slice(&u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
    message.extend_from_slice(fields.as_bytes());
    let _ = client.write_all(&message).await;
}

/// Runs a server that does not come to serving.
async fn run(url: &str, more: &[(&str, &str)]) -> (Output, String) {
    let database = TestDatabase::at(url.to_owned(), "none");
    let mut command = serve(&database, more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(30), command.output());
    let output = output.await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

#[tokio::test]
async fn a_postgres_that_is_not_up_yet_is_waited_for_with_one_line() {
    let database = TestDatabase::new().await;
    let starting = Starting::before(&database, "57P03", false).await;
    let late = TestDatabase::at(starting.url.clone(), database.name());
    let mut command: Command = serve(&late, PATIENT);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut waited = 0;
    loop {
        let line = lines.next_line().await.unwrap().expect("it serves in the end");
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        waited += usize::from(entry["msg"] == WAITING);
        if entry["msg"] == "serving" {
            break;
        }
    }
    assert_eq!(waited, 1);
}

#[tokio::test]
async fn what_waiting_cannot_mend_stops_the_start_at_once() {
    let database = TestDatabase::new().await;
    for code in ["28P01", "3D000", "28000"] {
        let refusing = Starting::before(&database, code, true).await;
        let began = Instant::now();
        let (output, said) = run(&refusing.url, PATIENT).await;
        assert_eq!(output.status.code(), Some(1), "{code}: {said}");
        assert!(began.elapsed() < Duration::from_secs(20), "{code}: {:?}", began.elapsed());
        assert_eq!(said.matches("not for you").count(), 1, "{code}: {said}");
        assert!(said.contains("POSTGRES_CONNECTION"), "{said}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains(WAITING), "{code}");
    }
}

#[tokio::test]
async fn a_postgres_that_stays_away_is_given_up() {
    let nowhere = std::env::temp_dir().join("kw-no-such-folder");
    let url = format!("postgres:///db?host={}&user=postgres", nowhere.display());
    let (output, said) = run(&url, &[("AUTH_POSTGRES_START_TIMEOUT", "300ms")]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches(WAITING).count(), 1);
}

/// A Hasura that cannot serve until it has read our keys, say.
struct LateHasura {
    url: String,
    is_up: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl LateHasura {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/graphql", listener.local_addr().unwrap());
        let is_up = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&is_up);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 8 * 1024];
                let _ = stream.read(&mut request).await;
                let status = if shared.load(Ordering::SeqCst) { "200 OK" } else { "503 Not Yet" };
                let response = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
                );
                let _ = stream.write_all(response.as_bytes()).await;
            }
        });
        Self { url, is_up, _tasks: tasks }
    }
}

#[tokio::test]
async fn a_server_serves_without_hasura_and_tells_it_the_metadata_later() {
    let hasura = LateHasura::start().await;
    let admin = [
        ("HASURA_GRAPHQL_GRAPHQL_URL", hasura.url.as_str()),
        ("HASURA_GRAPHQL_ADMIN_SECRET", "adm"),
        ("AUTH_ADMIN_PORT", "0"),
        ("AUTH_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef"),
    ];
    let app = TestApp::start(&admin).await;
    app.anonymous().await;
    let progress = || app.app().hasura.progress();
    eventually("an attempt", async || matches!(progress(), Progress::Failing(_))).await;
    let pending = async || {
        let url = format!("http://{}/metrics", app.admin_address().unwrap());
        let request = reqwest::Client::new().get(url).bearer_auth(admin[3].1);
        let page = request.send().await.unwrap().text().await.unwrap();
        page.contains("keywright_hasura_metadata_pending 1")
    };
    assert!(pending().await);

    let mut doctor = Command::new(env!("CARGO_BIN_EXE_keywright"));
    doctor.arg("doctor").env_clear();
    doctor.envs(crate::support::app::settings(&app.database.url(), &admin[..2]));
    let said = doctor.output().await.unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let line = said.lines().find(|line| line.contains("Hasura")).unwrap_or(&said);
    assert!(line.starts_with("warning") && line.contains("503"), "{said}");

    hasura.is_up.store(true, Ordering::SeqCst);
    eventually("the metadata", async || progress() == Progress::Applied).await;
    assert!(!pending().await);
    app.stop().await;
}

/// The same variables as for Postgres and for mail (docs/database.md#tls).
#[tokio::test]
async fn the_trusted_certificates_of_the_environment_count_for_http_too() {
    let hasura = LateHasura::start().await;
    hasura.is_up.store(true, Ordering::SeqCst);
    let proxy = TlsProxy::start("localhost", hasura.url.trim_end_matches("/v1/graphql")).await;
    let file = std::env::temp_dir().join(format!("kw-{}.pem", uuid::Uuid::new_v4().simple()));
    std::fs::write(&file, &proxy.certificate).unwrap();
    let url = format!("https://localhost:{}/v1/graphql", proxy.port);
    let database = TestDatabase::new().await;
    for (is_trusted, said) in [
        (true, "Hasura has the metadata"),
        (false, "Hasura does not have the metadata yet: serving"),
    ] {
        let mut command = serve(&database, &[("HASURA_GRAPHQL_GRAPHQL_URL", url.as_str())]);
        if is_trusted {
            command.env("SSL_CERT_FILE", &file);
        }
        let server = ServerProcess::spawn(command, |_| true).await;
        eventually(said, async || {
            let is_said = |line: &Value| line["msg"].as_str().is_some_and(|m| m.starts_with(said));
            server.log().iter().any(is_said)
        })
        .await;
    }
    std::fs::remove_file(&file).unwrap();
}
