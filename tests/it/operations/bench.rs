//! `keywright bench refresh` against small servers that speak the shape of the contract.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by panicking")]

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::FromArgMatches as _;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keywright_bench::args::{BaselineArgs, BenchArgs, BenchCommand, RefreshArgs};
use keywright_bench::baseline::baseline;
use keywright_bench::command;
use keywright_bench::commands::refresh::refresh;
use keywright_bench::control::Control;
use keywright_bench::report::Report;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

/// What the server does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Forgets a session at every hundredth refresh.
    Forgets,
    /// Answers 503 at every tenth refresh.
    Overloaded,
    /// Cuts every tenth connection instead of answering.
    Cuts,
    /// Never answers a refresh after the first.
    Hangs,
    /// Refuses anonymous users, and wants addresses verified.
    NeedsAccount,
    /// Signs anonymous users in and does not refresh them; sign-up works.
    AnonymousUnverified,
    /// Says 429 to the first five sign-ins.
    Throttles,
    /// Was built for development.
    DevBuild,
}

struct FakeServer {
    url: String,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

struct Seen {
    fault: Fault,
    delay: Duration,
    valid: Mutex<HashSet<String>>,
    refreshes: AtomicU64,
    sign_ins: AtomicU64,
    sign_ups: AtomicU64,
}

impl FakeServer {
    async fn start(fault: Fault) -> Self {
        Self::with_delay(fault, Duration::ZERO).await
    }

    async fn with_delay(fault: Fault, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (valid, refreshes) = (Mutex::default(), AtomicU64::new(0));
        let (sign_ins, sign_ups) = (AtomicU64::new(0), AtomicU64::new(0));
        let seen = Arc::new(Seen { fault, delay, valid, refreshes, sign_ins, sign_ups });
        let server = Arc::clone(&seen);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&server);
                let service = service_fn(move |request| Arc::clone(&seen).answer(request));
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move {
                    let _ = serving.await;
                });
            }
        });
        Self { url, seen, _tasks: tasks }
    }
}

impl Seen {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let path = request.uri().path().to_owned();
        if path == "/v1/version" {
            return Ok(self.version());
        }
        assert_eq!(request.headers()["content-type"], "application/json");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        match path.as_str() {
            "/v1/signin/anonymous" => {
                let before = self.sign_ins.fetch_add(1, Ordering::Relaxed);
                match self.fault {
                    Fault::NeedsAccount => Ok(refusal(409, "disabled-endpoint")),
                    Fault::Throttles if before < 5 => Ok(refusal(429, "too-many")),
                    _ => Ok(self.session("anonymous-")),
                }
            }
            "/v1/signup/email-password" => {
                self.sign_ups.fetch_add(1, Ordering::Relaxed);
                assert!(body["email"].as_str().unwrap().ends_with("@example.com"));
                if self.fault == Fault::NeedsAccount {
                    return Ok(reply(StatusCode::OK, &json!({})));
                }
                Ok(self.session(""))
            }
            "/v1/signin/email-password" if body["password"] == "right horse" => {
                Ok(self.session(""))
            }
            "/v1/signin/email-password" => Ok(refusal(401, "invalid-email-password")),
            "/v1/token" => self.refresh(body["refreshToken"].as_str().unwrap()).await,
            other => panic!("unexpected path {other}"),
        }
    }

    /// Names a profile if nothing is wrong but that.
    fn version(&self) -> Response<Full<Bytes>> {
        let mut response = reply(StatusCode::OK, &json!({ "version": "0.0.0" }));
        let profile = match self.fault {
            Fault::None => "dist",
            Fault::DevBuild => "dev",
            _ => return response,
        };
        response.headers_mut().insert("x-keywright-profile", HeaderValue::from_static(profile));
        response
    }

    fn session(&self, kind: &str) -> Response<Full<Bytes>> {
        let token = self.fresh(kind);
        reply(StatusCode::OK, &json!({ "session": { "refreshToken": token } }))
    }

    fn fresh(&self, kind: &str) -> String {
        let token = format!("{kind}{}", Uuid::new_v4());
        self.valid.lock().unwrap().insert(token.clone());
        token
    }

    async fn refresh(&self, token: &str) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let number = self.refreshes.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.delay.is_zero() {
            let _ = tokio::time::timeout(self.delay, std::future::pending::<()>()).await;
        }
        match self.fault {
            Fault::Overloaded if number.is_multiple_of(10) => {
                return Ok(refusal(503, "service-unavailable"));
            }
            Fault::Cuts if number.is_multiple_of(10) => {
                return Err(std::io::Error::other("cut"));
            }
            Fault::Hangs if number > 1 => std::future::pending::<()>().await,
            Fault::AnonymousUnverified if token.starts_with("anonymous-") => {
                return Ok(refusal(401, "unverified-user"));
            }
            _ => {}
        }
        let known = self.valid.lock().unwrap().remove(token);
        if !known || (self.fault == Fault::Forgets && number.is_multiple_of(100)) {
            return Ok(refusal(401, "invalid-refresh-token"));
        }
        let next = self.fresh("");
        let body = json!({
            "accessToken": "e".repeat(600), "refreshTokenId": "wrong", "refreshToken": next,
            "user": { "metadata": { "refreshToken": "wrong" } },
        });
        Ok(reply(StatusCode::OK, &body))
    }
}

