//! `AUTH_PASSWORD_HIBP_ENABLED`: passwords that are known from leaks.

use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::http_simulator::{HttpSimulator, Reply};

/// SHA-1 of [`PASSWORD`].
fn hash() -> String {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, PASSWORD.as_bytes());
    hash.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"))
}

async fn start(hibp: &HttpSimulator) -> TestApp {
    TestApp::start(&[
        ("AUTH_PASSWORD_HIBP_ENABLED", "true"),
        ("AUTH_PASSWORD_HIBP_URL", &hibp.url),
        ("AUTH_PASSWORD_HIBP_TIMEOUT", "500ms"),
        ("AUTH_PASSWORD_HIBP_RETRY_DELAY", "1ms"),
    ])
    .await
}

#[tokio::test]
async fn a_known_password_is_refused_and_only_five_digits_of_its_hash_leave() {
    let hash = hash();
    let list = format!("{}:0\r\n{}:3\r\n", "0".repeat(35), &hash[5..]);
    let hibp = HttpSimulator::start(Reply::Status(200, list)).await;
    let app = start(&hibp).await;
    app.sign_up("ann@example.com").await.assert_refused(400, "password-in-hibp-database");
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
    let asked = hibp.only();
    assert_eq!(asked.path, format!("/range/{}", &hash[..5]));
    assert_eq!(asked.header("add-padding"), Some("true"));
    assert_eq!(asked.body, "");
}

#[tokio::test]
async fn others_and_padding_are_no_reason_to_refuse() {
    let hash = hash();
    let list = format!("{}:7\r\n{}:0\r\n", "A".repeat(35), &hash[5..]);
    let hibp = HttpSimulator::start(Reply::Status(200, list)).await;
    let app = start(&hibp).await;
    app.sign_up("ann@example.com").await.session();
}

/// While that cannot be found out no password is set, but everybody can sign in
/// (docs/reference-behaviour.md#leak-check-fails-closed).
#[tokio::test]
async fn without_a_response_no_password_is_taken() {
    let hibp = HttpSimulator::start(Reply::Status(200, String::new())).await;
    let app = start(&hibp).await;
    let session = app.sign_up("ann@example.com").await.session();
    for reply in [Reply::empty(503), Reply::empty(429), Reply::Hang] {
        hibp.say(reply);
        app.sign_up("bob@example.com").await.assert_refused(500, "internal-server-error");
        let body = json!({"newPassword": "another-Passw0rd"});
        app.post_as("/user/password", session.access_token(), body)
            .await
            .assert_refused(500, "internal-server-error");
        app.sign_in("ann@example.com", PASSWORD).await.session();
    }
    hibp.say(Reply::Status(200, String::new()));
    hibp.say_once(Reply::empty(429));
    app.sign_up("bob@example.com").await.session();
}
