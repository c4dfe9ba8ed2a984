//! Traces for an OpenTelemetry collector, by the standard variables.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::config::reading::{ConfigErrors, Reader, Sources};
use crate::config::rows;
use crate::settings::Setting;
use crate::settings::value::parse_http_url;

/// Traces; off without a collector.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` with `/v1/traces`, or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
    pub endpoint: Option<Url>,
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: Vec<(String, SecretString)>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`.
    pub timeout: Duration,
    /// `OTEL_SERVICE_NAME`.
    pub service_name: String,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub attributes: Vec<(String, String)>,
    /// `OTEL_TRACES_SAMPLER`.
    pub sampler: TraceSampler,
    /// `OTEL_BSP_SCHEDULE_DELAY`.
    pub delay: Duration,
    /// `OTEL_BSP_MAX_QUEUE_SIZE`.
    pub queue: usize,
}

/// Which requests are traced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceSampler {
    /// Whether the decision of the caller (`traceparent`) counts.
    pub follows_parent: bool,
    /// Part of the requests that are traced for want of a caller's decision.
    pub ratio: f64,
}

impl TracesConfig {
    /// These settings alone.
    pub fn from_sources(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(sources);
        let config = Self::read(&mut reader);
        reader.checked(config)
    }

    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        // Checked and otherwise without a choice: gRPC would bring a second HTTP stack.
        let _ = reader.choice(&rows::traces::OTEL_EXPORTER_OTLP_PROTOCOL);
        let is_disabled = reader.boolean(&rows::traces::OTEL_SDK_DISABLED);
        let base = read_url(reader, &rows::traces::OTEL_EXPORTER_OTLP_ENDPOINT);
        let whole = read_url(reader, &rows::traces::OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
        let endpoint = whole.or_else(|| base.map(below)).filter(|_| !is_disabled);
        let headers = reader.secret(&rows::traces::OTEL_EXPORTER_OTLP_HEADERS);
        let headers =
            read_pairs(reader, &rows::traces::OTEL_EXPORTER_OTLP_HEADERS, headers.expose_secret());
        let attributes = reader.text(&rows::traces::OTEL_RESOURCE_ATTRIBUTES);
        let attributes = read_pairs(reader, &rows::traces::OTEL_RESOURCE_ATTRIBUTES, &attributes);
        let milliseconds = |reader: &mut Reader<'_>, setting| {
            Duration::from_millis(reader.number(setting, 1..=3_600_000))
        };
        Self {
            endpoint,
            headers: headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            timeout: milliseconds(reader, &rows::traces::OTEL_EXPORTER_OTLP_TIMEOUT),
            service_name: reader.text(&rows::traces::OTEL_SERVICE_NAME),
            attributes,
            sampler: read_sampler(reader),
            delay: milliseconds(reader, &rows::traces::OTEL_BSP_SCHEDULE_DELAY),
            queue: reader.number(&rows::traces::OTEL_BSP_MAX_QUEUE_SIZE, 1..=1_000_000),
        }
    }
}

fn read_url(reader: &mut Reader<'_>, setting: &'static Setting) -> Option<Url> {
    let text = reader.text(setting);
    if text.is_empty() {
        return None;
    }
    parse_http_url(&text).map_err(|reason| reader.refuse(setting, reason)).ok()
}

/// As the specification of OTLP has it: the path is appended, whatever the base's path is.
fn below(mut base: Url) -> Url {
    let path = format!("{}/v1/traces", base.path().trim_end_matches('/'));
    base.set_path(&path);
    base
}

/// `name=value` with commas in between; of a secret nothing is repeated in the error.
fn read_pairs(reader: &mut Reader<'_>, setting: &Setting, text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let pair = part.split_once('=').and_then(|(name, value)| {
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            Some((name.trim().to_owned(), value.into_owned()))
        });
        match pair {
            Some((name, value)) if !name.is_empty() => pairs.push((name, value)),
            _ => reader.refuse(setting, "write name=value, separated by commas"),
        }
    }
    pairs
}

fn read_sampler(reader: &mut Reader<'_>) -> TraceSampler {
    let name = reader.choice(&rows::traces::OTEL_TRACES_SAMPLER).unwrap_or("parentbased_always_on");
    let text = reader.text(&rows::traces::OTEL_TRACES_SAMPLER_ARG);
    let argument = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    if argument.is_none() {
        reader.refuse(
            &rows::traces::OTEL_TRACES_SAMPLER_ARG,
            "write a number from 0 to 1, such as 0.1",
        );
    }
    let (follows_parent, own) = match name.strip_prefix("parentbased_") {
        Some(own) => (true, own),
        None => (false, name),
    };
    let ratio = match own {
        "always_off" => 0.0,
        "traceidratio" => argument.unwrap_or(1.0),
        _ => 1.0,
    };
    TraceSampler { follows_parent, ratio }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<TracesConfig, Vec<String>> {
        let sources = Sources::from_env(variables.iter().copied());
        TracesConfig::from_sources(&sources)
            .map_err(|errors| errors.0.into_iter().map(|error| error.variable).collect())
    }

    fn endpoint(variables: &[(&str, &str)]) -> Option<String> {
        read(variables).unwrap().endpoint.map(Into::into)
    }

    #[test]
    fn the_path_is_appended_to_the_base_and_not_to_the_whole_address() {
        assert_eq!(endpoint(&[]), None);
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert_eq!(endpoint(&[base]).unwrap(), "http://collector:4318/v1/traces");
        let deep = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector/otlp/");
        assert_eq!(endpoint(&[deep]).unwrap(), "https://collector/otlp/v1/traces");
        let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://elsewhere/spans");
        assert_eq!(endpoint(&[base, whole]).unwrap(), "http://elsewhere/spans");
        assert_eq!(endpoint(&[base, ("OTEL_SDK_DISABLED", "true")]), None);
    }

    #[test]
    fn headers_and_attributes_are_pairs() {
        let config = read(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, tenant=x=y"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
        ])
        .unwrap();
        let headers = config.headers.iter().map(|(n, v)| (n.as_str(), v.expose_secret()));
        assert_eq!(headers.collect::<Vec<_>>(), [("api-key", "a b"), ("tenant", "x=y")]);
        assert_eq!(config.attributes, [("deployment.environment".to_owned(), "test".to_owned())]);
    }

    #[test]
    fn samplers_are_a_ratio_with_or_without_the_callers_decision() {
        let sampler = |name, argument| {
            let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
            read(&variables).unwrap().sampler
        };
        let expected = |follows_parent, ratio| TraceSampler { follows_parent, ratio };
        assert_eq!(sampler("always_on", "0.5"), expected(false, 1.0));
        assert_eq!(sampler("always_off", "0.5"), expected(false, 0.0));
        assert_eq!(sampler("parentbased_traceidratio", "0.5"), expected(true, 0.5));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "no-value"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ] {
            assert_eq!(read(&[(variable, value)]).unwrap_err(), [variable], "{value}");
        }
    }
}
