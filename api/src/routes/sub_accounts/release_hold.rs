//! `DELETE /v1/sub-accounts/{id}/holds`

use crate::routes::prelude::*;
use serde_json::Map;
use tiris_domain::ledger::{Command, HoldKey, OrderId, Release};
use tiris_domain::states::LogSource;
use tiris_domain::value::Invalid;
use tiris_store::ledger::Entry;
use tiris_store::{orders, sub_accounts};

operation!(ReleaseHold: User, General, [
    INVALID,
    (
        404,
        "`NOT_FOUND`: the sub-account does not exist or belongs to another user, or the order \
         holds nothing",
    ),
]);

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl ReleaseHold {
    /// Release the hold of an order
    ///
    /// Unlocks all that the order still holds on the sub-account, on every pair, for example after its bot has crashed. Stop the bot first: a bot that
    /// still works on the order finds less locked than it expects. The release is recorded as a trading log of type
    /// `balance_unlocked` and in the audit trail.
    #[oai(path = "/:id/holds", method = "delete", operation_id = "releaseHold")]
    async fn release(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the sub-account, from `GET /v1/sub-accounts`
        id: Path<Uuid>,
        /// Id of the order, from the list of holds; empty for locks that named no order
        order_id: Query<String>,
    ) -> Answer<Message, Self> {
        let user = caller.user();
        let id = AccountId(id.0);
        let order = order(&order_id.0)?;

        let reply = Tx::run(&state, user, async |mut tx: Tx| {
            let account = sub_accounts::get(&mut *tx, user, id).await?;
            let trading = TradingId(account.trading_id);
            // In the order in which the ledger locks them.
            orders::lock(&mut tx, trading, order.as_ref()).await?;
            sub_accounts::lock(&mut tx, user, id).await?;
            let holds = sub_accounts::held(&mut tx, id, order.as_ref()).await?;
            let entries = holds.iter().map(|(pair, held)| Entry {
                user,
                trading,
                sub_account: Some(id),
                command: Command::Release(Release {
                    account: id,
                    hold: HoldKey {
                        order: order.clone(),
                        pair: pair.clone(),
                    },
                }),
                claim: None,
                log_type: "balance_unlocked".to_owned(),
                source: LogSource::Manual,
                order: order.clone(),
                event_time: None,
                message: format!("hold of {held} {} released by its owner", account.symbol),
                info: Map::new(),
            });
            let booked = tx.book(&entries.collect::<Vec<_>>()).await?;

            let order = order.as_ref().map_or("", OrderId::as_str);
            let held = holds
                .iter()
                .try_fold(Money::ZERO, |sum, (_, held)| sum.checked_add(*held));
            let held = held.ok_or_else(|| Error::internal("holds exceed the range of money"))?;
            let action = Action {
                before: Some(json!({"order_id": order, "amount": held.to_string()})),
                after: Some(with_booked(json!({}), &booked)),
                ..action(ActionName::HoldRelease, "sub_account", id)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(Message::new("The hold is released.")).await
        });
        Ok(reply.await?)
    }
}

/// Parses the order of the parameter; empty means the hold of locks that named no order.
fn order(text: &str) -> Result<Option<OrderId>> {
    if text.is_empty() {
        return Ok(None);
    }
    // A text column cannot hold U+0000.
    if text.contains('\0') {
        return Err(Error::invalid("order_id", "must not contain U+0000"));
    }
    text.parse()
        .map(Some)
        .map_err(|why: Invalid| Error::invalid("order_id", why.to_string()))
}
