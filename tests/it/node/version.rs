//! `GET /version`.

use serde_json::json;

use crate::support::app::TestApp;

/// What builds the tests: `cargo test` itself, or with a profile that somebody chose.
const PROFILE: &str = env!("KEYWRIGHT_PROFILE");

#[tokio::test]
async fn the_version_is_that_of_the_build() {
    let app = TestApp::start(&[]).await;
    let response = app.get("/version").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.json(), json!({"version": env!("CARGO_PKG_VERSION")}));
    assert_eq!(response.headers["x-keywright-profile"], PROFILE);
}

#[tokio::test]
async fn the_program_says_what_it_was_built_from() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_keywright"))
        .arg("--version")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let commit = env!("KEYWRIGHT_COMMIT");
    let date = env!("KEYWRIGHT_COMMIT_DATE");
    assert_eq!(said, format!("keywright {version} (profile {PROFILE}, commit {commit}, {date})\n"));
    assert!(["dev", "release", "dist"].contains(&PROFILE), "{PROFILE}");
    let is_commit = commit.len() == 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_commit || commit == "unknown", "{commit}");
}
