//! A collector of traces that records the spans it receives.

use anyhow::Result;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use poem::http::StatusCode;
use poem::web::Data;
use poem::{Body, EndpointExt, Route, Server, handler, post};
use prost::Message;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// A received span, with its ids in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The service that sent it.
    pub service: String,
    /// The name of the span.
    pub name: String,
    /// The id of its trace.
    pub trace: String,
    /// The id of the span.
    pub id: String,
    /// The id of the parent span; empty for the first span of a trace.
    pub parent: String,
    /// The ids of linked traces.
    pub links: Vec<String>,
}

type Received = Arc<Mutex<Vec<Span>>>;

/// A running collector, stopped on drop.
#[derive(Debug)]
pub struct Collector {
    url: String,
    spans: Received,
    server: JoinHandle<()>,
}

impl Collector {
    /// Starts a collector on a free port.
    pub async fn start() -> Result<Self> {
        let any_port = (Ipv4Addr::LOCALHOST, 0).into();
        let (acceptor, address) = tiris_runtime::admin::bind(any_port).await?;
        let url = format!("http://{address}");
        let spans = Received::default();
        let app = Route::new()
            .at("/v1/traces", post(take))
            .data(spans.clone());
        let server = tokio::spawn(async move {
            // It runs until it is aborted.
            Server::new_with_acceptor(acceptor).run(app).await.ok();
        });

        Ok(Self { url, spans, server })
    }

    /// Returns the value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the spans received so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[handler]
async fn take(body: Body, received: Data<&Received>) -> StatusCode {
    let Ok(bytes) = body.into_bytes().await else {
        return StatusCode::BAD_REQUEST;
    };
    let Ok(request) = ExportTraceServiceRequest::decode(bytes) else {
        return StatusCode::BAD_REQUEST;
    };
    received
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(read(request));
    StatusCode::OK
}

fn read(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for sent in request.resource_spans {
        let service = sent
            .resource
            .map(|resource| service(&resource.attributes))
            .unwrap_or_default();
        for span in sent.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                service: service.clone(),
                name: span.name,
                trace: hex::encode(&span.trace_id),
                id: hex::encode(&span.span_id),
                parent: hex::encode(&span.parent_span_id),
                links: span
                    .links
                    .iter()
                    .map(|link| hex::encode(&link.trace_id))
                    .collect(),
            });
        }
    }

    spans
}

fn service(attributes: &[KeyValue]) -> String {
    let named = attributes
        .iter()
        .find(|attribute| attribute.key == "service.name");
    let value = named.and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
    match value {
        Some(any_value::Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}
