//! The movement of money in the free JSON of five types of trading logs.

use crate::http::json;
use crate::routes::prelude::*;
use tiris_domain::ledger::{Belief, Command, Movement, OrderId, Side, Trade};

/// The ledger command of a log that moves money, with the order it names.
pub(super) struct MoneyCommand {
    pub(super) command: Command,
    pub(super) order: Option<OrderId>,
}

/// The free JSON of `long`, `short` and `stop_loss`.
#[derive(Deserialize)]
struct TradeInfo {
    order_id: Option<OrderId>,
    stock_account_id: AccountId,
    stock: Asset,
    currency_account_id: AccountId,
    currency: Asset,
    volume: Amount,
    price: Amount,
    quote_amount: Option<Amount>,
    fee: Amount,
    fee_account_id: Option<AccountId>,
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
        Ok(Some(money))
    }
}

fn trade(side: Side, reason: &'static str, info: &Info) -> Result<MoneyCommand> {
    let trade: TradeInfo = json::within("info", info.0.clone())?;
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
        fee: trade.fee.0,
        fee_account: trade.fee_account_id,
        order: order.clone(),
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
        reason: reason.to_owned(),
        belief: Belief::default(),
    });
    Ok(MoneyCommand {
        command,
        order: None,
    })
}
