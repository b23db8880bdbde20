//! The time limit of requests. A timeout rolls back the transaction of a request.

use crate::http::problem::Problem;
use poem::{Endpoint, Request, Response, Result};
use std::sync::Arc;
use std::time::Duration;

/// Fails with 503 after `limit`.
pub(crate) async fn bound<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
    limit: Duration,
) -> Result<Response> {
    tokio::time::timeout(limit, next.call(request))
        .await
        .unwrap_or_else(|_| Err(Problem::TimedOut.into()))
}
