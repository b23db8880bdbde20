//! What is kept of a sign-in that was refused: when, from where, at which provider, and the code of the refusal.
//!
//! Owns: which refusals are kept, and how many. Must not know: why one is refused.

use crate::http::problem::code_of;
use crate::state::State;
use serde_json::json;
use tiris_domain::states::IdentityProvider;
use tiris_store::audit::{self, Action, Actor};
use tiris_store::error::{Error, Result};

/// Keeps in the audit trail that somebody could not sign in, while there are not too many: the limit of an address bounds
/// what one client can make us keep, this one what all of them can.
pub(super) async fn record(
    state: &State,
    actor: &Actor,
    provider: IdentityProvider,
    error: &Error,
) {
    if error.is_transient() || !state.refusals_kept.allows() {
        return;
    }

    let action = Action {
        name: "session.refuse",
        resource: "session",
        id: None,
        before: None,
        after: Some(json!({"provider": provider, "code": code_of(error)})),
    };
    if let Err(error) = insert(state, actor, &action).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a refused sign-in is not in the audit trail"
        );
    }
}

async fn insert(state: &State, actor: &Actor, action: &Action<'_>) -> Result<()> {
    let mut connection = state.pool.acquire().await?;
    audit::record(&mut connection, actor, action).await
}
