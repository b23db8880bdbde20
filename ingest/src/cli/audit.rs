//! The audit trail of the commands: what an operator did, under the names the API uses too.
//!
//! Owns: who an operator is. Must not know: what the commands do.

use nix::unistd::{Uid, User, gethostname};
use serde_json::Value;
use sqlx::PgConnection;
use tiris_store::audit::{self, Action, Actor};
use tiris_store::error::Result;

/// The name the system knows the operator by.
pub(super) fn operator() -> String {
    let user = User::from_uid(Uid::current()).ok().flatten();
    user.map_or_else(|| Uid::current().to_string(), |user| user.name)
}

/// Keeps what was done, inside the transaction that does it. No user is signed in: the agent says who it was, and where.
pub(super) async fn record(connection: &mut PgConnection, action: &Action<'_>) -> Result<()> {
    let host = gethostname().map_or_else(
        |_| "?".to_owned(),
        |host| host.to_string_lossy().into_owned(),
    );
    let agent = format!("tiris-ingest by {}@{host}", operator());
    audit::record(
        connection,
        &Actor {
            agent: Some(agent),
            ..Actor::default()
        },
        action,
    )
    .await
}

/// What was done to letters; to many when there is no id.
pub(super) fn to_letters(name: &str, id: Option<uuid::Uuid>, after: Value) -> Action<'_> {
    let id = id.map(|id| id.to_string());
    Action {
        name,
        resource: "dead_letter",
        id,
        before: None,
        after: Some(after),
    }
}
