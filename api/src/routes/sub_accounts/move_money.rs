//! `POST /v1/sub-accounts/{id}/deposit` and `POST /v1/sub-accounts/{id}/withdraw`

use super::object::SubAccount;
use crate::routes::prelude::*;
use crate::routes::trading_logs::object::{TradingLog, log_of};
use crate::routes::transactions::object::{Transaction, transactions_of};
use tiris_domain::ledger::{Belief, Command, Movement};
use tiris_domain::states::LogSource;
use tiris_domain::value::Message as Words;
use tiris_store::ledger::Entry;
use tiris_store::sub_accounts::{self, NewSubAccount};

operation!(MoveMoney: User, Money, [INVALID_BODY, NOT_FOUND, REJECTED]);

/// A deposit or a withdrawal.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct MoneyMove {
    /// The amount in units of the sub-account's asset: above zero; booked with 18 decimal places, further ones are rounded half to even
    amount: Field<Amount>,
    /// Text of the trading log, at most 4,096 bytes of UTF-8; empty by default
    message: Option<Field<Words>>,
    /// When the money moved; by default now. A backtest gives the simulated time
    event_time: Option<Field<Moment>>,
    /// Free JSON stored with the transaction and the trading log, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for MoneyMove {
    fn example() -> Self {
        Self {
            amount: Field(Amount(Money::ONE.into())),
            message: Some(Field(Words::from_static("top up"))),
            event_time: None,
            info: Some(Field::default()),
        }
    }
}

/// The outcome of a deposit or a withdrawal.
#[derive(Object, Serialize)]
struct Moved {
    /// The sub-account with its new balance
    sub_account: SubAccount,
    /// The booked change of the balance
    transaction: Transaction,
    /// The trading log of the movement, of type `deposit` or `withdraw`
    trading_log: TradingLog,
}

impl MoneyMove {
    /// Returns the first deposit to a new sub-account, unless there is no amount or it is zero.
    pub(in crate::routes) fn initial_deposit(
        amount: Option<Field<Amount>>,
        event_time: Option<Field<Moment>>,
        account: &NewSubAccount,
    ) -> Option<Entry> {
        let deposit = Self {
            amount: amount.filter(|amount| !amount.0.0.is_zero())?,
            message: Some(Field(Words::from_static("initial deposit"))),
            event_time,
            info: None,
        };
        Some(deposit.entry(
            account.user,
            account.trading,
            account.id,
            account.symbol.clone(),
            Direction::Credit,
        ))
    }

    fn entry(
        &self,
        user: UserId,
        trading: TradingId,
        account: AccountId,
        asset: Asset,
        direction: Direction,
    ) -> Entry {
        let reason = match direction {
            Direction::Credit => "deposit",
            Direction::Debit => "withdraw",
        };
        let movement = Movement {
            account,
            asset,
            direction,
            amount: self.amount.0.0.clone(),
            order: None,
            pair: None,
            reason: reason.to_owned(),
            belief: Belief::default(),
        };
        let message = self.message.as_ref().map(|message| message.0.as_str());
        let info = self.info.as_ref().map(|info| info.0.0.clone());

        Entry {
            user,
            trading,
            sub_account: Some(account),
            command: Command::Move(movement),
            claim: None,
            log_type: reason.to_owned(),
            source: LogSource::Manual,
            order: None,
            event_time: self.event_time.map(|time| time.0.into()),
            message: message.unwrap_or_default().to_owned(),
            info: info.unwrap_or_default(),
        }
    }

    /// Books the movement on an account of the caller, in the account's own asset, and commits.
    async fn apply(
        &self,
        mut tx: Tx,
        caller: &Caller<MoveMoney>,
        id: AccountId,
        direction: Direction,
    ) -> Result<Reply<Moved>> {
        let user = caller.user();
        let account = sub_accounts::get(&mut *tx, user, id).await?;
        let trading = TradingId(account.trading_id);
        let asset = column::asset(&account.symbol)?;
        let entry = self.entry(user, trading, id, asset, direction);
        let booked = tx.book_one(&entry).await?;

        let account = sub_accounts::get(&mut *tx, user, id).await?;
        let transaction = transactions_of(&entry, &booked.applied, booked.timestamp).pop();
        let moved = Moved {
            sub_account: SubAccount::try_from(account)?,
            transaction: transaction
                .ok_or_else(|| Error::internal("money moved without a transaction"))?,
            trading_log: log_of(&entry, &booked.applied, booked.timestamp),
        };

        let name = match direction {
            Direction::Credit => ActionName::SubAccountDeposit,
            Direction::Debit => ActionName::SubAccountWithdraw,
        };
        let action = Action {
            after: Some(with_booked(
                json!({"trading_id": trading}),
                [&booked.applied],
            )),
            ..action(name, "sub_account", id)
        };
        let tx = tx.audited(caller.actor(), &action).await?;
        tx.finish(moved).await
    }
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl MoveMoney {
    /// Deposit funds into a sub-account
    ///
    /// Books one transaction (direction `credit`, reason `deposit`) and a trading log of type `deposit` in one step, and
    /// returns both with the new balance. The asset is the sub-account's own. Send an `Idempotency-Key` so that a retry
    /// cannot deposit twice.
    #[oai(path = "/:id/deposit", method = "post", operation_id = "deposit")]
    async fn deposit(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the sub-account, from `GET /v1/sub-accounts`
        id: Path<Uuid>,
        idempotency: Idempotency,
        body: JsonBody<MoneyMove>,
    ) -> Answer<Moved, Self> {
        let user = caller.user();
        let id = AccountId(id.0);

        let reply = idempotency.run(&state, user, async |tx: Tx| {
            body.0.apply(tx, &caller, id, Direction::Credit).await
        });
        Ok(reply.await?)
    }

    /// Withdraw funds from a sub-account
    ///
    /// Books one transaction (direction `debit`, reason `withdraw`) and a trading log of type `withdraw`. At most the
    /// `available` part of the balance can be withdrawn: an amount that open orders lock is rejected with
    /// `INSUFFICIENT_BALANCE`.
    #[oai(path = "/:id/withdraw", method = "post", operation_id = "withdraw")]
    async fn withdraw(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the sub-account, from `GET /v1/sub-accounts`
        id: Path<Uuid>,
        idempotency: Idempotency,
        body: JsonBody<MoneyMove>,
    ) -> Answer<Moved, Self> {
        let user = caller.user();
        let id = AccountId(id.0);

        let reply = idempotency.run(&state, user, async |tx: Tx| {
            body.0.apply(tx, &caller, id, Direction::Debit).await
        });
        Ok(reply.await?)
    }
}
