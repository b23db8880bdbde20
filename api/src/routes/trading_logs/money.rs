//! The movement of money in the free JSON of five types of trading logs.

use crate::http::json;
use crate::routes::prelude::*;
use tiris_domain::ledger::{Belief, Command, Fee, Movement, OrderId, Side, Trade, says_filled};

/// Longest status of an order, in characters.
const ORDER_STATUS_LENGTH_MAX: usize = 128;

/// The ledger command of a log that moves money, with the order it names.
pub(super) struct MoneyCommand {
    pub(super) command: Command,
    pub(super) order: Option<OrderId>,
}

/// The free JSON of `long`, `short` and `stop_loss`.
#[derive(Deserialize)]
struct TradeInfo {
    order_id: Option<OrderId>,
    order_status: Option<Text<1, ORDER_STATUS_LENGTH_MAX>>,
    stock_account_id: AccountId,
    stock: Asset,
    currency_account_id: AccountId,
    currency: Asset,
    volume: Amount,
    price: Amount,
    quote_amount: Option<Amount>,
    fee: Option<Amount>,
    fee_account_id: Option<AccountId>,
    fees: Option<Vec<FeeInfo>>,
}

/// A fee in the list `fees`.
#[derive(Deserialize)]
struct FeeInfo {
    account_id: AccountId,
    amount: Amount,
}

/// The free JSON of `deposit` and `withdraw`.
#[derive(Deserialize)]
struct MovementInfo {
    account_id: AccountId,
    currency: Asset,
    amount: Amount,
}

impl MoneyCommand {
    /// Reads the movement from `info`; `None` for a type that moves no money.
    pub(super) fn of(log_type: &str, info: &Info) -> Result<Option<Self>> {
        let money = match log_type {
            "long" => trade(Side::Buy, "long", info)?,
            "short" => trade(Side::Sell, "short", info)?,
            "stop_loss" => trade(Side::Sell, "stop_loss", info)?,
            "deposit" => movement(Direction::Credit, "deposit", info)?,
            "withdraw" => movement(Direction::Debit, "withdraw", info)?,
            _ => return Ok(None),
        };
        if info.0.contains_key("drift") {
            let why = "is written by the ledger; give your own data another name";
            return Err(Error::invalid("info.drift", why));
        }
        Ok(Some(money))
    }
}

impl TradeInfo {
    /// Returns all fees; `fee` may be absent beside `fees`.
    fn fees(&self) -> Result<Vec<Fee>> {
        let fee = match (&self.fee, &self.fees) {
            (Some(fee), _) => fee.0.clone(),
            (None, Some(_)) => Money::ZERO.into(),
            (None, None) => return Err(Error::MissingField("info.fee".into())),
        };
        let payer = self.fee_account_id.unwrap_or(self.currency_account_id);
        let listed = self.fees.iter().flatten();
        let listed = listed.map(|fee| (fee.account_id, fee.amount.0.clone()));

        Fee::all((payer, fee), listed.collect()).map_err(|why| Error::invalid("info.fees", why))
    }
}

fn trade(side: Side, reason: &'static str, info: &Info) -> Result<MoneyCommand> {
    let trade: TradeInfo = json::within("info", info.0.clone())?;
    let fees = trade.fees()?;
    let ends_order = trade
        .order_status
        .is_some_and(|status| says_filled(status.as_str()));
    let order = trade.order_id;

    let command = Command::Trade(Trade {
        side,
        reason,
        stock_account: trade.stock_account_id,
        stock: trade.stock,
        currency_account: trade.currency_account_id,
        currency: trade.currency,
        volume: trade.volume.0,
        price: trade.price.0,
        quote_amount: trade.quote_amount.map(|amount| amount.0),
        fees,
        order: order.clone(),
        terms: None,
        ends_order,
    });
    Ok(MoneyCommand { command, order })
}

fn movement(direction: Direction, reason: &str, info: &Info) -> Result<MoneyCommand> {
    let movement: MovementInfo = json::within("info", info.0.clone())?;

    let command = Command::Move(Movement {
        account: movement.account_id,
        asset: movement.currency,
        direction,
        amount: movement.amount.0,
        order: None,
        pair: None,
        reason: reason.to_owned(),
        belief: Belief::default(),
    });
    Ok(MoneyCommand {
        command,
        order: None,
    })
}
