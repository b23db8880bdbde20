//! An independent implementation of the books, which shares no code with the services, and its comparison with the
//! database: where both agree, two readings of the event contract agree.
//!
//! Must not know: the ledger, event, money and store code of the services.
//!
//! A test passes to the [`Auditor`] the existing users, tradings and accounts and every message in the order of
//! publication (which matters only among messages of one user), then compares. Dead letters that a retry or replay applied
//! count as applied: pass what was created later as if it had existed from the start. The audit does not cover `bots`.

mod books;
mod compare;
mod contract;
mod decimal;
mod json;
mod orders;
mod reading;
mod sheet;

use anyhow::Context;
use bigdecimal::{BigDecimal, Zero};
use books::Books;
use reading::read;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The expected outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Applied to the books.
    Applied,
    /// The event was processed before with equal content.
    Duplicate,
    /// A heartbeat, which does not change the books.
    Heartbeat,
    /// A dead letter of class `malformed`.
    Malformed,
    /// A dead letter with this code.
    Refused(&'static str),
}

/// Codes whose dead letters are retried and therefore of class `unresolved`.
const UNRESOLVED: [&str; 4] = [
    "UNKNOWN_USER",
    "USER_DISABLED",
    "UNKNOWN_TRADING",
    "UNKNOWN_SUB_ACCOUNT",
];

/// The expected state of the books.
#[derive(Clone, Debug, Default)]
pub struct Auditor {
    accepts_bare_subjects: bool,
    books: Books,
    /// By user and event id.
    claims: BTreeMap<(Uuid, String), Claim>,
    dead_letters: Vec<DeadLetter>,
}

/// A processed event id.
#[derive(Clone, Debug)]
struct Claim {
    content: String,
    applied: bool,
}

/// An expected dead letter.
#[derive(Clone, Debug)]
struct DeadLetter {
    payload: Vec<u8>,
    class: &'static str,
    /// Empty for malformed messages.
    code: &'static str,
}

/// The expected state of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The account.
    pub id: Uuid,
    /// The owner.
    pub user: Uuid,
    /// The balance, including the locked amount.
    pub balance: BigDecimal,
    /// The amount locked by holds.
    pub locked: BigDecimal,
}

impl Auditor {
    /// Creates an auditor with empty books; `accepts_bare_subjects` accepts subjects without a user.
    #[must_use]
    pub fn new(accepts_bare_subjects: bool) -> Self {
        Self {
            accepts_bare_subjects,
            ..Self::default()
        }
    }

    /// Records a new, active user.
    pub fn user(&mut self, id: Uuid) {
        self.books.users.insert(id, true);
    }

    /// Records that a user was disabled.
    pub fn user_disabled(&mut self, id: Uuid) {
        self.books.users.insert(id, false);
    }

    /// Records that a user was deleted.
    pub fn user_deleted(&mut self, id: Uuid) {
        self.books.deleted.insert(id);
    }

    /// Records that a trading was deleted, or is being deleted.
    pub fn trading_deleted(&mut self, id: Uuid) {
        self.books.deleted.insert(id);
    }

    /// Records that a sub-account was deleted; it is not among the accounts.
    pub fn account_deleted(&mut self, id: Uuid) {
        self.books.accounts.remove(&id);
        self.books.deleted.insert(id);
    }

    /// Records a new trading of `owner`.
    pub fn trading(&mut self, id: Uuid, owner: Uuid) {
        self.books.tradings.insert(id, owner);
    }

    /// Records a new sub-account of `owner` in `trading` with an opening deposit, `"0"` for none.
    ///
    /// # Errors
    /// When `opening` is not a decimal number.
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

    /// Records an accepted deposit over REST.
    ///
    /// # Errors
    /// When the amount is not a decimal number or the account is unknown.
    pub fn deposit(&mut self, account: Uuid, deposited: &str) -> anyhow::Result<()> {
        self.post(account, &amount(deposited)?)
    }

    /// Records an accepted withdrawal over REST.
    ///
    /// # Errors
    /// When the amount is not a decimal number or the account is unknown.
    pub fn withdrawal(&mut self, account: Uuid, withdrawn: &str) -> anyhow::Result<()> {
        self.post(account, &-amount(withdrawn)?)
    }

    /// Returns the expected state of every account.
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
        let account = account.context("the account is unknown to the auditor")?;
        if !change.is_zero() {
            account.balance += change;
            account.postings += 1;
        }
        Ok(())
    }

    /// Records a message published on `subject` and stored by its stream; returns its expected outcome.
    pub fn publish(&mut self, subject: &str, payload: &[u8]) -> Verdict {
        let verdict = self.judge(subject, payload);
        let (class, code) = match verdict {
            Verdict::Applied | Verdict::Duplicate | Verdict::Heartbeat => return verdict,
            Verdict::Malformed => ("malformed", ""),
            Verdict::Refused(code) if UNRESOLVED.contains(&code) => ("unresolved", code),
            Verdict::Refused(code) => ("rejected", code),
        };
        self.dead_letters.push(DeadLetter {
            payload: payload.to_vec(),
            class,
            code,
        });
        verdict
    }

    fn judge(&mut self, subject: &str, payload: &[u8]) -> Verdict {
        let Some(event) = read(subject, payload, self.accepts_bare_subjects) else {
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
    decimal::parse(text).with_context(|| format!("{text:?} is not a decimal number"))
}
