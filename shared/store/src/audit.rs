//! The audit trail of actions and their actors. Append-only. What is recorded is logged once it is committed.

mod name;

pub use name::ActionName;

use crate::error::Result;
use serde_json::Value;
use sqlx::PgConnection;
use tiris_domain::ids::{UserId, new_id};
use uuid::Uuid;

/// Longest stored user agent, in characters.
const AGENT_CHARS_MAX: usize = 256;

/// The actor of an action, and the origin of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The user; `None` when the action needs no sign-in.
    pub user: Option<UserId>,
    /// The session of the user.
    pub session: Option<Uuid>,
    /// Address of the client.
    pub ip: Option<String>,
    /// User agent that the client reports.
    pub agent: Option<String>,
    /// Id of the request.
    pub trace_id: Option<String>,
}

/// An action on a resource. Holds no secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Action<'a> {
    /// What the action does.
    pub name: ActionName,
    /// Type of the resource.
    pub resource: &'a str,
    /// Id of the resource; `None` when the action concerns several.
    pub id: Option<String>,
    /// The resource before the action.
    pub before: Option<Value>,
    /// The resource after the action, or the request.
    pub after: Option<Value>,
}

/// A recorded action, which is logged once its transaction is committed.
#[must_use = "log it after the commit"]
#[derive(Debug)]
pub struct Recorded {
    name: ActionName,
    user: Option<UserId>,
    id: Option<String>,
}

impl Recorded {
    /// Logs the action, after the commit of its transaction.
    pub fn log(self) {
        let action = self.name.as_str();
        let user_id = self.user.map(tracing::field::display);
        let resource_id = self.id;
        let message = self.name.message();

        if self.name.is_refusal() {
            tracing::warn!(user_id, action, resource_id, "{message}");
        } else {
            tracing::info!(user_id, action, resource_id, "{message}");
        }
    }

    /// Does not log the action: a line or an output about several stands for it.
    pub fn unlogged(self) {}
}

/// Records an action, inside its transaction.
pub async fn record(
    connection: &mut PgConnection,
    actor: &Actor,
    action: &Action<'_>,
) -> Result<Recorded> {
    sqlx::query(
        "SELECT record_audit(id => $1, user_id => $2, session_id => $3, ip => $4, agent => $5, trace_id => $6, \
         action => $7, resource_type => $8, resource_id => $9, before => $10, after => $11)",
    )
    .bind(new_id())
    .bind(actor.user.map(|user| user.0))
    .bind(actor.session)
    .bind(&actor.ip)
    .bind(actor.agent.as_deref().map(stored_agent))
    .bind(&actor.trace_id)
    .bind(action.name.as_str())
    .bind(action.resource)
    .bind(&action.id)
    .bind(&action.before)
    .bind(&action.after)
    .execute(connection)
    .await?;

    Ok(Recorded {
        name: action.name,
        user: actor.user,
        id: action.id.clone(),
    })
}

/// Shortens a user agent to the longest that is stored.
pub(crate) fn stored_agent(agent: &str) -> String {
    agent.chars().take(AGENT_CHARS_MAX).collect()
}
