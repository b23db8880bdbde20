//! `POST /v1/sub-accounts`

use super::move_money::MoneyMove;
use super::object::SubAccount;
use crate::routes::prelude::*;
use tiris_store::sub_accounts::{self, NewSubAccount};
use tiris_store::{tradings, users};

operation!(CreateSubAccount: User, Money, [
    INVALID_BODY,
    (404, "`NOT_FOUND`: the trading does not exist or belongs to another user"),
    (
        409,
        "`SUBACCOUNT_NAME_EXISTS`: the trading already has a sub-account with this name; `QUOTA_EXCEEDED`: the caller has \
         as many sub-accounts as they may have",
    ),
    REJECTED,
]);

/// A new sub-account.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none, rename = "NewSubAccount")]
#[serde(deny_unknown_fields)]
struct SubAccountRequest {
    /// Id of the trading it belongs to, from `POST /v1/tradings`
    trading_id: Field<TradingId>,
    /// Name, unique among the sub-accounts of the trading that are not deleted
    name: Field<Name>,
    /// Symbol of the asset it holds, such as `BTC`: letters, digits and marks of any script and `._:-+$@#&*!`; stored in
    /// upper case and NFC, whose 64 characters are the limit. Cannot be changed later
    symbol: Field<Asset>,
    /// Opening balance in units of the asset, by default 0; a positive one is booked as a deposit
    balance: Option<Field<Amount>>,
    /// When the opening balance came in; by default now. A backtest gives its first simulated moment
    event_time: Option<Field<Moment>>,
    /// Free JSON, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for SubAccountRequest {
    fn example() -> Self {
        Self {
            trading_id: Field(TradingId(EXAMPLE_ID)),
            name: Field(Name::from_static("fees")),
            symbol: Field(Asset::from_static("BNB")),
            balance: Some(Field(Amount(Money::ONE.into()))),
            event_time: None,
            info: Some(Field::default()),
        }
    }
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl CreateSubAccount {
    /// Create a sub-account
    ///
    /// Adds one asset to a trading. A positive `balance` is booked as a deposit: the sub-account, its first transaction
    /// and a trading log are created together or not at all. Unknown fields are rejected.
    #[oai(path = "/", method = "post", operation_id = "createSubAccount")]
    async fn create(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<SubAccountRequest>,
    ) -> Made<SubAccount, Self> {
        let user = caller.user();
        let id = AccountId(new_id());
        let wanted = body.0;
        let new = NewSubAccount {
            id,
            user,
            trading: wanted.trading_id.0,
            name: wanted.name.0,
            symbol: wanted.symbol.0,
            info: wanted.info.unwrap_or_default().0,
        };
        let deposit = MoneyMove::initial_deposit(wanted.balance, wanted.event_time, &new);

        let reply = idempotency.run(&state, user, async |mut tx: Tx| {
            users::lock_active(&mut tx, user).await?;
            let accounts = state.quotas.accounts;
            Quota::SubAccounts.check(&mut tx, user, 1, accounts).await?;
            // The lock keeps the trading from being deleted before the account belongs to it.
            tradings::share(&mut tx, user, new.trading).await?;
            sub_accounts::insert(&mut tx, &new).await?;
            let booked = match &deposit {
                Some(entry) => Some(tx.book_one(entry).await?.applied),
                None => None,
            };

            let created = sub_accounts::get(&mut *tx, user, id).await?;
            let after = json!({
                "trading_id": new.trading,
                "name": new.name,
                "symbol": new.symbol,
            });
            let action = Action {
                after: Some(with_booked(after, &booked)),
                ..action(ActionName::SubAccountCreate, "sub_account", id)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(SubAccount::try_from(created)?).await
        });
        Ok(reply.await?)
    }
}
