//! `/metrics`: what is there, and that it moves by what was done.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::admin::{Metrics, Operator, with_admin};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::mailbox::Mailbox;
use crate::support::providers::social::Social;
use crate::support::providers::{Endpoint, Fault};
use crate::support::smtp::eventually;

/// Every family, with its type.
const FAMILIES: &[(&str, &str)] = &[
    ("keywright_actor_calls_in_flight", "gauge"),
    ("keywright_actor_calls_in_flight_max", "gauge"),
    ("keywright_actor_calls_refused_total", "counter"),
    ("keywright_actor_calls_timed_out_total", "counter"),
    ("keywright_actor_handler_duration_seconds", "histogram"),
    ("keywright_actor_mailbox_messages", "gauge"),
    ("keywright_actor_restarts_in_window", "gauge"),
    ("keywright_actor_restarts_max", "gauge"),
    ("keywright_actor_restarts_total", "counter"),
    ("keywright_actor_task_panics_total", "counter"),
    ("keywright_actor_up", "gauge"),
    ("keywright_batch_duration_seconds", "histogram"),
    ("keywright_batch_size", "histogram"),
    ("keywright_batch_waiting", "gauge"),
    ("keywright_build_info", "gauge"),
    ("keywright_cache_bytes", "gauge"),
    ("keywright_cache_entries", "gauge"),
    ("keywright_cache_hits_total", "counter"),
    ("keywright_cache_lease_held", "gauge"),
    ("keywright_cache_misses_total", "counter"),
    ("keywright_cluster_disagreements", "gauge"),
    ("keywright_cluster_nodes", "gauge"),
    ("keywright_degraded_actors", "gauge"),
    ("keywright_guard_refusals_total", "counter"),
    ("keywright_hasura_metadata_failures_total", "counter"),
    ("keywright_hasura_metadata_pending", "gauge"),
    ("keywright_housekeeping_busy_seconds_total", "counter"),
    ("keywright_housekeeping_lease_held", "gauge"),
    ("keywright_housekeeping_refused_rows_total", "counter"),
    ("keywright_housekeeping_removed_rows_total", "counter"),
    ("keywright_housekeeping_vacuum_seconds_total", "counter"),
    ("keywright_housekeeping_vacuums_total", "counter"),
    ("keywright_http_bodies_refused_total", "counter"),
    ("keywright_http_connections_closed_total", "counter"),
    ("keywright_http_connections_parked_total", "counter"),
    ("keywright_http_connections_refused_total", "counter"),
    ("keywright_http_failures_total", "counter"),
    ("keywright_http_request_duration_seconds", "histogram"),
    ("keywright_http_requests_in_flight", "gauge"),
    ("keywright_http_requests_shed_total", "counter"),
    ("keywright_http_requests_total", "counter"),
    ("keywright_limits_alone_total", "counter"),
    ("keywright_limits_shared", "gauge"),
    ("keywright_mail_deliveries_total", "counter"),
    ("keywright_mail_delivery_duration_seconds", "histogram"),
    ("keywright_mail_oldest_seconds", "gauge"),
    ("keywright_mail_queued", "gauge"),
    ("keywright_mail_tasks_in_flight", "gauge"),
    ("keywright_password_hash_rest_seconds_total", "counter"),
    ("keywright_pool_acquire_duration_seconds", "histogram"),
    ("keywright_pool_acquire_timeouts_total", "counter"),
    ("keywright_pool_connections", "gauge"),
    ("keywright_pool_connections_max", "gauge"),
    ("keywright_security_events_total", "counter"),
    ("keywright_signing_key_failures_total", "counter"),
    ("keywright_signing_key_steps_total", "counter"),
    ("keywright_signing_keys", "gauge"),
    ("keywright_sms_total", "counter"),
    ("keywright_tree_standing", "gauge"),
];

