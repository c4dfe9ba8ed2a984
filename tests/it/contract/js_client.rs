//! The official JavaScript client, the reference for compatibility.

use std::path::Path;

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::tool;

/// Runs a script of `tests/js` against a server that keeps its mails and SMS.
async fn run(script: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
    assert!(
        folder.join("node_modules/@nhost").exists(),
        "the client is not installed: run make test, or npm ci --prefix tests/js"
    );
    let mail = std::env::temp_dir().join(format!("keywright-mail-{}", uuid::Uuid::new_v4()));
    let app = TestApp::start(&[
        ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true"),
        ("AUTH_MAIL_CAPTURE_FOLDER", mail.to_str().unwrap()),
        ("AUTH_DEV_ROUTES", "true"),
        ("AUTH_SMS_PROVIDER", "dev"),
        ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_OTP_EMAIL_ENABLED", "true"),
        ("AUTH_MFA_ENABLED", "true"),
        ("AUTH_ENABLE_CHANGE_ENV", "true"),
    ])
    .await;
    // Links must lead here, and the port is known only now.
    let here = app.post("/change-env", json!({"AUTH_SERVER_URL": app.url()})).await;
    assert_eq!(here.status, 200, "{here:?}");
    let output = tool::run_node(|node| {
        node.arg(folder.join(script));
        node.args([app.url(), &format!("{}/dev/inbox.json", app.url())]);
    })
    .await;
    std::fs::remove_dir_all(&mail).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_official_client_signs_up_verifies_signs_in_refreshes_and_signs_out() {
    run("client.mjs").await;
}

#[tokio::test]
async fn the_official_client_walks_through_every_first_party_flow() {
    run("flows.mjs").await;
}
