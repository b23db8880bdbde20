//! The audit trail of the commands, with the action names of the API.

use nix::unistd::{Uid, User, gethostname};
use serde_json::Value;
use sqlx::PgConnection;
use tiris_store::audit::{self, Action, ActionName, Actor};
use tiris_store::error::Result;

/// Returns the operator's name in the operating system.
pub(super) fn operator() -> String {
    let user = User::from_uid(Uid::current()).ok().flatten();
    user.map_or_else(|| Uid::current().to_string(), |user| user.name)
}

/// Records an action in the transaction that does it. As no user is signed in, the agent names the operator and the host.
pub(super) async fn record(connection: &mut PgConnection, action: &Action<'_>) -> Result<()> {
    let host = gethostname().unwrap_or_else(|_| "?".into());
    let agent = format!("tiris-ingest by {}@{}", operator(), host.display());
    let actor = Actor {
        agent: Some(agent),
        ..Actor::default()
    };
    // The commands print what they did.
    audit::record(connection, &actor, action).await?.unlogged();
    Ok(())
}

/// Records an action on one dead letter, or on several when there is no id.
pub(super) async fn record_dead_letters(
    connection: &mut PgConnection,
    name: ActionName,
    id: Option<uuid::Uuid>,
    after: Value,
) -> Result<()> {
    let action = Action {
        name,
        resource: "dead_letter",
        id: id.map(|id| id.to_string()),
        before: None,
        after: Some(after),
    };
    record(connection, &action).await
}
