//! `DELETE /v1/sub-accounts/{id}/holds`

use crate::routes::prelude::*;
use serde_json::{Map, json};
use tiris_domain::ids::{AccountId, TradingId};
use tiris_domain::ledger::{Command, Hold, OrderId};
use tiris_domain::states::LogSource;
use tiris_domain::value::Invalid;
use tiris_store::audit::{self, Action};
use tiris_store::ledger::Entry;
use tiris_store::{column, sub_accounts};

/// Release the hold of an order.
pub(crate) struct ReleaseHold;

impl Policy for ReleaseHold {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[
        INVALID,
        (
            404,
            "`NOT_FOUND`: the sub-account does not exist, or is somebody else's, or nothing is held for the order",
        ),
    ];
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl ReleaseHold {
    /// Releases the hold of an order, whatever is left of it: when its bot is dead
    ///
    /// A bot that still trades the order finds less held than it thinks. The release is kept as a trading log of type
    /// `balance_unlocked` and in the audit trail.
    #[oai(path = "/:id/holds", method = "delete", operation_id = "releaseHold")]
    async fn release(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        /// The order; empty for the hold of locks that named none
        order_id: Query<String>,
    ) -> Answer<Message, Self> {
        let user = caller.user();
        let id = AccountId(id.0);
        let order = order(&order_id.0)?;

        let reply = Tx::run(&state, user, async |mut tx: Tx| {
            let account = sub_accounts::lock(&mut tx, user, id).await?;
            let held = sub_accounts::held(&mut tx, id, order.as_ref()).await?;
            let entry = Entry {
                user,
                trading: TradingId(account.trading_id),
                sub_account: Some(id),
                // The same command as of a bot's event.
                command: Command::Unlock(Hold {
                    account: id,
                    asset: column::asset(&account.symbol)?,
                    amount: held.into(),
                    order: order.clone(),
                }),
                claim: None,
                log_type: "balance_unlocked".to_owned(),
                source: LogSource::Manual,
                order: order.clone(),
                event_time: None,
                message: format!("hold of {held} {} released by its owner", account.symbol),
                info: Map::new(),
            };
            tx.book_one(&entry).await?;

            let order = order.as_ref().map_or("", OrderId::as_str);
            let action = Action {
                name: "hold.release",
                resource: "sub_account",
                id: Some(id.to_string()),
                before: Some(json!({"order_id": order, "amount": held.to_string()})),
                after: None,
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.finish(Message::new("The hold is released.")).await
        });
        Ok(reply.await?)
    }
}

/// The order a parameter names; an empty one is the hold of locks that named none.
fn order(text: &str) -> Result<Option<OrderId>> {
    if text.is_empty() {
        return Ok(None);
    }
    // No column of text can hold it.
    if text.contains('\0') {
        return Err(Error::invalid("order_id", "must not contain U+0000"));
    }
    text.parse()
        .map(Some)
        .map_err(|why: Invalid| Error::invalid("order_id", why.to_string()))
}
