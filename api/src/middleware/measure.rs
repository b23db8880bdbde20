//! Metrics of requests: counts, errors and durations, by method, route and status.

use crate::http::problem::Problem;
use metrics::{Counter, Gauge, Histogram};
use poem::http::{Method, StatusCode};
use poem::{Endpoint, PathPattern, Request, Response, Result};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

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

    if let Some(problem) = response.data::<Arc<Problem>>() {
        metrics::counter!("http_errors_total", "code" => problem.code()).increment(1);
    }

    let figures = Figures::of(&response, method);
    figures.requests.increment(1);
    figures.duration.record(started.elapsed());
    Ok(response)
}

thread_local! {
    /// Keyed by path pattern; there are only as many as operations.
    static KNOWN: RefCell<HashMap<Box<str>, Vec<Rc<Figures>>>> = RefCell::default();
    static IN_FLIGHT: Gauge = metrics::gauge!("http_requests_in_flight");
}

/// The metrics of requests with the same labels.
struct Figures {
    method: &'static str,
    status: StatusCode,
    requests: Counter,
    duration: Histogram,
}

impl Figures {
    fn of(response: &Response, method: &'static str) -> Rc<Self> {
        let status = response.status();
        let pattern = matched(response).map_or(UNMATCHED, |pattern| &pattern.0);

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
            let figures = Rc::new(Self {
                method,
                status,
                requests: metrics::counter!("http_requests_total", &labels),
                duration: metrics::histogram!("http_request_duration_seconds", &labels),
            });

            let all = known.entry(pattern.into()).or_default();
            all.push(Rc::clone(&figures));
            figures
        })
    }
}

/// Counts a running request until it ends or its client gives up.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        IN_FLIGHT.with(|gauge| gauge.increment(1));
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // The thread local may be destroyed already when its thread ends.
        IN_FLIGHT.try_with(|gauge| gauge.decrement(1)).ok();
    }
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The label of requests without a route, whose paths are unbounded.
const UNMATCHED: &str = "unmatched";

/// Returns the path of the operation as the OpenAPI document writes it.
pub(super) fn operation(response: &Response) -> String {
    // The framework numbers path parameters, and all of ours are ids.
    matched(response).map_or_else(
        || UNMATCHED.to_owned(),
        |pattern| pattern.0.replace(":param0", "{id}"),
    )
}

/// Returns the pattern of the route; the router of all routes has an empty one.
fn matched(response: &Response) -> Option<&PathPattern> {
    let pattern = response.data::<PathPattern>();
    pattern.filter(|pattern| !pattern.0.is_empty())
}

/// Maps invented methods to a single label.
fn name(method: &Method) -> &'static str {
    let known = METHODS.into_iter().find(|known| *method == **known);
    known.unwrap_or("OTHER")
}
