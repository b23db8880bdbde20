//! The effect of one event on copies of its accounts and orders, or the code of its rejection.

use super::books::{Account, HoldKey, Rejection};
use super::decimal::{is_too_large, rounded};
use super::orders::{Orders, id_of};
use super::reading::Reading;
use bigdecimal::{BigDecimal, Signed, Zero};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The fields that contain account ids.
const ACCOUNT: &str = "sub_account_id";
const STOCK: &str = "fill.stock_account_id";
const CURRENCY: &str = "fill.currency_account_id";
const FEE: &str = "fill.fee_account_id";

/// Copies of what one event may change.
pub(super) struct Sheet {
    pub(super) accounts: BTreeMap<Uuid, Account>,
    /// The orders with the id that the event names.
    pub(super) orders: Orders,
    /// The pair of the order that the event names; `""` if it is open.
    pub(super) pair: String,
    /// The holds that the event may use, in order; none for a debit without an order.
    usable: Vec<HoldKey>,
    /// Accounts whose balance left the valid range; they no longer fail for insufficient balance.
    out_of_range: Vec<Uuid>,
}

/// The amounts a fill moves.
struct Fill {
    stock: BigDecimal,
    money: BigDecimal,
    /// The cost or proceeds without fees.
    value: BigDecimal,
    /// The fees within `money`.
    included_fees: BigDecimal,
    /// Amounts that accounts receive.
    rebates: Vec<Charge>,
    /// Fees that accounts pay on their own.
    separate_fees: Vec<Charge>,
    is_out_of_range: bool,
}

/// An amount, and the field with its account.
struct Charge {
    field: String,
    amount: BigDecimal,
}

impl Sheet {
    /// Copies the accounts and orders that an event names, and adds the order itself.
    pub(super) fn new(
        event: &Reading,
        accounts: BTreeMap<Uuid, Account>,
        mut orders: Orders,
    ) -> Self {
        let order = id_of(event);
        let pair = orders.name(event);
        let usable = if !order.is_empty() {
            let pairs = orders.usable(&pair).into_iter();
            pairs.map(|pair| HoldKey::new(order, pair)).collect()
        } else if event.is_of_hold() {
            vec![HoldKey::new("", "")]
        } else {
            Vec::new()
        };

        Self {
            accounts,
            orders,
            pair,
            usable,
            out_of_range: Vec::new(),
        }
    }

    /// Applies the event, except for what the end of its order releases.
    pub(super) fn apply(&mut self, event: &Reading) -> Result<(), Rejection> {
        match event.kind {
            "trading.orders.filled" if event.has_fill => self.trade(event)?,
            "trading.balance.updated" => self.update(event)?,
            "trading.balance.locked" => self.lock(event)?,
            "trading.balance.unlocked" => self.unlock(event)?,
            _ => {}
        }
        if self.out_of_range.is_empty() {
            Ok(())
        } else {
            Err("AMOUNT_OUT_OF_RANGE")
        }
    }

    fn named(&mut self, event: &Reading, field: &str) -> &mut Account {
        self.accounts
            .get_mut(&event.ids[field])
            .expect("named_by looked up every account")
    }

    /// Changes a balance by `change`; a debit uses the holds of its order first.
    fn post(&mut self, event: &Reading, field: &str, change: &BigDecimal) -> Result<(), Rejection> {
        if change.is_zero() {
            return Ok(());
        }
        let id = event.ids[field];
        let was_out_of_range = self.out_of_range.contains(&id);
        let usable = self.usable.clone();
        let account = self.named(event, field);
        if change.is_negative() {
            let due = change.abs();
            if !was_out_of_range && due > account.available() + account.held(&usable) {
                return Err("INSUFFICIENT_BALANCE");
            }
            account.use_holds(&usable, &due);
        }

        account.balance += change;
        account.postings += 1;
        if is_too_large(change) || is_too_large(&account.balance) {
            self.out_of_range.push(id);
        }
        Ok(())
    }

    fn trade(&mut self, event: &Reading) -> Result<(), Rejection> {
        let fill = self.fill(event)?;
        self.post(event, STOCK, &fill.stock)?;
        self.post(event, CURRENCY, &fill.money)?;
        self.named(event, CURRENCY).fees += &fill.included_fees;

        for Charge { field, amount } in &fill.rebates {
            self.post(event, field, amount)?;
        }
        for Charge { field, amount } in &fill.separate_fees {
            self.post(event, field, &-amount)?;
            self.named(event, field).fees += amount;
        }
        let volume = fill.stock.abs();
        self.orders.fill(&self.pair, &volume, &fill.value);
        if fill.is_out_of_range {
            self.out_of_range.push(event.ids[CURRENCY]);
        }
        Ok(())
    }

