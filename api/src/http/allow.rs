//! Tells a caller whose method is not allowed which ones are.

use super::document::Methods;
use poem::http::header::ALLOW;
use poem::http::{HeaderValue, StatusCode};
use poem::{Endpoint, PathPattern, Request, Response, Result};
use std::sync::Arc;

/// What every route outside the document knows: they are all documents to be read.
const READ_ONLY: &str = "GET, HEAD";

/// Adds the methods of the route to a 405 of `next`.
pub(crate) async fn tell<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
    operations: Arc<Methods>,
) -> Result<Response> {
    let mut response = next.call(request).await?;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let known = response
            .data::<PathPattern>()
            .and_then(|pattern| operations.methods(&pattern.0));
        if let Ok(methods) = HeaderValue::from_str(known.unwrap_or(READ_ONLY)) {
            response.headers_mut().insert(ALLOW, methods);
        }
    }
    Ok(response)
}
