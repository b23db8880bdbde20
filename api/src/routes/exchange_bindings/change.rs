//! What all changes of bindings share: who may make them, and what the audit trail says of them.

use crate::auth::Caller;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tiris_domain::ids::BindingId;
use tiris_domain::states::BindingKind;
use tiris_store::audit::Action;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::{Error, Result};
use tiris_store::{column, exchange_bindings};

/// Locks a living binding that the caller may change.
pub(super) async fn lock<P>(
    connection: &mut PgConnection,
    caller: &Caller<P>,
    id: BindingId,
) -> Result<Model> {
    let row = exchange_bindings::lock(connection, caller.user(), id).await?;
    let kind: BindingKind = column::state(&row.kind)?;

    if kind == BindingKind::Public && !caller.is_admin() {
        return Err(Error::AccessDenied(
            "a public binding is changed by admins only",
        ));
    }
    Ok(row)
}

/// The action `name` on a binding, for the audit trail.
pub(super) fn action(name: &str, id: BindingId) -> Action<'_> {
    Action {
        name,
        resource: "exchange_binding",
        id: Some(id.to_string()),
        before: None,
        after: None,
    }
}

/// A binding in the audit trail.
pub(super) fn summary(row: &Model) -> Value {
    json!({
        "name": row.name,
        "exchange_type": row.exchange_type,
        "masked_api_key": row.masked_api_key,
    })
}
