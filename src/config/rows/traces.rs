//! Settings of traces: the standard variables of OpenTelemetry.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_EXPORTER_OTLP_TIMEOUT,
    OTEL_SERVICE_NAME,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_TRACES_SAMPLER,
    OTEL_TRACES_SAMPLER_ARG,
    OTEL_BSP_SCHEDULE_DELAY,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_SDK_DISABLED,
];

pub(crate) const OTEL_EXPORTER_OTLP_ENDPOINT: Setting = Setting::text(
        "otel-exporter-otlp-endpoint",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "Address of an OpenTelemetry collector (OTLP over HTTP), which traces are sent to below /v1/traces; empty is off",
    )
    .own();

pub(crate) const OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: Setting = Setting::text(
    "otel-exporter-otlp-traces-endpoint",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "",
    "The whole address for traces, if it is another one",
)
.own();

pub(crate) const OTEL_EXPORTER_OTLP_PROTOCOL: Setting = Setting::choice(
    "otel-exporter-otlp-protocol",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    &["http/protobuf"],
    "http/protobuf",
    "How traces are sent",
)
.own();

pub(crate) const OTEL_EXPORTER_OTLP_HEADERS: Setting = Setting::secret(
    "otel-exporter-otlp-headers",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "Headers for the collector: name=value, separated by commas, percent-encoded",
)
.own();

pub(crate) const OTEL_EXPORTER_OTLP_TIMEOUT: Setting = Setting::int(
    "otel-exporter-otlp-timeout",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "10000",
    "Longest wait for the collector, in milliseconds",
)
.own();

pub(crate) const OTEL_SERVICE_NAME: Setting = Setting::text(
    "otel-service-name",
    "OTEL_SERVICE_NAME",
    "keywright",
    "Name of this service in traces",
)
.own();

pub(crate) const OTEL_RESOURCE_ATTRIBUTES: Setting = Setting::text(
    "otel-resource-attributes",
    "OTEL_RESOURCE_ATTRIBUTES",
    "",
    "More about this service in traces: name=value, separated by commas, percent-encoded",
)
.own();

pub(crate) const OTEL_TRACES_SAMPLER: Setting = Setting::choice(
    "otel-traces-sampler",
    "OTEL_TRACES_SAMPLER",
    &[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ],
    "parentbased_always_on",
    "Which requests are traced",
)
.own();

pub(crate) const OTEL_TRACES_SAMPLER_ARG: Setting = Setting::text(
    "otel-traces-sampler-arg",
    "OTEL_TRACES_SAMPLER_ARG",
    "1.0",
    "Part of the requests that the samplers with traceidratio choose, from 0 to 1",
)
.own();

pub(crate) const OTEL_BSP_SCHEDULE_DELAY: Setting = Setting::int(
    "otel-bsp-schedule-delay",
    "OTEL_BSP_SCHEDULE_DELAY",
    "5000",
    "Longest time until a span is sent, in milliseconds",
)
.own();

pub(crate) const OTEL_BSP_MAX_QUEUE_SIZE: Setting = Setting::int(
    "otel-bsp-max-queue-size",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "2048",
    "Spans that may wait to be sent; more are dropped",
)
.own();

pub(crate) const OTEL_SDK_DISABLED: Setting = Setting::boolean(
    "otel-sdk-disabled",
    "OTEL_SDK_DISABLED",
    "false",
    "No traces, whatever else is set",
)
.own();
