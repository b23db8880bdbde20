//! Wakes the live streams of a caller whose request changed something.

use crate::state::State;
use poem::http::Method;
use poem::{Endpoint, Request, Response, Result};
use std::sync::{Arc, OnceLock};
use tiris_domain::ids::UserId;

/// Who asked, once that is known.
#[derive(Clone, Default)]
pub(crate) struct Asker(Arc<OnceLock<UserId>>);

impl Asker {
    /// Keeps who asks.
    pub(crate) fn is(&self, user: UserId) {
        // A request has one caller.
        self.0.get_or_init(|| user);
    }
}

/// Wakes them after `next` has answered with success, so after its commit. What other users have of it, as from a replay
/// of dead letters by an admin, their streams find by themselves.
pub(crate) async fn wake<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    mut request: Request,
) -> Result<Response> {
    let is_read = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let Some(state) = request.data::<State>().filter(|_| !is_read).cloned() else {
        return next.call(request).await;
    };
    let asker = Asker::default();
    request.set_data(asker.clone());
    let response = next.call(request).await?;
    if let Some(user) = asker.0.get().filter(|_| response.status().is_success()) {
        state.streams.wakes.tell_committed(*user);
    }
    Ok(response)
}
