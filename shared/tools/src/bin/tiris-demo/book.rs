//! The bot's own bookkeeping: what it expects of each account after everything it said.
//!
//! Owns: balances, holds and posting counts of one account, kept without the ledger that is to be checked with them.
//! Must not know: events, the API.

use anyhow::Context;
use std::collections::BTreeMap;
use tiris_domain::money::Money;
use uuid::Uuid;

/// One account as the bot knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Purse {
    /// The sub-account.
    pub(super) id: Uuid,
    /// What it holds.
    pub(super) symbol: String,
    /// All there is, held or not.
    pub(super) balance: Money,
    /// What is held, for the bot's orders or by others.
    pub(super) locked: Money,
    /// Movements so far: each is one transaction with the next sequence number.
    pub(super) postings: i64,
    holds: BTreeMap<String, Money>,
}

impl Purse {
    /// An account as it stands before the bot's first order.
    pub(super) const fn new(
        id: Uuid,
        symbol: String,
        balance: Money,
        locked: Money,
        postings: i64,
    ) -> Self {
        Self {
            id,
            symbol,
            balance,
            locked,
            postings,
            holds: BTreeMap::new(),
        }
    }

    /// What can be held or spent.
    pub(super) fn available(&self) -> Money {
        self.balance.checked_sub(self.locked).unwrap_or_default()
    }

    /// Sets `amount` aside for `order`.
    pub(super) fn lock(&mut self, order: &str, amount: Money) -> anyhow::Result<()> {
        anyhow::ensure!(
            amount <= self.available(),
            "cannot hold {amount} of {} {}",
            self.available(),
            self.symbol
        );
        let held = self.holds.get(order).copied().unwrap_or_default();
        self.holds.insert(order.to_owned(), plus(held, amount)?);
        self.locked = plus(self.locked, amount)?;
        Ok(())
    }

    /// Spends `amount` for `order`, out of its hold first.
    pub(super) fn pay(&mut self, order: &str, amount: Money) -> anyhow::Result<()> {
        let held = self.release(order);
        anyhow::ensure!(
            amount <= self.available(),
            "cannot pay {amount} of {} {}",
            self.available(),
            self.symbol
        );
        self.balance = minus(self.balance, amount)?;
        self.postings += 1;

        if held > amount {
            self.lock(order, minus(held, amount)?)
        } else {
            Ok(())
        }
    }

    /// Takes `amount` in.
    pub(super) fn receive(&mut self, amount: Money) -> anyhow::Result<()> {
        self.balance = plus(self.balance, amount)?;
        self.postings += 1;
        Ok(())
    }

    /// Gives back what is still held for `order`, and says how much that was.
    pub(super) fn release(&mut self, order: &str) -> Money {
        let held = self.holds.remove(order).unwrap_or_default();
        self.locked = self.locked.checked_sub(held).unwrap_or_default();
        held
    }
}

fn plus(a: Money, b: Money) -> anyhow::Result<Money> {
    a.checked_add(b)
        .context("the account would hold more than the books can")
}

fn minus(a: Money, b: Money) -> anyhow::Result<Money> {
    a.checked_sub(b)
        .context("the account would hold more than the books can")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().expect(text)
    }

    #[test]
    fn a_payment_consumes_its_hold_first_and_leaves_the_rest_held() {
        let mut purse = Purse::new(Uuid::nil(), "BTC".into(), money("10"), money("1"), 1);
        purse.lock("a", money("4")).expect("enough");
        purse.pay("a", money("1.5")).expect("enough");
        assert_eq!(purse.balance, money("8.5"));
        assert_eq!(purse.locked, money("3.5"));
        assert_eq!(purse.available(), money("5"));
        assert_eq!(purse.release("a"), money("2.5"));
        assert_eq!(purse.locked, money("1"));
        assert_eq!(purse.postings, 2);
    }

    #[test]
    fn what_others_hold_is_never_spent() {
        let mut purse = Purse::new(Uuid::nil(), "BTC".into(), money("10"), money("9"), 1);
        assert!(purse.lock("a", money("1.1")).is_err());
        assert!(purse.pay("a", money("1.1")).is_err());
        assert_eq!(purse.available(), money("1"));
    }
}
