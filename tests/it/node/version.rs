//! `GET /version`.

use serde_json::json;

use crate::support::app::TestApp;

#[tokio::test]
async fn the_version_is_that_of_the_build() {
    let app = TestApp::start(&[]).await;
    let answer = app.get("/version").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"version": env!("CARGO_PKG_VERSION")}));
}
