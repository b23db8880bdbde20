//! Repeats a read whose database session was outdated by a migration or a failover. Changes are repeated by their
//! transactions.

use crate::http::problem::Problem;
use poem::http::Method;
use poem::{Endpoint, Request, Response, Result};
use std::sync::Arc;

/// Runs `next`, a second time for a read that had an outdated session.
pub(crate) async fn repeat<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let again = (*request.method() == Method::GET).then(|| copy(&request));

    match (next.call(request).await, again) {
        (Err(error), Some(again)) if is_outdated_session(&error) => next.call(again).await,
        (outcome, _) => outcome,
    }
}

fn is_outdated_session(error: &poem::Error) -> bool {
    let problem = error.downcast_ref::<Problem>();
    problem.is_some_and(
        |problem| matches!(problem, Problem::Domain(error) if error.is_outdated_session()),
    )
}

/// Copies a request without its body, which a read has not.
fn copy(request: &Request) -> Request {
    let copy = Request::builder().method(request.method().clone());
    let copy = copy.uri(request.uri().clone()).version(request.version());
    let mut copy = copy.finish();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    copy
}
