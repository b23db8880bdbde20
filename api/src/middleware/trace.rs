//! The trace of a request, whose id is in every log line, and the access log.

use super::measure::operation;
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

/// Longest logged path, in bytes: more than twice the longest path of an operation.
const PATH_LOGGED_MAX: usize = 256;

/// Runs `next` inside the span of the request.
pub(crate) async fn trace<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    mut request: Request,
) -> Result<Response> {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
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
        log(&method, truncated(&path), &response, started.elapsed());
        Ok(response)
    };
    trace.scope(answered.instrument(span.clone())).await
}

/// Returns the span of a request, at the highest level so that log lines of any level have its ids.
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

/// Truncates a path, which is ASCII, for the log.
fn truncated(path: &str) -> &str {
    path.get(..PATH_LOGGED_MAX).unwrap_or(path)
}

/// Writes the access log. A refusal is logged only by its code, because its message can repeat input.
fn log(method: &Method, path: &str, response: &Response, took: Duration) {
    let status = response.status();
    let number = status.as_u16();
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let problem = response.data::<Arc<Problem>>();
    let code = problem.map(|problem| problem.code());
    // Contains no secrets, as the type guarantees.
    let why = problem.and_then(|problem| match &**problem {
        Problem::Domain(Error::SignIn { why, .. }) => Some(why.as_str()),
        _ => None,
    });
    // A readiness probe that finds the process not ready works as intended.
    let is_probe = problem.is_some_and(|problem| matches!(**problem, Problem::NotReady(_)));

    if status.is_server_error() && !is_probe {
        let error = problem.map(|problem| &**problem as &dyn std::error::Error);
        tracing::error!(%method, path, status = number, micros, code, error, "the request failed");
    } else if is_suspicious(status) {
        tracing::warn!(%method, path, status = number, micros, code, why, "refused");
    } else {
        tracing::info!(%method, path, status = number, micros, code, why, "answered");
    }
}

/// Returns whether the status means invalid input or a call beyond a limit.
fn is_suspicious(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 413 | 415 | 422 | 429)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncates_long_paths() {
        assert_eq!(truncated("/v1/bots"), "/v1/bots");
        let long = "/x".repeat(PATH_LOGGED_MAX);
        assert_eq!(truncated(&long).len(), PATH_LOGGED_MAX);
    }
}
