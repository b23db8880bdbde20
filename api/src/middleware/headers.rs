//! Security headers of every response.

use crate::http::client::Client;
use poem::http::HeaderValue;
use poem::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use poem::{Endpoint, Request, Response, Result};
use std::sync::Arc;

/// The content security policy of data.
const POLICY_DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// The content security policy of Swagger UI, which has its script and style in the page and calls only this server.
const POLICY_DOCS: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    img-src data:; font-src data:; connect-src 'self'; frame-ancestors 'none'";
/// HSTS for one year.
const TRANSPORT: &str = "max-age=31536000; includeSubDomains";

/// Adds the headers to responses of `next`. The framework's `SetHeader` adds the same headers to all responses, and two of
/// these depend on the request.
pub(crate) async fn secure<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let is_docs = request.uri().path().starts_with("/docs");
    let is_behind_tls = Client::of(&request).behind_tls;

    let mut response = next.call(request).await?;

    let mut set = |name: HeaderName, value| {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    };
    set(
        CONTENT_SECURITY_POLICY,
        if is_docs { POLICY_DOCS } else { POLICY_DATA },
    );
    set(REFERRER_POLICY, "no-referrer");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "DENY");
    if is_behind_tls {
        set(STRICT_TRANSPORT_SECURITY, TRANSPORT);
    }
    Ok(response)
}
