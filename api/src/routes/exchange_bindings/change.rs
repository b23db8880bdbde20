//! Checks and audit entries that all changes of exchange bindings share.

use crate::routes::prelude::*;
use serde_json::Value;
use sqlx::PgConnection;
use tiris_domain::states::BindingKind;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::exchange_bindings;

/// Refusals of a change: only admins change public bindings.
pub(super) const FORBIDDEN_BINDING: Refusal = (
    403,
    "`ACCESS_DENIED`: only admins change public bindings; `ACCOUNT_DISABLED`: the account of the caller is disabled",
);
/// Refusals of a name or API key that another binding has.
pub(super) const BINDING_EXISTS: Refusal = (
    409,
    "`BINDING_NAME_EXISTS`: the caller has another binding with this name; `API_KEY_EXISTS`: the caller has another \
     binding with this API key",
);

/// Locks a binding that the caller may change.
pub(super) async fn lock<P>(
    connection: &mut PgConnection,
    caller: &Caller<P>,
    id: BindingId,
) -> Result<Model> {
    let row = exchange_bindings::lock(connection, caller.user(), id).await?;
    let kind: BindingKind = column::state(&row.kind)?;

    if kind == BindingKind::Public && !caller.is_admin() {
        return Err(Error::AccessDenied("only admins change public bindings"));
    }
    Ok(row)
}

/// Returns an entry of the audit trail about a binding.
pub(super) fn binding_action(name: ActionName, id: BindingId) -> Action<'static> {
    action(name, "exchange_binding", id)
}

/// Returns a binding in the audit trail, which outlives the binding and its name.
pub(super) fn summary(row: &Model) -> Value {
    json!({
        "exchange_type": row.exchange_type,
        "masked_api_key": row.masked_api_key,
    })
}