/// Of Linux.
const PROCESS: &[(&str, &str)] = &[
    ("process_cpu_seconds_total", "counter"),
    ("process_max_fds", "gauge"),
    ("process_open_fds", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
    ("process_threads", "gauge"),
    ("process_virtual_memory_bytes", "gauge"),
];

#[tokio::test]
async fn every_family_is_there_with_help_and_samples() {
    let app = TestApp::start(&with_admin(&[])).await;
    let session = app.anonymous().await;
    app.refresh(session.refresh_token()).await.session();
    let response = Operator::of(&app).get("/metrics").await;
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let metrics = Operator::of(&app).metrics().await;
    let seen: Vec<_> = metrics
        .kinds
        .iter()
        .filter(|(name, _)| name.starts_with("keywright_"))
        .map(|(name, kind)| (name.as_str(), kind.as_str()))
        .collect();
    assert_eq!(seen, FAMILIES);
    if cfg!(target_os = "linux") {
        for (name, kind) in PROCESS {
            if *name != "process_max_fds" {
                assert_eq!(metrics.kinds.get(*name).map(String::as_str), Some(*kind), "{name}");
            }
        }
    }
    for family in metrics.kinds.keys() {
        assert!(metrics.helps[family].len() > 5, "{family}");
        let sampled = metrics.samples.keys().any(|name| name.starts_with(family.as_str()));
        assert!(sampled, "{family}");
    }
    let build = format!("keywright_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(metrics.count(&build), 1);
}

/// The names of our metrics in a text, without what histograms append.
fn named(text: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_name(c))
        .filter(|word| word.starts_with("keywright_") && word.len() > "keywright_".len())
        .map(|word| {
            let of_histogram = |suffix| word.strip_suffix(suffix);
            let family = ["_bucket", "_sum", "_count"].into_iter().find_map(of_histogram);
            family.unwrap_or(word)
        })
        .collect()
}

#[test]
fn dashboard_and_documentation_speak_of_metrics_that_exist() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let known: Vec<_> = FAMILIES.iter().map(|(name, _)| *name).collect();
    let dashboard = read("grafana-dashboard.json");
    serde_json::from_str::<serde_json::Value>(&dashboard).unwrap();
    let shown = named(&dashboard);
    for name in shown.iter().copied().chain(named(&read("operations.md"))) {
        assert!(known.contains(&name), "{name}");
    }
    let unseen = known.iter().filter(|name| !shown.contains(name));
    let unseen: Vec<_> = unseen.copied().collect();
    // What others imply, or what no graph needs.
    let left_out = [
        "keywright_actor_calls_in_flight_max",
        "keywright_cache_entries",
        "keywright_hasura_metadata_failures_total",
        "keywright_hasura_metadata_pending",
        "keywright_http_connections_parked_total",
        "keywright_limits_alone_total",
        "keywright_mail_delivery_duration_seconds",
        "keywright_mail_tasks_in_flight",
        "keywright_tree_standing",
    ];
    assert_eq!(unseen, left_out);
}

/// Requests of a route by the class of their status.
fn requests(metrics: &Metrics, method: &str, route: &str, status: &str) -> i64 {
    metrics.count(&format!(
        "keywright_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
    ))
}

#[tokio::test]
async fn requests_count_by_route_and_never_by_what_clients_send() {
    let app = TestApp::start(&with_admin(&[("AUTH_API_PREFIX", "/v1")])).await;
    let operator = Operator::of(&app);
    let before = operator.metrics().await;
    assert_eq!(requests(&before, "POST", "/v1/token", "2xx"), 0, "counters begin with zero");
    let session = app.post("/v1/signin/anonymous", json!({})).await.session();
    for _ in 0..3 {
        app.post("/v1/token", json!({"refreshToken": "nonsense"})).await;
    }
    app.post("/v1/token", json!({"refreshToken": session.refresh_token()})).await.session();
    app.get("/v1/no/such/path").await.assert_refused(404, "not-found");
    app.get("/v1/token").await.assert_refused(405, "method-not-allowed");
    app.get("/v1/verify?ticket=secret&type=emailVerify").await;

    let response = operator.get("/metrics").await;
    for text in ["no/such/path", "secret", "ticket="] {
        assert!(!response.text.contains(text), "{text}");
    }
    let metrics = operator.metrics().await;
    assert_eq!(requests(&metrics, "POST", "/v1/token", "2xx"), 1);
    assert_eq!(requests(&metrics, "POST", "/v1/token", "4xx"), 3);
    assert_eq!(requests(&metrics, "any", "unmatched", "4xx"), 2);
    let latency = "keywright_http_request_duration_seconds";
    let of_route = "{method=\"POST\",route=\"/v1/token\"}";
    assert_eq!(metrics.count(&format!("{latency}_count{of_route}")), 4);
    assert!(metrics.value(&format!("{latency}_sum{of_route}")) > 0.0);
    let all = format!("{latency}_bucket{{method=\"POST\",route=\"/v1/token\",le=\"+Inf\"}}");
    assert_eq!(metrics.count(&all), 4);
}

#[tokio::test]
async fn caches_count_hits_and_misses() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    eventually("the lease", async || {
        operator.metrics().await.count("keywright_cache_lease_held") == 1
    })
    .await;
    let hits = |metrics: &Metrics, cache: &str| {
        metrics.count(&format!("keywright_cache_hits_total{{cache=\"{cache}\"}}"))
    };
    let misses = |metrics: &Metrics, cache: &str| {
        metrics.count(&format!("keywright_cache_misses_total{{cache=\"{cache}\"}}"))
    };
    let mut session = app.anonymous().await;
    session = app.refresh(session.refresh_token()).await.session();
    let before = operator.metrics().await;
    for _ in 0..4 {
        session = app.refresh(session.refresh_token()).await.session();
    }
    let after = operator.metrics().await;
    for cache in ["sessions", "users"] {
        assert_eq!(hits(&after, cache) - hits(&before, cache), 4, "{cache}");
        assert_eq!(misses(&after, cache), misses(&before, cache), "{cache}");
    }
    let batches = "keywright_batch_size_count{actor=\"session_registry/shard-0\",lane=\"rotate\"}";
    assert_eq!(after.count(batches), 5);
}

