//! Counts requests and refusals and measures how long requests take, by method, route and status.

use super::trace::Failure;
use metrics::{Counter, Gauge, Histogram};
use poem::http::{Method, StatusCode};
use poem::{Endpoint, PathPattern, Request, Response, Result};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
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
    let figures = Figures::of(&response, method);
    figures.requests.increment(1);
    figures.duration.record(started.elapsed());
    Ok(response)
}

/// The path of the operation that answered, as the document has it.
pub(crate) fn operation(response: &Response) -> String {
    let pattern = response.data::<PathPattern>();
    // The framework numbers the parameters of a path; ours are all ids.
    pattern.map_or_else(
        || UNMATCHED.to_owned(),
        |pattern| pattern.0.replace(":param0", "{id}"),
    )
}

thread_local! {
    /// By pattern of the path, of which there are as many as operations.
    static KNOWN: RefCell<HashMap<Box<str>, Vec<Rc<Figures>>>> = RefCell::default();
    static IN_FLIGHT: Gauge = metrics::gauge!("http_requests_in_flight");
}

/// What is counted of requests with one answer.
struct Figures {
    method: &'static str,
    status: StatusCode,
    requests: Counter,
    duration: Histogram,
}

impl Figures {
    fn of(response: &Response, method: &'static str) -> Rc<Self> {
        let (pattern, status) = (response.data::<PathPattern>(), response.status());
        let pattern = pattern.map_or(UNMATCHED, |pattern| &pattern.0);
        KNOWN.with_borrow_mut(|known| {
            let here = |figures: &&Rc<Self>| figures.method == method && figures.status == status;
            if let Some(figures) = known.get(pattern).and_then(|all| all.iter().find(here)) {
                return Rc::clone(figures);
            }
            let labels = [
                ("method", method.to_owned()),
                ("path", operation(response)),
                ("status", status.as_u16().to_string()),
            ];
            let requests = metrics::counter!("http_requests_total", &labels);
            let duration = metrics::histogram!("http_request_duration_seconds", &labels);
            let figures = Rc::new(Self {
                method,
                status,
                requests,
                duration,
            });
            known
                .entry(pattern.into())
                .or_default()
                .push(Rc::clone(&figures));
            figures
        })
    }
}

/// A request that is being answered, or was given up by whoever sent it.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        IN_FLIGHT.with(|gauge| gauge.increment(1));
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // A thread that ends may have forgotten it already.
        IN_FLIGHT.try_with(|gauge| gauge.decrement(1)).ok();
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
