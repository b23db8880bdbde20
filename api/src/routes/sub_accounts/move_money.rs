//! Deposits to a sub-account and withdrawals from it.

use super::object::SubAccount;
use crate::http::reply::Reply;
use crate::routes::prelude::*;
use crate::routes::trading_logs::object::{TradingLog, log_of};
use crate::routes::transactions::object::{Transaction, transactions_of};
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Belief, Command, Direction, Movement};
use tiris_domain::money::Money;
use tiris_domain::states::LogSource;
use tiris_domain::value::{Amount, Info, Message as Words, Moment};
use tiris_store::column;
use tiris_store::entity::sub_accounts::Model;
use tiris_store::ledger::Entry;
use tiris_store::sub_accounts;

/// Money to be moved.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(super) struct MoneyMove {
    /// How much, in units of the account's asset; above zero
    amount: Field<Amount>,
    /// What the trading log says, at most 4,096 bytes of UTF-8
    message: Option<Field<Words>>,
    /// When it happened, when that is not now
    event_time: Option<Field<Moment>>,
    /// Free JSON, at most 16 KiB
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

/// What a deposit or a withdrawal did.
#[derive(Object, Serialize)]
pub(super) struct Moved {
    /// The account after it
    sub_account: SubAccount,
    /// The change of the balance
    transaction: Transaction,
    /// The log entry
    trading_log: TradingLog,
}

impl MoneyMove {
    /// The ledger entry, in the account's own symbol: the path names the account alone.
    fn entry(&self, account: &Model, direction: Direction) -> Result<Entry> {
        let id = AccountId(account.id);
        let reason = match direction {
            Direction::Credit => "deposit",
            Direction::Debit => "withdraw",
        };
        let movement = Movement {
            account: id,
            asset: column::asset(&account.symbol)?,
            direction,
            amount: self.amount.0.0.clone(),
            order: None,
            reason: reason.to_owned(),
            belief: Belief::default(),
        };
        let message = self.message.as_ref().map(|message| message.0.as_str());
        let info = self.info.as_ref().map(|info| info.0.0.clone());

        Ok(Entry {
            user: UserId(account.user_id),
            trading: TradingId(account.trading_id),
            sub_account: Some(id),
            command: Command::Move(movement),
            claim: None,
            log_type: reason.to_owned(),
            source: LogSource::Manual,
            order: None,
            event_time: self.event_time.map(|time| time.0.into()),
            message: message.unwrap_or_default().to_owned(),
            info: info.unwrap_or_default(),
        })
    }

    /// Moves the money of one account of the user, and commits.
    pub(super) async fn apply(
        &self,
        mut tx: Tx,
        user: UserId,
        id: AccountId,
        direction: Direction,
    ) -> Result<Reply<Moved>> {
        let account = sub_accounts::get(&mut *tx, user, id).await?;
        let entry = self.entry(&account, direction)?;
        let booked = tx.book_one(&entry).await?;

        let account = sub_accounts::get(&mut *tx, user, id).await?;
        let transaction = transactions_of(&entry, &booked.applied, booked.timestamp).pop();
        let moved = Moved {
            sub_account: SubAccount::try_from(account)?,
            transaction: transaction
                .ok_or_else(|| Error::internal("money moved without a transaction"))?,
            trading_log: log_of(&entry, &booked.applied, booked.timestamp),
        };
        tx.finish(moved).await
    }
}
