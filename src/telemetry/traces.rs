//! Sends spans to an OpenTelemetry collector, if the settings name one.
//!
//! Spans are made with `tracing` where the work is: one a request (`http/span.rs`), one a call of an
//! actor (`actors/handle.rs`). Statements become spans here, from what sqlx says about each of them,
//! so that no SQL has to know. Without a collector no layer wants spans, and `tracing` makes none.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use opentelemetry::trace::{
    Span as _, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context as OtelContext, KeyValue};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Event, Subscriber};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::config::{TraceSampler, TracesConfig};

/// What sqlx calls its events about statements.
const STATEMENTS: &str = "sqlx::query";

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: traces cannot be sent: {0}")]
    Exporter(#[from] ExporterBuildError),
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Holds spans until they are sent.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Ready to send; `None` without a collector. Must be called inside a Tokio runtime.
    pub fn start(config: &TracesConfig) -> Result<Option<Self>, TracesError> {
        let Some(endpoint) = &config.endpoint else { return Ok(None) };
        let headers: HashMap<String, String> = config
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
            .collect();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new(config.timeout)?)
            .with_endpoint(endpoint.as_str())
            .with_timeout(config.timeout)
            .with_headers(headers)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_scheduled_delay(config.delay)
            .with_max_queue_size(config.queue)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let attributes = config
            .attributes
            .iter()
            .map(|(name, value)| KeyValue::new(name.clone(), value.clone()))
            .chain([KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))]);
        let resource = Resource::builder()
            .with_attributes(attributes)
            .with_service_name(config.service_name.clone())
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(sampler(config.sampler))
            .with_resource(resource)
            .build();
        Ok(Some(Self { provider }))
    }

    /// Turns spans of `tracing` into spans of traces.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer = self.provider.tracer("keywright");
        let spans = tracing_opentelemetry::layer()
            .with_tracer(tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target("keywright", LevelFilter::INFO));
        // It sees the spans too, to find the one that a statement ran in.
        let wanted = Targets::new()
            .with_target("keywright", LevelFilter::INFO)
            .with_target(STATEMENTS, LevelFilter::DEBUG);
        let statements = Statements { tracer, dispatch: OnceLock::new() }.with_filter(wanted);
        spans.and_then(statements)
    }

    /// Sends what is left, for a few seconds at most.
    pub async fn shut_down(self) {
        // Waits for the thread that sends, whose requests run on this runtime.
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown()).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the last traces were not sent"
            );
        }
    }
}

fn sampler(wanted: TraceSampler) -> Sampler {
    let own = if wanted.ratio >= 1.0 {
        Sampler::AlwaysOn
    } else if wanted.ratio <= 0.0 {
        Sampler::AlwaysOff
    } else {
        Sampler::TraceIdRatioBased(wanted.ratio)
    };
    if wanted.follows_parent { Sampler::ParentBased(Box::new(own)) } else { own }
}

/// Makes a span of each statement that ran inside another span.
struct Statements {
    tracer: SdkTracer,
    /// The subscriber that this layer is part of.
    dispatch: OnceLock<WeakDispatch>,
}

impl<S> Layer<S> for Statements
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        let _ = self.dispatch.set(subscriber.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != STATEMENTS {
            return;
        }
        let parent = context.event_span(event).map(|span| span.id());
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
        let (Some(parent), Some(dispatch)) = (parent, dispatch) else { return };
        let Some(parent) = get_otel_context(&parent, &dispatch) else { return };
        if parent.span().span_context().is_sampled() {
            let mut statement = Statement::default();
            event.record(&mut statement);
            statement.into_span(&self.tracer, &parent);
        }
    }
}

/// What sqlx says of a statement that has ended; it never says parameters.
#[derive(Default)]
struct Statement {
    summary: String,
    text: String,
    seconds: f64,
    rows: i64,
}

impl Statement {
    fn into_span(self, tracer: &SdkTracer, parent: &OtelContext) {
        let ended = SystemTime::now();
        let began = ended - Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        // The summary is the whole text where that is short.
        let text = if self.text.is_empty() { self.summary.clone() } else { self.text };
        let operation = self.summary.split_whitespace().next().unwrap_or("sql").to_lowercase();
        let mut span = tracer
            .span_builder(format!("sql {operation}"))
            .with_kind(SpanKind::Client)
            .with_start_time(began)
            .with_attributes([
                KeyValue::new("db.system.name", "postgresql"),
                KeyValue::new("db.operation.name", operation),
                KeyValue::new("db.query.text", text.trim().to_owned()),
                KeyValue::new("db.response.returned_rows", self.rows),
            ])
            .start_with_context(tracer, parent);
        span.end_with_timestamp(ended);
    }
}

impl Visit for Statement {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.text),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.seconds = value;
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = i64::try_from(value).unwrap_or(i64::MAX);
        }
    }
}

/// Sends on our runtime what the exporter's thread wants sent, with the one HTTP stack of this
/// program; says so when a collector goes, and when it is back.
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    is_failing: AtomicBool,
}

impl Client {
    fn new(timeout: Duration) -> reqwest::Result<Self> {
        let http = crate::http_client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .build()?;
        Ok(Self { http, runtime: Handle::current(), is_failing: AtomicBool::new(false) })
    }

    fn note(&self, outcome: &Result<Response<Bytes>, HttpError>) {
        let problem = match outcome {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("status {}", response.status())),
            Err(error) => Some(crate::domain::error::chain(&**error)),
        };
        let was_failing = self.is_failing.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !was_failing => tracing::warn!(problem, "traces cannot be sent"),
            None if was_failing => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl HttpClient for Client {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let sent = self.runtime.spawn(send(self.http.clone(), request));
        Box::pin(async move {
            let outcome = sent.await.map_err(HttpError::from).and_then(|outcome| outcome);
            self.note(&outcome);
            outcome
        })
    }
}

async fn send(
    http: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let received = http.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let (status, headers) = (received.status(), received.headers().clone());
    let mut response = Response::new(received.bytes().await?);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