#[tokio::test]
async fn security_events_and_guards_are_counted() {
    let app = TestApp::start(&with_admin(&[("AUTH_ACCOUNT_ATTEMPTS", "2")])).await;
    let operator = Operator::of(&app);
    let first = app.anonymous().await;
    app.refresh(first.refresh_token()).await.session();
    app.clock.advance(time::Duration::minutes(5));
    app.refresh(first.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    for _ in 0..2 {
        app.sign_in("nobody@example.com", PASSWORD)
            .await
            .assert_refused(401, "invalid-email-password");
    }
    let refused = app.sign_in("nobody@example.com", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let metrics = operator.metrics().await;
    let reuse = "keywright_security_events_total{event=\"refresh-token-reuse\"}";
    assert_eq!(metrics.count(reuse), 1);
    assert_eq!(metrics.count("keywright_guard_refusals_total{guard=\"attempts\"}"), 1);
    assert_eq!(metrics.count("keywright_guard_refusals_total{guard=\"rate-limit\"}"), 0);
}

#[tokio::test]
async fn waits_for_connections_are_measured_and_those_given_up_are_counted() {
    let few = [("AUTH_POSTGRES_MAX_CONNECTIONS", "3"), ("AUTH_POSTGRES_ACQUIRE_TIMEOUT", "200ms")];
    let app = TestApp::start(&with_admin(&few)).await;
    let operator = Operator::of(&app);
    app.anonymous().await;
    let waits = "keywright_pool_acquire_duration_seconds_count";
    let before = operator.metrics().await.count(waits);
    let mut held = Vec::new();
    while let Ok(connection) = app.app().pool.acquire().await {
        held.push(connection);
    }
    let response = app.post("/signin/anonymous", json!({})).await;
    drop(held);
    response.assert_refused(503, "service-unavailable");
    let metrics = operator.metrics().await;
    assert!(metrics.count(waits) >= before + 3, "{metrics:?}");
    assert!(metrics.count("keywright_pool_acquire_timeouts_total") >= 2);
    assert_eq!(metrics.count("keywright_http_failures_total{kind=\"pool-timeout\"}"), 1);
}

#[tokio::test]
async fn failures_of_a_provider_that_a_redirect_tells_of_are_counted() {
    let social = Social::start(&["github"], &with_admin(&[])).await;
    let operator = Operator::of(&social.app);
    let failures =
        async || operator.metrics().await.count("keywright_http_failures_total{kind=\"provider\"}");
    // That a person says no is no failure.
    social.providers.at("github").refuse(&[("error", "access_denied")]);
    social.sign_in("github", &[]).await.error();
    assert_eq!(failures().await, 0);
    social.providers.at("github").allow();
    social.providers.at("github").fail(Endpoint::Token, Fault::Close);
    social.sign_in("github", &[]).await.error();
    assert_eq!(failures().await, 1);
}

#[test]
fn every_security_event_that_is_logged_is_counted() {
    fn visit(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if std::fs::read_to_string(&path).unwrap().contains("security_event = \"") {
                found.push(path.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    visit(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.is_empty(), "log the name that SecurityEvents::note gives back: {found:?}");
}

#[tokio::test]
async fn mail_is_counted_on_its_way() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&with_admin(&[]))).await;
    let operator = Operator::of(&app);
    app.sign_up("ann@example.com").await;
    let sent = "keywright_mail_deliveries_total{outcome=\"sent\"}";
    eventually("a sent mail", async || operator.metrics().await.count(sent) >= 1).await;
    eventually("an empty outbox", async || {
        operator.metrics().await.count("keywright_mail_queued") == 0
    })
    .await;
    let metrics = operator.metrics().await;
    assert_eq!(
        metrics.count("keywright_mail_delivery_duration_seconds_count"),
        metrics.count(sent)
    );
}

#[tokio::test]
async fn failures_are_counted_by_kind_and_metrics_are_there_without_postgres() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    let name = app.database.name().to_owned();
    let elsewhere = crate::support::postgres::TestDatabase::empty().await;
    elsewhere
        .execute(&format!(
            "alter database {name} with allow_connections false;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}';"
        ))
        .await;
    app.post("/signin/anonymous", json!({})).await.assert_refused(503, "service-unavailable");
    let metrics = operator.metrics().await;
    assert_eq!(metrics.count("keywright_http_failures_total{kind=\"postgres\"}"), 1);
    assert!(!metrics.samples.contains_key("keywright_mail_queued"), "nobody knows");
    eventually("the end of the lease", async || {
        operator.metrics().await.count("keywright_cache_lease_held") == 0
    })
    .await;
}