    /// Returns the amounts of a fill, or rejects it.
    fn fill(&self, event: &Reading) -> Result<Fill, Rejection> {
        let stock = event.ids[STOCK];
        let currency = event.ids[CURRENCY];
        let (base, quote) = event.text("symbol").split_once('/').unwrap_or_default();
        if self.accounts[&stock].symbol != base || self.accounts[&currency].symbol != quote {
            return Err("SYMBOL_MISMATCH");
        }
        if stock == currency {
            return Err("SAME_ACCOUNT");
        }
        let volume = &event.numbers["fill.volume"];
        let price = &event.numbers["fill.price"];
        let given = event.numbers.get("fill.quote_amount");
        let mut figures = [Some(volume), Some(price), given].into_iter().flatten();
        if figures.any(BigDecimal::is_negative) {
            return Err("INVALID_AMOUNT");
        }

        let value = rounded(&given.cloned().unwrap_or_else(|| price * volume));
        let volume = rounded(volume);
        let buys = event.text("side") == "buy";
        let (rebates, fees) = charges(event);
        let (mut own, mut separate): (Vec<Charge>, Vec<Charge>) = fees
            .into_iter()
            .partition(|fee| event.ids[&fee.field] == currency);
        let mut included: BigDecimal = own.iter().map(|fee| &fee.amount).sum();
        // Proceeds that the fees use up are booked in full.
        if !buys && included >= value {
            own.append(&mut separate);
            separate = own;
            included = BigDecimal::zero();
        }

        let money = if buys {
            -(&value + &included)
        } else {
            &value - &included
        };
        let is_free = rebates.is_empty() && separate.is_empty();
        if volume.is_zero() && money.is_zero() && is_free {
            return Err("INVALID_AMOUNT");
        }
        Ok(Fill {
            stock: if buys { volume } else { -volume },
            money,
            rebates,
            separate_fees: separate,
            is_out_of_range: is_too_large(&value) || is_too_large(&included),
            included_fees: included,
            value,
        })
    }

    fn update(&mut self, event: &Reading) -> Result<(), Rejection> {
        let amount = self.movable(event)?;
        let change = if event.text("direction") == "credit" {
            amount
        } else {
            -amount
        };
        self.post(event, ACCOUNT, &change)
    }

    fn lock(&mut self, event: &Reading) -> Result<(), Rejection> {
        let amount = self.movable(event)?;
        let key = HoldKey::new(id_of(event), &self.pair);
        if !key.order.is_empty() && self.orders.have_ended(&self.pair) {
            return Ok(());
        }

        let account = self.named(event, ACCOUNT);
        if amount > account.available() {
            return Err("INSUFFICIENT_BALANCE");
        }
        account.add_hold(key, amount);
        Ok(())
    }

    fn unlock(&mut self, event: &Reading) -> Result<(), Rejection> {
        let amount = self.movable(event)?;
        let usable = self.usable.clone();
        let account = self.named(event, ACCOUNT);
        if id_of(event).is_empty() && amount > account.held(&usable) {
            return Err("UNLOCK_EXCEEDS_LOCKED");
        }

        account.use_holds(&usable, &amount);
        Ok(())
    }

    /// Returns the amount of a balance event, or rejects it.
    fn movable(&mut self, event: &Reading) -> Result<BigDecimal, Rejection> {
        let account = self.named(event, ACCOUNT);
        let amount = rounded(&event.numbers["amount"]);
        if account.symbol != event.text("symbol") {
            Err("SYMBOL_MISMATCH")
        } else if !amount.is_positive() {
            Err("INVALID_AMOUNT")
        } else {
            Ok(amount)
        }
    }
}

/// Returns the rebates and the fees of a fill, each above zero.
fn charges(event: &Reading) -> (Vec<Charge>, Vec<Charge>) {
    let payer = [FEE, CURRENCY]
        .into_iter()
        .find(|field| event.ids.contains_key(*field));
    let single = ("fill.fee".to_owned(), payer.unwrap_or(CURRENCY).to_owned());
    let listed = (0..event.listed_fees).map(|at| {
        let item = format!("fill.fees[{at}]");
        (format!("{item}.amount"), format!("{item}.account_id"))
    });

    let mut rebates = Vec::new();
    let mut fees = Vec::new();
    for (amount, field) in std::iter::once(single).chain(listed) {
        let amount = event.numbers.get(&amount).map(rounded).unwrap_or_default();
        if amount.is_negative() {
            let amount = -amount;
            rebates.push(Charge { field, amount });
        } else if !amount.is_zero() {
            fees.push(Charge { field, amount });
        }
    }
    (rebates, fees)
}
