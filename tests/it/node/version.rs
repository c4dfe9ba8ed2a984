//! `GET /version`.

use serde_json::json;

use crate::support::app::TestApp;

#[tokio::test]
async fn the_version_is_that_of_the_build() {
    let app = TestApp::start(&[]).await;
    let response = app.get("/version").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.json(), json!({"version": env!("CARGO_PKG_VERSION")}));
}
