//! Verifies the credentials of a binding at its exchange and stores the result.

use super::change::binding_action;
use super::credentials::Credentials;
use super::object::ExchangeBinding;
use crate::exchange::{self, ExchangeError, Verdict};
use crate::http::idempotency::Idempotency;
use crate::http::problem::Problem;
use crate::http::transaction::Tx;
use crate::routes::prelude::*;
use sqlx::PgConnection;
use tiris_domain::states::BindingStatus;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::exchange_bindings;

/// Attempts when the binding changes during the verification.
const ATTEMPTS_MAX: u32 = 2;

/// The exchange's verdict on credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Verification {
    /// The exchange accepts the credentials
    Valid,
    /// The exchange refuses the credentials
    Refused,
}

/// The result of a verification.
#[derive(Object, Serialize)]
pub(super) struct VerifiedBinding {
    /// The verdict
    status: Verification,
    /// The verdict as a sentence, with the exchange's own error code
    message: String,
    /// The binding with its new status
    exchange_binding: ExchangeBinding,
}

impl VerifiedBinding {
    fn new(row: Model, verdict: &Verdict) -> Result<Self> {
        let exchange = &row.exchange_type;
        let (status, message) = match verdict {
            Verdict::Valid => (
                Verification::Valid,
                format!("{exchange} accepts the credentials."),
            ),
            Verdict::Refused(code) => (
                Verification::Refused,
                format!("{exchange} refuses the credentials ({code})."),
            ),
        };

        Ok(Self {
            status,
            message,
            exchange_binding: ExchangeBinding::try_from(row)?,
        })
    }
}

/// Calls the exchange, then stores its verdict and the response for the idempotency key in one transaction. Of two
/// concurrent requests both call the exchange, and the response stored first is returned to both. A failed call stores no
/// response.
pub(super) async fn verify<P>(
    state: &State,
    caller: &Caller<P>,
    idempotency: &Idempotency,
    id: BindingId,
) -> Result<Reply<VerifiedBinding>, Problem> {
    let mut attempt = 1;
    loop {
        let (row, verdict) = call_exchange(state, caller, id).await?;

        let reply = idempotency.run(state, caller.user(), async |mut tx: Tx| {
            let stored = store(&mut tx, &row, Some(&verdict)).await?;
            // The verdict is about the version that was read.
            let Some((stored, action)) = stored else {
                return Err(Error::Unavailable {
                    what: "the verification",
                    source: "the binding changed during its verification".into(),
                });
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(VerifiedBinding::new(stored, &verdict)?).await
        });
        match reply.await {
            Err(Error::Unavailable { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
            result => return Ok(result?),
        }
    }
}

/// Verifies the credentials of a binding after a change, if the service is configured to. Returns whether the status of
/// the binding may have changed. A failed verification does not fail the change.
pub(in crate::routes) async fn after_change<P>(
    state: &State,
    caller: &Caller<P>,
    id: BindingId,
) -> bool {
    if !state.exchanges.verifies_changes() {
        return false;
    }

    match verify(state, caller, &Idempotency::NONE, id).await {
        Ok(_) => true,
        // No credentials, or an exchange without verification.
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

/// Returns the response to a change of credentials, with the exchange's verdict. A repeated request gets the same
/// response; repeated before the exchange has responded, it gets the change as committed.
pub(super) async fn verified<P, const STATUS: u16>(
    state: &State,
    caller: &Caller<P>,
    idempotency: &Idempotency,
    id: BindingId,
    reply: Reply<ExchangeBinding, STATUS>,
) -> Result<Reply<ExchangeBinding, STATUS>> {
    if reply.data().is_none() || !after_change(state, caller, id).await {
        return Ok(reply);
    }

    let row = exchange_bindings::get(&state.pool, caller.user(), id).await?;
    let binding = ExchangeBinding::try_from(row)?;
    idempotency.amend(state, caller.user(), binding).await
}

/// Reads a binding and calls its exchange. If the call fails, the binding becomes unverified.
async fn call_exchange<P>(
    state: &State,
    caller: &Caller<P>,
    id: BindingId,
) -> Result<(Model, Verdict), Problem> {
    let row = exchange_bindings::get(&state.pool, caller.user(), id).await?;
    let exchange = column::state(&row.exchange_type)?;
    let refused = |why: &str| Error::InvalidRequest(why.to_owned());
    let credentials = Credentials::open(&state.secrets, &row)
        .map_err(|_| {
            refused("the stored credentials cannot be decrypted: send all of them again with PUT")
        })?
        .ok_or_else(|| refused("this binding has no credentials to verify"))?;
    let key = exchange::ApiKey {
        key: &credentials.api_key,
        secret: &credentials.api_secret,
    };

    match state.exchanges.verify(exchange, key).await {
        Ok(verdict) => Ok((row, verdict)),
        Err(unsupported @ ExchangeError::Unsupported(_)) => Err(unsupported.into()),
        Err(error) => {
            let stored = Tx::run(state, caller.user(), async |mut tx: Tx| {
                let tx = match store(&mut tx, &row, None).await? {
                    Some((_, action)) => tx.audited(caller.actor(), &action).await?,
                    None => tx.unchanged(),
                };
                tx.commit().await
            });
            stored.await?;
            Err(error.into())
        }
    }
}

/// Stores the result of a verification of `row`, and returns the binding and the entry for the audit trail; without a
/// verdict the binding becomes unverified. Returns `None` if the binding has changed since it was read.
async fn store(
    connection: &mut PgConnection,
    row: &Model,
    verdict: Option<&Verdict>,
) -> Result<Option<(Model, Action<'static>)>> {
    let (status, code) = match verdict {
        None => (BindingStatus::Unverified, None),
        Some(Verdict::Valid) => (BindingStatus::Valid, None),
        Some(Verdict::Refused(code)) => (BindingStatus::Refused, Some(code)),
    };
    let Some(stored) = exchange_bindings::set_verified(connection, row, status).await? else {
        return Ok(None);
    };

    let action = Action {
        before: Some(json!({"status": row.status})),
        after: Some(json!({"status": status, "code": code})),
        ..binding_action(ActionName::ExchangeBindingVerify, BindingId(row.id))
    };
    Ok(Some((stored, action)))
}
