//! The official JavaScript client, the judge of compatibility.

use std::path::Path;

use serde_json::json;
use tokio::process::Command;

use crate::support::app::TestApp;

#[tokio::test]
async fn the_official_client_signs_up_verifies_signs_in_refreshes_and_signs_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
    assert!(
        folder.join("node_modules/@nhost").exists(),
        "the client is not installed: run make test, or npm ci --prefix tests/js"
    );
    let mail = std::env::temp_dir().join(format!("keywright-mail-{}", uuid::Uuid::new_v4()));
    let app = TestApp::start(&[
        ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true"),
        ("AUTH_MAIL_CAPTURE_FOLDER", mail.to_str().unwrap()),
        ("AUTH_ENABLE_CHANGE_ENV", "true"),
    ])
    .await;
    // Links must lead here, and the port is known only now.
    let here = app.post("/change-env", json!({"AUTH_SERVER_URL": app.url()})).await;
    assert_eq!(here.status, 200, "{here:?}");
    let output = Command::new("node")
        .arg(folder.join("client.mjs"))
        .args([app.url(), &format!("{}/dev/inbox.json", app.url())])
        .kill_on_drop(true)
        .output()
        .await
        .expect("node is installed: run make test");
    std::fs::remove_dir_all(&mail).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
