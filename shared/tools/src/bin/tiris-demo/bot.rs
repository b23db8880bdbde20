//! The bot: turns candles into orders, and orders into the events a bot would publish.
//!
//! Owns: sizes, limits, fees, and the sequence of events an order goes through. Must not know: where candles come from
//! and where events go. It never spends more than its book has, so nothing it says is to be refused.

use super::book::Purse;
use super::candles::Candle;
use super::message::{Message, Writer};
use super::strategy::{Advice, Crossover, View};
use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tiris_domain::event::Kind;
use tiris_domain::money::{Money, Number};

/// Candles from one heartbeat to the next.
const HEARTBEAT_CANDLES: u64 = 20;
/// Every so many orders one finds no taker and is cancelled at the next candle.
const UNFILLED_EVERY: u64 = 5;
/// Every so many orders one is filled in two parts.
const TWO_PARTS_EVERY: u64 = 4;
/// A buy may spend a quarter of what is available, a sell may give half of it.
const BUY_SHARE: i128 = 4;
const SELL_SHARE: i128 = 2;
/// Volumes have eight decimals, as exchanges take them.
const LOT_UNITS: i128 = 10_000;
/// Smallest worth of an order: 0.000001 of the quote asset.
const WORTH_MIN_UNITS: i128 = 1_000_000;
/// A limit allows a price one thousandth worse than the candle's.
const SLIPPAGE_PARTS: i128 = 1_000;
/// A sell two hundredths below the last buy is a stop-loss.
const STOP_LOSS_PERCENT: i128 = 98;
/// Budgets above this many units of 10^-12 are cut to it, so that sizes fit 128 bits.
const BUDGET_UNITS_MAX: i128 = 10i128.pow(24);
/// Part of the cost the exchange takes.
const FEE_RATE: &str = "0.001";

const TOO_LARGE: &str = "the order is too large for the books";

/// Buy or sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Buy,
    Sell,
}

#[derive(Clone, Debug)]
struct Order {
    id: String,
    side: Side,
    volume: Money,
    limit: Money,
}

/// The bot with all it knows.
#[derive(Clone, Debug)]
pub(super) struct Bot {
    writer: Writer,
    /// The account of the base asset.
    pub(super) stock: Purse,
    /// The account of the quote asset.
    pub(super) currency: Purse,
    crossover: Crossover,
    candles: u64,
    orders: u64,
    /// The order that waits for a taker.
    unfilled: Option<Order>,
    last_buy: Option<Money>,
    fee_rate: Number,
}

