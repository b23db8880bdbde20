//! Bounds the time of a request. What it did in a transaction is rolled back when it runs out.

use crate::http::problem::Problem;
use poem::{Endpoint, Request, Response, Result};
use std::sync::Arc;
use std::time::Duration;

/// Answers 503 when `next` has not answered within `limit`.
pub(crate) async fn bound<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
    limit: Duration,
) -> Result<Response> {
    let answered = tokio::time::timeout(limit, next.call(request)).await;
    answered.unwrap_or_else(|_| Err(Problem::TimedOut.into()))
}
