//! `AUTH_RATE_LIMIT_*`: how often one client may ask for what.

use std::sync::Arc;

use keywright::config::{Config, Sources};
use keywright::reload;
use reqwest::Method;
use serde_json::json;
use time::Duration;

use crate::support::app::{Client, PASSWORD, TestApp, TestResponse, settings};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::routes;
use crate::support::smtp::eventually;

const ON: (&str, &str) = ("AUTH_RATE_LIMIT_ENABLE", "true");

/// A server whose clock stands at the beginning of a window of all lengths that tests use, so that
/// no window ends during a test.
async fn start(more: &[(&str, &str)]) -> TestApp {
    let mut all = vec![ON];
    all.extend_from_slice(more);
    let app = TestApp::start(&all).await;
    to_next_window(&app, 3_600);
    app
}

/// Moves the clock two windows on, to just after a turn.
fn to_next_window(app: &TestApp, seconds: i64) {
    let now = app.clock.now().unix_timestamp();
    app.clock.advance(Duration::seconds(3 * seconds - now % seconds));
}

async fn from(app: &Client, client: &str, method: Method, path: &str) -> TestResponse {
    let request = app.request(method, path).header("x-forwarded-for", client);
    Client::send(request.json(&json!({}))).await
}

async fn post(app: &Client, path: &str) -> TestResponse {
    from(app, "203.0.113.1", Method::POST, path).await
}

#[track_caller]
fn assert_limited(response: &TestResponse, limit: &str) {
    assert_eq!((response.status.as_u16(), response.text.as_str()), (429, ""), "{response:?}");
    assert_eq!(response.header("content-length"), Some("0"));
    assert_eq!(response.header("content-type"), None);
    let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1, "{wait}");
    let last = response.header("ratelimit").unwrap().rsplit(", ").next().unwrap();
    assert_eq!(last, format!("\"{limit}\";r=0;t={wait}"));
}

#[track_caller]
fn assert_passes(response: &TestResponse) {
    assert_ne!(response.status, 429, "{response:?}");
}

#[tokio::test]
async fn nothing_is_limited_or_announced_unless_enabled() {
    let app = TestApp::start(&[("AUTH_RATE_LIMIT_GLOBAL_BURST", "0")]).await;
    let response = app.get("/version").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("ratelimit"), None);
}

#[tokio::test]
async fn what_watches_the_server_is_outside_every_limit() {
    let app = start(&[
        ("AUTH_RATE_LIMIT_GLOBAL_BURST", "1"),
        ("AUTH_HTTP_MAX_CONCURRENCY", "1"),
        ("AUTH_API_PREFIX", "/v1"),
    ])
    .await;
    let probes: Vec<_> = routes::of(&app).into_iter().filter(|r| r.rules.is_probe).collect();
    assert_eq!(probes.len(), 6, "{probes:?}");
    for number in 0..20 {
        for route in &probes {
            let response = Client::send(app.request(route.method.clone(), &route.path)).await;
            assert_eq!(response.status, 200, "{number} {}", route.path);
            assert_eq!(response.header("ratelimit"), None, "{}", route.path);
        }
    }
    // None of them has taken anything from what is limited.
    assert_passes(&app.get("/v1/version").await);
    assert_limited(&app.get("/v1/version").await, "user-global");
    let many = probes
        .iter()
        .cycle()
        .take(200)
        .map(|route| Client::send(app.request(route.method.clone(), &route.path)));
    for response in futures_util::future::join_all(many).await {
        assert_eq!(response.status, 200, "{response:?}");
    }
}

#[tokio::test]
async fn the_eleventh_sign_in_in_five_minutes_is_refused_with_cors_headers() {
    let app = start(&[]).await;
    for _ in 0..10 {
        assert_passes(&app.sign_in("nobody@example.com", PASSWORD).await);
    }
    let request =
        app.request(Method::POST, "/signin/email-password").header("origin", "http://a.test");
    let refused = Client::send(request.json(&json!({}))).await;
    assert_limited(&refused, "user-bruteforce");
    assert_eq!(refused.header("access-control-allow-origin"), Some("http://a.test"));
    // Others go on.
    assert_passes(&post(&app, "/signin/email-password").await);
}

#[tokio::test]
async fn every_limit_has_its_paths_and_its_default() {
    for (path, limit, name) in [
        ("/healthz", 100, "user-global"),
        ("/nowhere", 100, "user-global"),
        ("/user/password/reset", 10, "user-email"),
        ("/user/email/change", 10, "user-email"),
        ("/signin/passwordless/email", 10, "user-email"),
        ("/signin/otp/email", 10, "user-email"),
        ("/signin/passwordless/sms", 10, "user-sms"),
        ("/signin/pat", 10, "user-bruteforce"),
        ("/signin/passwordless/sms/otp", 10, "user-bruteforce"),
        ("/token/verify", 10, "user-bruteforce"),
        ("/signup/email-password", 10, "user-signups"),
    ] {
        let app = start(&[]).await;
        for number in 0..limit {
            let response = post(&app, path).await;
            assert!(response.status != 429, "{path} {number}: {response:?}");
        }
        assert_limited(&post(&app, path).await, name);
    }
}

