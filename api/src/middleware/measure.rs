//! Counts requests and measures their duration, by method, route and status.

use poem::http::Method;
use poem::{Endpoint, PathPattern, Request, Response, Result};
use std::sync::Arc;
use std::time::Instant;

/// Label of requests that match no route: their paths are the caller's and without bound.
const UNMATCHED: &str = "unmatched";

/// Measures `next`.
pub(crate) async fn measure<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let method = name(request.method());
    let started = Instant::now();
    let response = next.call(request).await?;
    // The framework numbers the parameters of a path; ours are all ids.
    let path = response
        .data::<PathPattern>()
        .map_or_else(|| UNMATCHED.to_owned(), |p| p.0.replace(":param0", "{id}"));
    let labels =
        [("method", method.to_owned()), ("path", path), ("status", response.status().as_u16().to_string())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels).record(started.elapsed());
    Ok(response)
}

/// Methods anybody may invent are one label.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
