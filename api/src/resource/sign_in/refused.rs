//! What is kept of a sign-in that was refused: when, from where, at which provider, and the code of the refusal.
//!
//! Owns: which refusals are kept, and how many. Must not know: why one is refused.

use crate::auth::provider::Provider;
use crate::error::tell_domain;
use crate::state::State;
use serde_json::json;
use tiris_store::audit::{self, Action, Actor};
use tiris_store::error::{Error, Result};

/// Keeps in the audit trail that somebody could not sign in, while there are not too many: the limit of an address bounds
/// what one client can make us keep, this one what all of them can.
pub(super) async fn keep(state: &State, actor: &Actor, provider: Provider, error: &Error) {
    if error.is_transient() || !state.refusals_kept.allows() {
        return;
    }
    let kept = record(state, actor, provider, error).await;
    if let Err(error) = kept {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a refused sign-in is not in the audit trail"
        );
    }
}

async fn record(state: &State, actor: &Actor, provider: Provider, error: &Error) -> Result<()> {
    let after = json!({"provider": provider.name(), "code": tell_domain(error).code});
    let action = Action {
        name: "session.refuse",
        resource: "session",
        id: None,
        before: None,
        after: Some(after),
    };
    let mut connection = state.pool.acquire().await?;
    audit::record(&mut connection, actor, &action).await
}
