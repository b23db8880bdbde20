//! A collector of traces that keeps what it is sent.
//!
//! Owns: the listener, and reading the protocol. Must not know: who sends.

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use poem::http::StatusCode;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::web::Data;
use poem::{Body, EndpointExt, Route, Server, handler, post};
use prost::Message;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// A span that was sent, ids in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Who sent it.
    pub service: String,
    /// What it is called.
    pub name: String,
    /// Its trace.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The span above; empty when it is the first.
    pub parent: String,
    /// The traces it is tied to.
    pub links: Vec<String>,
}

type Kept = Arc<Mutex<Vec<Span>>>;

/// The collector; it ends with its owner.
#[derive(Debug)]
pub struct Collector {
    url: String,
    spans: Kept,
    server: JoinHandle<()>,
}

impl Collector {
    /// Starts one on a free port.
    pub async fn start() -> Result<Self> {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
        let bound = acceptor.local_addr();
        let address = bound
            .first()
            .and_then(|local| local.as_socket_addr())
            .context("an address")?;
        let url = format!("http://{address}");
        let spans = Kept::default();
        let app = Route::new()
            .at("/v1/traces", post(take))
            .data(spans.clone());
        let server = tokio::spawn(async move {
            // It is aborted sooner than it ends.
            Server::new_with_acceptor(acceptor).run(app).await.ok();
        });

        Ok(Self { url, spans, server })
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was sent until now.
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
async fn take(body: Body, kept: Data<&Kept>) -> StatusCode {
    let Ok(bytes) = body.into_bytes().await else {
        return StatusCode::BAD_REQUEST;
    };
    let Ok(request) = ExportTraceServiceRequest::decode(bytes) else {
        return StatusCode::BAD_REQUEST;
    };
    kept.lock()
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
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
