//! Secrets that are mounted as files, as an operator meets them.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use tokio::process::Command;

use crate::support::app::{JWT_SECRET, settings};
use crate::support::jwt;
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;

/// Where an orchestrator mounts secrets; goes with the test.
struct Mount(PathBuf);

impl Mount {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("keywright-mount-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const OTHER: &str = r#"{"type":"HS512","key":"another secret, of which nobody knows anything but its length of 64 bytes"}"#;

#[tokio::test]
async fn a_server_starts_with_secrets_from_files_and_reads_them_again_at_a_reload() {
    let (database, mount) = (TestDatabase::new().await, Mount::new());
    let jwt_file = mount.write("jwt", JWT_SECRET);
    let database_file = mount.write("database", &database.url());
    let files = [
        ("HASURA_GRAPHQL_JWT_SECRET", ""),
        ("HASURA_GRAPHQL_JWT_SECRET_FILE", jwt_file.as_str()),
        ("POSTGRES_CONNECTION", ""),
        ("POSTGRES_CONNECTION_FILE", database_file.as_str()),
    ];
    let server = ServerProcess::start(&database, &files).await;
    let algorithm = async || {
        let session = server.client().anonymous().await;
        jwt::header(session.access_token())["alg"].clone()
    };
    assert_eq!(algorithm().await, "HS256");

    mount.write("jwt", OTHER);
    server.signal(Signal::HUP);
    eventually("the new key", async || algorithm().await == "HS512").await;

    fs::remove_file(&jwt_file).unwrap();
    server.signal(Signal::HUP);
    eventually("a refusal", async || {
        let refused = |entry: &serde_json::Value| {
            entry["msg"] == "configuration not reloaded"
                && entry["setting"] == "HASURA_GRAPHQL_JWT_SECRET_FILE"
        };
        server.log().iter().any(refused)
    })
    .await;
    assert_eq!(algorithm().await, "HS512", "the old configuration stays");
    for entry in server.log() {
        let line = entry.to_string();
        assert!(!line.contains("another secret") && !line.contains("5152fa85"), "{line}");
    }
}

/// Runs a command to its end; its exit code, and all that it says.
async fn run(command: &str, database: &str, more: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_keywright"))
        .arg(command)
        .env_clear()
        .envs(settings(database, more))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_start_with_a_secret_given_twice_or_not_readable_is_refused_by_name() {
    let mount = Mount::new();
    let path = mount.write("jwt", JWT_SECRET);
    let nowhere = "postgres://nobody@127.0.0.1:1/none";
    for (more, parts) in [
        (
            vec![("HASURA_GRAPHQL_JWT_SECRET_FILE", path.as_str())],
            vec!["HASURA_GRAPHQL_JWT_SECRET_FILE: HASURA_GRAPHQL_JWT_SECRET is set too"],
        ),
        (
            vec![
                ("HASURA_GRAPHQL_JWT_SECRET", ""),
                ("HASURA_GRAPHQL_JWT_SECRET_FILE", "/nowhere/jwt"),
            ],
            vec!["HASURA_GRAPHQL_JWT_SECRET_FILE", "/nowhere/jwt"],
        ),
    ] {
        let (code, text) = run("serve", nowhere, &more).await;
        assert_eq!(code, Some(1), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(!text.contains("5152fa85"), "{text}");
    }
}

#[tokio::test]
async fn doctor_lists_what_came_from_files() {
    let (database, mount) = (TestDatabase::new().await, Mount::new());
    let path = mount.write("smtp", "sesame");
    let (_, text) = run("doctor", &database.url(), &[("AUTH_SMTP_PASS_FILE", &path)]).await;
    let line = text.lines().find(|line| line.contains("secret file")).unwrap_or_default();
    assert!(line.contains("AUTH_SMTP_PASS from") && line.contains(&path), "{text}");
    assert!(!text.contains("sesame"), "{text}");
}
