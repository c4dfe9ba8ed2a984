//! Schemathesis against `docs/openapi.json`: whatever is sent, no server error and no response that
//! the contract does not know.

use std::path::Path;
use std::process::Output;

use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::providers::Providers;
use crate::support::tool;

/// What must hold for every response.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

/// Two processes share the work, these paths and all others. Not two threads of one process: both would
/// parse Python at the same time, which kills `CPython` before 3.13.
const HALF: &str = "^/(signin|user)";

/// Why Schemathesis failed, if that was its own or its interpreter's fault. A finding counts in any case.
fn died_of_itself(output: &Output) -> Option<String> {
    let signs =
        ["SystemError", "MemoryError", "RecursionError", "Internal Error", "Traceback (most"];
    if output.status.success() || tool::sign(output, &["= FAILURES ="]).is_some() {
        return None;
    }
    tool::killed(output).or_else(|| tool::sign(output, &signs))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_brings_a_server_error_or_a_response_against_the_contract() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = folder.join("tests/schemathesis/.venv/bin/schemathesis");
    assert!(program.exists(), "schemathesis is not installed: run make test");
    let mail = std::env::temp_dir().join(format!("keywright-mail-{}", uuid::Uuid::new_v4()));
    let providers = Providers::start().await;
    let settings = providers.settings(&["apple", "discord", "github", "google", "twitter"]);
    let custom = providers.custom().to_string();
    let mut all: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend([
        ("AUTH_PROVIDER_CUSTOM", custom.as_str()),
        ("AUTH_MAIL_CAPTURE_FOLDER", mail.to_str().unwrap()),
        ("AUTH_DEV_ROUTES", "true"),
        ("AUTH_MFA_ENABLED", "true"),
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_OTP_EMAIL_ENABLED", "true"),
        ("AUTH_SMS_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_SMS_PROVIDER", "dev"),
        ("AUTH_WEBAUTHN_ENABLED", "true"),
        // So that `POST /verify` is there.
        ("AUTH_VERIFY_LINK", "confirm"),
        // Its refusals are responses outside the contract, and it is tested elsewhere.
        ("AUTH_ACCOUNT_ATTEMPTS", "0"),
    ]);
    let app = TestApp::start(&all).await;
    let session = app.sign_up("ann@example.com").await.session();
    let text = async |half: &str| {
        let output = tool::run(
            "Schemathesis",
            &program,
            |schemathesis| {
                schemathesis.arg("run").arg(folder.join("docs/openapi.json"));
                schemathesis.args(["--url", app.url(), "--checks", CHECKS, half, HALF]);
                schemathesis.args(["--phases", "examples,coverage,fuzzing", "--workers", "1"]);
                schemathesis.args(["--max-examples", "100", "--seed", "1", "--no-color"]);
                schemathesis.args(["--max-redirects", "0", "--request-timeout", "20"]);
                schemathesis.args(["--suppress-health-check", "all", "--continue-on-failure"]);
                schemathesis.args(["--warnings", "off", "--exclude-method", "HEAD", "--header"]);
                schemathesis.arg(format!("Authorization: Bearer {}", session.access_token()));
                schemathesis.current_dir(&mail);
            },
            died_of_itself,
        )
        .await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("passed"), "{text}");
        text
    };
    let (one, other) = tokio::join!(text("--include-path-regex"), text("--exclude-path-regex"));
    let text = one + &other;
    // It did speak to the server, and the server is well.
    assert!(text.contains("passed") && app.get("/healthz").await.status == 200, "{text}");
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    assert_ne!(app.post("/signin/email-password", body).await.status, 500);
    let _ = std::fs::remove_dir_all(mail);
}
