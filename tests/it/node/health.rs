//! `/healthz`, `/livez`: who may be sent requests, and who has to be restarted.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Client, TestApp, TestResponse};
use crate::support::smtp::eventually;

async fn head(app: &TestApp, path: &str) -> TestResponse {
    Client::send(app.request(Method::HEAD, path)).await
}

#[tokio::test]
async fn a_running_server_is_ready_and_alive() {
    let app = TestApp::start(&[]).await;
    app.get("/healthz").await.assert_ok();
    let ready = head(&app, "/healthz").await;
    assert_eq!((ready.status, ready.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(app.get("/livez").await.status, StatusCode::OK);
    assert_eq!(head(&app, "/livez").await.status, StatusCode::OK);
}

#[tokio::test]
async fn with_a_prefix_both_paths_respond_each_in_its_form() {
    let app = TestApp::start(&[("AUTH_API_PREFIX", "/v1/auth")]).await;
    app.get("/v1/auth/healthz").await.assert_ok();
    assert_eq!(app.get("/healthz").await.json(), json!({"status": "ok"}));
    for path in ["/v1/auth/healthz", "/healthz", "/livez"] {
        assert_eq!(head(&app, path).await.status, StatusCode::OK, "{path}");
    }
    app.get("/v1/auth/livez").await.assert_refused(404, "not-found");
    app.get("/version").await.assert_refused(404, "not-found");
    assert_eq!(app.get("/v1/auth/version").await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_postgres_a_server_is_alive_and_not_ready_until_it_is_back() {
    let app = TestApp::start(&[("AUTH_API_PREFIX", "/v1")]).await;
    let name = app.database.name().to_owned();
    // From another database, because nobody gets into this one any more.
    let elsewhere = crate::support::postgres::TestDatabase::empty().await;
    elsewhere
        .execute(&format!(
            "alter database {name} with allow_connections false;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}';"
        ))
        .await;
    let refused = app.get("/v1/healthz").await;
    refused.assert_refused(503, "service-unavailable");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    app.get("/healthz").await.assert_refused(503, "service-unavailable");
    assert_eq!(head(&app, "/v1/healthz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(app.get("/livez").await.status, StatusCode::OK);
    assert_eq!(app.get("/v1/version").await.status, StatusCode::OK);
    let refused = app.post("/v1/signin/anonymous", json!({})).await;
    refused.assert_refused(503, "service-unavailable");

    elsewhere.execute(&format!("alter database {name} with allow_connections true")).await;
    eventually("Postgres to be found again", async || {
        app.get("/v1/healthz").await.status == StatusCode::OK
    })
    .await;
    app.post("/v1/signin/anonymous", json!({})).await.session();
}
