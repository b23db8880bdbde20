//! The audit trail: who did what. Append-only.

use crate::error::Result;
use serde_json::Value;
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use uuid::Uuid;

/// Longest agent that is kept, in characters.
const AGENT_CHARS_MAX: usize = 256;

/// Who does something, and how he came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The user, when one is signed in.
    pub user: Option<UserId>,
    /// The sign-in.
    pub session: Option<Uuid>,
    /// Address of the client.
    pub ip: Option<String>,
    /// What the client says it is.
    pub agent: Option<String>,
    /// Id of the request.
    pub trace_id: Option<String>,
}

/// What was done to what. Holds no secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Action<'a> {
    /// Stable name, such as `dead_letter.replay`.
    pub name: &'a str,
    /// What kind of thing it was done to.
    pub resource: &'a str,
    /// Which one; none when it were many.
    pub id: Option<String>,
    /// How it was before.
    pub before: Option<Value>,
    /// How it is now, or what was asked for.
    pub after: Option<Value>,
}

/// Keeps what was done, inside the transaction that does it.
pub async fn record(
    connection: &mut PgConnection,
    actor: &Actor,
    action: &Action<'_>,
) -> Result<()> {
    let agent = actor
        .agent
        .as_ref()
        .map(|agent| agent.chars().take(AGENT_CHARS_MAX).collect::<String>());

    sqlx::query(
        "INSERT INTO audit_logs (id, timestamp, user_id, session_id, ip, agent, trace_id, action, resource_type, \
         resource_id, before, after) VALUES ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(tiris_domain::ids::new_id())
    .bind(actor.user.map(|user| user.0))
    .bind(actor.session)
    .bind(&actor.ip)
    .bind(agent)
    .bind(&actor.trace_id)
    .bind(action.name)
    .bind(action.resource)
    .bind(&action.id)
    .bind(&action.before)
    .bind(&action.after)
    .execute(connection)
    .await?;
    Ok(())
}
