//! The auditor's books: the effect of each event on balances and holds, or the code of its rejection.

use super::decimal::{is_too_fine, is_too_large, rounded};
use super::reading::Reading;
use bigdecimal::{BigDecimal, Signed, Zero};
use std::collections::BTreeMap;
use uuid::Uuid;

type Rejection = &'static str;

/// The fields that contain account ids.
const ACCOUNT: &str = "sub_account_id";
const STOCK: &str = "fill.stock_account_id";
const CURRENCY: &str = "fill.currency_account_id";
const FEE: &str = "fill.fee_account_id";

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) user: Uuid,
    trading: Uuid,
    symbol: String,
    pub(super) balance: BigDecimal,
    /// By order id; `""` for holds without an order.
    pub(super) holds: BTreeMap<String, BigDecimal>,
    pub(super) postings: i64,
    /// The fees within its postings.
    pub(super) fees: BigDecimal,
}

impl Account {
    pub(super) fn locked(&self) -> BigDecimal {
        self.holds.values().sum()
    }

    fn available(&self) -> BigDecimal {
        &self.balance - self.locked()
    }

    fn held(&self, order: &str) -> BigDecimal {
        self.holds.get(order).cloned().unwrap_or_default()
    }

    fn set_hold(&mut self, order: &str, amount: BigDecimal) {
        self.holds.remove(order);
        if !amount.is_zero() {
            self.holds.insert(order.to_owned(), amount);
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    /// Whether each known user is active.
    pub(super) users: BTreeMap<Uuid, bool>,
    /// The owner of each trading.
    pub(super) tradings: BTreeMap<Uuid, Uuid>,
    pub(super) accounts: BTreeMap<Uuid, Account>,
}

impl Books {
    pub(super) fn open(&mut self, id: Uuid, user: Uuid, trading: Uuid, symbol: &str) {
        let account = Account {
            user,
            trading,
            symbol: symbol.to_ascii_uppercase(),
            balance: BigDecimal::zero(),
            holds: BTreeMap::new(),
            postings: 0,
            fees: BigDecimal::zero(),
        };
        self.accounts.insert(id, account);
    }

    /// Applies an event, or rejects it without a change.
    pub(super) fn book(&mut self, event: &Reading) -> Result<(), Rejection> {
        match self.users.get(&event.user) {
            None => return Err("UNKNOWN_USER"),
            Some(false) => return Err("USER_DISABLED"),
            Some(true) => {}
        }
        let owner = *self.tradings.get(&event.trading).ok_or("UNKNOWN_TRADING")?;
        let accounts = self.named_by(event)?;
        let belongs =
            |account: &Account| account.user == event.user && account.trading == event.trading;
        if owner != event.user || !accounts.values().all(belongs) {
            return Err("OWNERSHIP_MISMATCH");
        }

        let mut sheet = Sheet {
            accounts,
            out_of_range: Vec::new(),
        };
        match event.kind {
            "trading.orders.filled" if event.has_fill => sheet.trade(event)?,
            "trading.orders.cancelled" | "trading.orders.failed" => sheet.release(event),
            "trading.balance.updated" => sheet.update(event)?,
            "trading.balance.locked" | "trading.balance.unlocked" => sheet.hold(event)?,
            _ => {}
        }
        if !sheet.out_of_range.is_empty() {
            return Err("AMOUNT_OUT_OF_RANGE");
        }
        self.accounts.extend(sheet.accounts);
        Ok(())
    }

    /// Copies the accounts an event names.
    fn named_by(&self, event: &Reading) -> Result<BTreeMap<Uuid, Account>, Rejection> {
        let fields = event.ids.iter();
        let ids = fields.filter(|(field, _)| field.ends_with("account_id"));
        ids.map(|(_, id)| {
            let account = self.accounts.get(id).ok_or("UNKNOWN_SUB_ACCOUNT")?;
            Ok((*id, account.clone()))
        })
        .collect()
    }
}

/// Copies of the accounts of one event.
struct Sheet {
    accounts: BTreeMap<Uuid, Account>,
    /// Accounts whose balance left the valid range; they no longer fail for insufficient balance.
    out_of_range: Vec<Uuid>,
}

/// The amounts a fill moves.
struct Fill {
    stock: BigDecimal,
    money: BigDecimal,
    /// The fee within `money`.
    included_fee: BigDecimal,
    /// The fee another account pays.
    separate_fee: BigDecimal,
    has_separate_payer: bool,
    is_out_of_range: bool,
}

impl Sheet {
    fn named(&mut self, event: &Reading, field: &str) -> &mut Account {
        self.accounts
            .get_mut(&event.ids[field])
            .expect("named_by looked up every account")
    }

    /// Changes a balance by `change`; a debit uses the hold of `order` first.
    fn post(
        &mut self,
        event: &Reading,
        field: &str,
        change: &BigDecimal,
        order: &str,
    ) -> Result<(), Rejection> {
        if change.is_zero() {
            return Ok(());
        }
        let id = event.ids[field];
        let was_out_of_range = self.out_of_range.contains(&id);
        let account = self.named(event, field);
        if change.is_negative() {
            let due = change.abs();
            let held = if order.is_empty() {
                BigDecimal::zero()
            } else {
                account.held(order)
            };
            if !was_out_of_range && due > account.available() + &held {
                return Err("INSUFFICIENT_BALANCE");
            }
            if !order.is_empty() {
                let rest = &held - due.min(held.clone());
                account.set_hold(order, rest);
            }
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
        let order = event.text("order_id");
        self.post(event, STOCK, &fill.stock, order)?;
        if event.text("side") != "buy" && fill.money.is_negative() {
            return Err("INSUFFICIENT_BALANCE");
        }

        self.post(event, CURRENCY, &fill.money, order)?;
        if !fill.money.is_zero() {
            self.named(event, CURRENCY).fees += &fill.included_fee;
        }
        if fill.has_separate_payer {
            self.post(event, FEE, &-&fill.separate_fee, order)?;
            self.named(event, FEE).fees += &fill.separate_fee;
        }
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
        let fee = &event.numbers["fill.fee"];
        let given = event.numbers.get("fill.quote_amount");
        let moved = || [Some(volume), Some(fee), given].into_iter().flatten();
        if price.is_negative() || moved().any(BigDecimal::is_negative) {
            return Err("INVALID_AMOUNT");
        }

        let zero = BigDecimal::zero();
        let value = given.cloned().unwrap_or_else(|| rounded(&(price * volume)));
        let apart = event.ids.get(FEE).is_some_and(|payer| *payer != currency);
        let (included, separate) = if apart { (&zero, fee) } else { (fee, &zero) };
        let buys = event.text("side") == "buy";
        let money = if buys {
            -(&value + included)
        } else {
            &value - included
        };
        if volume.is_zero() && money.is_zero() && separate.is_zero() {
            return Err("INVALID_AMOUNT");
        }
        if moved().any(is_too_fine) {
            return Err("TOO_MANY_DECIMALS");
        }
        Ok(Fill {
            stock: if buys { volume.clone() } else { -volume },
            money,
            included_fee: included.clone(),
            separate_fee: separate.clone(),
            has_separate_payer: apart,
            is_out_of_range: [&value, fee, &rounded(price)].into_iter().any(is_too_large),
        })
    }

    fn update(&mut self, event: &Reading) -> Result<(), Rejection> {
        let amount = self.movable(event)?;
        let change = if event.text("direction") == "credit" {
            amount
        } else {
            -amount
        };
        self.post(event, ACCOUNT, &change, event.text("related_order_id"))
    }

    fn hold(&mut self, event: &Reading) -> Result<(), Rejection> {
        let amount = self.movable(event)?;
        let order = event.text("related_order_id");
        let account = self.named(event, ACCOUNT);
        let held = account.held(order);

        if event.kind == "trading.balance.locked" {
            if amount > account.available() {
                return Err("INSUFFICIENT_BALANCE");
            }
            account.set_hold(order, held + amount);
        } else if amount <= held {
            account.set_hold(order, held - amount);
        } else if order.is_empty() {
            return Err("UNLOCK_EXCEEDS_LOCKED");
        } else {
            account.set_hold(order, BigDecimal::zero());
        }

        Ok(())
    }

    fn release(&mut self, event: &Reading) {
        let account = self.named(event, ACCOUNT);
        account.set_hold(event.text("order_id"), BigDecimal::zero());
    }

    /// Returns the amount of a balance event, or rejects it.
    fn movable(&mut self, event: &Reading) -> Result<BigDecimal, Rejection> {
        let account = self.named(event, ACCOUNT);
        let amount = &event.numbers["amount"];
        if account.symbol != event.text("symbol") {
            Err("SYMBOL_MISMATCH")
        } else if !amount.is_positive() {
            Err("INVALID_AMOUNT")
        } else if is_too_fine(amount) {
            Err("TOO_MANY_DECIMALS")
        } else {
            Ok(amount.clone())
        }
    }
}