#[tokio::test]
async fn sign_ups_and_sign_ins_do_not_share_a_count() {
    let app = start(&[]).await;
    for _ in 0..10 {
        assert_passes(&post(&app, "/signup/email-password").await);
    }
    assert_limited(&post(&app, "/signup/email-password").await, "user-signups");
    assert_passes(&post(&app, "/signin/email-password").await);
}

#[tokio::test]
async fn mails_of_sign_ups_count_while_addresses_are_verified() {
    let verified = ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true");
    let app = start(&[verified, ("AUTH_RATE_LIMIT_EMAIL_BURST", "1")]).await;
    assert_passes(&post(&app, "/signup/email-password").await);
    assert_limited(&post(&app, "/user/password/reset").await, "user-email");
    assert_limited(&post(&app, "/user/email/send-verification-email").await, "user-email");
    assert_limited(&post(&app, "/user/deanonymize").await, "user-email");
}

#[tokio::test]
async fn mails_can_be_counted_for_all_clients_together() {
    let app =
        start(&[("AUTH_RATE_LIMIT_EMAIL_BURST", "1"), ("AUTH_RATE_LIMIT_EMAIL_IS_GLOBAL", "true")])
            .await;
    assert_passes(&from(&app, "192.0.2.1", Method::POST, "/user/password/reset").await);
    let other = from(&app, "192.0.2.2", Method::POST, "/user/password/reset").await;
    assert_limited(&other, "global-email");
}

#[tokio::test]
async fn a_client_is_its_address_behind_trusted_proxies_only() {
    let one = ("AUTH_RATE_LIMIT_GLOBAL_BURST", "1");
    let app = start(&[one]).await;
    let get = async |client: &str| from(&app, client, Method::GET, "/version").await;
    assert_passes(&get("192.0.2.1").await);
    assert_limited(&get("192.0.2.1").await, "user-global");
    assert_limited(&get("198.51.100.7, 192.0.2.1").await, "user-global");
    assert_passes(&get("192.0.2.2").await);
    assert_passes(&get("2001:db8::1").await);
    assert_limited(&get("2001:db8::2").await, "user-global");

    let untrusting = start(&[one, ("AUTH_TRUSTED_PROXIES", "none")]).await;
    assert_passes(&from(&untrusting, "192.0.2.1", Method::GET, "/version").await);
    let again = from(&untrusting, "192.0.2.2", Method::GET, "/version").await;
    assert_limited(&again, "user-global");
}

#[tokio::test]
async fn the_window_slides() {
    let app = start(&[]).await;
    app.clock.advance(Duration::seconds(240));
    for _ in 0..10 {
        assert_passes(&post(&app, "/signin/pat").await);
    }
    let refused = post(&app, "/signin/pat").await;
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((50..=61).contains(&wait), "until the window turns: {wait}");
    // Almost half into the next window, five of the ten still count.
    app.clock.advance(Duration::seconds(60 + 148));
    for _ in 0..5 {
        assert_passes(&post(&app, "/signin/pat").await);
    }
    let refused = post(&app, "/signin/pat").await;
    assert_limited(&refused, "user-bruteforce");
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    app.clock.advance(Duration::seconds(wait));
    assert_passes(&post(&app, "/signin/pat").await);
}

#[tokio::test]
async fn a_refused_request_costs_its_limit_and_later_ones_nothing() {
    let app = start(&[("AUTH_RATE_LIMIT_EMAIL_BURST", "1")]).await;
    assert_passes(&post(&app, "/signin/passwordless/email").await);
    for _ in 0..20 {
        assert_limited(&post(&app, "/signin/passwordless/email").await, "user-email");
    }
    // One of ten was used, by the request that passed.
    let next = post(&app, "/signin/pat").await;
    assert!(next.header("ratelimit").unwrap().contains("\"user-bruteforce\";r=8;"), "{next:?}");
}

#[tokio::test]
async fn responses_say_what_is_left_of_every_limit_that_counts() {
    let app = start(&[]).await;
    let response = post(&app, "/signin/pat").await;
    assert_eq!(
        response.header("ratelimit-policy"),
        Some("\"user-global\";q=100;w=60, \"user-bruteforce\";q=10;w=300")
    );
    let left = response.header("ratelimit").unwrap();
    assert!(left.starts_with("\"user-global\";r=99;t="), "{left}");
    assert!(left.contains(", \"user-bruteforce\";r=9;t="), "{left}");
}

