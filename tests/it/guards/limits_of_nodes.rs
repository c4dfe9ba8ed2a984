//! Limits of accounts and of clients are those of one server, however many nodes there are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use keywright::domain::clock::Clock;
use reqwest::Method;
use serde_json::json;
use sqlx::Connection as _;
use tokio::time::MissedTickBehavior;

use crate::support::admin::{Operator, with_admin};
use crate::support::app::{Client, PASSWORD, TestApp, TestResponse};
use crate::support::hex::hex;
use crate::support::postgres::TestDatabase;
use crate::support::smtp::eventually;
use crate::support::statements::Statements;

const WRONG: &str = "wrong-Passw0rd";
const ANN: &str = "ann@example.com";
const LIMIT: usize = 20;

/// Three servers on one database, with one clock, which stands at the beginning of a window.
async fn three(more: &[(&str, &str)]) -> Vec<TestApp> {
    let database = Arc::new(TestDatabase::new().await);
    let clock = Clock::system();
    let start = || TestApp::start_at(Arc::clone(&database), clock.clone(), more);
    let (one, two, three) = tokio::join!(start(), start(), start());
    to_next_window(&clock, 3_600);
    vec![one, two, three]
}

/// Moves the clock two windows on, to just after a turn.
fn to_next_window(clock: &Clock, seconds: i64) {
    let now = clock.now().unix_timestamp();
    clock.advance(time::Duration::seconds(3 * seconds - now % seconds));
}

/// An address that nobody had before.
fn address(number: usize) -> String {
    format!("198.51.{}.{}", 100 + number / 250, 1 + number % 250)
}

async fn sign_in(app: &Client, from: usize, email: &str, password: &str) -> TestResponse {
    let request = app
        .request(Method::POST, "/signin/email-password")
        .header("x-forwarded-for", address(from))
        .json(&json!({"email": email, "password": password}));
    Client::send(request).await
}

async fn assert_wrong(app: &Client, from: usize) {
    sign_in(app, from, ANN, WRONG).await.assert_refused(401, "invalid-email-password");
}

/// Until Postgres knows every outcome, which it is told after the response.
async fn outcomes_are_told(app: &TestApp) {
    let unknown = "select coalesce(sum(under_way), 0) from auth.keywright_counters";
    eventually("outcomes are told", async || app.database.count(unknown).await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_guesses_through_all_nodes_at_once_exactly_the_limit_is_judged() {
    let nodes = three(&[]).await;
    nodes[0].sign_up(ANN).await.session();
    for email in [ANN, "nobody@example.com"] {
        let guesses = (0..101).map(|n| sign_in(&nodes[n % 3], n, email, WRONG));
        let responses = join_all(guesses).await;
        let judged = responses.iter().filter(|response| response.status == 401).count();
        assert_eq!(judged, LIMIT, "{email}");
        for response in &responses {
            assert!([401, 429].contains(&response.status.as_u16()), "{response:?}");
        }
        for (n, node) in nodes.iter().enumerate() {
            let refused = sign_in(node, 200 + n, email, PASSWORD).await;
            refused.assert_refused(429, "too-many-requests");
            let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=1_800).contains(&wait), "{wait}");
        }
    }
    // The account opens again by itself, on all nodes.
    nodes[0].clock.advance(time::Duration::minutes(30));
    sign_in(&nodes[2], 300, ANN, PASSWORD).await.session();
}

