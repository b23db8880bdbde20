//! Writes a trading log, and moves the money of the five types that do.

use super::object::{LogSource, Recorded, log_of};
use crate::fields::{Fields, FromFields, required};
use crate::ledger::{self, Work};
use crate::resource::sub_accounts::SubAccount;
use crate::resource::{EXAMPLE_ID, EXAMPLE_OTHER_ID, MESSAGE_BYTES_MAX};
use crate::value::Info;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use poem_openapi::types::Example;
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Belief, Command, Direction, Movement, OrderId, Side, Trade};
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{Entry, Source};
use uuid::Uuid;

/// Longest type of a log, in characters.
const TYPE_LENGTH_MAX: usize = 50;

/// A trading log to be written.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct NewTradingLog {
    /// The trading it is about
    trading_id: Uuid,
    /// `long`, `short`, `stop_loss`, `deposit`, `withdraw` move money; any other type is recorded
    #[oai(validator(min_length = 1, max_length = 50))]
    r#type: String,
    source: LogSource,
    /// What it says, at most 4,096 bytes of UTF-8
    #[oai(validator(max_length = 4096))]
    message: String,
    /// A sub-account of the trading it is about
    sub_account_id: Option<Uuid>,
    /// When it happened, when that is not now
    event_time: Option<DateTime<Utc>>,
    /// Free JSON, at most 16 KiB; of the five types that move money it holds what to move
    info: Option<Info>,
    #[oai(skip)]
    money: Option<Money>,
}

impl Example for NewTradingLog {
    fn example() -> Self {
        let info = [
            ("stock_account_id", EXAMPLE_ID.to_string()),
            ("currency_account_id", EXAMPLE_OTHER_ID.to_string()),
            ("price", "0.0654".to_owned()),
            ("volume", "2".to_owned()),
            ("stock", "ETH".to_owned()),
            ("currency", "BTC".to_owned()),
            ("fee", "0.0001".to_owned()),
            ("order_id", "42".to_owned()),
        ];
        Self {
            trading_id: EXAMPLE_ID,
            r#type: "long".to_owned(),
            source: LogSource::Bot,
            message: "bought 2 ETH".to_owned(),
            sub_account_id: None,
            event_time: None,
            info: Some(Info(
                info.into_iter()
                    .map(|(key, text)| (key.to_owned(), text.into()))
                    .collect(),
            )),
            money: None,
        }
    }
}

/// What a log moves, with the order it names.
struct Money {
    command: Command,
    order: Option<OrderId>,
}

impl FromFields for NewTradingLog {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        let trading_id = required("trading_id", fields.uuid("trading_id")?)?;
        let r#type = required("type", fields.text("type", 1, TYPE_LENGTH_MAX)?)?;
        let sources = [("manual", LogSource::Manual), ("bot", LogSource::Bot)];
        let source = required("source", fields.one_of("source", &sources)?)?;
        let message = required("message", fields.words("message", MESSAGE_BYTES_MAX)?)?;
        let sub_account_id = fields.uuid("sub_account_id")?;
        let event_time = fields.time("event_time")?;
        let info = fields.info()?;
        let money = money(&r#type, &mut Fields::new(info.0.clone()))?;
        Ok(Self {
            trading_id,
            r#type,
            source,
            message,
            sub_account_id,
            event_time,
            info: Some(info),
            money,
        })
    }

    fn refuses_unknown(&self) -> bool {
        self.money.is_some()
    }
}

/// What a log of this type moves; nothing when it is only recorded.
fn money(log_type: &str, info: &mut Fields) -> Result<Option<Money>> {
    let (command, order) = match log_type {
        "long" => trade(Side::Buy, "long", info)?,
        "short" => trade(Side::Sell, "short", info)?,
        "stop_loss" => trade(Side::Sell, "stop_loss", info)?,
        "deposit" => (movement(Direction::Credit, "deposit", info)?, None),
        "withdraw" => (movement(Direction::Debit, "withdraw", info)?, None),
        _ => return Ok(None),
    };
    Ok(Some(Money { command, order }))
}

fn account(name: &'static str, info: &mut Fields) -> Result<AccountId> {
    required(name, info.uuid(name)?).map(AccountId)
}

