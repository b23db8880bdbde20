//! Counts requests and refusals and measures how long requests take, by method, route and status.

use super::operation::{UNMATCHED, operation};
use super::trace::Failure;
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

    if let Some(failure) = response.data::<Failure>() {
        metrics::counter!("http_errors_total", "code" => failure.code).increment(1);
    }

    let figures = Figures::of(&response, method);
    figures.requests.increment(1);
    figures.duration.record(started.elapsed());
    Ok(response)
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
        let status = response.status();
        let pattern = response.data::<PathPattern>();
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
