//! `POST /v1/sub-accounts`

use super::deposit_entry::InitialDeposit;
use super::object::SubAccount;
use crate::routes::prelude::*;
use tiris_domain::ids::{AccountId, TradingId, new_id};
use tiris_domain::ledger::Asset;
use tiris_domain::money::Money;
use tiris_domain::value::{Amount, Info, Moment, Name};
use tiris_store::sub_accounts::{self, NewSubAccount};
use tiris_store::{tradings, users};

/// Make a sub-account.
pub(crate) struct CreateSubAccount;

impl Policy for CreateSubAccount {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::Money);
    const REFUSALS: &'static [Refusal] = &[
        INVALID_BODY,
        (
            404,
            "`NOT_FOUND`: the trading does not exist, or is somebody else's",
        ),
        (409, "`SUBACCOUNT_NAME_EXISTS`"),
        TOO_LARGE,
        NO_JSON,
        REJECTED,
    ];
}

/// A sub-account to be made.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none, rename = "NewSubAccount")]
#[serde(deny_unknown_fields)]
struct SubAccountToMake {
    /// The trading it belongs to
    trading_id: Field<TradingId>,
    /// Unique among the living sub-accounts of the trading
    name: Field<Name>,
    /// Symbol of the asset, such as `BTC`
    symbol: Field<Asset>,
    /// What it starts with, in units of the asset; booked as a deposit when it is not zero
    balance: Option<Field<Amount>>,
    /// When that came in, when it is not now: the beginning of a backtest
    event_time: Option<Field<Moment>>,
    /// Free JSON, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for SubAccountToMake {
    fn example() -> Self {
        Self {
            trading_id: Field(TradingId(EXAMPLE_ID)),
            name: Field(Name::from_static("currency")),
            symbol: Field(Asset::from_static("BTC")),
            balance: Some(Field(Amount(Money::ONE.into()))),
            event_time: None,
            info: Some(Field::default()),
        }
    }
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl CreateSubAccount {
    /// Makes a sub-account; a balance is booked as a deposit
    #[oai(path = "/", method = "post", operation_id = "createSubAccount")]
    async fn create(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<SubAccountToMake>,
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
        let deposit = wanted.balance.map(|amount| InitialDeposit {
            amount: amount.0,
            event_time: wanted.event_time.map(|time| time.0),
        });

        let reply = idempotency.run(&state, user, async |mut tx: Tx| {
            users::lock_active(&mut tx, user).await?;
            // Locked, so that the trading cannot be deleted before the account belongs to it.
            tradings::share(&mut tx, user, new.trading).await?;
            sub_accounts::insert(&mut tx, &new).await?;
            if let Some(entry) = deposit.as_ref().and_then(|deposit| deposit.entry(&new)) {
                tx.book(&[entry]).await?;
            }

            let made = sub_accounts::get(&mut *tx, user, id).await?;
            tx.finish(SubAccount::try_from(made)?).await
        });
        Ok(reply.await?)
    }
}
