//! The life of a session: sign up, sign in, refresh, read, sign out.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};

#[tokio::test]
async fn a_user_signs_up_in_and_out_and_refreshes_between() {
    let app = TestApp::start(&[]).await;
    let first = app.sign_up("ann@example.com").await.session();
    let second = app.refresh(first.refresh_token()).await.session();
    assert_eq!(first.id(), second.id());
    assert_ne!(first.refresh_token(), second.refresh_token());

    let user = app.get_as("/user", second.access_token()).await;
    assert_eq!(user.json()["email"], "ann@example.com");
    assert_eq!(user.json()["roles"], json!(["me", "user", "editor"]));

    let signed_in = app.sign_in("ann@example.com", PASSWORD).await.session();
    let out = app.post("/signout", json!({"refreshToken": second.refresh_token()})).await;
    assert_eq!((out.status, out.text.trim()), (StatusCode::OK, "\"OK\""));
    app.refresh(second.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    assert_eq!(app.refresh(signed_in.refresh_token()).await.status, StatusCode::OK);
}
