//! Turns every failure into the answer the contract promises, and answers 304 where the client has the current version.

use super::envelope;
use super::problem::{Problem, from_framework};
use super::reply::{JSON, NO_STORE};
use crate::middleware::trace::Failure;
use poem::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, WWW_AUTHENTICATE,
};
use poem::http::{HeaderMap, HeaderValue, StatusCode};
use poem::middleware::PanicHandler;
use poem::{Body, Endpoint, PathPattern, Request, Response, Result};
use std::any::Any;
use std::sync::Arc;
use tiris_store::error::Error;

/// Answers what `next` fails with.
pub(crate) async fn respond<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let known = known_versions(request.headers());
    match next.call(request).await {
        Ok(response) => Ok(revalidated(response, &known)),
        Err(error) => Ok(failed(error)),
    }
}

/// Answers a panic of a handler.
#[derive(Clone, Copy)]
pub(crate) struct Panicked;

impl PanicHandler for Panicked {
    type Response = Response;

    fn get_response(&self, _panic: Box<dyn Any + Send + 'static>) -> Response {
        refusal(Problem::from(Error::internal("the handler panicked")))
    }
}

fn failed(mut error: poem::Error) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }

    let pattern = error.data::<PathPattern>().cloned();
    let problem = from_framework(std::mem::replace(
        &mut error,
        StatusCode::INTERNAL_SERVER_ERROR.into(),
    ));
    let mut response = refusal(problem);
    if let Some(pattern) = pattern {
        response.set_data(pattern);
    }
    response
}

fn refusal(problem: Problem) -> Response {
    let told = problem.tell();
    let mut response = Response::builder()
        .status(told.status)
        .header(CONTENT_TYPE, JSON)
        .header(CACHE_CONTROL, NO_STORE)
        .body(envelope::failure(&told));

    let headers = response.headers_mut();
    if let Some(seconds) = told.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if told.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response.set_data(Failure {
        code: told.code,
        problem: Arc::new(problem),
    });
    response
}

/// The ETags of versions the client has.
fn known_versions(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(IF_NONE_MATCH).iter().cloned().collect()
}

/// The response, or 304 when the client has this version. Only reads carry an ETag.
fn revalidated(mut response: Response, known: &[HeaderValue]) -> Response {
    let Some(tag) = response
        .headers()
        .get(ETAG)
        .and_then(|tag| tag.to_str().ok())
    else {
        return response;
    };
    if known.iter().any(|known| names(known, tag)) {
        response.set_status(StatusCode::NOT_MODIFIED);
        response.set_body(Body::empty());
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
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
    use poem::middleware::CatchPanic;
    use poem::{EndpointExt, IntoResponse};

    async fn body_of(
        answer: impl Fn() -> Result<Response> + Send + Sync + Clone + 'static,
    ) -> (u16, String) {
        let endpoint = make(move |_| {
            let answer = answer.clone();
            async move { answer() }
        });
        let endpoint = endpoint
            .with(CatchPanic::new().with_handler(Panicked))
            .map_to_response()
            .around(respond);

        let mut response = endpoint
            .get_response(Request::default())
            .await
            .into_response();
        let body = response.take_body().into_string().await.expect("text");
        (response.status().as_u16(), body)
    }

    #[tokio::test]
    async fn a_panic_is_a_server_error_without_its_cause() {
        let (status, body) = body_of(|| panic!("the secret")).await;

        assert_eq!(status, 500);
        assert!(body.contains("INTERNAL_ERROR"), "{body}");
        assert!(body.contains("\"success\":false"), "{body}");
        assert!(!body.contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn an_internal_error_and_one_of_the_framework_are_answered_without_their_cause() {
        for error in [
            || Problem::from(Error::internal("the secret")).into(),
            || poem::Error::from_string("the secret", StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            let (status, body) = body_of(move || Err(error())).await;

            assert_eq!(status, 500);
            assert!(body.contains("INTERNAL_ERROR"), "{body}");
            assert!(!body.contains("secret"), "{body}");
        }
    }
}
