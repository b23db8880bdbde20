//! The accounts of a batch.

use super::account::Account;
use super::effect::Effect;
use crate::ids::AccountId;
use std::collections::BTreeMap;

/// The accounts of a batch, without deleted ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    accounts: BTreeMap<AccountId, Account>,
}

impl Book {
    /// Inserts an account or replaces its state.
    pub fn insert(&mut self, account: Account) {
        self.accounts.insert(account.id, account);
    }

    /// Returns an account; `None` when it does not exist or is deleted.
    #[must_use]
    pub fn get(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// Returns all accounts, ordered by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Applies an effect, which must come from [`super::apply`] on this state of the book.
    pub fn commit(&mut self, effect: &Effect) {
        for account in &effect.accounts {
            self.accounts.insert(account.id, account.clone());
        }
    }
}
