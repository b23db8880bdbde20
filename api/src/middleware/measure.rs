//! Counts requests and refusals and measures how long requests take, by method, route and status.

use super::trace::Failure;
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
    let in_flight = InFlight::begin();
    let response = next.call(request).await?;
    drop(in_flight);
    if let Some(failure) = response.data::<Failure>() {
        metrics::counter!("http_errors_total", "code" => failure.code).increment(1);
    }
    let path = operation(&response);
    let labels =
        [("method", method.to_owned()), ("path", path), ("status", response.status().as_u16().to_string())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels).record(started.elapsed());
    Ok(response)
}

/// The path of the operation that answered, as the document has it.
pub(crate) fn operation(response: &Response) -> String {
    let pattern = response.data::<PathPattern>();
    // The framework numbers the parameters of a path; ours are all ids.
    pattern.map_or_else(|| UNMATCHED.to_owned(), |pattern| pattern.0.replace(":param0", "{id}"))
}

/// A request that is being answered, or was given up by whoever sent it.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        metrics::gauge!("http_requests_in_flight").increment(1);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("http_requests_in_flight").decrement(1);
    }
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
