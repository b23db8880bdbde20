//! Gives every request a trace id, a span that carries it into every log line, and a log line of its own.

use poem::http::{HeaderMap, HeaderValue};
use poem::{Endpoint, Request, Response, Result};
use std::sync::Arc;
use std::time::Instant;
use tracing::{Instrument, error_span};

/// Header of the request id, which is the trace id.
pub(crate) const REQUEST_ID: &str = "x-request-id";
/// Longest request id that is taken from a client, in characters.
const REQUEST_ID_LENGTH_MAX: usize = 128;

/// The id of a request.
#[derive(Clone, Debug)]
pub(crate) struct TraceId(pub(crate) Arc<str>);

/// Runs `next` inside the span of the request.
pub(crate) async fn trace<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    mut request: Request,
) -> Result<Response> {
    let id = trace_id(request.headers());
    request.set_data(TraceId(Arc::clone(&id)));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = Instant::now();
    // Of the highest level, so that the ids are there whatever is logged.
    let span = error_span!("request", trace_id = %id, user_id = tracing::field::Empty);
    async move {
        let mut response = next.call(request).await?;
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::info!(%method, path, status = response.status().as_u16(), micros, "answered");
        Ok(response)
    }
    .instrument(span)
    .await
}

/// The caller's request id when it is sane, else the trace id of the W3C header, else a new one.
fn trace_id(headers: &HeaderMap) -> Arc<str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let given =
        text(REQUEST_ID).filter(|id| is_sane(id)).or_else(|| text("traceparent").and_then(of_traceparent));
    given.map_or_else(|| uuid::Uuid::new_v4().simple().to_string().into(), Arc::from)
}

fn is_sane(id: &str) -> bool {
    let fits = (1..=REQUEST_ID_LENGTH_MAX).contains(&id.len());
    fits && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// The trace id in `version-traceid-parentid-flags`.
fn of_traceparent(header: &str) -> Option<&str> {
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = header.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let valid =
        is_hex(version, 2) && version != "ff" && is_hex(id, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    (valid && !is_zero(id) && !is_zero(parent)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_honoured_only_when_it_is_valid() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of_traceparent(&format!("00-{id}-00f067aa0ba902b7-01")), Some(id));
        for wrong in [
            String::new(),
            id.to_owned(),
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{id}-{}-01", "0".repeat(16)),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
        ] {
            assert_eq!(of_traceparent(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_replaced() {
        for wrong in ["", "a b", "a\"b", "a\u{e9}", &"x".repeat(129)] {
            assert!(!is_sane(wrong), "{wrong:?}");
        }
        assert!(is_sane("req-1.2_3:4"));
    }
}
