//! Spans for a collector that speaks OTLP over HTTP; they carry the ids of our traces. Nothing runs unless a collector is
//! configured.

mod client;

use crate::trace::{Trace, TraceContext};
use anyhow::Result;
use client::Client;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider};
use poem::http::Uri;
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

thread_local! {
    /// The ids of the next span to start.
    static NEXT: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

/// Gives a span the ids of our trace, which the log and messages already contain.
#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let next = NEXT.get().map(|next| TraceId::from_bytes(next.trace));
        next.unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        let next = NEXT.get().map(|next| SpanId::from_bytes(next.span));
        next.unwrap_or_else(|| self.0.new_span_id())
    }
}

/// Reports whether a collector is configured.
pub(super) fn is_on() -> bool {
    TRACER.get().is_some()
}

/// Returns the exporter, which connects to the collector when it sends the first spans.
pub(super) fn provider(service: &'static str, endpoint: &Uri) -> Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint.to_string())
        .with_http_client(Client::new()?)
        .build()?;

    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();

    let provider = SdkTracerProvider::builder()
        .with_id_generator(Ids::default())
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build();
    TRACER.get_or_init(|| provider.tracer("tiris"));
    Ok(provider)
}

/// Returns the layer that exports our spans.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tiris"))
        .with_context_activation(false)
        .with_tracked_inactivity(false)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
}

/// Starts exporting `span` as the span of `trace` in this process.
pub fn open(span: &Span, trace: &Trace) {
    if !is_on() {
        return;
    }

    if let Some(parent) = trace.parent() {
        let parent = Context::new().with_remote_span_context(context_of(&parent));
        // Fails for a span that is not exported.
        span.set_parent(parent).ok();
    }

    NEXT.set(Some(trace.context()));
    // Reading the context starts the span, with the ids above.
    drop(span.context());
    NEXT.set(None);
}

/// Renames an open span.
pub fn name(span: &Span, name: impl FnOnce() -> String) {
    if is_on() {
        span.context().span().update_name(name());
    }
}

/// Links a span to spans of other traces.
pub fn link(span: &Span, to: impl Iterator<Item = TraceContext>) {
    if is_on() {
        to.for_each(|parent| span.add_link(context_of(&parent)));
    }
}

/// Exports a statement that has just ended as a child of the span in `parent`.
pub(super) fn statement(parent: &Context, name: String, text: &str, took: Duration) {
    let Some(tracer) = TRACER.get() else { return };

    let ended = SystemTime::now();
    let attributes = vec![
        KeyValue::new("db.system.name", "postgresql"),
        KeyValue::new("db.query.text", text.to_owned()),
    ];
    let builder = SpanBuilder::from_name(name)
        .with_kind(SpanKind::Client)
        .with_attributes(attributes)
        .with_start_time(ended.checked_sub(took).unwrap_or(ended));

    let mut span = tracer.build_with_context(builder, parent);
    opentelemetry::trace::Span::end_with_timestamp(&mut span, ended);
}

fn context_of(parent: &TraceContext) -> SpanContext {
    let flags = TraceFlags::NOT_SAMPLED.with_sampled(parent.sampled);
    let trace = TraceId::from_bytes(parent.trace);
    let span = SpanId::from_bytes(parent.span);
    SpanContext::new(trace, span, flags, true, TraceState::NONE)
}
