//! Asks an exchange about the credentials of a binding, and stores what it says.

use super::change::action;
use super::credentials::Credentials;
use super::object::ExchangeBinding;
use crate::auth::Caller;
use crate::exchange::{self, ExchangeError, Verdict};
use crate::http::idempotency::Idempotency;
use crate::http::problem::Problem;
use crate::http::reply::Reply;
use crate::http::transaction::Tx;
use crate::state::State;
use poem_openapi::{Enum, Object};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use tiris_domain::ids::BindingId;
use tiris_domain::states::{BindingStatus, ExchangeType};
use tiris_store::audit::{self, Action, Actor};
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::{Error, Result};
use tiris_store::{column, exchange_bindings};

/// How often the exchange is asked when the binding is changed meanwhile.
const ATTEMPTS_MAX: u32 = 2;

/// What an exchange says about credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Verification {
    /// It accepts them.
    Valid,
    /// It does not.
    Refused,
}

/// What came of asking the exchange.
#[derive(Object, Serialize)]
pub(super) struct VerifiedBinding {
    status: Verification,
    /// The same for a person, with the exchange's own code
    message: String,
    exchange_binding: ExchangeBinding,
}

/// Asks the exchange, and answers what it says. The exchange is asked before the transaction that stores what it says
/// together with the idempotency key: of two requests at once both ask, and what the first one stores is the answer to
/// both. That the exchange could not be asked is no answer to be stored.
pub(super) async fn verify<P>(
    state: &State,
    caller: &Caller<P>,
    idempotency: &Idempotency,
    id: BindingId,
) -> Result<Reply<VerifiedBinding>, Problem> {
    let mut attempt = 1;
    loop {
        let asked = ask(state, caller, id).await?;

        let reply = idempotency.run(state, caller.user(), async |mut tx: Tx| {
            let verified = asked.store(&mut tx, caller.actor()).await?;
            tx.finish(verified).await
        });
        match reply.await {
            Err(Error::Unavailable { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
            result => return Ok(result?),
        }
    }
}

/// Verifies the credentials of a binding after a change, when the service is set up for it; false when nothing came of
/// it. The change is made and its answer is success, whatever comes of this: what the exchange says is the status of the
/// binding.
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

/// The answer to a change of credentials, with what the exchange says of them. A request that is repeated is given the
/// same; one that is repeated before the exchange has answered, the change as it was committed.
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

/// What an exchange says about the credentials of a binding as it was read.
struct Asked {
    row: Model,
    exchange: ExchangeType,
    verdict: Verdict,
}

/// Asks the exchange. When it cannot be asked, the binding becomes unverified.
async fn ask<P>(state: &State, caller: &Caller<P>, id: BindingId) -> Result<Asked, Problem> {
    let row = exchange_bindings::get(&state.pool, caller.user(), id).await?;
    let exchange = column::state(&row.exchange_type)?;
    let refused = |why: &str| Error::InvalidRequest(why.to_owned());
    let credentials = Credentials::open(&state.secrets, &row)
        .map_err(|_| {
            refused("the stored credentials cannot be read any more: give all of them again")
        })?
        .ok_or_else(|| refused("this binding has no credentials that could be verified"))?;
    let key = exchange::ApiKey {
        key: &credentials.api_key,
        secret: &credentials.api_secret,
    };

    match state.exchanges.verify(exchange, key).await {
        Ok(verdict) => Ok(Asked {
            row,
            exchange,
            verdict,
        }),
        Err(unsupported @ ExchangeError::Unsupported(_)) => Err(unsupported.into()),
        Err(error) => {
            let stored = Tx::run(state, caller.user(), async |mut tx: Tx| {
                store(
                    &mut tx,
                    caller.actor(),
                    &row,
                    BindingStatus::Unverified,
                    None,
                )
                .await?;
                tx.finish::<_, 200>(()).await
            });
            stored.await?;
            Err(error.into())
        }
    }
}

impl Asked {
    /// Stores the verdict, and returns it for the answer. Fails as unavailable when the binding was changed meanwhile:
    /// the verdict is about what it was.
    async fn store(&self, connection: &mut PgConnection, actor: &Actor) -> Result<VerifiedBinding> {
        let exchange = self.exchange;
        let (status, binding_status, code, message) = match &self.verdict {
            Verdict::Valid => (
                Verification::Valid,
                BindingStatus::Valid,
                None,
                format!("{exchange} accepts the credentials."),
            ),
            Verdict::Refused(code) => (
                Verification::Refused,
                BindingStatus::Refused,
                Some(code.as_str()),
                format!("{exchange} refuses the credentials ({code})."),
            ),
        };

        let stored = store(connection, actor, &self.row, binding_status, code).await?;
        let row = stored.ok_or_else(|| Error::Unavailable {
            what: "the verification",
            source: "the binding was changed while the exchange was asked".into(),
        })?;
        Ok(VerifiedBinding {
            status,
            message,
            exchange_binding: ExchangeBinding::try_from(row)?,
        })
    }
}

/// Stores and records what came of asking about `row`; `None` when the binding was changed meanwhile.
async fn store(
    connection: &mut PgConnection,
    actor: &Actor,
    row: &Model,
    status: BindingStatus,
    code: Option<&str>,
) -> Result<Option<Model>> {
    let Some(stored) = exchange_bindings::set_verified(connection, row, status).await? else {
        return Ok(None);
    };

    let action = Action {
        before: Some(json!({"status": row.status})),
        after: Some(json!({"status": status, "code": code})),
        ..action("exchange_binding.verify", BindingId(row.id))
    };
    audit::record(connection, actor, &action).await?;
    Ok(Some(stored))
}
