//! `POST /v1/tradings`

use super::new::TradingRequest;
use super::object::{Trading, summary};
use crate::routes::exchange_bindings::verification::after_change;
use crate::routes::exchange_bindings::{PrivateBinding, created};
use crate::routes::prelude::*;
use tiris_store::tradings::{self, NewTrading};
use tiris_store::{exchange_bindings, sub_accounts, users};

operation!(CreateTrading: User, Money, [
    INVALID_BODY,
    (404, "`NOT_FOUND`: the exchange binding does not exist or belongs to another user"),
    (
        409,
        "`TRADING_NAME_EXISTS`: the caller has another trading with this name; \
         `SUBACCOUNT_NAME_EXISTS`: two sub-accounts have the same name; with credentials also \
         `BINDING_NAME_EXISTS` and `API_KEY_EXISTS`; `QUOTA_EXCEEDED`: the caller has too many tradings, sub-accounts or \
         bindings",
    ),
    REJECTED,
]);

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl CreateTrading {
    /// Create a trading, optionally with sub-accounts
    ///
    /// Creates the trading, its sub-accounts and their initial deposits together or not at all. `paper` and `backtest`
    /// tradings need nothing else; `real` needs an `exchange_binding_id`. A type that names an exchange, such as
    /// `kraken`, creates a real trading with a private binding of the same name from the given credentials.
    #[oai(path = "/", method = "post", operation_id = "createTrading")]
    async fn create(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<TradingRequest>,
    ) -> Made<Trading, Self> {
        let user = caller.user();
        let id = TradingId(new_id());
        let mut wanted = body.0;
        let binding = wanted.binding()?;
        let (accounts, deposits) = wanted.accounts(user, id);
        let private = binding.as_ref().map(|binding| PrivateBinding {
            id: BindingId(new_id()),
            user,
            name: &wanted.name.0,
            exchange_type: binding.exchange,
            credentials: binding.credentials.as_ref(),
            info: Info::empty(),
        });
        let given = wanted.exchange_binding_id.map(|id| id.0);
        let new = NewTrading {
            id,
            user,
            binding: private.as_ref().map(|binding| binding.id).or(given),
            name: &wanted.name.0,
            kind: wanted.r#type.into(),
            info: wanted.info.as_ref().map_or(Info::empty(), |info| &info.0),
        };

        let quotas = state.quotas;
        let reply = idempotency.run(&state, user, async |mut tx: Tx| {
            users::lock_active(&mut tx, user).await?;
            let added = [
                (Quota::Tradings, 1, quotas.tradings),
                (Quota::SubAccounts, accounts.len(), quotas.accounts),
                (Quota::Bindings, private.iter().len(), quotas.bindings),
            ];
            for (quota, new, limit) in added {
                quota.check(&mut tx, user, new, limit).await?;
            }
            if let Some(binding) = given {
                exchange_bindings::share(&mut tx, user, binding).await?;
            }
            if let Some(binding) = &private {
                let row = binding.insert(&mut tx, &state.secrets).await?;
                tx.record(caller.actor(), &created(&row)).await?;
            }
            let row = tradings::insert(&mut tx, &new).await?;
            for account in &accounts {
                sub_accounts::insert(&mut tx, account).await?;
            }
            let booked = if deposits.is_empty() {
                Vec::new()
            } else {
                tx.book(&deposits).await?
            };

            let mut after = summary(&row);
            after["sub_account_ids"] = accounts.iter().map(|account| json!(account.id)).collect();
            let action = Action {
                after: Some(with_booked(after, &booked)),
                ..action(ActionName::TradingCreate, "trading", id)
            };

            let trading = Trading::within(&mut tx, row).await?;
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(trading).await
        });
        let reply = reply.await?;

        if let Some(binding) = private
            && reply.data().is_some()
            && after_change(&state, &caller, binding.id).await
        {
            let trading = Trading::get(&state, user, id).await?;
            return Ok(idempotency.amend(&state, user, trading).await?);
        }
        Ok(reply)
    }
}
