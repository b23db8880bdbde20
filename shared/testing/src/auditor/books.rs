//! The auditor's books: what each event does to balances and holds, or the code of its refusal.

use super::decimal::{is_too_fine, is_too_large, rounded};
use super::reading::Reading;
use bigdecimal::{BigDecimal, Zero};
use std::collections::BTreeMap;
use uuid::Uuid;

type Refusal = &'static str;

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) user: Uuid,
    trading: Uuid,
    symbol: String,
    pub(super) balance: BigDecimal,
    /// By order id; `""` is the hold of locks that named none.
    pub(super) holds: BTreeMap<String, BigDecimal>,
    pub(super) postings: i64,
    /// What fees took of its postings.
    pub(super) fees: BigDecimal,
}

impl Account {
    pub(super) fn locked(&self) -> BigDecimal {
        let mut locked = BigDecimal::zero();
        for amount in self.holds.values() {
            locked += amount;
        }
        locked
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
    /// Whether each user is active.
    pub(super) users: BTreeMap<Uuid, bool>,
    /// Owner of each trading.
    pub(super) tradings: BTreeMap<Uuid, Uuid>,
    pub(super) accounts: BTreeMap<Uuid, Account>,
}

impl Books {
    pub(super) fn open(&mut self, id: Uuid, user: Uuid, trading: Uuid, symbol: &str) {
        let (symbol, holds, zero) = (
            symbol.to_ascii_uppercase(),
            BTreeMap::new(),
            BigDecimal::zero,
        );
        let account = Account {
            user,
            trading,
            symbol,
            balance: zero(),
            holds,
            postings: 0,
            fees: zero(),
        };
        self.accounts.insert(id, account);
    }

