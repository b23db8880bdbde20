//! Turns errors into error responses, adds `Allow` to a 405, and responds 304 when the client has the current version.

use super::document::Methods;
use super::envelope;
use super::problem::{Problem, from_framework};
use super::reply::{JSON, NO_STORE};
use poem::error::ResponseError;
use poem::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, WWW_AUTHENTICATE,
};
use poem::http::{HeaderValue, StatusCode};
use poem::{Body, Endpoint, PathPattern, Request, Response, Result};
use std::any::Any;
use std::sync::Arc;
use tiris_store::error::Error;

/// Turns an error of `next` into a response.
pub(crate) async fn respond<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let known = request.headers().get_all(IF_NONE_MATCH);
    let known: Vec<HeaderValue> = known.iter().cloned().collect();
    Ok(match next.call(request).await {
        Ok(response) => revalidated(response, &known),
        Err(error) => failed(error),
    })
}

/// Turns a panic of a handler into a response.
pub(crate) fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    refusal(Problem::from(Error::internal("the handler panicked")))
}

/// The methods of routes outside the OpenAPI document, which all serve documents.
const READ_ONLY: &str = "GET, HEAD";

/// Adds the methods of the route to a 405 of `next`.
pub(crate) async fn allow<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
    operations: Arc<Methods>,
) -> Result<Response> {
    let mut response = next.call(request).await?;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let pattern = response.data::<PathPattern>();
        let known = pattern.and_then(|pattern| operations.methods(&pattern.0));
        if let Ok(methods) = HeaderValue::from_str(known.unwrap_or(READ_ONLY)) {
            response.headers_mut().insert(ALLOW, methods);
        }
    }
    Ok(response)
}

fn failed(error: poem::Error) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }

    let pattern = error.data::<PathPattern>().cloned();
    let mut response = refusal(from_framework(error));
    if let Some(pattern) = pattern {
        response.set_data(pattern);
    }
    response
}

fn refusal(problem: Problem) -> Response {
    let status = problem.status();
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, JSON)
        .header(CACHE_CONTROL, NO_STORE)
        .body(envelope::failure(&problem));

    let headers = response.headers_mut();
    if let Some(seconds) = problem.retry_after() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response.set_data(Arc::new(problem));
    response
}

/// Replaces the response by 304 when the client has this version. Only reads carry an ETag.
fn revalidated(mut response: Response, known: &[HeaderValue]) -> Response {
    let tag = response.headers().get(ETAG);
    let Some(tag) = tag.and_then(|tag| tag.to_str().ok()) else {
        return response;
    };
    if known.iter().any(|known| names(known, tag)) {
        response.set_status(StatusCode::NOT_MODIFIED);
        response.set_body(Body::empty());
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}

/// Returns whether If-None-Match names the tag; weak tags count, as RFC 9110 says.
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
        handler: impl Fn() -> Result<Response> + Send + Sync + Clone + 'static,
    ) -> (u16, String) {
        let endpoint = make(move |_| {
            let handler = handler.clone();
            async move { handler() }
        });
        let endpoint = endpoint
            .with(CatchPanic::new().with_handler(panicked))
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
    async fn hides_the_cause_of_a_panic() {
        let (status, body) = body_of(|| panic!("the secret")).await;

        assert_eq!(status, 500);
        assert!(body.contains("INTERNAL_ERROR"), "{body}");
        assert!(body.contains("\"success\":false"), "{body}");
        assert!(!body.contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn hides_the_cause_of_an_internal_error() {
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
