//! Deposits to a sub-account and withdrawals from it.

use super::SubAccount;
use crate::fields::{Fields, FromFields, required};
use crate::ledger::{self, Work};
use crate::resource::MESSAGE_BYTES_MAX;
use crate::resource::trading_logs::{TradingLog, log_of};
use crate::resource::transactions::{Transaction, transactions_of};
use crate::value::{Amount, Info};
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::Serialize;
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Belief, Command, Direction, Movement};
use tiris_domain::money::Money;
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{Entry, Source};
use uuid::Uuid;

/// Money to be moved.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct MoneyMove {
    /// How much, in units of the account's asset; above zero
    amount: Amount,
    /// What the trading log says, at most 4,096 bytes of UTF-8
    #[oai(validator(max_length = 4096))]
    message: Option<String>,
    /// When it happened, when that is not now
    event_time: Option<DateTime<Utc>>,
    /// Free JSON, at most 16 KiB
    info: Option<Info>,
}

impl Example for MoneyMove {
    fn example() -> Self {
        Self {
            amount: Amount(Money::ONE.into()),
            message: Some("top up".to_owned()),
            event_time: None,
            info: Some(Info::default()),
        }
    }
}

impl FromFields for MoneyMove {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            amount: Amount(required("amount", fields.amount("amount")?)?),
            message: fields.words("message", MESSAGE_BYTES_MAX)?,
            event_time: fields.time("event_time")?,
            info: Some(fields.info()?),
        })
    }

    fn refuses_unknown(&self) -> bool {
        true
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

/// The transaction that moves money of one account.
pub(super) struct MoveWork {
    pub(super) user: UserId,
    pub(super) account: AccountId,
    pub(super) direction: Direction,
    pub(super) asked: MoneyMove,
}

impl Work for MoveWork {
    type Output = Moved;

    async fn run(&self, connection: &mut PgConnection) -> Result<Moved> {
        let entry = self.entry(connection).await?;
        let (timestamp, applied) = ledger::book(connection, std::slice::from_ref(&entry)).await?;
        let missing = || Error::internal("a deposit or withdrawal without effect");
        let applied = applied.first().ok_or_else(missing)?;
        let sub_account = SubAccount::load_within(connection, &[self.account])
            .await?
            .pop()
            .ok_or_else(missing)?;
        let transaction = transactions_of(&entry, applied, timestamp)
            .pop()
            .ok_or_else(missing)?;
        let trading_log = log_of(&entry, applied, timestamp);
        Ok(Moved {
            sub_account,
            transaction,
            trading_log,
        })
    }

    fn booked_at(moved: &Moved) -> Option<DateTime<Utc>> {
        Some(moved.trading_log.timestamp)
    }
}

impl MoveWork {
    /// The ledger is asked in the account's own symbol: the path names the account alone.
    async fn entry(&self, connection: &mut PgConnection) -> Result<Entry> {
        let row: Option<(Uuid, String)> = sqlx::query_as(
            "SELECT trading_id, symbol FROM sub_accounts WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL",
        )
        .bind(self.account.0)
        .bind(self.user.0)
        .fetch_optional(connection)
        .await?;
        let (trading, symbol) = row.ok_or(Error::NotFound("sub-account"))?;
        let reason = match self.direction {
            Direction::Credit => "deposit",
            Direction::Debit => "withdraw",
        };
        let movement = Movement {
            account: self.account,
            asset: symbol.parse().map_err(|why: String| Error::internal(why))?,
            direction: self.direction,
            amount: self.asked.amount.0.clone(),
            order: None,
            reason: reason.to_owned(),
            belief: Belief::default(),
        };
        Ok(Entry {
            user: self.user,
            trading: TradingId(trading),
            sub_account: Some(self.account),
            command: Command::Move(movement),
            claim: None,
            log_type: reason.to_owned(),
            source: Source::Manual,
            order: None,
            event_time: self.asked.event_time,
            message: self.asked.message.clone().unwrap_or_default(),
            info: self.asked.info.clone().unwrap_or_default().0,
        })
    }
}