#[tokio::test]
async fn a_success_on_one_node_starts_the_count_anew_on_all() {
    let nodes = three(&[("AUTH_ACCOUNT_ATTEMPTS", "3")]).await;
    nodes[0].sign_up(ANN).await.session();
    for round in 0..4 {
        let from = 10 * round;
        assert_wrong(&nodes[0], from).await;
        assert_wrong(&nodes[1], from + 1).await;
        outcomes_are_told(&nodes[0]).await;
        sign_in(&nodes[(2 + round) % 3], from + 2, ANN, PASSWORD).await.session();
    }
    for from in 100..103 {
        assert_wrong(&nodes[from % 3], from).await;
    }
    sign_in(&nodes[0], 103, ANN, PASSWORD).await.assert_refused(429, "too-many-requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn right_ones_on_all_nodes_at_once_do_not_hinder_each_other() {
    let nodes = three(&[("AUTH_ACCOUNT_ATTEMPTS", "2")]).await;
    nodes[0].sign_up(ANN).await.session();
    let right = (0..18).map(|n| sign_in(&nodes[n % 3], n, ANN, PASSWORD));
    for response in join_all(right).await {
        response.session();
    }
    // All places were given back.
    assert_wrong(&nodes[0], 50).await;
    assert_wrong(&nodes[1], 51).await;
    sign_in(&nodes[2], 52, ANN, WRONG).await.assert_refused(429, "too-many-requests");
}

#[tokio::test]
async fn attempts_that_could_not_be_judged_do_not_count_on_any_node() {
    let nodes = three(&[("AUTH_ACCOUNT_ATTEMPTS", "2")]).await;
    nodes[0].sign_up(ANN).await.session();
    let hidden = "alter table auth.users rename to users_elsewhere";
    nodes[0].database.execute(hidden).await;
    for from in 0..6 {
        let response = sign_in(&nodes[from % 3], from, ANN, PASSWORD).await;
        assert!(response.status.is_server_error(), "{response:?}");
    }
    nodes[0].database.execute("alter table auth.users_elsewhere rename to users").await;
    assert_wrong(&nodes[0], 10).await;
    sign_in(&nodes[1], 11, ANN, PASSWORD).await.session();
}

#[tokio::test]
async fn the_window_is_that_of_postgres_whatever_the_clock_of_a_node_says() {
    let database = Arc::new(TestDatabase::new().await);
    let limit = [("AUTH_ACCOUNT_ATTEMPTS", "3")];
    let (clock, wrong) = (Clock::system(), Clock::system());
    let right = TestApp::start_at(Arc::clone(&database), clock.clone(), &limit).await;
    let ahead = TestApp::start_at(database, wrong.clone(), &limit).await;
    right.sign_up(ANN).await.session();
    for clock in [&clock, &wrong] {
        to_next_window(clock, 3_600);
    }
    wrong.go_wrong(time::Duration::minutes(50));
    for from in 0..3 {
        assert_wrong(&ahead, from).await;
    }
    sign_in(&right, 3, ANN, PASSWORD).await.assert_refused(429, "too-many-requests");
    sign_in(&ahead, 4, ANN, PASSWORD).await.assert_refused(429, "too-many-requests");
    // A quarter into the next window, two of the three still count.
    for clock in [&clock, &wrong] {
        clock.advance(time::Duration::minutes(19));
    }
    assert_wrong(&ahead, 5).await;
    sign_in(&right, 6, ANN, PASSWORD).await.assert_refused(429, "too-many-requests");
}

#[tokio::test]
async fn the_table_tells_nobody_who_was_counted() {
    let nodes = three(&[("AUTH_RATE_LIMIT_ENABLE", "true")]).await;
    for _ in 0..4 {
        assert_wrong(&nodes[0], 7).await;
    }
    let database = &nodes[0].database;
    let rows = "select count(*) from auth.keywright_counters where node";
    assert_eq!(database.count(&format!("{rows} = 0")).await, 1);
    let told = async || database.count(&format!("{rows} <> 0")).await >= 1;
    eventually("the other nodes are told", told).await;
    let all = "select string_agg(c::text, ' ') from auth.keywright_counters c";
    let text = database.text(all).await.unwrap();
    let plain = [ANN.to_owned(), format!("Password:{ANN}"), address(7)];
    let hashed = plain.each_ref().map(|name| hex(digest(&SHA256, name.as_bytes())));
    let octets = hex([198, 51, 100, 8]);
    for known in plain.iter().chain(&hashed).chain([&octets]) {
        assert!(!text.contains(known), "{known} is in {text}");
    }
}

#[tokio::test]
async fn an_unlogged_table_that_was_emptied_starts_every_count_anew() {
    let nodes = three(&[("AUTH_ACCOUNT_ATTEMPTS", "3")]).await;
    nodes[0].sign_up(ANN).await.session();
    let kind = "select relpersistence::text from pg_class where relname = 'keywright_counters'";
    assert_eq!(nodes[0].database.text(kind).await.unwrap(), "u");
    for (from, node) in nodes.iter().enumerate() {
        assert_wrong(node, from).await;
    }
    // As after a crash of Postgres.
    nodes[0].database.execute("truncate auth.keywright_counters").await;
    for (from, node) in nodes.iter().enumerate() {
        assert_wrong(node, from).await;
    }
    sign_in(&nodes[1], 9, ANN, PASSWORD).await.assert_refused(429, "too-many-requests");
}

#[tokio::test]
async fn attempts_outlive_the_actor_that_counts_them() {
    let nodes = three(&[("AUTH_ACCOUNT_ATTEMPTS", "4")]).await;
    nodes[0].sign_up(ANN).await.session();
    for from in 0..4 {
        assert_wrong(&nodes[0], from).await;
        nodes[0].app().actors.rate_limiter.crash();
    }
    for (n, node) in nodes.iter().enumerate() {
        let refused = sign_in(node, 10 + n, ANN, PASSWORD).await;
        refused.assert_refused(429, "too-many-requests");
    }
}

#[tokio::test]
async fn nobody_waits_for_the_attempt_of_a_node_that_is_gone() {
    let nodes = three(&[("AUTH_ACCOUNT_ATTEMPTS", "3")]).await;
    nodes[0].sign_up(ANN).await.session();
    for (from, node) in nodes[..2].iter().enumerate() {
        assert_wrong(node, from).await;
    }
    let left_behind = "update auth.keywright_counters
                          set current = current + 1, under_way = 1,
                              counted_at = counted_at - interval '2 minutes'";
    outcomes_are_told(&nodes[0]).await;
    nodes[0].database.execute(left_behind).await;
    let began = Instant::now();
    sign_in(&nodes[2], 3, ANN, PASSWORD).await.assert_refused(429, "too-many-requests");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn while_postgres_does_not_answer_a_node_counts_alone_and_says_so() {
    const SHARED: &str = "keywright_limits_shared{kind=\"attempts\"}";
    let app = TestApp::start(&with_admin(&[("AUTH_ACCOUNT_ATTEMPTS", "3")])).await;
    to_next_window(&app.clock, 3_600);
    app.sign_up(ANN).await.session();
    let operator = Operator::of(&app);
    let shared = async || operator.metrics().await.count(SHARED);
    assert_wrong(&app, 0).await;
    assert_eq!(shared().await, 1);
    let mut holder = app.database.connection().await;
    let mut hold = holder.begin().await.unwrap();
    sqlx::query("lock table auth.keywright_counters").execute(&mut *hold).await.unwrap();
    let began = Instant::now();
    // The failure that it has seen before counts.
    for from in 1..3 {
        assert_wrong(&app, from).await;
    }
    sign_in(&app, 3, ANN, PASSWORD).await.assert_refused(429, "too-many-requests");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let metrics = operator.metrics().await;
    assert_eq!(metrics.count(SHARED), 0);
    assert_eq!(metrics.count("keywright_limits_shared{kind=\"requests\"}"), 1);
    assert!(metrics.count("keywright_limits_alone_total{kind=\"attempts\"}") >= 2);
    hold.rollback().await.unwrap();
    eventually("Postgres is asked again", async || shared().await == 1).await;
    sign_in(&app, 4, "bob@example.com", WRONG).await.assert_refused(401, "invalid-email-password");
    assert_eq!(app.database.count("select count(*) from auth.keywright_counters").await, 2);
}

#[tokio::test]
async fn an_account_costs_the_same_statements_whether_it_exists_or_not() {
    let direct = TestDatabase::new().await;
    let statements = Statements::to(&direct.url()).await;
    let app = TestApp::start_on(Arc::new(statements.way_to(&direct)), &[]).await;
    app.sign_up(ANN).await.session();
    let measure = async |email: &str, from: usize| {
        statements.begin();
        sign_in(&app, from, email, WRONG).await.assert_refused(401, "invalid-email-password");
        let mut noted = statements.noted();
        noted.sort_unstable();
        noted
    };
    measure(ANN, 0).await;
    let known = measure(ANN, 1).await;
    assert_eq!(known.iter().filter(|one| one.contains("keywright_counters")).count(), 1);
    assert_eq!(known, measure("nobody@example.com", 2).await);
}

/// What the response says is left of a limit.
fn left(response: &TestResponse, limit: &str) -> u32 {
    let header = response.header("ratelimit").unwrap();
    let of = header.split(", ").find(|one| one.starts_with(&format!("\"{limit}\""))).unwrap();
    of.split(";r=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap()
}

async fn ask(app: &Client, from: usize) -> TestResponse {
    let request = app.request(Method::POST, "/signin/pat").json(&json!({}));
    Client::send(request.header("x-forwarded-for", address(from))).await
}

#[tokio::test]
async fn requests_at_other_nodes_count_and_are_told_in_headers() {
    const BRUTE_FORCE: &str = "user-bruteforce";
    let settings = [
        ("AUTH_RATE_LIMIT_ENABLE", "true"),
        ("AUTH_RATE_LIMIT_GLOBAL_BURST", "10000"),
        ("AUTH_RATE_LIMIT_BRUTE_FORCE_BURST", "60"),
    ];
    let nodes = three(&settings).await;
    let mut asked = 0;
    for _ in 0..40 {
        ask(&nodes[0], 1).await;
        asked += 1;
    }
    // What it has not told yet is told by the next one.
    nodes[0].app().actors.rate_limiter.crash();
    // Each asks for itself until it has had a tenth; then it knows of the others.
    for node in &nodes[1..] {
        for _ in 0..6 {
            assert_ne!(ask(node, 1).await.status, 429);
            asked += 1;
        }
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let response = ask(node, 1).await;
            if response.status == 429 {
                break;
            }
            asked += 1;
            if left(&response, BRUTE_FORCE) == 60 - asked {
                break;
            }
            assert!(asked < 80, "{asked}");
        }
    }
    assert!((52..=60).contains(&asked), "{asked}");
    // Somebody else's count is their own.
    assert_eq!(left(&ask(&nodes[1], 2).await, BRUTE_FORCE), 59);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut passed = true;
    while passed {
        ticks.tick().await;
        passed = false;
        for node in &nodes {
            if ask(node, 1).await.status != 429 {
                passed = true;
                asked += 1;
            }
        }
        // What three nodes let pass before they have heard of each other.
        assert!(asked <= 60 + 3 * 5, "{asked} of 60");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_floods_all_nodes_gets_little_more_than_one_limit() {
    const EACH_MS: u64 = 5;
    const BURST: u64 = 600;
    let settings = [("AUTH_RATE_LIMIT_ENABLE", "true"), ("AUTH_RATE_LIMIT_GLOBAL_BURST", "600")];
    let nodes = three(&settings).await;
    let flood = nodes.iter().map(|node| async move {
        let (mut passed, mut refused) = (0_u64, 0);
        let mut ticks = tokio::time::interval(Duration::from_millis(EACH_MS));
        // A machine that was busy makes up for nothing.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while refused < 20 && passed < BURST {
            ticks.tick().await;
            let request = node.request(Method::GET, "/version");
            let response = Client::send(request.header("x-forwarded-for", address(1))).await;
            if response.status == 429 { refused += 1 } else { passed += 1 }
        }
        passed
    });
    let passed: u64 = join_all(flood).await.iter().sum();
    // 200 ms of three nodes, and as much again for a machine that is busy.
    let overshoot = 3 * 400 / EACH_MS;
    assert!((BURST..=BURST + overshoot).contains(&passed), "{passed} of {BURST}");
}

#[tokio::test]
async fn below_a_tenth_of_a_limit_no_statement_is_about_it() {
    let direct = TestDatabase::new().await;
    let statements = Statements::to(&direct.url()).await;
    let settings = [("AUTH_RATE_LIMIT_ENABLE", "true"), ("AUTH_RATE_LIMIT_GLOBAL_BURST", "50")];
    let app = TestApp::start_on(Arc::new(statements.way_to(&direct)), &settings).await;
    to_next_window(&app.clock, 3_600);
    let told = || {
        let noted = statements.noted();
        noted.iter().filter(|one| one.contains("keywright_counters")).count()
    };
    let session = app.anonymous().await;
    let mut token = session.refresh_token().to_owned();
    statements.begin();
    for _ in 0..4 {
        token = app.refresh(&token).await.session().refresh_token().to_owned();
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(110));
    for _ in 0..3 {
        ticks.tick().await;
    }
    assert_eq!(told(), 0, "{:?}", statements.noted());
    app.refresh(&token).await.session();
    eventually("the other nodes are told", async || told() == 1).await;
    for _ in 0..3 {
        ticks.tick().await;
    }
    assert_eq!(told(), 1, "there was nothing more to say");
}