fn refusal(status: u16, code: &str) -> Response<Full<Bytes>> {
    let body = json!({ "error": code, "status": status, "message": "no" });
    reply(StatusCode::from_u16(status).unwrap(), &body)
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
}

fn parse(line: &[&str]) -> BenchCommand {
    let matches = command().try_get_matches_from(line).unwrap();
    BenchArgs::from_arg_matches(&matches).unwrap().what
}

fn refresh_args(url: &str, more: &[&str]) -> RefreshArgs {
    let mut line = vec!["bench", "refresh", "--url", url, "--warmup", "0"];
    line.extend(more);
    match parse(&line) {
        BenchCommand::Refresh(args) => *args,
        _ => unreachable!("the line says refresh"),
    }
}

async fn run(url: &str, more: &[&str]) -> anyhow::Result<Report> {
    refresh(&refresh_args(url, more), &Control::new(|_| ())).await
}

#[tokio::test]
async fn a_good_server_loses_nothing_and_figures_agree_with_what_it_saw() {
    let server = FakeServer::start(Fault::None).await;
    let pid = format!("self={}", std::process::id());
    let more = ["--sessions", "1,8", "--seconds", "0.4", "--threads", "2", "--pid", &pid];
    let report = run(&server.url, &more).await.unwrap();

    assert_eq!(server.seen.sign_ins.load(Ordering::Relaxed), 8);
    let counts: Vec<usize> = report.results.iter().map(|figures| figures.sessions).collect();
    assert_eq!(counts, [1, 8]);
    let requests: u64 = report.results.iter().map(|figures| figures.requests).sum();
    // One more, which tried out the first session.
    assert_eq!(requests + 1, server.seen.refreshes.load(Ordering::Relaxed));
    assert_eq!(report.lost_sessions(), 0);
    for figures in &report.results {
        assert!(figures.errors.is_empty(), "{:?}", figures.errors);
        assert!((0.39..1.0).contains(&figures.seconds), "{}", figures.seconds);
        assert!(figures.per_second > 10.0);
        let latency = &figures.latency_ms;
        assert!(latency.p50 > 0.0 && latency.p50 <= latency.p99 && latency.p99 <= latency.max);
        assert_eq!(figures.cpu[0].name, "self");
    }
}

#[tokio::test]
async fn a_lost_session_is_counted_once_and_not_used_again() {
    let server = FakeServer::start(Fault::Forgets).await;
    let report = run(&server.url, &["--sessions", "3", "--seconds", "1"]).await.unwrap();
    assert_eq!(report.lost_sessions(), 3);
    assert!(report.results[0].errors.is_empty());
    assert_eq!(server.seen.refreshes.load(Ordering::Relaxed), 300);
    assert!(report.table().contains("3 SESSIONS LOST"));
}

#[tokio::test]
async fn refusals_and_cut_connections_are_told_apart_and_survived() {
    let server = FakeServer::start(Fault::Overloaded).await;
    let report = run(&server.url, &["--sessions", "4", "--seconds", "0.4"]).await.unwrap();
    let errors = &report.results[0].errors;
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["503 service-unavailable"]);
    assert!(errors.values().all(|&count| count > 1));
    assert_eq!(report.lost_sessions(), 0);

    let server = FakeServer::start(Fault::Cuts).await;
    let report = run(&server.url, &["--sessions", "4", "--seconds", "0.4"]).await.unwrap();
    let errors = &report.results[0].errors;
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["connection broken"]);
    assert!(report.results[0].requests > 20);
    assert_eq!(report.lost_sessions(), 0);
}

#[tokio::test]
async fn a_server_that_hangs_ends_the_run_in_time() {
    let server = FakeServer::start(Fault::Hangs).await;
    let begun = Instant::now();
    let more = ["--sessions", "1", "--seconds", "0.3", "--timeout", "0.2"];
    let report = run(&server.url, &more).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(report.results[0].requests, 0);
    assert!(report.results[0].errors["time-out"] >= 1);
}

