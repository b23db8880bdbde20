//! A sub-account, as the API reports it and as the bot expects it to become.
//!
//! It does not use the ledger's code, because the ledger is checked against it.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tiris_domain::money::Money;
use uuid::Uuid;

const TOO_LARGE: &str = "the account would hold more than the books can";

/// A sub-account.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) symbol: String,
    pub(crate) balance: Money,
    /// The part of `balance` that is held, for the bot's order or otherwise.
    pub(crate) locked: Money,
    /// The number of transactions booked so far.
    pub(crate) sequence: i64,
    /// The part of `locked` that is held for the bot's open order, of which there is at most one.
    #[serde(skip)]
    pub(crate) held: Money,
}

impl Account {
    /// Returns the amount that can be held or spent.
    pub(crate) fn available(&self) -> Money {
        self.balance.checked_sub(self.locked).unwrap_or_default()
    }

    /// Holds `amount` for the open order.
    pub(crate) fn lock(&mut self, amount: Money) -> Result<()> {
        let available = self.available();
        ensure!(
            amount <= available,
            "cannot hold or pay {amount} of {available} {}",
            self.symbol
        );
        self.held = self.held.checked_add(amount).context(TOO_LARGE)?;
        self.locked = self.locked.checked_add(amount).context(TOO_LARGE)?;
        Ok(())
    }

    /// Spends `amount` for the open order, first from its hold.
    pub(crate) fn pay(&mut self, amount: Money) -> Result<()> {
        let rest = self.release().checked_sub(amount).unwrap_or_default();
        // Ensures that the amount is available.
        self.lock(amount)?;
        self.release();
        self.balance = self.balance.checked_sub(amount).context(TOO_LARGE)?;
        self.sequence += 1;
        self.lock(rest.max(Money::ZERO))
    }

    /// Releases `amount` of the hold of the open order.
    pub(crate) fn unlock(&mut self, amount: Money) -> Result<()> {
        let rest = self.release().checked_sub(amount).context(TOO_LARGE)?;
        self.lock(rest)
    }

    /// Credits `amount`.
    pub(crate) fn receive(&mut self, amount: Money) -> Result<()> {
        self.balance = self.balance.checked_add(amount).context(TOO_LARGE)?;
        self.sequence += 1;
        Ok(())
    }

    /// Releases the hold of the open order and returns its amount.
    pub(crate) fn release(&mut self) -> Money {
        let held = std::mem::take(&mut self.held);
        self.locked = self.locked.checked_sub(held).unwrap_or_default();
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().expect(text)
    }

    fn account(balance: &str, locked: &str) -> Account {
        Account {
            balance: money(balance),
            locked: money(locked),
            sequence: 1,
            ..Account::default()
        }
    }

    #[test]
    fn a_payment_uses_its_hold_first_and_keeps_the_rest_held() {
        let mut account = account("10", "1");
        account.lock(money("4")).expect("enough");
        account.pay(money("1.5")).expect("enough");

        assert_eq!(account.balance, money("8.5"));
        assert_eq!(account.locked, money("3.5"));
        assert_eq!(account.available(), money("5"));
        account.unlock(money("0.5")).expect("held");
        assert_eq!(account.locked, money("3"));
        assert_eq!(account.release(), money("2"));
        assert_eq!(account.locked, money("1"));
        assert_eq!(account.sequence, 2);
    }

    #[test]
    fn never_spends_an_amount_held_for_others() {
        let mut account = account("10", "9");

        assert!(account.lock(money("1.1")).is_err());
        assert!(account.pay(money("1.1")).is_err());
        assert_eq!(account.available(), money("1"));
    }
}
