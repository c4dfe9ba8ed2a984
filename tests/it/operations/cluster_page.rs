//! The page for operators in headless Chromium, with three nodes, one of which is killed.

use std::path::Path;
use std::sync::Arc;

use crate::support::admin::{Operator, TOKEN, with_admin};
use crate::support::app::TestApp;
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;
use crate::support::three_nodes::living;
use crate::support::tool;

/// Where somebody who wants to see the page finds pictures of it.
const PICTURES: &str = "KEYWRIGHT_TEST_PICTURES";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_three_nodes_changes_their_settings_and_sees_one_die() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
    for library in ["playwright-core", "axe-core"] {
        assert!(
            folder.join("node_modules").join(library).exists(),
            "{library} is not installed: run make test, or npm ci --prefix tests/js"
        );
    }
    let database = Arc::new(TestDatabase::new().await);
    let named = |name: &'static str| with_admin(&[("AUTH_NODE_NAME", name)]);
    let first = TestApp::start_on(Arc::clone(&database), &named("first")).await;
    let _second = TestApp::start_on(Arc::clone(&database), &named("second")).await;
    let victim = ServerProcess::start(&database, &named("victim")).await;
    let operator = Operator::of(&first);
    eventually("three nodes", async || living(&operator).await == ["first", "second", "victim"])
        .await;
    let session = first.anonymous().await;
    first.refresh(session.refresh_token()).await.session();
    let output = tool::run_node(|node| {
        node.arg(folder.join("cluster.mjs"));
        node.args([operator.stranger().base(), TOKEN, &victim.id().to_string()]);
        node.args(std::env::var_os(PICTURES));
    })
    .await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 8, "{said}");
}
