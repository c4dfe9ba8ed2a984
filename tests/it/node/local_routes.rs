//! `/dev/*` and `/change-env`, which ask nobody who they are: for this machine only.

use reqwest::Method;
use serde_json::json;

use crate::support::app::{Client, TestApp, TestResponse};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;

const CHANGE_ENV: (&str, &str) = ("AUTH_ENABLE_CHANGE_ENV", "true");
const LOCAL: [(&str, &str); 4] = [
    ("POST", "/change-env"),
    ("GET", "/dev/inbox"),
    ("GET", "/dev/inbox.json"),
    ("GET", "/dev/inbox/00000000-0000-4000-8000-000000000000"),
];

/// With captured mail, and a folder for it.
async fn start(more: &[(&str, &str)]) -> (TestApp, String) {
    let folder = std::env::temp_dir().join(format!("keywright-mail-{}", uuid::Uuid::new_v4()));
    let folder = folder.to_str().unwrap().to_owned();
    let mut settings = vec![CHANGE_ENV, ("AUTH_MAIL_CAPTURE_FOLDER", folder.as_str())];
    settings.extend_from_slice(more);
    let app = TestApp::start(&settings).await;
    (app, folder)
}

async fn ask(app: &TestApp, method: &str, path: &str, headers: &[(&str, &str)]) -> TestResponse {
    let method: Method = method.parse().unwrap();
    let mut request = app.request(method.clone(), path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if method == Method::POST {
        request = request.json(&json!({}));
    }
    Client::send(request).await
}

fn has_cors(response: &TestResponse) -> bool {
    response.headers.keys().any(|name| name.as_str().starts_with("access-control-"))
}

#[tokio::test]
async fn no_page_of_another_origin_is_let_in() {
    let (app, folder) = start(&[("AUTH_DEV_ROUTES", "true")]).await;
    let page = ("origin", "https://evil.test");
    for (method, path) in LOCAL {
        let response = ask(&app, method, path, &[page]).await;
        assert!(!has_cors(&response), "{method} {path}: {response:?}");
        let asked = [page, ("access-control-request-method", method)];
        let preflight = ask(&app, "OPTIONS", path, &asked).await;
        assert!(!has_cors(&preflight), "{path}: {preflight:?}");
    }
    // Elsewhere as in the contract.
    assert!(has_cors(&ask(&app, "GET", "/version", &[page]).await));
    assert!(has_cors(&ask(&app, "OPTIONS", "/token", &[page]).await));
    let _ = std::fs::remove_dir_all(folder);
}

/// A page makes a name of its own lead to the developer's machine, and is of the same origin then.
#[tokio::test]
async fn they_have_no_other_name_than_localhost_and_the_address_of_the_server() {
    let (app, folder) = start(&[("AUTH_DEV_ROUTES", "true")]).await;
    for (method, path) in LOCAL {
        for host in ["evil.test", "evil.test:4000", "localhost.evil.test", "10.0.0.5"] {
            let response = ask(&app, method, path, &[("host", host)]).await;
            response.assert_refused(421, "misdirected-request");
        }
        for host in ["localhost", "localhost:4000", "127.0.0.1:4000", "[::1]:4000"] {
            let status = ask(&app, method, path, &[("host", host)]).await.status.as_u16();
            assert!([200, 404].contains(&status), "{method} {path} {host}: {status}");
        }
    }
    let other = ask(&app, "GET", "/version", &[("host", "evil.test")]).await;
    assert_eq!(other.status, 200, "other routes have any name");
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn captured_mail_is_shown_only_where_that_is_asked_for() {
    let (app, folder) = start(&[]).await;
    for (method, path) in &LOCAL[1..] {
        ask(&app, method, path, &[]).await.assert_refused(404, "not-found");
    }
    let database = TestDatabase::new().await;
    let shown = [("AUTH_MAIL_CAPTURE_FOLDER", folder.as_str()), ("AUTH_DEV_ROUTES", "true")];
    let server = ServerProcess::start(&database, &shown).await;
    let warned = server
        .log()
        .iter()
        .any(|entry| entry["setting"] == "AUTH_DEV_ROUTES" && entry["level"] == "WARN");
    assert!(warned, "{:?}", server.log());
    assert_eq!(server.client().get("/dev/inbox").await.status, 200);
    let _ = std::fs::remove_dir_all(folder);
}