impl Bot {
    /// A bot that trades `stock` against `currency`.
    pub(super) fn new(
        writer: Writer,
        stock: Purse,
        currency: Purse,
        crossover: Crossover,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            writer,
            stock,
            currency,
            crossover,
            candles: 0,
            orders: 0,
            unfilled: None,
            last_buy: None,
            fee_rate: FEE_RATE.parse()?,
        })
    }

    /// Orders placed so far.
    #[cfg(test)]
    pub(super) const fn orders_placed(&self) -> u64 {
        self.orders
    }

    /// All events that follow from the next candle. The book already counts them as applied.
    pub(super) fn on_candle(&mut self, candle: &Candle) -> anyhow::Result<Vec<Message>> {
        self.candles += 1;
        let mut messages = self.cancel_unfilled(candle.time);
        let view = self.crossover.push(candle.close);
        messages.push(self.signal(candle, view));
        match view.advice {
            Advice::Buy => self.place(Side::Buy, candle, &mut messages)?,
            Advice::Sell => self.place(Side::Sell, candle, &mut messages)?,
            Advice::Hold => {}
        }
        if self.candles.is_multiple_of(HEARTBEAT_CANDLES) {
            messages.push(self.heartbeat(candle.time));
        }
        Ok(messages)
    }

    /// Cancels the order that waits for a taker, if any, so that nothing stays held.
    pub(super) fn cancel_unfilled(&mut self, time: DateTime<Utc>) -> Vec<Message> {
        let Some(order) = self.unfilled.take() else {
            return Vec::new();
        };
        let mut body = self.order_body(&order, "cancelled");
        body["message"] = "the price moved away".into();
        self.payer(order.side).release(&order.id);
        vec![self.writer.write(Kind::OrderCancelled, time, body)]
    }

    /// The account an order is paid from.
    fn payer(&mut self, side: Side) -> &mut Purse {
        match side {
            Side::Buy => &mut self.currency,
            Side::Sell => &mut self.stock,
        }
    }

    fn place(
        &mut self,
        side: Side,
        candle: &Candle,
        messages: &mut Vec<Message>,
    ) -> anyhow::Result<()> {
        let price = candle.close;
        let Some((volume, limit)) = self.volume(side, price).zip(limit(side, price)) else {
            return Ok(());
        };
        self.orders += 1;
        let order = Order {
            id: self.writer.next_order_id(),
            side,
            volume,
            limit,
        };
        let created = self.order_body(&order, "open");
        messages.push(self.writer.write(Kind::OrderCreated, candle.time, created));

        let hold = self.hold_of(&order)?;
        self.payer(side).lock(&order.id, hold)?;
        let locked = self.hold_body(&order, hold);
        messages.push(self.writer.write(Kind::BalanceLocked, candle.time, locked));

        if self.orders.is_multiple_of(UNFILLED_EVERY) {
            self.unfilled = Some(order);
            return Ok(());
        }
        self.fill_whole(&order, candle, messages)
    }

    /// Fills an order and gives back what it does not need.
    fn fill_whole(
        &mut self,
        order: &Order,
        candle: &Candle,
        messages: &mut Vec<Message>,
    ) -> anyhow::Result<()> {
        for (part, status) in self.parts(order) {
            messages.push(self.fill(order, part, status, candle)?);
        }
        if order.side == Side::Buy {
            self.last_buy = Some(candle.close);
        }

        let rest = self.payer(order.side).release(&order.id);
        if rest.is_positive() {
            let body = self.hold_body(order, rest);
            let unlocked = self.writer.write(Kind::BalanceUnlocked, candle.time, body);
            messages.push(unlocked);
        }
        Ok(())
    }

    /// How much to trade, in whole lots; `None` when it would not be worth an order.
    fn volume(&self, side: Side, price: Money) -> Option<Money> {
        let units = match side {
            Side::Buy => {
                let budget = (self.currency.available().units() / BUY_SHARE).min(BUDGET_UNITS_MAX);
                budget * Money::ONE.units() / price.units()
            }
            Side::Sell => self.stock.available().units() / SELL_SHARE,
        };
        let volume = Money::from_units(units / LOT_UNITS * LOT_UNITS)?;
        let worth = product(&price.into(), volume).ok()?;
        (worth.units() >= WORTH_MIN_UNITS).then_some(volume)
    }

    /// What must be set aside: the volume to sell, or the cost at the limit with its fee.
    fn hold_of(&self, order: &Order) -> anyhow::Result<Money> {
        match order.side {
            Side::Buy => {
                let (cost, fee) = self.cost_and_fee(order.volume, order.limit)?;
                cost.checked_add(fee).context(TOO_LARGE)
            }
            Side::Sell => Ok(order.volume),
        }
    }

    fn cost_and_fee(&self, volume: Money, price: Money) -> anyhow::Result<(Money, Money)> {
        let cost = product(&price.into(), volume)?;
        Ok((cost, product(&self.fee_rate, cost)?))
    }

    /// The volumes an order is filled in, with the status after each.
    fn parts(&self, order: &Order) -> Vec<(Money, &'static str)> {
        let whole = order.volume.units();
        let first = whole / 3 / LOT_UNITS * LOT_UNITS;
        let parts = (Money::from_units(first), Money::from_units(whole - first));
        match parts {
            (Some(first), Some(rest))
                if first.is_positive() && self.orders.is_multiple_of(TWO_PARTS_EVERY) =>
            {
                vec![(first, "partially_filled"), (rest, "filled")]
            }
            _ => vec![(order.volume, "filled")],
        }
    }

    fn fill(
        &mut self,
        order: &Order,
        volume: Money,
        status: &str,
        candle: &Candle,
    ) -> anyhow::Result<Message> {
        let price = candle.close;
        let (cost, fee) = self.cost_and_fee(volume, price)?;
        match order.side {
            Side::Buy => {
                self.stock.receive(volume)?;
                let due = cost.checked_add(fee).context(TOO_LARGE)?;
                self.currency.pay(&order.id, due)?;
            }
            Side::Sell => {
                self.stock.pay(&order.id, volume)?;
                let proceeds = cost.checked_sub(fee).context(TOO_LARGE)?;
                self.currency.receive(proceeds)?;
            }
        }

        let mut body = self.order_body(order, status);
        body["fill"] = json!({
            "stock_account_id": self.stock.id,
            "currency_account_id": self.currency.id,
            "volume": volume,
            "price": price,
            "fee": fee,
        });
        if order.side == Side::Sell && self.is_stop_loss(price) {
            body["fill"]["reason"] = "stop_loss".into();
        }
        Ok(self.writer.write(Kind::OrderFilled, candle.time, body))
    }

    fn is_stop_loss(&self, price: Money) -> bool {
        self.last_buy
            .is_some_and(|bought| price.units() * 100 < bought.units() * STOP_LOSS_PERCENT)
    }

    fn symbol(&self) -> String {
        format!("{}/{}", self.stock.symbol, self.currency.symbol)
    }

    fn order_body(&mut self, order: &Order, status: &str) -> Value {
        json!({
            "sub_account_id": self.payer(order.side).id,
            "order_id": order.id,
            "symbol": self.symbol(),
            "side": match order.side { Side::Buy => "buy", Side::Sell => "sell" },
            "type": "limit",
            "amount": order.volume,
            "price": order.limit,
            "status": status,
        })
    }

    fn hold_body(&mut self, order: &Order, amount: Money) -> Value {
        let payer = self.payer(order.side);
        json!({
            "sub_account_id": payer.id,
            "symbol": payer.symbol,
            "amount": amount,
            "related_order_id": order.id,
        })
    }

    fn signal(&mut self, candle: &Candle, view: View) -> Message {
        let body = json!({
            "signal_type": view.advice.as_str(),
            "symbol": self.symbol(),
            "confidence": view.confidence,
            "price": candle.close,
            "strategy": self.crossover.name(),
        });
        self.writer.write(Kind::Signal, candle.time, body)
    }

    fn heartbeat(&mut self, time: DateTime<Utc>) -> Message {
        let body = json!({
            "status": "healthy",
            "component": "demo-bot",
            "metrics": { "candles": self.candles, "orders": self.orders },
        });
        self.writer.write(Kind::Heartbeat, time, body)
    }
}

/// The worst price an order takes.
fn limit(side: Side, price: Money) -> Option<Money> {
    let slippage = price.units() / SLIPPAGE_PARTS;
    Money::from_units(match side {
        Side::Buy => price.units() + slippage,
        Side::Sell => price.units() - slippage,
    })
}

/// `rate` x `amount`, rounded half to even once, as the books do it.
fn product(rate: &Number, amount: Money) -> anyhow::Result<Money> {
    rate.times(&amount.into())
        .rounded()
        .to_money()
        .context(TOO_LARGE)
}