#[tokio::test]
async fn two_servers_are_compared_in_one_run() {
    let fast = FakeServer::start(Fault::None).await;
    let slow = FakeServer::with_delay(Fault::None, Duration::from_millis(20)).await;
    let more = ["--sessions", "2", "--seconds", "0.6", "--against", &slow.url];
    let report = run(&fast.url, &more).await.unwrap();
    let ratio = report.ratios[0];
    assert!(ratio.throughput.unwrap() > 2.0, "{ratio:?}");
    assert!(ratio.p99.unwrap() < 1.0, "{ratio:?}");
    assert!(report.table().contains("A/B at 2 sessions: throughput"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["ratios"][0]["sessions"], 2);
    assert_eq!(json["results"][1]["server"], "B");
}

#[tokio::test]
async fn the_profile_of_each_server_is_reported_and_a_dev_build_is_warned_of() {
    let good = FakeServer::start(Fault::None).await;
    let dev = FakeServer::start(Fault::DevBuild).await;
    let more = ["--sessions", "1", "--seconds", "0.1", "--against", &dev.url];
    let report = run(&good.url, &more).await.unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["server_profile"], "dist");
    assert_eq!(json["against_profile"], "dev");
    let table = report.table();
    assert!(table.contains("(profile dist)") && table.contains("(profile dev)"), "{table}");
    assert!(table.contains("B: WARNING: results of a dev build say little"), "{table}");
    assert!(!table.contains("A: WARNING"), "{table}");
}

#[tokio::test]
async fn a_server_that_names_no_profile_is_measured_without_one() {
    let server = FakeServer::start(Fault::Throttles).await;
    let report = run(&server.url, &["--sessions", "1", "--seconds", "0.1"]).await.unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["server_profile"].is_null() && json["against_profile"].is_null());
    let table = report.table();
    assert!(table.contains("(profile unknown)") && !table.contains("WARNING"), "{table}");
}

#[tokio::test]
async fn sessions_come_from_the_first_way_whose_session_refreshes() {
    let server = FakeServer::start(Fault::AnonymousUnverified).await;
    let report = run(&server.url, &["--sessions", "5", "--seconds", "0.1"]).await.unwrap();
    assert_eq!(server.seen.sign_ins.load(Ordering::Relaxed), 1);
    assert_eq!(server.seen.sign_ups.load(Ordering::Relaxed), 5);
    assert!(report.results[0].requests > 0);
}

#[tokio::test]
async fn without_any_way_the_message_says_what_to_configure() {
    let server = FakeServer::start(Fault::NeedsAccount).await;
    let error = run(&server.url, &["--sessions", "2"]).await.unwrap_err().to_string();
    for part in ["409 disabled-endpoint", "without a session", "AUTH_ANONYMOUS_USERS_ENABLED"] {
        assert!(error.contains(part), "{error}");
    }
    let account = ["--email", "a@example.com", "--password", "right horse"];
    let more = [&["--sessions", "2", "--seconds", "0.1"], &account[..]].concat();
    assert!(run(&server.url, &more).await.unwrap().results[0].requests > 0);
}

#[tokio::test]
async fn a_server_that_throttles_sign_ins_is_waited_for() {
    let server = FakeServer::start(Fault::Throttles).await;
    let report = run(&server.url, &["--sessions", "2", "--seconds", "0.1"]).await.unwrap();
    assert!(report.results[0].requests > 0);
}

#[tokio::test]
async fn a_stopped_run_gives_the_figures_so_far() {
    let server = FakeServer::start(Fault::None).await;
    let args = refresh_args(&server.url, &["--sessions", "2,4", "--seconds", "60"]);
    let control = Control::new(|_| ());
    let stop = Arc::clone(&control.stop);
    let mut tasks = JoinSet::new();
    let (stopper, seen) = (Arc::clone(&stop), Arc::clone(&server.seen));
    tasks.spawn(async move {
        while seen.refreshes.load(Ordering::Relaxed) < 100 {
            tokio::task::yield_now().await;
        }
        stopper.store(true, Ordering::Relaxed);
        Ok::<_, Infallible>(())
    });
    let report = refresh(&args, &control).await.unwrap();
    assert!(report.interrupted);
    assert_eq!(report.results.len(), 1);
    assert!(report.results[0].requests >= 90 && report.results[0].seconds < 30.0);
}

#[tokio::test]
async fn a_process_that_does_not_exist_is_named() {
    let server = FakeServer::start(Fault::None).await;
    let error = run(&server.url, &["--pid", "ghost=4000000000"]).await.unwrap_err().to_string();
    assert!(error.contains("ghost=4000000000"), "{error}");
}

#[tokio::test]
async fn the_baseline_measures_responses_and_signatures_without_a_database() {
    let line = ["bench", "baseline", "--sessions", "1,4", "--seconds", "0.1"];
    let BenchCommand::Baseline(args) = parse(&line) else { unreachable!("the line says baseline") };
    let args: BaselineArgs = *args;
    let report = baseline(&args, Arc::new(AtomicBool::new(false))).await.unwrap();
    assert!(report.responses.iter().all(|response| response.client.requests > 0));
    assert_eq!(report.responses.len(), 2);
    assert_eq!(report.signatures.len(), 4);
    assert!(report.updates.is_none());
    assert!(report.table().contains("RS256"));
}
