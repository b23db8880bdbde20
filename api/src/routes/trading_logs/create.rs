//! `POST /v1/trading-logs`

use super::money::MoneyCommand;
use super::object::{Recorded, log_of};
use crate::routes::EXAMPLE_OTHER_ID;
use crate::routes::prelude::*;
use crate::routes::sub_accounts::object::SubAccount;
use std::collections::BTreeSet;
use tiris_domain::ledger::Command;
use tiris_domain::states::LogSource;
use tiris_domain::value::Message as Words;
use tiris_store::ledger::{Applied, Entry};
use tiris_store::sub_accounts;

/// Longest type of a log, in characters.
const TYPE_LENGTH_MAX: usize = 50;

operation!(CreateTradingLog: User, Money, [INVALID_BODY, NOT_FOUND, REJECTED]);

/// A new trading log.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct NewTradingLog {
    /// Id of the trading, from `POST /v1/tradings`
    trading_id: Field<TradingId>,
    /// `long`, `short`, `stop_loss`, `deposit` and `withdraw` move money; any other type, of 1 to 50 characters, is a note
    r#type: Field<Text<1, TYPE_LENGTH_MAX>>,
    /// `manual` for a log written by a user, `bot` for a log written by a bot
    source: Field<LogSource>,
    /// Text of the log, at most 4,096 bytes of UTF-8
    message: Field<Words>,
    /// Id of the sub-account the log is about, one of the trading's
    sub_account_id: Option<Field<AccountId>>,
    /// When it happened; by default now. A backtest gives the simulated time
    event_time: Option<Field<Moment>>,
    /// Free JSON, at most 16 KiB; for the five types that move money, the movement (see the operation)
    info: Option<Field<Info>>,
    #[oai(skip)]
    #[serde(rename = "$unknown", default)]
    unknown: Unknown,
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
        let info = info.map(|(key, text)| (key.to_owned(), text.into()));

        Self {
            trading_id: Field(TradingId(EXAMPLE_ID)),
            r#type: Field(Text::from_static("long")),
            source: Field(LogSource::Bot),
            message: Field(Words::from_static("bought 2 ETH")),
            sub_account_id: None,
            event_time: None,
            info: Some(Field(Info(info.into_iter().collect()))),
            unknown: Unknown::default(),
        }
    }
}

impl NewTradingLog {
    /// Returns the ledger entry of the log; rejects unknown fields if the log moves money.
    fn entry(self, user: UserId) -> Result<Entry> {
        let info = self.info.unwrap_or_default().0;
        let money = MoneyCommand::of(self.r#type.0.as_str(), &info)?;
        if money.is_some() {
            self.unknown.refuse()?;
        }

        let named = self.sub_account_id.map(|id| id.0);
        let order = money.as_ref().and_then(|money| money.order.clone());
        let command = money.map_or(Command::Record { account: named }, |money| money.command);
        let sub_account = match &command {
            Command::Move(movement) => named.or(Some(movement.account)),
            _ => named,
        };
        Ok(Entry {
            user,
            trading: self.trading_id.0,
            sub_account,
            command,
            claim: None,
            log_type: self.r#type.0.into_string(),
            source: self.source.0,
            order,
            event_time: self.event_time.map(|time| time.0.into()),
            message: self.message.0.into_string(),
            info: info.0,
        })
    }
}

/// Returns the accounts whose balance has changed, each once.
fn touched(applied: &Applied) -> Vec<AccountId> {
    let postings = applied.postings.iter();
    let accounts: BTreeSet<AccountId> = postings.map(|(_, posting)| posting.account).collect();
    accounts.into_iter().collect()
}

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::TradingLogs")]
impl CreateTradingLog {
    /// Record a trade, a movement of money or a note
    ///
    /// | `type` | effect | fields of `info` |
    /// |---|---|---|
    /// | `long` | buys `volume` of the stock for `price * volume` of the currency, plus `fee` | `stock_account_id`, `stock`, `currency_account_id`, `currency`, `price`, `volume`, `fee`; optional `fee_account_id`, `fees`, `quote_amount`, `order_id`, `order_status` |
    /// | `short`, `stop_loss` | sells `volume` of the stock for `price * volume` of the currency, less `fee` | the same |
    /// | `deposit`, `withdraw` | changes the balance of one sub-account | `account_id`, `currency`, `amount` |
    /// | any other | none: the log is a note | any |
    ///
    /// Account ids come from `GET /v1/sub-accounts`; `stock` and `currency` must be the symbols of their accounts,
    /// otherwise the call fails with `SYMBOL_MISMATCH`. Amounts are booked with 18 decimal places; further ones are rounded
    /// half to even. `info` is stored as sent; where the ledger books another figure or notices something about the order,
    /// it adds `info.drift`, a name that callers cannot use where money moves. `quote_amount` replaces `price * volume` as the cost; a `price` of 0 beside
    /// it means that the price is unknown, and `quote_amount / volume` is recorded.
    ///
    /// `fee` is in units of the currency, or of the asset of `fee_account_id`. Below zero it is a rebate, which the account
    /// receives as a transaction of its own with reason `rebate`. An exchange that charges in several assets at once is
    /// recorded by `fees: [{account_id, amount}]`, at most 4 together with `fee`, which may then be absent. A sale whose fees
    /// reach its proceeds is booked as the full proceeds and transactions with reason `fee`.
    ///
    /// A trade with `order_id` is a fill of that order, whose holds it uses first. `order_status: "filled"` says that nothing
    /// of the order is left to execute: it ends, and what it still holds is released. Without it the order stays
    /// `partially_filled` unless an event has given its amount.
    ///
    /// All transactions of a trade are booked before the call returns, or none. Where money moves, unknown fields are
    /// rejected; those within `info` are stored.
    #[oai(path = "/", method = "post", operation_id = "createTradingLog")]
    async fn create(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<NewTradingLog>,
    ) -> Made<Recorded, Self> {
        let entry = body.0.entry(caller.user())?;

        let reply = idempotency.run(&state, caller.user(), async |mut tx: Tx| {
            sub_accounts::check_owner(&mut tx, &entry).await?;
            let booked = tx.book_one(&entry).await?;

            let accounts = sub_accounts::get_all(&mut tx, &touched(&booked.applied)).await?;
            let accounts = accounts.into_iter().map(SubAccount::try_from);
            let recorded = Recorded {
                log: log_of(&entry, &booked.applied, booked.timestamp),
                transaction_ids: booked.applied.postings.iter().map(|(id, _)| id.0).collect(),
                sub_accounts: accounts.collect::<Result<_>>()?,
            };
            let after = json!({"trading_id": entry.trading, "type": entry.log_type});
            let log = booked.applied.log.0;
            let action = Action {
                after: Some(with_booked(after, [&booked.applied])),
                ..action(ActionName::TradingLogCreate, "trading_log", log)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(recorded).await
        });
        Ok(reply.await?)
    }
}
