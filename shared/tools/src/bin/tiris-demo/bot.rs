//! Turns candles into orders, and orders into the events a bot publishes.
//!
//! The bot never spends more than its accounts hold, so ingest must accept every event.

use crate::account::Account;
use crate::candles::Candle;
use crate::message::{Message, Writer};
use crate::strategy::{Crossover, Side};
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tiris_domain::event::Kind;
use tiris_domain::money::{Money, Number};

/// Candles from one heartbeat to the next.
const HEARTBEAT_CANDLES: u64 = 20;
/// Every fifth order stays unfilled and is cancelled at the next candle.
const UNFILLED_EVERY: u64 = 5;
/// Every third order is filled in two parts.
const TWO_PARTS_EVERY: u64 = 3;
/// A buy may spend a quarter of the available balance, a sell may give half of it.
const BUY_SHARE: i128 = 4;
const SELL_SHARE: i128 = 2;
/// Volumes have eight decimals, as exchanges accept them.
const LOT_UNITS: i128 = 10_000_000_000;
/// Smallest worth of an order: 0.000001 of the quote asset.
const WORTH_MIN_UNITS: i128 = 1_000_000_000_000;
/// A limit allows a price one thousandth worse than the candle's.
const SLIPPAGE_PARTS: i128 = 1_000;
/// A sell two hundredths below the last buy is a stop-loss.
const STOP_LOSS_PERCENT: i128 = 98;
/// Budgets above this many units of 10^-18 are cut to it, so that sizes fit 128 bits.
const BUDGET_UNITS_MAX: i128 = 10i128.pow(30);
/// The exchange's fee as part of the cost.
const FEE_RATE: &str = "0.001";

const TOO_LARGE: &str = "the order is too large for the books";

#[derive(Clone, Debug)]
struct Order {
    id: String,
    side: Side,
    volume: Money,
    limit: Money,
}

/// A bot that trades one pair, and the accounts it expects.
#[derive(Clone, Debug)]
pub(crate) struct Bot {
    writer: Writer,
    /// The account of the base asset.
    pub(crate) stock: Account,
    /// The account of the quote asset.
    pub(crate) currency: Account,
    crossover: Crossover,
    fee_rate: Number,
    candles: u64,
    /// Orders placed so far.
    pub(crate) orders: u64,
    unfilled: Option<Order>,
    last_buy: Option<Money>,
    /// The events since the last candle.
    messages: Vec<Message>,
}

impl Bot {
    /// Returns a bot that trades `stock` against `currency`.
    pub(crate) fn new(
        writer: Writer,
        stock: Account,
        currency: Account,
        crossover: Crossover,
    ) -> Result<Self> {
        Ok(Self {
            writer,
            stock,
            currency,
            crossover,
            fee_rate: FEE_RATE.parse()?,
            candles: 0,
            orders: 0,
            unfilled: None,
            last_buy: None,
            messages: Vec::new(),
        })
    }

    /// Returns the events that follow from the next candle; the accounts already count them as applied.
    pub(crate) fn on_candle(&mut self, candle: &Candle) -> Result<Vec<Message>> {
        self.candles += 1;
        self.messages = self.cancel_unfilled(candle.time);

        let signal = self.crossover.push(candle.close);
        let body = json!({
            "signal_type": signal.advice.map_or("hold", Side::as_str),
            "symbol": self.symbol(),
            "confidence": signal.confidence,
            "price": candle.close,
            "strategy": self.crossover.name(),
        });
        self.write(Kind::Signal, candle.time, body);
        if let Some(side) = signal.advice {
            self.place(side, candle)?;
        }

        if self.candles.is_multiple_of(HEARTBEAT_CANDLES) {
            let body = json!({
                "status": "healthy",
                "component": "demo-bot",
                "metrics": { "candles": self.candles, "orders": self.orders },
            });
            self.write(Kind::Heartbeat, candle.time, body);
        }
        Ok(std::mem::take(&mut self.messages))
    }

    /// Cancels the unfilled order, if any, which releases its hold.
    pub(crate) fn cancel_unfilled(&mut self, time: DateTime<Utc>) -> Vec<Message> {
        let Some(order) = self.unfilled.take() else {
            return Vec::new();
        };

        let mut body = self.order_body(&order, "cancelled");
        body["message"] = "the price moved away".into();
        self.payer(order.side).release();
        vec![self.writer.write(Kind::OrderCancelled, time, body)]
    }

    fn write(&mut self, kind: Kind, time: DateTime<Utc>, body: Value) {
        self.messages.push(self.writer.write(kind, time, body));
    }

    /// Returns the account an order is paid from.
    fn payer(&mut self, side: Side) -> &mut Account {
        match side {
            Side::Buy => &mut self.currency,
            Side::Sell => &mut self.stock,
        }
    }