#[tokio::test]
async fn options_are_never_limited_and_cost_nothing() {
    let app = start(&[("AUTH_RATE_LIMIT_GLOBAL_BURST", "1")]).await;
    for _ in 0..3 {
        let response = from(&app, "203.0.113.1", Method::OPTIONS, "/signin/pat").await;
        assert_eq!(response.status, 204);
    }
    assert_passes(&post(&app, "/version").await);
}

#[tokio::test]
async fn the_prefix_is_no_part_of_a_path() {
    let app =
        start(&[("AUTH_API_PREFIX", "/v1"), ("AUTH_RATE_LIMIT_BRUTE_FORCE_BURST", "1")]).await;
    assert_passes(&post(&app, "/v1/signin/pat").await);
    assert_limited(&post(&app, "/v1/signin/pat/").await, "user-bruteforce");
    // Paths outside the prefix are only counted as requests.
    assert_passes(&post(&app, "/v1/v1/signin/pat").await);
}

#[tokio::test]
async fn a_limit_of_nothing_closes_what_it_limits() {
    let app = start(&[("AUTH_RATE_LIMIT_SIGNUPS_BURST", "0")]).await;
    assert_limited(&app.sign_up("ann@example.com").await, "user-signups");
    assert_passes(&post(&app, "/signin/pat").await);
}

#[tokio::test]
async fn a_reload_changes_limits_at_once_and_keeps_counts() {
    let app = TestApp::start(&[]).await;
    to_next_window(&app, 3_600);
    let reload = async |more: &[(&str, &str)]| {
        let url = app.database.url();
        let config = Config::from_sources(&Sources::from_env(settings(&url, more))).unwrap().config;
        reload::apply(app.app(), config).await.unwrap();
    };
    assert_passes(&post(&app, "/signin/pat").await);
    reload(&[ON, ("AUTH_RATE_LIMIT_BRUTE_FORCE_BURST", "1")]).await;
    assert_passes(&post(&app, "/signin/pat").await);
    assert_limited(&post(&app, "/signin/pat").await, "user-bruteforce");
    reload(&[ON, ("AUTH_RATE_LIMIT_BRUTE_FORCE_BURST", "2")]).await;
    assert_passes(&post(&app, "/signin/pat").await);
    assert_limited(&post(&app, "/signin/pat").await, "user-bruteforce");
    reload(&[]).await;
    assert_passes(&post(&app, "/signin/pat").await);
}

#[tokio::test]
async fn of_many_at_once_exactly_the_limit_passes() {
    let app = start(&[]).await;
    let tries = (0..32).map(|_| post(&app, "/signin/pat"));
    let responses = futures_util::future::join_all(tries).await;
    assert_eq!(responses.iter().filter(|response| response.status != 429).count(), 10);
}

#[tokio::test]
async fn counts_outlive_their_actor() {
    let app = start(&[("AUTH_RATE_LIMIT_BRUTE_FORCE_BURST", "1")]).await;
    assert_passes(&post(&app, "/signin/pat").await);
    app.app().actors.rate_limiter.crash();
    assert_limited(&post(&app, "/signin/pat").await, "user-bruteforce");
}

#[tokio::test]
async fn private_networks_are_believed_on_adopted_databases_only() {
    let adopted = Arc::new(TestDatabase::adopted().await);
    let created = Arc::new(TestDatabase::new().await);
    for (database, is_believed) in [(adopted, true), (created, false)] {
        let app = TestApp::start_on(database, &[]).await;
        let proxies = app.app().config().server.trusted_proxies(app.app().origin());
        let trusts = |address: &str| {
            let address: std::net::IpAddr = address.parse().unwrap();
            proxies.iter().any(|network| network.contains(&address))
        };
        for private in ["10.1.2.3", "172.18.0.1", "192.168.1.1", "fd00::1"] {
            assert_eq!(trusts(private), is_believed, "{private}");
        }
        assert!(trusts("127.0.0.1") && trusts("::1") && !trusts("192.0.2.1"));
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_say_who_asks_is_warned_about_once() {
    let database = TestDatabase::new().await;
    let limits = [("AUTH_RATE_LIMIT_ENABLE", "true"), ("AUTH_RATE_LIMIT_GLOBAL_BURST", "10000")];
    let server = ServerProcess::start(&database, &limits).await;
    let warnings = || {
        let log = server.log();
        log.iter().filter(|entry| entry["setting"] == "AUTH_TRUSTED_PROXIES").count()
    };
    for _ in 0..100 {
        assert_eq!(server.client().get("/version").await.status, 200);
    }
    assert_eq!(warnings(), 0, "somebody from elsewhere may still come");
    for _ in 0..30 {
        assert_eq!(server.client().get("/version").await.status, 200);
    }
    eventually("the warning is logged", async || warnings() == 1).await;
}
