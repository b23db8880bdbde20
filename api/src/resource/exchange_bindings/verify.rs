//! Asks an exchange about the credentials of a binding, and keeps what it says.

use super::create::record;
use super::credentials::Credentials;
use super::load::{visible, visible_within};
use super::object::{ExchangeBinding, ExchangeType, Verification, VerifiedBinding};
use crate::auth::Caller;
use crate::envelope::Reply;
use crate::error::Problem;
use crate::exchange::{ApiKey, ExchangeError, Verdict};
use crate::ledger::{self, Work};
use crate::once::Once;
use crate::resource::stored;
use crate::state::State;
use serde_json::json;
use sqlx::PgConnection;
use tiris_domain::ids::BindingId;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::{Error, Result};

/// How often the exchange is asked when the binding is changed meanwhile.
const ATTEMPTS_MAX: u32 = 2;

/// Asks, keeps the answer and tells it. The exchange is asked before the transaction that keeps what it says together
/// with the idempotency key: of two requests at once both ask, and what the first one keeps is the answer to both. That
/// the exchange could not be asked is no answer to be kept.
pub(super) async fn verify(
    state: &State,
    caller: &Caller,
    once: &Once,
    id: BindingId,
) -> Result<Reply<VerifiedBinding>, Problem> {
    let mut attempt = 1;
    loop {
        let row = visible(&state.db, id, caller.user()).await?;
        let exchange: ExchangeType = stored(&row.exchange_type)?;
        let refused = |why: &str| Error::InvalidRequest(why.to_owned());
        let credentials = Credentials::open(&state.secrets, &row)
            .map_err(|_| {
                refused("the stored credentials cannot be read any more: give all of them again")
            })?
            .ok_or_else(|| refused("this binding has no credentials that could be verified"))?;
        let api = ApiKey {
            key: &credentials.api_key,
            secret: &credentials.api_secret,
        };
        let verdict = match state.exchanges.verify(exchange.stored(), api).await {
            Ok(verdict) => verdict,
            Err(unsupported @ ExchangeError::Unsupported(_)) => return Err(unsupported.into()),
            Err(error) => {
                let keep = KeepWork {
                    row: &row,
                    caller,
                    status: "unverified",
                    code: None,
                };
                ledger::commit(&state.pool, &keep).await?;
                return Err(error.into());
            }
        };
        let work = VerdictWork {
            row: &row,
            caller,
            exchange,
            verdict: &verdict,
        };
        match once.commit(state, caller.user(), &work).await {
            Err(Error::Unavailable { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
            result => return Ok(result?),
        }
    }
}

/// The same after a change, when the service is set up for it; false when nothing came of it. The change is made and its
/// answer is success, whatever comes of this: what the exchange says is the status of the binding.
pub(in crate::resource) async fn after_change(
    state: &State,
    caller: &Caller,
    id: BindingId,
) -> bool {
    if !state.exchanges.verifies_changes() {
        return false;
    }
    match verify(state, caller, &Once::NO_KEY, id).await {
        Ok(_) => true,
        // Nothing to ask, or nobody.
        Err(
            Problem::Exchange(ExchangeError::Unsupported(_))
            | Problem::Domain(Error::InvalidRequest(_)),
        ) => false,
        Err(problem) => {
            tracing::warn!(
                error = &problem as &dyn std::error::Error,
                "new credentials stay unverified"
            );
            true
        }
    }
}

/// The answer to a change that concerns credentials, with what the exchange says of them. A request that is repeated is
/// given the same; one that is repeated before the exchange has answered, the change as it was committed.
pub(super) async fn answer<const STATUS: u16>(
    state: &State,
    caller: &Caller,
    once: &Once,
    id: BindingId,
    reply: Reply<ExchangeBinding, STATUS>,
) -> Result<Reply<ExchangeBinding, STATUS>> {
    if reply.made().is_none() || !after_change(state, caller, id).await {
        return Ok(reply);
    }
    let row = visible(&state.db, id, caller.user()).await?;
    once.amended(state, caller.user(), ExchangeBinding::from_row(row)?)
        .await
}

/// The transaction that keeps a verdict and tells it.
struct VerdictWork<'a> {
    row: &'a Model,
    caller: &'a Caller,
    exchange: ExchangeType,
    verdict: &'a Verdict,
}

impl Work for VerdictWork<'_> {
    type Output = VerifiedBinding;

    /// Fails as unavailable when the binding was changed meanwhile: the verdict is about what it was.
    async fn run(&self, connection: &mut PgConnection) -> Result<VerifiedBinding> {
        let (row, caller, name) = (self.row, self.caller, self.exchange.stored());
        let (status, message, keep) = match self.verdict {
            Verdict::Valid => (
                Verification::Valid,
                format!("{name} accepts the credentials."),
                KeepWork {
                    row,
                    caller,
                    status: "valid",
                    code: None,
                },
            ),
            Verdict::Refused(code) => (
                Verification::Refused,
                format!("{name} refuses the credentials ({code})."),
                KeepWork {
                    row,
                    caller,
                    status: "refused",
                    code: Some(code),
                },
            ),
        };
        if !keep.run(connection).await? {
            let source = "the binding was changed while the exchange was asked".into();
            return Err(Error::Unavailable {
                what: "the verification",
                source,
            });
        }
        let row = visible_within(connection, BindingId(row.id), caller.user()).await?;
        Ok(VerifiedBinding {
            status,
            message,
            exchange_binding: ExchangeBinding::from_row(row)?,
        })
    }
}

/// The transaction that keeps what came of it; false when the binding was changed meanwhile.
struct KeepWork<'a> {
    row: &'a Model,
    caller: &'a Caller,
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
        let (before, after) = (
            json!({"status": self.row.status}),
            json!({"status": self.status, "code": self.code}),
        );
        let id = BindingId(self.row.id);
        record(
            connection,
            self.caller.actor(),
            "exchange_binding.verify",
            id,
            (Some(before), Some(after)),
        )
        .await?;
        Ok(true)
    }
}