    fn place(&mut self, side: Side, candle: &Candle) -> Result<()> {
        let price = candle.close;
        let Some((volume, limit)) = self.volume(side, price).zip(limit(side, price)) else {
            return Ok(());
        };
        self.orders += 1;
        let order = Order {
            id: self.writer.order_id(self.orders),
            side,
            volume,
            limit,
        };
        let body = self.order_body(&order, "open");
        self.write(Kind::OrderCreated, candle.time, body);

        let hold = self.hold(side, volume, limit)?;
        self.payer(side).lock(hold)?;
        self.write_hold(Kind::BalanceLocked, &order, hold, candle.time);

        if self.orders.is_multiple_of(UNFILLED_EVERY) {
            self.unfilled = Some(order);
            return Ok(());
        }
        self.fill_whole(&order, candle)
    }

    /// Fills an order, which ends it.
    fn fill_whole(&mut self, order: &Order, candle: &Candle) -> Result<()> {
        let mut open = order.volume;
        for (part, status) in self.parts(order) {
            self.fill(order, part, status, candle)?;
            open = open.checked_sub(part).context(TOO_LARGE)?;
            if open.is_positive() {
                self.unlock_excess(order, open, candle)?;
            }
        }
        if order.side == Side::Buy {
            self.last_buy = Some(candle.close);
        }

        // Ingest releases what the order still holds at its end.
        self.payer(order.side).release();
        Ok(())
    }

    /// Unlocks what the open rest of an order does not need, because its first part was cheaper than the limit.
    fn unlock_excess(&mut self, order: &Order, open: Money, candle: &Candle) -> Result<()> {
        let needed = self.hold(order.side, open, order.limit)?;
        let payer = self.payer(order.side);
        let excess = payer.held.checked_sub(needed).unwrap_or_default();
        if excess.is_positive() {
            payer.unlock(excess)?;
            self.write_hold(Kind::BalanceUnlocked, order, excess, candle.time);
        }
        Ok(())
    }

    /// Returns the most that an order can need of the account it is paid from.
    fn hold(&self, side: Side, volume: Money, limit: Money) -> Result<Money> {
        match side {
            Side::Buy => {
                let (cost, fee) = self.cost_and_fee(volume, limit)?;
                cost.checked_add(fee).context(TOO_LARGE)
            }
            Side::Sell => Ok(volume),
        }
    }

    /// Returns the volume to trade, in whole lots; `None` when it is not worth an order.
    fn volume(&self, side: Side, price: Money) -> Option<Money> {
        let lots = match side {
            Side::Buy => {
                let budget = (self.currency.available().units() / BUY_SHARE).min(BUDGET_UNITS_MAX);
                budget * (Money::ONE.units() / LOT_UNITS) / price.units()
            }
            Side::Sell => self.stock.available().units() / SELL_SHARE / LOT_UNITS,
        };
        let volume = Money::from_units(lots.checked_mul(LOT_UNITS)?)?;
        let worth = product(&price.into(), volume).ok()?;
        (worth.units() >= WORTH_MIN_UNITS).then_some(volume)
    }

    fn cost_and_fee(&self, volume: Money, price: Money) -> Result<(Money, Money)> {
        let cost = product(&price.into(), volume)?;
        Ok((cost, product(&self.fee_rate, cost)?))
    }

    /// Returns the volumes an order is filled in, with the status after each.
    fn parts(&self, order: &Order) -> Vec<(Money, &'static str)> {
        let first = Money::from_units(order.volume.units() / 3 / LOT_UNITS * LOT_UNITS)
            .filter(|first| first.is_positive() && self.orders.is_multiple_of(TWO_PARTS_EVERY));
        let rest = first.and_then(|first| order.volume.checked_sub(first));

        match first.zip(rest) {
            Some((first, rest)) => vec![(first, "partially_filled"), (rest, "filled")],
            None => vec![(order.volume, "filled")],
        }
    }

    fn fill(&mut self, order: &Order, volume: Money, status: &str, candle: &Candle) -> Result<()> {
        let price = candle.close;
        let (cost, fee) = self.cost_and_fee(volume, price)?;
        if order.side == Side::Buy {
            let due = cost.checked_add(fee).context(TOO_LARGE)?;
            self.stock.receive(volume)?;
            self.currency.pay(due)?;
        } else {
            let proceeds = cost.checked_sub(fee).context(TOO_LARGE)?;
            self.stock.pay(volume)?;
            self.currency.receive(proceeds)?;
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
        self.write(Kind::OrderFilled, candle.time, body);
        Ok(())
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
            "side": order.side.as_str(),
            "type": "limit",
            "amount": order.volume,
            "price": order.limit,
            "status": status,
        })
    }

    fn write_hold(&mut self, kind: Kind, order: &Order, amount: Money, time: DateTime<Utc>) {
        let payer = self.payer(order.side);
        let body = json!({
            "sub_account_id": payer.id,
            "symbol": payer.symbol,
            "amount": amount,
            "related_order_id": order.id,
        });
        self.write(kind, time, body);
    }
}

/// Returns the worst price an order accepts.
fn limit(side: Side, price: Money) -> Option<Money> {
    let slippage = price.units() / SLIPPAGE_PARTS;
    Money::from_units(match side {
        Side::Buy => price.units() + slippage,
        Side::Sell => price.units() - slippage,
    })
}

/// Returns `rate` x `amount`, rounded half to even once, like the books.
fn product(rate: &Number, amount: Money) -> Result<Money> {
    let product = rate.times(&amount.into()).rounded();
    product.to_money().context(TOO_LARGE)
}
