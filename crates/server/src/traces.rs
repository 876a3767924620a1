//! Traces of requests for a collector (OpenTelemetry), where the environment names one.
//!
//! A request is a span; the transactions that it proposes and what it has another node do are spans below
//! it. They say which route, which namespace and what became of it; keys, values and tokens are never in
//! them, nor is what the log says. Without a collector no span is made for them.

mod exporter;
mod otlp;
mod settings;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

use crate::request_id::RequestId;
use crate::url::{PathError, Resource as Asked};
use exporter::Exporter;

pub(crate) use settings::TraceSettings;

/// How long the last spans may take to be taken when the server ends.
pub const FLUSH_SECONDS_MAX: u64 = 5;
/// Who made the spans.
const TRACER: &str = "confman";
/// What a server is called where the environment does not say.
const SERVICE: &str = "confman";
/// The crates whose spans are for a collector.
const TARGETS: &str = "confman_";

/// Whether spans are wanted. There is one log of a process, and one of these.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Sends spans to a collector until it is ended.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins to take spans, which are sent from threads of this runtime.
    ///
    /// # Errors
    /// No client can be made.
    pub(crate) fn begin(settings: TraceSettings, runtime: Handle) -> Result<Self, String> {
        let mut resource = Resource::builder();
        if !settings.is_named {
            resource = resource.with_service_name(SERVICE);
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(Exporter::new(settings, runtime)?)
            .build();
        WANTED.store(true, Ordering::Relaxed);
        Ok(Self { provider })
    }

    /// What takes spans beside the log.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer: SdkTracer = self.provider.tracer(TRACER);
        let wanted =
            |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with(TARGETS);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(FilterFn::new(wanted).with_max_level_hint(LevelFilter::DEBUG))
    }

    /// Sends what was not sent yet. Blocks, for [`FLUSH_SECONDS_MAX`] at most.
    pub(crate) fn end(self) {
        let limit = Duration::from_secs(FLUSH_SECONDS_MAX);
        if let Err(error) = self.provider.shutdown_with_timeout(limit) {
            tracing::warn!("the last spans may not have arrived: {error}");
        }
    }
}

/// The span of a request, below the one that the caller names in `traceparent`; `None` where nobody wants it.
pub(crate) fn request(
    method: &Method,
    asked: &Result<Asked, PathError>,
    headers: &HeaderMap,
    request_id: &RequestId,
) -> Option<Span> {
    if !WANTED.load(Ordering::Relaxed) {
        return None;
    }
    let route = asked.as_ref().map_or("-", Asked::template);
    let span = tracing::info_span!(
        "request",
        id = %request_id,
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
        confman.namespace = Empty,
    );
    if let Ok(Asked::In(namespace, _)) = asked {
        span.record("confman.namespace", namespace.as_str());
    }
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    // It fails where the log takes no span; nothing is sent of it then.
    let _ = span.set_parent(parent);
    Some(span)
}

/// Says what became of a request.
pub(crate) fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// Headers as a propagator reads them.
struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}
