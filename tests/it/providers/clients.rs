//! Sign-in with providers by those who will use it: headless Chromium, and the official JavaScript client.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::hex::hex;
use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::providers::Providers;
use crate::support::tls_proxy::TlsProxy;
use crate::support::tool;

/// The folder of the scripts, once what they need is installed.
fn scripts(needs: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
    assert!(
        folder.join("node_modules").join(needs).exists(),
        "{needs} is not installed: run make test, or npm ci --prefix tests/js"
    );
    folder
}

/// Runs a script; what it said.
async fn run(script: PathBuf, arguments: &[&str]) -> String {
    let output = tool::run_node(|node| {
        node.arg(&script).args(arguments);
    })
    .await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test]
async fn a_browser_goes_from_a_page_through_redirects_back_to_the_page() {
    let folder = scripts("playwright-core");
    let providers = Providers::start_for("https://auth.example.test").await;
    providers.at("gitlab").refuse(&[("error", "access_denied")]);
    let mut settings = providers.settings(&["github", "apple", "gitlab", "discord", "strava"]);
    for (name, value) in [
        ("AUTH_SERVER_URL", "https://auth.example.test"),
        ("AUTH_CLIENT_URL", "https://app.example.test"),
    ] {
        settings.push((name.to_owned(), value.to_owned()));
    }
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let database = TestDatabase::new().await;
    let server = ServerProcess::start(&database, &settings).await;
    let page = "<!doctype html><title>app</title><a>sign in</a>".to_owned();
    let pages = HttpSimulator::start(Reply::Status(200, page)).await;
    let (server_tls, pages_tls) = tokio::join!(
        TlsProxy::start("auth.example.test", server.client().base()),
        TlsProxy::start("app.example.test", &pages.url),
    );
    let ports = [server_tls.port.to_string(), pages_tls.port.to_string()];
    let said = run(folder.join("providers.mjs"), &[&ports[0], &ports[1]]).await;
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 7, "{said}");
    let log = server.log();
    assert!(log.iter().all(|line| line["level"] != "ERROR"), "{log:#?}");
}

#[tokio::test]
async fn the_official_client_signs_in_by_redirect_by_code_and_by_id_token() {
    let folder = scripts("nhost-js-newer");
    let providers = Providers::start().await;
    let mut settings = providers.settings(&["github", "discord", "strava", "google", "apple"]);
    settings.push(("AUTH_PROVIDER_TOKENS".to_owned(), "always".to_owned()));
    settings.push(("AUTH_ENABLE_CHANGE_ENV".to_owned(), "true".to_owned()));
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let app = TestApp::start(&settings).await;
    // Callbacks must lead here, and the port is known only now.
    let here = app.post("/change-env", json!({"AUTH_SERVER_URL": app.url()})).await;
    assert_eq!(here.status, 200, "{here:?}");
    providers.lead_back_to(app.url());
    let google = providers.at("google");
    let nonce = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"a raw nonce"));
    let tokens = json!({
        "google": google.id_token(&json!({"nonce": nonce})),
        "second": google.id_token(&json!({"sub": "second", "email": "second@x.test"})),
        "apple": providers.at("apple").id_token(&json!({})),
    });
    let arguments = [app.url(), &tokens.to_string()];
    let said = run(folder.join("providers-client.mjs"), &arguments).await;
    assert_eq!(said.lines().filter(|line| line.starts_with("ok: ")).count(), 5, "{said}");
}
