//! Logs of the whole process, on standard output: JSON lines, or coloured text; and its traces.

pub mod access_log;
pub mod line;
pub mod pace;
pub mod traces;
pub mod writer;

use std::fmt;
use std::io::Write as _;
use std::sync::OnceLock;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};

use self::access_log::AccessLog;
use self::traces::{Traces, TracesError};
use self::writer::{LogWriter, WriterGuard};
use crate::config::{LogConfig, TracesConfig};
use crate::domain::clock::Clock;

/// The access log of the process, once logging has been started.
static ACCESS_LOG: OnceLock<AccessLog> = OnceLock::new();

/// The log of requests in the same stream and form; keeps nothing before [`init`].
pub fn access_log() -> AccessLog {
    ACCESS_LOG.get().cloned().unwrap_or_else(AccessLog::disabled)
}

/// Keeps the log's thread; dropping it writes what is still queued.
pub struct TelemetryGuard {
    _worker: WriterGuard,
    writer: LogWriter,
    traces: Option<Traces>,
}

impl TelemetryGuard {
    /// Sends the last traces and writes the last lines.
    pub async fn shut_down(mut self) {
        if let Some(traces) = self.traces.take() {
            traces.shut_down().await;
        }
    }

    /// Lines lost because nobody read the log fast enough.
    pub fn dropped_lines(&self) -> usize {
        self.writer.dropped_lines()
    }
}

/// Starts logs and traces. A second call in one process (tests) leaves the first subscriber in
/// place. Must be called inside a Tokio runtime if there are traces.
pub fn init(config: &LogConfig, traces: &TracesConfig) -> Result<TelemetryGuard, TracesError> {
    let traces = Traces::start(traces)?;
    let (writer, worker) = writer::batched(std::io::stdout());
    let clock = Clock::system();
    let lines = Lines {
        writer: writer.clone(),
        text: config.text,
        with_source: config.debug,
        clock: clock.clone(),
    };
    let subscriber =
        tracing_subscriber::registry().with(lines.with_filter(Wanted::new(config.debug)));
    // Not by `try_init`, which also installs a bridge from the crate `log`. Through it sqlx asks after
    // every statement whether a line of the level debug is wanted, and a filter of a layer that was
    // asked so, and said no, drops the next event of that thread instead.
    let _ = match &traces {
        // Not as an `Option`, which does not tell its layer about the subscriber.
        Some(traces) => set_global_default(subscriber.with(traces.layer())),
        None => set_global_default(subscriber),
    };
    let _ = ACCESS_LOG.set(AccessLog::new(writer.clone(), config.text, clock));
    Ok(TelemetryGuard { _worker: worker, writer, traces })
}

/// What becomes a line: events of a level, and questions whether there would be one. Not spans, so
/// that without traces nobody wants them, and `tracing` makes none.
struct Wanted {
    levels: Targets,
    most: LevelFilter,
}

impl Wanted {
    fn new(debug: bool) -> Self {
        let own = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
        let levels = Targets::new().with_default(LevelFilter::WARN).with_target("keywright", own);
        Self { levels, most: own }
    }

    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.is_span() && self.levels.would_enable(metadata.target(), metadata.level())
    }
}

impl<S> Filter<S> for Wanted {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.takes(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.takes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }
}

/// Writes each event as one line.
struct Lines {
    writer: LogWriter,
    text: bool,
    with_source: bool,
    clock: Clock,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.writer.write(&self.format(event));
    }
}

impl Lines {
    fn format(&self, event: &Event<'_>) -> Vec<u8> {
        let mut fields = Fields { text: self.text, message: String::new(), rest: Vec::new() };
        event.record(&mut fields);
        let metadata = event.metadata();
        let now = self.clock.now();
        let level = metadata.level().as_str();
        let mut out = Vec::with_capacity(256);
        if self.text {
            line::push_text_start(&mut out, now, level);
            out.extend_from_slice(fields.message.as_bytes());
            out.extend_from_slice(&fields.rest);
            out.push(b'\n');
            return out;
        }
        out.extend_from_slice(b"{\"time\":\"");
        line::push_time(&mut out, now);
        let _ = write!(out, "\",\"level\":\"{level}\",\"msg\":");
        line::push_json_string(&mut out, &fields.message);
        if self.with_source {
            out.extend_from_slice(b",\"source\":{\"function\":");
            line::push_json_string(&mut out, metadata.target());
            out.extend_from_slice(b",\"file\":");
            line::push_json_string(&mut out, metadata.file().unwrap_or_default());
            let _ = write!(out, ",\"line\":{}}}", metadata.line().unwrap_or_default());
        }
        out.extend_from_slice(&fields.rest);
        out.extend_from_slice(b"}\n");
        out
    }
}

/// Collects an event's fields, ready to be appended to the line.
struct Fields {
    text: bool,
    message: String,
    rest: Vec<u8>,
}

impl Fields {
    fn name(&mut self, field: &Field) {
        if self.text {
            let _ = write!(self.rest, " {}=", field.name());
        } else {
            self.rest.push(b',');
            line::push_json_string(&mut self.rest, field.name());
            self.rest.push(b':');
        }
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _ = write!(self.rest, "{value}");
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.name(field);
            line::push_json_string(&mut self.rest, value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field, value);
        } else {
            self.record_str(field, &value.to_string());
        }
    }

    /// With all causes: each error prints itself only.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &crate::domain::error::chain(value));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::Sources;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(text: bool, with_source: bool, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let (writer, guard) = writer::batched(sink.clone());
        let lines = Lines { writer, text, with_source, clock: Clock::system() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        drop(guard);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_is_one_json_line() {
        let line = logged(false, true, || {
            let error = io::Error::other("a \"cause\"");
            tracing::warn!(
                n = 1,
                yes = true,
                ratio = f64::NAN,
                name = "x\ny",
                error = &error as &dyn std::error::Error,
                "something happened"
            );
        });
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["msg"], "something happened");
        assert_eq!(value["n"], 1);
        assert_eq!(value["yes"], true);
        assert_eq!(value["ratio"], "NaN");
        assert_eq!(value["name"], "x\ny");
        assert_eq!(value["error"], "a \"cause\"");
        assert!(value["source"]["file"].as_str().unwrap().ends_with("mod.rs"));
    }

    #[test]
    fn an_event_is_one_line_of_text() {
        let line = logged(true, false, || tracing::info!(name = "x\ny", n = 2, "hello"));
        assert!(line.contains("hello name=\"x\\ny\" n=2\n"), "{line}");
        assert_eq!(line.matches('\n').count(), 1);
    }

    #[test]
    fn lines_alone_want_no_spans() {
        let (writer, _guard) = writer::batched(Sink::default());
        let lines = Lines { writer, text: true, with_source: false, clock: Clock::system() };
        let lines = tracing_subscriber::registry().with(lines.with_filter(Wanted::new(true)));
        tracing::subscriber::with_default(lines, || {
            assert!(tracing::info_span!("request").is_disabled());
            assert!(tracing::enabled!(tracing::Level::DEBUG), "but events");
        });
    }

    #[test]
    fn logging_can_be_started_twice() {
        let config = LogConfig { debug: false, text: false };
        let traces = TracesConfig::from_sources(&Sources::default()).unwrap();
        let start = || init(&config, &traces).unwrap();
        let (first, second) = (start(), start());
        assert_eq!(first.dropped_lines() + second.dropped_lines(), 0);
    }
}
