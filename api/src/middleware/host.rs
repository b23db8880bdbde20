//! The header `Host`, which HTTP/1.1 requires (RFC 9112, section 3.2).

use crate::http::problem::Problem;
use poem::http::Version;
use poem::http::header::HOST;
use poem::{Endpoint, Request, Response, Result};
use std::sync::Arc;
use tiris_store::error::Error;

/// Refuses a request of HTTP/1.1 without exactly one `Host`.
pub(crate) async fn require<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let hosts = request.headers().get_all(HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 {
        let why = format!("HTTP/1.1 requires the header Host once (given: {hosts} times)");
        return Err(Problem::from(Error::InvalidRequest(why)).into());
    }
    next.call(request).await
}
