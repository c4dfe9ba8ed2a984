//! Passkeys, by hand and by the official client, and the page for operators in headless Chromium,
//! against server processes that share a database.

use std::path::Path;

use crate::support::admin::{Operator, TOKEN, with_admin};
use crate::support::app::TestApp;
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;
use crate::support::tool;

#[tokio::test]
async fn a_browser_signs_up_and_in_elevates_and_adds_keys_with_each_half_on_another_server() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
    assert!(
        folder.join("node_modules/playwright-core").exists(),
        "playwright-core is not installed: run make test, or npm ci --prefix tests/js"
    );
    let database = TestDatabase::new().await;
    let on = ("AUTH_WEBAUTHN_ENABLED", "true");
    let usual = [on];
    let hasty = [on, ("AUTH_WEBAUTHN_ATTESTATION_TIMEOUT", "1000")];
    let (one, other, hasty) = tokio::join!(
        ServerProcess::start(&database, &usual),
        ServerProcess::start(&database, &usual),
        ServerProcess::start(&database, &hasty),
    );
    let servers = [&one, &other, &hasty];
    let output = tool::run_node(|node| {
        node.arg(folder.join("passkeys.mjs"));
        node.args(servers.map(|server| server.client().base().to_owned()));
    })
    .await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 11, "{said}");
    for server in servers {
        let panics = server.log().iter().filter(|line| line["level"] == "ERROR").count();
        assert_eq!(panics, 0, "{:?}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_for_operators_shows_the_tree_to_whoever_has_the_token() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
    assert!(
        folder.join("node_modules/playwright-core").exists(),
        "playwright-core is not installed: run make test, or npm ci --prefix tests/js"
    );
    let app = TestApp::start(&with_admin(&[])).await;
    app.app().actors.courier.crash();
    let operator = Operator::of(&app);
    eventually("a restart", async || operator.actor("courier").await["restarts"] == 1).await;
    let output = tool::run_node(|node| {
        node.arg(folder.join("ops.mjs")).args([operator.stranger().base(), TOKEN]);
    })
    .await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 3, "{said}");
}
