//! The accounts a batch works on.

use super::account::Account;
use super::effect::Effect;
use crate::ids::AccountId;
use std::collections::BTreeMap;

/// The accounts a batch works on. Deleted accounts and accounts that do not exist are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    accounts: BTreeMap<AccountId, Account>,
}

impl Book {
    /// Puts an account in, replacing an earlier state of it.
    pub fn insert(&mut self, account: Account) {
        self.accounts.insert(account.id, account);
    }

    /// The account, when it exists and lives.
    #[must_use]
    pub fn get(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// All accounts by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Makes an effect part of the book. The effect must come from [`super::apply`] on this very state.
    pub fn commit(&mut self, effect: &Effect) {
        for account in &effect.accounts {
            self.accounts.insert(account.id, account.clone());
        }
    }
}