fn trade(
    side: Side,
    reason: &'static str,
    info: &mut Fields,
) -> Result<(Command, Option<OrderId>)> {
    let order = info.order("info.order_id")?;
    let trade = Trade {
        side,
        reason,
        stock_account: account("info.stock_account_id", info)?,
        stock: required("info.stock", info.asset("info.stock")?)?,
        currency_account: account("info.currency_account_id", info)?,
        currency: required("info.currency", info.asset("info.currency")?)?,
        volume: required("info.volume", info.amount("info.volume")?)?,
        price: required("info.price", info.amount("info.price")?)?,
        quote_amount: info.amount("info.quote_amount")?,
        fee: required("info.fee", info.amount("info.fee")?)?,
        fee_account: info.uuid("info.fee_account_id")?.map(AccountId),
        order: order.clone(),
    };
    Ok((Command::Trade(trade), order))
}

fn movement(direction: Direction, reason: &str, info: &mut Fields) -> Result<Command> {
    Ok(Command::Move(Movement {
        account: account("info.account_id", info)?,
        asset: required("info.currency", info.asset("info.currency")?)?,
        direction,
        amount: required("info.amount", info.amount("info.amount")?)?,
        order: None,
        reason: reason.to_owned(),
        belief: Belief::default(),
    }))
}

/// The transaction that writes a log.
pub(super) struct LogWork {
    pub(super) user: UserId,
    pub(super) new: NewTradingLog,
}

impl Work for LogWork {
    type Output = Recorded;

    async fn run(&self, connection: &mut PgConnection) -> Result<Recorded> {
        let entry = self.entry();
        check_owner(connection, &entry).await?;
        let (timestamp, applied) = ledger::book(connection, std::slice::from_ref(&entry)).await?;
        let applied = applied
            .first()
            .ok_or_else(|| Error::internal("a log without outcome"))?;
        let mut touched: Vec<AccountId> = applied
            .postings
            .iter()
            .map(|(_, posting)| posting.account)
            .collect();
        touched.sort_unstable();
        touched.dedup();
        let accounts = if touched.is_empty() {
            Vec::new()
        } else {
            SubAccount::load_within(connection, &touched).await?
        };
        let transactions = applied.postings.iter().map(|(id, _)| id.0).collect();
        Ok(Recorded::new(
            log_of(&entry, applied, timestamp),
            transactions,
            accounts,
        ))
    }

    fn booked_at(recorded: &Recorded) -> Option<DateTime<Utc>> {
        Some(recorded.timestamp)
    }
}

impl LogWork {
    fn entry(&self) -> Entry {
        let named = self.new.sub_account_id.map(AccountId);
        let money = self.new.money.as_ref();
        let command = money.map_or(Command::Record { account: named }, |money| {
            money.command.clone()
        });
        let sub_account = match &command {
            Command::Move(movement) => named.or(Some(movement.account)),
            _ => named,
        };
        Entry {
            user: self.user,
            trading: TradingId(self.new.trading_id),
            sub_account,
            command,
            claim: None,
            log_type: self.new.r#type.clone(),
            source: Source::from(self.new.source),
            order: money.and_then(|money| money.order.clone()),
            event_time: self.new.event_time,
            message: self.new.message.clone(),
            info: self.new.info.clone().unwrap_or_default().0,
        }
    }
}

/// What is somebody else's does not exist for the caller; the ledger then only judges how his own belong together.
async fn check_owner(connection: &mut PgConnection, entry: &Entry) -> Result<()> {
    let mut accounts: Vec<Uuid> = entry
        .command
        .accounts()
        .into_iter()
        .chain(entry.sub_account)
        .map(|id| id.0)
        .collect();
    accounts.sort_unstable();
    accounts.dedup();
    let (trading, owned): (bool, i64) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused')), \
         (SELECT count(*) FROM sub_accounts WHERE id = ANY($3) AND user_id = $2 AND deleted_at IS NULL)",
    )
    .bind(entry.trading.0)
    .bind(entry.user.0)
    .bind(&accounts)
    .fetch_one(connection)
    .await?;
    if !trading {
        return Err(Error::NotFound("trading"));
    }
    let all = usize::try_from(owned).is_ok_and(|owned| owned == accounts.len());
    if all {
        Ok(())
    } else {
        Err(Error::NotFound("sub-account"))
    }
}
