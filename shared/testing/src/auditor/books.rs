//! The auditor's books: accounts with their holds, and orders. Each event changes them or has the code of its rejection.

use super::orders::{self, Orders};
use super::reading::Reading;
use super::sheet::Sheet;
use bigdecimal::{BigDecimal, Zero};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub(super) type Rejection = &'static str;

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) user: Uuid,
    trading: Uuid,
    pub(super) symbol: String,
    pub(super) balance: BigDecimal,
    pub(super) holds: BTreeMap<HoldKey, BigDecimal>,
    pub(super) postings: i64,
    /// The fees within its postings.
    pub(super) fees: BigDecimal,
}

/// The key of a hold on its account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HoldKey {
    /// `""` for holds without an order.
    pub(super) order: String,
    /// `""` for holds without a pair.
    pub(super) pair: String,
}

impl HoldKey {
    pub(super) fn new(order: &str, pair: &str) -> Self {
        Self {
            order: order.to_owned(),
            pair: pair.to_owned(),
        }
    }
}

impl Account {
    pub(super) fn locked(&self) -> BigDecimal {
        self.holds.values().sum()
    }

    pub(super) fn available(&self) -> BigDecimal {
        &self.balance - self.locked()
    }

    /// Returns the sum of these holds.
    pub(super) fn held(&self, keys: &[HoldKey]) -> BigDecimal {
        keys.iter().filter_map(|key| self.holds.get(key)).sum()
    }

    pub(super) fn add_hold(&mut self, key: HoldKey, amount: BigDecimal) {
        *self.holds.entry(key).or_default() += amount;
    }

    /// Takes an amount, or all there is, out of these holds in their order.
    pub(super) fn use_holds(&mut self, keys: &[HoldKey], amount: &BigDecimal) {
        let mut rest = amount.clone();
        for key in keys {
            let held = self.holds.remove(key).unwrap_or_default();
            if held > rest {
                self.holds.insert(key.clone(), held - rest);
                return;
            }
            rest -= held;
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
    /// By trading and order id.
    pub(super) orders: BTreeMap<(Uuid, String), Orders>,
    /// Deleted users, tradings and accounts.
    pub(super) deleted: BTreeSet<Uuid>,
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
        self.check_deleted(event)?;
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

        let order = (event.trading, orders::id_of(event).to_owned());
        let known = self.orders.get(&order).cloned().unwrap_or_default();
        let mut sheet = Sheet::new(event, accounts, known);
        sheet.apply(event)?;
        let ends = sheet.orders.end(event, &sheet.pair);
        self.accounts.extend(sheet.accounts);
        if ends {
            let is_last = sheet.orders.all_have_ended();
            self.release(&order, &sheet.pair, is_last);
        }
        if !sheet.orders.by_pair.is_empty() {
            self.orders.insert(order, sheet.orders);
        }
        Ok(())
    }

    /// Releases the holds of an order on every account of its trading, with those without a pair if it is the last one of
    /// its id.
    fn release(&mut self, (trading, order): &(Uuid, String), pair: &str, is_last: bool) {
        for account in self.accounts.values_mut() {
            if account.trading == *trading {
                account.holds.remove(&HoldKey::new(order, pair));
                if is_last {
                    account.holds.remove(&HoldKey::new(order, ""));
                }
            }
        }
    }

    /// Rejects an event that names something deleted.
    fn check_deleted(&self, event: &Reading) -> Result<(), Rejection> {
        if self.deleted.contains(&event.user) {
            return Err("USER_DELETED");
        }
        if self.deleted.contains(&event.trading) {
            return Err("TRADING_DELETED");
        }
        let mut fields = event.ids.iter();
        if fields.any(|(field, id)| field.ends_with("account_id") && self.deleted.contains(id)) {
            return Err("ACCOUNT_DELETED");
        }
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
