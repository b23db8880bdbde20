//! Turns what a handler gives, or fails with, into the answer the contract promises.
//!
//! Owns: the envelope around data and errors, when an answer has an ETag, and 304.

use super::trace::Failure;
use crate::envelope::{self, Payload};
use crate::error::{Problem, from_framework};
use crate::version::etag;
use futures_util::FutureExt;
use poem::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, WWW_AUTHENTICATE,
};
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::{Endpoint, PathPattern, Request, Response, Result};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tiris_runtime::trace::Trace;
use tiris_store::error::Error;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Answers every request, also when `next` fails or panics.
pub(crate) async fn wrap<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let trace = request.data::<Trace>().cloned();
    let trace_id = trace.as_ref().map(Trace::id).unwrap_or_default();
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    let known: Vec<HeaderValue> = if readable {
        request
            .headers()
            .get_all(IF_NONE_MATCH)
            .into_iter()
            .cloned()
            .collect()
    } else {
        Vec::new()
    };
    let result = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(result) => result,
        Err(_) => Err(Problem::from(Error::internal("the handler panicked")).into()),
    };
    Ok(match result {
        Err(error) => failed(error, trace_id),
        Ok(mut response) => match response.extensions_mut().remove::<Payload>() {
            Some(payload) => succeeded(response, &payload, trace_id, readable, &known),
            None => response,
        },
    })
}

fn failed(mut error: poem::Error, trace_id: &str) -> Response {
    let pattern = error.data::<PathPattern>().cloned();
    if error.is_from_response() {
        return error.into_response();
    }
    let problem = from_framework(std::mem::replace(
        &mut error,
        StatusCode::INTERNAL_SERVER_ERROR.into(),
    ));
    let told = problem.tell();
    let mut response = Response::builder()
        .status(told.status)
        .body(envelope::failure(&told, trace_id));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    if let Some(seconds) = told.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if told.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(pattern) = pattern {
        response.set_data(pattern);
    }
    response.set_data(Failure {
        code: told.code,
        problem: Arc::new(problem),
    });
    response
}

fn succeeded(
    mut response: Response,
    payload: &Payload,
    trace_id: &str,
    readable: bool,
    known: &[HeaderValue],
) -> Response {
    let cacheable = readable && !response.headers().contains_key(CACHE_CONTROL);
    if cacheable {
        let tag = etag(&payload.0);
        response.headers_mut().insert(CACHE_CONTROL, REVALIDATE);
        if known.iter().any(|known| names(known, &tag)) {
            response.set_status(StatusCode::NOT_MODIFIED);
            set_tag(response.headers_mut(), &tag);
            return response;
        }
        set_tag(response.headers_mut(), &tag);
    } else {
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    }
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.set_body(envelope::success(payload, trace_id));
    response
}

fn set_tag(headers: &mut HeaderMap, tag: &str) {
    if let Ok(value) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, value);
    }
}

/// Whether If-None-Match names the tag; a weak one counts, as RFC 9110 has it.
fn names(header: &HeaderValue, tag: &str) -> bool {
    let Ok(header) = header.to_str() else {
        return false;
    };
    header
        .split(',')
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::endpoint::make;

    async fn answer_of(
        request: Request,
        answer: impl Fn() -> Result<Response> + Send + Sync + 'static,
    ) -> (u16, String) {
        let answer = Arc::new(answer);
        let endpoint = make(move |_| {
            let answer = Arc::clone(&answer);
            async move { answer() }
        });
        let mut response = wrap(Arc::new(endpoint), request).await.expect("an answer");
        (
            response.status().as_u16(),
            response.take_body().into_string().await.expect("text"),
        )
    }

    #[tokio::test]
    async fn a_panic_is_a_server_error_that_tells_nothing() {
        let (status, body) = answer_of(Request::default(), || panic!("the secret")).await;
        assert_eq!(status, 500);
        assert!(
            body.contains("INTERNAL_ERROR") && body.contains("\"success\":false"),
            "{body}"
        );
        assert!(!body.contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn an_internal_error_and_one_of_the_framework_tell_nothing_either() {
        for error in [
            || Problem::from(Error::internal("the secret")).into(),
            || poem::Error::from_string("the secret", StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            let (status, body) = answer_of(Request::default(), move || Err(error())).await;
            assert_eq!(status, 500);
            assert!(
                body.contains("INTERNAL_ERROR") && !body.contains("secret"),
                "{body}"
            );
        }
    }
}
