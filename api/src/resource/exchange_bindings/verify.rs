//! Asks an exchange about the credentials of a binding, and keeps what it says.

use super::create::record;
use super::credentials::Credentials;
use super::load::visible;
use super::object::{ExchangeBinding, ExchangeType, Verification, VerifiedBinding};
use crate::auth::Caller;
use crate::error::Problem;
use crate::exchange::{ApiKey, ExchangeError, Verdict};
use crate::ledger::{self, Work};
use crate::resource::stored;
use crate::state::State;
use serde_json::json;
use sqlx::PgConnection;
use tiris_shared::entity::exchange_bindings::Model;
use tiris_shared::error::{Error, Result};
use tiris_shared::ids::BindingId;
use tiris_shared::store::audit::Actor;

/// How often the exchange is asked when the binding is changed meanwhile.
const ATTEMPTS_MAX: u32 = 2;

/// Asks, keeps the answer and tells it.
pub(super) async fn verify(
    state: &State,
    caller: &Caller,
    id: BindingId,
) -> Result<VerifiedBinding, Problem> {
    for _ in 0..ATTEMPTS_MAX {
        let row = visible(&state.db, id, caller.user()).await?;
        let exchange: ExchangeType = stored(&row.exchange_type)?;
        let refused = |why: &str| Error::InvalidRequest(why.to_owned());
        let credentials = Credentials::open(&state.secrets, &row)
            .map_err(|_| refused("the stored credentials cannot be read any more: give all of them again"))?
            .ok_or_else(|| refused("this binding has no credentials that could be verified"))?;
        let api = ApiKey { key: &credentials.api_key, secret: &credentials.api_secret };
        let asked = state.exchanges.verify(exchange.stored(), api).await;
        if let Err(unsupported @ ExchangeError::Unsupported(_)) = asked {
            return Err(unsupported.into());
        }
        let (status, code) = match &asked {
            Ok(Verdict::Valid) => ("valid", None),
            Ok(Verdict::Refused(code)) => ("refused", Some(code.as_str())),
            Err(_) => ("unverified", None),
        };
        let kept =
            ledger::commit(&state.pool, &KeepWork { row: &row, actor: caller.actor(), status, code }).await?;
        let verdict = asked?;
        if kept {
            let row = visible(&state.db, id, caller.user()).await?;
            return told(exchange, verdict, row);
        }
    }
    let source = "the binding was changed while the exchange was asked".into();
    Err(Error::Unavailable { what: "the verification", source }.into())
}

/// The same after a change, when the service is set up for it. The change is made and its answer is success, whatever
/// comes of this: what the exchange says is the status of the binding.
pub(in crate::resource) async fn after_change(state: &State, caller: &Caller, id: BindingId) {
    if !state.exchanges.verifies_changes() {
        return;
    }
    match verify(state, caller, id).await {
        // Nothing to ask, or nobody.
        Err(Problem::Exchange(ExchangeError::Unsupported(_)) | Problem::Domain(Error::InvalidRequest(_)))
        | Ok(_) => {}
        Err(problem) => {
            tracing::warn!(error = &problem as &dyn std::error::Error, "new credentials stay unverified");
        }
    }
}

fn told(exchange: ExchangeType, verdict: Verdict, row: Model) -> Result<VerifiedBinding, Problem> {
    let name = exchange.stored();
    let (status, message) = match verdict {
        Verdict::Valid => (Verification::Valid, format!("{name} accepts the credentials.")),
        Verdict::Refused(code) => {
            (Verification::Refused, format!("{name} refuses the credentials ({code})."))
        }
    };
    Ok(VerifiedBinding { status, message, exchange_binding: ExchangeBinding::from_row(row)? })
}

/// The transaction that keeps what came of it; false when the binding was changed meanwhile.
struct KeepWork<'a> {
    row: &'a Model,
    actor: &'a Actor,
    status: &'static str,
    code: Option<&'a str>,
}

impl Work for KeepWork<'_> {
    type Output = bool;

    async fn run(&self, connection: &mut PgConnection) -> Result<bool> {
        // A rotation of keys leaves `updated_at` alone, and what was verified stays verified.
        let kept = sqlx::query(
            "UPDATE exchange_bindings SET status = $3, updated_at = clock_timestamp(), \
             last_verified_at = CASE $3 WHEN 'unverified' THEN last_verified_at ELSE clock_timestamp() END \
             WHERE id = $1 AND updated_at = $2 AND status <> 'deleted'",
        )
        .bind(self.row.id)
        .bind(self.row.updated_at)
        .bind(self.status)
        .execute(&mut *connection)
        .await?;
        if kept.rows_affected() == 0 {
            return Ok(false);
        }
        let (before, after) =
            (json!({"status": self.row.status}), json!({"status": self.status, "code": self.code}));
        let id = BindingId(self.row.id);
        record(connection, self.actor, "exchange_binding.verify", id, (Some(before), Some(after))).await?;
        Ok(true)
    }
}