    /// Books an event, or says why not and changes nothing.
    pub(super) fn book(&mut self, event: &Reading) -> Result<(), Refusal> {
        match self.users.get(&event.user) {
            None => return Err("UNKNOWN_USER"),
            Some(false) => return Err("USER_DISABLED"),
            Some(true) => {}
        }
        let owner = *self.tradings.get(&event.trading).ok_or("UNKNOWN_TRADING")?;
        let mut touched = BTreeMap::new();
        for (field, id) in &event.ids {
            if field.ends_with("account_id") {
                touched.insert(
                    *id,
                    self.accounts.get(id).ok_or("UNKNOWN_SUB_ACCOUNT")?.clone(),
                );
            }
        }
        let belongs =
            |account: &Account| account.user == event.user && account.trading == event.trading;
        if owner != event.user || !touched.values().all(belongs) {
            return Err("OWNERSHIP_MISMATCH");
        }
        let mut sheet = Sheet {
            accounts: touched,
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
}

/// The accounts of one event, changed on a copy.
struct Sheet {
    accounts: BTreeMap<Uuid, Account>,
    /// Accounts that left the range on the way: nothing can be short there any more.
    out_of_range: Vec<Uuid>,
}

impl Sheet {
    fn named(&mut self, event: &Reading, field: &str) -> (Uuid, &mut Account) {
        let id = event.ids[field];
        (
            id,
            self.accounts
                .get_mut(&id)
                .expect("every account an event names was looked up"),
        )
    }

    /// Moves a balance by `change`; what leaves is taken from the hold of `order` first.
    fn post(
        &mut self,
        event: &Reading,
        field: &str,
        change: &BigDecimal,
        order: &str,
    ) -> Result<(), Refusal> {
        let seen: Vec<Uuid> = self.out_of_range.clone();
        let (id, account) = self.named(event, field);
        if change.is_zero() {
            return Ok(());
        }
        if *change < BigDecimal::zero() {
            let due = change.abs();
            let held = if order.is_empty() {
                BigDecimal::zero()
            } else {
                account.held(order)
            };
            if !seen.contains(&id) && due > account.available() + &held {
                return Err("INSUFFICIENT_BALANCE");
            }
            let from_hold = if due < held { due } else { held.clone() };
            if !order.is_empty() {
                account.set_hold(order, held - from_hold);
            }
        }
        account.balance += change;
        account.postings += 1;
        if is_too_large(change) || is_too_large(&account.balance) {
            self.out_of_range.push(id);
        }
        Ok(())
    }

    fn trade(&mut self, event: &Reading) -> Result<(), Refusal> {
        let zero = BigDecimal::zero();
        let (stock, currency) = (
            event.ids["fill.stock_account_id"],
            event.ids["fill.currency_account_id"],
        );
        let (base, quote) = event.text("symbol").split_once('/').unwrap_or_default();
        if self.accounts[&stock].symbol != base || self.accounts[&currency].symbol != quote {
            return Err("SYMBOL_MISMATCH");
        }
        if stock == currency {
            return Err("SAME_ACCOUNT");
        }
        let (volume, price, fee) = (
            &event.numbers["fill.volume"],
            &event.numbers["fill.price"],
            &event.numbers["fill.fee"],
        );
        let told = event.numbers.get("fill.quote_amount");
        if [Some(volume), Some(price), Some(fee), told]
            .into_iter()
            .flatten()
            .any(|figure| *figure < zero)
        {
            return Err("INVALID_AMOUNT");
        }
        let value = told.cloned().unwrap_or_else(|| rounded(&(price * volume)));
        let apart = event
            .ids
            .get("fill.fee_account_id")
            .is_some_and(|payer| *payer != currency);
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
        if [Some(volume), Some(fee), told]
            .into_iter()
            .flatten()
            .any(is_too_fine)
        {
            return Err("TOO_MANY_DECIMALS");
        }
        let order = event.text("order_id").to_owned();
        let stock_change = if buys { volume.clone() } else { -volume };
        self.post(event, "fill.stock_account_id", &stock_change, &order)?;
        if !buys && money < zero {
            return Err("INSUFFICIENT_BALANCE");
        }
        self.post(event, "fill.currency_account_id", &money, &order)?;
        if !money.is_zero() {
            self.named(event, "fill.currency_account_id").1.fees += included;
        }
        if apart {
            self.post(event, "fill.fee_account_id", &-separate, &order)?;
            self.named(event, "fill.fee_account_id").1.fees += separate;
        }
        if [&value, fee, &rounded(price)].into_iter().any(is_too_large) {
            self.out_of_range.push(currency);
        }
        Ok(())
    }

    fn update(&mut self, event: &Reading) -> Result<(), Refusal> {
        let amount = self.movable(event)?;
        let change = if event.text("direction") == "credit" {
            amount
        } else {
            -amount
        };
        let order = event.text("related_order_id").to_owned();
        self.post(event, "sub_account_id", &change, &order)
    }

    fn hold(&mut self, event: &Reading) -> Result<(), Refusal> {
        let amount = self.movable(event)?;
        let order = event.text("related_order_id").to_owned();
        let (_, account) = self.named(event, "sub_account_id");
        let held = account.held(&order);
        if event.kind == "trading.balance.locked" {
            if amount > account.available() {
                return Err("INSUFFICIENT_BALANCE");
            }
            account.set_hold(&order, held + amount);
        } else if amount <= held {
            account.set_hold(&order, held - amount);
        } else if order.is_empty() {
            return Err("UNLOCK_EXCEEDS_LOCKED");
        } else {
            account.set_hold(&order, BigDecimal::zero());
        }
        Ok(())
    }

    fn release(&mut self, event: &Reading) {
        let (_, account) = self.named(event, "sub_account_id");
        account.set_hold(event.text("order_id"), BigDecimal::zero());
    }

    /// The amount of a balance event, when it can move.
    fn movable(&mut self, event: &Reading) -> Result<BigDecimal, Refusal> {
        let (_, account) = self.named(event, "sub_account_id");
        let amount = &event.numbers["amount"];
        if account.symbol != event.text("symbol") {
            Err("SYMBOL_MISMATCH")
        } else if *amount <= BigDecimal::zero() {
            Err("INVALID_AMOUNT")
        } else if is_too_fine(amount) {
            Err("TOO_MANY_DECIMALS")
        } else {
            Ok(amount.clone())
        }
    }
}
