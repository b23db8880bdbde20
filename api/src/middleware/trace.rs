//! Gives every request a trace, whose id is in every log line, and a log line of its own.

use super::operation::operation;
use crate::http::problem::Problem;
use poem::http::{HeaderValue, Method, StatusCode};
use poem::{Endpoint, Request, Response, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_runtime::telemetry;
use tiris_runtime::trace::{REQUEST_ID, TRACEPARENT, Trace};
use tiris_store::error::Error;
use tracing::field::Empty;
use tracing::{Instrument, Span, error_span};

/// Longest path in a line, in bytes. No operation has one half as long; strangers may ask for any.
const PATH_SHOWN_MAX: usize = 256;

/// Why a request was refused or failed.
#[derive(Clone)]
pub(crate) struct Failure {
    /// The code its answer carries.
    pub(crate) code: &'static str,
    /// For the log, where the answer tells nothing.
    pub(crate) problem: Arc<Problem>,
}

/// Runs `next` inside the span of the request.
pub(crate) async fn trace<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    mut request: Request,
) -> Result<Response> {
    let text = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let trace = Trace::of_headers(text(REQUEST_ID), text(TRACEPARENT)).unwrap_or_else(Trace::begin);
    request.set_data(trace.clone());
    let span = span(&trace);
    telemetry::open(&span, &trace);

    let id = HeaderValue::from_str(trace.id());
    let answered = async {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let started = Instant::now();

        let mut response = next.call(request).await?;

        if let Ok(id) = id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        telemetry::name(&span, || format!("{method} {}", operation(&response)));
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        tell(&method, shown(&path), &response, started.elapsed());
        Ok(response)
    };
    trace.scope(answered.instrument(span.clone())).await
}

/// The span of a request, of the highest level, so that the ids are there whatever is logged.
fn span(trace: &Trace) -> Span {
    if !telemetry::uses_spans() {
        return Span::none();
    }
    error_span!(
        "request",
        trace_id = trace.id(),
        user_id = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
    )
}

/// As much of a path as a line takes; a path is ASCII.
fn shown(path: &str) -> &str {
    path.get(..PATH_SHOWN_MAX).unwrap_or(path)
}

/// The one line of the request. A refusal is told by its code only: its words can repeat what was sent.
fn tell(method: &Method, path: &str, response: &Response, took: Duration) {
    let status = response.status();
    let number = status.as_u16();
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let failure = response.data::<Failure>();
    let code = failure.map(|failure| failure.code);
    // Fit to show, as its type promises.
    let why = failure.and_then(|failure| match &*failure.problem {
        Problem::Domain(Error::SignIn { why, .. }) => Some(why.as_str()),
        _ => None,
    });
    // That a probe finds the process not ready is no failure of the probe.
    let is_probe = failure.is_some_and(|failure| matches!(*failure.problem, Problem::NotReady(_)));

    if status.is_server_error() && !is_probe {
        let error = failure.map(|failure| &*failure.problem as &dyn std::error::Error);
        tracing::error!(%method, path, status = number, micros, code, error, "the request failed");
    } else if is_worth_a_look(status) {
        tracing::warn!(%method, path, status = number, micros, code, why, "refused");
    } else {
        tracing::info!(%method, path, status = number, micros, code, why, "answered");
    }
}

/// Input that is wrong, and calls beyond a limit.
fn is_worth_a_look(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::TOO_MANY_REQUESTS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_a_line_takes_the_beginning() {
        assert_eq!(shown("/v1/bots"), "/v1/bots");
        assert_eq!(shown(&"/x".repeat(PATH_SHOWN_MAX)).len(), PATH_SHOWN_MAX);
    }
}
