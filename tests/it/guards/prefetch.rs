//! Browsers and mail programs that fetch a link before anybody has followed it.

use reqwest::Method;

use crate::support::app::{Client, TestApp};
use crate::support::mailbox::Mailbox;
use crate::support::routes;

/// Routes of `GET` that change nothing, however often they are asked.
const READ_ONLY: [&str; 9] = [
    "/.well-known/webauthn",
    "/.well-known/jwks.json",
    "/healthz",
    "/livez",
    "/version",
    "/user",
    "/user/webauthn/keys",
    "/dev/inbox",
    "/dev/inbox.json",
];

/// What browsers say, now and in older versions.
const HEADERS: [(&str, &str); 5] = [
    ("sec-purpose", "prefetch"),
    ("sec-purpose", "prefetch;prerender"),
    ("purpose", "prefetch"),
    ("x-moz", "prefetch"),
    ("x-purpose", "preview"),
];

#[tokio::test]
async fn no_get_that_uses_something_up_is_served_in_advance() {
    let app = TestApp::start(&[]).await;
    let mut refused = 0;
    for route in routes::of(&app).iter().filter(|route| route.method == Method::GET) {
        let is_read_only = READ_ONLY.contains(&route.path.as_str());
        assert_eq!(route.rules.is_for_people, !is_read_only, "{}", route.path);
        for (name, value) in HEADERS {
            let request = app.request(Method::GET, &routes::example(&route.path));
            let response = Client::send(request.header(name, value)).await;
            if is_read_only {
                assert_ne!(response.error(), "prefetch-refused", "{}", route.path);
            } else {
                response.assert_refused(403, "prefetch-refused");
                assert_eq!(response.header("cache-control"), Some("no-store"));
                refused += 1;
            }
        }
    }
    assert!(refused >= 6 * HEADERS.len(), "{refused}");
}

#[tokio::test]
async fn a_mailed_link_is_as_good_as_before_after_any_number_of_prefetches() {
    let mailbox = Mailbox::start().await;
    let limits = [("AUTH_RATE_LIMIT_ENABLE", "true"), ("AUTH_RATE_LIMIT_BRUTE_FORCE_BURST", "1")];
    let app = TestApp::start(&mailbox.settings(&limits)).await;
    app.sign_up("ann@example.com").await;
    let path = mailbox.last(&app.database, 1).await.path();
    for (name, value) in HEADERS {
        let ahead = Client::send(app.request(Method::GET, &path).header(name, value)).await;
        ahead.assert_refused(403, "prefetch-refused");
    }
    let followed = app.get(&path).await.redirect().1;
    assert!(followed.contains_key("refreshToken"), "{followed:?}");
}
