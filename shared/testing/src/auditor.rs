//! A second opinion on the books, by code that shares nothing with the services.
//!
//! Owns: its own reading of the event contract, in plain loops over exact decimals, and the comparison with what stands
//! in the database. Must not know: [`crate::ledger`], [`crate::event`], [`crate::money`], [`crate::store`]; where it
//! agrees with them, two independent readings of the contract agree.
//!
//! A test tells the [`Auditor`] what existed and every message in the order it was published (the order matters only
//! among messages of one user), then asks for the differences. Letters that were applied by a retry or replay count as
//! applied: what existed only later is told as if it had been there from the start, for order is kept behind letters that
//! wait for it. Not part of the audit: the way there, and `bots`.

mod books;
mod compare;
mod contract;
mod decimal;
mod json;
mod reading;

use anyhow::Context;
use bigdecimal::{BigDecimal, Zero};
use books::Books;
use reading::read;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What must have become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the books.
    Applied,
    /// Its event was processed before, with equal content.
    Duplicate,
    /// A heartbeat, which the books do not know.
    Heartbeat,
    /// A dead letter of class `malformed`.
    Malformed,
    /// A dead letter with this code.
    Refused(&'static str),
}

/// Refusals of this code and the three other unknowns are tried again, so their letters are `unresolved`.
const UNRESOLVED: [&str; 4] = [
    "UNKNOWN_USER",
    "USER_DISABLED",
    "UNKNOWN_TRADING",
    "UNKNOWN_SUB_ACCOUNT",
];

/// Everything published and done so far, and what the books must be.
#[derive(Clone, Debug, Default)]
pub struct Auditor {
    takes_bare_subjects: bool,
    books: Books,
    /// By user and event id.
    claims: BTreeMap<(Uuid, String), Claim>,
    letters: Vec<Letter>,
}

/// An event id that was processed.
#[derive(Clone, Debug)]
struct Claim {
    content: String,
    applied: bool,
}

/// A dead letter that must be there.
#[derive(Clone, Debug)]
struct Letter {
    payload: Vec<u8>,
    class: &'static str,
    /// Empty for malformed messages.
    code: &'static str,
}

/// What an account must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The account.
    pub id: Uuid,
    /// Its owner.
    pub user: Uuid,
    /// All it has.
    pub balance: BigDecimal,
    /// How much of that is held for orders.
    pub locked: BigDecimal,
}

impl Auditor {
    /// An auditor that has seen nothing. `takes_bare_subjects`: whether subjects without a user are accepted.
    #[must_use]
    pub fn new(takes_bare_subjects: bool) -> Self {
        Self {
            takes_bare_subjects,
            ..Self::default()
        }
    }

    /// An active user was made.
    pub fn user(&mut self, id: Uuid) {
        self.books.users.insert(id, true);
    }

    /// The user was disabled.
    pub fn user_disabled(&mut self, id: Uuid) {
        self.books.users.insert(id, false);
    }

    /// A trading of `owner` was made.
    pub fn trading(&mut self, id: Uuid, owner: Uuid) {
        self.books.tradings.insert(id, owner);
    }

    /// A sub-account of `owner` in `trading` was made with an opening deposit, `"0"` for none.
    ///
    /// # Errors
    /// When `opening` is no decimal number.
    pub fn account(
        &mut self,
        id: Uuid,
        owner: Uuid,
        trading: Uuid,
        symbol: &str,
        opening: &str,
    ) -> anyhow::Result<()> {
        self.books.open(id, owner, trading, symbol);
        self.post(id, &amount(opening)?)
    }

    /// A deposit over REST that was accepted.
    ///
    /// # Errors
    /// When `amount` is no decimal number or the account was never made.
    pub fn deposit(&mut self, account: Uuid, deposited: &str) -> anyhow::Result<()> {
        self.post(account, &amount(deposited)?)
    }

    /// A withdrawal over REST that was accepted.
    ///
    /// # Errors
    /// When `amount` is no decimal number or the account was never made.
    pub fn withdrawal(&mut self, account: Uuid, withdrawn: &str) -> anyhow::Result<()> {
        self.post(account, &-amount(withdrawn)?)
    }

    /// What every account must hold.
    #[must_use]
    pub fn accounts(&self) -> Vec<Expected> {
        let accounts = self.books.accounts.iter();
        accounts
            .map(|(id, account)| Expected {
                id: *id,
                user: account.user,
                balance: account.balance.clone(),
                locked: account.locked(),
            })
            .collect()
    }

    fn post(&mut self, account: Uuid, change: &BigDecimal) -> anyhow::Result<()> {
        let account = self.books.accounts.get_mut(&account);
        let account = account.context("the auditor knows no such account")?;
        if !change.is_zero() {
            account.balance += change;
            account.postings += 1;
        }
        Ok(())
    }

    /// A message was published on `subject` and stored by its stream.
    pub fn publish(&mut self, subject: &str, payload: &[u8]) -> Verdict {
        let verdict = self.judge(subject, payload);
        let (class, code) = match verdict {
            Verdict::Applied | Verdict::Duplicate | Verdict::Heartbeat => return verdict,
            Verdict::Malformed => ("malformed", ""),
            Verdict::Refused(code) if UNRESOLVED.contains(&code) => ("unresolved", code),
            Verdict::Refused(code) => ("rejected", code),
        };
        self.letters.push(Letter {
            payload: payload.to_vec(),
            class,
            code,
        });
        verdict
    }

    fn judge(&mut self, subject: &str, payload: &[u8]) -> Verdict {
        let Some(event) = read(subject, payload, self.takes_bare_subjects) else {
            return Verdict::Malformed;
        };
        if event.kind == "trading.heartbeat" {
            return Verdict::Heartbeat;
        }

        let key = (event.user, event.event_id.clone());
        match self.claims.get(&key) {
            Some(claim) if claim.content == event.content => return Verdict::Duplicate,
            Some(_) => return Verdict::Refused("EVENT_ID_REUSED"),
            None => {}
        }
        let outcome = self.books.book(&event);
        let claim = Claim {
            content: event.content,
            applied: outcome.is_ok(),
        };
        self.claims.insert(key, claim);
        outcome.map_or_else(Verdict::Refused, |()| Verdict::Applied)
    }
}

fn amount(text: &str) -> anyhow::Result<BigDecimal> {
    decimal::parse(text).with_context(|| format!("{text:?} is no decimal number"))
}
