//! `GET /v1/audit`

use crate::routes::prelude::*;
use serde_json::Value;
use tiris_store::entity::audit_logs::{Column, Entity, Model};

operation!(ListAudit: User, General, [INVALID]);

const ORDER: (Column, Column) = (Column::Timestamp, Column::Id);

/// An entry of the audit trail.
#[derive(Object, Serialize)]
struct AuditEntry {
    /// Id of the entry
    id: Uuid,
    /// When it happened
    timestamp: DateTime<Utc>,
    /// Id of the user who did it; null for operators, and for a refused sign-in of an unknown user
    #[oai(nullable)]
    user_id: Option<Uuid>,
    /// Id of the user's session
    #[oai(nullable)]
    session_id: Option<Uuid>,
    /// Address of the client
    #[oai(nullable)]
    ip: Option<String>,
    /// User agent that the client reported, or the command of an operator
    #[oai(nullable)]
    user_agent: Option<String>,
    /// Id of the request, as in `metadata.trace_id` of its response
    #[oai(nullable)]
    trace_id: Option<String>,
    /// What was done, such as `sub_account.deposit`; `admin.read` when an admin reads data of other users
    action: String,
    /// Type of the resource, such as `sub_account`
    resource_type: String,
    /// Id of the resource; null when the action concerns several
    #[oai(nullable)]
    resource_id: Option<String>,
    /// The resource before the action, as far as it matters, without secrets
    #[oai(nullable)]
    before: Option<Value>,
    /// The resource after the action, or the request, without secrets; `transaction_ids` and `trading_log_ids` name what it
    /// booked
    #[oai(nullable)]
    after: Option<Value>,
}

impl From<Model> for AuditEntry {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            timestamp: row.timestamp,
            user_id: row.user_id,
            session_id: row.session_id,
            ip: row.ip,
            user_agent: row.agent,
            trace_id: row.trace_id,
            action: row.action,
            resource_type: row.resource_type,
            resource_id: row.resource_id,
            before: row.before,
            after: row.after,
        }
    }
}

/// A page of the audit trail.
#[derive(Object, Serialize)]
struct AuditPage {
    /// Entries, newest first
    audit: Listed<AuditEntry>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/audit", tag = "Tag::Audit")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListAudit {
    /// List the audit trail
    ///
    /// Returns a page of what the caller did (for admins: of what all users and operators did), newest first; all given
    /// filters must match. Each change has one entry, written in the transaction of the change; requests that are refused or
    /// change nothing have none. An admin's reading of other users' data is itself recorded as `admin.read`.
    #[oai(path = "/", method = "get", operation_id = "listAudit")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only actions of this user; only admins see other users than themselves
        user_id: Query<Option<Uuid>>,
        /// Only actions with this name, such as `session.begin`
        action: Query<Option<String>>,
        /// Only actions on resources of this type, such as `trading`
        resource_type: Query<Option<String>>,
        /// Only actions on the resource with this id
        resource_id: Query<Option<String>>,
        /// Only actions at or after this time, RFC 3339 or a date
        start_date: Query<Option<QueryTime>>,
        /// Only actions before this time, RFC 3339 or a date
        end_date: Query<Option<QueryTime>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,action`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<AuditPage, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), None, None)?;
        let chosen = Chosen::of::<AuditEntry>(fields.0.as_deref())?;
        let own = (!caller.is_admin()).then_some(caller.user().0);
        let rows = Entity::find()
            .filter(equal(Column::UserId, own))
            .filter(equal(Column::UserId, user_id.0))
            .filter(equal_text(Column::Action, "action", action.0)?)
            .filter(equal_text(
                Column::ResourceType,
                "resource_type",
                resource_type.0,
            )?)
            .filter(equal_text(
                Column::ResourceId,
                "resource_id",
                resource_id.0,
            )?)
            .filter(range(
                Column::Timestamp,
                ("start_date", start_date.0),
                ("end_date", end_date.0),
            )?);
        if own.is_none() && user_id.0 != Some(caller.user().0) {
            caller.record_read(&state).await?;
        }

        let list = List {
            rows,
            columns: ORDER,
            key: |row: &Model| (row.timestamp, row.id),
        };
        let mut answer = state.answers.begin(caller.user());
        let (rows, pagination) = page
            .read(&mut answer, state.histories.lists(), list, |row| {
                chosen.serialize(&AuditEntry::from(row))
            })
            .await?;
        let data = AuditPage {
            audit: rows.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
    }
}
