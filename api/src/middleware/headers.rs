//! Headers that tell browsers to be careful with every answer.

use crate::http::client::Client;
use poem::http::HeaderValue;
use poem::http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use poem::{Endpoint, Request, Response, Result};
use std::sync::Arc;

/// Data is never a page.
const POLICY_DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// Swagger UI carries its script and style in the page and calls this server only.
const POLICY_DOCS: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    img-src data:; font-src data:; connect-src 'self'; frame-ancestors 'none'";
/// One year.
const TRANSPORT: &str = "max-age=31536000; includeSubDomains";

/// Adds the headers to what `next` answers.
pub(crate) async fn secure<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let policy = if request.uri().path().starts_with("/docs") {
        POLICY_DOCS
    } else {
        POLICY_DATA
    };
    let behind_tls = Client::of(&request).behind_tls;
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if behind_tls {
        headers.insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static(TRANSPORT),
        );
    }
    Ok(response)
}
