//! Traces, as an OpenTelemetry collector receives them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use reqwest::Method;
use serde_json::json;

use crate::support::app::Client;
use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_ID: &str = "00f067aa0ba902b7";

/// A collector, and a server that sends traces to it at once.
struct Setup {
    collector: HttpSimulator,
    server: ServerProcess,
    database: TestDatabase,
}

impl Setup {
    async fn start(more: &[(&str, &str)]) -> Self {
        let collector = HttpSimulator::start(Reply::empty(200)).await;
        let database = TestDatabase::new().await;
        let url = collector.url.clone();
        let mut settings =
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
        settings.extend_from_slice(more);
        let server = ServerProcess::start(&database, &settings).await;
        Self { collector, server, database }
    }

    fn client(&self) -> &Client {
        self.server.client()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let asked = self.collector.asked().into_iter();
        asked.map(|asked| ExportTraceServiceRequest::decode(asked.bytes).unwrap()).collect()
    }

    /// Every span so far.
    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The spans of this name, once there are some.
    async fn named(&self, name: &str) -> Vec<Span> {
        let named =
            || -> Vec<Span> { self.spans().into_iter().filter(|span| span.name == name).collect() };
        eventually(name, async || !named().is_empty()).await;
        named()
    }

    /// The span of this name below another one, once it is there.
    async fn child(&self, parent: &Span, name: &str) -> Span {
        let child = || {
            let mut spans = self.spans().into_iter();
            spans.find(|span| span.parent_span_id == parent.span_id && span.name == name)
        };
        eventually(name, async || child().is_some()).await;
        child().unwrap()
    }
}

/// An id as headers write it.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// An attribute as text.
fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

#[tokio::test]
async fn a_request_is_a_span_below_its_caller_with_calls_and_statements_below_it() {
    let setup = Setup::start(&[
        ("OTEL_SERVICE_NAME", "auth-of-a-test"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20key"),
    ])
    .await;
    let session = setup.client().sign_up("ann@example.com").await.session();
    let traceparent = format!("00-{TRACE_ID}-{PARENT_ID}-01");
    let request = setup
        .client()
        .request(Method::POST, "/token")
        .header("traceparent", traceparent)
        .header("x-request-id", "request-of-a-test")
        .json(&json!({"refreshToken": session.refresh_token()}));
    Client::send(request).await.session();

    let refresh = setup.named("POST /token").await.remove(0);
    assert_eq!(
        (hex(&refresh.trace_id), hex(&refresh.parent_span_id)),
        (TRACE_ID.into(), PARENT_ID.into())
    );
    assert_eq!(refresh.kind(), SpanKind::Server);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/token"),
        ("http.response.status_code", "200"),
        ("request.id", "request-of-a-test"),
        ("client.address", "127.0.0.1"),
    ] {
        assert_eq!(attribute(&refresh.attributes, name).as_deref(), Some(value), "{name}");
    }
    assert!(refresh.end_time_unix_nano > refresh.start_time_unix_nano);
    let call = setup.child(&refresh, "session registry").await;
    assert_eq!(call.trace_id, refresh.trace_id);

    let sign_up = setup.named("POST /signup/email-password").await.remove(0);
    assert_ne!(hex(&sign_up.trace_id), TRACE_ID);
    assert!(sign_up.parent_span_id.is_empty(), "nobody called it");
    let insert = setup.child(&sign_up, "sql with").await;
    let text = attribute(&insert.attributes, "db.query.text").unwrap();
    assert!(text.contains("auth.") && text.contains("$1"), "{text}");
    assert_eq!(insert.kind(), SpanKind::Client);
    assert!(insert.start_time_unix_nano >= sign_up.start_time_unix_nano);

    let resource = setup.requests()[0].resource_spans[0].resource.clone().unwrap();
    for (name, value) in [
        ("service.name", "auth-of-a-test"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment", "test"),
    ] {
        assert_eq!(attribute(&resource.attributes, name).as_deref(), Some(value), "{name}");
    }
    let asked = setup.collector.asked();
    assert!(asked.iter().all(|asked| asked.path == "/v1/traces"));
    assert_eq!(asked[0].header("api-key"), Some("a key"));
    assert_eq!(asked[0].header("content-type"), Some("application/x-protobuf"));
    for asked in &asked {
        assert!(!asked.body.contains(session.refresh_token()), "no secrets in traces");
    }
}

#[tokio::test]
async fn a_failure_marks_its_span_and_a_path_is_never_more_than_its_route() {
    let setup = Setup::start(&[]).await;
    setup.client().get("/verify?ticket=emailVerify:a-secret-ticket&type=emailVerify").await;
    let name = setup.database.name();
    let elsewhere = TestDatabase::empty().await;
    elsewhere
        .execute(&format!(
            "alter database {name} with allow_connections false;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}';"
        ))
        .await;
    let response = setup.client().post("/signin/anonymous", json!({})).await;
    response.assert_refused(503, "service-unavailable");
    let failed = setup.named("POST /signin/anonymous").await.remove(0);
    assert_eq!(failed.status.clone().unwrap().code, 2, "{failed:?}");
    let verified = setup.named("GET /verify").await.remove(0);
    assert_eq!(verified.status.unwrap_or_default().code, 0);
    for asked in setup.collector.asked() {
        assert!(!asked.body.contains("a-secret-ticket"));
    }
}

#[tokio::test]
async fn a_caller_that_is_not_sampled_decides_for_the_request() {
    let setup = Setup::start(&[]).await;
    let unsampled = format!("00-{TRACE_ID}-{PARENT_ID}-00");
    let request = setup.client().request(Method::GET, "/version");
    Client::send(request.header("traceparent", unsampled)).await;
    setup.client().get("/healthz").await.assert_ok();
    setup.named("GET /healthz").await;
    assert!(setup.spans().iter().all(|span| span.name != "GET /version"));
}

#[tokio::test]
async fn a_stopping_server_sends_what_it_has() {
    let mut setup = Setup::start(&[("OTEL_BSP_SCHEDULE_DELAY", "3600000")]).await;
    setup.client().get("/version").await;
    assert!(setup.collector.asked().is_empty());
    setup.server.signal(rustix::process::Signal::TERM);
    assert_eq!(setup.server.wait().await, Some(0));
    assert!(setup.spans().iter().any(|span| span.name == "GET /version"));
}

#[tokio::test]
async fn a_collector_that_is_gone_disturbs_nobody_and_is_reported_once() {
    let setup = Setup::start(&[]).await;
    setup.collector.say(Reply::empty(400));
    let said = |text: &str| setup.server.log().iter().filter(|entry| entry["msg"] == text).count();
    eventually("a failed export", async || {
        setup.client().anonymous().await;
        said("traces cannot be sent") == 1
    })
    .await;
    let before = setup.collector.asked().len();
    eventually("more of them", async || {
        setup.client().anonymous().await;
        setup.collector.asked().len() >= before + 3
    })
    .await;
    assert_eq!(said("traces cannot be sent"), 1);
    setup.collector.say(Reply::empty(200));
    eventually("a good one", async || {
        setup.client().anonymous().await;
        said("traces are sent again") == 1
    })
    .await;
}
