//! Makes a sub-account, and books what it starts with as a deposit.

use super::SubAccount;
use crate::fields::{Fields, FromFields, required};
use crate::ledger::{self, Work};
use crate::resource::{EXAMPLE_ID, NAME_LENGTH_MAX};
use crate::value::{Amount, Info};
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use poem_openapi::types::Example;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Belief, Command, Direction, Movement};
use tiris_domain::money::{Money, Number};
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{Entry, Source};
use tiris_store::users;
use uuid::Uuid;

/// A sub-account to be made.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct NewSubAccount {
    /// The trading it belongs to
    trading_id: Uuid,
    /// Unique among the living sub-accounts of the trading
    #[oai(validator(min_length = 1, max_length = 128))]
    name: String,
    /// Symbol of the asset, such as `BTC`
    #[oai(validator(min_length = 1, max_length = 20))]
    symbol: String,
    /// What it starts with, in units of the asset; booked as a deposit when it is not zero
    balance: Option<Amount>,
    /// When that came in, when it is not now: the beginning of a backtest
    event_time: Option<DateTime<Utc>>,
    /// Free JSON, at most 16 KiB
    info: Option<Info>,
}

impl Example for NewSubAccount {
    fn example() -> Self {
        Self {
            trading_id: EXAMPLE_ID,
            name: "currency".to_owned(),
            symbol: "BTC".to_owned(),
            balance: Some(Amount(Money::ONE.into())),
            event_time: None,
            info: Some(Info::default()),
        }
    }
}

impl FromFields for NewSubAccount {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            trading_id: required("trading_id", fields.uuid("trading_id")?)?,
            name: required("name", fields.text("name", 1, NAME_LENGTH_MAX)?)?,
            symbol: required("symbol", fields.asset("symbol")?)?.to_string(),
            balance: fields.amount("balance")?.map(Amount),
            event_time: fields.time("event_time")?,
            info: Some(fields.info()?),
        })
    }

    fn refuses_unknown(&self) -> bool {
        true
    }
}

/// A sub-account to be inserted.
pub(in crate::resource) struct NewAccount<'a> {
    pub(in crate::resource) trading: TradingId,
    pub(in crate::resource) name: &'a str,
    pub(in crate::resource) symbol: &'a str,
    pub(in crate::resource) deposit: Option<&'a Number>,
    /// When the deposit happened, when that is not now.
    pub(in crate::resource) event_time: Option<DateTime<Utc>>,
    pub(in crate::resource) info: Option<&'a Info>,
}

impl NewAccount<'_> {
    /// What the ledger must book for it; nothing when it starts empty.
    pub(in crate::resource) fn deposit_entry(
        &self,
        user: UserId,
        id: AccountId,
    ) -> Result<Option<Entry>> {
        let Some(amount) = self.deposit.filter(|amount| !amount.is_zero()) else {
            return Ok(None);
        };
        let asset = self
            .symbol
            .parse()
            .map_err(|why: String| Error::invalid("symbol", why))?;
        let movement = Movement {
            account: id,
            asset,
            direction: Direction::Credit,
            amount: amount.clone(),
            order: None,
            reason: "deposit".to_owned(),
            belief: Belief::default(),
        };
        Ok(Some(Entry {
            user,
            trading: self.trading,
            sub_account: Some(id),
            command: Command::Move(movement),
            claim: None,
            log_type: "deposit".to_owned(),
            source: Source::Manual,
            order: None,
            event_time: self.event_time,
            message: "initial deposit".to_owned(),
            info: Map::new(),
        }))
    }
}

/// Inserts an empty account; only the ledger changes its balance.
pub(in crate::resource) async fn insert_account(
    connection: &mut PgConnection,
    user: UserId,
    id: AccountId,
    new: &NewAccount<'_>,
) -> Result<()> {
    let info = Value::Object(new.info.cloned().unwrap_or_default().0);
    sqlx::query("INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol, info) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(id.0)
        .bind(user.0)
        .bind(new.trading.0)
        .bind(new.name)
        .bind(new.symbol)
        .bind(info)
        .execute(connection)
        .await?;
    Ok(())
}

/// The transaction that makes a sub-account.
pub(super) struct AccountWork {
    pub(super) user: UserId,
    pub(super) id: AccountId,
    pub(super) new: NewSubAccount,
}

impl Work for AccountWork {
    type Output = SubAccount;

    async fn run(&self, connection: &mut PgConnection) -> Result<SubAccount> {
        users::lock_active(connection, self.user).await?;
        let trading = TradingId(self.new.trading_id);
        // Locked, so that it cannot be deleted before this account belongs to it.
        let living: Option<Uuid> = sqlx::query_scalar(
            "SELECT id FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused') FOR SHARE",
        )
        .bind(trading.0)
        .bind(self.user.0)
        .fetch_optional(&mut *connection)
        .await?;
        living.ok_or(Error::NotFound("trading"))?;
        let new = NewAccount {
            trading,
            name: &self.new.name,
            symbol: &self.new.symbol,
            deposit: self.new.balance.as_ref().map(|amount| &amount.0),
            event_time: self.new.event_time,
            info: self.new.info.as_ref(),
        };
        insert_account(connection, self.user, self.id, &new).await?;
        let booked = match new.deposit_entry(self.user, self.id)? {
            Some(entry) => Some(ledger::book(connection, &[entry]).await?.0),
            None => None,
        };
        let account = SubAccount::load_within(connection, &[self.id]).await?.pop();
        if let Some(timestamp) = booked {
            ledger::finish(connection, timestamp).await?;
        }
        account.ok_or_else(|| Error::internal("the new sub-account cannot be read"))
    }
}
